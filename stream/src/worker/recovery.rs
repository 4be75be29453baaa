//! Start-up: is the store fit, what does the log say, which partitions are ours from where.
//! No step needs the former owner to be alive or to have stopped cleanly.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use schemas::limits::METADATA_DEADLINE_SECONDS;
use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;

use super::{Config, Error, SharedSource, World};
use crate::commit_log::head::Head;
use crate::commit_log::log::{CommitLog, Entry};
use crate::commit_log::record::{Body, Claim, ClaimedPartition};
use crate::commit_log::{Layout, probe};
use crate::crash_point::{CrashPoint, pass};
use crate::record::TopicPartition;
use crate::source::{PartitionInfo, Start};
use crate::table::delta::PublishedTable;

/// Where our own work on a partition stands: what the next unit must continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) generation: u64,
    pub(super) last_seq: u64,
    pub(super) next_offset: i64,
}

/// Everything the tasks start from.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) owner: String,
    pub(super) log: CommitLog,
    pub(super) tables: Vec<PublishedTable>,
    /// Records that may not be published yet, in order.
    pub(super) backlog: Vec<Entry>,
    pub(super) positions: BTreeMap<TopicPartition, Position>,
    pub(super) infos: Vec<PartitionInfo>,
}

impl Recovered {
    /// Where reading begins.
    pub(super) fn starts(&self) -> Vec<Start> {
        let start = |(partition, position): (&TopicPartition, &Position)| Start {
            partition: partition.clone(),
            offset: position.next_offset,
        };
        self.positions.iter().map(start).collect()
    }
}

pub(super) async fn recover(
    world: &World,
    config: &Config,
    source: &SharedSource,
) -> Result<Recovered, Error> {
    let layout = Layout::new(LIVE_PIPELINE);
    let fail = |error: &dyn std::fmt::Display| Error(format!("{}: {error}", config.store_name));
    let entropy = world.entropy.as_ref();
    probe::probe(config.store.as_ref(), &layout, entropy, world.backoff)
        .await
        .map_err(|error| fail(&error))?;
    let tables = open_tables(world, config).await?;
    let cursors: BTreeMap<Table, Option<u64>> =
        tables.iter().map(|table| (table.table(), table.cursor())).collect();
    let (mut log, mut backlog) = CommitLog::recover(
        Arc::clone(&config.store),
        layout,
        Arc::clone(&world.clock),
        Arc::clone(&world.entropy),
        world.backoff,
        |head| settled(head, &cursors),
    )
    .await
    .map_err(|error| fail(&error))?;
    check_cursors(log.head(), &cursors).map_err(|error| fail(&error))?;
    let names = config.topics.iter().map(|topic| topic.name.clone()).collect();
    let infos = ask_partitions(source, names).await?;
    let cluster_id = {
        let source = source.lock().unwrap_or_else(PoisonError::into_inner);
        source.as_ref().and_then(|source| source.cluster_id())
    };
    let ids = tables.iter().map(|table| (table.table(), table.id().to_owned())).collect();
    let owner = format!("{:032x}", world.entropy.bits());
    let claimant = Claimant { owner: owner.clone(), cluster_id, tables: ids };
    let (positions, entries) = claimant.claim(&mut log, &infos).await?;
    backlog.extend(entries);
    Ok(Recovered { owner, log, tables, backlog, positions, infos })
}

async fn open_tables(world: &World, config: &Config) -> Result<Vec<PublishedTable>, Error> {
    let open = Table::ALL.map(|table| {
        PublishedTable::open(
            Arc::clone(&config.store),
            table,
            LIVE_PIPELINE,
            Arc::clone(&world.clock),
            Arc::clone(&world.entropy),
            world.backoff,
        )
    });
    let tables = futures::future::try_join_all(open).await;
    tables.map_err(|error| Error(format!("{}: {error}", config.store_name)))
}

/// Whether every table holds all that `head` covers, so that publishing can go on after it.
fn settled(head: &Head, cursors: &BTreeMap<Table, Option<u64>>) -> bool {
    head.tables.iter().all(|(table, known)| {
        known.last_add_seq.is_none() || known.last_add_seq <= cursors.get(table).copied().flatten()
    })
}

