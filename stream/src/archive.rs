//! Records from files: a file, a directory, or the prefix of an object store, in log files, JSON, CSV
//! and Parquet, plain or compressed. What a replay reads when the logs are not in Kafka.
//!
//! 1. [`list`]: which files, in order, and the time each stands for.
//! 2. [`detect`]: what a file holds, by its name and its first bytes.
//! 3. [`bytes`]: its bytes as a stream, decompressed as they come.
//! 4. [`text`] and [`columns`]: bytes or row groups become records.
//!
//! [`Archive::read`] hands over one batch of one file and the [`Position`] behind it. A position can be
//! written down; reading from it again gives the same records. Memory is bounded whatever the size of
//! a file: chunks of bytes, the frames of one chunk, one row group.
//!
//! Offsets of records are their numbers within the file, from 0. Their `timestamp`, the time of last
//! resort for logs that have none of their own, is the time in the file's path (a date, an hour), else
//! when the file was written.

mod bytes;
mod columns;
mod detect;
mod error;
mod finding;
mod list;
mod object;
mod rows;
#[cfg(test)]
mod tests;
mod text;

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::path::Path;
use schemas::limits::MAX_ARCHIVE_BATCH_RECORDS;
use schemas::time::EventTime;
use schemas::topic::Signal;
use stages::input::{Envelope, Input, Labels, Multiline, Resume};
use stages::record::Record;

pub use detect::{Content, UnknownContent};
pub use error::ArchiveError;
pub use finding::{Finding, Trouble};
pub use list::File;

/// How an archive is read.
#[derive(Debug, Clone)]
pub struct Options {
    /// What the files hold; found out for each of them if `None`.
    pub content: Option<Content>,
    /// What is wrapped around the logs.
    pub envelope: Envelope,
    /// Which lines of log files are one log.
    pub multiline: Multiline,
    /// What is said of all logs.
    pub labels: Arc<Labels>,
    /// The CSV column that is the log's text; by its name if `None`.
    pub csv_message: Option<Arc<str>>,
    /// Only files that may hold logs of this time, from inclusive, to exclusive. Judged where a path says
    /// its hour (`dt=20240501/hour=10`, `date=2024-05-01/hour=10`); all others are read.
    pub time: Option<(EventTime, EventTime)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            content: None,
            envelope: Envelope::Auto,
            multiline: Multiline::Lines,
            labels: Arc::default(),
            csv_message: None,
            time: None,
        }
    }
}

/// Where reading stands: behind a record. The default is the start.
#[derive(Debug, Clone, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Position {
    /// Path of the file; empty at the start.
    pub path: String,
    /// Its size when it was read.
    pub size: u64,
    /// Records of it that were handed over.
    pub record: u64,
    /// Where in it the next record begins.
    pub resume: Resume,
    /// Nothing is left of it.
    pub file_done: bool,
}

/// Records of one file.
#[derive(Debug)]
pub struct Batch {
    /// Number of the file in [`Archive::files`].
    pub file: usize,
    /// Its path.
    pub path: Arc<str>,
    /// What its records are.
    pub signal: Signal,
    /// How they are decoded.
    pub input: Arc<Input>,
    /// In the file's order; none where nothing was left of it.
    pub records: Vec<Record>,
    /// From where to read on.
    pub next: Position,
    /// Bytes of the files behind `next`, of [`Archive::bytes`].
    pub bytes_done: u64,
    /// The archive is read to its end.
    pub done: bool,
    /// What was wrong with the file.
    pub findings: Vec<Finding>,
}

/// The files of a path, in order.
pub struct Archive {
    store: Arc<dyn ObjectStore>,
    options: Options,
    files: Vec<File>,
    /// Bytes of the files before each.
    before: Vec<u64>,
    /// The file being read, and where it stands.
    open: Option<(Position, Reader)>,
}

/// A file under way.
enum Reader {
    Text(Box<text::TextFile>),
    Parquet(Box<columns::ParquetFile>),
    /// Holds nothing that can be read; the findings say why.
    Nothing(Vec<Finding>),
}

/// A record, and where to go on behind it.
struct Next {
    record: Record,
    resume: Resume,
}

