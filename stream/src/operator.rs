//! What a person decides when the worker can not go on by itself: recorded in the commit log, told in the
//! ledger. Each decision is one record, so it took effect or it did not; a running worker is fenced by it.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use schemas::ledger::Action;
use schemas::publish::{ISSUES_PIPELINE, LIVE_PIPELINE};
use schemas::table::Table;
use schemas::time::EventTime;
use schemas::topic::Signal;

use crate::clock::{Clock as _, Entropy as _, System};
use crate::commit_log::Layout;
use crate::commit_log::head::{Head, PartitionHead, TableHead};
use crate::commit_log::log::{BACKOFF, CommitLog, Entry, LogError};
use crate::commit_log::record::{Body, Decision, FileAdd, Operator};
use crate::commit_log::snapshot::{self, SnapshotError};
use crate::files::{FileError, FilePlan, FileWriter};
use crate::table::delta::TableError;
use crate::table::inspect::inspect;
use stages::columns::{LedgerColumns, LedgerEntry, Lineage, TableColumns as _};
use stages::record::TopicPartition;

/// Begins every command that a person decides with when the worker can not go on by itself.
pub(crate) const DECIDE: &str = "tidemill operator ";

/// Why a decision was not recorded.
#[derive(Debug, thiserror::Error)]
pub enum OperatorError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A table can not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The ledger rows could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// The columns of the ledger rows.
    #[error("cannot build the ledger rows: {0}")]
    Columns(#[from] arrow::error::ArrowError),
    /// The new log's beginning could not be written.
    #[error("cannot write the beginning of the log: {0}")]
    Snapshot(#[from] SnapshotError),
    /// Nobody ever read this partition.
    #[error("the commit log does not know {topic}-{partition}; check --topic and --partition")]
    UnknownPartition {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
    },
    /// There is nothing to accept.
    #[error("{topic}-{partition} stands at offset {next}, nothing before {to} is missing")]
    NoGap {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Where it stands.
        next: i64,
        /// Where the gap was said to end.
        to: i64,
    },
    /// The log is not lost.
    #[error("the commit log is there, with {0} records; nothing is to be adopted")]
    LogExists(u64),
    /// Nothing was ever read here.
    #[error(
        "there is no commit log: no worker has run on this store; check --data-dir or storage.url"
    )]
    NoLog,
    /// The group is the one it was.
    #[error("the workers of this store are in group {0} already; nothing is to be decided")]
    SameGroup(String),
    /// There is nothing to begin from.
    #[error("there are no published tables; a new store needs no adoption, start it")]
    NoTables,
}

/// Who decides, and why.
#[derive(Debug, Clone)]
pub struct Decider {
    /// Who.
    pub by: String,
    /// Why.
    pub reason: String,
}

/// A ledger row that tells what an operator did.
#[derive(Debug, Clone)]
pub struct Told<'a> {
    /// The partition.
    pub partition: &'a TopicPartition,
    /// What its topic carries.
    pub signal: Signal,
    /// What was done.
    pub action: Action,
    /// `rule` of the row.
    pub rule: &'a str,
    /// Events.
    pub events: i64,
    /// Their bytes.
    pub bytes: i64,
    /// First offset.
    pub from_offset: i64,
    /// One past the last.
    pub to_offset: i64,
}

/// What an accepted gap came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Accepted {
    /// First offset lost.
    pub from_offset: i64,
    /// One past the last: where reading goes on.
    pub to_offset: i64,
    /// The record that says so.
    pub seq: u64,
}

/// Where the log says reading of a partition goes on.
pub async fn next_offset(
    store: &Arc<dyn ObjectStore>,
    partition: &TopicPartition,
) -> Result<i64, OperatorError> {
    let log = recover(store, LIVE_PIPELINE).await?;
    stands_at(log.head(), partition)
}

