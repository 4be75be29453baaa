//! Application logs as JSON with a line of text for grok: the input of the chain's benches.

use std::fmt::Write as _;

use schemas::time::EventTime;
use stages::pipeline::{Pipeline, config::Config};
use stages::record::Record;

/// A grok rule with a date, a metric, an exclusion of a quarter of the logs.
pub(crate) const CONFIG: &str = r#"
pipelines:
  - name: app
    filter: {query: "service:checkout"}
    processors:
      - type: grok-parser
        grok:
          match_rules: |
            rule %{date("yyyy-MM-dd HH:mm:ss"):timestamp} %{word:level} \[%{word:logger}\] %{data:text}: host=%{notSpace:db} duration=%{integer:duration_ms}ms
      - {type: date-remapper, sources: [timestamp]}
      - {type: status-remapper, sources: [level]}
metrics:
  - name: requests
    filter: {query: "*"}
    compute: {aggregation_type: count}
    group_by: [{path: service}, {path: "@level", tag_name: level}]
indexes:
  - name: main
    exclusion_filters:
      - {name: debug, filter: {query: "@level:DEBUG"}}
"#;

/// The compiled configuration.
pub(crate) fn pipeline() -> Pipeline {
    let config: Config = serde_yaml_ng::from_str(CONFIG).expect("the bench's configuration");
    Pipeline::compile(&config).expect("compiles")
}

/// Log number `n`, about 250 bytes, and more of a request's context up to `bytes`.
pub(crate) fn line(n: usize, bytes: usize) -> String {
    const WORDS: [&str; 8] =
        ["cart", "session", "eu-west-1", "payment", "retry", "shipping", "gold", "mobile"];
    let level = ["INFO", "WARN", "ERROR", "DEBUG"][n % 4];
    let (host, millis) = (n % 16, n * 7919 % 5_000);
    let (minute, second) = (n / 60_000 % 60, n / 1_000 % 60);
    let mut line = format!(
        r#"{{"service":"checkout","hostname":"node-{host}","ddsource":"java","dd":{{"env":"prod","version":"1.4.2"}},"user":"u{n}","message":"2024-04-27 12:{minute:02}:{second:02} {level} [app] Connection timeout: host=db{host:02} duration={millis}ms""#
    );
    let mut random = n as u64 + 1;
    for field in 0.. {
        if line.len() + 60 > bytes {
            break;
        }
        random =
            random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let word = WORDS[(random >> 61) as usize];
        // Writing to a string can not fail.
        let _ = write!(line, r#","context_{field}":"{word} {:016x} {}""#, random, random >> 50);
    }
    line.push('}');
    line
}

/// One message per log, as a log shipper produces them.
pub(crate) fn records(count: usize, bytes: usize) -> Vec<Record> {
    let record = |n| Record {
        offset: n as i64,
        timestamp: EventTime::from_nanos(1_714_219_200_000_000_000 + n as i64 * 1_000_000),
        payload: line(n, bytes).into_bytes(),
        headers: Vec::new(),
    };
    (0..count).map(record).collect()
}
