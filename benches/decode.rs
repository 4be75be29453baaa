//! Decoding to Arrow per format, against the naive way: `cargo bench --bench decode`.
//!
//! Both sides read the same messages and end with finished columns of the same number of rows. Ours
//! does more on the way: ids checked, names normalised, every limit kept.

mod harness;
mod naive;
mod payloads;

use bumpalo::Bump;
use harness::{Input, Size, compare, wanted};
use schemas::topic::{Format, Signal};
use stages::columns::{Lineage, LogColumns, MetricColumns, SpanColumns, TableColumns};
use stages::decode::{Items, decode};
use stages::record::Record;

/// The naive way: rows of the payloads, as the other side counts them.
type Naive = fn(&[Record]) -> usize;

/// What is measured.
struct Case {
    name: &'static str,
    signal: Signal,
    format: Format,
    records: Vec<Record>,
    events: usize,
    naive: Naive,
}

/// Our way: decode into an arena that is used again, push, finish.
fn ours(records: &[Record], signal: Signal, format: Format) -> usize {
    let lineage = Lineage { topic: "bench", partition: 0, offset: 0, pipeline_version: "bench" };
    let (mut logs, mut spans) = (LogColumns::default(), SpanColumns::default());
    let mut points = MetricColumns::default();
    let mut arena = Bump::new();
    for record in records {
        let decoded = decode(&arena, record, signal, format).expect("a good message");
        assert!(decoded.refused.is_empty());
        match &decoded.items {
            Items::Logs(items) => items.iter().for_each(|log| logs.push(log, "main", &lineage)),
            Items::Spans(items) => items.iter().for_each(|span| spans.push(span, &lineage)),
            Items::Points(items) => items.iter().for_each(|point| points.push(point, &lineage)),
        }
        drop(decoded);
        arena.reset();
    }
    let batches = [logs.finish(), spans.finish(), points.finish()];
    batches.into_iter().map(|batch| batch.expect("columns").num_rows()).sum()
}

fn cases(messages: usize) -> Vec<Case> {
    use Format::{DatadogLogs, DatadogV04, DatadogV05, Json, OtlpJson, OtlpProto, Raw};
    use Signal::{Logs, Metrics, Spans};
    use payloads::otlp;
    let events = 50 * messages;
    let case = |name, signal, format, records, naive: Naive| Case {
        name,
        signal,
        format,
        records,
        events,
        naive,
    };
    vec![
        case("json", Logs, Json, payloads::json_lines(messages), naive::json),
        case("raw", Logs, Raw, payloads::raw(events), naive::raw),
        case(
            "datadog_logs",
            Logs,
            DatadogLogs,
            payloads::datadog_logs(messages),
            naive::datadog_logs,
        ),
        case("otlp_logs", Logs, OtlpProto, otlp::logs(messages), naive::otlp::logs),
        case("datadog_v04", Spans, DatadogV04, payloads::datadog_v04(messages), naive::datadog_v04),
        case("datadog_v05", Spans, DatadogV05, payloads::datadog_v05(messages), naive::datadog_v05),
        case("otlp_spans", Spans, OtlpProto, otlp::traces(messages), naive::otlp::traces),
        case("otlp_json", Spans, OtlpJson, otlp::traces_json(messages), naive::otlp::traces_json),
        case("otlp_metrics", Metrics, OtlpProto, otlp::metrics(messages), naive::otlp::metrics),
    ]
}

fn main() {
    let size = Size::from_arguments();
    for case in cases(10 * size.scale).into_iter().filter(|case| wanted(case.name)) {
        let bytes = case.records.iter().map(|record| record.payload.len()).sum();
        compare(
            case.name,
            Input { events: case.events, bytes },
            size,
            || ours(&case.records, case.signal, case.format),
            || (case.naive)(&case.records),
        );
    }
}