/// Accepts that everything from where the partition stands up to `to_offset` is lost: the worker goes on
/// there, and the ledger has a range with the action `gap`.
pub async fn accept_gap(
    store: &Arc<dyn ObjectStore>,
    partition: &TopicPartition,
    signal: Signal,
    to_offset: i64,
    decider: &Decider,
) -> Result<Accepted, OperatorError> {
    let mut log = recover(store, LIVE_PIPELINE).await?;
    let from_offset = stands_at(log.head(), partition)?;
    if to_offset <= from_offset {
        let (topic, partition) = (partition.topic.to_string(), partition.partition);
        return Err(OperatorError::NoGap { topic, partition, next: from_offset, to: to_offset });
    }
    let told = Told {
        partition,
        signal,
        action: Action::Gap,
        rule: &decider.reason,
        events: 0,
        bytes: 0,
        from_offset,
        to_offset,
    };
    let adds = ledger_file(store, &[told]).await?;
    let partition = partition.clone();
    let decision = Decision::AcceptGap { partition, from_offset, to_offset };
    let seq = append(&mut log, decider, decision, adds).await?;
    Ok(Accepted { from_offset, to_offset, seq })
}

/// Decides that the workers of this store are in this consumer group from now on. Those of the former one that still run
/// are refused at their next claim.
pub async fn adopt_group(
    store: &Arc<dyn ObjectStore>,
    group: &str,
    decider: &Decider,
) -> Result<u64, OperatorError> {
    let mut log = recover(store, LIVE_PIPELINE).await?;
    let head = log.head();
    if head.next_seq == 0 {
        return Err(OperatorError::NoLog);
    }
    if head.group.as_deref() == Some(group) {
        return Err(OperatorError::SameGroup(group.to_owned()));
    }
    let decision = Decision::AdoptGroup { group: group.to_owned() };
    append(&mut log, decider, decision, Vec::new()).await
}

/// Where the next record goes.
pub async fn log_end(store: &Arc<dyn ObjectStore>) -> Result<u64, OperatorError> {
    Ok(recover(store, LIVE_PIPELINE).await?.head().next_seq)
}

