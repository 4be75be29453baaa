//! Who is to be told what: alerts become messages, one by one while they are few, together when they are many.
//! What waits here is part of the committed state; a message leaves it when its fate is known.

use std::collections::BTreeMap;

use schemas::limits::{
    ALERT_BURST, ALERT_REFILL_SECONDS, DIGEST_SECONDS, MAX_DIGEST_ALERTS, MAX_PENDING_MESSAGES,
    NOTIFY_BACKOFF_SECONDS, NOTIFY_GIVE_UP_SECONDS, OVERFLOW_VALUE,
};
use xxhash_rust::xxh3::xxh3_128;

use crate::issue::Issue;
use crate::message;
use crate::settings::Recipient;
use crate::{Micros, SECOND};

/// What an alert is about.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// A kind of error nobody has seen before.
    NewIssue,
    /// A resolved one came back.
    Regression,
    /// More of one come than usual.
    Spike,
    /// One affects many.
    HighImpact,
    /// A monitor is over its threshold.
    Monitor,
    /// A monitor is not any more.
    Recovery,
}

impl AlertKind {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::NewIssue,
        Self::Regression,
        Self::Spike,
        Self::HighImpact,
        Self::Monitor,
        Self::Recovery,
    ];

    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NewIssue => "new_issue",
            Self::Regression => "regression",
            Self::Spike => "spike",
            Self::HighImpact => "high_impact",
            Self::Monitor => "monitor",
            Self::Recovery => "recovery",
        }
    }

    /// For people.
    pub fn words(self) -> &'static str {
        match self {
            Self::NewIssue => "New issue",
            Self::Regression => "Regression",
            Self::Spike => "Spike",
            Self::HighImpact => "High impact",
            Self::Monitor => "Monitor",
            Self::Recovery => "Recovered",
        }
    }
}

/// Something people are to hear of, once.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Alert {
    /// The same for the same occasion.
    pub key: String,
    /// What about.
    pub kind: AlertKind,
    /// The issue; empty for a monitor.
    pub issue_id: String,
    /// Unified service tag.
    pub service: String,
    /// Type of the error, or the monitor's name.
    pub error_kind: String,
    /// Its message.
    pub error_message: String,
    /// The version it is about.
    pub version: String,
    /// Errors of the issue by then, or the monitor's value in words.
    pub events: u64,
    /// Users affected by then.
    pub users: u64,
    /// Event time of the issue's first error.
    pub first_seen: Micros,
    /// Event time of its last.
    pub last_seen: Micros,
    /// When it was decided to tell.
    pub at: Micros,
}

impl Alert {
    /// Of an issue as it is now; `once` tells this occasion from others of its kind.
    pub fn of(issue: &Issue, kind: AlertKind, once: &str, version: String, at: Micros) -> Self {
        Self {
            key: format!("{}/{}/{once}", kind.as_str(), issue.id),
            kind,
            issue_id: issue.id.clone(),
            service: issue.service.clone(),
            error_kind: issue.kind.clone(),
            error_message: issue.title.clone(),
            version: if version.is_empty() { issue.last_version.clone() } else { version },
            events: issue.seen.count,
            users: issue.users.estimate(),
            first_seen: issue.seen.first,
            last_seen: issue.seen.last,
            at,
        }
    }

    /// One line.
    pub fn title(&self) -> String {
        let Self { kind, service, error_kind, error_message, version, .. } = self;
        let line = error_message.lines().next().unwrap_or_default();
        let line = &line[..line.floor_char_boundary(200)];
        let what = match (error_kind.is_empty(), line.is_empty()) {
            (false, false) => format!("{error_kind}: {line}"),
            (false, true) => error_kind.clone(),
            (true, _) => line.to_owned(),
        };
        let place = if service.is_empty() { String::new() } else { format!(" in {service}") };
        let version = if version.is_empty() { String::new() } else { format!(" {version}") };
        format!("{}{place}{version}: {what}", kind.words())
    }
}

