//! The configuration in two steps: [`raw`] is what the user wrote, [`Config`] what was checked.
//!
//! Everything is checked before a port is bound, and everything that is wrong is said at once, each
//! with file, line, field, reason and fix. Precedence: flags and their environment variables, then
//! the file, then the defaults documented on each field here.

mod check;
mod files;
mod load;
mod locate;
mod problem;
mod raw;
mod tracking;
mod units;
mod upkeep;
mod validate;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

pub(crate) use files::Beside;
pub use load::{Overrides, from_text, load};
pub use problem::{Problem, Problems};
pub use tracking::{Monitor, Threshold, Tracking};

/// A checked configuration. Fields stay public: tests and the demo choose other ports.
#[derive(Debug, Clone)]
pub struct Config {
    /// `data_dir`: tables, commit log and embedded Kafka. Default `tidemill-data` in the working
    /// directory.
    pub data_dir: PathBuf,
    /// `storage`: where tables and commit log live. Default: `data_dir` itself.
    pub storage: stream::store::Config,
    /// `kafka`.
    pub kafka: Kafka,
    /// `intake`.
    pub intake: Intake,
    /// `query`.
    pub query: Query,
    /// `worker`.
    pub worker: Worker,
    /// `upkeep`, and `tables.TABLE.retention`.
    pub upkeep: stream::upkeep::Settings,
    /// `issues`, `notifications`, `monitors`.
    pub tracking: Tracking,
    /// `health.listen`: health of the process. Default 127.0.0.1:13133.
    pub health: SocketAddr,
    /// `shutdown_deadline`: longest drain, from the signal on. Default 30 s, 1 s to 10 min.
    pub shutdown_deadline: Duration,
    /// `pipeline` or `pipeline_file`, compiled. Default: everything is kept, in the index `main`.
    pub pipeline: Arc<stages::pipeline::Pipeline>,
}

/// Kafka: where, with which properties, which topics.
#[derive(Clone)]
pub struct Kafka {
    /// `kafka.brokers` or `--kafka`: a cluster; else `kafka.embedded`.
    pub brokers: Brokers,
    /// `kafka.properties`: further librdkafka properties (TLS, SASL). Values may be secrets.
    pub properties: Vec<(String, String)>,
    /// `kafka.topics.logs`. Default `tidemill.logs`.
    pub logs_topic: String,
    /// `kafka.topics.spans`. Default `tidemill.spans`.
    pub spans_topic: String,
    /// `kafka.topics.metrics`. Default `tidemill.metrics`.
    pub metrics_topic: String,
    /// `kafka.partitions`: partitions of a topic we create. Default 4, 1 to 1,024.
    pub partitions: i32,
    /// `kafka.sources`: users' own topics. Default none.
    pub sources: Vec<stream::worker::Topic>,
}

/// Shows no value of a property: it may be a password.
impl std::fmt::Debug for Kafka {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let names: Vec<&str> = self.properties.iter().map(|(name, _)| name.as_str()).collect();
        f.debug_struct("Kafka")
            .field("brokers", &self.brokers)
            .field("properties", &names)
            .field("topics", &[&self.logs_topic, &self.spans_topic, &self.metrics_topic])
            .field("partitions", &self.partitions)
            .field("sources", &self.sources)
            .finish()
    }
}

/// Which Kafka.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Brokers {
    /// Ours, in this process. `kafka.embedded.listen`, default 127.0.0.1:9092.
    Embedded {
        /// Where it listens.
        listen: SocketAddr,
    },
    /// A cluster: `host:port`, comma separated.
    Cluster(String),
}

/// Ports of the intake.
#[derive(Debug, Clone, Copy)]
pub struct Intake {
    /// `intake.datadog`: Datadog traces and logs. Default 127.0.0.1:8126.
    pub datadog: SocketAddr,
    /// `intake.otlp_grpc`. Default 127.0.0.1:4317.
    pub otlp_grpc: SocketAddr,
    /// `intake.otlp_http`. Default 127.0.0.1:4318.
    pub otlp_http: SocketAddr,
}

