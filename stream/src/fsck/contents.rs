//! The pure check of one table: what the log expects, what the table says, what storage has.

use std::collections::BTreeMap;

use schemas::table::Table;

use super::chain::Known;
use super::{Fault, Problem};
use crate::files::is_ours;
use crate::replay::runs::is_run_path;
use crate::table::inspect::Inspected;

/// A file in storage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Object {
    /// Bytes.
    pub bytes: i64,
    /// When it was written, Unix milliseconds.
    pub modified_millis: i64,
}

/// A file nobody names.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Orphan {
    /// Table.
    pub table: &'static str,
    /// Path below it.
    pub path: String,
    /// Bytes.
    pub bytes: i64,
    /// Seconds since it was written.
    pub age_seconds: i64,
}

/// Sums of one table.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct TableReport {
    /// Its name.
    pub table: &'static str,
    /// Delta version.
    pub version: u64,
    /// Last seq it contains.
    pub cursor: Option<u64>,
    /// Its files.
    pub files: usize,
    /// Their bytes.
    pub bytes: i64,
    /// Files committed and not yet published.
    pub pending: usize,
    /// Files removed from it that are still in storage, for slow readers.
    pub removed: usize,
    /// Files nobody names.
    pub orphans: usize,
    /// Files nobody names that are not named as ours are.
    pub foreign: usize,
}

/// What the check of a table found.
#[derive(Debug, Default)]
pub struct Checked {
    /// Its sums; none without the table.
    pub report: Option<TableReport>,
    /// Files nobody names.
    pub orphans: Vec<Orphan>,
    /// Those of them that somebody else put there.
    pub foreign: Vec<Orphan>,
    /// What is wrong.
    pub problems: Vec<Problem>,
}

/// Compares the three.
pub fn check(
    table: Table,
    found: Option<&Inspected>,
    known: &Known,
    objects: &BTreeMap<String, Object>,
    now_millis: i64,
) -> Checked {
    let mut checked = Checked::default();
    let name = table.name();
    let mut problem = |fault, detail: String| {
        checked.problems.push(Problem { fault, place: format!("table {name}"), detail });
    };
    let empty = BTreeMap::new();
    let files = found.map_or(&empty, |found| &found.files);
    match found {
        None if known.id.is_some() || !known.named.is_empty() => {
            problem(Fault::TableMissing, "it was dropped; restore it from a backup".to_owned());
        }
        None => {}
        Some(found) => {
            if let Some(id) = known.id.as_ref().filter(|id| **id != found.id) {
                let detail = format!("its id is {}, the log publishes to {id}", found.id);
                problem(Fault::TableReplaced, detail);
            }
            if found.cursor.is_some_and(|cursor| cursor >= known.next_seq) {
                let detail = format!(
                    "it contains seq {}, the log ends before {}",
                    found.cursor.unwrap_or_default(),
                    known.next_seq
                );
                problem(Fault::LogBehindTable, detail);
            }
            for column in known.columns.difference(&found.columns) {
                problem(Fault::ColumnMissing, column.clone());
            }
            for path in known.contents.keys().filter(|path| !files.contains_key(*path)) {
                problem(Fault::NotInTable, path.clone());
            }
            let unknown = |path: &&String| !known.contents.contains_key(*path);
            let old = |path: &&String| known.is_partial && !known.named.contains(*path);
            for path in files.keys().filter(unknown).filter(|path| !old(path)) {
                problem(Fault::UnknownInTable, path.clone());
            }
        }
    }
    for (path, bytes) in files.iter().chain(&known.pending) {
        match objects.get(path) {
            None => problem(Fault::FileMissing, path.clone()),
            Some(object) if object.bytes != *bytes => {
                let detail = format!("{path}: {} bytes, {bytes} expected", object.bytes);
                problem(Fault::FileSize, detail);
            }
            Some(_) => {}
        }
    }
    let unused = |path: &&String| !files.contains_key(*path) && !known.pending.contains_key(*path);
    let removed = objects.keys().filter(unused).filter(|path| known.named.contains(*path)).count();
    let nobodys = objects.iter().filter(|(path, _)| unused(path) && !known.named.contains(*path));
    let nobodys = nobodys.map(|(path, object)| Orphan {
        table: name,
        path: path.clone(),
        bytes: object.bytes,
        age_seconds: (now_millis - object.modified_millis).max(0) / 1_000,
    });
    // No problem: readers of Delta do not see them, and no row of ours depends on them. But they are no garbage.
    let is_own = |file: &Orphan| is_ours(&file.path) || is_run_path(&file.path);
    (checked.orphans, checked.foreign) = nobodys.partition(is_own);
    checked.report = found.map(|found| TableReport {
        table: name,
        version: found.version,
        cursor: found.cursor,
        files: files.len(),
        bytes: files.values().sum(),
        pending: known.pending.len(),
        removed,
        orphans: checked.orphans.len(),
        foreign: checked.foreign.len(),
    });
    checked
}