/// A message that is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Message {
    /// The idempotency key.
    pub id: String,
    /// Whom to.
    pub recipient: String,
    /// A kind of alert, or `digest`.
    pub kind: String,
    /// One line.
    pub title: String,
    /// The issues it tells of.
    pub issue_ids: Vec<String>,
    /// How many alerts it stands for.
    pub alerts: u64,
    /// When it was decided, by the clock of the records.
    pub created: Micros,
    /// The body, without secrets.
    pub body: String,
    /// Attempts made.
    pub attempts: u32,
    /// First and next attempt, wall clock.
    pub since: Micros,
    /// Not before.
    pub next: Micros,
    /// What went wrong last.
    pub error: String,
    /// HTTP status of the last answer.
    pub status: Option<u16>,
}

/// How an attempt ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// The recipient has it.
    Sent(u16),
    /// Not this time.
    Failed(Option<u16>, String),
    /// Never: the target may not be reached, or refuses for good.
    Refused(Option<u16>, String),
}

/// A message whose fate is known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fate {
    /// The message as it was last tried.
    pub message: Message,
    /// `sent`, `failed` or `refused`.
    pub outcome: &'static str,
    /// When, wall clock.
    pub at: Micros,
}

/// What one recipient is to get.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
struct Mailbox {
    /// Alerts not yet made messages.
    alerts: Vec<Alert>,
    /// Further ones that are not named any more.
    more: u64,
    /// Alerts that may go alone.
    tokens: Option<u32>,
    /// When a token was last added, wall clock.
    refilled: Micros,
    /// Until when alerts are put together, wall clock.
    hold_until: Micros,
    /// Messages on their way.
    pending: BTreeMap<String, Message>,
}

/// What is to be sent.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Outbox(BTreeMap<String, Mailbox>);

impl Outbox {
    /// Tells those who want to hear of it.
    pub fn add(&mut self, recipients: &[Recipient], alert: &Alert) {
        for recipient in recipients {
            let kinds = &recipient.kinds;
            if (kinds.is_empty() || kinds.contains(&alert.kind))
                && recipient.filter.matches(&message::Searched(alert))
            {
                let mailbox = self.0.entry(recipient.name.clone()).or_default();
                if mailbox.alerts.len() < MAX_DIGEST_ALERTS * 4 {
                    mailbox.alerts.push(alert.clone());
                } else {
                    mailbox.more += 1;
                }
            }
        }
    }

    /// Makes messages of the alerts that are due.
    pub(crate) fn seal(&mut self, recipients: &[Recipient], clock: Micros, now: Micros) {
        for recipient in recipients {
            if let Some(mailbox) = self.0.get_mut(&recipient.name) {
                mailbox.seal(recipient, clock, now);
            }
        }
    }

    /// Whether [`Self::seal`] would make a message now, or messages of recipients that are gone wait.
    pub fn is_due(&self, now: Micros) -> bool {
        self.0.values().any(|mailbox| {
            let waiting = !mailbox.alerts.is_empty() || mailbox.more > 0;
            waiting && now >= mailbox.hold_until && mailbox.pending.len() < MAX_PENDING_MESSAGES
        })
    }

    /// Messages to be tried now.
    pub fn due(&self, now: Micros) -> impl Iterator<Item = &Message> {
        let pending = self.0.values().flat_map(|mailbox| mailbox.pending.values());
        pending.filter(move |message| message.next <= now)
    }

    /// All messages on their way.
    pub fn pending(&self) -> impl Iterator<Item = &Message> {
        self.0.values().flat_map(|mailbox| mailbox.pending.values())
    }

    /// Alerts that wait to be put together.
    pub fn held(&self) -> u64 {
        self.0.values().map(|mailbox| mailbox.alerts.len() as u64 + mailbox.more).sum()
    }

