//! What a replay has done so far, folded from its own commit log: which files are staged, how far it has read.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use object_store::ObjectStore;
use schemas::table::Table;
use stages::record::TopicPartition;

use super::choose::ReadRange;
use super::plan::Plan;
use super::{ReplayError, journal, runs};
use crate::clock::System;
use crate::commit_log::Layout;
use crate::commit_log::head::FilesChange;
use crate::commit_log::log::{BACKOFF, CommitLog, Entry};
use crate::commit_log::record::{Body, FileAdd};

/// A unit that is committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StagedUnit {
    /// Its partition.
    pub partition: TopicPartition,
    /// First offset.
    pub from: i64,
    /// One past the last.
    pub to: i64,
    /// Messages.
    pub messages: i64,
}

/// The fold.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Staged {
    /// Files, runs among them.
    pub files: BTreeMap<(Table, String), FileAdd>,
    /// Units, in the order they were committed.
    pub units: Vec<StagedUnit>,
}

impl Staged {
    /// Adds what these records say.
    pub fn fold(&mut self, entries: &[Entry]) {
        for entry in entries {
            for (_, change) in entry.folded.changes(&entry.record) {
                match change {
                    FilesChange::Append(adds) => adds.into_iter().for_each(|add| self.add(add)),
                    FilesChange::Replace(_, change) => {
                        for file in &change.removes {
                            self.files.remove(&(change.table, file.path.clone()));
                        }
                        change.adds.iter().for_each(|add| self.add(add));
                    }
                    // Its files are of the columns their table has when they are swapped in.
                    FilesChange::Columns(_) => {}
                }
            }
            let Body::Commit(commit) = &entry.record.body else { continue };
            let is_valid = |at: usize| !entry.folded.rejected.iter().any(|(part, _)| *part == at);
            let units = commit.units.iter().enumerate().filter(|(at, _)| is_valid(*at));
            self.units.extend(units.flat_map(|(_, unit)| &unit.partitions).map(|part| {
                StagedUnit {
                    partition: part.partition.clone(),
                    from: part.from_offset,
                    to: part.to_offset,
                    messages: part.messages,
                }
            }));
        }
    }

    fn add(&mut self, add: &FileAdd) {
        self.files.insert((add.table, add.path.clone()), add.clone());
    }

    /// Messages read of a range.
    pub fn messages(&self, range: &ReadRange) -> i64 {
        let stretch = &range.stretch;
        let inside = self.units.iter().filter(|unit| {
            unit.partition == stretch.partition && (stretch.from..stretch.to).contains(&unit.from)
        });
        inside.map(|unit| unit.messages).sum()
    }

    /// The files of a table that are to be swapped in.
    pub fn of(&self, table: Table) -> impl Iterator<Item = &FileAdd> {
        self.files.values().filter(move |add| add.table == table && !runs::is_run(add))
    }

    /// The runs of a table.
    pub(super) fn runs(&self, table: Table) -> Vec<FileAdd> {
        let runs = self.files.values().filter(|add| add.table == table && runs::is_run(add));
        runs.cloned().collect()
    }
}

/// A replay's own log and its fold.
///
/// # Errors
/// The log can not be read.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    plan: &Plan,
) -> Result<(CommitLog, Staged), ReplayError> {
    let system = System::shared();
    let layout = Layout::new(&plan.pipeline_name());
    // All records: a snapshot does not know the files.
    let (log, entries) =
        CommitLog::recover(Arc::clone(store), layout, system.clone(), system, BACKOFF, |_| false)
            .await?;
    let mut staged = Staged::default();
    staged.fold(&entries);
    Ok((log, staged))
}

/// Paths below their tables of all files that replays have staged and not yet swapped in.
///
/// # Errors
/// A replay can not be read.
pub async fn paths(store: &Arc<dyn ObjectStore>) -> Result<BTreeSet<(Table, String)>, ReplayError> {
    let mut paths = BTreeSet::new();
    for plan in journal::list(store).await? {
        if journal::swapped(store, &plan.id).await?.is_none() {
            paths.extend(read(store, &plan).await?.1.files.into_keys());
        }
    }
    Ok(paths)
}
