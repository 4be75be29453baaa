//! One issue.

use std::collections::BTreeMap;

use schemas::limits::{
    MAX_ALIASES, MAX_ISSUE_DAYS, MAX_ISSUE_HOURS, MAX_ISSUE_MINUTES, MAX_ISSUE_VALUES, MAX_SAMPLES,
    OVERFLOW_VALUE,
};

use crate::counts::{Distinct, Ring, Values};
use crate::occurrence::{Delta, Sample, Seen};
use crate::{MINUTE, Micros};

/// What people have made of an issue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// New, or come back: somebody should look at it.
    ForReview,
    /// Somebody has.
    Reviewed,
    /// It counts, and nobody is told of it.
    Ignored,
    /// Said to be mended; an error in a newer version brings it back.
    Resolved,
    /// Nobody wants to see it: it is kept out of lists, too.
    Excluded,
}

impl State {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            State::ForReview => "for_review",
            State::Reviewed => "reviewed",
            State::Ignored => "ignored",
            State::Resolved => "resolved",
            State::Excluded => "excluded",
        }
    }

    /// Whether people want to hear of it.
    pub fn is_told(self) -> bool {
        matches!(self, State::ForReview | State::Reviewed)
    }
}

/// When an issue came back, and in which version.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Regression {
    /// Event time of the error that brought it back.
    pub at: Micros,
    /// Its version.
    pub version: String,
    /// When it had been resolved.
    pub resolved_at: Micros,
}

/// What an id says that an issue stands for.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Variant {
    /// Type of the error.
    pub kind: String,
    /// Its message, the first part of a long one.
    pub title: String,
    /// Where it comes from.
    pub culprit: String,
    /// Whether it is part of the issue because the messages differ in a name only; else people or a change of rules
    /// have decided so.
    pub is_mined: bool,
}

/// One issue.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Issue {
    /// Its id: the first one grouping gave its errors.
    pub id: String,
    /// Unified service tag.
    pub service: String,
    /// Type of the error.
    pub kind: String,
    /// Message of the earliest error of the first unit.
    pub title: String,
    /// Where that comes from.
    pub culprit: String,
    /// Its state,
    pub state: State,
    /// since then,
    pub state_since: Micros,
    /// and by whom; empty where nobody had to.
    pub state_by: String,
    /// All errors.
    pub seen: Seen,
    /// Those that came late or by a replay.
    pub late: u64,
    /// Version of the earliest error.
    pub first_version: String,
    /// Version of the latest.
    pub last_version: String,
    /// Per version; see [`Self::see_version`].
    pub versions: BTreeMap<String, Seen>,
    /// Per environment.
    pub envs: Values,
    /// Per host.
    pub hosts: Values,
    /// Per minute since the epoch.
    pub minutes: Ring,
    /// Per hour.
    pub hours: Ring,
    /// Per day.
    pub days: Ring,
    /// Users affected.
    pub users: Distinct,
    /// Batches affected.
    pub batches: Distinct,
    /// Every id grouping gave its errors, its own among them, with what came under it.
    pub members: BTreeMap<String, Seen>,
    /// What some of them say that it is not the first of.
    #[serde(default)]
    pub variants: BTreeMap<String, Variant>,
    /// When it was last resolved, while and after it was.
    pub resolved_at: Option<Micros>,
    /// When it last came back.
    pub regression: Option<Regression>,
    /// Since when it spikes.
    pub spiking_since: Option<Micros>,
    /// When a spike was last told of.
    pub spike_told: Option<Micros>,
    /// Whether its high impact was told of.
    pub impact_told: bool,
    /// Errors spread over time and versions.
    pub samples: Vec<Sample>,
    /// When its last row was written, wall clock; for pacing only.
    pub row_at: Micros,
    /// Whether its counts have changed since.
    pub row_due: bool,
}

impl Issue {
    /// A new one, of the first errors under an id.
    pub fn new(id: &str, delta: &Delta, clock: Micros) -> Self {
        Self {
            id: id.to_owned(),
            service: delta.service.clone(),
            kind: delta.kind.clone(),
            title: delta.title.clone(),
            culprit: delta.culprit.clone(),
            state: State::ForReview,
            state_since: clock,
            state_by: String::new(),
            seen: Seen::default(),
            late: 0,
            first_version: String::new(),
            last_version: String::new(),
            versions: BTreeMap::new(),
            envs: Values::default(),
            hosts: Values::default(),
            minutes: Ring::default(),
            hours: Ring::default(),
            days: Ring::default(),
            users: Distinct::default(),
            batches: Distinct::default(),
            members: BTreeMap::new(),
            variants: BTreeMap::new(),
            resolved_at: None,
            regression: None,
            spiking_since: None,
            spike_told: None,
            impact_told: false,
            samples: Vec::new(),
            row_at: 0,
            row_due: true,
        }
    }

    /// Counts errors that came under the id `member`.
    pub fn count(&mut self, member: &str, delta: &Delta, late: bool) {
        let seen = delta.seen;
        // Of equal times the smaller version: the same whatever comes first.
        let first = (seen.first, &delta.first_version);
        if self.seen.count == 0 || first < (self.seen.first, &self.first_version) {
            self.first_version.clone_from(&delta.first_version);
        }
        if (seen.last, &delta.last_version) > (self.seen.last, &self.last_version) {
            self.last_version.clone_from(&delta.last_version);
        }
        self.seen.add(seen);
        if late {
            self.late += seen.count;
        }
        for (version, seen) in &delta.versions {
            self.see_version(version, *seen);
        }
        delta.envs.iter().for_each(|(env, count)| self.envs.add(env, *count));
        delta.hosts.iter().for_each(|(host, count)| self.hosts.add(host, *count));
        for (minute, count) in &delta.minutes {
            self.minutes.add(*minute, *count, MAX_ISSUE_MINUTES);
            self.hours.add(minute.div_euclid(60), *count, MAX_ISSUE_HOURS);
            self.days.add(minute.div_euclid(24 * 60), *count, MAX_ISSUE_DAYS);
        }
        self.users.join(&delta.users);
        self.batches.join(&delta.batches);
        self.member(member, seen);
        self.keep_samples(&delta.samples);
        self.row_due = true;
    }

