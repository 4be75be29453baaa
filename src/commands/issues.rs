//! `tidemill issues ...`: what is known of issues, and decisions about them; beside a running engine or without
//! one, which follows the decisions when it starts.

use std::sync::Arc;

use issues::decision::Decision;
use issues::issue::{Issue, State};
use issues::tracker::Tracker;
use object_store::ObjectStore;
use query::engine::{Engine, Options};
use serde_json::{Value, json};
use stream::issues::desk::DeskError;
use stream::operator::Decider;

use super::draw;
use crate::api::{Column, Rows};
use crate::cli::{IssueExplainArgs, IssuesCommand, PlaceArgs, ReportFormat};
use crate::config::{self, Config, Overrides, Problems};
use crate::exit;
use crate::issue_desk::explain::{ExplainError, explain};
use crate::issue_desk::{self, BadRequest, Wanted};

/// Why nothing was shown or decided.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Config(Problems),
    #[error(transparent)]
    Store(#[from] stream::store::Error),
    #[error(transparent)]
    Desk(#[from] DeskError),
    #[error(transparent)]
    Wanted(#[from] BadRequest),
    #[error(transparent)]
    Explain(#[from] ExplainError),
    #[error("there is no issue {0}; `tidemill issues list --state all` shows them")]
    Unknown(String),
}

impl Refusal {
    fn exit_code(&self) -> u8 {
        match self {
            Refusal::Config(_) | Refusal::Wanted(_) => exit::USAGE,
            Refusal::Store(_) => exit::UNAVAILABLE,
            Refusal::Desk(_) | Refusal::Explain(_) | Refusal::Unknown(_) => exit::FAILED,
        }
    }
}

/// Shows or decides.
pub(super) async fn run(command: &IssuesCommand) -> u8 {
    match act(command).await {
        Ok(said) => {
            println!("{said}");
            exit::OK
        }
        Err(refusal) => {
            eprintln!("tidemill: {refusal}");
            refusal.exit_code()
        }
    }
}

fn configured(place: &PlaceArgs) -> Result<Config, Refusal> {
    let overrides = Overrides { data_dir: place.data_dir.clone(), kafka: None };
    config::load(place.config.as_deref(), &overrides).map_err(Refusal::Config)
}

fn open(place: &PlaceArgs) -> Result<Arc<dyn ObjectStore>, Refusal> {
    Ok(stream::store::open(&configured(place)?.storage)?)
}

async fn explained(args: &IssueExplainArgs) -> Result<String, Refusal> {
    let config = configured(&args.place)?;
    let store = stream::store::open(&config.storage)?;
    let tracker = issue_desk::read(&store).await?;
    let engine = Engine::open(store, Options::default());
    let engine = engine.map_err(|error| ExplainError::Query(error.message))?;
    let (one, other) = (&args.issue, args.other.as_deref());
    let said = explain(&engine, config.pipeline.grouper(), &tracker, one, other).await?;
    Ok(said.trim_end().to_owned())
}

async fn act(command: &IssuesCommand) -> Result<String, Refusal> {
    let to = |issue: &str, state: State| Decision::State { issue: issue.to_owned(), state };
    let (decide, id, decision) = match command {
        IssuesCommand::List(args) => {
            let tracker = issue_desk::read(&open(&args.place)?).await?;
            let wanted = Wanted {
                state: args.state.clone(),
                service: args.service.clone(),
                order: args.order.clone(),
                limit: args.limit,
            };
            let found = issue_desk::list(&tracker, &wanted)?;
            return Ok(listed(&tracker, &found, args.format));
        }
        IssuesCommand::Show(args) => {
            let tracker = issue_desk::read(&open(&args.place)?).await?;
            let unknown = || Refusal::Unknown(args.issue.clone());
            return Ok(shown(&tracker, tracker.get(&args.issue).ok_or_else(unknown)?));
        }
        IssuesCommand::Explain(args) => return explained(args).await,
        IssuesCommand::Review(args) => {
            (&args.decide, &args.issue, to(&args.issue, State::Reviewed))
        }
        IssuesCommand::Resolve(args) => {
            (&args.decide, &args.issue, to(&args.issue, State::Resolved))
        }
        IssuesCommand::Ignore(args) => (&args.decide, &args.issue, to(&args.issue, State::Ignored)),
        IssuesCommand::Exclude(args) => {
            (&args.decide, &args.issue, to(&args.issue, State::Excluded))
        }
        IssuesCommand::Reopen(args) => {
            (&args.decide, &args.issue, to(&args.issue, State::ForReview))
        }
        IssuesCommand::Merge(args) => {
            let (into, issues) = (args.into.clone(), args.issues.clone());
            (&args.decide, &args.into, Decision::Merge { into, issues })
        }
        IssuesCommand::Split(args) => {
            let (issue, alias) = (args.issue.clone(), args.alias.clone());
            (&args.decide, &args.alias, Decision::Split { issue, alias })
        }
    };
    let store = open(&decide.place)?;
    let decider = Decider { by: decide.by.clone(), reason: decide.reason.clone() };
    let tracker = issue_desk::decide(&store, decision, &decider).await?;
    let issue = tracker.get(id).ok_or_else(|| Refusal::Unknown(id.clone()))?;
    Ok(format!("{} is {}; {} errors", issue.id, issue.state.as_str(), issue.seen.count))
}

fn listed(tracker: &Tracker, found: &[&Issue], format: ReportFormat) -> String {
    let briefs = found.iter().map(|issue| issue_desk::brief(tracker, issue));
    if format == ReportFormat::Json {
        return json!({"issues": briefs.map(Value::from).collect::<Vec<_>>()}).to_string();
    }
    let names = [
        "issue_id",
        "state",
        "service",
        "error_kind",
        "error_message",
        "events",
        "events_last_hour",
        "last_version",
        "last_seen",
    ];
    let column = |name: &&str| Column { name: (*name).to_owned(), kind: "text".to_owned() };
    let rows = briefs.map(|brief| {
        names.iter().map(|name| short(brief.get(*name).cloned().unwrap_or_default())).collect()
    });
    let rows = Rows {
        columns: names.iter().map(column).collect(),
        rows: rows.collect(),
        meta: Value::Null,
    };
    format!("{}\n{} issues", draw(&rows), found.len())
}

/// A line of a table holds no long text.
fn short(value: Value) -> Value {
    match value {
        Value::String(text) => {
            let line = text.lines().next().unwrap_or_default();
            Value::String(line[..line.floor_char_boundary(60)].to_owned())
        }
        other => other,
    }
}

fn shown(tracker: &Tracker, issue: &Issue) -> String {
    serde_json::to_string_pretty(&issue_desk::page(tracker, issue)).unwrap_or_default()
}
