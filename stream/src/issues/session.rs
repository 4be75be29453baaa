//! From a claim to its loss: what came is counted, what was decided is followed, and each step is one record.
//! Any failure ends the session; the next one begins where the log stands.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use issues::decision::Decided;
use issues::monitor::Evaluation;
use issues::outbox::{Attempt, Fate};
use issues::tracker::{Change, Tracker};
use schemas::limits::{MAX_ISSUE_UNIT_RECORDS, MAX_QUIET_RECORDS, MAX_QUIET_SECONDS};
use schemas::publish::ISSUES_PIPELINE;
use schemas::table::Table;

use super::beginning::{Before, Beginning, what_is_left};
use super::postman::Attempts;
use super::runner::{Config, World};
use super::source::{self, News};
use super::state::{self, StateWriter};
use super::{partition, rows};
use crate::commit_log::head::Head;
use crate::commit_log::log::{CommitLog, Entry, LogError};
use crate::commit_log::record::{
    Body, Claim, ClaimedPartition, Commit, Decision, Operator, StateRef, Unit, UnitPartition,
};
use crate::files::FileWriter;
use crate::mutant::{Mutant, planted};
use crate::operator::DECIDE;
use crate::table::delta::{PublishedTable, TableError};
use crate::table::publication::Publication;

/// Why a session ended.
#[derive(Debug, Clone, thiserror::Error)]
#[error("issues: {0}")]
pub struct Error(pub String);

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        Self(error.to_string())
    }
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        Self(error.to_string())
    }
}

/// What a step came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing was there.
    Idle,
    /// A record was written.
    Did,
    /// Another worker has claimed the pipeline.
    Lost,
}

/// Where our own work stands.
#[derive(Debug)]
struct Position {
    generation: u64,
    last_seq: u64,
    /// First record of the first pipeline that no unit of ours has.
    next: u64,
}

/// One claim's work.
pub(crate) struct Session {
    owner: String,
    live: CommitLog,
    own: CommitLog,
    tables: BTreeMap<Table, PublishedTable>,
    unpublished: BTreeMap<Table, Vec<Publication>>,
    pub(crate) tracker: Tracker,
    state: Option<StateRef>,
    position: Position,
    /// Records of the first pipeline not yet taken in.
    queue: VecDeque<Entry>,
    /// One past the last record taken in.
    seen: u64,
    /// Decisions not yet followed.
    decisions: VecDeque<Operator>,
    writer: StateWriter,
    files: FileWriter,
    attempts: Attempts,
    units: u64,
    /// When a unit was last committed, microseconds; `None`: the next step commits what it has seen.
    committed_at: Option<i64>,
    /// Records whose errors are not counted, since they were gone.
    missed: u64,
}

/// What a step found before it is committed.
#[derive(Default)]
struct Found {
    any: bool,
    fates: Vec<Fate>,
    changes: Vec<Change>,
}

