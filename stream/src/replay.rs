//! Replay: history goes through the pipeline again, and its rows take the place of the old ones at once.
//!
//! A replay is a pipeline of its own beside the live one: own commit log (`_sys/live/replay/<id>/log/`), own
//! consumer, no state shared. It reads whole ranges of the ledger, fixed when it begins; its units are staged as
//! files no table names yet. Then one Maintenance record of the live log lets go of the files with the old rows
//! and brings the staged ones, in all tables together: rows, metrics, dead letters, ledger.
//!
//! In reading order: [`choose`] (pure: which ranges), [`plan`] (recorded once), [`reader`], [`archived`] and [`raw`] (records again, from topics, files, or a table),
//! [`unit`] (some records through the stages), [`stage`] (the loop over all of them), [`runs`] (many small files
//! into few), [`old`], [`compare`] and [`report`] (what changes), [`swap`] (the one record). [`restore`]
//! does less: excluded events come back, and nothing else changes.
//!
//! What is replaced is said by offsets alone ([`covered`]). A file with rows of other offsets too is written
//! anew without the replaced ones. Ranges are never cut, so `received = indexed + excluded + dead letters` holds
//! for every range before and after.

pub mod archived;
pub(crate) mod check;
pub mod choose;
pub mod compare;
pub mod covered;
pub mod diff;
pub mod journal;
pub mod ledger;
pub mod live;
mod object;
pub mod old;
pub mod own;
pub mod plan;
pub mod raw;
pub mod reader;
pub mod report;
pub mod restore;
pub mod restored;
pub mod rows;
pub mod run;
pub mod runs;
pub mod series;
pub mod stage;
pub mod staged;
pub mod swap;
pub mod unit;

#[cfg(test)]
mod tests;

use arrow::error::ArrowError;
use object_store::Error as StoreError;

use crate::commit_log::log::LogError;
use crate::files::FileError;
use crate::source::SourceError;
use crate::table::delta::TableError;
use crate::upkeep::rewrite::RewriteError;

/// Why a replay did not come to its end. What is staged stays, and can be resumed or dropped.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A commit log, the live one or its own.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Files could not be made.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file could not be written anew.
    #[error(transparent)]
    Rewrite(#[from] RewriteError),
    /// Storage.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// A file could not be read.
    #[error("{path}: {source}")]
    Parquet {
        /// The file.
        path: String,
        /// The reason.
        source: parquet::errors::ParquetError,
    },
    /// Rows do not fit together.
    #[error("rows: {0}")]
    Columns(#[from] ArrowError),
    /// What was recorded of a replay can not be read.
    #[error("the record of the replay can not be read: {0}; was it written by a newer Tidemill?")]
    Content(#[from] serde_json::Error),
    /// Kafka.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// A thread ended abnormally.
    #[error("a thread of the replay panicked: {0}")]
    Panicked(#[from] tokio::task::JoinError),
    /// The process ends.
    #[error("stopped; `tidemill replay --resume ID` goes on")]
    Stopped,
    /// Nothing is there to be replayed.
    #[error(
        "nothing was received then: the ledger has no such range of these topics; look at `SELECT _topic, min(timestamp), max(timestamp), max(to_offset) FROM ledger GROUP BY 1`"
    )]
    Nothing,
    /// The ledger is not what it should be.
    #[error(
        "{topic}-{partition}: the ledger's ranges do not follow one another at offset {offset}; `tidemill audit` says more, and must be green before a replay"
    )]
    Unproven {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// Where.
        offset: i64,
    },
    /// The tables do not hold what the ledger says.
    #[error(
        "table {table}: {found} rows of the range, the ledger says {expected}; `tidemill audit` says more, and must be green before a replay"
    )]
    NotTheLedger {
        /// Its name.
        table: &'static str,
        /// What the ledger says.
        expected: i64,
        /// What the table has.
        found: i64,
    },
    /// Rows of an hour that is not over.
    #[error(
        "table {table} has rows of the range in {date} {hour:02}h, an open hour: rows still come there; try again after {after}, or end the range earlier with --to"
    )]
    OpenHour {
        /// Its name.
        table: &'static str,
        /// Its date.
        date: String,
        /// Hour of the day.
        hour: i32,
        /// When it is closed.
        after: String,
    },
    /// Kafka does not have these offsets any more.
    #[error(
        "{topic}-{partition}: Kafka has offsets {low} to {high}, {from} to {to} are needed; narrow the range with --from or --from-offset, or read what table raw_messages has kept with --raw"
    )]
    NotInKafka {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// First offset needed.
        from: i64,
        /// One past the last.
        to: i64,
        /// Kafka's oldest.
        low: i64,
        /// One past Kafka's newest.
        high: i64,
    },
    /// An archive can not be read on.
    #[error(transparent)]
    Archive(#[from] crate::archive::ArchiveError),
    /// An archive has other files.
    #[error(
        "replay {0} began with other files: one was added, removed or changed since; drop it, and begin again: `tidemill replay drop {0}`"
    )]
    OtherFiles(String),
    /// The source said nothing.
    #[error("{topic}-{partition}: no message came from offset {offset} on; is Kafka well?")]
    Silent {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The offset wanted.
        offset: i64,
    },
    /// The source has other messages than the worker once read.
    #[error(
        "{topic}-{partition}: {found} messages from offset {from} to {to}, the worker once read {expected}: some are gone from the source, or were never kept there (`worker.keep_raw: all`); nothing is replaced"
    )]
    OtherMessages {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// First offset.
        from: i64,
        /// One past the last.
        to: i64,
        /// The ledger's number.
        expected: i64,
        /// What came.
        found: i64,
    },
    /// A record can not be processed at all.
    #[error("{0}; nothing is replaced")]
    Hopeless(crate::lane::suspects::Crash),
    /// Another pipeline than the one it began with.
    #[error(
        "replay {id} began with pipeline version {expected}, this configuration's is {found}; give the same configuration, or drop the replay: `tidemill replay drop {id}`"
    )]
    OtherPipeline {
        /// The replay.
        id: String,
        /// Its version.
        expected: String,
        /// The one at hand.
        found: String,
    },
    /// The table of messages has none of those that are needed.
    #[error(
        "table raw_messages has none of these messages: they are kept from when `worker.keep_raw` is set, as long as `tables.raw_messages.retention` says; read them from Kafka, without --raw"
    )]
    NotKept,
    /// No such replay.
    #[error("there is no replay {0}; `tidemill replay list` shows those there are")]
    Unknown(String),
    /// It is done.
    #[error("replay {0} was swapped in already, with record {1}")]
    Done(String, u64),
    /// The tables have changed in the range since.
    #[error(
        "{topic}-{partition}: the range {from} to {to} was replaced by another replay since this one began; drop this one, and begin again: `tidemill replay drop {id}`"
    )]
    Overtaken {
        /// This replay.
        id: String,
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// First offset.
        from: i64,
        /// One past the last.
        to: i64,
    },
    /// Too much for one record.
    #[error(
        "the swap would let go of and bring {files} files, at most {most} fit into one record; replay a part of the range at a time (--from, --to)"
    )]
    TooManyFiles {
        /// How many.
        files: usize,
        /// The limit.
        most: usize,
    },
    /// Others came first, again and again.
    #[error("the tables were changed at each of {0} attempts; try `tidemill replay --resume`")]
    Contended(u32),
}
