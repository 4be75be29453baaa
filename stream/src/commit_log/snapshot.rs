//! Snapshots of the head: recovery starts from one instead of from record 0. They are immutable
//! and may be missing or damaged; the log alone is the truth. One that is whole and yet can not be read was written
//! by a newer version: it is not passed over, for the log behind it may be one this version misreads.

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use serde_json::Value;

use super::Layout;
use super::frame::{self, FrameError, Kind};
use super::head::Head;
use crate::crash_point::{CrashPoint, pass};

/// Why a snapshot was not written.
#[derive(Debug, thiserror::Error)]
pub enum SnapshotError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The head does not fit.
    #[error(transparent)]
    Frame(#[from] FrameError),
    /// The head has no JSON form.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
}

/// Why there is no answer which snapshot is the newest.
#[derive(Debug, thiserror::Error)]
pub enum NewestError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A newer version has worked on this store.
    #[error(transparent)]
    Newer(#[from] Newer),
}

/// A snapshot that is whole, and says what this version does not know.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key} was written by {writer}, and this one ({THIS}) can not read it ({reason}): run the version that wrote it, or a newer one"
)]
pub struct Newer {
    /// Its key.
    pub key: String,
    /// Who wrote it, as far as it says.
    pub writer: String,
    /// What is not known here.
    pub reason: String,
}

/// Why a snapshot can not be read.
#[derive(Debug)]
pub(crate) enum Unreadable {
    /// Bits changed or are missing, or it is none: an older one serves.
    Damaged(String),
    /// By this version.
    Newer(Newer),
}

/// Our version, for people whose store a newer one has changed.
const THIS: &str = env!("CARGO_PKG_VERSION");
/// The field of a snapshot, beside those of the head, that names the version which wrote it.
const WRITER: &str = "tidemill";

