//! Delta's per-file statistics (Delta protocol, "Per-file Statistics"): what readers prune by.
//!
//! A minimum must not be above, a maximum not below any value, else rows go missing from answers.
//! So values are given exactly or not at all: times to the microsecond, long texts left out
//! (cutting a maximum would make it too small), floats left out (NaN has no place in the order).

use arrow::array::{Array, ArrayRef, AsArray as _, RecordBatch};
use arrow::compute;
use arrow::datatypes::{DataType, Int32Type, Int64Type, TimeUnit, TimestampMicrosecondType};
use arrow::error::ArrowError;
use schemas::limits::MAX_STATISTICS_TEXT_BYTES;
use serde_json::{Map, Value, json};

/// The statistics of a file's rows, JSON.
pub(super) fn of(rows: &RecordBatch) -> Result<String, ArrowError> {
    let mut minima = Map::new();
    let mut maxima = Map::new();
    let mut nulls = Map::new();
    for (field, column) in rows.schema_ref().fields().iter().zip(rows.columns()) {
        if matches!(field.data_type(), DataType::List(_) | DataType::Map(..) | DataType::Struct(_))
        {
            continue;
        }
        nulls.insert(field.name().clone(), json!(column.null_count()));
        if let Some((minimum, maximum)) = bounds(column) {
            minima.insert(field.name().clone(), minimum);
            maxima.insert(field.name().clone(), maximum);
        }
    }
    let stats = json!({
        "numRecords": rows.num_rows(),
        "minValues": minima,
        "maxValues": maxima,
        "nullCount": nulls,
    });
    serde_json::to_string(&stats).map_err(|error| ArrowError::JsonError(error.to_string()))
}

/// Smallest and largest value; `None` where there is none, or none worth giving.
fn bounds(column: &ArrayRef) -> Option<(Value, Value)> {
    match column.data_type() {
        DataType::Int32 => {
            let column = column.as_primitive::<Int32Type>();
            Some((json!(compute::min(column)?), json!(compute::max(column)?)))
        }
        DataType::Int64 => {
            let column = column.as_primitive::<Int64Type>();
            Some((json!(compute::min(column)?), json!(compute::max(column)?)))
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let column = column.as_primitive::<TimestampMicrosecondType>();
            Some((time(compute::min(column)?)?, time(compute::max(column)?)?))
        }
        DataType::Utf8 => {
            let column = column.as_string::<i32>();
            let (minimum, maximum) = (compute::min_string(column)?, compute::max_string(column)?);
            let short = minimum.len().max(maximum.len()) <= MAX_STATISTICS_TEXT_BYTES;
            short.then(|| (json!(minimum), json!(maximum)))
        }
        _ => None,
    }
}

/// ISO 8601 in UTC to the microsecond.
fn time(micros: i64) -> Option<Value> {
    let time = chrono::DateTime::from_timestamp_micros(micros)?;
    Some(json!(time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use arrow::array::{Float64Array, StringArray, TimestampMicrosecondArray};

    #[test]
    fn bounds_are_exact_or_absent() {
        let times = TimestampMicrosecondArray::from(vec![-1, 1_714_219_200_123_456]);
        let long = "x".repeat(MAX_STATISTICS_TEXT_BYTES + 1);
        let rows = RecordBatch::try_from_iter(vec![
            ("time", Arc::new(times.with_timezone("UTC")) as ArrayRef),
            ("service", Arc::new(StringArray::from(vec![Some("web"), None])) as ArrayRef),
            ("message", Arc::new(StringArray::from(vec!["a", &long])) as ArrayRef),
            ("value", Arc::new(Float64Array::from(vec![f64::NAN, 1.0])) as ArrayRef),
        ]);
        let stats = of(&rows.expect("batch")).expect("statistics");
        let stats: Value = serde_json::from_str(&stats).expect("JSON");
        assert_eq!(stats["numRecords"], 2);
        assert_eq!(stats["minValues"]["time"], "1969-12-31T23:59:59.999999Z");
        assert_eq!(stats["maxValues"]["time"], "2024-04-27T12:00:00.123456Z");
        assert_eq!(stats["maxValues"]["service"], "web");
        assert_eq!(stats["nullCount"]["service"], 1);
        assert!(stats["maxValues"].get("message").is_none());
        assert!(stats["minValues"].get("value").is_none());
    }
}
