//! A metric equals the query over all logs, however they came.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::pipeline::config::Config;

/// 2024-04-27 12:00, seconds.
const NOON: i64 = 1_714_219_200;

const METRICS: &str = r#"
metrics:
  - name: requests
    filter: {query: "-@path:\"/healthz\""}
    compute: {aggregation_type: count}
    group_by: [{path: service}]
  - name: duration
    compute: {aggregation_type: distribution, path: "@duration"}
    group_by: [{path: service}, {path: "@path", tag_name: path}]
indexes:
  - name: main
    exclusion_filters: [{name: half, filter: {query: "*", sample_rate: 0.5}}]
"#;

/// A log of any lateness.
#[derive(Debug, Clone)]
struct Log {
    service: usize,
    path: usize,
    duration: Option<i64>,
    seconds: i64,
    /// Topic partition it came in.
    partition: usize,
    /// Its partition's unit ends after it.
    cut: bool,
}

const SERVICES: [&str; 2] = ["web", "cart"];
const PATHS: [&str; 3] = ["/", "/buy", "/healthz"];

fn any_log() -> impl Strategy<Value = Log> {
    // Seconds, hours and years away from one another.
    let seconds = prop_oneof![0i64..60, -90_000i64..90_000, Just(-400_000_000i64)];
    let duration = prop::option::of(-50i64..5_000);
    (0..2usize, 0..3usize, duration, seconds, 0..3usize, prop::bool::weighted(0.2)).prop_map(
        |(service, path, duration, seconds, partition, cut)| Log {
            service,
            path,
            duration,
            seconds,
            partition,
            cut,
        },
    )
}

/// What a series has in a bucket, from whatever rows.
#[derive(Debug, Default)]
struct Sum {
    count: i64,
    sum: f64,
    min: Option<f64>,
    max: Option<f64>,
    sketch: Sketch,
}

type Sums = BTreeMap<(String, Vec<String>, i64), Sum>;

fn note(sums: &mut Sums, point: &Point<'_>) {
    let tags = point.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
    let sum = sums.entry((point.name.to_owned(), tags, point.timestamp.nanos())).or_default();
    sum.count += point.count;
    sum.sum += point.sum.unwrap_or(0.0);
    sum.min = point.min.map(|min| sum.min.map_or(min, |known| known.min(min))).or(sum.min);
    sum.max = point.max.map(|max| sum.max.map_or(max, |known| known.max(max))).or(sum.max);
    if let Some(sketch) = point.sketch {
        sum.sketch.merge(sketch).expect("of one kind");
    }
}

/// The same by counting logs.
fn query(logs: &[Log]) -> Sums {
    let mut sums = Sums::new();
    for log in logs {
        let bucket = (NOON + log.seconds).div_euclid(10) * 10_000_000_000;
        let service = format!("service:{}", SERVICES[log.service]);
        if PATHS[log.path] != "/healthz" {
            let key = ("requests".to_owned(), vec![service.clone()], bucket);
            sums.entry(key).or_default().count += 1;
        }
        if let Some(duration) = log.duration {
            let tags = vec![service, format!("path:{}", PATHS[log.path])];
            let sum = sums.entry(("duration".to_owned(), tags, bucket)).or_default();
            let value = duration as f64;
            sum.count += 1;
            sum.sum += value;
            sum.min = Some(sum.min.map_or(value, |known| known.min(value)));
            sum.max = Some(sum.max.map_or(value, |known| known.max(value)));
            sum.sketch.add(value, 1);
        }
    }
    sums
}

proptest! {
    #[test]
    fn a_metric_equals_the_query_over_all_logs_however_late_and_however_units_are_cut(
        logs in prop::collection::vec(any_log(), 0..80),
    ) {
        let config: Config = serde_yaml_ng::from_str(METRICS).expect("valid YAML");
        let pipeline = Pipeline::compile(&config).expect("compiles");
        let mut windows = [(); 3].map(|()| MetricWindows::new(&pipeline));
        let mut rows = Sums::new();
        for (offset, log) in logs.iter().enumerate() {
            let arena = Bump::new();
            let mut event = LogEvent::new_in(&arena, EventTime::from_nanos(0));
            event.timestamp = EventTime::from_seconds(NOON + log.seconds);
            event.service = SERVICES[log.service];
            event.attributes.push("path", Value::Str(PATHS[log.path]));
            if let Some(duration) = log.duration {
                event.attributes.push("duration", Value::Int(duration));
            }
            let windows = &mut windows[log.partition];
            pipeline.process(&arena, &mut event, offset as i64, windows);
            if log.cut {
                windows.drain(&mut |point, _| note(&mut rows, point));
            }
        }
        windows.each_mut().into_iter().for_each(|w| w.drain(&mut |point, _| note(&mut rows, point)));
        let expected = query(&logs);
        prop_assert_eq!(rows.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (row, wanted) in rows.values().zip(expected.values()) {
            prop_assert_eq!(
                (row.count, row.sum, row.min, row.max, row.sketch.count()),
                (wanted.count, wanted.sum, wanted.min, wanted.max, wanted.sketch.count())
            );
            for quantile in [0.0, 0.5, 0.9, 0.99, 1.0] {
                prop_assert_eq!(row.sketch.quantile(quantile), wanted.sketch.quantile(quantile));
            }
        }
    }
}