/// The query service.
#[derive(Debug, Clone, Copy)]
pub struct Query {
    /// `query.http`: the HTTP API. Default 127.0.0.1:8080.
    pub http: SocketAddr,
    /// `query.postgres`: PostgreSQL wire. Default 127.0.0.1:5433.
    pub postgres: SocketAddr,
    /// `query.memory`: bytes for all queries together. Default 2 GiB, 16 MiB to 1 TiB.
    pub memory_bytes: usize,
    /// `query.timeout`: longest run of one query. Default 60 s, 100 ms to 1 h.
    pub timeout: Duration,
    /// `query.max_rows`: rows of one answer. Default 100,000, 1 to 10,000,000.
    pub max_rows: usize,
}

/// The worker.
#[derive(Debug, Clone)]
pub struct Worker {
    /// `worker.keep_raw`: which messages are kept as they came, in table `raw_messages`. Default none.
    pub keep_raw: stream::lane::KeepRaw,
    /// `worker.epoch`: longest time between two units, so the freshness of the tables. Default 5 s on
    /// a local directory, 30 s on an object store; 100 ms to 10 min.
    pub epoch: Duration,
    /// `worker.threads`: threads that decode and run stages. Default one per core, 1 to 256.
    pub threads: usize,
    /// `worker.group`: the Kafka consumer group whose members share the topics. Default: one per store.
    pub group: Option<String>,
    /// `worker.instance`: this worker's name in the group, the same after a restart and nobody else's. Default
    /// the host's name and the port of `health.listen`; empty: a new member at every start.
    pub instance: Option<String>,
    /// `worker.session_timeout`: how long the group waits for a silent worker. Default 45 s, 6 s to 30 min.
    pub session_timeout: Duration,
}

impl Config {
    /// Topics the worker reads: our own three, then the user's.
    pub fn worker_topics(&self) -> Vec<stream::worker::Topic> {
        use schemas::topic::{Format, Signal};
        let own = [
            (&self.kafka.logs_topic, Signal::Logs, Format::Json),
            (&self.kafka.spans_topic, Signal::Spans, Format::OtlpProto),
            (&self.kafka.metrics_topic, Signal::Metrics, Format::OtlpProto),
        ];
        // The intake names its format in a header; the format here is for producers that do not.
        own.into_iter()
            .map(|(name, signal, format)| stream::worker::Topic {
                name: name.clone(),
                signal,
                input: format.into(),
            })
            .chain(self.kafka.sources.iter().cloned())
            .collect()
    }

    /// The Kafka side of the intake, with the brokers as known after the start of the embedded one.
    pub fn producer(&self, brokers: String) -> ingest::kafka::Config {
        ingest::kafka::Config {
            brokers,
            properties: self.kafka.properties.clone(),
            logs_topic: self.kafka.logs_topic.clone(),
            spans_topic: self.kafka.spans_topic.clone(),
            metrics_topic: self.kafka.metrics_topic.clone(),
        }
    }

    /// The directory of a local store; `None` for an object store.
    pub fn local_store(&self) -> Option<PathBuf> {
        units::local_path(&self.storage.url)
    }

    /// Every address this configuration listens on, by the name of its setting.
    pub fn listeners(&self) -> Vec<(&'static str, SocketAddr)> {
        let mut all = vec![
            ("intake.datadog", self.intake.datadog),
            ("intake.otlp_grpc", self.intake.otlp_grpc),
            ("intake.otlp_http", self.intake.otlp_http),
            ("query.http", self.query.http),
            ("query.postgres", self.query.postgres),
            ("health.listen", self.health),
        ];
        if let Brokers::Embedded { listen } = self.kafka.brokers {
            all.push(("kafka.embedded.listen", listen));
        }
        all
    }
}
