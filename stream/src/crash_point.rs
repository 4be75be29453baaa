//! Places of the commit protocol where a test can make the process die, as `kill -9` would.
//!
//! Only builds with debug assertions look: `TIDEMILL_DIE_AT=record-appended:3` ends the process when
//! it passes that place for the third time. In release builds [`pass`] is nothing. The places are the
//! rows of the crash table in `docs/adr/0017-proof-continued.md`; `tests/it/kills.rs` dies at
//! each of them and counts, `tests/clients/test_crash_points.py` at those that need no upkeep.

#[cfg(debug_assertions)]
use std::sync::OnceLock;
#[cfg(debug_assertions)]
use std::sync::atomic::{AtomicU32, Ordering};

/// A place, in the order a unit passes them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum CrashPoint {
    /// A unit is complete, none of its files is written.
    FilesBefore,
    /// One file of a unit is written, others may not be.
    FileWritten,
    /// All files are written, the record is not appended.
    FilesWritten,
    /// The record's create is about to be sent.
    RecordBefore,
    /// The record is in the log, nobody was told.
    RecordAppended,
    /// A Delta commit is about to be written.
    PublishBefore,
    /// The Delta commit is written, the cursor in memory has not moved.
    Published,
    /// A Delta checkpoint is about to be written.
    CheckpointBefore,
    /// A Delta checkpoint is written.
    CheckpointWritten,
    /// A snapshot of the head is written, the hint at it is not.
    SnapshotWritten,
    /// Partitions are about to be claimed.
    ClaimBefore,
    /// Partitions are claimed, reading has not begun.
    Claimed,
    /// A unit is committed, Kafka was not told.
    HintBefore,
    /// Partitions are to be given back; their last unit is cut, not committed.
    RevokeBefore,
    /// Their last unit is committed, the group does not have them back.
    Revoked,
    /// Files are put together into one that no record names.
    CompactionWritten,
    /// A compaction is in the log, the table does not show it.
    CompactionRecorded,
    /// A file without the rows of an index past its retention is written, no record names it.
    RetentionWritten,
    /// Rows past their retention are gone by the log, the table still shows them.
    RetentionRecorded,
    /// Files nobody names are found, none is deleted.
    VacuumBefore,
    /// Half of them are deleted.
    VacuumHalf,
    /// Log objects nobody needs are found, none is deleted.
    CollectionBefore,
    /// Half of them are deleted.
    CollectionHalf,
}

impl CrashPoint {
    /// Every place.
    pub const ALL: [Self; 23] = [
        Self::FilesBefore,
        Self::FileWritten,
        Self::FilesWritten,
        Self::RecordBefore,
        Self::RecordAppended,
        Self::PublishBefore,
        Self::Published,
        Self::CheckpointBefore,
        Self::CheckpointWritten,
        Self::SnapshotWritten,
        Self::ClaimBefore,
        Self::Claimed,
        Self::HintBefore,
        Self::RevokeBefore,
        Self::Revoked,
        Self::CompactionWritten,
        Self::CompactionRecorded,
        Self::RetentionWritten,
        Self::RetentionRecorded,
        Self::VacuumBefore,
        Self::VacuumHalf,
        Self::CollectionBefore,
        Self::CollectionHalf,
    ];

    /// Its name in `TIDEMILL_DIE_AT`.
    pub fn name(self) -> &'static str {
        match self {
            Self::FilesBefore => "files-before",
            Self::FileWritten => "file-written",
            Self::FilesWritten => "files-written",
            Self::RecordBefore => "record-before",
            Self::RecordAppended => "record-appended",
            Self::PublishBefore => "publish-before",
            Self::Published => "published",
            Self::CheckpointBefore => "checkpoint-before",
            Self::CheckpointWritten => "checkpoint-written",
            Self::SnapshotWritten => "snapshot-written",
            Self::ClaimBefore => "claim-before",
            Self::Claimed => "claimed",
            Self::HintBefore => "hint-before",
            Self::RevokeBefore => "revoke-before",
            Self::Revoked => "revoked",
            Self::CompactionWritten => "compaction-written",
            Self::CompactionRecorded => "compaction-recorded",
            Self::RetentionWritten => "retention-written",
            Self::RetentionRecorded => "retention-recorded",
            Self::VacuumBefore => "vacuum-before",
            Self::VacuumHalf => "vacuum-half",
            Self::CollectionBefore => "collection-before",
            Self::CollectionHalf => "collection-half",
        }
    }
}

/// Passes a place; ends the process if it was told to die here.
#[inline]
pub fn pass(point: CrashPoint) {
    #[cfg(debug_assertions)]
    if let Some((name, times)) = armed()
        && name == point.name()
    {
        static PASSED: AtomicU32 = AtomicU32::new(0);
        if PASSED.fetch_add(1, Ordering::SeqCst).saturating_add(1) >= *times {
            // No destructor runs, nothing is flushed.
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = point;
}

/// Reads a record; ends the process if it was told to die over such a one (`TIDEMILL_DIE_ON=payload`).
#[inline]
pub fn read(payload: &[u8]) {
    #[cfg(debug_assertions)]
    {
        static POISON: OnceLock<Option<String>> = OnceLock::new();
        let poison = POISON.get_or_init(|| std::env::var("TIDEMILL_DIE_ON").ok());
        if poison.as_ref().is_some_and(|poison| poison.as_bytes() == payload) {
            std::process::abort();
        }
    }
    #[cfg(not(debug_assertions))]
    let _ = payload;
}

/// The place to die at and the passage that does it.
#[cfg(debug_assertions)]
fn armed() -> Option<&'static (String, u32)> {
    static ARMED: OnceLock<Option<(String, u32)>> = OnceLock::new();
    ARMED.get_or_init(|| parse(&std::env::var("TIDEMILL_DIE_AT").ok()?)).as_ref()
}

#[cfg(debug_assertions)]
fn parse(text: &str) -> Option<(String, u32)> {
    let (name, times) = text.split_once(':').unwrap_or((text, "1"));
    let known = CrashPoint::ALL.iter().any(|point| point.name() == name);
    match times.parse() {
        Ok(times) if known => Some((name.to_owned(), times)),
        _ => {
            tracing::error!(text, "TIDEMILL_DIE_AT names no crash point; it is ignored");
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_named_with_the_passage_that_dies() {
        assert_eq!(parse("published:3"), Some(("published".to_owned(), 3)));
        assert_eq!(parse("published"), Some(("published".to_owned(), 1)));
        assert_eq!(parse("nowhere:1"), None);
        assert_eq!(parse("published:x"), None);
        let mut names: Vec<_> = CrashPoint::ALL.iter().map(|point| point.name()).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), CrashPoint::ALL.len());
    }
}
