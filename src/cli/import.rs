//! `tidemill import`, as typed.

use std::path::PathBuf;

use clap::Args;

/// `tidemill import`.
#[derive(Debug, Clone, Args)]
#[command(after_help = IMPORT_HELP)]
pub struct ImportArgs {
    /// A file, a directory, or s3://bucket/prefix
    #[arg(value_name = "PATH")]
    pub path: String,
    /// What the files hold: text, jsonl, json, csv, parquet, otlp_json [default: found out for each]
    #[arg(long, value_name = "CONTENT")]
    pub content: Option<String>,
    /// What is around the logs: none, auto, docker, cri, syslog, kubernetes, datadog
    #[arg(long, value_name = "ENVELOPE", default_value = "auto")]
    pub envelope: String,
    /// Which lines are one log: lines, auto, or a regular expression that its first line matches
    #[arg(long, value_name = "RULE", default_value = "lines")]
    pub multiline: String,
    /// The source of logs that do not say theirs: it chooses the pipeline
    #[arg(long, value_name = "NAME")]
    pub source: Option<String>,
    /// The service of logs that do not say theirs
    #[arg(long, value_name = "NAME")]
    pub service: Option<String>,
    /// A tag for all logs, `key:value`; may be repeated
    #[arg(long = "tag", value_name = "TAG")]
    pub tags: Vec<String>,
    /// Only files that may hold logs from this time on, where paths say their hour (RFC 3339)
    #[arg(long, value_name = "TIME", requires = "to")]
    pub from: Option<String>,
    /// Only files that may hold logs before this time
    #[arg(long, value_name = "TIME", requires = "from")]
    pub to: Option<String>,
    /// Read and count, send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Import again what was imported before
    #[arg(long)]
    pub again: bool,
    /// Use this Kafka cluster instead of the configured one
    #[arg(long, value_name = "HOST:PORT", env = "TIDEMILL_KAFKA_BROKERS")]
    pub kafka: Option<String>,
    /// Data directory; holds how far an import is
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
}

const IMPORT_HELP: &str = "\
Files go through Kafka as all logs do, so Kafka must be reachable and a worker running. Logs get their own time, else the
one in their file's path, else when the file was written. An import that was stopped goes on where it was; what was sent
and not yet written down, 4 MiB at most, is sent again.

  tidemill import /var/log/nginx --source nginx --service web
  tidemill import s3://archive/dd --from 2024-05-01T00:00:00Z --to 2024-05-02T00:00:00Z";