impl Session {
    /// Opens tables and logs, claims, and reads the state.
    pub(crate) async fn open(world: &World, config: &Config) -> Result<Self, Error> {
        let tables = open_tables(world, config).await?;
        let cursors = tables.iter().map(|(table, open)| (*table, open.cursor())).collect();
        let newest = what_is_left(world, config, ISSUES_PIPELINE, |_| true).await?.0;
        check_cursors(newest.head(), &cursors)?;
        let from = newest.head().state.as_ref().map_or(0, |state| state.decisions_from);
        let usable = |head: &Head| head.next_seq <= from && head.is_published_at(&cursors);
        let (mut own, mut entries) = what_is_left(world, config, ISSUES_PIPELINE, usable).await?;
        let known = own.head().partitions.get(&partition()).map(|known| known.next_offset);
        let known = known.and_then(|next| u64::try_from(next).ok());
        // Without a state nothing was counted, whatever was claimed.
        let next = known.filter(|_| own.head().state.is_some());
        let beginning = Beginning::find(world, config, next).await?;
        let start = known.unwrap_or_else(|| beginning.offset());
        let Beginning { live, queue, before } = beginning;
        let owner = format!("{:032x}", world.entropy.bits());
        let ids: BTreeMap<Table, String> =
            tables.iter().map(|(table, open)| (*table, open.id().to_owned())).collect();
        entries.extend(own.append(|head| claim(head, &owner, &ids, start)).await?);
        // The former owner may have gone on until just now: what counts is the log with our claim in it.
        let head = own.head();
        let position = head.partitions.get(&partition());
        let position = position.ok_or_else(|| Error("the claim had no effect".to_owned()))?;
        let position = Position {
            generation: position.generation,
            last_seq: position.last_seq,
            next: u64::try_from(position.next_offset).unwrap_or(start),
        };
        if before != Before::Nothing
            && (position.next != start || head.state.is_some() != next.is_some())
        {
            return Err(Error("another worker was faster; beginning where it stands".to_owned()));
        }
        let state = head.state.clone();
        let mut tracker =
            state::load(&config.store, state.as_ref(), config.settings.clone()).await?;
        if state.is_none() && cursors.values().any(Option::is_some) {
            // What was known is lost, its rows are not.
            tracker.number_from(world.clock.unix_millis().saturating_mul(1_000));
        }
        let (store, entropy) = (Arc::clone(&config.store), Arc::clone(&world.entropy));
        let clock = Arc::clone(&world.clock);
        let backoff = world.backoff;
        let mut session = Self {
            owner,
            live,
            own,
            tables,
            unpublished: BTreeMap::new(),
            tracker,
            state,
            seen: position.next,
            queue,
            position,
            decisions: VecDeque::new(),
            writer: StateWriter { store: store.clone(), entropy: entropy.clone(), backoff },
            files: FileWriter { store, clock, entropy, backoff },
            attempts: Attempts::new(Arc::clone(&config.postman)),
            units: 0,
            committed_at: Some(world.clock.unix_millis().saturating_mul(1_000)),
            missed: 0,
        };
        session.follow(&entries).await?;
        session.begin(before).await?;
        let old = world.clock.unix_millis().saturating_sub(3_600_000);
        let orphans = session.writer.orphans(session.state.as_ref(), old).await;
        session.writer.delete(&orphans).await;
        Ok(session)
    }

    /// Takes in what stands in the place of records that are gone.
    async fn begin(&mut self, before: Before) -> Result<(), Error> {
        match before {
            Before::Nothing => Ok(()),
            Before::Gap { to } => self.miss(to, "deleted before they were read").await,
            Before::Files { paths, to, clock } => {
                tracing::info!(
                    files = paths.len(),
                    to,
                    "issues: errors are counted from the table"
                );
                for path in &paths {
                    let errors = source::errors(&self.files.store, path).await?;
                    let gone = || Error(format!("{path} was replaced; beginning again"));
                    self.tracker.apply(&errors.ok_or_else(gone)?, clock);
                }
                (self.seen, self.committed_at) = (to, None);
                Ok(())
            }
        }
    }

    /// Goes on at record `to`, and writes down that the errors before it are not counted.
    async fn miss(&mut self, to: u64, why: &str) -> Result<(), Error> {
        let offset = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        let (from_offset, to_offset) = (offset(self.position.next), offset(to));
        tracing::error!(
            from_offset,
            to_offset,
            "issues: errors of these records are not counted, {why}"
        );
        let decision = Decision::AcceptGap { partition: partition(), from_offset, to_offset };
        let (by, reason) = ("tidemill".to_owned(), format!("records {why}"));
        let body = Body::Operator(Operator { by, reason, decision, adds: Vec::new() });
        let entries = self.own.append(|_| body.clone()).await?;
        self.missed = self.missed.saturating_add(to.saturating_sub(self.position.next));
        self.position.last_seq = self.own.head().next_seq.saturating_sub(1);
        (self.position.next, self.seen) = (to, to);
        self.follow(&entries).await?;
        Ok(())
    }

    /// The next step commits what was seen, however little it is.
    pub(crate) fn settle(&mut self) {
        self.committed_at = None;
    }

    /// Takes in what is there, and commits it. `now` is the wall clock, microseconds.
    pub(crate) async fn step(
        &mut self,
        now: i64,
        evaluations: &[Evaluation],
    ) -> Result<Step, Error> {
        let entries = self.own.catch_up().await?;
        if !self.follow(&entries).await? {
            return Ok(Step::Lost);
        }
        self.queue.extend(self.live.catch_up().await?);
        let mut found = Found::default();
        for (id, mut attempt) in self.attempts.ended() {
            if planted(Mutant::FailureIsSent) {
                attempt = Attempt::Sent(200);
            }
            found.fates.extend(self.tracker.outbox.tried(&id, &attempt, now));
        }
        self.take_in(&mut found).await?;
        for evaluation in evaluations {
            found.any |= self.tracker.judge(evaluation);
        }
        let decisions_from = self.own.head().next_seq;
        while let Some(operator) = self.decisions.pop_front() {
            found.any = true;
            self.decide(&operator);
        }
        found.any |= !found.fates.is_empty() || self.tracker.outbox.is_due(now);
        self.tracker.tick(now);
        found.changes = self.tracker.take_changes(now);
        found.any |= !found.changes.is_empty();
        let quiet = self.seen.saturating_sub(self.position.next);
        if !found.any && !is_due(quiet, self.committed_at, now) {
            self.attempts.begin(&self.tracker.outbox, now);
            return Ok(Step::Idle);
        }
        if !self.commit(&found, decisions_from).await? {
            return Ok(Step::Lost);
        }
        self.committed_at = Some(now);
        self.attempts.begin(&self.tracker.outbox, now);
        Ok(Step::Did)
    }

