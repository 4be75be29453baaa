//! What upkeep did, or would do.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use schemas::table::Table;
use schemas::time::EventHour;

use super::plan::Group;
use crate::commit_log::record::{FileAdd, FileRemove};

/// Files that went and came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct Effect {
    /// Files that went.
    pub files_before: u64,
    /// Files that came.
    pub files_after: u64,
    /// Bytes that went.
    pub bytes_before: u64,
    /// Bytes that came.
    pub bytes_after: u64,
    /// Rows in the files that went.
    pub rows: u64,
}

impl Effect {
    /// Counts in files that went.
    pub(super) fn went(&mut self, removes: &[FileRemove]) {
        self.files_before += removes.len() as u64;
        for file in removes {
            self.bytes_before += u64::try_from(file.size).unwrap_or(0);
            self.rows += u64::try_from(file.rows).unwrap_or(0);
        }
    }

    /// Counts in files that came.
    pub(super) fn came(&mut self, adds: &[FileAdd]) {
        self.files_after += adds.len() as u64;
        self.bytes_after +=
            adds.iter().map(|file| u64::try_from(file.size).unwrap_or(0)).sum::<u64>();
    }

    fn add(&mut self, other: &Self) {
        self.files_before += other.files_before;
        self.files_after += other.files_after;
        self.bytes_before += other.bytes_before;
        self.bytes_after += other.bytes_after;
        self.rows += other.rows;
    }
}

/// What happened to one table.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct TableReport {
    /// Files of the table when the pass began.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Hours past their retention.
    pub expired: Effect,
    /// Small files put together.
    pub compacted: Effect,
    /// Milliseconds spent on putting files together.
    pub compaction_millis: u64,
    /// Files deleted from storage that nothing refers to.
    pub deleted_files: u64,
    /// Their bytes.
    pub deleted_bytes: u64,
    /// Why something was left for the next pass.
    pub skipped: Option<String>,
}

/// One pass, or the sum of several.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Report {
    /// Nothing was changed, this is what would be.
    pub dry_run: bool,
    /// Passes done.
    pub passes: u64,
    /// Passes that failed as a whole.
    pub failed_passes: u64,
    /// Per table.
    pub tables: BTreeMap<&'static str, TableReport>,
    /// Commit-log records and snapshots deleted.
    pub deleted_log_objects: u64,
}

impl Report {
    pub(super) fn table(&mut self, table: Table) -> &mut TableReport {
        self.tables.entry(table.name()).or_default()
    }

    /// Whether anything was left undone for a reason a person may want to know.
    pub fn is_complete(&self) -> bool {
        self.failed_passes == 0 && self.tables.values().all(|table| table.skipped.is_none())
    }

    /// Adds a pass to a running total. Sizes of tables and reasons are those of the last pass.
    pub fn add(&mut self, pass: &Self) {
        self.passes += pass.passes;
        self.failed_passes += pass.failed_passes;
        self.deleted_log_objects += pass.deleted_log_objects;
        for (name, pass) in &pass.tables {
            let table = self.tables.entry(name).or_default();
            (table.files, table.bytes) = (pass.files, pass.bytes);
            table.expired.add(&pass.expired);
            table.compacted.add(&pass.compacted);
            table.compaction_millis += pass.compaction_millis;
            table.deleted_files += pass.deleted_files;
            table.deleted_bytes += pass.deleted_bytes;
            table.skipped.clone_from(&pass.skipped);
        }
    }
}

/// One step of a pass, told as it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Files of an hour were put together, and are about to take the place of the old ones.
    Compacted {
        /// The table.
        table: Table,
        /// The hour.
        hour: EventHour,
        /// Files that go.
        files: usize,
        /// Their bytes.
        bytes_before: i64,
        /// Bytes of the new file.
        bytes_after: i64,
        /// Rows.
        rows: i64,
        /// Time it took, the comparison included.
        took: Duration,
    },
    /// Hours past their retention left the table.
    Expired {
        /// The table.
        table: Table,
        /// Files.
        files: usize,
    },
    /// Files nothing refers to were deleted from storage.
    Deleted {
        /// The table.
        table: Table,
        /// Files.
        files: usize,
    },
}

impl Step {
    pub(super) fn compacted(table: Table, group: &Group, add: &FileAdd, took: Duration) -> Self {
        Self::Compacted {
            table,
            hour: group.hour,
            files: group.files.len(),
            bytes_before: group.bytes(),
            bytes_after: add.size,
            rows: group.rows(),
            took,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Compacted { table, hour, files, bytes_before, bytes_after, rows, took } => {
                write!(
                    f,
                    "{} {} {:02}h: {files} files of {} -> 1 of {}, {rows} rows, {} ms",
                    table.name(),
                    hour.date(),
                    hour.hour_of_day(),
                    size(*bytes_before),
                    size(*bytes_after),
                    took.as_millis()
                )
            }
            Self::Expired { table, files } => {
                write!(f, "{}: {files} files past their retention left the table", table.name())
            }
            Self::Deleted { table, files } => {
                write!(f, "{}: {files} files nothing refers to deleted", table.name())
            }
        }
    }
}

/// Bytes as people read them.
pub fn size(bytes: i64) -> String {
    let bytes = bytes as f64;
    match bytes {
        _ if bytes < 1e3 => format!("{bytes} B"),
        _ if bytes < 1e6 => format!("{:.1} kB", bytes / 1e3),
        _ if bytes < 1e9 => format!("{:.1} MB", bytes / 1e6),
        _ => format!("{:.2} GB", bytes / 1e9),
    }
}
