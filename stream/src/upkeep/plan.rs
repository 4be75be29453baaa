//! Which files to replace: pure functions over the file list of a table.
//!
//! **Compaction.** An hour is left alone until it is closed: over for a while, so that its files
//! have mostly come. Then its small files are put together, the smallest first. A file takes part
//! only if it is not much larger than all smaller ones together, so that a late event does not
//! make a large file be written again: with [`MAX_SIZE_RATIO`] = 4 a row is written at most about
//! five times over its life, and a closed hour keeps a handful of files.
//!
//! **Retention.** Whole hours that are older than a table keeps go; nothing is rewritten. For indexes see
//! [`super::indexes`]. How old they are the wall clock says, as long as the records bear it out ([`age_to`]).

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use schemas::limits::{
    COMPACTED_FILE_BYTES, MAX_COMPACTED_FILE_BYTES, MAX_COMPACTION_FILES, MIN_COMPACTION_FILES,
};
use schemas::time::EventHour;

use crate::files::is_ours;
use crate::table::contents::TableFile;

/// How much larger than all smaller files together a file may be to take part.
const MAX_SIZE_RATIO: i64 = 4;
/// How far the wall clock may be ahead of the newest record before retention stops following it, milliseconds:
/// more than a quiet night, less than any retention that is meant.
const MAX_AHEAD_MILLIS: i64 = 24 * 3_600_000;

/// When hours are closed and how long rows stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Times {
    /// Now, Unix milliseconds.
    pub now_millis: i64,
    /// How long after its end an hour is compacted.
    pub closed_after: Duration,
}

/// Files of one hour that become one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// The hour.
    pub hour: EventHour,
    /// The files; at least two.
    pub files: Vec<TableFile>,
}

impl Group {
    /// Bytes of its files.
    pub fn bytes(&self) -> i64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// Rows of its files.
    pub fn rows(&self) -> i64 {
        self.files.iter().map(|file| file.rows).sum()
    }
}

/// Milliseconds at which an hour is over.
fn end_millis(hour: EventHour) -> i64 {
    (i64::from(hour.number()) + 1) * 3_600_000
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What to put together now, oldest hour first.
pub fn compaction(files: &[TableFile], times: Times) -> Vec<Group> {
    let mut hours: BTreeMap<EventHour, Vec<&TableFile>> = BTreeMap::new();
    for file in files {
        hours.entry(file.hour).or_default().push(file);
    }
    let closed_before = times.now_millis.saturating_sub(millis(times.closed_after));
    let mut groups = Vec::new();
    for (hour, files) in hours {
        if end_millis(hour) > closed_before {
            continue;
        }
        // Files still come: wait for a few, so that each is not a rewrite of its own.
        let youngest = files.iter().map(|file| file.modified_millis).max().unwrap_or(0);
        let least = if youngest > closed_before { MIN_COMPACTION_FILES } else { 2 };
        groups.extend(
            runs(files)
                .into_iter()
                .filter(|run| run.len() >= least)
                .map(|files| Group { hour, files }),
        );
    }
    groups
}

/// The small files of one hour, cut into runs that may become one file each.
fn runs(mut files: Vec<&TableFile>) -> Vec<Vec<TableFile>> {
    let limit = |bytes: usize| i64::try_from(bytes).unwrap_or(i64::MAX);
    files.retain(|file| file.size < limit(COMPACTED_FILE_BYTES));
    files.sort_unstable_by(|a, b| (a.size, &a.path).cmp(&(b.size, &b.path)));
    let mut runs = Vec::new();
    let mut run: Vec<TableFile> = Vec::new();
    let mut bytes = 0_i64;
    for file in files {
        let together = bytes.saturating_add(file.size);
        let full = run.len() >= MAX_COMPACTION_FILES || together > limit(MAX_COMPACTED_FILE_BYTES);
        let too_large = file.size > bytes.saturating_mul(MAX_SIZE_RATIO);
        if !run.is_empty() && (full || too_large) {
            runs.push(std::mem::take(&mut run));
            bytes = 0;
        }
        bytes = bytes.saturating_add(file.size);
        run.push(file.clone());
    }
    runs.push(run);
    runs
}

/// The time that retention counts ages to: the wall clock's, but at most a day after the newest record, by the
/// clocks of those who sent them. A wall clock that jumps by a month would let go of everything at once, and
/// nothing brings it back.
pub fn age_to(now_millis: i64, newest_nanos: Option<i64>) -> i64 {
    let most = |newest: i64| (newest / 1_000_000).saturating_add(MAX_AHEAD_MILLIS);
    newest_nanos.map_or(now_millis, |newest| now_millis.min(most(newest)))
}

/// The files of all hours that ended longer ago than `retention`.
pub fn expired(files: &[TableFile], now_millis: i64, retention: Duration) -> Vec<TableFile> {
    files.iter().filter(|file| is_expired(file.hour, now_millis, retention)).cloned().collect()
}

/// Whether an hour ended longer ago than `retention`.
pub(super) fn is_expired(hour: EventHour, now_millis: i64, retention: Duration) -> bool {
    end_millis(hour) <= now_millis.saturating_sub(millis(retention))
}

/// What storage holds under a table, as its listing says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredFile {
    /// Path below the table.
    pub path: String,
    /// Bytes.
    pub size: u64,
    /// When it was written, Unix milliseconds of the store.
    pub modified_millis: i64,
}

/// Files nobody needs: neither among `referenced` paths, nor younger than the horizon. Only of those we name
/// ourselves: what somebody else put below a table may be the only copy there is; `fsck` tells of it.
pub fn garbage(
    stored: &[StoredFile],
    referenced: &BTreeSet<String>,
    now_millis: i64,
    horizon: Duration,
) -> Vec<StoredFile> {
    let before = now_millis.saturating_sub(millis(horizon));
    let is_garbage = |file: &&StoredFile| {
        file.modified_millis < before && is_ours(&file.path) && !referenced.contains(&file.path)
    };
    stored.iter().filter(is_garbage).cloned().collect()
}

#[cfg(test)]
mod tests;
