//! The state as it is stored: a full copy, by ranges of ids, and what changed since.

use std::collections::BTreeMap;

use schemas::limits::MAX_STATE_PART_ISSUES;

use crate::Micros;
use crate::issue::Issue;
use crate::monitor::Monitors;
use crate::outbox::Outbox;
use crate::place::is_id;
use crate::settings::Settings;
use crate::tracker::Tracker;
use crate::versions::Versions;

/// A part of the state. Later parts win over earlier ones.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Part {
    /// Issues; `None` for one that is a part of another now.
    pub issues: BTreeMap<String, Option<Issue>>,
    /// Everything else; small, and whole where it is there.
    pub rest: Option<Rest>,
}

/// What is kept beside the issues.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Rest {
    versions: Versions,
    outbox: Outbox,
    #[serde(default)]
    monitors: Monitors,
    clock: Micros,
    seq: i64,
    quiet_hour: i64,
}

impl Tracker {
    /// What changed since the last call.
    pub fn take_unsaved(&mut self) -> Vec<Part> {
        let ids = std::mem::take(&mut self.unsaved);
        self.parts(ids.into_iter().map(|id| (self.issues.get(&id).cloned(), id)))
    }

    /// Everything. Nothing is unsaved afterwards.
    pub fn full(&mut self) -> Vec<Part> {
        self.unsaved.clear();
        self.parts(self.issues.values().map(|issue| (Some(issue.clone()), issue.id.clone())))
    }

    fn parts(&self, issues: impl Iterator<Item = (Option<Issue>, String)>) -> Vec<Part> {
        let mut parts = vec![Part { rest: Some(self.rest()), ..Part::default() }];
        for (issue, id) in issues {
            if parts.last().is_none_or(|part| part.issues.len() >= MAX_STATE_PART_ISSUES) {
                parts.push(Part::default());
            }
            if let Some(part) = parts.last_mut() {
                part.issues.insert(id, issue);
            }
        }
        parts
    }

    fn rest(&self) -> Rest {
        Rest {
            versions: self.versions.clone(),
            outbox: self.outbox.clone(),
            monitors: self.monitors.clone(),
            clock: self.clock,
            seq: self.seq,
            quiet_hour: self.quiet_hour,
        }
    }

    /// The state of these parts, in order.
    pub fn load(settings: Settings, parts: impl IntoIterator<Item = Part>) -> Self {
        let mut tracker = Self::new(settings);
        for part in parts {
            for (id, issue) in part.issues {
                match issue {
                    Some(issue) => drop(tracker.issues.insert(id, issue)),
                    None => drop(tracker.issues.remove(&id)),
                }
            }
            if let Some(Rest { versions, outbox, monitors, clock, seq, quiet_hour }) = part.rest {
                (tracker.versions, tracker.outbox) = (versions, outbox);
                tracker.monitors = monitors;
                (tracker.clock, tracker.seq, tracker.quiet_hour) = (clock, seq, quiet_hour);
            }
        }
        for issue in std::mem::take(&mut tracker.issues).into_values() {
            for member in issue.members.keys().filter(|id| is_id(id) && **id != issue.id) {
                tracker.aliases.insert(member.clone(), issue.id.clone());
            }
            tracker.insert(issue);
        }
        tracker
    }
}
