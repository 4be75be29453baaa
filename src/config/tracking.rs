//! `issues`, `notifications`, `monitors`: how issues are kept, who is told, what is watched.

use std::collections::BTreeSet;
use std::time::Duration;

use issues::message::Format;
use issues::outbox::AlertKind;
use issues::settings::{Impact, Recipient, Settings, Spike};
use schemas::limits::{MAX_ISSUES, MAX_ISSUES_PER_SERVICE, MAX_MONITORS};
use serde::Deserialize as Derive;
use url::Url;

use super::check::Checker;
use super::raw::{Scalar, section};
use crate::notify::{Target, guard};

/// `issues`.
#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawTracking {
    pub(super) enabled: Option<Scalar>,
    pub(super) late_after: Option<Scalar>,
    pub(super) auto_resolve: Option<Scalar>,
    pub(super) max_per_service: Option<Scalar>,
    #[serde(deserialize_with = "section")]
    pub(super) spike: RawSpike,
    #[serde(deserialize_with = "section")]
    pub(super) high_impact: RawImpact,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawSpike {
    pub(super) enabled: Option<Scalar>,
    pub(super) window: Option<Scalar>,
    pub(super) min_events: Option<Scalar>,
    pub(super) factor: Option<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawImpact {
    pub(super) users: Option<Scalar>,
    pub(super) batches: Option<Scalar>,
    pub(super) events: Option<Scalar>,
}

/// One of `notifications`.
#[derive(Debug, Derive)]
#[serde(deny_unknown_fields, expecting = "a recipient with name, type and url")]
pub(super) struct RawRecipient {
    pub(super) name: Scalar,
    #[serde(rename = "type")]
    pub(super) kind: Scalar,
    pub(super) url: Option<Scalar>,
    pub(super) secret: Option<Scalar>,
    pub(super) routing_key: Option<Scalar>,
    pub(super) filter: Option<Scalar>,
    #[serde(default)]
    pub(super) alerts: Vec<Scalar>,
    pub(super) private: Option<Scalar>,
}

/// One of `monitors`.
#[derive(Debug, Derive)]
#[serde(deny_unknown_fields, expecting = "a monitor with name, sql or search, and above or below")]
pub(super) struct RawMonitor {
    pub(super) name: Scalar,
    pub(super) sql: Option<Scalar>,
    pub(super) search: Option<Scalar>,
    #[serde(rename = "in")]
    pub(super) table: Option<Scalar>,
    pub(super) above: Option<Scalar>,
    pub(super) below: Option<Scalar>,
    pub(super) window: Option<Scalar>,
    pub(super) grace: Option<Scalar>,
    #[serde(default)]
    pub(super) recipients: Vec<Scalar>,
}

/// How issues are kept and who is told, checked.
#[derive(Debug, Clone)]
pub struct Tracking {
    /// `issues.enabled`. Default true.
    pub enabled: bool,
    /// What the second pipeline is told, `notifications` among it.
    pub settings: Settings,
    /// Where messages go.
    pub targets: Vec<Target>,
    /// `monitors`.
    pub monitors: Vec<Monitor>,
}

/// A value that is watched.
#[derive(Debug, Clone, PartialEq)]
pub struct Monitor {
    /// Its name, which no other has.
    pub name: String,
    /// A query for one number; `{begin}` and `{end}` stand for the window's.
    pub sql: String,
    /// The threshold.
    pub threshold: Threshold,
    /// Length of a window. Default 5 min, 1 min to 24 h.
    pub window: Duration,
    /// How long after its end late data is waited for. Default 60 s, 0 s to 24 h.
    pub grace: Duration,
    /// Who is told; empty: all.
    pub recipients: Vec<String>,
}

/// When a monitor alarms.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Threshold {
    /// The value is larger.
    Above(f64),
    /// The value is smaller.
    Below(f64),
}

