//! Checks a store, at rest or beside a running engine, and changes nothing: is the commit log one chain, do
//! its snapshots say what its records add up to, is every file named once, do the tables contain exactly the
//! fold of the log up to their cursors, is every file there; is every part of a state there that a record refers
//! to, and what replays have staged.
//!
//! [`chain`] is the pure check over records and snapshots, [`contents`] the one over tables and listings;
//! here they are fed. [`state`] looks at the parts of a state. Order matters beside a running engine: the tables are read before the log, so that the
//! log has every record a table contains; storage is listed last, so that every file named is there.

pub mod chain;
pub mod contents;
mod state;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use schemas::limits::{COLLECTED_AT_ONCE, MAX_AUDIT_FINDINGS, RECOVERY_CONCURRENT_READS};
use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;

use crate::commit_log::{Layout, snapshot};
use crate::replay::check::Finding;
use crate::replay::{self, ReplayError};
use crate::table::delta::TableError;
use crate::table::inspect::{Inspected, inspect};
use chain::Chain;
use contents::{Object, Orphan, TableReport};

/// The ways in which a store can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// A record is missing although later ones are there.
    RecordMissing,
    /// A record can not be read.
    RecordDamaged,
    /// Records do not form one chain.
    ChainBroken,
    /// A key that is no record or snapshot.
    ForeignObject,
    /// A snapshot can not be read.
    SnapshotDamaged,
    /// A snapshot was written by a newer version.
    SnapshotNewer,
    /// A snapshot says something else than the records before it.
    SnapshotWrong,
    /// The log begins later than record 0, and no snapshot says with what.
    BeginningMissing,
    /// A file is named by two records.
    FileNamedTwice,
    /// A record removes a file the table does not have.
    RemovesUnknown,
    /// The log names a file that the table should have and has not.
    NotInTable,
    /// The table has a file that no record names.
    UnknownInTable,
    /// A file that is named is not in storage.
    FileMissing,
    /// A file has another size than it should.
    FileSize,
    /// A table has another id than the log publishes to.
    TableReplaced,
    /// A table is gone although the log has files for it.
    TableMissing,
    /// A table contains records the log does not have.
    LogBehindTable,
    /// A table lacks a column that the log says it gained.
    ColumnMissing,
    /// A part of the state that the newest record refers to is not there.
    StateMissing,
    /// Such a part can not be read.
    StateDamaged,
    /// The log of a replay can not be read.
    ReplayDamaged,
    /// A file that a replay has staged is not there, or not as it was.
    StagedFile,
}

/// Something wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Problem {
    /// What.
    pub fault: Fault,
    /// The key or the table.
    pub place: String,
    /// What exactly.
    pub detail: String,
}

/// Problems, the first of which are kept.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Problems {
    /// The first.
    pub kept: Vec<Problem>,
    /// How many there are.
    pub count: u64,
}

