//! What people decide about issues.

use crate::Micros;
use crate::issue::{Issue, State};
use crate::occurrence::{Delta, Seen};
use crate::place::is_id;
use crate::tracker::{Change, Tracker};

/// A decision. Each is one record of the pipeline's commit log.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Decision {
    /// The issue gets another state.
    State {
        /// Which.
        issue: String,
        /// The state.
        state: State,
    },
    /// Issues become parts of another one.
    Merge {
        /// The one that stays.
        into: String,
        /// Those that go.
        issues: Vec<String>,
    },
    /// What came under one of an issue's ids becomes an issue of its own again.
    Split {
        /// The issue.
        issue: String,
        /// The id, one of its `aliases`.
        alias: String,
    },
}

/// Who decided what, when and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decided<'a> {
    /// What.
    pub decision: &'a Decision,
    /// When, by the decider's clock.
    pub at: Micros,
    /// Who.
    pub by: &'a str,
    /// Why.
    pub reason: &'a str,
}

/// Why a decision means nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Undecidable {
    /// There is no such issue.
    #[error("there is no issue {0}; `tidemill issues list` shows them")]
    Unknown(String),
    /// Both are one already.
    #[error("{0} is that issue already")]
    Same(String),
    /// The id is not one of the issue's, or its own.
    #[error("{alias} is not an id that {issue} could do without; it has: {}", .others.join(", "))]
    NotPart {
        /// The issue.
        issue: String,
        /// The id.
        alias: String,
        /// What it could lose.
        others: Vec<String>,
    },
}

impl Tracker {
    /// Whether a decision means something now.
    ///
    /// # Errors
    /// Why not.
    pub fn check(&self, decision: &Decision) -> Result<(), Undecidable> {
        let known = |id: &str| {
            self.get(id).ok_or_else(|| Undecidable::Unknown(id.to_owned())).map(|issue| &issue.id)
        };
        match decision {
            Decision::State { issue, .. } => known(issue).map(drop),
            Decision::Merge { into, issues } => {
                let target = known(into)?;
                for id in issues {
                    if known(id)? == target {
                        return Err(Undecidable::Same(id.clone()));
                    }
                }
                Ok(())
            }
            Decision::Split { issue, alias } => {
                known(issue)?;
                let Some(found) = self.get(issue) else { return Ok(()) };
                let others = found.members.keys().filter(|id| **id != found.id && is_id(id));
                if others.clone().any(|id| id == alias) {
                    return Ok(());
                }
                let others = others.cloned().collect();
                let (issue, alias) = (found.id.clone(), alias.clone());
                Err(Undecidable::NotPart { issue, alias, others })
            }
        }
    }

    /// Follows a decision. One that means nothing any more changes nothing.
    ///
    /// # Errors
    /// Why it means nothing.
    pub fn decide(&mut self, decided: &Decided<'_>) -> Result<(), Undecidable> {
        self.check(decided.decision)?;
        let Decided { at, by, reason, .. } = *decided;
        self.clock = self.clock.max(at.min(self.clock.saturating_add(crate::HOUR)));
        match decided.decision {
            Decision::State { issue, state } => {
                let id = self.resolve(issue).to_owned();
                if let Some(issue) = self.issues.get_mut(&id) {
                    issue.set_state(*state, at, by);
                }
                self.change_at(&id, verb(*state), at, by, reason);
            }
            Decision::Merge { into, issues } => {
                let into = self.resolve(into).to_owned();
                for id in issues {
                    let id = self.resolve(id).to_owned();
                    self.merge(&into, &id, "merge", (at, by, reason));
                }
                self.change_at(&into, "merge", at, by, reason);
            }
            Decision::Split { issue, alias } => {
                let id = self.resolve(issue).to_owned();
                self.split(&id, alias, at);
                self.change_at(alias, "split", at, by, reason);
                self.change_at(&id, "split", at, by, reason);
            }
        }
        Ok(())
    }

    fn change_at(&mut self, id: &str, what: &'static str, at: Micros, by: &str, reason: &str) {
        self.change(id, what, by, reason);
        if let Some(change) = self.changes.last_mut() {
            change.at = at;
        }
    }

    /// Makes an issue a part of another: its last row says of which.
    pub(crate) fn merge(
        &mut self,
        into: &str,
        id: &str,
        what: &'static str,
        (at, by, reason): (Micros, &str, &str),
    ) {
        if into == id || !self.issues.contains_key(into) {
            return;
        }
        let Some(gone) = self.take_out(id) else { return };
        self.unsaved.insert(id.to_owned());
        if let Some(target) = self.issues.get_mut(into) {
            target.join(&gone);
            // An id without errors of its own is an alias, too.
            target.members.entry(gone.id.clone()).or_default();
            for member in gone.members.keys().chain([&gone.id]).filter(|member| is_id(member)) {
                // What it has no room for is not known any more, as it will not be once it is read back.
                match target.members.contains_key(member) {
                    true => drop(self.aliases.insert(member.clone(), into.to_owned())),
                    false => drop(self.aliases.remove(member)),
                }
            }
        }
        self.learn(into);
        self.seq += 1;
        self.changes.push(Change {
            issue: gone,
            what,
            at,
            by: by.to_owned(),
            reason: reason.to_owned(),
            merged_into: into.to_owned(),
            seq: self.seq,
        });
    }

    /// The totals of the id go with it; counts per time, version and host stay where they were added up.
    fn split(&mut self, id: &str, alias: &str, at: Micros) {
        let Some(issue) = self.issues.get_mut(id) else { return };
        let seen = issue.members.remove(alias).unwrap_or_default();
        issue.seen.count = issue.seen.count.saturating_sub(seen.count);
        let mut own = Issue::new(alias, &Delta::default(), at);
        own.service.clone_from(&issue.service);
        match issue.variants.remove(alias) {
            Some(variant) => {
                (own.kind, own.title, own.culprit) = (variant.kind, variant.title, variant.culprit);
            }
            None => {
                own.kind.clone_from(&issue.kind);
                own.title.clone_from(&issue.title);
                own.culprit.clone_from(&issue.culprit);
            }
        }
        own.first_version.clone_from(&issue.first_version);
        own.last_version.clone_from(&issue.last_version);
        own.seen = if seen.count == 0 { Seen { count: 0, first: at, last: at } } else { seen };
        own.members.insert(alias.to_owned(), seen);
        self.aliases.remove(alias);
        self.insert(own);
        self.unsaved.extend([alias.to_owned(), id.to_owned()]);
    }
}

fn verb(state: State) -> &'static str {
    match state {
        State::ForReview => "reopen",
        State::Reviewed => "review",
        State::Ignored => "ignore",
        State::Resolved => "resolve",
        State::Excluded => "exclude",
    }
}
