//! The meaning of the configuration: defaults, bounds, and what does not go together.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use schemas::limits;
use schemas::topic::{Format, Signal};
use stages::input::Labels;
use stages::input::config::{InputConfig, compile};
use stages::pipeline::Pipeline;
use stream::lane::KeepRaw;
use stream::worker::Topic;

use super::check::Checker;
use super::raw::{RawConfig, RawKafka, RawSource, RawStorage, RawWorker, Scalar};
use super::{Brokers, Config, Intake, Kafka, Overrides, Problem, Query, Worker, units};

/// Where data goes when nothing else is said.
const DEFAULT_DATA_DIR: &str = "tidemill-data";
/// Partitions a topic may have; more would only cost memory on one machine.
const MAX_PARTITIONS: usize = 1_024;
/// Threads of the worker.
const MAX_THREADS: usize = 256;

fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}

/// Checks every section; problems are left in `check`.
pub(super) fn config(raw: RawConfig, overrides: &Overrides, check: &mut Checker<'_>) -> Config {
    let data_dir = match &overrides.data_dir {
        Some(dir) => dir.clone(),
        None => check
            .text("data_dir", raw.data_dir.as_ref())
            .map_or_else(|| PathBuf::from(DEFAULT_DATA_DIR), PathBuf::from),
    };
    let storage = storage(raw.storage.as_ref(), &data_dir, check);
    let remote = units::local_path(&storage.url).is_none();
    let health = check.address("health.listen", raw.health.listen.as_ref(), loopback(13_133));
    let (pipeline, index_retention) =
        pipeline(raw.pipeline.is_some(), raw.pipeline_file.as_ref(), check);
    let upkeep = super::upkeep::settings(&raw.upkeep, &raw.tables, check);
    let config = Config {
        kafka: kafka(&raw.kafka, overrides, check),
        intake: Intake {
            datadog: check.address("intake.datadog", raw.intake.datadog.as_ref(), loopback(8126)),
            otlp_grpc: check.address(
                "intake.otlp_grpc",
                raw.intake.otlp_grpc.as_ref(),
                loopback(4317),
            ),
            otlp_http: check.address(
                "intake.otlp_http",
                raw.intake.otlp_http.as_ref(),
                loopback(4318),
            ),
        },
        query: query(&raw, check),
        worker: worker(&raw.worker, remote, health, check),
        upkeep: stream::upkeep::Settings { index_retention, ..upkeep },
        tracking: super::tracking::tracking(&raw.issues, &raw.notifications, &raw.monitors, check),
        health,
        shutdown_deadline: check.duration(
            "shutdown_deadline",
            raw.shutdown_deadline.as_ref(),
            Duration::from_secs(limits::SHUTDOWN_DEADLINE_SECONDS),
            Duration::from_secs(1)..=Duration::from_secs(600),
        ),
        pipeline,
        data_dir,
        storage,
    };
    distinct_listeners(&config, check);
    config
}

fn storage(
    raw: Option<&RawStorage>,
    data_dir: &Path,
    check: &mut Checker<'_>,
) -> stream::store::Config {
    let default = data_dir.to_string_lossy().into_owned();
    let Some(raw) = raw else {
        return stream::store::Config { url: default, options: Default::default() };
    };
    let url = check.text("storage.url", Some(&raw.url)).unwrap_or(default);
    let scheme = url.split_once("://").map(|(scheme, _)| scheme);
    if !matches!(scheme, None | Some("file" | "s3")) || url.trim().is_empty() {
        check.problem(
            "storage.url",
            format!("{url:?} is no place to store tables"),
            "a directory, or s3://bucket/prefix",
        );
    }
    let mut options = std::collections::BTreeMap::new();
    for (name, value) in &raw.options {
        if let Some(text) = check.text(&format!("storage.options.{name}"), Some(value)) {
            options.insert(name.clone(), text);
        }
    }
    stream::store::Config { url, options }
}