/// A table that contains records the log does not have means the log was lost.
fn check_cursors(head: &Head, cursors: &BTreeMap<Table, Option<u64>>) -> Result<(), Error> {
    for (table, cursor) in cursors {
        if cursor.is_some_and(|cursor| cursor >= head.next_seq) {
            return Err(Error(format!(
                "table {} contains seq {} but the commit log ends before seq {}: the log was \
                 emptied or replaced; restore _sys/{LIVE_PIPELINE} from a backup, or start a new store",
                table.name(),
                cursor.unwrap_or_default(),
                head.next_seq
            )));
        }
    }
    Ok(())
}

/// Asks the source on a thread that may block.
pub(super) async fn ask_partitions(
    source: &SharedSource,
    topics: Vec<String>,
) -> Result<Vec<PartitionInfo>, Error> {
    let source = Arc::clone(source);
    let deadline = Duration::from_secs(METADATA_DEADLINE_SECONDS);
    let ask = move || {
        let source = source.lock().unwrap_or_else(PoisonError::into_inner);
        match source.as_ref() {
            Some(source) => {
                source.partitions(&topics, deadline).map_err(|error| Error(error.to_string()))
            }
            None => Ok(Vec::new()),
        }
    };
    tokio::task::spawn_blocking(ask).await.map_err(|error| Error(error.to_string()))?
}

/// Who claims partitions.
#[derive(Debug, Clone)]
pub(super) struct Claimant {
    pub(super) owner: String,
    pub(super) cluster_id: Option<String>,
    pub(super) tables: BTreeMap<Table, String>,
}

impl Claimant {
    /// Takes these partitions: generation + 1, from where the log stands, or from the first
    /// offset the broker has if the log does not know them.
    pub(super) async fn claim(
        &self,
        log: &mut CommitLog,
        infos: &[PartitionInfo],
    ) -> Result<(BTreeMap<TopicPartition, Position>, Vec<Entry>), Error> {
        if infos.is_empty() {
            return Ok((BTreeMap::new(), Vec::new()));
        }
        for info in infos {
            check_range(log.head(), info)?;
        }
        pass(CrashPoint::ClaimBefore);
        let entries = log
            .append(|head| Body::Claim(self.record(head, infos)))
            .await
            .map_err(|error| Error(error.to_string()))?;
        pass(CrashPoint::Claimed);
        let mut positions = BTreeMap::new();
        for info in infos {
            if let Some(head) = log.head().partitions.get(&info.partition) {
                let position = Position {
                    generation: head.generation,
                    last_seq: head.last_seq,
                    next_offset: head.next_offset,
                };
                positions.insert(info.partition.clone(), position);
            }
        }
        Ok((positions, entries))
    }

    fn record(&self, head: &Head, infos: &[PartitionInfo]) -> Claim {
        let partition = |info: &PartitionInfo| {
            let known = head.partitions.get(&info.partition);
            ClaimedPartition {
                partition: info.partition.clone(),
                generation: known.map_or(1, |known| known.generation.saturating_add(1)),
                start_offset: known.map_or(info.low, |known| known.next_offset),
            }
        };
        Claim {
            owner: self.owner.clone(),
            cluster_id: self.cluster_id.clone(),
            tables: self.tables.clone(),
            partitions: infos.iter().map(partition).collect(),
        }
    }
}

/// The broker must still have the offset the log stands at.
fn check_range(head: &Head, info: &PartitionInfo) -> Result<(), Error> {
    let Some(known) = head.partitions.get(&info.partition) else { return Ok(()) };
    let TopicPartition { topic, partition } = &info.partition;
    let next = known.next_offset;
    if next < info.low {
        return Err(Error(out_of_range(&info.partition, next, info.low, info.high)));
    }
    if next > info.high {
        return Err(Error(format!(
            "{topic}-{partition} is committed up to offset {next}, but the broker ends at {}: the \
             topic was emptied or created anew; restore it, or read it under a new name",
            info.high
        )));
    }
    Ok(())
}

/// What to say when the broker no longer has an offset.
pub(super) fn out_of_range(partition: &TopicPartition, asked: i64, low: i64, high: i64) -> String {
    let TopicPartition { topic, partition } = partition;
    format!(
        "{topic}-{partition}: offset {asked} is gone, the broker has {low} to {high}: retention \
         removed messages before they were read; they are lost unless the topic is restored. \
         Decide: restore the topic, or read it under a new name"
    )
}