/// Records that dead letters were sent through again, with a ledger row for each; once, however often it is
/// called for the same run. `since` is where the log ended before the run.
pub async fn redriven(
    store: &Arc<dyn ObjectStore>,
    id: &str,
    since: u64,
    letters: &[Told<'_>],
    decider: &Decider,
) -> Result<u64, OperatorError> {
    let (mut log, entries) = recover_before(store, LIVE_PIPELINE, since).await?;
    let is_it = |entry: &&Entry| {
        let Body::Operator(operator) = &entry.record.body else { return false };
        matches!(&operator.decision, Decision::Redrive { id: done, .. } if done == id)
    };
    if let Some(done) = entries.iter().find(is_it) {
        return Ok(done.record.seq);
    }
    let adds = ledger_file(store, letters).await?;
    let decision = Decision::Redrive { id: id.to_owned(), letters: letters.len() as u64 };
    append(&mut log, decider, decision, adds).await
}

/// Begins new logs where the tables stand, after the old ones were lost: a snapshot whose next record comes
/// after everything the tables contain, then a record that says who did it. `partitions` are the first
/// offsets the tables do not have; the caller has proven that the tables agree on them. The log of the issues is
/// begun too, where it is lost: with what was known of them, which only its state had, it starts anew.
/// Returns the pipelines whose logs begin here, with their first records.
pub async fn adopt(
    store: &Arc<dyn ObjectStore>,
    partitions: &[(TopicPartition, i64)],
    decider: &Decider,
) -> Result<Vec<(&'static str, u64)>, OperatorError> {
    let live = adopt_one(store, LIVE_PIPELINE, partitions, decider).await;
    let issues = adopt_one(store, ISSUES_PIPELINE, &[], decider).await;
    match (live, issues) {
        (Ok(live), Ok(issues)) => Ok(vec![(LIVE_PIPELINE, live), (ISSUES_PIPELINE, issues)]),
        (Ok(live), Err(OperatorError::LogExists(_) | OperatorError::NoTables)) => {
            Ok(vec![(LIVE_PIPELINE, live)])
        }
        (Err(OperatorError::LogExists(_)), Ok(issues)) => Ok(vec![(ISSUES_PIPELINE, issues)]),
        (Err(refusal), _) | (Ok(_), Err(refusal)) => Err(refusal),
    }
}

async fn adopt_one(
    store: &Arc<dyn ObjectStore>,
    pipeline: &'static str,
    partitions: &[(TopicPartition, i64)],
    decider: &Decider,
) -> Result<u64, OperatorError> {
    let layout = Layout::new(pipeline);
    let mut tables = BTreeMap::new();
    for table in Table::of(pipeline) {
        if let Some(found) = inspect(store, table, pipeline).await? {
            tables.insert(table, found);
        }
    }
    let last = tables.values().filter_map(|found| found.cursor).max();
    let last = last.ok_or(OperatorError::NoTables)?;
    let existing = recover(store, pipeline).await?.head().next_seq;
    if existing > 0 {
        return Err(OperatorError::LogExists(existing));
    }
    let table_head = |id: &str, cursor| TableHead {
        id: Some(id.to_owned()),
        last_add_seq: cursor,
        ..TableHead::default()
    };
    let stands = |(partition, next): &(TopicPartition, i64)| {
        let head = PartitionHead {
            generation: 1,
            owner: "adopted".to_owned(),
            next_offset: *next,
            last_seq: last,
            clock_ns: None,
            anchor: None,
        };
        (partition.clone(), head)
    };
    let head = Head {
        next_seq: last.saturating_add(1),
        tables: tables.iter().map(|(t, found)| (*t, table_head(&found.id, found.cursor))).collect(),
        partitions: partitions.iter().map(stands).collect(),
        ..Head::default()
    };
    snapshot::save(store.as_ref(), &layout, &head).await?;
    let mut log = recover(store, pipeline).await?;
    let decision = Decision::Adopt { partitions: partitions.to_vec() };
    append(&mut log, decider, decision, Vec::new()).await
}

async fn recover(store: &Arc<dyn ObjectStore>, pipeline: &str) -> Result<CommitLog, OperatorError> {
    Ok(recover_before(store, pipeline, u64::MAX).await?.0)
}

/// The log, and every record from `since` on.
async fn recover_before(
    store: &Arc<dyn ObjectStore>,
    pipeline: &str,
    since: u64,
) -> Result<(CommitLog, Vec<Entry>), OperatorError> {
    let system = System::shared();
    let layout = Layout::new(pipeline);
    let covers = |head: &Head| head.next_seq <= since;
    let store = Arc::clone(store);
    Ok(CommitLog::recover(store, layout, system.clone(), system, BACKOFF, covers).await?)
}

fn stands_at(head: &Head, partition: &TopicPartition) -> Result<i64, OperatorError> {
    let known = head.partitions.get(partition).map(|known| known.next_offset);
    known.ok_or_else(|| OperatorError::UnknownPartition {
        topic: partition.topic.to_string(),
        partition: partition.partition,
    })
}

async fn append(
    log: &mut CommitLog,
    decider: &Decider,
    decision: Decision,
    adds: Vec<FileAdd>,
) -> Result<u64, OperatorError> {
    let Decider { by, reason } = decider.clone();
    let body = Body::Operator(Operator { by, reason, decision, adds });
    let entries = log.append(|_| body.clone()).await?;
    Ok(entries.last().map_or(0, |entry| entry.record.seq))
}

/// Writes the file with these ledger rows, in the hour of now.
async fn ledger_file(
    store: &Arc<dyn ObjectStore>,
    told: &[Told<'_>],
) -> Result<Vec<FileAdd>, OperatorError> {
    let system = System::shared();
    let timestamp = EventTime::from_millis(system.unix_millis()).unwrap_or_default();
    let mut columns = LedgerColumns::default();
    for row in told {
        let entry = LedgerEntry {
            timestamp,
            signal: row.signal,
            action: row.action,
            rule: row.rule,
            service: "",
            events: row.events,
            bytes: row.bytes,
            messages: 0,
            from_offset: row.from_offset,
            to_offset: row.to_offset,
            cost: None,
        };
        let TopicPartition { topic, partition } = row.partition;
        let (partition, offset) = (*partition, row.from_offset);
        columns.push(&entry, &Lineage { topic, partition, offset, pipeline_version: "" });
    }
    let batches = vec![columns.finish()?];
    let plan = FilePlan { table: Table::Ledger, hour: timestamp.hour(), batches };
    let name = format!("operator-{:08x}", system.bits() & 0xffff_ffff);
    let writer = FileWriter {
        store: Arc::clone(store),
        clock: system.clone(),
        entropy: system,
        backoff: BACKOFF,
    };
    Ok(writer.write(&name, vec![plan]).await?)
}