fn kafka(raw: &RawKafka, overrides: &Overrides, check: &mut Checker<'_>) -> Kafka {
    let brokers = brokers(raw, overrides, check);
    let mut properties = Vec::new();
    for (name, value) in &raw.properties {
        let rule = format!("kafka.properties.{name}");
        if name == "bootstrap.servers" || name == "metadata.broker.list" {
            check.problem(&rule, "the brokers are not set here", "use kafka.brokers or --kafka");
        }
        if let Some(text) = check.text(&rule, Some(value)) {
            properties.push((name.clone(), text));
        }
    }
    let mut name = |rule: &str, value: &Option<Scalar>, signal: Signal| {
        let name =
            check.text(rule, value.as_ref()).unwrap_or_else(|| signal.default_topic().to_owned());
        topic_name(rule, &name, check);
        name
    };
    let logs_topic = name("kafka.topics.logs", &raw.topics.logs, Signal::Logs);
    let spans_topic = name("kafka.topics.spans", &raw.topics.spans, Signal::Spans);
    let metrics_topic = name("kafka.topics.metrics", &raw.topics.metrics, Signal::Metrics);
    let default = usize::try_from(limits::DEFAULT_PARTITIONS).unwrap_or(1);
    let partitions =
        check.count("kafka.partitions", raw.partitions.as_ref(), default, 1..=MAX_PARTITIONS);
    let mut taken = vec![logs_topic.clone(), spans_topic.clone(), metrics_topic.clone()];
    if logs_topic == spans_topic || spans_topic == metrics_topic || logs_topic == metrics_topic {
        check.problem(
            "kafka.topics",
            "two signals have the same topic",
            "give each signal its own",
        );
    }
    let mut sources = Vec::new();
    for (index, raw) in raw.sources.iter().enumerate() {
        let rule = format!("kafka.sources[{index}]");
        if let Some(topic) = source(&rule, raw, check) {
            if taken.contains(&topic.name) {
                let reason = format!("topic {:?} is already read", topic.name);
                check.problem(
                    &format!("{rule}.topic"),
                    reason,
                    "one topic, one signal, one format",
                );
            }
            taken.push(topic.name.clone());
            sources.push(topic);
        }
    }
    let partitions = i32::try_from(partitions).unwrap_or(limits::DEFAULT_PARTITIONS);
    Kafka { brokers, properties, logs_topic, spans_topic, metrics_topic, partitions, sources }
}

fn brokers(raw: &RawKafka, overrides: &Overrides, check: &mut Checker<'_>) -> Brokers {
    let listen = raw.embedded.as_ref().and_then(|embedded| embedded.listen.as_ref());
    let listen = check.address("kafka.embedded.listen", listen, loopback(9092));
    if let Some(brokers) = &overrides.kafka {
        if let Some(bad) = bad_broker(brokers) {
            check.push(Problem {
                file: None,
                line: None,
                column: None,
                rule: "--kafka".to_owned(),
                reason: format!("{bad:?} is no broker"),
                hint: "HOST:PORT, several separated by commas".to_owned(),
            });
        }
        return Brokers::Cluster(brokers.clone());
    }
    let Some(brokers) = check.text("kafka.brokers", raw.brokers.as_ref()) else {
        return Brokers::Embedded { listen };
    };
    if raw.embedded.is_some() {
        check.problem(
            "kafka.embedded",
            "both kafka.brokers and kafka.embedded are set",
            "keep kafka.brokers for a cluster, kafka.embedded for one process",
        );
    }
    if let Some(bad) = bad_broker(&brokers) {
        check.problem(
            "kafka.brokers",
            format!("{bad:?} is no broker"),
            "HOST:PORT, several separated by commas",
        );
    }
    Brokers::Cluster(brokers)
}

/// The first entry that is not `HOST:PORT`.
fn bad_broker(brokers: &str) -> Option<&str> {
    brokers.split(',').map(str::trim).find(|entry| {
        let port = entry.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        port.and_then(|(_, port)| port.parse::<u16>().ok()).is_none_or(|port| port == 0)
    })
}