    /// An attempt has ended; a message whose fate is known by that leaves.
    pub fn tried(&mut self, id: &str, attempt: &Attempt, now: Micros) -> Option<Fate> {
        let mailbox = self.0.values_mut().find(|mailbox| mailbox.pending.contains_key(id))?;
        let message = mailbox.pending.get_mut(id)?;
        message.attempts = message.attempts.saturating_add(1);
        let outcome = match attempt {
            Attempt::Sent(status) => {
                (message.status, message.error) = (Some(*status), String::new());
                "sent"
            }
            Attempt::Refused(status, error) => {
                (message.status, message.error) = (*status, error.clone());
                "refused"
            }
            Attempt::Failed(status, error) => {
                (message.status, message.error) = (*status, error.clone());
                if now - message.since < NOTIFY_GIVE_UP_SECONDS * SECOND {
                    let (first, most) = NOTIFY_BACKOFF_SECONDS;
                    let doubled = first << message.attempts.saturating_sub(1).min(16);
                    message.next = now + doubled.min(most) * SECOND;
                    return None;
                }
                "failed"
            }
        };
        let message = mailbox.pending.remove(id)?;
        Some(Fate { message, outcome, at: now })
    }
}

impl Mailbox {
    fn seal(&mut self, recipient: &Recipient, clock: Micros, now: Micros) {
        self.refill(now);
        let room = MAX_PENDING_MESSAGES.saturating_sub(self.pending.len());
        if now < self.hold_until || room == 0 || (self.alerts.is_empty() && self.more == 0) {
            return;
        }
        let alerts = std::mem::take(&mut self.alerts);
        let tokens = self.tokens.unwrap_or(ALERT_BURST);
        if self.more == 0 && alerts.len() <= (tokens as usize).min(room) {
            self.tokens = Some(tokens - u32::try_from(alerts.len()).unwrap_or(tokens));
            for alert in alerts {
                self.send(recipient, std::slice::from_ref(&alert), 0, clock, now);
            }
        } else {
            // Many at once: one message says so, and for a while the rest is put together as well.
            let more = std::mem::take(&mut self.more);
            self.send(recipient, &alerts, more, clock, now);
            self.tokens = Some(0);
            self.hold_until = now + DIGEST_SECONDS * SECOND;
        }
    }

    fn refill(&mut self, now: Micros) {
        let tokens = self.tokens.get_or_insert(ALERT_BURST);
        let width = ALERT_REFILL_SECONDS * SECOND;
        let passed = (now - self.refilled).div_euclid(width);
        if passed > 0 {
            let added = u32::try_from(passed).unwrap_or(ALERT_BURST);
            *tokens = tokens.saturating_add(added).min(ALERT_BURST);
            self.refilled = now - (now - self.refilled).rem_euclid(width);
        }
    }

    fn send(
        &mut self,
        recipient: &Recipient,
        alerts: &[Alert],
        more: u64,
        clock: Micros,
        now: Micros,
    ) {
        let mut keys = recipient.name.clone();
        for alert in alerts {
            keys.push('\n');
            keys.push_str(&alert.key);
        }
        let id = format!("{:032x}", xxh3_128(keys.as_bytes()));
        let (named, rest) = alerts.split_at(alerts.len().min(MAX_DIGEST_ALERTS));
        let more = more + rest.len() as u64;
        let title = message::title(named, more);
        let body = message::body(recipient.format, &id, &title, named, more);
        let mut issue_ids: Vec<String> =
            named.iter().map(|alert| alert.issue_id.clone()).filter(|id| !id.is_empty()).collect();
        if more > 0 {
            issue_ids.push(OVERFLOW_VALUE.to_owned());
        }
        let kind = match named {
            [one] if more == 0 => one.kind.as_str(),
            _ => "digest",
        };
        let message = Message {
            id: id.clone(),
            recipient: recipient.name.clone(),
            kind: kind.to_owned(),
            title,
            issue_ids,
            alerts: named.len() as u64 + more,
            created: clock,
            body,
            attempts: 0,
            since: now,
            next: now,
            error: String::new(),
            status: None,
        };
        self.pending.insert(id, message);
    }
}
