//! The command line, as typed. Meaning is given to it in [`crate::commands`].

mod import;
mod issues;
mod replay;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub use import::ImportArgs;
pub use issues::{
    IssueDecideArgs, IssueExplainArgs, IssueListArgs, IssueMergeArgs, IssueShowArgs,
    IssueSplitArgs, IssueStateArgs, IssuesCommand, PlaceArgs,
};
pub use replay::{ReplayArgs, ReplayCommand, ReplayPlace, RestoreArgs};

/// Self-hosted streaming analytics for telemetry: agents and SDKs in, Kafka, Delta tables, SQL out.
#[derive(Debug, Parser)]
#[command(name = "tidemill", version, max_term_width = 100, after_help = AFTER_HELP)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

const AFTER_HELP: &str = "\
Start here:
  tidemill up                        everything in one process, data in ./tidemill-data
  tidemill sql \"SELECT service, count(*) FROM spans GROUP BY 1\"
  curl http://127.0.0.1:13133/       200 when ready, 503 while starting or draining

Default ports, all on 127.0.0.1:
  8126 Datadog traces and logs   4317 OTLP gRPC   4318 OTLP HTTP   9092 embedded Kafka
  8080 HTTP API                  5433 PostgreSQL  13133 health

Exit status: 0 done, 1 failed while running, 2 wrong command line or configuration,
3 could not start (a port in use, a locked data directory, Kafka away), 4 an operator has to decide
(the message names the command), 130 drain cut short.
Messages go to standard error; TIDEMILL_LOG=debug shows more.";

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run everything in one process: Kafka (unless --kafka), worker, intake, query
    Up(RunArgs),
    /// Run the intake alone: agents and SDKs into Kafka
    Ingest(RunArgs),
    /// Run the stream worker alone: Kafka into tables
    Worker(RunArgs),
    /// Run the query service alone: SQL over the tables
    Query(RunArgs),
    /// Ask a question in SQL: of the running service, or of the tables when none runs
    Sql(SqlArgs),
    /// Prove from the tables that nothing was lost and nothing is there twice
    Audit(AuditArgs),
    /// Check the commit log, the tables and their files against one another
    Fsck(FsckArgs),
    /// Send dead letters through again after a fix, each once
    Redrive(RedriveArgs),
    /// Take history through the pipeline again, and swap the result in at once
    Replay(Box<ReplayArgs>),
    /// Bring files of logs in: a directory, a bucket, plain or compressed
    Import(Box<ImportArgs>),
    /// Bring excluded logs back into the index
    Restore(Box<RestoreArgs>),
    /// Do the upkeep of the tables by hand: compaction, retention, deletion of garbage
    Maintain(MaintainArgs),
    /// Decide what the worker can not decide by itself
    #[command(subcommand)]
    Operator(OperatorCommand),
    /// Write, check and try a log pipeline, in our YAML, Datadog's JSON or an integration's YAML
    #[command(subcommand)]
    Pipeline(PipelineCommand),
    /// Look at issues, and decide about them
    #[command(subcommand)]
    Issues(IssuesCommand),
    /// Look at a configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Show the product: a small shop's telemetry in, six checked answers out
    Demo(DemoArgs),
}

/// What every role takes.
#[derive(Debug, Clone, Default, Args)]
pub struct RunArgs {
    /// Directory of tables, commit log and embedded Kafka [default: tidemill-data]
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file (YAML); without it every setting has its default
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Use this Kafka cluster instead of the embedded one
    #[arg(long, value_name = "HOST:PORT", env = "TIDEMILL_KAFKA_BROKERS")]
    pub kafka: Option<String>,
}

/// `tidemill sql`.
#[derive(Debug, Clone, Args)]
pub struct SqlArgs {
    /// How to print the answer; json, csv and arrow are exact and meant for programs
    #[arg(long, value_enum, default_value_t = SqlFormat::Table)]
    pub format: SqlFormat,
    /// Data directory: its running service is asked, or, when none runs, its tables are read
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for query.http and storage
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Ask the service at this address [default: query.http, http://127.0.0.1:8080]
    #[arg(long, value_name = "URL", env = "TIDEMILL_URL")]
    pub url: Option<String>,
    /// The query; `-` reads it from standard input
    #[arg(value_name = "SELECT")]
    pub sql: String,
}

/// Formats of an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SqlFormat {
    /// For people; fits the terminal.
    Table,
    /// The body of the HTTP API: columns, rows, meta.
    Json,
    /// RFC 4180, with a header line.
    Csv,
    /// Arrow IPC stream.
    Arrow,
}

