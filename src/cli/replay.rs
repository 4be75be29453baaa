//! The command line of replays: history through the pipeline again, or back into the index.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ReportFormat;

/// `tidemill replay`.
#[derive(Debug, Clone, Args)]
#[command(args_conflicts_with_subcommands = true, after_help = REPLAY_HELP)]
pub struct ReplayArgs {
    /// Look at replays, or drop one
    #[command(subcommand)]
    pub command: Option<ReplayCommand>,
    /// Only this topic; may be given several times [default: all topics with logs]
    #[arg(long = "topic")]
    pub topics: Vec<String>,
    /// Only this partition
    #[arg(long)]
    pub partition: Option<i32>,
    /// Messages received at or after this time: 2026-03-02T00:00:00Z, 2026-03-02, or 6h (ago)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Messages received before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Offsets from this one on
    #[arg(long, value_name = "OFFSET", conflicts_with = "from")]
    pub from_offset: Option<i64>,
    /// Offsets before this one
    #[arg(long, value_name = "OFFSET", conflicts_with = "to")]
    pub to_offset: Option<i64>,
    /// Read files instead of Kafka: a file, a directory, or s3://bucket/prefix/; what was read under the same
    /// --name before is replaced
    #[arg(long, value_name = "PATH", requires = "name", conflicts_with_all = ["topics", "partition", "from", "to", "from_offset", "to_offset", "resume"])]
    pub archive: Option<String>,
    /// What the archive is called: its rows have the topic archive:NAME
    #[arg(long, requires = "archive")]
    pub name: Option<String>,
    /// What its files hold: text, jsonl, json, csv, parquet, otlp_json [default: found out per file]
    #[arg(long, requires = "archive")]
    pub content: Option<String>,
    /// What is wrapped around the logs [default: auto]
    #[arg(long, requires = "archive")]
    pub envelope: Option<String>,
    /// Read the messages from table raw_messages instead of Kafka: with worker.keep_raw: all
    #[arg(long, conflicts_with_all = ["archive", "resume"])]
    pub raw: bool,
    /// Pipeline to use: a file, or a version that `tidemill pipeline versions` lists [default: the configuration's]
    #[arg(long, value_name = "FILE|VERSION")]
    pub pipeline: Option<PathBuf>,
    /// Do everything but the swap, and say what it would change; --resume ID swaps exactly that
    #[arg(long)]
    pub dry_run: bool,
    /// Do not compare rows field by field: faster, and the report has numbers of rows only
    #[arg(long)]
    pub no_diff: bool,
    /// Go on with this replay: after a kill, or after --dry-run
    #[arg(long, value_name = "ID", conflicts_with_all = ["topics", "partition", "from", "to", "from_offset", "to_offset", "pipeline", "no_diff"])]
    pub resume: Option<String>,
    /// Units worked on at once [default: worker.threads]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Use this Kafka cluster instead of the configured one
    #[arg(long, value_name = "HOST:PORT", env = "TIDEMILL_KAFKA_BROKERS")]
    pub kafka: Option<String>,
    /// Where, and how to print.
    #[command(flatten)]
    pub place: ReplayPlace,
}

/// `tidemill restore`.
#[derive(Debug, Clone, Args)]
#[command(after_help = RESTORE_HELP)]
pub struct RestoreArgs {
    /// Which of them, in search syntax: service:web status:error
    #[arg(long)]
    pub query: String,
    /// Read the messages from table raw_messages instead of Kafka: with worker.keep_raw: excluded or all
    #[arg(long)]
    pub raw: bool,
    /// Messages received at or after this time: 2026-03-02T00:00:00Z, 2026-03-02, or 6h (ago)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Messages received before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// Only this topic; may be given several times [default: all topics with logs]
    #[arg(long = "topic")]
    pub topics: Vec<String>,
    /// Only this partition
    #[arg(long)]
    pub partition: Option<i32>,
    /// Say what would come back; `tidemill replay --resume ID` brings back exactly that
    #[arg(long)]
    pub dry_run: bool,
    /// Units worked on at once [default: worker.threads]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Use this Kafka cluster instead of the configured one
    #[arg(long, value_name = "HOST:PORT", env = "TIDEMILL_KAFKA_BROKERS")]
    pub kafka: Option<String>,
    /// Where, and how to print.
    #[command(flatten)]
    pub place: ReplayPlace,
}

const RESTORE_HELP: &str = "\
Messages of ranges with excluded events are read again from Kafka, and taken through the configured
pipeline. What it excludes, what matches, and what no table has becomes a row of `logs`; the ledger counts it
as indexed, and as `restored` by the rule that had dropped it. Nothing else changes.

  tidemill restore --from 2d --query 'service:checkout status:error' --dry-run

It is a replay: after a kill go on with `tidemill replay --resume ID`; `tidemill replay list` shows it.";

/// `tidemill replay ...`.
#[derive(Debug, Clone, Subcommand)]
pub enum ReplayCommand {
    /// The replays there are
    List(ReplayPlace),
    /// Forget a replay, and delete what it staged if it was not swapped in
    Drop {
        /// The replay
        id: String,
        /// Where.
        #[command(flatten)]
        place: ReplayPlace,
    },
}

/// Where the data is, and how to print.
#[derive(Debug, Clone, Args)]
pub struct ReplayPlace {
    /// Data directory; may be in use by a running engine
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for storage, kafka and pipeline
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print the report
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
}

const REPLAY_HELP: &str = "\
Messages are read again from Kafka, beside a running engine and apart from it. The range is widened to
whole units of the ledger and fixed. Rows, metrics, dead letters and ledger of exactly these offsets are
then replaced at once; whatever else lies in the same files stays. Kill it whenever you like.

  tidemill replay --from 2026-03-01 --to 2026-03-02 --pipeline fixed.yaml --dry-run
  tidemill replay --archive /backup/2021/ --name 2021
  tidemill replay --resume ID          # swap in what --dry-run has shown, or go on after a kill
  tidemill replay drop ID

Files are plain or compressed: .log, .jsonl, .json, .csv, Parquet; gzip, zstd. Events keep their own time.

Exit status: 0 done, 1 not done and nothing changed (the message says why), 2 wrong command line or
pipeline, 3 Kafka or storage away.";
