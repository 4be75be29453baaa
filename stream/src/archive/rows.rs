//! Rows of table `logs` in the form of stored logs, so that a pipeline can take them again.
//!
//! The table holds every attribute as text. What reads as a number, a boolean, an array or an object
//! becomes one again; a text that only looks like a number does so too, and is the same text once it
//! is back in the table.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Int64Type, Schema};
use arrow::error::ArrowError;
use chrono::{DateTime, SecondsFormat, Utc};
use schemas::log;
use serde_json::{Map, Value};

/// Columns that become attributes again, and the names under which preprocessing and columns find them.
const ATTRIBUTES: [(&str, &str); 7] = [
    (log::ENV, "dd.env"),
    (log::VERSION, "dd.version"),
    (log::TRACE_ID, "dd.trace_id"),
    (log::SPAN_ID, "dd.span_id"),
    (log::ERROR_KIND, "error.kind"),
    (log::ERROR_MESSAGE, "error.message"),
    (log::ERROR_STACK, "error.stack"),
];
/// Columns that are members of a stored log by the same name.
const MEMBERS: [&str; 5] = [log::SERVICE, log::HOST, log::SOURCE, log::STATUS, log::MESSAGE];

/// Whether these are the columns of table `logs`.
pub(super) fn is_own(schema: &Schema) -> bool {
    let names = MEMBERS.iter().chain(&[
        log::TIMESTAMP_NS,
        log::ATTRIBUTES,
        log::TAGS,
        schemas::table::LINEAGE_OFFSET,
    ]);
    let has_all = names.into_iter().all(|name| schema.column_with_name(name).is_some());
    let map = schema.column_with_name(log::ATTRIBUTES);
    has_all && map.is_some_and(|(_, field)| matches!(field.data_type(), DataType::Map(..)))
}

/// One stored log per row.
pub(super) fn to_json(batch: &RecordBatch) -> Result<Vec<Vec<u8>>, ArrowError> {
    let members = MEMBERS.iter().map(|name| Ok((*name, text(batch, name)?)));
    let members: Vec<(&str, ArrayRef)> = members.collect::<Result<_, ArrowError>>()?;
    let moved = ATTRIBUTES.iter().map(|(column, name)| Ok((*name, text(batch, column)?)));
    let moved: Vec<(&str, ArrayRef)> = moved.collect::<Result<_, ArrowError>>()?;
    let times = column(batch, log::TIMESTAMP_NS)?;
    let times = times.as_primitive::<Int64Type>();
    let observed = cast(column(batch, log::OBSERVED_TIMESTAMP)?, &DataType::Int64)?;
    let observed = observed.as_primitive::<Int64Type>();
    let attributes = column(batch, log::ATTRIBUTES)?.as_map();
    let tags = column(batch, log::TAGS)?.as_list::<i32>();
    let mut out = Vec::with_capacity(batch.num_rows());
    for row in 0..batch.num_rows() {
        let mut object = Map::new();
        object.insert("_id".to_owned(), Value::String(String::new()));
        object.insert("date".to_owned(), time(times.value(row)).into());
        if observed.is_valid(row) {
            let nanos = observed.value(row).saturating_mul(1_000);
            object.insert("observed_timestamp".to_owned(), time(nanos).into());
        }
        for (name, column) in &members {
            insert(&mut object, name, column, row);
        }
        let tags =
            tags.is_valid(row).then(|| cast(&tags.value(row), &DataType::Utf8)).transpose()?;
        let tags = tags.iter().flat_map(|tags| tags.as_string::<i32>().iter().flatten());
        object.insert("tags".to_owned(), tags.map(str::to_owned).collect::<Vec<_>>().into());
        let mut inner = Map::new();
        if attributes.is_valid(row) {
            let entries = attributes.value(row);
            let keys = cast(entries.column(0), &DataType::Utf8)?;
            let values = cast(entries.column(1), &DataType::Utf8)?;
            let pairs = keys.as_string::<i32>().iter().zip(values.as_string::<i32>());
            for (key, text) in pairs.filter_map(|(key, text)| Some((key?, text?))) {
                inner.insert(key.to_owned(), typed(text));
            }
        }
        for (name, column) in &moved {
            insert(&mut inner, name, column, row);
        }
        object.insert("attributes".to_owned(), Value::Object(inner));
        let json = serde_json::to_vec(&object);
        out.push(json.map_err(|error| ArrowError::JsonError(error.to_string()))?);
    }
    Ok(out)
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, ArrowError> {
    batch.column_by_name(name).ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
}

/// A column of text, whichever of Arrow's text types the reader chose.
fn text(batch: &RecordBatch, name: &str) -> Result<ArrayRef, ArrowError> {
    cast(column(batch, name)?, &DataType::Utf8)
}

fn insert(object: &mut Map<String, Value>, name: &str, column: &ArrayRef, row: usize) {
    let column = column.as_string::<i32>();
    if column.is_valid(row) && !column.value(row).is_empty() {
        object.insert(name.to_owned(), column.value(row).into());
    }
}

fn time(nanos: i64) -> String {
    DateTime::<Utc>::from_timestamp_nanos(nanos).to_rfc3339_opts(SecondsFormat::Nanos, true)
}

/// The value a text of the table was, as far as it can be told.
fn typed(text: &str) -> Value {
    let first = text.bytes().next().unwrap_or(b'"');
    if !(first.is_ascii_digit() || matches!(first, b'-' | b't' | b'f' | b'[' | b'{')) {
        return text.into();
    }
    match serde_json::from_str::<Value>(text) {
        // Only what is written back as the same text.
        Ok(value) if value == text => value,
        _ => text.into(),
    }
}