impl SqlFormat {
    /// The name the HTTP API knows it by; a table is drawn here, from JSON.
    pub fn api_name(self) -> &'static str {
        match self {
            SqlFormat::Table | SqlFormat::Json => "json",
            SqlFormat::Csv => "csv",
            SqlFormat::Arrow => "arrow",
        }
    }
}

/// `tidemill audit`.
#[derive(Debug, Clone, Args)]
#[command(after_help = AUDIT_HELP)]
pub struct AuditArgs {
    /// Data directory; may be in use by a running engine
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for storage and query.memory
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Only units received at or after this time: 2026-03-02T00:00:00Z, 2026-03-02, or 6h (ago)
    #[arg(long, value_name = "TIME")]
    pub from: Option<String>,
    /// Only units received before this time
    #[arg(long, value_name = "TIME")]
    pub to: Option<String>,
    /// How to print the findings
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
}

const AUDIT_HELP: &str = "\
For every topic partition: the units' offset ranges follow one another without gap or overlap,
received = indexed + excluded + dead letters in each, the tables hold exactly these rows, none twice.

Exit status: 0 proven, 1 violated (the findings say where), 2 could not be checked, or not to the
end: an engine was stopped hard, and some tables do not have its last units yet. It publishes them
at its next start.";

/// `tidemill fsck`.
#[derive(Debug, Clone, Args)]
#[command(after_help = FSCK_HELP)]
pub struct FsckArgs {
    /// Data directory; may be in use by a running engine
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for storage
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
}

const FSCK_HELP: &str = "\
The log is one chain and its snapshots fit it, every file is named once, each table contains exactly
what the log says, every file is there. Nothing is changed.

Exit status: 0 sound, 1 problems (each with its place), 2 could not be checked.";

/// `tidemill redrive`.
#[derive(Debug, Clone, Args)]
#[command(after_help = REDRIVE_HELP)]
pub struct RedriveArgs {
    /// Only letters of this topic
    #[arg(long)]
    pub topic: Option<String>,
    /// Only letters refused for this reason
    #[arg(long = "letters", value_name = "REASON")]
    pub letter_reason: Option<String>,
    /// Only letters this SQL condition on table dead_letters holds for
    #[arg(long = "where", value_name = "SQL")]
    pub filter: Option<String>,
    /// Say what would be sent, and send nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Finish a run that was killed: what has arrived is not sent again
    #[arg(long, conflicts_with_all = ["topic", "letter_reason", "filter", "dry_run"])]
    pub resume: bool,
    /// Use this Kafka cluster instead of the configured one
    #[arg(long, value_name = "HOST:PORT", env = "TIDEMILL_KAFKA_BROKERS")]
    pub kafka: Option<String>,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
    /// Who does it, and why.
    #[command(flatten)]
    pub decide: DecideArgs,
}

const REDRIVE_HELP: &str = "\
A letter that was sent again has a ledger row with the action `redriven`, and is not chosen another
time. Kafka must be reachable and a worker running; one run at a time.

  tidemill redrive --letters malformed_json --reason \"decoder fixed\" --dry-run
  tidemill redrive --where \"timestamp > '2026-03-01'\" --reason \"decoder fixed\"

Exit status: 0 done, 1 not sent or not recorded (the message says how to go on).";

/// `tidemill operator ...`.
#[derive(Debug, Subcommand)]
pub enum OperatorCommand {
    /// Accept that offsets are lost; reading goes on after them, the ledger says so
    AcceptGap(GapArgs),
    /// Begin a new commit log where the tables stand, after the old one was lost
    Adopt(DecideArgs),
    /// The workers of this store are in another Kafka consumer group from now on
    AdoptGroup(GroupArgs),
}

/// What every decision needs.
#[derive(Debug, Clone, Args)]
pub struct DecideArgs {
    /// Data directory; a running `tidemill up` goes on by itself after the decision
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for storage and kafka
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// Why; recorded for good
    #[arg(long, value_name = "TEXT")]
    pub reason: String,
    /// Who decides; recorded for good [default: the user's name]
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub by: String,
}

/// `tidemill operator accept-gap`.
#[derive(Debug, Clone, Args)]
pub struct GapArgs {
    /// The topic
    #[arg(long)]
    pub topic: String,
    /// The partition
    #[arg(long)]
    pub partition: i32,
    /// First offset to read again [default: the oldest one Kafka still has]
    #[arg(long, value_name = "OFFSET")]
    pub to: Option<i64>,
    /// Use this Kafka cluster instead of the configured one
    #[arg(long, value_name = "HOST:PORT", env = "TIDEMILL_KAFKA_BROKERS")]
    pub kafka: Option<String>,
    /// Who decides, and why.
    #[command(flatten)]
    pub decide: DecideArgs,
}