impl Problems {
    /// Notes one.
    pub fn add(&mut self, fault: Fault, place: impl Into<String>, detail: impl Into<String>) {
        self.count += 1;
        if self.kept.len() < MAX_AUDIT_FINDINGS {
            self.kept.push(Problem { fault, place: place.into(), detail: detail.into() });
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Records read.
    pub records: u64,
    /// The first of them; later than 0 once old ones were collected.
    pub first_seq: u64,
    /// Where the next record goes.
    pub next_seq: u64,
    /// Parts of records that have no effect: zombies' units, plans that came too late.
    pub rejected: u64,
    /// Snapshots compared.
    pub snapshots: u64,
    /// Per table.
    pub tables: Vec<TableReport>,
    /// Files nobody names, largest first: left by crashes, collected by maintenance.
    pub orphans: Vec<Orphan>,
    /// Parquet files below tables that somebody else put there, largest first: left alone by maintenance, and seen by
    /// readers that take all files of a directory.
    pub foreign: Vec<Orphan>,
    /// What is wrong.
    pub problems: Problems,
}

impl Report {
    /// Takes in what was found in the log and the tables of a further pipeline.
    pub fn join(&mut self, other: Self) {
        self.rejected += other.rejected;
        self.snapshots += other.snapshots;
        self.tables.extend(other.tables);
        self.orphans.extend(other.orphans);
        self.foreign.extend(other.foreign);
        self.problems.count += other.problems.count;
        let room = MAX_AUDIT_FINDINGS.saturating_sub(self.problems.kept.len());
        self.problems.kept.extend(other.problems.kept.into_iter().take(room));
    }
}

/// Why a store could not be checked.
#[derive(Debug, thiserror::Error)]
pub enum FsckError {
    /// The store failed.
    #[error("cannot read {place}: {source}")]
    Store {
        /// What was read.
        place: String,
        /// The reason.
        source: StoreError,
    },
    /// A table can not be read.
    #[error(transparent)]
    Table(#[from] TableError),
    /// What was recorded of a replay can not be read.
    #[error("replays: {0}")]
    Replay(#[from] Box<ReplayError>),
    /// There is nothing.
    #[error("there is no commit log and no table; name the data with --data-dir or --config")]
    Nothing,
}

/// Checks the pipeline's log and the tables. `now_millis` is the time orphans' ages are counted to.
///
/// # Errors
/// When storage can not be read; what is wrong with what was read is in the report.
pub async fn fsck(
    store: &Arc<dyn ObjectStore>,
    pipeline: &str,
    now_millis: i64,
) -> Result<Report, FsckError> {
    let mut tables = BTreeMap::new();
    for table in Table::of(pipeline) {
        if let Some(inspected) = inspect(store, table, pipeline).await? {
            tables.insert(table, inspected);
        }
    }
    let layout = Layout::new(pipeline);
    let mut report = Report::default();
    // Snapshots first: the records a snapshot covers are then in the list of records.
    let snapshots = list_seqs(store, &layout.snapshots(), &mut report.problems).await?;
    let keys = list_seqs(store, &layout.records(), &mut report.problems).await?;
    if keys.is_empty() && snapshots.is_empty() && tables.is_empty() {
        return Err(FsckError::Nothing);
    }
    let cursors = tables.iter().map(|(table, found)| (*table, found.cursor)).collect();
    let chain = Chain::new(cursors, std::mem::take(&mut report.problems));
    let (chain, is_whole) = read_log(store, &layout, chain, &keys, &snapshots).await?;
    let head = chain.head().clone();
    let mut objects = BTreeMap::new();
    for table in Table::of(pipeline) {
        objects.insert(table, list_files(store, table).await?);
    }
    let (mut report, named) = finish(chain, &tables, &objects, now_millis);
    if is_whole {
        state::check(store, &layout, head, &mut report.problems).await?;
    }
    if pipeline == LIVE_PIPELINE {
        check_replays(store, &named, &mut report.problems).await?;
    }
    Ok(report)
}

async fn check_replays(
    store: &Arc<dyn ObjectStore>,
    named: &BTreeMap<Table, BTreeSet<String>>,
    problems: &mut Problems,
) -> Result<(), FsckError> {
    for finding in replay::check::check(store, named).await.map_err(Box::new)? {
        match finding {
            Finding::Log { place, detail } => problems.add(Fault::ReplayDamaged, place, detail),
            Finding::File { place, detail } => problems.add(Fault::StagedFile, place, detail),
        }
    }
    Ok(())
}

fn finish(
    chain: Chain,
    tables: &BTreeMap<Table, Inspected>,
    objects: &BTreeMap<Table, BTreeMap<String, Object>>,
    now_millis: i64,
) -> (Report, BTreeMap<Table, BTreeSet<String>>) {
    let (mut report, expected) = chain.finish();
    let mut named = BTreeMap::new();
    for (table, listed) in objects {
        let (table, known) = (*table, expected.of(*table));
        let checked = contents::check(table, tables.get(&table), &known, listed, now_millis);
        report.tables.extend(checked.report);
        report.orphans.extend(checked.orphans);
        report.foreign.extend(checked.foreign);
        for problem in checked.problems {
            report.problems.add(problem.fault, problem.place, problem.detail);
        }
        let in_table = tables.get(&table).into_iter().flat_map(|found| found.files.keys().cloned());
        named.insert(table, known.named.into_iter().chain(in_table).collect());
    }
    for files in [&mut report.orphans, &mut report.foreign] {
        files.sort_by(|a, b| b.bytes.cmp(&a.bytes).then_with(|| a.path.cmp(&b.path)));
    }
    (report, named)
}

/// Feeds the records in order; stops where nothing after it can be trusted, and tells whether it came to the end.
async fn read_log(
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
    mut chain: Chain,
    keys: &BTreeSet<u64>,
    snapshots: &BTreeSet<u64>,
) -> Result<(Chain, bool), FsckError> {
    let mut heads = BTreeMap::new();
    for seq in snapshots {
        let key = layout.snapshot(*seq).to_string();
        let found = snapshot::read(store.as_ref(), layout, *seq).await;
        match found.map_err(|source| FsckError::Store { place: key.clone(), source })? {
            Some(Ok(head)) => drop(heads.insert(*seq, head)),
            Some(Err(unreadable)) => chain.unreadable_snapshot(&key, &unreadable),
            // Collected since it was listed.
            None => {}
        }
    }
    let first = beginning(keys, heads.last_key_value().map(|(seq, _)| *seq));
    if first > 0 || keys.is_empty() {
        // Older snapshots cover records that are collected: nobody needs them, and nothing can judge them.
        heads.retain(|seq, _| *seq >= first);
        chain.begin_at(first, heads.values().next().cloned());
    }
    let last = keys.last().copied().map_or(0, |last| last.saturating_add(1));
    let mut reads = futures::stream::iter(first..last)
        .map(|seq| async move {
            if !keys.contains(&seq) {
                return (seq, Ok(None));
            }
            let read = async { store.get(&layout.record(seq)).await?.bytes().await };
            (seq, read.await.map(Some))
        })
        .buffered(RECOVERY_CONCURRENT_READS);
    while let Some((seq, bytes)) = reads.next().await {
        let key = layout.record(seq).to_string();
        if let Some(head) = heads.remove(&seq) {
            chain.snapshot(layout.snapshot(seq).as_ref(), &head);
        }
        let bytes = bytes.map_err(|source| FsckError::Store { place: key.clone(), source })?;
        if !chain.record(&key, seq, bytes.as_deref()) {
            return Ok((chain, false));
        }
    }
    for (seq, head) in &heads {
        chain.snapshot(layout.snapshot(*seq).as_ref(), head);
    }
    Ok((chain, true))
}

/// The first record that is to be checked. Collection deletes the oldest records, one first and then some at
/// once: where it was cut short, there may be holes before the newest snapshot, which nobody needs to read past.
fn beginning(keys: &BTreeSet<u64>, snapshot: Option<u64>) -> u64 {
    let snapshot = snapshot.unwrap_or(0);
    let Some(first) = keys.first().copied() else { return snapshot };
    if first == 0 {
        return first;
    }
    let holes = first..snapshot.min(first.saturating_add(COLLECTED_AT_ONCE as u64));
    let hole = holes.rev().find(|seq| !keys.contains(seq));
    hole.map_or(first, |hole| hole + 1)
}

/// The sequence numbers below a prefix; anything else there is foreign.
async fn list_seqs(
    store: &Arc<dyn ObjectStore>,
    prefix: &Path,
    problems: &mut Problems,
) -> Result<BTreeSet<u64>, FsckError> {
    let wrap = |source| FsckError::Store { place: prefix.to_string(), source };
    let listed: Vec<Path> =
        store.list(Some(prefix)).map_ok(|meta| meta.location).try_collect().await.map_err(wrap)?;
    let mut seqs = BTreeSet::new();
    for key in listed {
        match Layout::seq(&key) {
            Some(seq) => drop(seqs.insert(seq)),
            None if key.filename() == Some("LATEST") => {}
            None => {
                let detail = "neither a record nor a snapshot; move it out of this prefix";
                problems.add(Fault::ForeignObject, key.to_string(), detail);
            }
        }
    }
    Ok(seqs)
}

/// The Parquet files below a table.
async fn list_files(
    store: &Arc<dyn ObjectStore>,
    table: Table,
) -> Result<BTreeMap<String, Object>, FsckError> {
    let prefix = Path::from(table.path());
    let wrap = |source| FsckError::Store { place: table.path(), source };
    let mut listed = store.list(Some(&prefix));
    let mut files = BTreeMap::new();
    while let Some(meta) = listed.try_next().await.map_err(wrap)? {
        let whole = meta.location.to_string();
        let Some(path) = whole.strip_prefix(&format!("{}/", table.path())) else { continue };
        if path.ends_with(".parquet") && !path.starts_with("_delta_log/") {
            let bytes = i64::try_from(meta.size).unwrap_or(i64::MAX);
            let modified_millis = meta.last_modified.timestamp_millis();
            files.insert(path.to_owned(), Object { bytes, modified_millis });
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests;