    async fn take_in(&mut self, found: &mut Found) -> Result<(), Error> {
        for _ in 0..MAX_ISSUE_UNIT_RECORDS {
            let Some(entry) = self.queue.pop_front() else { return Ok(()) };
            let seq = entry.record.seq;
            if seq < self.seen {
                continue;
            }
            let Some(news) = source::read(&self.files.store, &entry).await? else {
                // What came before is committed first: then the gap is this record alone.
                if self.position.next == seq {
                    self.miss(seq.saturating_add(1), "put together with others and deleted")
                        .await?;
                } else {
                    self.queue.push_front(entry);
                    self.committed_at = None;
                }
                return Ok(());
            };
            self.seen = seq.saturating_add(1);
            let clock = source::clock(&entry).unwrap_or_else(|| self.tracker.clock());
            match news {
                News::None => self.tracker.apply(&issues::occurrence::Deltas::default(), clock),
                News::Came(deltas) => {
                    found.any = true;
                    self.tracker.apply(&deltas, clock);
                }
                News::Regrouped { removed, added, moves } => {
                    found.any = true;
                    self.tracker.regroup(&removed, &added, &moves);
                }
            }
        }
        Ok(())
    }

    fn decide(&mut self, operator: &Operator) {
        let Decision::Issues { decision, at_micros } = &operator.decision else { return };
        let decided =
            Decided { decision, at: *at_micros, by: &operator.by, reason: &operator.reason };
        if let Err(error) = self.tracker.decide(&decided) {
            // Two people at once; the first one's decision stands.
            tracing::warn!(%error, by = operator.by, "a decision about issues means nothing any more");
        }
    }

