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

/// Collects the statistics of a file while its rows are written.
#[derive(Debug, Default)]
pub(crate) struct Statistics {
    rows: usize,
    columns: Vec<Column>,
}

/// What is known of one column.
#[derive(Debug)]
struct Column {
    name: String,
    nulls: usize,
    bounds: Option<(Bound, Bound)>,
}

/// Smallest or largest value of a column; two of one column are of one kind.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Bound {
    Number(i64),
    Time(i64),
    Text(String),
}

impl Statistics {
    /// Counts these rows in. Every batch of a file has the same columns.
    pub(crate) fn add(&mut self, rows: &RecordBatch) {
        let is_first = self.columns.is_empty();
        self.rows += rows.num_rows();
        let fields = rows.schema_ref().fields().iter().zip(rows.columns());
        let flat = fields.filter(|(field, _)| {
            !matches!(
                field.data_type(),
                DataType::List(_) | DataType::Map(..) | DataType::Struct(_)
            )
        });
        for (number, (field, array)) in flat.enumerate() {
            if is_first {
                self.columns.push(Column { name: field.name().clone(), nulls: 0, bounds: None });
            }
            let Some(column) = self.columns.get_mut(number) else { continue };
            column.nulls += array.null_count();
            column.bounds = match (column.bounds.take(), bounds(array)) {
                (Some((low, high)), Some((minimum, maximum))) => {
                    Some((low.min(minimum), high.max(maximum)))
                }
                (one, other) => one.or(other),
            };
        }
    }

    /// As Delta wants them, JSON.
    pub(crate) fn json(&self) -> Result<String, ArrowError> {
        let mut minima = Map::new();
        let mut maxima = Map::new();
        let mut nulls = Map::new();
        for Column { name, nulls: count, bounds } in &self.columns {
            nulls.insert(name.clone(), json!(count));
            let values = bounds.as_ref().map(|(low, high)| (low.value(), high.value()));
            if let Some((Some(minimum), Some(maximum))) = values {
                minima.insert(name.clone(), minimum);
                maxima.insert(name.clone(), maximum);
            }
        }
        let stats = json!({
            "numRecords": self.rows,
            "minValues": minima,
            "maxValues": maxima,
            "nullCount": nulls,
        });
        serde_json::to_string(&stats).map_err(|error| ArrowError::JsonError(error.to_string()))
    }
}

impl Bound {
    /// `None` where the value is not worth giving.
    fn value(&self) -> Option<Value> {
        match self {
            Bound::Number(number) => Some(json!(number)),
            Bound::Time(micros) => time(*micros),
            Bound::Text(text) => (text.len() <= MAX_STATISTICS_TEXT_BYTES).then(|| json!(text)),
        }
    }
}

/// Smallest and largest value; `None` where there is none, or none that is ever given.
fn bounds(column: &ArrayRef) -> Option<(Bound, Bound)> {
    let pair = |low: Option<i64>, high: Option<i64>, kind: fn(i64) -> Bound| {
        Some((kind(low?), kind(high?)))
    };
    match column.data_type() {
        DataType::Int32 => {
            let column = column.as_primitive::<Int32Type>();
            let (low, high) = (compute::min(column)?, compute::max(column)?);
            Some((Bound::Number(low.into()), Bound::Number(high.into())))
        }
        DataType::Int64 => {
            let column = column.as_primitive::<Int64Type>();
            pair(compute::min(column), compute::max(column), Bound::Number)
        }
        DataType::Timestamp(TimeUnit::Microsecond, _) => {
            let column = column.as_primitive::<TimestampMicrosecondType>();
            pair(compute::min(column), compute::max(column), Bound::Time)
        }
        DataType::Utf8 => {
            let column = column.as_string::<i32>();
            let (low, high) = (compute::min_string(column)?, compute::max_string(column)?);
            Some((Bound::Text(low.to_owned()), Bound::Text(high.to_owned())))
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

    fn json_of(batches: &[RecordBatch]) -> String {
        let mut stats = Statistics::default();
        batches.iter().for_each(|rows| stats.add(rows));
        stats.json().expect("statistics")
    }

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
        let rows = rows.expect("batch");
        let whole = json_of(std::slice::from_ref(&rows));
        assert_eq!(json_of(&[rows.slice(1, 1), rows.slice(0, 1)]), whole, "batch by batch");
        let stats = whole;
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