/// Kafka's rule for topic names: 1 to 249 of letters, digits, `.`, `_`, `-`; neither `.` nor `..`.
fn topic_name(rule: &str, name: &str, check: &mut Checker<'_>) {
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let good =
        (1..=249).contains(&name.len()) && name.bytes().all(legal) && name != "." && name != "..";
    if !good {
        check.problem(
            rule,
            format!("{name:?} is no topic name"),
            "1 to 249 letters, digits, dots, underscores or dashes",
        );
    }
}

fn source(rule: &str, raw: &RawSource, check: &mut Checker<'_>) -> Option<Topic> {
    let name = check.text(&format!("{rule}.topic"), Some(&raw.topic))?;
    topic_name(&format!("{rule}.topic"), &name, check);
    let signal = Signal::ALL.into_iter().find(|signal| signal.as_str() == raw.signal.0);
    if signal.is_none() {
        let reason = format!("unknown signal {:?}", raw.signal.0);
        check.problem(&format!("{rule}.signal"), reason, "logs, spans or metrics");
    }
    let field = format!("{rule}.format");
    let format = match raw.format.0.parse::<Format>() {
        Ok(format) => Some(format),
        Err(error) => {
            check.problem(
                &field,
                error.to_string(),
                "the format of messages without a content-type header",
            );
            None
        }
    };
    let (signal, format) = (signal?, format?);
    if !format.carries(signal) {
        let fits: Vec<&str> = Format::ALL
            .into_iter()
            .filter(|format| format.carries(signal))
            .map(Format::as_str)
            .collect();
        let hint = format!("formats for {signal}: {}", fits.join(", "));
        check.problem(&field, format!("{format} messages hold no {signal}"), hint);
    }
    let mut wrong = Vec::new();
    let text = |value: &Option<Scalar>| value.as_ref().map(|value| value.0.clone());
    let written = InputConfig {
        envelope: text(&raw.envelope),
        multiline: raw.multiline.clone(),
        labels: Labels {
            source: text(&raw.source).unwrap_or_default(),
            service: text(&raw.service).unwrap_or_default(),
            tags: raw.tags.iter().map(|tag| tag.0.clone()).collect(),
        },
    };
    let input = compile(format, &written, &mut wrong);
    for error in wrong {
        let hint = "see kafka.sources in config/tidemill.yaml";
        check.problem(&format!("{rule}.{}", error.path), error.reason, hint);
    }
    Some(Topic { name, signal, input })
}

fn query(raw: &RawConfig, check: &mut Checker<'_>) -> Query {
    Query {
        http: check.address("query.http", raw.query.http.as_ref(), loopback(8080)),
        postgres: check.address("query.postgres", raw.query.postgres.as_ref(), loopback(5433)),
        memory_bytes: check.size(
            "query.memory",
            raw.query.memory.as_ref(),
            limits::QUERY_MEMORY_BYTES,
            16 << 20..=1 << 40,
        ),
        timeout: check.duration(
            "query.timeout",
            raw.query.timeout.as_ref(),
            Duration::from_secs(limits::QUERY_TIMEOUT_SECONDS),
            Duration::from_millis(100)..=Duration::from_secs(3_600),
        ),
        max_rows: check.count(
            "query.max_rows",
            raw.query.max_rows.as_ref(),
            limits::MAX_RESULT_ROWS,
            1..=10_000_000,
        ),
    }
}

fn worker(raw: &RawWorker, remote: bool, health: SocketAddr, check: &mut Checker<'_>) -> Worker {
    let epoch = if remote { limits::REMOTE_EPOCH_MILLIS } else { limits::LOCAL_EPOCH_MILLIS };
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    Worker {
        keep_raw: keep_raw(raw.keep_raw.as_ref(), check),
        epoch: check.duration(
            "worker.epoch",
            raw.epoch.as_ref(),
            Duration::from_millis(epoch),
            Duration::from_millis(100)..=Duration::from_secs(600),
        ),
        threads: check.count(
            "worker.threads",
            raw.threads.as_ref(),
            cores.min(MAX_THREADS),
            1..=MAX_THREADS,
        ),
        group: group_name("worker.group", raw.group.as_ref(), check),
        instance: match &raw.instance {
            None => default_instance(health),
            given => group_name("worker.instance", given.as_ref(), check),
        },
        session_timeout: check.duration(
            "worker.session_timeout",
            raw.session_timeout.as_ref(),
            Duration::from_secs(limits::SESSION_TIMEOUT_SECONDS),
            Duration::from_secs(6)..=Duration::from_secs(1_800),
        ),
    }
}

