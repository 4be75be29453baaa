//! CSV, batch by batch: a header line, RFC 4180 quoting, values as in the JSON answer, null empty.

use datafusion::arrow::array::{Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, SchemaRef};
use datafusion::arrow::error::ArrowError;

use super::value;

/// The header line.
pub(crate) fn header(schema: &SchemaRef) -> Vec<u8> {
    let mut out = Vec::new();
    for (index, field) in schema.fields().iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        cell(&mut out, field.name().as_bytes());
    }
    out.extend_from_slice(b"\r\n");
    out
}

/// The lines of a batch.
pub(crate) fn rows(batch: &RecordBatch) -> Result<Vec<u8>, ArrowError> {
    let mut out = Vec::with_capacity(64 * batch.num_rows());
    let mut scratch = Vec::new();
    for row in 0..batch.num_rows() {
        for (index, column) in batch.columns().iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            if column.is_null(row) {
                continue;
            }
            scratch.clear();
            value::write(&mut scratch, column.as_ref(), row)?;
            if nested(column.data_type()) {
                cell(&mut out, &scratch);
            } else if scratch.first() == Some(&b'"') {
                let text: String = serde_json::from_slice(&scratch).unwrap_or_default();
                cell(&mut out, text.as_bytes());
            } else {
                out.extend_from_slice(&scratch);
            }
        }
        out.extend_from_slice(b"\r\n");
    }
    Ok(out)
}

fn nested(data_type: &DataType) -> bool {
    matches!(
        data_type,
        DataType::List(_) | DataType::LargeList(_) | DataType::Map(..) | DataType::Struct(_)
    )
}

/// Quotes what needs it. An empty text is quoted, so that it differs from null.
fn cell(out: &mut Vec<u8>, text: &[u8]) {
    let plain =
        !text.is_empty() && !text.iter().any(|byte| matches!(byte, b',' | b'"' | b'\n' | b'\r'));
    if plain {
        out.extend_from_slice(text);
        return;
    }
    out.push(b'"');
    for byte in text {
        if *byte == b'"' {
            out.push(b'"');
        }
        out.push(*byte);
    }
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_are_quoted_where_they_must_be() {
        for (text, quoted) in [
            ("a", "a"),
            ("", "\"\""),
            ("a,b", "\"a,b\""),
            ("say \"x\"", "\"say \"\"x\"\"\""),
            ("l\nm", "\"l\nm\""),
        ] {
            let mut out = Vec::new();
            cell(&mut out, text.as_bytes());
            assert_eq!(out, quoted.as_bytes());
        }
    }
}
