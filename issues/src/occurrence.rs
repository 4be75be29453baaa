//! Errors of one unit of work, added up per id that grouping gave them.

use std::collections::BTreeMap;

use schemas::limits::{MAX_ISSUE_TEXT_BYTES, MAX_SAMPLES};

use crate::counts::Distinct;
use crate::{MINUTE, Micros};

/// One error, as the table `error_events` has it.
#[derive(Debug, Clone, Copy, Default)]
pub struct Occurrence<'a> {
    /// Event time.
    pub at: Micros,
    /// Unified service tag.
    pub service: &'a str,
    /// Unified service tag.
    pub env: &'a str,
    /// Unified service tag.
    pub version: &'a str,
    /// Host name.
    pub host: &'a str,
    /// Type of the error.
    pub kind: &'a str,
    /// Its message.
    pub message: &'a str,
    /// Where it comes from, possibly empty.
    pub culprit: &'a str,
    /// Who met it, possibly empty.
    pub user: &'a str,
    /// In which batch, possibly empty.
    pub batch: &'a str,
    /// Where its row is, for an error with context: topic, partition, offset, index.
    pub place: Option<(&'a str, i32, i64, i32)>,
}

/// When something was seen, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Seen {
    /// How often.
    pub count: u64,
    /// First event time.
    pub first: Micros,
    /// Last event time.
    pub last: Micros,
}

impl Default for Seen {
    /// Never.
    fn default() -> Self {
        Self { count: 0, first: Micros::MAX, last: Micros::MIN }
    }
}

impl Seen {
    /// Sees it again.
    pub fn add(&mut self, other: Self) {
        self.count += other.count;
        self.first = self.first.min(other.first);
        self.last = self.last.max(other.last);
    }
}

/// A sample event.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
pub struct Sample {
    /// Event time.
    pub at: Micros,
    /// Its version.
    pub version: String,
    /// Where its row is: `topic/partition/offset/index`.
    pub place: String,
}

/// The errors of one id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delta {
    /// Service of the first.
    pub service: String,
    /// Type of the first.
    pub kind: String,
    /// Message of the earliest.
    pub title: String,
    /// Where the earliest comes from.
    pub culprit: String,
    /// Version of the earliest.
    pub first_version: String,
    /// Version of the latest.
    pub last_version: String,
    /// All of them.
    pub seen: Seen,
    /// Per version.
    pub versions: BTreeMap<String, Seen>,
    /// Per environment.
    pub envs: BTreeMap<String, u64>,
    /// Per host.
    pub hosts: BTreeMap<String, u64>,
    /// Per minute since the epoch.
    pub minutes: BTreeMap<i64, u64>,
    /// Users.
    pub users: Distinct,
    /// Batches.
    pub batches: Distinct,
    /// The first few with context.
    pub samples: Vec<Sample>,
}

impl Delta {
    fn add(&mut self, error: &Occurrence<'_>) {
        if self.seen.count == 0 {
            self.service = error.service.to_owned();
            self.kind = error.kind.to_owned();
        }
        if error.at < self.seen.first {
            let message = error.message;
            self.title = message[..message.floor_char_boundary(MAX_ISSUE_TEXT_BYTES)].to_owned();
            self.culprit = error.culprit.to_owned();
            self.first_version = error.version.to_owned();
        }
        if error.at >= self.seen.last {
            self.last_version = error.version.to_owned();
        }
        let once = Seen { count: 1, first: error.at, last: error.at };
        self.seen.add(once);
        match self.versions.get_mut(error.version) {
            Some(seen) => seen.add(once),
            None => drop(self.versions.insert(error.version.to_owned(), once)),
        }
        count(&mut self.envs, error.env);
        count(&mut self.hosts, error.host);
        *self.minutes.entry(error.at.div_euclid(MINUTE)).or_default() += 1;
        self.users.add(error.user);
        self.batches.add(error.batch);
        if let Some((topic, partition, offset, index)) = error.place
            && self.samples.len() < MAX_SAMPLES
        {
            let place = format!("{topic}/{partition}/{offset}/{index}");
            let version = error.version.to_owned();
            self.samples.push(Sample { at: error.at, version, place });
        }
    }
}

fn count(counts: &mut BTreeMap<String, u64>, value: &str) {
    match counts.get_mut(value) {
        Some(known) => *known += 1,
        None => drop(counts.insert(value.to_owned(), 1)),
    }
}

/// The errors of one unit of work.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Deltas(pub BTreeMap<String, Delta>);

impl Deltas {
    /// Counts one error.
    pub fn add(&mut self, id: &str, error: &Occurrence<'_>) {
        match self.0.get_mut(id) {
            Some(delta) => delta.add(error),
            None => self.0.entry(id.to_owned()).or_default().add(error),
        }
    }

    /// Errors in all.
    pub fn count(&self) -> u64 {
        self.0.values().map(|delta| delta.seen.count).sum()
    }
}
