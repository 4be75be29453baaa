//! The bytes of a file as a stream, decompressed as they come.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_compression::tokio::bufread::{GzipDecoder, ZstdDecoder};
use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::{Error as StoreError, GetOptions, GetRange, ObjectStore, ObjectStoreExt as _};
use schemas::limits::{ARCHIVE_HEAD_BYTES, ARCHIVE_RATIO_FLOOR_BYTES, MAX_ARCHIVE_RATIO};
use tokio::io::{AsyncBufRead, AsyncRead, AsyncReadExt as _};
use tokio_util::io::StreamReader;

use super::detect::Compression;
use super::finding::Trouble;
use super::{ArchiveError, File};

/// The first bytes of a file, as stored.
pub(super) async fn head(store: &Arc<dyn ObjectStore>, file: &File) -> Result<Bytes, ArchiveError> {
    let range = 0..file.size.min(ARCHIVE_HEAD_BYTES);
    store.get_range(&file.path, range).await.map_err(|source| failed(file, source))
}

pub(super) fn failed(file: &File, source: StoreError) -> ArchiveError {
    match source {
        StoreError::NotFound { .. } => ArchiveError::Gone { path: file.path.to_string() },
        StoreError::Precondition { .. } => ArchiveError::Changed { path: file.path.to_string() },
        source => ArchiveError::Store { path: file.path.to_string(), source },
    }
}

/// What the first bytes decompress to, as far as they go.
pub(super) async fn decompressed_head(compression: Compression, head: &[u8]) -> Vec<u8> {
    let reader: Pin<Box<dyn AsyncRead + Send + '_>> = match compression {
        Compression::Plain => return head.to_vec(),
        Compression::Gzip => Box::pin(GzipDecoder::new(head)),
        Compression::Zstd => Box::pin(ZstdDecoder::new(head)),
    };
    let mut text = Vec::new();
    // An error is where the head was cut off; reading the file says if there is another.
    drop(reader.take(ARCHIVE_HEAD_BYTES).read_to_end(&mut text).await);
    text
}

/// A file's text under way.
pub(super) struct Text {
    path: String,
    reader: Pin<Box<dyn AsyncRead + Send>>,
    is_compressed: bool,
    /// Bytes of the file that were taken from storage.
    stored: Arc<AtomicU64>,
    /// Bytes of text given out, those before `start` included.
    at: u64,
}

/// What came of reading.
pub(super) enum Chunk {
    /// So many bytes; 0 at the end.
    Bytes(usize),
    /// The file can not be read further.
    Broken(Trouble),
}

impl Text {
    /// Opens a file at byte `start` of its text. What lies before is skipped where the file is plain, and
    /// decompressed for nothing where it is not.
    pub(super) async fn open(
        store: &Arc<dyn ObjectStore>,
        file: &File,
        compression: Compression,
        start: u64,
    ) -> Result<Self, ArchiveError> {
        let path = file.path.to_string();
        let is_compressed = compression != Compression::Plain;
        let from = if is_compressed { 0 } else { start.min(file.size) };
        let stored = Arc::new(AtomicU64::new(from));
        // Not beyond the size it was listed with: a log that is still written to ends there. One that is
        // compressed does not grow, it is another one.
        let mut options =
            GetOptions { range: Some(GetRange::Bounded(from..file.size)), ..GetOptions::default() };
        if is_compressed {
            options.if_match = file.version.clone();
        }
        let raw: Pin<Box<dyn AsyncBufRead + Send>> = if from == file.size {
            Box::pin(tokio::io::empty())
        } else {
            let got = store.get_opts(&file.path, options).await;
            let got = got.map_err(|source| failed(file, source))?;
            let count = Arc::clone(&stored);
            let stream =
                got.into_stream().map_err(std::io::Error::other).inspect_ok(move |bytes| {
                    count.fetch_add(bytes.len() as u64, Ordering::Relaxed);
                });
            Box::pin(StreamReader::new(stream))
        };
        let reader: Pin<Box<dyn AsyncRead + Send>> = match compression {
            Compression::Plain => Box::pin(raw),
            Compression::Gzip => {
                let mut decoder = GzipDecoder::new(raw);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
            Compression::Zstd => {
                let mut decoder = ZstdDecoder::new(raw);
                decoder.multiple_members(true);
                Box::pin(decoder)
            }
        };
        let mut text = Self { path, reader, is_compressed, stored, at: from };
        text.skip_to(start).await?;
        Ok(text)
    }

    async fn skip_to(&mut self, start: u64) -> Result<(), ArchiveError> {
        let mut buffer = vec![0; schemas::limits::ARCHIVE_CHUNK_BYTES];
        while self.at < start {
            let most = usize::try_from(start - self.at).unwrap_or(usize::MAX).min(buffer.len());
            match self.read(&mut buffer[..most]).await? {
                Chunk::Bytes(0) | Chunk::Broken(_) => {
                    return Err(ArchiveError::Changed { path: self.path.clone() });
                }
                Chunk::Bytes(_) => {}
            }
        }
        Ok(())
    }

    /// Reads on.
    pub(super) async fn read(&mut self, buffer: &mut [u8]) -> Result<Chunk, ArchiveError> {
        let read = match self.reader.read(buffer).await {
            Ok(read) => read,
            Err(error) => return self.broken(error),
        };
        self.at += read as u64;
        let stored = self.stored.load(Ordering::Relaxed).max(1);
        if self.at > ARCHIVE_RATIO_FLOOR_BYTES && self.at / stored > MAX_ARCHIVE_RATIO {
            let ratio = MAX_ARCHIVE_RATIO;
            return Ok(Chunk::Broken(Trouble::Bomb { bytes: self.at, ratio }));
        }
        Ok(Chunk::Bytes(read))
    }

    /// An error of the store is one of ours; one of the decompressor is about the file.
    fn broken(&self, error: std::io::Error) -> Result<Chunk, ArchiveError> {
        let bytes = self.at;
        let kind = error.kind();
        let reason = error.to_string();
        let inner = error.into_inner().and_then(|inner| inner.downcast::<StoreError>().ok());
        if let Some(source) = inner {
            return Err(ArchiveError::Store { path: self.path.clone(), source: *source });
        }
        if !self.is_compressed {
            let source = StoreError::Generic { store: "archive", source: reason.into() };
            return Err(ArchiveError::Store { path: self.path.clone(), source });
        }
        Ok(Chunk::Broken(match kind {
            std::io::ErrorKind::UnexpectedEof => Trouble::Truncated { bytes },
            _ => Trouble::Damaged { bytes, reason },
        }))
    }

    /// Bytes of the file, as stored, that were read.
    pub(super) fn consumed(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }
}
