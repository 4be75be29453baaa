//! Events per second of the log chain on one core, against the chain people write first: a
//! `serde_json::Value` per line, one regular expression with captures, hash maps.
//!
//! `cargo bench --bench pipeline`. The runs alternate and the best of each counts, so that a busy
//! machine slows both. Both sides must agree on every field before anything is timed.

#[path = "payloads/lines.rs"]
mod lines;

use std::collections::HashMap;
use std::hint::black_box;
use std::time::Instant;

use bumpalo::Bump;
use schemas::time::EventTime;
use stages::event::LogEvent;
use stages::pipeline::{MetricWindows, Pipeline};

/// Lines of one run.
const LINES: usize = 20_000;
/// Alternating runs.
const RUNS: usize = 7;

/// Our chain: kept events and the sum of their durations.
fn ours(pipeline: &Pipeline, lines: &[String]) -> (usize, i64) {
    let mut windows = MetricWindows::new(pipeline);
    let mut arena = Bump::new();
    let (mut kept, mut sum) = (0, 0);
    for (offset, line) in (0..).zip(lines) {
        arena.reset();
        let mut event = LogEvent::new_in(&arena, EventTime::default());
        event.message = line;
        let fate = pipeline.process(&arena, &mut event, offset, &mut windows);
        if let stages::pipeline::Fate::Indexed { .. } = fate {
            kept += 1;
            sum +=
                event.attributes.get("duration_ms").and_then(|v| v.as_f64()).unwrap_or(0.0) as i64;
        }
        black_box(&event);
    }
    windows.drain(&mut |point, _| {
        black_box(point.count);
    });
    (kept, sum)
}

/// The naive chain, the same steps.
fn naive(regex: &regex::Regex, lines: &[String]) -> (usize, i64) {
    let mut counts: HashMap<(String, String, i64), i64> = HashMap::new();
    let (mut kept, mut sum) = (0, 0);
    for line in lines {
        let Ok(serde_json::Value::Object(mut event)) = serde_json::from_str(line) else { continue };
        let message = event.get("message").and_then(|v| v.as_str()).unwrap_or("").to_owned();
        if event.get("service").and_then(|v| v.as_str()) != Some("checkout") {
            continue;
        }
        let mut seconds = 0;
        if let Some(captures) = regex.captures(&message) {
            for name in regex.capture_names().flatten() {
                let text = captures.name(name).map_or("", |found| found.as_str());
                let value = match name {
                    "duration_ms" => serde_json::Value::from(text.parse::<i64>().unwrap_or(0)),
                    _ => serde_json::Value::from(text),
                };
                event.insert(name.to_owned(), value);
            }
            let text = captures.name("timestamp").map_or("", |found| found.as_str());
            let time = chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S");
            seconds = time.map_or(0, |time| time.and_utc().timestamp());
        }
        let text = |name: &str| event.get(name).and_then(|v| v.as_str()).unwrap_or("").to_owned();
        *counts.entry((text("service"), text("level"), seconds / 10)).or_default() += 1;
        if text("level") != "DEBUG" {
            kept += 1;
            sum += event.get("duration_ms").and_then(|v| v.as_i64()).unwrap_or(0);
        }
        black_box(&event);
    }
    black_box(&counts);
    (kept, sum)
}

fn main() {
    let pipeline = lines::pipeline();
    let regex = regex::Regex::new(
        r"(?s)\A(?P<timestamp>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}) (?P<level>\w+) \[(?P<logger>\w+)\] (?P<text>.*?): host=(?P<db>\S+) duration=(?P<duration_ms>[+-]?\d+)ms\z",
    )
    .expect("the naive expression");
    let payloads = lines::records(LINES, 250).into_iter().map(|record| record.payload);
    let lines: Vec<_> = payloads.map(|bytes| String::from_utf8(bytes).expect("text")).collect();
    let bytes = lines.iter().map(String::len).sum::<usize>() / lines.len();
    assert_eq!(ours(&pipeline, &lines), naive(&regex, &lines), "both chains agree");
    let (mut best_ours, mut best_naive) = (f64::MAX, f64::MAX);
    for _ in 0..RUNS {
        let start = Instant::now();
        black_box(ours(&pipeline, &lines));
        best_ours = best_ours.min(start.elapsed().as_secs_f64());
        let start = Instant::now();
        black_box(naive(&regex, &lines));
        best_naive = best_naive.min(start.elapsed().as_secs_f64());
    }
    let rate = |seconds: f64| lines.len() as f64 / seconds;
    println!("pipeline: {} lines of {bytes} bytes, JSON with grok, one core", lines.len());
    println!("  tidemill  {:>10.0} events/s", rate(best_ours));
    println!("  naive     {:>10.0} events/s", rate(best_naive));
    println!("  ratio     {:>10.2}", best_naive / best_ours);
}
