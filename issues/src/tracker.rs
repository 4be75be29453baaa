//! All issues, and what happens to them.

use std::collections::{BTreeMap, BTreeSet};

use grouping::miner::Miner;
use schemas::limits::{ISSUE_REFRESH_MILLIS, MAX_COUNTED_ROWS};

use crate::issue::{Issue, Regression, State};
use crate::monitor::Monitors;
use crate::occurrence::{Delta, Deltas};
use crate::outbox::{Alert, AlertKind, Outbox};
use crate::place::Place;
use crate::settings::Settings;
use crate::versions::Versions;
use crate::{HOUR, Micros, spike};

/// Between two alerts of one issue that spikes again and again.
const SPIKE_PAUSE: Micros = HOUR;

/// What became of an issue: a row of its history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The issue as it is after the change.
    pub issue: Issue,
    /// What happened, by the names of `schemas::issue::CHANGE`.
    pub what: &'static str,
    /// When, by the clock of the records.
    pub at: Micros,
    /// Who decided it.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The issue it became a part of.
    pub merged_into: String,
    /// Its number.
    pub seq: i64,
}

/// The state of all issues.
#[derive(Debug, Clone, Default)]
pub struct Tracker {
    pub(crate) settings: Settings,
    pub(crate) issues: BTreeMap<String, Issue>,
    /// Id of grouping -> issue, for ids that are not their issue's own.
    pub(crate) aliases: BTreeMap<String, String>,
    /// Issues per service, without those that stand for what there was no room for.
    pub(crate) counts: BTreeMap<String, usize>,
    /// The messages of issues that are known by their message.
    pub(crate) miner: Miner,
    pub(crate) versions: Versions,
    /// Who is to be told what.
    pub outbox: Outbox,
    /// Where monitors stand.
    pub(crate) monitors: Monitors,
    /// The latest time the records have shown.
    pub(crate) clock: Micros,
    /// Rows so far.
    pub(crate) seq: i64,
    /// The hour in which quiet issues were last looked for.
    pub(crate) quiet_hour: i64,
    /// Issues that differ from what was last saved.
    pub(crate) unsaved: BTreeSet<String>,
    /// Rows of the history not yet taken.
    pub(crate) changes: Vec<Change>,
}

impl Tracker {
    /// Without any issue.
    pub fn new(settings: Settings) -> Self {
        Self { settings, ..Self::default() }
    }

    /// Numbers rows from here on, so that they come after those of a state that was lost.
    pub fn number_from(&mut self, seq: i64) {
        self.seq = self.seq.max(seq);
    }

    /// The issue that errors with this id of grouping belong to.
    pub fn resolve<'a>(&'a self, id: &'a str) -> &'a str {
        self.aliases.get(id).map_or(id, String::as_str)
    }

    /// An issue, by its own id or one it stands for.
    pub fn get(&self, id: &str) -> Option<&Issue> {
        self.issues.get(self.resolve(id))
    }

    /// All issues, by id.
    pub fn issues(&self) -> impl Iterator<Item = &Issue> {
        self.issues.values()
    }

    /// The latest time the records have shown.
    pub fn clock(&self) -> Micros {
        self.clock
    }

    /// Takes in the errors of one unit of the first pipeline. `clock` is its time.
    pub fn apply(&mut self, deltas: &Deltas, clock: Micros) {
        self.clock = self.clock.max(clock);
        for (id, delta) in &deltas.0 {
            for (version, seen) in &delta.versions {
                self.versions.see(&delta.service, version, seen.first);
            }
            self.errors(id, delta);
        }
    }

