//! Issues for people: lists and pages of what is known, and decisions about it; the same for the command line
//! and over HTTP.

pub mod explain;
pub mod http;

use std::sync::Arc;

use issues::decision::Decision;
use issues::issue::{Issue, State};
use issues::message::rfc3339;
use issues::tracker::Tracker;
use object_store::ObjectStore;
use serde_json::{Map, Value, json};
use stream::issues::desk::{self, DeskError};
use stream::operator::Decider;

/// Issues of one page, by default.
pub const PAGE: usize = 100;

/// Which issues to show.
#[derive(Debug, Clone, Default, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Wanted {
    /// In this state; without one all but the ignored, resolved and excluded.
    pub state: Option<String>,
    /// Of this service.
    pub service: Option<String>,
    /// First `events`, `last_seen`, `first_seen` or `users`.
    pub order: Option<String>,
    /// At most so many.
    pub limit: Option<usize>,
}

/// Why there is no list.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadRequest {
    /// A state that is none.
    #[error("{0:?} is no state: for_review, reviewed, ignored, resolved, excluded, all")]
    State(String),
    /// An order that is none.
    #[error("{0:?} is no order: events, last_seen, first_seen, users")]
    Order(String),
}

/// All states.
const STATES: [State; 5] =
    [State::ForReview, State::Reviewed, State::Ignored, State::Resolved, State::Excluded];

/// A state by its stored name.
pub fn state(name: &str) -> Option<State> {
    STATES.into_iter().find(|state| state.as_str() == name)
}

/// Reads what is known.
///
/// # Errors
/// When storage can not be read.
pub async fn read(store: &Arc<dyn ObjectStore>) -> Result<Tracker, DeskError> {
    desk::read(store).await
}

/// Records a decision; answers what is known after it.
///
/// # Errors
/// It means nothing, or could not be recorded.
pub async fn decide(
    store: &Arc<dyn ObjectStore>,
    decision: Decision,
    decider: &Decider,
) -> Result<Tracker, DeskError> {
    desk::decide(store, decision, decider).await
}

/// The issues that are wanted, in order.
///
/// # Errors
/// A name that is none.
pub fn list<'t>(tracker: &'t Tracker, wanted: &Wanted) -> Result<Vec<&'t Issue>, BadRequest> {
    let states: Vec<State> = match wanted.state.as_deref() {
        None => vec![State::ForReview, State::Reviewed],
        Some("all") => STATES.to_vec(),
        Some(name) => vec![state(name).ok_or_else(|| BadRequest::State(name.to_owned()))?],
    };
    let is_wanted = |issue: &&Issue| {
        states.contains(&issue.state)
            && wanted.service.as_ref().is_none_or(|service| *service == issue.service)
    };
    let mut found: Vec<&Issue> = tracker.issues().filter(is_wanted).collect();
    type Key = fn(&Issue) -> i64;
    let key: Key = match wanted.order.as_deref() {
        None | Some("events") => |issue| i64::try_from(issue.seen.count).unwrap_or(i64::MAX),
        Some("last_seen") => |issue| issue.seen.last,
        Some("first_seen") => |issue| issue.seen.first,
        Some("users") => |issue| i64::try_from(issue.users.estimate()).unwrap_or(i64::MAX),
        Some(other) => return Err(BadRequest::Order(other.to_owned())),
    };
    found.sort_by(|a, b| key(b).cmp(&key(a)).then_with(|| a.id.cmp(&b.id)));
    found.truncate(wanted.limit.unwrap_or(PAGE));
    Ok(found)
}

/// An issue as JSON: what a list shows.
pub fn brief(tracker: &Tracker, issue: &Issue) -> Map<String, Value> {
    let (hour, day) = issue.recent(tracker.clock());
    let page = json!({
        "issue_id": issue.id,
        "state": issue.state.as_str(),
        "service": issue.service,
        "error_kind": issue.kind,
        "error_message": issue.title,
        "culprit": issue.culprit,
        "events": issue.seen.count,
        "events_last_hour": hour,
        "events_last_day": day,
        "users": issue.users.estimate(),
        "batches": issue.batches.estimate(),
        "first_seen": rfc3339(issue.seen.first),
        "last_seen": rfc3339(issue.seen.last),
        "first_version": issue.first_version,
        "last_version": issue.last_version,
        "spiking": issue.spiking_since.is_some(),
        "regressed": issue.regression.is_some(),
    });
    match page {
        Value::Object(page) => page,
        _ => Map::new(),
    }
}

/// An issue as JSON, with all that is known.
pub fn page(tracker: &Tracker, issue: &Issue) -> Value {
    let mut page = brief(tracker, issue);
    let counts = |values: &issues::counts::Values| -> Value {
        values
            .iter()
            .map(|(value, count)| (value.to_owned(), Value::from(count)))
            .collect::<Map<_, _>>()
            .into()
    };
    let times = |ring: &issues::counts::Ring, width: i64, most: usize| -> Value {
        let newest = ring.newest(most);
        newest
            .map(|(bucket, n)| (rfc3339(bucket * width), Value::from(n)))
            .collect::<Map<_, _>>()
            .into()
    };
    let seen = |seen: &issues::occurrence::Seen| json!({"events": seen.count, "first_seen": rfc3339(seen.first), "last_seen": rfc3339(seen.last)});
    let versions: Map<_, _> =
        issue.versions.iter().map(|(version, found)| (version.clone(), seen(found))).collect();
    let samples: Vec<Value> = issue
        .samples
        .iter()
        .map(|s| json!({"at": rfc3339(s.at), "version": s.version, "event": s.place}))
        .collect();
    let regression = issue.regression.as_ref().map(|found| {
        json!({
            "at": rfc3339(found.at),
            "version": found.version,
            "resolved_at": rfc3339(found.resolved_at),
        })
    });
    let more = json!({
        "state_since": rfc3339(issue.state_since),
        "state_by": issue.state_by,
        "late_events": issue.late,
        "versions": versions,
        "envs": counts(&issue.envs),
        "hosts": counts(&issue.hosts),
        "minutes": times(&issue.minutes, issues::MINUTE, 60),
        "hours": times(&issue.hours, issues::HOUR, 48),
        "days": times(&issue.days, issues::DAY, 30),
        "users_exact": issue.users.is_exact(),
        "resolved_at": issue.resolved_at.map(rfc3339),
        "regression": regression,
        "spiking_since": issue.spiking_since.map(rfc3339),
        "aliases": issue.members.keys().collect::<Vec<_>>(),
        "samples": samples,
        "events_sql": events_sql(issue),
    });
    if let Value::Object(more) = more {
        page.extend(more);
    }
    page.into()
}

/// How to look at its errors with all their attributes; and at their neighbours, by `trace_id`.
fn events_sql(issue: &Issue) -> String {
    let quoted = |id: &String| format!("'{}'", id.replace('\'', "''"));
    let ids: Vec<String> = issue.members.keys().map(quoted).collect();
    format!(
        "SELECT * FROM error_events WHERE issue_id IN ({}) AND context ORDER BY timestamp DESC LIMIT 20",
        ids.join(", ")
    )
}
