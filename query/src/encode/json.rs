//! The JSON answer: `{"columns": [...], "rows": [[...]], "meta": {...}}`.
//!
//! It is built in memory, so that a failure half-way is still an error and not half a document, and
//! so that `meta` can say whether rows were cut.

use chrono::{DateTime, SecondsFormat};
use serde_json::{Map, Value, json};

use schemas::limits::MAX_RESULT_BYTES;

use crate::answer::{Answer, Coverage};
use crate::error::{Code, QueryError};

use super::type_name::type_name;
use super::value;

/// Reads the answer to its end and encodes it.
///
/// # Errors
/// What stopped the query, or an answer over [`MAX_RESULT_BYTES`].
pub(crate) async fn encode(mut answer: Answer) -> Result<Vec<u8>, QueryError> {
    let columns: Vec<Value> = answer
        .schema()
        .fields()
        .iter()
        .map(|field| json!({"name": field.name(), "type": type_name(field.data_type())}))
        .collect();
    let mut out = Vec::with_capacity(4_096);
    out.extend_from_slice(b"{\"columns\":");
    out.extend_from_slice(Value::Array(columns).to_string().as_bytes());
    out.extend_from_slice(b",\"rows\":[");
    let mut first = true;
    while let Some(batch) = answer.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            out.push(b'[');
            for (index, column) in batch.columns().iter().enumerate() {
                if index > 0 {
                    out.push(b',');
                }
                value::write(&mut out, column.as_ref(), row)
                    .map_err(|error| QueryError::new(Code::ExecutionFailed, error.to_string()))?;
            }
            out.push(b']');
            if out.len() > MAX_RESULT_BYTES {
                return Err(too_large());
            }
        }
    }
    out.extend_from_slice(b"],\"meta\":");
    out.extend_from_slice(meta(&answer).to_string().as_bytes());
    out.push(b'}');
    Ok(out)
}

/// What the answer covers.
fn meta(answer: &Answer) -> Value {
    let tables: Map<String, Value> = answer
        .coverage()
        .iter()
        .map(|table| (table.table.name().to_owned(), coverage(table)))
        .collect();
    json!({
        "tables": tables,
        "rows": answer.rows(),
        "truncated": answer.truncated(),
        "elapsed_ms": u64::try_from(answer.elapsed().as_millis()).unwrap_or(u64::MAX),
    })
}

/// What the answer says about one table.
pub(crate) fn coverage(coverage: &Coverage) -> Value {
    let newest = coverage
        .newest_event_time
        .and_then(DateTime::from_timestamp_micros)
        .map(|instant| instant.to_rfc3339_opts(SecondsFormat::Micros, true));
    json!({
        "version": coverage.version,
        "published_seq": coverage.published_seq,
        "newest_event_time": newest,
    })
}

fn too_large() -> QueryError {
    QueryError::new(Code::TooLarge, format!("the answer is larger than {MAX_RESULT_BYTES} bytes"))
        .with_hint("select fewer columns or rows, or ask for csv or arrow, which are streamed")
}
