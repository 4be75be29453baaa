//! Whole payloads through `decode`.

mod datadog;
mod hostile;
mod logs;
mod otlp;
mod real;

use bumpalo::Bump;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};

use super::{Decoded, Items, Refusal, decode};
use crate::columns::{Lineage, LogColumns, MetricColumns, SpanColumns, TableColumns};
use crate::event::LogEvent;
use crate::point::Point;
use crate::record::Record;
use crate::span::Span;
use arrow::array::RecordBatch;
use bumpalo::collections::Vec as BumpVec;

/// 2023-11-14: when every test message was received.
const RECEIVED: EventTime = EventTime::from_nanos(1_700_000_000_000_000_000);

fn record(payload: impl Into<Vec<u8>>) -> Record {
    Record { offset: 0, timestamp: RECEIVED, payload: payload.into(), headers: Vec::new() }
}

fn with_headers(payload: impl Into<Vec<u8>>, headers: &[(&str, &str)]) -> Record {
    let headers = headers.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect();
    Record { headers, ..record(payload) }
}

fn logs(decoded: Decoded<'_>) -> BumpVec<'_, LogEvent<'_>> {
    match decoded.items {
        Items::Logs(logs) => logs,
        other => panic!("not logs: {other:?}"),
    }
}

fn spans(decoded: Decoded<'_>) -> BumpVec<'_, Span<'_>> {
    match decoded.items {
        Items::Spans(spans) => spans,
        other => panic!("not spans: {other:?}"),
    }
}

fn points(decoded: Decoded<'_>) -> BumpVec<'_, Point<'_>> {
    match decoded.items {
        Items::Points(points) => points,
        other => panic!("not points: {other:?}"),
    }
}

/// Decodes and builds columns: what every item must survive. Items and refusals.
fn to_columns(
    record: &Record,
    signal: Signal,
    format: Format,
) -> Result<(RecordBatch, usize), String> {
    let arena = Bump::new();
    let decoded = decode(&arena, record, signal, format).map_err(|refusal| {
        assert!(!refusal.detail.is_empty() && refusal.index == -1);
        refusal.reason.to_owned()
    })?;
    let refused = decoded.refused.len();
    let lineage = Lineage { topic: "t", partition: 0, offset: 0, pipeline_version: "v" };
    let batch = match &decoded.items {
        Items::Logs(logs) => {
            let mut columns = LogColumns::default();
            logs.iter().for_each(|log| columns.push(log, "main", &lineage));
            columns.finish()
        }
        Items::Spans(spans) => {
            let mut columns = SpanColumns::default();
            spans.iter().for_each(|span| columns.push(span, &lineage));
            columns.finish()
        }
        Items::Points(points) => {
            let mut columns = MetricColumns::default();
            points.iter().for_each(|point| columns.push(point, &lineage));
            columns.finish()
        }
    };
    Ok((batch.expect("columns fit the schema"), refused))
}

fn refusal<'b>(arena: &'b Bump, record: &'b Record, signal: Signal, format: Format) -> Refusal<'b> {
    decode(arena, record, signal, format).expect_err("refused")
}

#[test]
fn the_header_names_the_format_and_a_wrong_one_is_refused() {
    let arena = Bump::new();
    let raw = with_headers("{}", &[("Content-Type", "raw")]);
    let decoded = decode(&arena, &raw, Signal::Logs, Format::Json).expect("raw text");
    assert_eq!(logs(decoded)[0].message, "{}");
    let avro = with_headers("x", &[("content-type", "avro")]);
    assert_eq!(refusal(&arena, &avro, Signal::Logs, Format::Json).reason, "unknown_format");
    let traces = record("x");
    assert_eq!(refusal(&arena, &traces, Signal::Logs, Format::DatadogV04).reason, "wrong_signal");
    let json = with_headers("{}", &[("content-type", "application/json")]);
    let decoded = decode(&arena, &json, Signal::Spans, Format::OtlpProto).expect("OTLP JSON");
    assert!(decoded.items.is_empty());
}

#[test]
fn shares_of_a_message_add_up_to_its_bytes() {
    let arena = Bump::new();
    let lines = record("{\"a\":1}\n{\"b\":2}\nnot json\n{\"c\":3}\n");
    let decoded = decode(&arena, &lines, Signal::Logs, Format::Json).expect("lines");
    assert_eq!(decoded.refused.len(), 1);
    assert_eq!((decoded.refused[0].index, decoded.refused[0].bytes), (2, &b"not json"[..]));
    let logs = logs(decoded);
    let total: usize = logs.iter().map(|log| log.bytes).sum();
    assert_eq!(total + lines.payload.len() / 4, lines.payload.len());
    assert_eq!(logs.iter().map(|log| log.index).collect::<Vec<_>>(), [0, 1, 3]);
}
