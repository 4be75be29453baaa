//! What was wrong with a file, said with what was read of it all the same.

use super::{File, Position};

/// What was wrong with a file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// The file.
    pub path: String,
    /// Records of it that were read before.
    pub records: u64,
    /// What it is.
    pub trouble: Trouble,
    /// The same for people, with the fix.
    pub detail: String,
}

/// The kinds of trouble.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Trouble {
    /// The compressed data end in the middle.
    #[error(
        "ends in the middle of the compressed data, after {bytes} bytes of text; fetch it again"
    )]
    Truncated {
        /// Decompressed bytes before.
        bytes: u64,
    },
    /// The compressed data are damaged.
    #[error("is damaged after {bytes} bytes of text ({reason}); fetch it again")]
    Damaged {
        /// Decompressed bytes before.
        bytes: u64,
        /// What the decompressor says.
        reason: String,
    },
    /// The text ends inside of a JSON value, a CSV row or a counted syslog frame.
    #[error("ends inside of a record; the last one is not whole")]
    BrokeOff,
    /// Lines, rows or values longer than is taken.
    #[error(
        "{records} records are longer than {most} bytes; {bytes} bytes at their ends were dropped"
    )]
    TooLong {
        /// How many.
        records: u64,
        /// Bytes dropped.
        bytes: u64,
        /// The limit.
        most: usize,
    },
    /// Expands without end.
    #[error(
        "expands to more than {ratio} times its size, and was read no further than {bytes} bytes; decompress it beforehand if it is meant so"
    )]
    Bomb {
        /// Decompressed bytes before.
        bytes: u64,
        /// The limit.
        ratio: u64,
    },
    /// Neither text nor a known binary format.
    #[error("{0}")]
    NoLogs(String),
    /// Parquet that can not be read.
    #[error("is no sound Parquet: {0}")]
    Parquet(String),
}

impl Finding {
    pub(super) fn new(file: &File, position: &Position, trouble: Trouble) -> Self {
        Self::after(file.path.as_ref(), position.record, trouble)
    }

    pub(super) fn after(path: &str, records: u64, trouble: Trouble) -> Self {
        let detail = format!("{path}: {trouble}");
        Self { path: path.to_owned(), records, trouble, detail }
    }
}
