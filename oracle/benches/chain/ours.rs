//! Our chain, driven as a lane drives it.

use std::fmt::Write as _;
use std::hint::black_box;

use bumpalo::Bump;
use oracle::rule_sets::{SERVER, set};
use schemas::topic::{Format, Signal};
use stages::columns::{ErrorEventColumns, Lineage, LogColumns, MetricColumns, TableColumns};
use stages::decode::{Items, decode};
use stages::pipeline::config::Config;
use stages::pipeline::{Fate, MetricWindows, Pipeline};
use stages::record::Record;

use crate::harness::{Size, Stopwatch};
use crate::{EXCLUSIONS, GROUPED_BY, MEASURED, METRICS, Made};

const LINEAGE: Lineage<'_> =
    Lineage { topic: "bench", partition: 0, offset: 0, pipeline_version: "bench" };

/// With so much of the configuration: parser, metrics, exclusion filters, grouping.
fn configured(parser: bool, metrics: usize, exclusions: usize, grouping: bool) -> Pipeline {
    let mut text = String::from("pipelines:\n  - name: app\n    processors:\n");
    if parser {
        text.push_str("      - type: grok-parser\n        grok:\n          match_rules: |\n");
        for rule in set(&SERVER, 50).lines() {
            // Writing to a string can not fail.
            let _ = writeln!(text, "            {rule}");
        }
        text.push_str("      - {type: date-remapper, sources: [time]}\n");
    } else {
        text.push_str("      - {type: date-remapper, sources: [no_such]}\n");
    }
    if metrics > 0 {
        text.push_str("metrics:\n");
    }
    for (number, query) in METRICS.iter().take(metrics).enumerate() {
        let compute = match number {
            0..10 => "aggregation_type: count".to_owned(),
            _ => format!("aggregation_type: distribution, path: \"@{MEASURED}\""),
        };
        let _ = writeln!(
            text,
            "  - {{name: metric{number}, filter: {{query: '{query}'}}, compute: {{{compute}}}, \
             group_by: [{{path: \"@{GROUPED_BY}\"}}]}}"
        );
    }
    text.push_str("indexes:\n  - name: main\n");
    if exclusions > 0 {
        text.push_str("    exclusion_filters:\n");
    }
    for (number, query) in EXCLUSIONS.iter().take(exclusions).enumerate() {
        let _ = writeln!(text, "      - {{name: out{number}, filter: {{query: '{query}'}}}}");
    }
    let _ = writeln!(text, "error_tracking: {{is_enabled: {grouping}}}");
    let config: Config = serde_yaml_ng::from_str(&text).expect("a configuration");
    Pipeline::compile(&config).expect("compiles")
}

/// The whole chain.
pub(crate) fn pipeline() -> Pipeline {
    configured(true, METRICS.len(), EXCLUSIONS.len(), true)
}

/// Records to finished batches.
pub(crate) fn run(pipeline: &Pipeline, records: &[Record]) -> Made {
    let (mut logs, mut points) = (LogColumns::default(), MetricColumns::default());
    let mut errors = ErrorEventColumns::default();
    let mut windows = MetricWindows::new(pipeline);
    let mut arena = Bump::new();
    for record in records {
        let mut decoded =
            decode(&arena, record, Signal::Logs, Format::Json).expect("a good message");
        let Items::Logs(items) = &mut decoded.items else { unreachable!("logs") };
        for log in items {
            let fate = pipeline.process(&arena, log, record.offset, &mut windows);
            if let Some(error) = log.error {
                errors.push(error, &log.attributes, &log.tags, &LINEAGE);
            }
            if let Fate::Indexed { index } = fate {
                logs.push(log, index, &LINEAGE);
            }
        }
        drop(decoded);
        arena.reset();
    }
    let mut counted = vec![0; METRICS.len()];
    windows.drain(&mut |point, _| {
        let number: usize = point.name.trim_start_matches("metric").parse().expect("a number");
        counted[number] += point.count;
        points.push(point, &LINEAGE);
    });
    let kept = logs.finish().expect("columns").num_rows();
    let errors = errors.finish().expect("columns").num_rows();
    black_box(points.finish().expect("columns"));
    Made { kept, counted, errors }
}

/// Decode, and the pipeline where there is one.
fn partly(pipeline: Option<&Pipeline>, records: &[Record]) {
    let mut windows = pipeline.map(MetricWindows::new);
    let mut arena = Bump::new();
    for record in records {
        let mut decoded =
            decode(&arena, record, Signal::Logs, Format::Json).expect("a good message");
        let Items::Logs(items) = &mut decoded.items else { unreachable!("logs") };
        for log in items {
            if let (Some(pipeline), Some(windows)) = (pipeline, &mut windows) {
                black_box(pipeline.process(&arena, log, record.offset, windows));
            }
            black_box(&log);
        }
        drop(decoded);
        arena.reset();
    }
}

/// A chain so far, by its last stage.
type Step<'a> = (&'static str, Box<dyn Fn() + 'a>);

/// Nanoseconds an event spends in each stage: chains of more and more stages, the fastest of the rounds,
/// less the chain before.
pub(crate) fn stages(whole: &Pipeline, records: &[Record], size: Size) {
    let bare = configured(false, 0, 0, false);
    let grok = configured(true, 0, 0, false);
    let metrics = configured(true, METRICS.len(), 0, false);
    let exclusions = configured(true, METRICS.len(), EXCLUSIONS.len(), false);
    let steps: [Step<'_>; 7] = [
        ("decode", Box::new(|| partly(None, records))),
        ("preprocess", Box::new(|| partly(Some(&bare), records))),
        ("grok, date", Box::new(|| partly(Some(&grok), records))),
        ("metrics", Box::new(|| partly(Some(&metrics), records))),
        ("exclusion", Box::new(|| partly(Some(&exclusions), records))),
        ("grouping", Box::new(|| partly(Some(whole), records))),
        ("columns", Box::new(|| _ = black_box(run(whole, records)))),
    ];
    let mut best = [f64::MAX; 7];
    for _ in 0..size.rounds {
        for (time, (_, step)) in best.iter_mut().zip(&steps) {
            let start = Stopwatch::start();
            step();
            *time = time.min(start.seconds());
        }
    }
    let mut before = 0.0;
    for (time, (name, _)) in best.iter().zip(&steps) {
        println!("  {name:<12} {:>6.0} ns", (time - before) * 1e9 / records.len() as f64);
        before = *time;
    }
}