/// Checks the three sections.
pub(super) fn tracking(
    raw: &RawTracking,
    recipients: &[RawRecipient],
    monitors: &[RawMonitor],
    check: &mut Checker<'_>,
) -> Tracking {
    let enabled = check.flag("issues.enabled", raw.enabled.as_ref(), true);
    let mut settings = settings(raw, check);
    let mut targets = Vec::new();
    for (index, raw) in recipients.iter().enumerate() {
        if let Some((recipient, target)) = recipient(&format!("notifications[{index}]"), raw, check)
        {
            if targets.iter().any(|other: &Target| other.name == target.name) {
                let reason = format!("there are two named {:?}", target.name);
                check.problem(&format!("notifications[{index}].name"), reason, "one name each");
            }
            settings.recipients.push(recipient);
            targets.push(target);
        }
    }
    if monitors.len() > MAX_MONITORS {
        check.problem("monitors", format!("over {MAX_MONITORS}"), "put several into one query");
    }
    let names: BTreeSet<&str> = targets.iter().map(|target| target.name.as_str()).collect();
    let mut checked: Vec<Monitor> = Vec::new();
    for (index, raw) in monitors.iter().enumerate() {
        let rule = format!("monitors[{index}]");
        if let Some(monitor) = monitor(&rule, raw, &names, check) {
            if checked.iter().any(|other| other.name == monitor.name) {
                let reason = format!("there are two named {:?}", monitor.name);
                check.problem(&format!("{rule}.name"), reason, "one name each");
            }
            checked.push(monitor);
        }
    }
    let monitors = checked;
    Tracking { enabled, settings, targets, monitors }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

fn settings(raw: &RawTracking, check: &mut Checker<'_>) -> Settings {
    let seconds = Duration::from_secs;
    let day = 24 * 3_600;
    let late_after = check.duration(
        "issues.late_after",
        raw.late_after.as_ref(),
        seconds(3_600),
        seconds(60)..=seconds(30 * day),
    );
    let never = raw.auto_resolve.as_ref().is_some_and(|value| value.0 == "never");
    let auto_resolve = (!never).then(|| {
        micros(check.duration(
            "issues.auto_resolve",
            raw.auto_resolve.as_ref(),
            seconds(14 * day),
            seconds(3_600)..=seconds(365 * day),
        ))
    });
    let max_per_service = check.count(
        "issues.max_per_service",
        raw.max_per_service.as_ref(),
        MAX_ISSUES_PER_SERVICE,
        1..=MAX_ISSUES,
    );
    let default = Spike::default();
    let window = check.duration(
        "issues.spike.window",
        raw.spike.window.as_ref(),
        seconds(600),
        seconds(60)..=seconds(3_600),
    );
    let whole = |check: &mut Checker<'_>, rule: &str, value: Option<&Scalar>, default: usize| {
        check.count(rule, value, default, 1..=1_000_000_000_000) as u64
    };
    let min_events = whole(check, "issues.spike.min_events", raw.spike.min_events.as_ref(), 50);
    let spike = Spike {
        enabled: check.flag("issues.spike.enabled", raw.spike.enabled.as_ref(), true),
        window: micros(window),
        min_events,
        factor: number("issues.spike.factor", raw.spike.factor.as_ref(), check)
            .unwrap_or(default.factor)
            .max(1.0),
    };
    let mut limit = |name: &str, value: &Option<Scalar>, default: Option<u64>| match value {
        None => default,
        Some(value) if value.0 == "never" => None,
        Some(value) => Some(whole(check, &format!("issues.high_impact.{name}"), Some(value), 1)),
    };
    let high_impact = Impact {
        users: limit("users", &raw.high_impact.users, Impact::default().users),
        batches: limit("batches", &raw.high_impact.batches, None),
        events: limit("events", &raw.high_impact.events, None),
    };
    let late_after = micros(late_after);
    let recipients = Vec::new();
    Settings { late_after, auto_resolve, max_per_service, spike, high_impact, recipients }
}

fn number(rule: &str, value: Option<&Scalar>, check: &mut Checker<'_>) -> Option<f64> {
    let text = check.text(rule, value)?;
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite());
    if number.is_none() {
        check.problem(rule, format!("{text:?} is no number"), "for example 4 or 0.5");
    }
    number
}

/// PagerDuty's address for Events API v2.
const PAGERDUTY: &str = "https://events.pagerduty.com/v2/enqueue";

