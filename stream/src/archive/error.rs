//! Why an archive can not be read on. What is wrong with the content of a file is no error but a
//! [`super::Finding`]: the other files are read all the same.

use object_store::Error as StoreError;

/// Why an archive can not be read on.
#[derive(Debug, thiserror::Error)]
pub enum ArchiveError {
    /// Nothing is there.
    #[error(
        "{path}: no file there, and none below it; a prefix ends at a slash, so write logs/2024, not logs/20"
    )]
    Empty {
        /// What was asked for.
        path: String,
    },
    /// Too many files.
    #[error(
        "{path}: more than {most} files; name a narrower path or a range of time, and read in several runs"
    )]
    TooMany {
        /// What was asked for.
        path: String,
        /// The limit.
        most: usize,
    },
    /// The directory of a Delta table: its files are not all its rows, nor only those.
    #[error(
        "{path}: is a Delta table; files that were compacted away would be read twice. Read it as a table, or name a directory of one hour"
    )]
    DeltaTable {
        /// Where its log lies.
        path: String,
    },
    /// A kind of file that is not read.
    #[error("{path}: {what} is not read; {fix}")]
    Unsupported {
        /// The file.
        path: String,
        /// What it is.
        what: &'static str,
        /// What to do.
        fix: &'static str,
    },
    /// The file of a position is not there any more.
    #[error("{path}: gone since reading began; bring it back, or begin again from the start")]
    Gone {
        /// The file.
        path: String,
    },
    /// The file of a position is another one now.
    #[error(
        "{path}: has changed since reading began, and may not be read from its middle; bring the old one back, or begin again from the start"
    )]
    Changed {
        /// The file.
        path: String,
    },
    /// The store failed. Worth another attempt from the same position.
    #[error("{path}: {source}")]
    Store {
        /// The file, or the path that was listed.
        path: String,
        /// The reason.
        source: StoreError,
    },
}

impl ArchiveError {
    /// Whether the same call can succeed later.
    pub fn is_transient(&self) -> bool {
        match self {
            ArchiveError::Store { source, .. } => !matches!(
                source,
                StoreError::NotFound { .. }
                    | StoreError::PermissionDenied { .. }
                    | StoreError::Unauthenticated { .. }
            ),
            _ => false,
        }
    }
}
