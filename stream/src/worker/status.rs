//! What an operator can see of a running worker.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use schemas::table::Table;
use tokio::sync::watch;

use super::recovery::{Position, Positions, Recovered};
use crate::source::PartitionInfo;
use crate::unit::Unit;
use crate::upkeep::report::Report;
use stages::pipeline::quota::{DailyLimit, KeptByDay};
use stages::record::TopicPartition;

/// A snapshot of the worker's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// The last commit-log record seen.
    pub committed_seq: Option<u64>,
    /// Version of the pipeline that made the last unit since the start; none before the first.
    pub pipeline_version: Option<String>,
    /// The first record since the start with a unit of this version.
    pub pipeline_since_seq: Option<u64>,
    /// Units committed since the start.
    pub units: u64,
    /// Per table: the last seq it contains. Quiet tables stay behind and miss nothing.
    pub published_seq: BTreeMap<&'static str, Option<u64>>,
    /// Per table: rows committed since the start.
    pub rows: BTreeMap<&'static str, u64>,
    /// Messages and records refused since the start.
    pub dead_letters: u64,
    /// Offsets that never came since the start (compaction, transaction markers).
    pub missing_offsets: i64,
    /// Messages not yet committed, over all partitions, as of the last look at the broker.
    pub lag: i64,
    /// This worker in the commit log: the owner of its claims and units, new at every start.
    pub owner: String,
    /// The group it shares the topics with; none when all partitions are its own.
    pub group: Option<String>,
    /// Decisions of the group since the start: partitions assigned, revoked, lost.
    pub rebalances: u64,
    /// Units refused since the start because another worker had claimed one of their partitions. Their records
    /// were read again, by whoever owns them.
    pub rejected_units: u64,
    /// Who publishes to the tables, as of the last look at the lease; none without a lease.
    pub publisher: Option<String>,
    /// Whether this worker publishes to the tables.
    pub publishes: bool,
    /// What upkeep did since the start.
    pub upkeep: Report,
    /// Daily limits of indexes, each with its latest day.
    pub quotas: Vec<QuotaStatus>,
    /// The partitions held.
    pub partitions: Vec<PartitionStatus>,
}

/// The daily limit of one index.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct QuotaStatus {
    /// Its name.
    pub index: String,
    /// Logs kept of the latest day, by all workers.
    pub kept: u64,
    /// Logs it may keep.
    pub limit: u64,
}

/// One partition held.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PartitionStatus {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
    /// The generation of our claim.
    pub generation: u64,
    /// First offset not committed.
    pub next_offset: i64,
    /// One past the broker's last offset, when last asked.
    pub high: i64,
    /// The difference.
    pub lag: i64,
}

/// Where the tasks write and the operator reads.
#[derive(Debug)]
pub(super) struct Board {
    state: Mutex<State>,
    cursors: BTreeMap<Table, Mutex<Option<watch::Receiver<Option<u64>>>>>,
}

#[derive(Debug, Default)]
struct State {
    status: Status,
    partitions: BTreeMap<TopicPartition, Place>,
    /// Ends of all partitions, when last asked.
    highs: BTreeMap<TopicPartition, i64>,
}

#[derive(Debug)]
struct Place {
    generation: u64,
    next: i64,
}

impl Board {
    pub(super) fn new(recovered: &Recovered) -> Self {
        let mut state = State::default();
        state.status.owner = recovered.claimant.owner.clone();
        state.status.group = recovered.group.clone();
        state.highs = highs(&recovered.infos).collect();
        state.hold(recovered.log.head().next_seq, &recovered.positions);
        for table in Table::ALL {
            state.status.rows.insert(table.name(), 0);
        }
        let cursors = Table::ALL.map(|table| (table, Mutex::new(None)));
        Self { state: Mutex::new(state), cursors: BTreeMap::from(cursors) }
    }

    /// Lets the board follow a table's cursor.
    pub(super) fn follow(&self, table: Table, cursor: watch::Receiver<Option<u64>>) {
        if let Some(place) = self.cursors.get(&table) {
            *place.lock().unwrap_or_else(PoisonError::into_inner) = Some(cursor);
        }
    }

