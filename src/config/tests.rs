//! A wrong configuration is refused with the field, the line and the fix.

use std::path::Path;
use std::time::Duration;

use proptest::prelude::*;

use super::load::{Overrides, parse};
use super::{Brokers, Config, Problems};

fn read(text: &str) -> Result<Config, Problems> {
    let env = |name: &str| (name == "SECRET").then(|| "hunter2".to_owned());
    parse(text, Some(Path::new("t.yaml")), &Overrides::default(), &env)
}

fn refused(text: &str) -> String {
    read(text).expect_err(text).to_string()
}

#[test]
fn an_empty_file_means_the_documented_defaults() {
    for text in ["", "# nothing\n\n", "kafka:\nquery:\n"] {
        let config = read(text).expect("defaults");
        let ports: Vec<u16> = config.listeners().iter().map(|(_, at)| at.port()).collect();
        assert_eq!(ports, [8126, 4317, 4318, 8080, 5433, 13_133, 9092]);
        assert!(config.listeners().iter().all(|(_, at)| at.ip().is_loopback()));
        assert_eq!(config.storage.url, "tidemill-data");
        assert_eq!(config.worker.epoch, Duration::from_secs(5));
        assert_eq!(config.worker_topics().len(), 3);
    }
}

#[test]
fn every_field_reads() {
    let text = include_str!("../../config/tidemill.yaml");
    let uncommented: String = text
        .lines()
        .map(|line| line.strip_prefix("#: ").unwrap_or(line))
        .flat_map(|line| [line, "\n"])
        .collect();
    for text in [text, &uncommented] {
        read(text).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn flags_win_over_the_file() {
    let overrides = Overrides { data_dir: Some("here".into()), kafka: Some("k:1".into()) };
    let text = "data_dir: there\nkafka: {embedded: {listen: '127.0.0.1:1'}}";
    let config = parse(text, None, &overrides, &|_| None).expect("good");
    assert_eq!(config.data_dir, Path::new("here"));
    assert_eq!(config.kafka.brokers, Brokers::Cluster("k:1".into()));
}

#[test]
fn a_wrong_value_is_named_with_line_field_and_fix() {
    for (text, parts) in [
        ("intake:\n  datadog: everywhere\n", ["t.yaml:2: intake.datadog", "127.0.0.1:8126"]),
        ("worker:\n  epoch: 5\n", ["t.yaml:2: worker.epoch", "500ms, 5s"]),
        ("worker: {epoch: 1ms}", ["worker.epoch", "100ms to 600s"]),
        ("worker: {keep_raw: some}", ["worker.keep_raw", "none, excluded or all"]),
        (
            "monitors: [{name: a, search: 'x:(', above: 1}]",
            ["monitors[0].search", "a value must follow"],
        ),
        ("monitors: [{name: a, above: 1}]", ["monitors[0].sql", "sql or search"]),
        ("monitors: [{name: a, search: x, in: metrics, above: 1}]", ["monitors[0].in", "spans"]),
        ("query:\n\n  memory: 1KiB\n", ["t.yaml:3: query.memory", "16 MiB"]),
        ("upkeep:\n  keep_removed: 1h\n", ["t.yaml:2: upkeep.keep_removed", "86400s to 604800s"]),
        ("upkeep: {enabled: maybe}", ["upkeep.enabled", "true or false"]),
        ("tables: {logz: {retention: 30d}}", ["tables.logz", "logs, spans"]),
        ("tables:\n  logs:\n    retention: 1m\n", ["t.yaml:3: tables.logs.retention", "3600s"]),
        ("kafka: {partitions: 0}", ["kafka.partitions", "1 to 1024"]),
        ("kafka: {brokers: nowhere}", ["kafka.brokers", "HOST:PORT"]),
        ("kafka: {brokers: 'a:1', embedded: {}}", ["kafka.embedded", "keep kafka.brokers"]),
        ("kafka: {topics: {logs: 'a b'}}", ["kafka.topics.logs", "249"]),
        ("kafka: {properties: {bootstrap.servers: x}}", ["bootstrap.servers", "kafka.brokers"]),
        ("storage: {url: 'ftp://x'}", ["storage.url", "s3://bucket/prefix"]),
        ("health: {listen: '127.0.0.1:8080'}", ["health.listen", "query.http"]),
        ("kafke: {}", ["unknown field `kafke`", "spelling"]),
        ("intake:\n  datadogg: 1\n", ["t.yaml:2: intake", "unknown field `datadogg`"]),
        ("kafka:\n  sources: 3\n", ["kafka.sources", "invalid type"]),
        ("query: [\n", ["t.yaml:1: query", "expected a section with fields"]),
        ("\ta: 1", ["t.yaml:1: ", "cannot start any token"]),
        ("pipeline_file: missing.yaml", ["pipeline_file", "cannot read it"]),
    ] {
        let said = refused(text);
        assert!(parts.iter().all(|part| said.contains(part)), "{text:?} said {said:?}");
    }
}

#[test]
fn a_source_must_fit_its_signal() {
    let text = "kafka:\n  sources:\n    - {topic: a, signal: logs, format: json}\n    \
                - topic: b\n      signal: logs\n      format: datadog_v04\n";
    let said = refused(text);
    assert!(said.contains("t.yaml:6: kafka.sources[1].format"), "{said}");
    assert!(said.contains("formats for logs: json, raw"), "{said}");
}

#[test]
fn a_source_says_how_its_lines_come() {
    let text = "kafka:\n  sources:\n    - {topic: a, signal: logs, format: raw, envelope: cri, multiline: auto}\n";
    let config = read(text).expect("good");
    let input = &config.kafka.sources[0].input;
    assert_eq!(input.envelope, stages::input::Envelope::Cri);
    assert!(matches!(input.multiline, stages::input::Multiline::Join(_)));
    let text = "kafka:\n  sources:\n    - topic: a\n      signal: logs\n      format: raw\n      \
                envelope: podman\n      multiline: {start: '('}\n";
    let said = refused(text);
    assert!(said.contains("t.yaml:6: kafka.sources[0].envelope"), "{said}");
    assert!(said.contains("known: none, auto, docker"), "{said}");
    assert!(said.contains("t.yaml:7: kafka.sources[0].multiline"), "{said}");
}

#[test]
fn all_problems_are_said_at_once() {
    let said = refused("worker: {epoch: x, threads: 0}\nquery: {timeout: 9}\n");
    for field in ["worker.epoch", "worker.threads", "query.timeout"] {
        assert!(said.contains(field), "{said}");
    }
}

#[test]
fn secrets_come_from_the_environment_and_are_never_shown() {
    let text = "kafka: {properties: {sasl.password: '${SECRET}'}}";
    let config = read(text).expect("good");
    assert_eq!(config.kafka.properties, [("sasl.password".to_owned(), "hunter2".to_owned())]);
    assert!(!format!("{config:?}").contains("hunter2"));
    let said = refused("storage: {url: 's3://b', options: {aws_secret_access_key: '${NOPE}'}}");
    assert!(said.contains("storage.options.aws_secret_access_key"), "{said}");
    assert!(said.contains("NOPE is not set"), "{said}");
}

proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-z: \\n{}\\[\\]\"'$-]{0,80}") {
        let _ = read(&text);
    }
}