    fn errors(&mut self, raw: &str, delta: &Delta) {
        let oldest = self.clock.saturating_sub(self.settings.late_after);
        let late = delta.seen.last < oldest;
        let Place { issue: id, member, is_variant } = self.place(raw, delta);
        let clock = self.clock;
        let Some(issue) = self.issues.get_mut(&id) else {
            let mut issue = self.founded(&id, delta);
            issue.count(&member, delta, late);
            self.insert(issue);
            self.change(&id, "created", "", "");
            if !late {
                self.alert(&id, AlertKind::NewIssue, "", delta.last_version.clone());
            }
            return self.measure(&id);
        };
        let back = returned(issue, delta, &self.versions, oldest);
        issue.count(&member, delta, late);
        if is_variant {
            self.joined(raw, &id, delta);
        }
        self.unsaved.insert(id.clone());
        if let Some(regression) = back {
            let (since, version) = (regression.resolved_at, regression.version.clone());
            let Some(issue) = self.issues.get_mut(&id) else { return };
            issue.set_state(State::ForReview, clock, "");
            issue.regression = Some(regression);
            self.change(&id, "regressed", "", &version);
            self.alert(&id, AlertKind::Regression, &since.to_string(), version);
        }
        if !late {
            self.measure(&id);
        }
    }

    /// Whether the issue has a high impact by now.
    fn measure(&mut self, id: &str) {
        let impact = self.settings.high_impact;
        let Some(issue) = self.issues.get_mut(id) else { return };
        let over = |limit: Option<u64>, count: u64| limit.is_some_and(|limit| count >= limit);
        let is_high = over(impact.users, issue.users.estimate())
            || over(impact.batches, issue.batches.estimate())
            || over(impact.events, issue.seen.count);
        if is_high && !issue.impact_told && issue.state.is_told() {
            issue.impact_told = true;
            let times = issue.resolved_at.unwrap_or_default().to_string();
            self.change(id, "high_impact", "", "");
            self.alert(id, AlertKind::HighImpact, &times, String::new());
        }
    }

    /// Time has passed: looks for spikes, and now and then for issues that became quiet. `now` is the wall
    /// clock: it paces messages and decides nothing else.
    pub fn tick(&mut self, now: Micros) {
        let active = self.unsaved.iter().cloned();
        let spiking = self.issues.values().filter(|issue| issue.spiking_since.is_some());
        let looked: BTreeSet<String> = active.chain(spiking.map(|i| i.id.clone())).collect();
        if self.settings.spike.enabled {
            looked.iter().for_each(|id| self.look_for_spike(id));
        }
        let hour = self.clock.div_euclid(HOUR);
        if hour > self.quiet_hour {
            self.quiet_hour = hour;
            self.resolve_quiet();
        }
        self.outbox.seal(&self.settings.recipients, self.clock, now);
    }

    fn look_for_spike(&mut self, id: &str) {
        let clock = self.clock;
        let Some(issue) = self.issues.get_mut(id) else { return };
        let Issue { minutes, hours, seen, .. } = &*issue;
        let found = spike::look(minutes, hours, seen.first, clock, &self.settings.spike);
        let Some(found) = found else { return };
        match issue.spiking_since {
            None if found.is_spike() && issue.state.is_told() => {
                issue.spiking_since = Some(clock);
                let told = issue.spike_told.is_some_and(|told| clock - told < SPIKE_PAUSE);
                if !told {
                    issue.spike_told = Some(clock);
                }
                let reason = format!("{} errors where {:.0} are usual", found.count, found.usual);
                self.change(id, "spiking", "", &reason);
                if !told {
                    self.alert(id, AlertKind::Spike, &clock.to_string(), String::new());
                }
            }
            Some(_) if found.is_calm() => {
                issue.spiking_since = None;
                self.change(id, "calmed", "", "");
            }
            _ => {}
        }
    }