/// `tidemill operator adopt-group`.
#[derive(Debug, Clone, Args)]
pub struct GroupArgs {
    /// The group, as the refusal names it: worker.group, or the default
    #[arg(long, value_name = "NAME")]
    pub group: String,
    /// Who decides, and why.
    #[command(flatten)]
    pub decide: DecideArgs,
}

/// `tidemill maintain`.
#[derive(Debug, Clone, Args)]
#[command(after_help = MAINTAIN_HELP)]
pub struct MaintainArgs {
    /// One pass, then end; without it a pass every upkeep.interval until Ctrl-C
    #[arg(long)]
    pub once: bool,
    /// Only this table; may be given several times
    #[arg(long = "table", value_name = "TABLE", value_parser = table_name)]
    pub tables: Vec<schemas::table::Table>,
    /// Say what would be done, and change nothing
    #[arg(long)]
    pub dry_run: bool,
    /// How to print what was done
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
    /// Directory of tables and commit log [default: tidemill-data]
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for storage, upkeep and tables
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
}

const MAINTAIN_HELP: &str = "\
Small files of closed hours become few large sorted ones, hours past `tables.TABLE.retention` leave
their table, files that nothing has referred to for `upkeep.keep_removed` are deleted. A worker does
the same by itself; both at once are safe. Ctrl-C ends a pass at the next safe point.

  tidemill maintain --once --dry-run
  tidemill maintain --once --table logs

Exit status: 0 all done, 1 something was left (the report says why), 3 storage can not be read.";

fn table_name(text: &str) -> Result<schemas::table::Table, String> {
    let names = || schemas::table::Table::ALL.map(schemas::table::Table::name).join(", ");
    schemas::table::Table::from_name(text).ok_or_else(|| format!("one of {}", names()))
}

/// Formats of a report.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReportFormat {
    /// For people; fits the terminal.
    Table,
    /// For programs: one JSON object.
    Json,
}

/// `tidemill config ...`.
#[derive(Debug, Subcommand)]
pub enum ConfigCommand {
    /// Check a configuration without starting anything; every problem with file, line, field, fix
    Check {
        /// The configuration file
        #[arg(value_name = "FILE")]
        file: PathBuf,
    },
}

/// `tidemill pipeline ...`.
#[derive(Debug, Subcommand)]
pub enum PipelineCommand {
    /// Take logs from standard input through a pipeline: one log a line, one JSON object a line
    Run(PipelineRunArgs),
    /// Check pipeline files; every problem with file, line, column, rule, reason
    Check(PipelineCheckArgs),
    /// Run test cases, as Datadog's integrations ship them
    Test(PipelineTestArgs),
    /// Convert any form to our own YAML
    Import(PipelineImportArgs),
    /// List the versions that made the rows there are, or show one
    Versions(PipelineVersionsArgs),
    /// List the ready-made pipelines, which a configuration takes by `include: [NAME]`
    List,
    /// Print a ready-made pipeline
    Show {
        /// Its name
        name: String,
        /// Print its test cases instead
        #[arg(long)]
        tests: bool,
    },
}

/// `tidemill pipeline run`.
#[derive(Debug, Clone, Args)]
#[command(after_help = PIPELINE_RUN_HELP)]
pub struct PipelineRunArgs {
    /// Pipeline file or directory, in any form; several together are one configuration [default: keep everything]
    #[arg(long, value_name = "FILE")]
    pub config: Vec<PathBuf>,
    /// What each step did to each log, and its time: text on standard error, or in each line (json)
    #[arg(long, value_enum, num_args = 0..=1, require_equals = true, default_missing_value = "text", value_name = "FORMAT")]
    pub explain: Option<ExplainFormat>,
    /// When the logs count as received, for those without a time of their own [default: now]
    #[arg(long, value_name = "TIME")]
    pub received: Option<String>,
    /// What is wrapped around the logs: auto, docker, cri, syslog, kubernetes, datadog
    #[arg(long, value_name = "NAME")]
    pub envelope: Option<String>,
    /// Which lines are one log: auto (stack traces), or a regular expression that the first line of a log matches
    #[arg(long, value_name = "auto|REGEX")]
    pub multiline: Option<String>,
}

const PIPELINE_RUN_HELP: &str = "\
A line is a JSON object (or an array of them) as Datadog's intake takes it, or raw text. Each log is answered with

  {\"event\": {...}, \"index\": NAME or null, \"excluded_by\": RULE or null, \"metrics\": [...], \"errors\": [...]}

  tidemill pipeline run --config pipelines.json --config indexes.json < app.log
  tail -f app.log | tidemill pipeline run --config pipelines/ --explain > /dev/null";

/// Formats of `--explain`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExplainFormat {
    /// For people, on standard error.
    Text,
    /// For programs: `explain` in each line, the times as one object on standard error.
    Json,
}