fn recipient(
    rule: &str,
    raw: &RawRecipient,
    check: &mut Checker<'_>,
) -> Option<(Recipient, Target)> {
    let name = check.text(&format!("{rule}.name"), Some(&raw.name))?;
    let format = match raw.kind.0.as_str() {
        "webhook" => Format::Webhook,
        "slack" => Format::Slack,
        "pagerduty" => Format::PagerDuty,
        other => {
            let field = format!("{rule}.type");
            check.problem(&field, format!("unknown type {other:?}"), "webhook, slack or pagerduty");
            return None;
        }
    };
    let private = check.flag(&format!("{rule}.private"), raw.private.as_ref(), false);
    let field = format!("{rule}.url");
    let url = check.text(&field, raw.url.as_ref());
    let url = match (url, format) {
        (Some(url), _) => url,
        (None, Format::PagerDuty) => PAGERDUTY.to_owned(),
        (None, _) => {
            check.problem(&field, "it has no address", "https://...");
            return None;
        }
    };
    // The address itself may be a secret, as Slack's are: it is not shown.
    let url = match Url::parse(&url) {
        Ok(url) if url.has_host() => url,
        _ => {
            check.problem(&field, "is no address", "https://host/path");
            return None;
        }
    };
    if let Err(reason) = guard::check_url(&url, private) {
        check.problem(&field, reason, "a public https address, or `private: true`");
    }
    let secret = check.text(&format!("{rule}.secret"), raw.secret.as_ref());
    let key = check.text(&format!("{rule}.routing_key"), raw.routing_key.as_ref());
    if format == Format::PagerDuty && key.is_none() {
        check.problem(&format!("{rule}.routing_key"), "PagerDuty needs it", "of an integration");
    }
    let field = format!("{rule}.filter");
    let filter = check.text(&field, raw.filter.as_ref()).unwrap_or_default();
    let filter = match search::Query::parse(&filter) {
        Ok(query) => query,
        Err(error) => {
            check.problem(&field, error.to_string(), "for example service:checkout");
            search::Query::all()
        }
    };
    let mut kinds = Vec::new();
    for kind in &raw.alerts {
        match AlertKind::ALL.into_iter().find(|known| known.as_str() == kind.0) {
            Some(kind) => kinds.push(kind),
            None => {
                let known = AlertKind::ALL.map(AlertKind::as_str).join(", ");
                check.problem(&format!("{rule}.alerts"), format!("unknown: {:?}", kind.0), known);
            }
        }
    }
    let target = Target { name: name.clone(), url, secret, routing_key: key, private };
    Some((Recipient { name, format, filter, kinds }, target))
}

/// What a monitor asks: its SQL, or how many logs or spans its search finds.
fn watched(rule: &str, raw: &RawMonitor, check: &mut Checker<'_>) -> Option<String> {
    let window = "timestamp >= {begin} AND timestamp < {end}";
    // `${...}` has its meaning here, too; `{begin}` and `{end}` have none before the query is asked.
    let sql = check.text(&format!("{rule}.sql"), raw.sql.as_ref());
    let field = format!("{rule}.search");
    let search = check.text(&field, raw.search.as_ref());
    match (sql, search) {
        (Some(sql), None) => {
            if !(sql.contains("{begin}") && sql.contains("{end}")) {
                let hint = format!("... WHERE {window}");
                check.problem(&format!("{rule}.sql"), "it does not name its window", hint);
            }
            Some(sql)
        }
        (None, Some(search)) => {
            if let Err(error) = search::Query::parse(&search) {
                check.problem(
                    &field,
                    error.to_string(),
                    "for example service:checkout status:error",
                );
            }
            let place = format!("{rule}.in");
            let table = check.text(&place, raw.table.as_ref()).unwrap_or_else(|| "logs".to_owned());
            if !["logs", "spans"].contains(&table.as_str()) {
                check.problem(&place, format!("{table:?} can not be searched"), "logs or spans");
            }
            let search = search.replace('\'', "''");
            Some(format!("SELECT count(*) FROM {table} WHERE {window} AND search('{search}')"))
        }
        _ => {
            check.problem(&format!("{rule}.sql"), "one question is needed", "sql or search");
            None
        }
    }
}

fn monitor(
    rule: &str,
    raw: &RawMonitor,
    names: &BTreeSet<&str>,
    check: &mut Checker<'_>,
) -> Option<Monitor> {
    let name = check.text(&format!("{rule}.name"), Some(&raw.name))?;
    let sql = watched(rule, raw, check)?;
    let above = number(&format!("{rule}.above"), raw.above.as_ref(), check);
    let below = number(&format!("{rule}.below"), raw.below.as_ref(), check);
    let threshold = match (above, below) {
        (Some(value), None) => Threshold::Above(value),
        (None, Some(value)) => Threshold::Below(value),
        _ => {
            check.problem(&format!("{rule}.above"), "one threshold is needed", "above or below");
            return None;
        }
    };
    let seconds = Duration::from_secs;
    let window = check.duration(
        &format!("{rule}.window"),
        raw.window.as_ref(),
        seconds(300),
        seconds(60)..=seconds(24 * 3_600),
    );
    let grace = check.duration(
        &format!("{rule}.grace"),
        raw.grace.as_ref(),
        seconds(60),
        seconds(0)..=seconds(24 * 3_600),
    );
    let mut recipients = Vec::new();
    for recipient in &raw.recipients {
        if !names.contains(recipient.0.as_str()) {
            let reason = format!("there is no recipient {:?}", recipient.0);
            check.problem(&format!("{rule}.recipients"), reason, "a name of notifications");
        }
        recipients.push(recipient.0.clone());
    }
    Some(Monitor { name, sql, threshold, window, grace, recipients })
}