/// Writes the head under its sequence number and points the hint at it.
pub async fn save(
    store: &dyn ObjectStore,
    layout: &Layout,
    head: &Head,
) -> Result<(), SnapshotError> {
    let options = PutOptions { mode: PutMode::Create, ..Default::default() };
    let bytes = encode(head)?;
    match store.put_opts(&layout.snapshot(head.next_seq), bytes.into(), options).await {
        // The fold is deterministic: whoever wrote it wrote the same.
        Ok(_) | Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    pass(CrashPoint::SnapshotWritten);
    store.put(&layout.latest_snapshot(), head.next_seq.to_string().into()).await?;
    Ok(())
}

fn encode(head: &Head) -> Result<Vec<u8>, SnapshotError> {
    let mut json = serde_json::to_value(head)?;
    if let Value::Object(fields) = &mut json {
        fields.insert(WRITER.to_owned(), THIS.into());
    }
    Ok(frame::seal(Kind::Snapshot, &serde_json::to_vec(&json)?)?)
}

/// Stored bytes -> the head taken before record `seq`.
fn decode(key: &Path, seq: u64, bytes: &[u8]) -> Result<Head, Unreadable> {
    let newer = |writer: Option<String>, reason: String| {
        let version =
            writer.map_or_else(|| "a newer Tidemill".to_owned(), |w| format!("Tidemill {w}"));
        Unreadable::Newer(Newer { key: key.to_string(), writer: version, reason })
    };
    let json = frame::open(Kind::Snapshot, bytes).map_err(|error| match error {
        // The checksum holds: these are the bytes somebody wrote.
        FrameError::Version(_) => newer(None, error.to_string()),
        _ => Unreadable::Damaged(error.to_string()),
    })?;
    let mut json: Value = serde_json::from_slice(&json).map_err(|e| newer(None, e.to_string()))?;
    let writer = json.as_object_mut().and_then(|fields| fields.remove(WRITER));
    let writer = writer.and_then(|writer| writer.as_str().map(str::to_owned));
    let head: Head = serde_json::from_value(json).map_err(|e| newer(writer, e.to_string()))?;
    if head.next_seq == seq {
        Ok(head)
    } else {
        Err(Unreadable::Damaged(format!("it says it is {}", head.next_seq)))
    }
}

/// The newest readable snapshot that `usable` accepts. The hint only saves listing all of them: a
/// writer that was away may have pointed it back at a snapshot whose records are gone by now.
///
/// # Errors
/// The store failed. That is not the same as "there is none": whoever took it for that would begin
/// a log anew whose old records were collected. Or a newer version wrote one of those looked at.
pub async fn newest(
    store: &dyn ObjectStore,
    layout: &Layout,
    usable: impl Fn(&Head) -> bool,
) -> Result<Option<Head>, NewestError> {
    let hint = hint(store, layout).await?;
    let newer = listed(store, layout, hint).await?;
    // A stale listing may lack even the one that the hint names.
    for seq in newer.into_iter().chain(hint) {
        if let Some(head) = load(store, layout, seq).await?.filter(&usable) {
            return Ok(Some(head));
        }
    }
    if hint.is_some() {
        for seq in listed(store, layout, None).await? {
            if let Some(head) = load(store, layout, seq).await?.filter(&usable) {
                return Ok(Some(head));
            }
        }
    }
    Ok(None)
}

/// The number of the oldest readable snapshot.
pub(super) async fn oldest(
    store: &dyn ObjectStore,
    layout: &Layout,
) -> Result<Option<u64>, NewestError> {
    for seq in listed(store, layout, None).await?.into_iter().rev() {
        if load(store, layout, seq).await?.is_some() {
            return Ok(Some(seq));
        }
    }
    Ok(None)
}

/// The snapshots there are, newest first; those after `after` only.
async fn listed(
    store: &dyn ObjectStore,
    layout: &Layout,
    after: Option<u64>,
) -> Result<Vec<u64>, StoreError> {
    let directory = layout.snapshots();
    let found = match after {
        None => store.list(Some(&directory)),
        Some(seq) => store.list_with_offset(Some(&directory), &layout.snapshot(seq)),
    };
    let keys: Vec<Path> = found.map_ok(|meta| meta.location).try_collect().await?;
    let mut seqs: Vec<u64> = keys.iter().filter_map(Layout::seq).collect();
    seqs.sort_unstable_by(|a, b| b.cmp(a));
    Ok(seqs)
}

/// The bytes at a key; none where there is nothing.
async fn stored(store: &dyn ObjectStore, key: &Path) -> Result<Option<Bytes>, StoreError> {
    match store.get(key).await {
        Ok(found) => found.bytes().await.map(Some),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

/// The seq the hint names; none where it is missing or is no number.
pub(super) async fn hint(
    store: &dyn ObjectStore,
    layout: &Layout,
) -> Result<Option<u64>, StoreError> {
    let bytes = stored(store, &layout.latest_snapshot()).await?;
    Ok(bytes.and_then(|bytes| std::str::from_utf8(&bytes).ok()?.trim().parse().ok()))
}

/// One snapshot, or why it can not be read.
///
/// # Errors
/// The store failed.
pub(crate) async fn read(
    store: &dyn ObjectStore,
    layout: &Layout,
    seq: u64,
) -> Result<Option<Result<Head, Unreadable>>, StoreError> {
    let key = layout.snapshot(seq);
    let bytes = stored(store, &key).await?;
    Ok(bytes.map(|bytes| decode(&key, seq, &bytes)))
}

/// One snapshot; a damaged one counts as missing.
async fn load(
    store: &dyn ObjectStore,
    layout: &Layout,
    seq: u64,
) -> Result<Option<Head>, NewestError> {
    match read(store, layout, seq).await? {
        None => Ok(None),
        Some(Ok(head)) => Ok(Some(head)),
        Some(Err(Unreadable::Newer(newer))) => Err(newer.into()),
        Some(Err(Unreadable::Damaged(error))) => {
            let key = layout.snapshot(seq);
            tracing::warn!(%key, error, "commit log: snapshot unreadable, an older one is used");
            Ok(None)
        }
    }
}

#[cfg(test)]
mod tests;
