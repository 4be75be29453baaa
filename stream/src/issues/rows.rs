//! Rows of `error_issue_history` and `notifications`.

use std::collections::BTreeMap;

use arrow::error::ArrowError;
use issues::issue::Issue;
use issues::message::rfc3339;
use issues::outbox::Fate;
use issues::tracker::Change;
use schemas::time::{EventHour, EventTime};

use crate::files::FilePlan;
use stages::columns::{IssueColumns, IssueRow, NotificationColumns, NotificationRow, TableColumns};

/// Hours of counts a row shows.
const HOURLY: usize = 48;

/// The files of these changes and fates.
pub(super) fn plans(changes: &[Change], fates: &[Fate]) -> Result<Vec<FilePlan>, ArrowError> {
    let mut history: BTreeMap<EventHour, IssueColumns> = BTreeMap::new();
    for change in changes {
        let row = row(change);
        history.entry(row.timestamp.hour()).or_default().push(&row);
    }
    let mut sent: BTreeMap<EventHour, NotificationColumns> = BTreeMap::new();
    for fate in fates {
        let row = notification(fate);
        sent.entry(row.timestamp.hour()).or_default().push(&row);
    }
    let mut plans = Vec::new();
    finish(history, &mut plans)?;
    finish(sent, &mut plans)?;
    Ok(plans)
}

fn finish<C: TableColumns>(
    hours: BTreeMap<EventHour, C>,
    plans: &mut Vec<FilePlan>,
) -> Result<(), ArrowError> {
    for (hour, mut columns) in hours {
        plans.push(FilePlan { table: C::TABLE, hour, batches: vec![columns.finish()?] });
    }
    Ok(())
}

fn time(micros: i64) -> EventTime {
    EventTime::from_micros(micros).unwrap_or_default()
}

fn count(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn row(change: &Change) -> IssueRow<'_> {
    let issue: &Issue = &change.issue;
    let hour = |(hour, n): (i64, u64)| {
        let text = rfc3339(hour.saturating_mul(issues::HOUR));
        (text.get(..13).unwrap_or_default().to_owned(), count(n))
    };
    IssueRow {
        timestamp: time(change.at),
        issue_id: &issue.id,
        change: change.what,
        decided_by: &change.by,
        reason: &change.reason,
        service: &issue.service,
        error_kind: &issue.kind,
        error_message: &issue.title,
        culprit: &issue.culprit,
        state: issue.state.as_str(),
        state_since: time(issue.state_since),
        first_seen: time(issue.seen.first),
        last_seen: time(issue.seen.last),
        first_version: &issue.first_version,
        last_version: &issue.last_version,
        events: count(issue.seen.count),
        late_events: count(issue.late),
        users: count(issue.users.estimate()),
        batches: count(issue.batches.estimate()),
        versions: issue.versions.iter().map(|(v, seen)| (v.as_str(), count(seen.count))).collect(),
        envs: issue.envs.iter().map(|(value, n)| (value, count(n))).collect(),
        hosts: issue.hosts.iter().map(|(value, n)| (value, count(n))).collect(),
        hourly: issue.hours.newest(HOURLY).map(hour).collect(),
        resolved_at: issue.resolved_at.map(time),
        regressed_at: issue.regression.as_ref().map(|regression| time(regression.at)),
        regressed_version: issue.regression.as_ref().map_or("", |found| found.version.as_str()),
        spiking_since: issue.spiking_since.map(time),
        aliases: aliases(issue),
        merged_into: &change.merged_into,
        samples: issue.samples.iter().map(|sample| sample.place.as_str()).collect(),
        seq: change.seq,
    }
}

/// Its own id and those it stands for.
fn aliases(issue: &Issue) -> Vec<&str> {
    let members = issue.members.keys().map(String::as_str);
    let others = members.filter(|member| *member != issue.id);
    std::iter::once(issue.id.as_str()).chain(others).collect()
}

fn notification(fate: &Fate) -> NotificationRow<'_> {
    let message = &fate.message;
    NotificationRow {
        timestamp: time(fate.at),
        id: &message.id,
        kind: &message.kind,
        recipient: &message.recipient,
        outcome: fate.outcome,
        attempts: i32::try_from(message.attempts).unwrap_or(i32::MAX),
        status_code: message.status.map(i32::from),
        error: &message.error,
        title: &message.title,
        created: time(message.created),
        issue_ids: message.issue_ids.iter().map(String::as_str).collect(),
        alerts: count(message.alerts),
        body: &message.body,
    }
}