impl Archive {
    /// Lists the files at `path`: one file, or all below a directory or prefix, sorted by path.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        path: &Path,
        options: Options,
    ) -> Result<Self, ArchiveError> {
        let files = list::list(&store, path, &options).await?;
        let mut sum = 0;
        let before = files.iter().map(|file| {
            let before = sum;
            sum += file.size;
            before
        });
        let before = before.collect();
        Ok(Self { store, options, files, before, open: None })
    }

    /// The files, in the order they are read.
    pub fn files(&self) -> &[File] {
        &self.files
    }

    /// Bytes of all files as stored.
    pub fn bytes(&self) -> u64 {
        self.files.iter().map(|file| file.size).sum()
    }

    /// A hash of paths, sizes and versions, 16 hex characters: whether an archive read in several runs is
    /// still the same.
    pub fn fingerprint(&self) -> String {
        let mut hash = xxhash_rust::xxh3::Xxh3::new();
        for file in &self.files {
            hash.update(file.path.as_ref().as_bytes());
            hash.update(&file.size.to_le_bytes());
            hash.update(file.version.as_deref().unwrap_or("").as_bytes());
            hash.update(b"\0");
        }
        format!("{:016x}", hash.digest())
    }

    /// Reads the records behind `position`: about `max_bytes` of payload, all of one file.
    ///
    /// An error says whether reading from the same position can succeed later
    /// ([`ArchiveError::is_transient`]).
    pub async fn read(
        &mut self,
        position: &Position,
        max_bytes: usize,
    ) -> Result<Batch, ArchiveError> {
        let index = self.locate(position)?;
        let Some(index) = index else { return Ok(self.end(position)) };
        let file = self.files[index].clone();
        let start = match position {
            Position { path, file_done: false, .. } if path == file.path.as_ref() => {
                position.clone()
            }
            _ => Position { path: file.path.to_string(), size: file.size, ..Position::default() },
        };
        let kept = self.open.take().filter(|(at, _)| *at == start);
        let mut reader = match kept {
            Some((_, reader)) => reader,
            None => Reader::open(&self.store, &self.options, &file, &start).await?,
        };
        let mut next = start;
        let mut records = Vec::new();
        let mut bytes = 0;
        while bytes < max_bytes.max(1) && records.len() < MAX_ARCHIVE_BATCH_RECORDS {
            let Some(Next { mut record, resume }) = reader.next().await? else {
                next.file_done = true;
                break;
            };
            bytes += record.payload.len();
            record.offset = i64::try_from(next.record).unwrap_or(i64::MAX);
            record.timestamp = file.time;
            records.push(record);
            (next.record, next.resume) = (next.record + 1, resume);
        }
        let (signal, input) = reader.kind();
        let batch = Batch {
            file: index,
            path: file.path.as_ref().into(),
            signal,
            input,
            records,
            bytes_done: self.before[index]
                + if next.file_done { file.size } else { reader.consumed().min(file.size) },
            done: next.file_done && index + 1 == self.files.len(),
            findings: reader.findings(),
            next: next.clone(),
        };
        if !next.file_done {
            self.open = Some((next, reader));
        }
        Ok(batch)
    }

    /// The file to read on in; `None` behind the last.
    fn locate(&self, position: &Position) -> Result<Option<usize>, ArchiveError> {
        if position.path.is_empty() {
            return Ok((!self.files.is_empty()).then_some(0));
        }
        let found = self.files.binary_search_by(|file| file.path.as_ref().cmp(&position.path));
        let index = match found {
            Ok(index) if position.file_done => index + 1,
            Ok(index) => {
                if self.files[index].size < position.size {
                    return Err(ArchiveError::Changed { path: position.path.clone() });
                }
                index
            }
            // Read to its end, and deleted since.
            Err(index) if position.file_done => index,
            Err(_) => return Err(ArchiveError::Gone { path: position.path.clone() }),
        };
        Ok((index < self.files.len()).then_some(index))
    }

    fn end(&self, position: &Position) -> Batch {
        Batch {
            file: self.files.len(),
            path: "".into(),
            signal: Signal::Logs,
            input: Arc::new(Input::from(schemas::topic::Format::Raw)),
            records: Vec::new(),
            next: position.clone(),
            bytes_done: self.bytes(),
            done: true,
            findings: Vec::new(),
        }
    }
}

impl Reader {
    async fn open(
        store: &Arc<dyn ObjectStore>,
        options: &Options,
        file: &File,
        position: &Position,
    ) -> Result<Self, ArchiveError> {
        let head = bytes::head(store, file).await?;
        let kind = match detect::detect(file.path.as_ref(), &head, options).await {
            Ok(kind) => kind,
            Err(trouble) => {
                return Ok(Reader::Nothing(vec![Finding::new(file, position, trouble)]));
            }
        };
        Ok(match kind.content {
            Content::Parquet => {
                match columns::ParquetFile::open(store, options, file, position.record).await? {
                    Ok(parquet) => Reader::Parquet(Box::new(parquet)),
                    Err(trouble) => Reader::Nothing(vec![Finding::new(file, position, trouble)]),
                }
            }
            _ => Reader::Text(Box::new(
                text::TextFile::open(store, options, file, &kind, position).await?,
            )),
        })
    }

    async fn next(&mut self) -> Result<Option<Next>, ArchiveError> {
        match self {
            Reader::Text(text) => text.next().await,
            Reader::Parquet(parquet) => parquet.next().await,
            Reader::Nothing(_) => Ok(None),
        }
    }

    /// Takes what was found since the last call.
    fn findings(&mut self) -> Vec<Finding> {
        match self {
            Reader::Text(text) => text.findings(),
            Reader::Parquet(parquet) => parquet.findings(),
            Reader::Nothing(findings) => std::mem::take(findings),
        }
    }

    fn kind(&self) -> (Signal, Arc<Input>) {
        match self {
            Reader::Text(text) => (text.signal(), text.input()),
            Reader::Parquet(parquet) => (Signal::Logs, parquet.input()),
            Reader::Nothing(_) => {
                (Signal::Logs, Arc::new(Input::from(schemas::topic::Format::Raw)))
            }
        }
    }

    /// Bytes of the file, as stored, that were read.
    fn consumed(&self) -> u64 {
        match self {
            Reader::Text(text) => text.consumed(),
            Reader::Parquet(parquet) => parquet.consumed(),
            Reader::Nothing(_) => 0,
        }
    }
}
