//! Upkeep: what keeps tables fit for reading while they grow. Small files of closed hours become
//! few large sorted ones, hours past their retention go, files nobody refers to are deleted, and
//! the commit log is kept short.
//!
//! Upkeep plans on the published tables and says what it wants in the commit log, as everything
//! that changes a table does: a Maintenance record names the files that go and those that come.
//! Two maintainers at once are harmless: the later plan is refused by the fold and made again. A
//! crash at any point leaves either the old files or the new ones in the table, and the others as
//! garbage.
//!
//! In reading order: [`plan`] (pure: which files), [`indexes`] (which rows of them are past the
//! retention of their index), [`input`], [`merge`] and [`rewrite`] (many files into
//! one), [`fingerprint`] (the same rows?), [`pass`] (one round over all tables), [`vacuum`] and
//! [`log_gc`] (what storage no longer needs), [`report`] (what was done).

pub mod fingerprint;
mod indexes;
mod input;
pub(crate) mod log_gc;
pub(crate) mod merge;
pub mod pass;
pub mod plan;
pub mod report;
pub mod rewrite;
pub(crate) mod vacuum;

use std::collections::BTreeMap;
use std::time::Duration;

use schemas::limits;
use schemas::table::Table;

/// What to keep, and when to work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Whether a worker does upkeep by itself.
    pub enabled: bool,
    /// From one pass to the next.
    pub interval: Duration,
    /// How long after its end an hour is compacted.
    pub compact_after: Duration,
    /// Bytes that files hold, about, while they are merged; the others of their hour are merged after them.
    pub merge_bytes: usize,
    /// How long rows stay, by event time. Tables not named keep them for ever.
    pub retention: BTreeMap<Table, Duration>,
    /// How long the logs of an index stay, by event time. Indexes not named keep theirs as long as the table does.
    pub index_retention: BTreeMap<String, Duration>,
    /// How long a file stays in storage after its table let go of it: at least as long as the
    /// slowest reader holds on to an old version. At most seven days, for which tables remember
    /// what was removed.
    pub horizon: Duration,
    /// How long commit-log records stay that nobody needs any more.
    pub log_horizon: Duration,
    /// From one look for files and records to delete to the next: it lists all of storage.
    pub delete_interval: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            enabled: true,
            interval: Duration::from_secs(limits::UPKEEP_INTERVAL_SECONDS),
            compact_after: Duration::from_secs(limits::COMPACT_AFTER_SECONDS),
            merge_bytes: limits::MAX_MERGE_BYTES,
            retention: BTreeMap::new(),
            index_retention: BTreeMap::new(),
            horizon: Duration::from_secs(limits::MAX_VACUUM_HORIZON_SECONDS),
            log_horizon: Duration::from_secs(limits::LOG_HORIZON_SECONDS),
            delete_interval: Duration::from_secs(limits::DELETE_INTERVAL_SECONDS),
        }
    }
}
