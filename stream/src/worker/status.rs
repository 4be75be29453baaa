//! What an operator can see of a running worker.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use schemas::table::Table;
use tokio::sync::watch;

use super::recovery::Recovered;
use crate::record::TopicPartition;
use crate::source::PartitionInfo;
use crate::unit::Unit;

/// A snapshot of the worker's state.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Status {
    /// The last commit-log record seen.
    pub committed_seq: Option<u64>,
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
    /// The partitions held.
    pub partitions: Vec<PartitionStatus>,
}

/// One partition held.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct PartitionStatus {
    /// Topic.
    pub topic: String,
    /// Partition.
    pub partition: i32,
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
    partitions: BTreeMap<TopicPartition, (i64, i64)>,
}

impl Board {
    pub(super) fn new(recovered: &Recovered) -> Self {
        let mut state = State::default();
        state.status.committed_seq = recovered.log.head().next_seq.checked_sub(1);
        for info in &recovered.infos {
            let position = recovered.positions.get(&info.partition);
            let next = position.map_or(info.low, |position| position.next_offset);
            state.partitions.insert(info.partition.clone(), (next, info.high));
        }
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
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let State { status, partitions } = &mut *state;
        status.committed_seq = Some(seq);
        status.units += 1;
        status.missing_offsets += unit.missing;
        for table in Table::ALL {
            let rows = unit.rows(table) as u64;
            *status.rows.entry(table.name()).or_default() += rows;
            if table == Table::DeadLetters {
                status.dead_letters += rows;
            }
        }
        for range in &unit.ranges {
            let (next, high) = partitions.entry(range.partition.clone()).or_default();
            *next = range.to;
            *high = (*high).max(range.to);
        }
    }

    /// The broker was asked.
    pub(super) fn watermarks(&self, infos: &[PartitionInfo]) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        for info in infos {
            state.partitions.entry(info.partition.clone()).or_insert((info.low, info.high)).1 =
                info.high;
        }
    }

    pub(super) fn read(&self) -> Status {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = state.status.clone();
        for (partition, (next, high)) in &state.partitions {
            let lag = high.saturating_sub(*next).max(0);
            status.lag = status.lag.saturating_add(lag);
            status.partitions.push(PartitionStatus {
                topic: partition.topic.to_string(),
                partition: partition.partition,
                next_offset: *next,
                high: *high,
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
