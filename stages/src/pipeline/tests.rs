//! The chain as a whole: configuration in YAML as a user writes it, logs in, fields out.

use std::path::PathBuf;

use proptest::prelude::*;
use schemas::time::EventTime;

use super::*;
use crate::value::Value;

fn compile(yaml: &str) -> Pipeline {
    let config: config::Config = serde_yaml_ng::from_str(yaml).expect("valid YAML");
    Pipeline::compile(&config).unwrap_or_else(|errors| panic!("{errors:?}"))
}

/// Noon of 2024-04-27, UTC.
fn received() -> EventTime {
    EventTime::from_seconds(1_714_219_200).expect("in range")
}

fn log<'b>(arena: &'b Bump, message: &'b str) -> LogEvent<'b> {
    LogEvent { message, ..LogEvent::new_in(arena, received()) }
}

fn run<'p, 'b>(pipeline: &'p Pipeline, arena: &'b Bump, event: &mut LogEvent<'b>) -> Fate<'p> {
    pipeline.process(arena, event, 0, &mut MetricWindows::new(pipeline))
}

const EXAMPLE: &str = r#"
pipelines:
  - name: app
    filter: {query: "source:app"}
    processors:
      - type: grok-parser
        grok:
          match_rules: |
            rule %{date("yyyy-MM-dd HH:mm:ss"):timestamp} %{word:level} \[%{word:service}\] %{data:message}: host=%{notSpace:host} duration=%{integer:duration_ms}ms
      - {type: date-remapper, sources: [timestamp]}
      - {type: status-remapper, sources: [level]}
      - {type: service-remapper, sources: [service]}
      - {type: message-remapper, sources: [message]}
"#;

#[test]
fn the_example_everybody_knows_fills_the_columns() {
    let pipeline = compile(EXAMPLE);
    let arena = Bump::new();
    let line = "2024-04-27 12:00:00 ERROR [app] Connection timeout: host=db01 duration=5002ms";
    let mut event = LogEvent { source: "app", ..log(&arena, line) };
    event.received = EventTime::from_seconds(0).expect("in range");
    assert_eq!(run(&pipeline, &arena, &mut event), Fate::Indexed { index: "main" });
    assert_eq!(event.time(), received());
    assert_eq!(event.status, Some(Status::Error));
    assert_eq!((event.service, event.message), ("app", "Connection timeout"));
    assert_eq!(event.attributes.get("host"), Some(Value::Str("db01")));
    assert_eq!(event.attributes.get("duration_ms"), Some(Value::Int(5002)));
    assert_eq!(event.attributes.get("message"), None, "a message remapper moves");
    assert_eq!(event.attributes.get("level"), Some(Value::Str("ERROR")), "a status remapper keeps");
}

#[test]
fn another_source_passes_the_pipeline_by() {
    let pipeline = compile(EXAMPLE);
    let arena = Bump::new();
    let mut event = log(&arena, "2024-04-27 12:00:00 ERROR [app] x: host=db01 duration=5ms");
    run(&pipeline, &arena, &mut event);
    assert!(event.attributes.is_empty());
    assert_eq!(event.status, Some(Status::Info));
}

#[test]
fn reserved_attributes_of_json_logs_move_to_their_fields() {
    let pipeline = compile("{}");
    let arena = Bump::new();
    let json = r#"{"message":"hi","level":"warn","hostname":"h1","service":"web","ddsource":"nodejs",
        "timestamp":"2024-04-27T11:59:59.5Z","dd":{"trace_id":"1234","span_id":"5678","env":"prod","version":"1.2"},
        "usr":{"id":7}}"#;
    let mut event = log(&arena, json);
    run(&pipeline, &arena, &mut event);
    assert_eq!(
        (event.message, event.host, event.service, event.source),
        ("hi", "h1", "web", "nodejs")
    );
    assert_eq!((event.env, event.version, event.status), ("prod", "1.2", Some(Status::Warn)));
    assert_eq!(event.timestamp.map(EventTime::micros), Some(1_714_219_199_500_000));
    assert_eq!(event.trace_id.map(|id| id.get()), Some(1234));
    assert_eq!(event.span_id.map(|id| id.get()), Some(5678));
    let left: Vec<&str> = event.attributes.iter().map(|(path, _)| path).collect();
    assert_eq!(left, ["level", "hostname", "usr.id"]);
}