/// Which messages are kept as they came.
fn keep_raw(raw: Option<&Scalar>, check: &mut Checker<'_>) -> KeepRaw {
    let rule = "worker.keep_raw";
    match check.text(rule, raw).as_deref() {
        None | Some("none") => KeepRaw::Nothing,
        Some("excluded") => KeepRaw::Excluded,
        Some("all") => KeepRaw::Everything,
        Some(other) => {
            check.problem(
                rule,
                format!("{other:?} is none of the choices"),
                "none, excluded or all",
            );
            KeepRaw::Nothing
        }
    }
}

/// Names of groups and members as Kafka takes them; empty is none.
fn group_name(rule: &str, raw: Option<&Scalar>, check: &mut Checker<'_>) -> Option<String> {
    let name = check.text(rule, raw)?;
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.len() > 249 || !name.bytes().all(legal) {
        let reason = format!("{name:?} is no name in a group");
        check.problem(rule, reason, "up to 249 letters, digits, dots, underscores or dashes");
    }
    (!name.is_empty()).then_some(name)
}

/// Host and health port: no two processes of a host have the same. None where the system chooses the port.
fn default_instance(health: SocketAddr) -> Option<String> {
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok()?;
    let legal = |letter: char| letter.is_ascii_alphanumeric() || "._-".contains(letter);
    let host: String = host.trim().chars().filter(|letter| legal(*letter)).take(200).collect();
    (!host.is_empty() && health.port() != 0).then(|| format!("{host}-{}", health.port()))
}

/// Compiles `pipeline`, or the file or directory `pipeline_file` names (relative to the configuration's own).
/// The pipeline, and how long its indexes keep their logs.
fn pipeline(
    inline: bool,
    file: Option<&Scalar>,
    check: &mut Checker<'_>,
) -> (Arc<Pipeline>, BTreeMap<String, Duration>) {
    let rule = "pipeline_file";
    let loaded = match check.text(rule, file).map(|path| check.base().join(path)) {
        Some(path) => {
            if inline {
                check.problem(rule, "both pipeline and pipeline_file are set", "keep one of them");
            }
            crate::pipeline::load(&[path])
        }
        None if inline => {
            let (file, text) = check.whole();
            crate::pipeline::compile(&[(&file, text)])
        }
        None => crate::pipeline::load(&[]),
    };
    match loaded {
        Ok(loaded) => {
            let kept = super::upkeep::index_retention(&loaded.config.indexes);
            (Arc::new(loaded.pipeline), kept)
        }
        Err(problems) => {
            for problem in problems.0 {
                match problem.line {
                    Some(_) => check.push(problem),
                    // A file that can not be read at all: where it is named is the place.
                    None => check.problem(rule, problem.to_string(), problem.hint.clone()),
                }
            }
            (empty(), BTreeMap::new())
        }
    }
}

/// Stands in for a pipeline that was refused; the problem noted keeps it from ever running.
fn empty() -> Arc<Pipeline> {
    let default = stages::pipeline::config::Config::default();
    Arc::new(Pipeline::compile(&default).expect("the default pipeline compiles: it has no rule"))
}

/// Two listeners on one address would fail at start with a less helpful message.
fn distinct_listeners(config: &Config, check: &mut Checker<'_>) {
    let all = config.listeners();
    for (index, (setting, address)) in all.iter().enumerate() {
        let earlier =
            all.iter().take(index).find(|(_, other)| other == address && other.port() != 0);
        if let Some((other, _)) = earlier {
            check.problem(
                setting,
                format!("{address} is also the address of {other}"),
                "give each listener a port of its own",
            );
        }
    }
}
