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
use stream::columns::{Lineage, LogColumns, SpanColumns, TableColumns};
use stream::decode::{Items, decode};
use stream::record::Record;

/// Our way: decode into an arena that is used again, push, finish.
/// The naive way: rows of the payloads, as the other side counts them.
type Naive = fn(&[Record]) -> usize;

fn ours(records: &[Record], signal: Signal, format: Format) -> usize {
    let lineage = Lineage { topic: "bench", partition: 0, offset: 0, pipeline_version: "bench" };
    let (mut logs, mut spans) = (LogColumns::default(), SpanColumns::default());
    let mut arena = Bump::new();
    for record in records {
        let decoded = decode(&arena, record, signal, format).expect("a good message");
        assert!(decoded.refused.is_empty());
        match &decoded.items {
            Items::Logs(items) => items.iter().for_each(|log| logs.push(log, "main", &lineage)),
            Items::Spans(items) => items.iter().for_each(|span| spans.push(span, &lineage)),
            Items::Points(_) => unreachable!("no metrics in this bench"),
        }
        drop(decoded);
        arena.reset();
    }
    let batches = [logs.finish().expect("columns"), spans.finish().expect("columns")];
    batches.iter().map(|batch| batch.num_rows()).sum()
}

fn main() {
    let size = Size::from_arguments();
    let messages = 10 * size.scale;
    let cases: [(Format, Signal, Vec<Record>, Naive); 6] = [
        (Format::Json, Signal::Logs, payloads::json_lines(messages), naive::json),
        (Format::DatadogLogs, Signal::Logs, payloads::datadog_logs(messages), naive::datadog_logs),
        (Format::DatadogV04, Signal::Spans, payloads::datadog_v04(messages), naive::datadog_v04),
        (Format::DatadogV05, Signal::Spans, payloads::datadog_v05(messages), naive::datadog_v05),
        (Format::OtlpJson, Signal::Spans, payloads::otlp_json(messages), naive::otlp_json),
        (Format::OtlpProto, Signal::Spans, payloads::otlp_traces(messages), naive::otlp_traces),
    ];
    for (format, signal, records, naive) in cases {
        if !wanted(format.as_str()) {
            continue;
        }
        let bytes = records.iter().map(|record| record.payload.len()).sum();
        compare(
            format.as_str(),
            Input { events: 50 * messages, bytes },
            size,
            || ours(&records, signal, format),
            || naive(&records),
        );
    }
}