    /// Resolves what has been quiet for long: issues without errors, and issues whose last version is that old
    /// while a newer one has errors, but not this.
    fn resolve_quiet(&mut self) {
        let Some(quiet) = self.settings.auto_resolve else { return };
        let before = self.clock.saturating_sub(quiet);
        let is_over = |issue: &&Issue| {
            let names = issue.named_versions();
            let newest = names
                .clone()
                .filter_map(|version| self.versions.first_seen(&issue.service, version))
                .max();
            let outlived = newest.is_some_and(|first| first < before)
                && self.versions.has_newer(&issue.service, names);
            issue.state.is_told() && (issue.seen.last < before || outlived)
        };
        let over: Vec<String> =
            self.issues.values().filter(is_over).map(|issue| issue.id.clone()).collect();
        for id in over {
            let clock = self.clock;
            if let Some(issue) = self.issues.get_mut(&id) {
                issue.set_state(State::Resolved, clock, "");
            }
            self.change(&id, "auto_resolved", "", "quiet");
        }
    }

    /// Notes a change of an issue as it is now.
    pub(crate) fn change(&mut self, id: &str, what: &'static str, by: &str, reason: &str) {
        self.unsaved.insert(id.to_owned());
        let Some(issue) = self.issues.get_mut(id) else { return };
        issue.row_due = false;
        self.seq += 1;
        self.changes.push(Change {
            issue: issue.clone(),
            what,
            at: self.clock,
            by: by.to_owned(),
            reason: reason.to_owned(),
            merged_into: String::new(),
            seq: self.seq,
        });
    }

    fn alert(&mut self, id: &str, kind: AlertKind, once: &str, version: String) {
        let Some(issue) = self.issues.get(id).filter(|issue| issue.state.is_told()) else { return };
        let alert = Alert::of(issue, kind, once, version, self.clock);
        self.outbox.add(&self.settings.recipients, &alert);
    }

    /// Whether [`Self::take_changes`] has something at this time.
    pub fn has_changes(&self, now: Micros) -> bool {
        !self.changes.is_empty() || self.issues.values().any(|issue| is_due(issue, now))
    }

    /// Counts that have changed are due now: there may be no later.
    pub fn flush(&mut self) {
        self.issues.values_mut().for_each(|issue| issue.row_at = 0);
    }

    /// The rows of the history that are due: what happened, then issues whose counts have changed a while ago.
    pub fn take_changes(&mut self, now: Micros) -> Vec<Change> {
        let mut due: Vec<(Micros, String)> = self
            .issues
            .values()
            .filter(|issue| is_due(issue, now))
            .map(|issue| (issue.row_at, issue.id.clone()))
            .collect();
        due.sort();
        for (_, id) in due.into_iter().take(MAX_COUNTED_ROWS) {
            self.change(&id, "counted", "", "");
        }
        let changes = std::mem::take(&mut self.changes);
        for change in &changes {
            if let Some(issue) = self.issues.get_mut(&change.issue.id) {
                issue.row_at = now;
            }
        }
        changes
    }
}

/// Whether an issue's counts are to be shown again.
fn is_due(issue: &Issue, now: Micros) -> bool {
    issue.row_due && now - issue.row_at >= ISSUE_REFRESH_MILLIS * 1_000
}

/// Whether these errors bring a resolved issue back: one of them happened after it was resolved, and not long
/// ago, in a version newer than all that are known to have it, or without versions to go by.
fn returned(
    issue: &Issue,
    delta: &Delta,
    versions: &Versions,
    oldest: Micros,
) -> Option<Regression> {
    let resolved_at = issue.resolved_at.filter(|_| issue.state == State::Resolved)?;
    let has_versions = issue.named_versions().next().is_some();
    let is_back = |version: &str| {
        version.is_empty()
            || !has_versions
            || (!issue.versions.contains_key(version)
                && versions.is_newer(&issue.service, version, issue.named_versions()))
    };
    delta
        .versions
        .iter()
        .filter(|(_, seen)| seen.last > resolved_at && seen.last >= oldest)
        .filter(|(version, _)| is_back(version))
        .map(|(version, seen)| (seen.first.max(resolved_at + 1), version))
        .min()
        .map(|(at, version)| Regression { at, version: version.clone(), resolved_at })
}
