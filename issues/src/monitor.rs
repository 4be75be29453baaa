//! Monitors: values over a threshold. A window is judged once, when it is complete; what is not known is
//! neither an alarm nor its end.

use std::collections::BTreeMap;

use crate::Micros;
use crate::outbox::{Alert, AlertKind};
use crate::tracker::Tracker;

/// What a window of a monitor came to.
#[derive(Debug, Clone, PartialEq)]
pub struct Evaluation {
    /// The monitor's name.
    pub monitor: String,
    /// The window's begin,
    pub begin: Micros,
    /// and its end.
    pub end: Micros,
    /// Whether the value is over the threshold; `None`: not known.
    pub over: Option<bool>,
    /// The value and the threshold in words.
    pub said: String,
    /// Names of the recipients; empty: all.
    pub recipients: Vec<String>,
}

/// Where a monitor stands.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Standing {
    /// End of the last window judged.
    pub judged: Micros,
    /// Since when it is over its threshold; `None` while it is not.
    pub over_since: Option<Micros>,
    /// The last value in words.
    pub said: String,
}

/// All of them, by name.
pub type Monitors = BTreeMap<String, Standing>;

impl Tracker {
    /// Takes in what a window came to; whether that changed anything.
    pub fn judge(&mut self, found: &Evaluation) -> bool {
        let Some(over) = found.over else { return false };
        let standing = self.monitors.entry(found.monitor.clone()).or_default();
        if found.end <= standing.judged {
            return false;
        }
        standing.judged = found.end;
        standing.said.clone_from(&found.said);
        let kind = match (standing.over_since, over) {
            (None, true) => {
                standing.over_since = Some(found.end);
                AlertKind::Monitor
            }
            (Some(_), false) => {
                standing.over_since = None;
                AlertKind::Recovery
            }
            _ => return false,
        };
        let alert = Alert {
            key: format!("{}/{}/{}", kind.as_str(), found.monitor, found.end),
            kind,
            issue_id: String::new(),
            service: String::new(),
            error_kind: found.monitor.clone(),
            error_message: found.said.clone(),
            version: String::new(),
            events: 0,
            users: 0,
            first_seen: found.begin,
            last_seen: found.end,
            at: found.end,
        };
        let wanted = |name: &str| {
            found.recipients.is_empty() || found.recipients.iter().any(|other| other == name)
        };
        let recipients: Vec<_> =
            self.settings.recipients.iter().filter(|r| wanted(&r.name)).cloned().collect();
        self.outbox.add(&recipients, &alert);
        true
    }

    /// Where the monitors stand.
    pub fn monitors(&self) -> &Monitors {
        &self.monitors
    }
}