#[test]
fn what_the_decoder_set_stays_and_bad_values_do_no_harm() {
    let pipeline = compile("{}");
    let arena = Bump::new();
    let mut event =
        log(&arena, r#"{"service":"inner","timestamp":"soon","trace_id":"no hex","status":[1]}"#);
    event.service = "outer";
    event.tags.push("env:staging");
    run(&pipeline, &arena, &mut event);
    assert_eq!(
        (event.service, event.env, event.timestamp, event.trace_id),
        ("outer", "staging", None, None)
    );
    assert_eq!(event.status, Some(Status::Info));
    assert_eq!(event.attributes.get("timestamp"), Some(Value::Str("soon")));
    assert!(event.message.starts_with('{'), "without a message inside, the text stays");
}

#[test]
fn attribute_remappers_move_copy_cast_and_tag() {
    let pipeline = compile(
        r#"
pipelines:
  - processors:
      - {type: attribute-remapper, sources: [missing, a], target: b, target_format: integer}
      - {type: attribute-remapper, sources: [kept], target: copy, preserve_source: true}
      - {type: attribute-remapper, sources: [conflict], target: taken}
      - {type: attribute-remapper, sources: [over], target: taken2, override_on_conflict: true}
      - {type: attribute-remapper, sources: [list], target: team, target_type: tag}
      - {type: attribute-remapper, sources: [region], source_type: tag, target: cloud.region}
      - {type: attribute-remapper, sources: [req], target: http}
      - {type: attribute-remapper, sources: [word], target: word2, target_format: double}
      - {type: pipeline, filter: {query: "@b:12"}, processors: [
          {type: trace-id-remapper, sources: [tid]}, {type: span-id-remapper, sources: [sid]}]}
      - {type: attribute-remapper, is_enabled: false, sources: [kept], target: never}
"#,
    );
    let arena = Bump::new();
    let json = r#"{"a":"12","kept":1,"conflict":2,"taken":3,"over":4,"taken2":5,"list":["x","y"],
        "req":{"url":"/","n":{"m":1}},"word":"abc","tid":"0af7651916cd43dd8448eb211c80319c","sid":"b7ad6b7169203331"}"#;
    let mut event = log(&arena, json);
    event.tags.push("region:eu");
    run(&pipeline, &arena, &mut event);
    let mut pairs: Vec<String> = event.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    pairs.sort();
    let expected = [
        "b=12",
        "cloud.region=eu",
        "copy=1",
        "http.n.m=1",
        "http.url=/",
        "kept=1",
        "taken2=4",
        "taken=3",
        "word2=abc",
    ];
    assert_eq!(pairs, expected);
    assert_eq!(event.tags.as_slice(), ["team:x", "team:y"]);
    assert_eq!(
        event.trace_id.map(|id| id.hex().to_string()).as_deref(),
        Some("0af7651916cd43dd8448eb211c80319c")
    );
    assert_eq!(event.span_id.map(|id| id.hex().to_string()).as_deref(), Some("b7ad6b7169203331"));
}

const METRICS: &str = r#"
metrics:
  - name: logs.count
    filter: {query: "service:web"}
    compute: {aggregation_type: count}
    group_by: [{path: "@user", tag_name: user}, {path: service}]
  - name: logs.duration
    filter: "*"
    compute: {aggregation_type: distribution, path: "@duration", include_percentiles: true}
indexes:
  - name: main
    filter: {query: "*"}
    exclusion_filters: [{name: all, filter: {query: "*"}}]
"#;

