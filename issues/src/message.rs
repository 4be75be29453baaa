//! What a message says: our own JSON, Slack's, PagerDuty's (Events API v2). Secrets are not in it: what a
//! target needs of them is added when it is sent.

use search::{Record, Reserved, Scalar};
use serde_json::{Value, json};

use crate::Micros;
use crate::outbox::{Alert, AlertKind};

/// What a recipient understands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Our own JSON, signed.
    Webhook,
    /// An incoming webhook of Slack.
    Slack,
    /// PagerDuty's Events API v2.
    PagerDuty,
}

/// An alert as the filters of recipients see it.
pub(crate) struct Searched<'a>(pub(crate) &'a Alert);

impl Record for Searched<'_> {
    fn message(&self) -> &str {
        &self.0.error_message
    }

    fn reserved(&self, field: Reserved, test: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            Reserved::Service => !self.0.service.is_empty() && test(&self.0.service),
            Reserved::Version => !self.0.version.is_empty() && test(&self.0.version),
            _ => false,
        }
    }

    fn attribute(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        match path {
            "error.kind" => test(Scalar::Text(&self.0.error_kind)),
            "error.message" => test(Scalar::Text(&self.0.error_message)),
            "issue.id" => test(Scalar::Text(&self.0.issue_id)),
            "alert" => test(Scalar::Text(self.0.kind.as_str())),
            "events" => test(Scalar::Int(i64::try_from(self.0.events).unwrap_or(i64::MAX))),
            "users" => test(Scalar::Int(i64::try_from(self.0.users).unwrap_or(i64::MAX))),
            _ => false,
        }
    }

    fn has_attribute(&self, path: &str) -> bool {
        self.attribute(path, &mut |_| true)
    }

    fn tag(&self, _key: &str, _test: &mut dyn FnMut(&str) -> bool) -> bool {
        false
    }

    fn tags(&self, _test: &mut dyn FnMut(&str) -> bool) -> bool {
        false
    }

    fn everything(&self, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        test(Scalar::Text(&self.0.error_kind)) || test(Scalar::Text(&self.0.error_message))
    }
}

/// The one line above everything.
pub(crate) fn title(alerts: &[Alert], more: u64) -> String {
    if let ([one], 0) = (alerts, more) {
        return one.title();
    }
    let total = alerts.len() as u64 + more;
    let mut services: Vec<&str> = alerts.iter().map(|alert| alert.service.as_str()).collect();
    services.sort_unstable();
    services.dedup();
    let of = |kind: AlertKind| alerts.iter().filter(|alert| alert.kind == kind).count();
    let kinds: Vec<String> = AlertKind::ALL
        .into_iter()
        .filter(|kind| of(*kind) > 0)
        .map(|kind| format!("{} {}", of(kind), kind.as_str().replace('_', " ")))
        .collect();
    let place = match services.as_slice() {
        [one] if !one.is_empty() => format!(" in {one}"),
        [_] | [] => String::new(),
        several => format!(" in {} services", several.len()),
    };
    let mut versions: Vec<&str> = alerts.iter().map(|alert| alert.version.as_str()).collect();
    versions.sort_unstable();
    versions.dedup();
    let version = match versions.as_slice() {
        [one] if !one.is_empty() => format!(", all in version {one}"),
        _ => String::new(),
    };
    let further = if more > 0 { format!(", {more} not named") } else { String::new() };
    format!("{total} alerts{place}{version}: {}{further}", kinds.join(", "))
}

/// The body.
pub(crate) fn body(format: Format, id: &str, title: &str, alerts: &[Alert], more: u64) -> String {
    match format {
        Format::Webhook => webhook(id, title, alerts, more),
        Format::Slack => slack(title, alerts, more),
        Format::PagerDuty => pagerduty(id, title, alerts, more),
    }
    .to_string()
}

fn webhook(id: &str, title: &str, alerts: &[Alert], more: u64) -> Value {
    json!({
        "id": id,
        "title": title,
        "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
        "not_named": more,
    })
}