    /// Takes back what a replay found to belong elsewhere. Users and batches stay: who was affected, was.
    pub fn take(&mut self, member: &str, delta: &Delta) {
        self.seen.count = self.seen.count.saturating_sub(delta.seen.count);
        for (version, seen) in &delta.versions {
            let version =
                if self.versions.contains_key(version) { version } else { OVERFLOW_VALUE };
            if let Some(known) = self.versions.get_mut(version) {
                known.count = known.count.saturating_sub(seen.count);
            }
        }
        self.versions.retain(|_, seen| seen.count > 0);
        delta.envs.iter().for_each(|(env, count)| self.envs.take(env, *count));
        delta.hosts.iter().for_each(|(host, count)| self.hosts.take(host, *count));
        for (minute, count) in &delta.minutes {
            self.minutes.take(*minute, *count);
            self.hours.take(minute.div_euclid(60), *count);
            self.days.take(minute.div_euclid(24 * 60), *count);
        }
        let member = if self.members.contains_key(member) { member } else { OVERFLOW_VALUE };
        if let Some(known) = self.members.get_mut(member) {
            known.count = known.count.saturating_sub(delta.seen.count);
        }
        self.row_due = true;
    }

    /// Counts a version; beyond the limit the one seen least lately gives way, into a version that says so.
    fn see_version(&mut self, version: &str, seen: Seen) {
        if !self.versions.contains_key(version) && self.versions.len() > MAX_ISSUE_VALUES {
            let known = self.versions.iter().filter(|(version, _)| *version != OVERFLOW_VALUE);
            if let Some((oldest, _)) = known.min_by_key(|(_, seen)| seen.last) {
                let oldest = oldest.clone();
                let gone = self.versions.remove(&oldest).unwrap_or_default();
                self.versions.entry(OVERFLOW_VALUE.to_owned()).or_default().add(gone);
            }
        }
        self.versions.entry(version.to_owned()).or_default().add(seen);
    }

    fn member(&mut self, member: &str, seen: Seen) {
        let known = self.members.contains_key(member);
        let name = if known || self.members.len() < MAX_ALIASES { member } else { OVERFLOW_VALUE };
        self.members.entry(name.to_owned()).or_default().add(seen);
    }

    /// Keeps samples of every version, the first and the last of each and the others far apart in time.
    fn keep_samples(&mut self, samples: &[Sample]) {
        self.samples.extend(samples.iter().cloned());
        self.samples.sort();
        self.samples.dedup();
        while self.samples.len() > MAX_SAMPLES {
            let crowded = (1..self.samples.len().saturating_sub(1)).min_by_key(|place| {
                let at = |place: usize| self.samples.get(place);
                let (Some(before), Some(this), Some(after)) =
                    (at(place - 1), at(*place), at(place + 1))
                else {
                    return (usize::MAX, Micros::MAX);
                };
                let is_only =
                    self.samples.iter().filter(|s| s.version == this.version).count() == 1;
                (usize::from(is_only), after.at - before.at)
            });
            self.samples.remove(crowded.unwrap_or(0));
        }
    }

    /// Takes another issue in: its counts, members and samples. State and title stay.
    pub fn join(&mut self, other: &Self) {
        if (other.seen.first, &other.first_version) < (self.seen.first, &self.first_version) {
            self.first_version.clone_from(&other.first_version);
        }
        if (other.seen.last, &other.last_version) > (self.seen.last, &self.last_version) {
            self.last_version.clone_from(&other.last_version);
        }
        self.seen.add(other.seen);
        self.late += other.late;
        other.versions.iter().for_each(|(version, seen)| self.see_version(version, *seen));
        self.envs.join(&other.envs);
        self.hosts.join(&other.hosts);
        self.minutes.join(&other.minutes, MAX_ISSUE_MINUTES);
        self.hours.join(&other.hours, MAX_ISSUE_HOURS);
        self.days.join(&other.days, MAX_ISSUE_DAYS);
        self.users.join(&other.users);
        self.batches.join(&other.batches);
        other.members.iter().for_each(|(member, seen)| self.member(member, *seen));
        let own = Variant::of(&other.kind, &other.title, &other.culprit, false);
        self.vary(&other.id, own);
        other.variants.iter().for_each(|(id, variant)| self.vary(id, variant.clone()));
        self.keep_samples(&other.samples);
        self.row_due = true;
    }

    /// The versions it was seen in that have a name.
    pub fn named_versions(&self) -> impl Iterator<Item = &str> + Clone {
        let names = self.versions.keys().map(String::as_str);
        names.filter(|version| !version.is_empty() && *version != OVERFLOW_VALUE)
    }

    /// Errors in the hour before `clock`, and in the day before it.
    pub fn recent(&self, clock: Micros) -> (u64, u64) {
        let minute = clock.div_euclid(MINUTE) + 1;
        let hour = minute.div_euclid(60) + 1;
        (self.minutes.sum(minute - 60, minute), self.hours.sum(hour - 24, hour))
    }

    /// Changes its state.
    pub fn set_state(&mut self, state: State, at: Micros, by: &str) {
        (self.state, self.state_since, self.state_by) = (state, at, by.to_owned());
        if state == State::Resolved {
            self.resolved_at = Some(at);
            self.spiking_since = None;
            self.impact_told = false;
        }
        self.row_due = true;
    }
}