    /// One record: rows, state, and where we are. False: another worker has claimed the pipeline.
    async fn commit(&mut self, found: &Found, decisions_from: u64) -> Result<bool, Error> {
        self.units += 1;
        let short = self.owner.get(..8).unwrap_or_default();
        let plans = rows::plans(&found.changes, &found.fates)
            .map_err(|error| Error(format!("cannot build columns: {error}")))?;
        let adds = self.files.write(&format!("issues-{short}-{}", self.units), plans).await;
        let adds = adds.map_err(|error| Error(error.to_string()))?;
        let state =
            self.writer.write(self.state.as_ref(), &mut self.tracker, decisions_from).await?;
        let offset = |seq: u64| i64::try_from(seq).unwrap_or(i64::MAX);
        let unit = Unit {
            owner: self.owner.clone(),
            partitions: vec![UnitPartition {
                partition: partition(),
                generation: self.position.generation,
                parent_seq: self.position.last_seq,
                from_offset: offset(self.position.next),
                to_offset: offset(self.seen),
                messages: offset(self.seen.saturating_sub(self.position.next)),
                clock_ns: self.tracker.clock().saturating_mul(1_000),
                anchor: None,
            }],
            adds,
            kept: Vec::new(),
            pipeline: None,
            state: Some(state.clone()),
        };
        let body = Body::Commit(Commit { units: vec![unit] });
        let entries = match self.own.append(|_| body.clone()).await {
            Ok(entries) => entries,
            Err(LogError::Rejected(reason)) => {
                tracing::warn!(%reason, "issues: another worker goes on with them");
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        self.position.last_seq = self.own.head().next_seq.saturating_sub(1);
        self.position.next = self.seen;
        let dropped = state::dropped(self.state.as_ref(), &state);
        self.state = Some(state);
        self.writer.delete(&dropped).await;
        self.follow(&entries).await
    }

    /// Collects decisions and publishes what the records name. False: they claim the pipeline for another worker.
    async fn follow(&mut self, entries: &[Entry]) -> Result<bool, Error> {
        let known = self.state.as_ref().map_or(0, |state| state.decisions_from);
        for entry in entries {
            if let Body::Operator(operator) = &entry.record.body
                && entry.folded.rejected.is_empty()
                && entry.record.seq >= known
            {
                self.decisions.push_back(operator.clone());
            }
            for (table, publication) in Publication::of(entry) {
                self.unpublished.entry(table).or_default().push(publication);
            }
        }
        for (table, publications) in &mut self.unpublished {
            let Some(open) = self.tables.get_mut(table).filter(|_| !publications.is_empty()) else {
                continue;
            };
            match open.publish(publications).await {
                Ok(_) => publications.clear(),
                Err(error @ (TableError::Replaced { .. } | TableError::Missing { .. })) => {
                    return Err(error.into());
                }
                Err(error) => tracing::warn!(%error, "published later; what is committed is safe"),
            }
        }
        let head = self.own.head().partitions.get(&partition());
        Ok(head.is_some_and(|head| head.generation == self.position.generation))
    }

    /// Records of the first pipeline not taken in yet.
    pub(crate) fn lag(&self) -> u64 {
        self.live.head().next_seq.saturating_sub(self.seen)
    }

    /// Whether nothing is being sent.
    pub(super) fn is_idle(&self) -> bool {
        self.attempts.is_idle()
    }

    /// Waits until what is being sent has an end.
    #[cfg(test)]
    pub(crate) async fn rest(&self) {
        self.attempts.rest().await;
    }

    /// Records whose errors are not counted.
    pub(crate) fn missed(&self) -> u64 {
        self.missed
    }

    /// First record of the first pipeline not taken in.
    pub(super) fn seen(&self) -> u64 {
        self.seen
    }
}

/// Whether it is time to commit that so many records without news were seen.
fn is_due(quiet: u64, committed_at: Option<i64>, now: i64) -> bool {
    let longest = i64::try_from(MAX_QUIET_SECONDS).unwrap_or(i64::MAX).saturating_mul(1_000_000);
    let is_old = committed_at.is_none_or(|at| now.saturating_sub(at) >= longest);
    quiet >= MAX_QUIET_RECORDS || (quiet > 0 && is_old)
}

async fn open_tables(
    world: &World,
    config: &Config,
) -> Result<BTreeMap<Table, PublishedTable>, Error> {
    let mut tables = BTreeMap::new();
    for table in Table::of(ISSUES_PIPELINE) {
        let open = PublishedTable::open(
            Arc::clone(&config.store),
            table,
            ISSUES_PIPELINE,
            Arc::clone(&world.clock),
            Arc::clone(&world.entropy),
            world.backoff,
        );
        tables.insert(table, open.await?);
    }
    Ok(tables)
}

/// The claim after this head; `start` is where a pipeline begins that never claimed.
fn claim(head: &Head, owner: &str, ids: &BTreeMap<Table, String>, start: u64) -> Body {
    let known = head.partitions.get(&partition());
    let begin = i64::try_from(start).unwrap_or(i64::MAX);
    Body::Claim(Claim {
        owner: owner.to_owned(),
        cluster_id: None,
        tables: ids.clone(),
        partitions: vec![ClaimedPartition {
            partition: partition(),
            generation: known.map_or(1, |known| known.generation.saturating_add(1)),
            start_offset: known.map_or(begin, |known| known.next_offset),
        }],
        group: None,
    })
}

/// Tables that contain records the log does not have mean that the log was lost.
fn check_cursors(head: &Head, cursors: &BTreeMap<Table, Option<u64>>) -> Result<(), Error> {
    let Some((table, seq)) = head.is_behind(cursors) else { return Ok(()) };
    Err(Error(format!(
        "table {} contains seq {seq} but the log of the issues ends before seq {}: it was emptied or \
         replaced; restore _sys/{ISSUES_PIPELINE} from a backup, or begin a new one: {DECIDE}adopt --reason TEXT",
        table.name(),
        head.next_seq
    )))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_seen_is_recorded_after_a_hundred_records_or_an_hour() {
        let hour = 3_600_000_000;
        assert!(!is_due(0, None, 0) && !is_due(0, Some(0), 2 * hour), "nothing was seen");
        assert!(!is_due(99, Some(5), 5) && is_due(100, Some(5), 5));
        assert!(!is_due(1, Some(5), hour + 4) && is_due(1, Some(5), hour + 5));
        assert!(is_due(1, None, 5), "a drain does not wait");
    }
}
