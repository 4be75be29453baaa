//! `tidemill issues`, as typed.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::ReportFormat;

/// `tidemill issues ...`.
#[derive(Debug, Subcommand)]
#[command(after_help = ISSUES_HELP)]
pub enum IssuesCommand {
    /// Issues, those with most errors first
    List(IssueListArgs),
    /// All that is known of one, as JSON
    Show(IssueShowArgs),
    /// Say which rule and which frames made an issue of its errors; with two, why they are or are not one
    Explain(IssueExplainArgs),
    /// Say that you have seen it
    Review(IssueStateArgs),
    /// Say that it is mended: an error in a newer version brings it back
    Resolve(IssueStateArgs),
    /// Tell nobody of it any more; it still counts
    Ignore(IssueStateArgs),
    /// Keep it out of sight
    Exclude(IssueStateArgs),
    /// Ask for somebody to look at it again
    Reopen(IssueStateArgs),
    /// Make issues parts of one
    Merge(IssueMergeArgs),
    /// Take what came under one of an issue's ids out of it again
    Split(IssueSplitArgs),
}

const ISSUES_HELP: &str = "\
The errors themselves, with all their attributes: table error_events, by issue_id; what became of
issues: table error_issue_history, and error_issues as they are now.

  tidemill issues list --service checkout
  tidemill issues resolve ID --reason \"fixed in 2.1\"
  tidemill sql \"SELECT * FROM error_events WHERE issue_id = 'ID' AND context LIMIT 5\"

Exit status: 0 done, 1 there is no such issue or it can not be decided, 2 wrong command line.";

/// Where the issues are.
#[derive(Debug, Clone, Args)]
pub struct PlaceArgs {
    /// Data directory; may be in use by a running engine
    #[arg(long, value_name = "DIR", env = "TIDEMILL_DATA_DIR")]
    pub data_dir: Option<PathBuf>,
    /// Configuration file, for storage
    #[arg(long, value_name = "FILE", env = "TIDEMILL_CONFIG")]
    pub config: Option<PathBuf>,
}

/// `tidemill issues list`.
#[derive(Debug, Clone, Args)]
pub struct IssueListArgs {
    /// for_review, reviewed, ignored, resolved, excluded or all [default: for_review and reviewed]
    #[arg(long)]
    pub state: Option<String>,
    /// Only of this service
    #[arg(long)]
    pub service: Option<String>,
    /// events, last_seen, first_seen or users
    #[arg(long)]
    pub order: Option<String>,
    /// At most so many [default: 100]
    #[arg(long)]
    pub limit: Option<usize>,
    /// How to print them
    #[arg(long, value_enum, default_value_t = ReportFormat::Table)]
    pub format: ReportFormat,
    /// Where they are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `tidemill issues show`.
#[derive(Debug, Clone, Args)]
pub struct IssueShowArgs {
    /// Its id, or one it stands for
    #[arg(value_name = "ID")]
    pub issue: String,
    /// Where it is.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `tidemill issues explain`.
#[derive(Debug, Clone, Args)]
pub struct IssueExplainArgs {
    /// An issue's id, or one it stands for
    #[arg(value_name = "ID")]
    pub issue: String,
    /// Another one
    #[arg(value_name = "OTHER")]
    pub other: Option<String>,
    /// Where they are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// Who decides about issues, and why.
#[derive(Debug, Clone, Args)]
pub struct IssueDecideArgs {
    /// Why; recorded for good
    #[arg(long, value_name = "TEXT", default_value = "")]
    pub reason: String,
    /// Who decides; recorded for good [default: the user's name]
    #[arg(long, value_name = "NAME", env = "USER", default_value = "unknown")]
    pub by: String,
    /// Where they are.
    #[command(flatten)]
    pub place: PlaceArgs,
}

/// `tidemill issues resolve` and the like.
#[derive(Debug, Clone, Args)]
pub struct IssueStateArgs {
    /// Its id, or one it stands for
    #[arg(value_name = "ID")]
    pub issue: String,
    /// Who decides, and why.
    #[command(flatten)]
    pub decide: IssueDecideArgs,
}

/// `tidemill issues merge`.
#[derive(Debug, Clone, Args)]
pub struct IssueMergeArgs {
    /// The one that stays
    #[arg(value_name = "ID")]
    pub into: String,
    /// Those that become parts of it
    #[arg(value_name = "ID", required = true)]
    pub issues: Vec<String>,
    /// Who decides, and why.
    #[command(flatten)]
    pub decide: IssueDecideArgs,
}

/// `tidemill issues split`.
#[derive(Debug, Clone, Args)]
pub struct IssueSplitArgs {
    /// The issue
    #[arg(value_name = "ID")]
    pub issue: String,
    /// One of its `aliases`
    #[arg(value_name = "ALIAS")]
    pub alias: String,
    /// Who decides, and why.
    #[command(flatten)]
    pub decide: IssueDecideArgs,
}