    /// A unit was committed as record `seq`.
    pub(super) fn committed(&self, seq: u64, unit: &Unit) {
        let mut state = self.lock();
        let State { status, partitions, .. } = &mut *state;
        status.committed_seq = Some(seq);
        status.units += 1;
        if status.pipeline_version.as_ref() != Some(&unit.pipeline) {
            status.pipeline_version = Some(unit.pipeline.clone());
            status.pipeline_since_seq = Some(seq);
        }
        status.missing_offsets += unit.missing;
        for table in Table::ALL {
            let rows = unit.rows(table) as u64;
            *status.rows.entry(table.name()).or_default() += rows;
            if table == Table::DeadLetters {
                status.dead_letters += rows;
            }
        }
        for range in &unit.ranges {
            if let Some(place) = partitions.get_mut(&range.partition) {
                place.next = range.to;
            }
        }
    }

    /// These partitions are held now, and the log ends before `next_seq`.
    pub(super) fn hold(&self, next_seq: u64, positions: &Positions) {
        self.lock().hold(next_seq, positions);
    }

    /// Other workers have appended records.
    pub(super) fn seen(&self, next_seq: u64) {
        self.lock().status.committed_seq = next_seq.checked_sub(1);
    }

    /// Logs kept of the daily limits.
    pub(super) fn quotas(&self, limits: &[DailyLimit], kept: &KeptByDay) {
        let status = |limit: &DailyLimit| {
            let mut of_index = kept.iter().filter(|((index, _), _)| *index == limit.index());
            let kept = of_index.next_back().map_or(0, |(_, events)| *events);
            QuotaStatus { index: limit.index().to_owned(), kept, limit: limit.events() }
        };
        self.lock().status.quotas = limits.iter().map(status).collect();
    }

    /// The group has decided something.
    pub(super) fn rebalanced(&self) {
        self.lock().status.rebalances += 1;
    }

    /// A unit was refused.
    pub(super) fn rejected(&self) {
        self.lock().status.rejected_units += 1;
    }

    /// Who publishes, and whether it is us.
    pub(super) fn publisher(&self, holder: Option<String>, publishes: bool) {
        let mut state = self.lock();
        (state.status.publisher, state.status.publishes) = (holder, publishes);
    }

    pub(super) fn publishes(&self) -> bool {
        self.lock().status.publishes
    }

    /// A pass of upkeep is over.
    pub(super) fn upkeep(&self, pass: &Report) {
        self.lock().status.upkeep.add(pass);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The broker was asked.
    pub(super) fn watermarks(&self, infos: &[PartitionInfo]) {
        self.lock().highs.extend(highs(infos));
    }

    pub(super) fn read(&self) -> Status {
        let state = self.lock();
        let mut status = state.status.clone();
        for (partition, Place { generation, next }) in &state.partitions {
            let high = state.highs.get(partition).map_or(*next, |high| (*high).max(*next));
            let lag = high.saturating_sub(*next);
            status.lag = status.lag.saturating_add(lag);
            status.partitions.push(PartitionStatus {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                generation: *generation,
                next_offset: *next,
                high,
                lag,
            });
        }
        for (table, cursor) in &self.cursors {
            let cursor = cursor.lock().unwrap_or_else(PoisonError::into_inner);
            let seq = cursor.as_ref().and_then(|cursor| *cursor.borrow());
            status.published_seq.insert(table.name(), seq);
        }
        status
    }
}

impl State {
    fn hold(&mut self, next_seq: u64, positions: &Positions) {
        self.status.committed_seq = next_seq.checked_sub(1);
        let place = |(partition, position): (&TopicPartition, &Position)| {
            let Position { generation, next_offset: next, .. } = *position;
            (partition.clone(), Place { generation, next })
        };
        self.partitions = positions.iter().map(place).collect();
    }
}

fn highs(infos: &[PartitionInfo]) -> impl Iterator<Item = (TopicPartition, i64)> + '_ {
    infos.iter().map(|info| (info.partition.clone(), info.high))
}