fn alert(alert: &Alert) -> Value {
    let issue = json!({
        "kind": alert.kind.as_str(),
        "title": alert.title(),
        "issue_id": alert.issue_id,
        "service": alert.service,
        "error_kind": alert.error_kind,
        "error_message": alert.error_message,
        "version": alert.version,
        "events": alert.events,
        "users": alert.users,
        "first_seen": rfc3339(alert.first_seen),
        "last_seen": rfc3339(alert.last_seen),
        "at": rfc3339(alert.at),
    });
    let monitor = json!({
        "kind": alert.kind.as_str(),
        "title": alert.title(),
        "monitor": alert.error_kind,
        "message": alert.error_message,
        "window_begin": rfc3339(alert.first_seen),
        "window_end": rfc3339(alert.last_seen),
        "at": rfc3339(alert.at),
    });
    if alert.issue_id.is_empty() { monitor } else { issue }
}

fn slack(title: &str, alerts: &[Alert], more: u64) -> Value {
    let mut lines: Vec<String> = Vec::new();
    for alert in alerts {
        let found = format!("*{}*", slack_text(&alert.title()));
        let id = if alert.issue_id.is_empty() {
            String::new()
        } else {
            format!(" `{}`", alert.issue_id)
        };
        let users =
            if alert.users > 0 { format!(", {} users", alert.users) } else { String::new() };
        let count = match alert.kind {
            AlertKind::Monitor | AlertKind::Recovery => String::new(),
            _ => format!(": {} errors{users}", alert.events),
        };
        lines.push(format!("{found}{id}{count}"));
    }
    if more > 0 {
        lines.push(format!("and {more} more"));
    }
    // A section holds 3,000 characters, a message 50 blocks.
    let section = |text: &String| {
        let text = &text[..text.floor_char_boundary(2_900)];
        json!({"type": "section", "text": {"type": "mrkdwn", "text": text}})
    };
    let blocks: Vec<Value> = lines.iter().take(49).map(section).collect();
    json!({"text": slack_text(title), "blocks": blocks})
}

/// Slack's three characters.
fn slack_text(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

fn pagerduty(id: &str, title: &str, alerts: &[Alert], more: u64) -> Value {
    let first = alerts.first();
    let key = match alerts {
        [one] if one.issue_id.is_empty() => format!("monitor/{}", one.error_kind),
        [one] => one.issue_id.clone(),
        _ => id.to_owned(),
    };
    let recovered = matches!(alerts, [one] if one.kind == AlertKind::Recovery);
    let severity = match first.map(|alert| alert.kind) {
        Some(AlertKind::Spike | AlertKind::HighImpact | AlertKind::Monitor) => "critical",
        Some(AlertKind::Recovery) => "info",
        _ => "error",
    };
    let service = first.map_or("", |alert| alert.service.as_str());
    let source = if service.is_empty() { "tidemill" } else { service };
    json!({
        "event_action": if recovered { "resolve" } else { "trigger" },
        "dedup_key": format!("tidemill/{key}"),
        "client": "Tidemill",
        "payload": {
            "summary": &title[..title.floor_char_boundary(1_024)],
            "source": source,
            "severity": severity,
            "timestamp": rfc3339(first.map_or(0, |alert| alert.at)),
            "component": source,
            "class": first.map_or("", |alert| alert.error_kind.as_str()),
            "custom_details": {
                "message_id": id,
                "alerts": alerts.iter().map(alert).collect::<Vec<_>>(),
                "not_named": more,
            },
        },
    })
}

/// `2026-03-02T14:05:06.123456Z`.
pub fn rfc3339(at: Micros) -> String {
    let seconds = at.div_euclid(1_000_000);
    let (year, month, day) = schemas::time::civil_from_days(seconds.div_euclid(86_400));
    let of_day = seconds.rem_euclid(86_400);
    format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}.{:06}Z",
        of_day / 3_600,
        of_day / 60 % 60,
        of_day % 60,
        at.rem_euclid(1_000_000)
    )
}
