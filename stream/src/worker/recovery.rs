//! Start-up: is the store fit, what does the log say, which partitions are ours from where.
//! No step needs the former owner to be alive or to have stopped cleanly.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use schemas::limits::METADATA_DEADLINE_SECONDS;
use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;

use super::continuity::{check_anchors, check_range};
use super::publisher::Start as PublisherStart;
use super::{Config, Connect, Error, SharedSource, World};
use crate::commit_log::head::Head;
use crate::commit_log::log::{CommitLog, Entry, LogError};
use crate::commit_log::record::{Body, Claim, ClaimedPartition, Schema, TableColumns};
use crate::commit_log::{Layout, probe};
use crate::crash_point::{CrashPoint, pass};
use crate::operator::DECIDE;
use crate::source::{Changes, Look, PartitionInfo};
use crate::table::delta::PublishedTable;
use stages::record::TopicPartition;

/// Where our own work on a partition stands: what the next unit must continue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) generation: u64,
    pub(super) last_seq: u64,
    pub(super) next_offset: i64,
}

/// A partition claimed, and where reading begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) partition: TopicPartition,
    pub(super) offset: i64,
    /// Its logical clock as the former owner recorded it.
    pub(super) clock_ns: Option<i64>,
}

/// Positions of our own work, as the log gave them.
pub(super) type Positions = BTreeMap<TopicPartition, Position>;

/// Everything the tasks start from.
pub(super) struct Recovered {
    pub(super) claimant: Claimant,
    pub(super) source: SharedSource,
    /// The group's decisions; `None`: all partitions are ours, and claimed.
    pub(super) changes: Option<Changes>,
    /// Whether there is a group.
    pub(super) shares: bool,
    /// The group's name, for people.
    pub(super) group: Option<String>,
    pub(super) log: CommitLog,
    /// The publisher's part.
    pub(super) publisher: Option<PublisherStart>,
    pub(super) positions: Positions,
    pub(super) infos: Vec<PartitionInfo>,
}

impl Recovered {
    /// Where reading begins.
    pub(super) fn held(&self) -> Vec<Held> {
        let partitions = self.positions.keys();
        partitions.filter_map(|partition| held(self.log.head(), partition)).collect()
    }
}

/// Where the log stands with a partition.
pub(super) fn held(head: &Head, partition: &TopicPartition) -> Option<Held> {
    let known = head.partitions.get(partition)?;
    let partition = partition.clone();
    Some(Held { partition, offset: known.next_offset, clock_ns: known.clock_ns })
}

pub(super) async fn recover(
    world: &World,
    config: &Config,
    connect: Connect,
) -> Result<Recovered, Error> {
    let layout = Layout::new(LIVE_PIPELINE);
    let entropy = world.entropy.as_ref();
    probe::probe(config.store.as_ref(), &layout, entropy, world.backoff)
        .await
        .map_err(|error| Error::new(error.to_string()).of_store(&config.store_name))?;
    if config.store_is_remote {
        probe::race(config.store.as_ref(), &layout, entropy)
            .await
            .map_err(|error| Error::new(error.to_string()).of_store(&config.store_name))?;
    }
    let kept = crate::versions::keep(config.store.as_ref(), &config.pipeline, world);
    kept.await
        .map_err(|error| Error::failed_store(error.to_string()).of_store(&config.store_name))?;
    let tables = open_tables(world, config).await?;
    let (mut log, backlog) = recover_log(world, config, &tables).await?;
    let ids: BTreeMap<Table, String> =
        tables.iter().map(|table| (table.table(), table.id().to_owned())).collect();
    let group = config.sharing.as_ref().map(|sharing| sharing.group_of(ids.get(&Table::Logs)));
    // Before it joins: the group would give it partitions that it must not claim.
    log.head()
        .check_group(group.as_deref())
        .map_err(|rejection| Error::from(LogError::from(rejection)).of_store(&config.store_name))?;
    let source = connect(group.clone().unwrap_or_else(default_group)).await?;
    let (cluster_id, look) = (source.cluster_id(), source.look());
    let source: SharedSource = Arc::new(Mutex::new(Some(source)));
    let names: Vec<String> = config.topics.iter().map(|topic| topic.name.clone()).collect();
    let infos = ask_partitions(&source, names.clone()).await?;
    let changes = {
        let mut source = source.lock().unwrap_or_else(PoisonError::into_inner);
        source.as_mut().map(|source| source.join(&names))
    };
    let changes = changes.transpose().map_err(|error| Error::new(error.to_string()))?.flatten();
    let owner = format!("{:032x}", world.entropy.bits());
    let claimant = Claimant { owner, cluster_id, tables: ids, group: group.clone(), look };
    let gains = gains(&tables, log.head()).map_err(|error| error.of_store(&config.store_name))?;
    let publisher = PublisherStart { log: log.clone(), tables, backlog };
    record_gains(&mut log, &claimant.owner, gains).await?;
    // In a group partitions are claimed as they are assigned.
    let shares = changes.is_some();
    let infos = if shares { Vec::new() } else { infos };
    let positions = claimant.claim(&mut log, &infos).await?;
    let publisher = Some(publisher);
    Ok(Recovered { claimant, source, changes, shares, group, log, publisher, positions, infos })
}

