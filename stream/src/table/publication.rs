//! What one commit-log record changes in one table, and its Delta actions.

use std::collections::{BTreeMap, HashMap};

use deltalake_core::DeltaTableError;
use deltalake_core::kernel::{Action, Add, Metadata, Remove, StructType};
use deltalake_core::protocol::{DeltaOperation, OutputMode, SaveMode};
use schemas::table::{DATE, HOUR, PARTITION_COLUMNS, Table};

use super::columns;
use crate::commit_log::head::FilesChange;
use crate::commit_log::log::Entry;
use crate::commit_log::record::{Column, FileAdd, FileRemove, MaintenanceKind};
use crate::mutant::{Mutant, planted};

/// The change one commit-log record makes to one table.
#[derive(Debug, Clone)]
pub struct Publication {
    /// The record.
    pub seq: u64,
    /// What it does.
    pub change: Change,
}

/// A change of a table's files; never empty.
#[derive(Debug, Clone)]
pub enum Change {
    /// New files. Neighbours may share a Delta commit.
    Append(Vec<FileAdd>),
    /// Files go and others come, in a Delta commit of its own.
    Replace {
        /// What for.
        kind: MaintenanceKind,
        /// Files that go.
        removes: Vec<FileRemove>,
        /// Files that come.
        adds: Vec<FileAdd>,
    },
    /// The table gains columns, in a Delta commit of its own.
    Columns(Vec<Column>),
}

impl Publication {
    /// The publications of the valid parts of a record, one per table it changes.
    pub fn of(entry: &Entry) -> BTreeMap<Table, Self> {
        let seq = entry.record.seq;
        let change = |change| match change {
            FilesChange::Append(adds) => Change::Append(adds.into_iter().cloned().collect()),
            FilesChange::Replace(kind, change) => Change::Replace {
                kind: kind.clone(),
                removes: change.removes.clone(),
                adds: change.adds.clone(),
            },
            FilesChange::Columns(columns) => Change::Columns(columns.to_vec()),
        };
        let changes = entry.folded.changes(&entry.record).into_iter();
        changes.map(|(table, files)| (table, Self { seq, change: change(files) })).collect()
    }

    /// Whether it must have a Delta commit of its own: no version of the table then shows half of
    /// a replacement, and its history says what happened.
    fn stands_alone(&self) -> bool {
        matches!(self.change, Change::Replace { .. } | Change::Columns(_))
    }
}

/// The first publications of `all` that share one Delta commit: a replacement, or all appends
/// before the next one.
pub(super) fn next_commit<'p>(all: &[&'p Publication]) -> Vec<&'p Publication> {
    let appends = all.iter().take_while(|publication| !publication.stands_alone()).count();
    if planted(Mutant::LastOnly) && appends > 1 {
        return all.iter().take(appends).skip(appends - 1).copied().collect();
    }
    all.iter().take(appends.max(1)).copied().collect()
}

/// The Delta actions of publications that share a commit, on a table with this metadata and schema.
pub(super) fn actions(
    publications: &[&Publication],
    (metadata, schema): (&Metadata, &StructType),
    now_millis: i64,
) -> Result<Vec<Action>, DeltaTableError> {
    let mut actions = Vec::new();
    for publication in publications {
        match &publication.change {
            Change::Append(adds) => {
                actions.extend(adds.iter().map(|add| Action::Add(delta_add(add, true))));
            }
            Change::Replace { kind, removes, adds } => {
                let data_change = *kind != MaintenanceKind::Compact;
                let remove = |file| Action::Remove(delta_remove(file, data_change, now_millis));
                if !planted(Mutant::RemovesForgotten) {
                    actions.extend(removes.iter().map(remove));
                }
                actions.extend(adds.iter().map(|add| Action::Add(delta_add(add, data_change))));
            }
            Change::Columns(columns) => {
                actions.push(Action::Metadata(columns::with(metadata, schema, columns)?));
            }
        }
    }
    Ok(actions)
}

/// What the table's history calls the commit, and whether it only appends.
pub(super) fn operation(
    publications: &[&Publication],
    app_id: &str,
    epoch_id: i64,
) -> (DeltaOperation, bool) {
    let mut kind = None;
    for publication in publications {
        match &publication.change {
            Change::Append(_) => {}
            Change::Replace { kind: replaced_for, .. } => kind = Some(replaced_for),
            Change::Columns(new) => {
                return (DeltaOperation::AddColumn { fields: columns::fields(new) }, false);
            }
        }
    }
    let operation = match kind {
        None => DeltaOperation::StreamingUpdate {
            output_mode: OutputMode::Append,
            query_id: app_id.to_owned(),
            epoch_id,
        },
        Some(MaintenanceKind::Compact) => {
            let target_size = i64::try_from(schemas::limits::MAX_COMPACTED_FILE_BYTES);
            DeltaOperation::Optimize { predicate: None, target_size: target_size.unwrap_or(0) }
        }
        Some(MaintenanceKind::Retain) => DeltaOperation::Delete { predicate: None },
        Some(MaintenanceKind::Swap { .. }) => DeltaOperation::Write {
            mode: SaveMode::Overwrite,
            partition_by: Some(PARTITION_COLUMNS.map(str::to_owned).to_vec()),
            predicate: None,
        },
    };
    (operation, kind.is_none())
}

fn partition_values(date: &str, hour: i32) -> HashMap<String, Option<String>> {
    let values = [(DATE, date.to_owned()), (HOUR, hour.to_string())];
    HashMap::from(values.map(|(name, value)| (name.to_owned(), Some(value))))
}

fn delta_add(add: &FileAdd, data_change: bool) -> Add {
    Add {
        path: add.path.clone(),
        partition_values: partition_values(&add.date, add.hour),
        size: add.size,
        modification_time: add.modified_millis,
        data_change,
        stats: Some(add.stats.clone()),
        ..Default::default()
    }
}

fn delta_remove(file: &FileRemove, data_change: bool, now_millis: i64) -> Remove {
    Remove {
        path: file.path.clone(),
        data_change,
        deletion_timestamp: Some(now_millis),
        extended_file_metadata: Some(true),
        partition_values: Some(partition_values(&file.date, file.hour)),
        size: Some(file.size),
        ..Default::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appends_share_a_commit_and_a_replacement_has_its_own() {
        let append = |seq| Publication { seq, change: Change::Append(Vec::new()) };
        let replace = |seq| {
            let kind = MaintenanceKind::Compact;
            let change = Change::Replace { kind, removes: Vec::new(), adds: Vec::new() };
            Publication { seq, change }
        };
        let all = [append(1), append(2), replace(3), replace(4), append(5)];
        let mut rest: &[&Publication] = &all.iter().collect::<Vec<_>>();
        let mut commits = Vec::new();
        while !rest.is_empty() {
            let commit = next_commit(rest);
            rest = &rest[commit.len()..];
            commits.push(commit.iter().map(|publication| publication.seq).collect::<Vec<_>>());
        }
        assert_eq!(commits, [vec![1, 2], vec![3], vec![4], vec![5]]);
    }
}