#[test]
fn metrics_count_what_is_excluded_in_buckets_of_event_time() {
    let pipeline = compile(METRICS);
    let mut windows = MetricWindows::new(&pipeline);
    let mut arena = Bump::new();
    for (offset, (user, duration, seconds)) in
        [("a", "1", 0), ("b", "\"2.5\"", 3), ("a", "3", 9), ("a", "\"x\"", 10), ("a", "4", -1)]
            .iter()
            .enumerate()
    {
        arena.reset();
        let text = arena
            .alloc_str(&format!(r#"{{"user":"{user}","duration":{duration},"service":"web"}}"#));
        let mut event = log(&arena, text);
        event.timestamp = EventTime::from_seconds(1_714_219_200 + seconds);
        let fate = pipeline.process(&arena, &mut event, offset as i64, &mut windows);
        assert_eq!(fate, Fate::Excluded { rule: "main/all" });
    }
    let mut rows = Vec::new();
    windows.drain(&mut |point, offset| {
        let seconds = point.timestamp.nanos() / 1_000_000_000 - 1_714_219_200;
        let tags: Vec<String> =
            point.tags.iter().map(|(key, value)| format!("{key}:{value}")).collect();
        rows.push(format!(
            "{} {seconds} {} {} {:?} {:?} @{offset}.{} {}",
            point.name,
            point.count,
            tags.join(","),
            point.sum,
            point.max,
            point.index,
            point.service
        ));
    });
    assert_eq!(
        rows,
        [
            "logs.count 0 2 user:a,service:web None None @0.0 web",
            "logs.duration 0 3  Some(6.5) Some(3.0) @0.1 ",
            "logs.count 0 1 user:b,service:web None None @1.0 web",
            "logs.count 10 1 user:a,service:web None None @3.0 web",
            "logs.count -10 1 user:a,service:web None None @4.0 web",
            "logs.duration -10 1  Some(4.0) Some(4.0) @4.1 ",
        ]
    );
    assert!(windows.is_empty());
}

#[test]
fn too_many_series_add_up_in_the_overflow_series() {
    let pipeline = compile(METRICS);
    let mut windows = MetricWindows::new(&pipeline);
    let mut arena = Bump::new();
    let logs = schemas::limits::MAX_SERIES_PER_METRIC + 50;
    for number in 0..logs {
        arena.reset();
        let mut event = log(&arena, "x");
        event.service = "web";
        event.attributes.push("user", Value::Int(number as i64));
        pipeline.process(&arena, &mut event, 0, &mut windows);
    }
    let (mut total, mut overflow) = (0, 0);
    windows.drain(&mut |point, _| {
        total += point.count;
        if point.tags.contains(&("user", schemas::limits::OVERFLOW_VALUE)) {
            overflow += point.count;
        }
    });
    assert_eq!((total, overflow), (logs as i64, 50));
}

#[test]
fn indexes_and_exclusion_filters_decide_in_order() {
    let pipeline = compile(
        r#"
indexes:
  - name: errors
    filter: {query: "status:error"}
    exclusion_filters:
      - {name: off, is_enabled: false, filter: {query: "*"}}
      - {name: noisy, filter: {query: "@noisy:true"}}
  - name: web
    filter: {query: "service:web"}
    exclusion_filters:
      - {name: sampled, filter: {query: "*", sample_rate: 0.9, sample_attribute: "@user"}}
      - {name: never-reached, filter: {query: "*"}}
"#,
    );
    let arena = Bump::new();
    let fate = |text: &'static str| run(&pipeline, &arena, &mut log(&arena, text));
    assert_eq!(fate(r#"{"status":"error"}"#), Fate::Indexed { index: "errors" });
    assert_eq!(fate(r#"{"status":"error","noisy":true}"#), Fate::Excluded { rule: "errors/noisy" });
    assert_eq!(fate("plain"), Fate::Excluded { rule: "no_index" });
    assert_eq!(
        fate(r#"{"service":"web"}"#),
        Fate::Indexed { index: "web" },
        "no attribute, no sampling"
    );
    let kept = (0..2_000).filter(|user| {
        let text =
            |other| arena.alloc_str(&format!(r#"{{"service":"web","user":{user},"o":{other}}}"#));
        let first = run(&pipeline, &arena, &mut log(&arena, text(1)));
        let second = run(&pipeline, &arena, &mut log(&arena, text(2)));
        assert_eq!(first, second, "one user, one fate");
        first == Fate::Indexed { index: "web" }
    });
    let kept = kept.count();
    assert!((120..280).contains(&kept), "{kept} of 2000 kept, expected about 200");
}

#[test]
fn a_bad_configuration_names_every_place() {
    let yaml = r#"
pipelines:
  - filter: {query: "a AND"}
    processors:
      - type: grok-parser
        grok: {match_rules: "ok x\nbad %{nope:x}"}
      - {type: status-remapper}
      - {type: attribute-remapper, sources: [], target: "a:b"}
      - {type: pipeline, processors: [{type: pipeline, processors: []}]}
metrics:
  - {name: "1x", compute: {aggregation_type: distribution}}
indexes:
  - {name: Main, exclusion_filters: [{name: x, filter: {query: "(", sample_rate: 2}}]}
"#;
    let config: config::Config = serde_yaml_ng::from_str(yaml).expect("valid YAML");
    let errors = Pipeline::compile(&config).expect_err("refused");
    let paths: Vec<&str> = errors.iter().map(|error| error.path.as_str()).collect();
    assert_eq!(
        paths,
        [
            "pipelines[0].filter.query",
            "pipelines[0].processors[0].grok.match_rules:2",
            "pipelines[0].processors[1].sources",
            "pipelines[0].processors[2].sources",
            "pipelines[0].processors[2].target",
            "pipelines[0].processors[3].processors[0]",
            "metrics[0].name",
            "metrics[0].compute.path",
            "indexes[0].name",
            "indexes[0].exclusion_filters[0].filter.sample_rate",
            "indexes[0].exclusion_filters[0].filter.query",
        ]
    );
    for (yaml, part) in [
        ("pipelines: [{processors: [{type: grok}]}]", "unknown variant `grok`"),
        ("pipelines: [{processors: [{type: date-remapper, source: x}]}]", "unknown field `source`"),
        ("pipeline: []", "unknown field `pipeline`"),
        ("indexes: [{name: a, filter: 5}]", "a filter is"),
    ] {
        let error = serde_yaml_ng::from_str::<config::Config>(yaml).expect_err(yaml).to_string();
        assert!(error.contains(part), "{yaml}: {error}");
    }
}

#[test]
fn datadogs_api_json_is_a_configuration_and_versions_follow_content() {
    let api = r#"{"pipelines":[{"id":"x","type":"pipeline","name":"n","is_enabled":true,"is_read_only":false,
        "filter":{"query":"source:nginx"},"processors":[{"type":"grok-parser","name":"g","is_enabled":true,
        "source":"message","samples":["a"],"grok":{"support_rules":"_w %{word:w}","match_rules":"r %{_w}"}},
        {"type":"date-remapper","name":"d","is_enabled":false,"sources":["date"]}]}]}"#;
    let config: config::Config = serde_json::from_str(api).expect("the API's JSON");
    let version =
        |config: &config::Config| Pipeline::compile(config).expect("compiles").version().to_owned();
    let one = version(&config);
    assert_eq!(one.len(), 16);
    assert_eq!(one, version(&config.clone()));
    assert_ne!(one, version(&config::Config::default()));
}

/// The directory of real telemetry, if this machine has it.
fn data(file: &str) -> Option<String> {
    let root = std::env::var_os("TIDEMILL_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(file);
    let text = std::fs::read_to_string(&path).ok();
    if text.is_none() {
        eprintln!(
            "SKIPPED: no {}; set TIDEMILL_DATA to the directory of real telemetry",
            path.display()
        );
    }
    text
}

#[test]
fn every_apache_line_parses() {
    let Some(text) = data("apache/apache_logs") else { return };
    let pipeline = compile(
        r#"
pipelines:
  - processors:
      - type: grok-parser
        grok:
          support_rules: |
            _head %{ipOrHost:network.client.ip} %{notSpace:http.ident:nullIf("-")} %{notSpace:http.auth:nullIf("-")} \[%{date("dd/MMM/yyyy:HH:mm:ss Z"):date_access}\] "%{word:http.method} %{notSpace:http.url} HTTP\/%{regex("\\d+\\.\\d+"):http.version}" %{integer:http.status_code}
          match_rules: |
            combined %{_head} (%{integer:network.bytes_written}|-) "%{notSpace:http.referer:nullIf("-")}" "%{regex("[^\"]*"):http.useragent}"?
      - {type: date-remapper, sources: [date_access]}
"#,
    );
    let mut arena = Bump::new();
    for line in text.lines() {
        arena.reset();
        let mut event = log(&arena, arena.alloc_str(line));
        run(&pipeline, &arena, &mut event);
        assert!(
            event.attributes.get("http.useragent").is_some() || line.ends_with("\"\""),
            "{line}"
        );
        assert!(
            matches!(event.attributes.get("http.status_code"), Some(Value::Int(100..600))),
            "{line}"
        );
        assert!(event.timestamp.is_some(), "{line}");
    }
}

#[test]
fn every_trainticket_line_parses() {
    let pipeline = compile(
        r#"
pipelines:
  - processors:
      - type: grok-parser
        source: log
        grok:
          match_rules: |
            line %{date("HH:mm:ss.SSS", "+08:00"):date} %{word:level} +%{notSpace:logger.name}#%{integer:logger.line} TraceID: %{regex("[0-9a-f]{32}"):trace} SpanID: %{regex("[0-9a-f]{16}"):span} %{data:msg}\n
      - {type: status-remapper, sources: [level]}
      - {type: message-remapper, sources: [msg]}
      - {type: trace-id-remapper, sources: [trace]}
      - {type: span-id-remapper, sources: [span]}
"#,
    );
    let mut seen = 0;
    for file in ["08_43_log.csv", "08_44_log.csv", "08_59_log.csv"] {
        let Some(text) = data(&format!("trainticket/{file}")) else { return };
        let mut arena = Bump::new();
        for line in text.lines().skip(1) {
            let json = line.splitn(8, ',').nth(7).expect("eight columns");
            let json = json.trim_matches('"').replace("\"\"", "\"");
            arena.reset();
            let mut event = log(&arena, arena.alloc_str(&json));
            run(&pipeline, &arena, &mut event);
            assert!(event.trace_id.is_some() && event.span_id.is_some(), "{json}");
            assert!(event.attributes.get("logger.line").is_some(), "{json}");
            assert!(!event.message.is_empty() && !event.message.starts_with('{'), "{json}");
            seen += 1;
        }
    }
    assert_eq!(seen, 6_924);
}

proptest! {
    #[test]
    fn no_message_makes_the_chain_panic_and_the_fate_is_the_same_twice(
        message in "\\PC{0,80}|\\{\"(timestamp|dd.trace_id|status|service|message|duration)\":(1e99|-1|\"\\PC{0,9}\"|null|\\[1\\]|\\{\\})\\}"
    ) {
        let pipeline = compile(METRICS);
        let arena = Bump::new();
        let text: &str = arena.alloc_str(&message);
        let (mut one, mut two) = (log(&arena, text), log(&arena, text));
        prop_assert_eq!(run(&pipeline, &arena, &mut one), run(&pipeline, &arena, &mut two));
        prop_assert_eq!(one, two);
    }
}

#[test]
fn a_json_log_tells_env_and_version_and_a_number_is_no_status() {
    let pipeline = compile("{}");
    let arena = Bump::new();
    let text = r#"{"message":"m","env":"prod","version":"1.4.2","status":200}"#;
    let mut event = log(&arena, text);
    run(&pipeline, &arena, &mut event);
    assert_eq!((event.env, event.version), ("prod", "1.4.2"));
    assert_eq!(event.attributes.get("version"), Some(Value::Str("1.4.2")));
    assert_eq!(event.attributes.get("status"), Some(Value::Int(200)));
    let mut event = log(&arena, text);
    event.tags.push("version:2.0.0");
    run(&pipeline, &arena, &mut event);
    assert_eq!(event.version, "2.0.0");
}
