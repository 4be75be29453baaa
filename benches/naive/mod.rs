//! The naive way: owned values of a general library, then the same number of columns.

pub(crate) mod otlp;

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Float64Builder, Int64Builder, MapBuilder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use stages::record::Record;

/// Text columns of a row; the tables have about as many.
const TEXTS: usize = 16;

/// Columns as anyone would build them.
pub(crate) struct Table {
    timestamp: TimestampMicrosecondBuilder,
    duration: Int64Builder,
    texts: [StringBuilder; TEXTS],
    attributes: MapBuilder<StringBuilder, StringBuilder>,
    metrics: MapBuilder<StringBuilder, Float64Builder>,
}

impl Table {
    pub(crate) fn new() -> Self {
        Self {
            timestamp: Default::default(),
            duration: Default::default(),
            texts: Default::default(),
            attributes: MapBuilder::new(None, StringBuilder::new(), StringBuilder::new()),
            metrics: MapBuilder::new(None, StringBuilder::new(), Float64Builder::new()),
        }
    }

    pub(crate) fn push(
        &mut self,
        time: i64,
        duration: i64,
        texts: &[String],
        attributes: &[(String, String)],
        metrics: &[(String, f64)],
    ) {
        self.timestamp.append_value(time);
        self.duration.append_value(duration);
        for (index, column) in self.texts.iter_mut().enumerate() {
            column.append_value(texts.get(index).map_or("", String::as_str));
        }
        for (key, value) in attributes {
            self.attributes.keys().append_value(key);
            self.attributes.values().append_value(value);
        }
        self.attributes.append(true).expect("keys and values match");
        for (key, value) in metrics {
            self.metrics.keys().append_value(key);
            self.metrics.values().append_value(*value);
        }
        self.metrics.append(true).expect("keys and values match");
    }

    pub(crate) fn finish(mut self) -> usize {
        let mut columns: Vec<(String, arrow::array::ArrayRef)> = vec![
            ("timestamp".to_owned(), Arc::new(self.timestamp.finish())),
            ("duration".to_owned(), Arc::new(self.duration.finish())),
        ];
        for (index, column) in self.texts.iter_mut().enumerate() {
            columns.push((format!("t{index}"), Arc::new(column.finish())));
        }
        columns.push(("attributes".to_owned(), Arc::new(self.attributes.finish())));
        columns.push(("metrics".to_owned(), Arc::new(self.metrics.finish())));
        RecordBatch::try_from_iter(columns).expect("equal lengths").num_rows()
    }
}

/// Owned lines.
pub(crate) fn raw(records: &[Record]) -> usize {
    let mut table = Table::new();
    for record in records {
        let line = String::from_utf8_lossy(&record.payload).into_owned();
        table.push(0, 0, &[line], &[], &[]);
    }
    table.finish()
}

/// serde_json values, flattened into owned pairs.
pub(crate) fn json(records: &[Record]) -> usize {
    let mut table = Table::new();
    for record in records {
        for line in record.payload.split(|byte| *byte == b'\n') {
            json_row(&mut table, &serde_json::from_slice(line).expect("JSON"));
        }
    }
    table.finish()
}

/// The same of arrays.
pub(crate) fn datadog_logs(records: &[Record]) -> usize {
    let mut table = Table::new();
    for record in records {
        let items: Vec<serde_json::Value> = serde_json::from_slice(&record.payload).expect("JSON");
        items.iter().for_each(|item| json_row(&mut table, item));
    }
    table.finish()
}

fn json_row(table: &mut Table, value: &serde_json::Value) {
    let mut pairs = Vec::new();
    flatten("", value, &mut pairs);
    table.push(0, 0, &[], &pairs, &[]);
}

/// Dotted paths and texts of an object.
pub(crate) fn flatten(prefix: &str, value: &serde_json::Value, pairs: &mut Vec<(String, String)>) {
    for (key, value) in value.as_object().into_iter().flatten() {
        let path = if prefix.is_empty() { key.clone() } else { format!("{prefix}.{key}") };
        match value {
            serde_json::Value::Object(_) => flatten(&path, value, pairs),
            serde_json::Value::String(text) => pairs.push((path, text.clone())),
            other => pairs.push((path, other.to_string())),
        }
    }
}

/// A v0.4 span as rmp-serde gives it.
#[derive(serde::Deserialize)]
struct DatadogSpan {
    service: String,
    name: String,
    resource: String,
    r#type: String,
    trace_id: u64,
    span_id: u64,
    parent_id: u64,
    start: i64,
    duration: i64,
    meta: HashMap<String, String>,
    metrics: HashMap<String, f64>,
}

/// rmp-serde into owned spans.
pub(crate) fn datadog_v04(records: &[Record]) -> usize {
    let mut table = Table::new();
    for record in records {
        let traces: Vec<Vec<DatadogSpan>> =
            rmp_serde::from_slice(&record.payload).expect("msgpack");
        for span in traces.into_iter().flatten() {
            let texts = [
                span.service,
                span.name,
                span.resource,
                span.r#type,
                format!("{:032x}", span.trace_id),
                format!("{:016x}", span.span_id),
                format!("{:016x}", span.parent_id),
                span.meta.get("env").cloned().unwrap_or_default(),
                span.meta.get("http.method").cloned().unwrap_or_default(),
            ];
            let attributes: Vec<_> = span.meta.into_iter().collect();
            let metrics: Vec<_> = span.metrics.into_iter().collect();
            table.push(span.start / 1000, span.duration, &texts, &attributes, &metrics);
        }
    }
    table.finish()
}

/// A v0.5 span as rmp-serde gives it.
#[derive(serde::Deserialize)]
#[expect(dead_code, reason = "the error flag is read and not looked at")]
struct IndexedSpan(
    usize,
    usize,
    usize,
    u64,
    u64,
    u64,
    i64,
    i64,
    i64,
    HashMap<usize, usize>,
    HashMap<usize, f64>,
    usize,
);

/// rmp-serde into owned tuples, indexes looked up.
pub(crate) fn datadog_v05(records: &[Record]) -> usize {
    let mut table = Table::new();
    for record in records {
        let (strings, traces): (Vec<String>, Vec<Vec<IndexedSpan>>) =
            rmp_serde::from_slice(&record.payload).expect("msgpack");
        let text = |index: usize| strings[index].clone();
        for span in traces.into_iter().flatten() {
            let texts = [
                text(span.0),
                text(span.1),
                text(span.2),
                text(span.11),
                format!("{:032x}", span.3),
                format!("{:016x}", span.4),
                format!("{:016x}", span.5),
            ];
            let attributes: Vec<_> =
                span.9.iter().map(|(key, value)| (text(*key), text(*value))).collect();
            let metrics: Vec<_> = span.10.iter().map(|(key, value)| (text(*key), *value)).collect();
            table.push(span.6 / 1000, span.7, &texts, &attributes, &metrics);
        }
    }
    table.finish()
}
