//! The worker's stages without any IO on one core: `cargo bench --bench chain`.
//!
//! Records go through a lane as the worker drives it: decode, pipeline, columns, the ledger's
//! counts, the barrier. Logs run against the chain people write first, which must make the same
//! rows; spans against their naive decoders. Then the cost of each stage of the log chain, and of
//! what the committer does with the rows afterwards.

#[path = "payloads/lines.rs"]
mod lines;

mod harness;
#[expect(dead_code, reason = "this bench uses two of them")]
mod naive;
#[path = "chain/naive.rs"]
mod naive_chain;
#[expect(dead_code, reason = "this bench uses two of them")]
mod payloads;

use std::hint::black_box;
use std::sync::Arc;

use bumpalo::Bump;
use harness::{Input, Size, Stopwatch, compare, wanted};
use schemas::table::Table;
use schemas::topic::{Format, Signal};
use stages::columns::sort;
use stages::decode::{Items, decode};
use stages::pipeline::{MetricWindows, Pipeline};
use stages::record::{Record, TopicPartition};
use stream::files::encode;
use stream::lane::{Assigned, Lane, Share};
use stream::source::Batch;
use stream::unit::{Part, Unit};

/// Records handed to the lane at once.
const BATCH: usize = 512;

/// A lane's input.
struct Feed {
    assigned: Assigned,
    batches: Vec<Batch>,
    input: Input,
}

impl Feed {
    fn new(signal: Signal, format: Format, each: usize, mut records: Vec<Record>) -> Self {
        let partition = TopicPartition { topic: "bench".into(), partition: 0 };
        for (offset, record) in (0..).zip(&mut records) {
            record.offset = offset;
        }
        let bytes = records.iter().map(|record| record.payload.len()).sum();
        let input = Input { events: each * records.len(), bytes };
        let batch =
            |records: &[Record]| Batch { partition: partition.clone(), records: records.to_vec() };
        let batches = records.chunks(BATCH).map(batch).collect();
        Self {
            assigned: Assigned {
                partition,
                signal,
                input: format.into(),
                next_offset: 0,
                clock: None,
            },
            batches,
            input,
        }
    }

    fn records(&self) -> impl Iterator<Item = &Record> {
        self.batches.iter().flat_map(|batch| &batch.records)
    }

    /// Everything up to the barrier.
    fn fill(&self, pipeline: &Arc<Pipeline>) -> Lane {
        let mut lane = Lane::new(Arc::clone(pipeline), Share::of(1));
        lane.assign(self.assigned.clone());
        self.batches.iter().for_each(|batch| lane.process(batch));
        lane
    }

    fn run(&self, pipeline: &Arc<Pipeline>) -> Part {
        self.fill(pipeline).cut().expect("columns")
    }
}

/// The naive way: rows of the payloads, as the other side counts them.
type Naive = fn(&[Record]) -> usize;

fn rows(part: &Part, table: Table) -> usize {
    let batches = part.batches.iter().filter(|batch| batch.table == table);
    batches.map(|batch| batch.rows.num_rows()).sum()
}

fn logs(size: Size, pipeline: &Arc<Pipeline>) -> Feed {
    let records = lines::records(1_000 * size.scale, 250);
    let naive = naive_chain::Chain::new();
    let feed = Feed::new(Signal::Logs, Format::Json, 1, records.clone());
    let part = feed.run(pipeline);
    let made = (rows(&part, Table::Logs), rows(&part, Table::Metrics));
    assert_eq!(made, naive.run(&records), "both chains make the same rows");
    let ours = || rows(&feed.run(pipeline), Table::Logs);
    compare("logs json grok", feed.input, size, ours, || naive.run(&records).0);
    feed
}

fn spans(size: Size, pipeline: &Arc<Pipeline>) {
    let messages = 10 * size.scale;
    let cases: [(Format, Vec<Record>, Naive); 2] = [
        (Format::DatadogV04, payloads::datadog_v04(messages), naive::datadog_v04),
        (Format::OtlpProto, payloads::otlp::traces(messages), naive::otlp::traces),
    ];
    for (format, records, naive) in cases {
        let name = format!("spans {format}");
        if !wanted(&name) {
            continue;
        }
        let feed = Feed::new(Signal::Spans, format, 50, records.clone());
        let ours = || rows(&feed.run(pipeline), Table::Spans);
        compare(&name, feed.input, size, ours, || naive(&records));
    }
}

/// Decode alone; with the pipeline when there is one.
fn upto_pipeline(feed: &Feed, pipeline: Option<&Pipeline>) {
    let mut windows = pipeline.map(MetricWindows::new);
    let mut arena = Bump::new();
    for record in feed.records() {
        let mut decoded =
            decode(&arena, record, Signal::Logs, Format::Json).expect("a good message");
        let Items::Logs(logs) = &mut decoded.items else { unreachable!("logs") };
        for log in logs {
            if let (Some(pipeline), Some(windows)) = (pipeline, &mut windows) {
                black_box(pipeline.process(&arena, log, record.offset, windows));
            }
        }
        black_box(&decoded);
        drop(decoded);
        arena.reset();
    }
}

/// The parts of the log chain, one after the other; the fastest of the rounds counts.
fn stages(size: Size, pipeline: &Arc<Pipeline>, feed: &Feed) {
    let mut best = [f64::MAX; 6];
    for _ in 0..size.rounds {
        let mut measure = |stage: usize, start: Stopwatch| {
            let nanos = start.seconds() * 1e9 / feed.input.events as f64;
            best[stage] = best[stage].min(nanos);
        };
        let start = Stopwatch::start();
        upto_pipeline(feed, None);
        measure(0, start);
        let start = Stopwatch::start();
        upto_pipeline(feed, Some(pipeline));
        measure(1, start);
        let start = Stopwatch::start();
        let mut lane = feed.fill(pipeline);
        measure(2, start);
        let start = Stopwatch::start();
        let part = lane.cut().expect("columns");
        measure(3, start);
        let unit = Unit::assemble(vec![part]).expect("rows");
        let start = Stopwatch::start();
        for plan in &unit.plans {
            for batch in &plan.batches {
                black_box(sort(plan.table, batch).expect("sorts"));
            }
        }
        measure(4, start);
        let start = Stopwatch::start();
        let files = unit.plans.iter().map(|plan| encode(plan).expect("encodes"));
        black_box(files.map(|file| file.bytes.len()).sum::<usize>());
        measure(5, start);
    }
    let [decode, pipeline, lane, cut, sort, encode] = best;
    let total = lane + cut + encode;
    println!("nanoseconds per log, one core:");
    for (stage, nanos) in [
        ("decode", decode),
        ("pipeline", pipeline - decode),
        ("columns, ledger", lane - pipeline),
        ("barrier", cut),
        ("sort", sort),
        ("Parquet", encode - sort),
        ("all", total),
    ] {
        println!("  {stage:<16} {nanos:>6.0}");
    }
    println!("  with Parquet     {:>6.0} events/s", 1e9 / total);
}

fn main() {
    let size = Size::from_arguments();
    let pipeline = Arc::new(lines::pipeline());
    if wanted("logs") {
        let feed = logs(size, &pipeline);
        stages(size, &pipeline, &feed);
    }
    spans(size, &pipeline);
}
