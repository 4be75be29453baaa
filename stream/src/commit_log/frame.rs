//! The bytes of a stored record or snapshot: magic, version, length, zstd, checksum.
//!
//! ```text
//! 4 bytes magic | 1 byte version | 4 bytes LE length of the content | zstd(content) | 8 bytes LE XXH3-64 of all before
//! ```

use schemas::limits::{MAX_RECORD_BYTES, MAX_RECORD_CONTENT_BYTES};
use xxhash_rust::xxh3::xxh3_64;

/// What the bytes hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A commit-log record.
    Record,
    /// A snapshot of the head.
    Snapshot,
    /// A part of a pipeline's state.
    State,
}

impl Kind {
    fn magic(self) -> &'static [u8; 4] {
        match self {
            Kind::Record => b"TMCL",
            Kind::Snapshot => b"TMSN",
            Kind::State => b"TMST",
        }
    }
}

/// The version this code writes, and the only one it reads.
const VERSION: u8 = 1;
/// Bytes before the compressed content.
const HEADER: usize = 9;
/// Bytes after it.
const CHECKSUM: usize = 8;
/// zstd level: records are small, so the better ratio costs nothing.
const LEVEL: i32 = 3;

/// Why stored bytes are refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Fewer bytes than any frame has.
    #[error("truncated: {0} bytes")]
    Truncated(usize),
    /// Another kind of file.
    #[error("not a Tidemill file of this kind (foreign magic)")]
    Magic,
    /// Written by another version.
    #[error("format version {0}, this Tidemill reads {VERSION}; upgrade it")]
    Version(u8),
    /// Bits changed or are missing.
    #[error("corrupt: the checksum does not match")]
    Checksum,
    /// Over a limit.
    #[error("too large: {bytes} bytes, the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// What is allowed.
        limit: usize,
    },
    /// The compressed content is not what the header says.
    #[error("corrupt: {0}")]
    Content(String),
}

/// Content -> stored bytes.
pub fn seal(kind: Kind, content: &[u8]) -> Result<Vec<u8>, FrameError> {
    let limit = MAX_RECORD_CONTENT_BYTES;
    let length = u32::try_from(content.len()).ok().filter(|_| content.len() <= limit);
    let length = length.ok_or(FrameError::TooLarge { bytes: content.len(), limit })?;
    let compressed = zstd::bulk::compress(content, LEVEL)
        .map_err(|error| FrameError::Content(error.to_string()))?;
    let mut bytes = Vec::with_capacity(HEADER + compressed.len() + CHECKSUM);
    bytes.extend_from_slice(kind.magic());
    bytes.push(VERSION);
    bytes.extend_from_slice(&length.to_le_bytes());
    bytes.extend_from_slice(&compressed);
    let checksum = xxh3_64(&bytes);
    bytes.extend_from_slice(&checksum.to_le_bytes());
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(FrameError::TooLarge { bytes: bytes.len(), limit: MAX_RECORD_BYTES });
    }
    Ok(bytes)
}

/// Stored bytes -> content; anything but what [`seal`] wrote is refused.
pub fn open(kind: Kind, bytes: &[u8]) -> Result<Vec<u8>, FrameError> {
    if bytes.len() > MAX_RECORD_BYTES {
        return Err(FrameError::TooLarge { bytes: bytes.len(), limit: MAX_RECORD_BYTES });
    }
    let truncated = || FrameError::Truncated(bytes.len());
    let (covered, checksum) = bytes.split_last_chunk::<CHECKSUM>().ok_or_else(truncated)?;
    let (header, compressed) = covered.split_first_chunk::<HEADER>().ok_or_else(truncated)?;
    let [m0, m1, m2, m3, version, l0, l1, l2, l3] = *header;
    if [m0, m1, m2, m3] != *kind.magic() {
        return Err(FrameError::Magic);
    }
    if xxh3_64(covered) != u64::from_le_bytes(*checksum) {
        return Err(FrameError::Checksum);
    }
    if version != VERSION {
        return Err(FrameError::Version(version));
    }
    let length = u32::from_le_bytes([l0, l1, l2, l3]) as usize;
    if length > MAX_RECORD_CONTENT_BYTES {
        let limit = MAX_RECORD_CONTENT_BYTES;
        return Err(FrameError::TooLarge { bytes: length, limit });
    }
    let content = zstd::bulk::decompress(compressed, length)
        .map_err(|error| FrameError::Content(error.to_string()))?;
    if content.len() != length {
        return Err(FrameError::Content("the content is shorter than the header says".to_owned()));
    }
    Ok(content)
}
