//! One Arrow value as JSON, without loss: numbers as numbers, times as RFC 3339 in UTC with
//! microseconds, maps and structs as objects, lists as arrays, binary as base 64, what JSON can not
//! say (NaN, infinities) as null.

use chrono::{DateTime, SecondsFormat};
use datafusion::arrow::array::{Array, AsArray};
use datafusion::arrow::datatypes::{
    DataType, Date32Type, Decimal128Type, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, TimeUnit, TimestampMicrosecondType, TimestampMillisecondType,
    TimestampNanosecondType, TimestampSecondType, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use std::io::Write;

/// Appends the value of `row`.
///
/// # Errors
/// When the value can not be shown at all, an instant beyond the calendar for instance.
pub(crate) fn write(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), ArrowError> {
    if array.is_null(row) {
        out.extend_from_slice(b"null");
        return Ok(());
    }
    macro_rules! number {
        ($type:ty) => {{
            let _ = write!(out, "{}", array.as_primitive::<$type>().value(row));
        }};
    }
    match array.data_type() {
        DataType::Null => out.extend_from_slice(b"null"),
        DataType::Boolean => {
            out.extend_from_slice(if array.as_boolean().value(row) { b"true" } else { b"false" })
        }
        DataType::Int8 => number!(Int8Type),
        DataType::Int16 => number!(Int16Type),
        DataType::Int32 => number!(Int32Type),
        DataType::Int64 => number!(Int64Type),
        DataType::UInt8 => number!(UInt8Type),
        DataType::UInt16 => number!(UInt16Type),
        DataType::UInt32 => number!(UInt32Type),
        DataType::UInt64 => number!(UInt64Type),
        DataType::Float32 => float(out, f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => float(out, array.as_primitive::<Float64Type>().value(row)),
        DataType::Decimal128(..) => {
            out.extend_from_slice(
                array.as_primitive::<Decimal128Type>().value_as_string(row).as_bytes(),
            );
        }
        DataType::Utf8 => text(out, array.as_string::<i32>().value(row)),
        DataType::LargeUtf8 => text(out, array.as_string::<i64>().value(row)),
        DataType::Utf8View => text(out, array.as_string_view().value(row)),
        DataType::Binary => binary(out, array.as_binary::<i32>().value(row)),
        DataType::LargeBinary => binary(out, array.as_binary::<i64>().value(row)),
        DataType::BinaryView => binary(out, array.as_binary_view().value(row)),
        DataType::Timestamp(unit, _) => timestamp(out, array, row, *unit)?,
        DataType::Date32 => match array.as_primitive::<Date32Type>().value_as_date(row) {
            Some(date) => text(out, &date.to_string()),
            None => out.extend_from_slice(b"null"),
        },
        DataType::List(_) => list(out, array.as_list::<i32>().value(row).as_ref())?,
        DataType::LargeList(_) => list(out, array.as_list::<i64>().value(row).as_ref())?,
        DataType::Map(..) => map(out, array, row)?,
        DataType::Struct(fields) => {
            out.push(b'{');
            for (index, (field, column)) in
                fields.iter().zip(array.as_struct().columns()).enumerate()
            {
                key(out, index, field.name());
                write(out, column.as_ref(), row)?;
            }
            out.push(b'}');
        }
        DataType::Dictionary(..) => {
            let dictionary = array.as_any_dictionary();
            let at = dictionary.normalized_keys().get(row).copied().unwrap_or(0);
            write(out, dictionary.values().as_ref(), at)?;
        }
        _ => {
            let formatter = ArrayFormatter::try_new(array, &FormatOptions::default())?;
            text(out, &formatter.value(row).try_to_string()?);
        }
    }
    Ok(())
}

/// Appends a JSON string.
pub(crate) fn text(out: &mut Vec<u8>, text: &str) {
    // Writing text into a vector can not fail.
    let _ = serde_json::to_writer(out, text);
}

fn float(out: &mut Vec<u8>, value: f64) {
    if value.is_finite() {
        let _ = serde_json::to_writer(out, &value);
    } else {
        out.extend_from_slice(b"null");
    }
}

fn binary(out: &mut Vec<u8>, bytes: &[u8]) {
    out.push(b'"');
    super::base64::write(out, bytes);
    out.push(b'"');
}

fn timestamp(
    out: &mut Vec<u8>,
    array: &dyn Array,
    row: usize,
    unit: TimeUnit,
) -> Result<(), ArrowError> {
    let instant = match unit {
        TimeUnit::Second => {
            DateTime::from_timestamp(array.as_primitive::<TimestampSecondType>().value(row), 0)
        }
        TimeUnit::Millisecond => DateTime::from_timestamp_millis(
            array.as_primitive::<TimestampMillisecondType>().value(row),
        ),
        TimeUnit::Microsecond => DateTime::from_timestamp_micros(
            array.as_primitive::<TimestampMicrosecondType>().value(row),
        ),
        TimeUnit::Nanosecond => Some(DateTime::from_timestamp_nanos(
            array.as_primitive::<TimestampNanosecondType>().value(row),
        )),
    };
    let instant = instant
        .ok_or_else(|| ArrowError::CastError("an instant beyond the calendar".to_owned()))?;
    let precision = if unit == TimeUnit::Nanosecond && instant.timestamp_subsec_nanos() % 1_000 != 0
    {
        SecondsFormat::Nanos
    } else {
        SecondsFormat::Micros
    };
    text(out, &instant.to_rfc3339_opts(precision, true));
    Ok(())
}

fn list(out: &mut Vec<u8>, items: &dyn Array) -> Result<(), ArrowError> {
    out.push(b'[');
    for item in 0..items.len() {
        if item > 0 {
            out.push(b',');
        }
        write(out, items, item)?;
    }
    out.push(b']');
    Ok(())
}

fn map(out: &mut Vec<u8>, array: &dyn Array, row: usize) -> Result<(), ArrowError> {
    let entries = array.as_map().value(row);
    let (keys, values) = (entries.column(0), entries.column(1));
    let keys = ArrayFormatter::try_new(keys.as_ref(), &FormatOptions::default())?;
    out.push(b'{');
    for entry in 0..entries.len() {
        key(out, entry, &keys.value(entry).try_to_string()?);
        write(out, values.as_ref(), entry)?;
    }
    out.push(b'}');
    Ok(())
}

fn key(out: &mut Vec<u8>, index: usize, name: &str) {
    if index > 0 {
        out.push(b',');
    }
    text(out, name);
    out.push(b':');
}