/// Columns that this version writes and the tables do not have: an older version made them.
fn gains(tables: &[PublishedTable], head: &Head) -> Result<Vec<TableColumns>, Error> {
    let mut gains = Vec::new();
    for open in tables {
        let known = head.tables.get(&open.table()).map(|head| head.columns.clone());
        let columns = open.missing_columns(&known.unwrap_or_default())?;
        if !columns.is_empty() {
            let names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
            tracing::info!(table = open.table().name(), ?names, "the table gains columns");
            gains.push(TableColumns { table: open.table(), columns });
        }
    }
    Ok(gains)
}

/// Before the first file that has them; the publisher finds the record in the log's tail.
async fn record_gains(
    log: &mut CommitLog,
    author: &str,
    gains: Vec<TableColumns>,
) -> Result<(), Error> {
    if gains.is_empty() {
        return Ok(());
    }
    let schema = Schema { author: author.to_owned(), tables: gains };
    log.append(|_| Body::Schema(schema.clone())).await?;
    Ok(())
}

/// The group hints are stored under when there is none to join.
fn default_group() -> String {
    format!("tidemill-{LIVE_PIPELINE}")
}

/// Reads the log as far back as the tables need it.
pub(super) async fn recover_log(
    world: &World,
    config: &Config,
    tables: &[PublishedTable],
) -> Result<(CommitLog, Vec<Entry>), Error> {
    let cursors: BTreeMap<Table, Option<u64>> =
        tables.iter().map(|table| (table.table(), table.cursor())).collect();
    let (log, backlog) = CommitLog::recover(
        Arc::clone(&config.store),
        Layout::new(LIVE_PIPELINE),
        Arc::clone(&world.clock),
        Arc::clone(&world.entropy),
        world.backoff,
        |head| head.is_published_at(&cursors),
    )
    .await
    .map_err(|error| Error::from(error).of_store(&config.store_name))?;
    check_cursors(log.head(), &cursors).map_err(|error| error.of_store(&config.store_name))?;
    Ok((log, backlog))
}

pub(super) async fn open_tables(
    world: &World,
    config: &Config,
) -> Result<Vec<PublishedTable>, Error> {
    let open = Table::of(LIVE_PIPELINE).map(|table| {
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
    tables.map_err(|error| Error::from(error).of_store(&config.store_name))
}

/// A table that contains records the log does not have means the log was lost.
fn check_cursors(head: &Head, cursors: &BTreeMap<Table, Option<u64>>) -> Result<(), Error> {
    let Some((table, seq)) = head.is_behind(cursors) else { return Ok(()) };
    Err(Error::decision(format!(
        "table {} contains seq {seq} but the commit log ends before seq {}: the log was \
         emptied or replaced; restore _sys/{LIVE_PIPELINE} from a backup, or begin a new log where \
         the tables stand: {DECIDE}adopt --reason TEXT",
        table.name(),
        head.next_seq
    )))
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
                source.partitions(&topics, deadline).map_err(|error| Error::new(error.to_string()))
            }
            None => Ok(Vec::new()),
        }
    };
    tokio::task::spawn_blocking(ask).await.map_err(|error| Error::new(error.to_string()))?
}

/// Who claims partitions.
#[derive(Clone)]
pub(super) struct Claimant {
    pub(super) owner: String,
    pub(super) cluster_id: Option<String>,
    pub(super) tables: BTreeMap<Table, String>,
    /// The consumer group, where there is one.
    pub(super) group: Option<String>,
    /// Tells whether a topic is the one that was read.
    pub(super) look: Arc<dyn Look>,
}

impl Claimant {
    /// Takes these partitions: generation + 1, from where the log stands, or from the first
    /// offset the broker has if the log does not know them.
    pub(super) async fn claim(
        &self,
        log: &mut CommitLog,
        infos: &[PartitionInfo],
    ) -> Result<Positions, Error> {
        if infos.is_empty() {
            return Ok(BTreeMap::new());
        }
        for info in infos {
            check_range(log.head(), info)?;
        }
        check_anchors(&self.look, log.head(), infos).await?;
        pass(CrashPoint::ClaimBefore);
        log.append(|head| Body::Claim(self.record(head, infos))).await.map_err(Error::from)?;
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
        Ok(positions)
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
            group: self.group.clone(),
        }
    }
}