/// `tidemill pipeline check`.
#[derive(Debug, Clone, Args)]
pub struct PipelineCheckArgs {
    /// Pipeline files and directories; together they are one configuration
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// How to print what was found
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
}

/// `tidemill pipeline test`.
#[derive(Debug, Clone, Args)]
#[command(
    after_help = "Exit status: 0 all cases hold, 1 some do not, 2 a pipeline or its cases were refused."
)]
pub struct PipelineTestArgs {
    /// Pipeline file, or a directory below which every NAME.yaml with NAME_tests.yaml is tried
    #[arg(value_name = "PIPELINE")]
    pub pipeline: PathBuf,
    /// Its cases [default: NAME_tests.yaml beside it]
    #[arg(value_name = "TESTS")]
    pub tests: Option<PathBuf>,
    /// When the samples count as received: the year of dates without one [default: the beginning of 1971, as published cases have it]
    #[arg(long, value_name = "TIME")]
    pub received: Option<String>,
    /// How to print the outcome
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
}

/// `tidemill pipeline import`.
#[derive(Debug, Clone, Args)]
pub struct PipelineImportArgs {
    /// Pipeline files and directories, in any form
    #[arg(value_name = "FILE", required = true)]
    pub files: Vec<PathBuf>,
    /// Where to write [default: standard output]
    #[arg(long, short, value_name = "FILE")]
    pub output: Option<PathBuf>,
}

/// `tidemill pipeline versions`.
#[derive(Debug, Clone, Args)]
pub struct PipelineVersionsArgs {
    /// Show this version, as our own YAML
    #[arg(long, value_name = "VERSION")]
    pub show: Option<String>,
    /// Data directory; may be in use by a running engine
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for storage
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
    /// How to print the list
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
}

/// `tidemill demo`.
#[derive(Debug, Clone, Default, Args)]
pub struct DemoArgs {
    /// End after the answers, with status 0 only if all of them are right
    #[arg(long)]
    pub exit: bool,
    /// Where to put the data [default: a new directory below the system's temporary one]
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Use ports that are free instead of the default ones
    #[arg(long)]
    pub free_ports: bool,
    /// Seed of the shop's traffic: the same seed tells the same story
    #[arg(long, default_value_t = 7)]
    pub seed: u64,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_documented_forms_parse() {
        for line in [
            "tidemill up",
            "tidemill up --data-dir d --config c.yaml --kafka k:9092",
            "tidemill ingest --kafka k:9092",
            "tidemill worker",
            "tidemill query",
            "tidemill config check f.yaml",
            "tidemill redrive --reason r --letters malformed_json --topic t --dry-run",
            "tidemill redrive --reason r --resume",
            "tidemill fsck --data-dir d --format json",
            "tidemill replay --from 2d --to 2026-03-02 --pipeline p.yaml --dry-run --topic a --topic b",
            "tidemill replay --from-offset 5 --to-offset 9 --partition 1 --no-diff --threads 2",
            "tidemill replay --resume 0123456789ab --data-dir d --format json",
            "tidemill replay --archive /var/log/old/ --name old --content text --envelope docker --dry-run",
            "tidemill replay list --data-dir d",
            "tidemill restore --from 2d --to 1d --query status:error --topic t --dry-run",
            "tidemill replay drop 0123456789ab --config c.yaml",
            "tidemill operator accept-gap --topic t --partition 0 --to 7 --reason r --by me",
            "tidemill operator adopt --reason r --data-dir d",
            "tidemill operator adopt-group --group g --reason r",
            "tidemill issues list --state all --service s --order users --limit 5 --format json",
            "tidemill issues resolve ID --by me --data-dir d",
            "tidemill issues merge A B C",
            "tidemill issues explain A B",
            "tidemill issues split A B --reason r",
            "tidemill audit --data-dir d --from 6h --to 2026-03-02T00:00:00Z --format json",
            "tidemill pipeline run --config a.json --config b --explain=json --received 0",
            "tidemill pipeline run --explain",
            "tidemill pipeline check a b",
            "tidemill pipeline test p.yaml t.yaml --format json",
            "tidemill pipeline import a.json -o b.yaml",
            "tidemill demo --exit",
        ] {
            Cli::try_parse_from(line.split(' ')).expect(line);
        }
        let sql = ["tidemill", "sql", "--format", "csv", "--data-dir", "d", "SELECT 1"];
        let Command::Sql(args) = Cli::try_parse_from(sql).expect("sql").command else {
            panic!("not sql")
        };
        assert_eq!((args.format, args.sql.as_str()), (SqlFormat::Csv, "SELECT 1"));
        assert!(Cli::try_parse_from(["tidemill", "sql", "--format", "xml", "SELECT 1"]).is_err());
    }
}
