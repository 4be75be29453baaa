//! Snapshots of the head: recovery starts from one instead of from record 0. They are immutable
//! and may be missing or damaged; the log alone is the truth.

use bytes::Bytes;
use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

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

/// Writes the head under its sequence number and points the hint at it.
pub async fn save(
    store: &dyn ObjectStore,
    layout: &Layout,
    head: &Head,
) -> Result<(), SnapshotError> {
    let bytes = frame::seal(Kind::Snapshot, &serde_json::to_vec(head)?)?;
    let options = PutOptions { mode: PutMode::Create, ..Default::default() };
    match store.put_opts(&layout.snapshot(head.next_seq), bytes.into(), options).await {
        // The fold is deterministic: whoever wrote it wrote the same.
        Ok(_) | Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {}
        Err(error) => return Err(error.into()),
    }
    pass(CrashPoint::SnapshotWritten);
    store.put(&layout.latest_snapshot(), head.next_seq.to_string().into()).await?;
    Ok(())
}

/// The newest readable snapshot that `usable` accepts. The hint only saves listing all of them: a
/// writer that was away may have pointed it back at a snapshot whose records are gone by now.
///
/// # Errors
/// The store failed. That is not the same as "there is none": whoever took it for that would begin
/// a log anew whose old records were collected.
pub async fn newest(
    store: &dyn ObjectStore,
    layout: &Layout,
    usable: impl Fn(&Head) -> bool,
) -> Result<Option<Head>, StoreError> {
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
) -> Result<Option<u64>, StoreError> {
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
pub(crate) async fn read(
    store: &dyn ObjectStore,
    layout: &Layout,
    seq: u64,
) -> Result<Head, String> {
    let stored = async { store.get(&layout.snapshot(seq)).await?.bytes().await };
    let bytes = stored.await.map_err(|error| error.to_string())?;
    let json = frame::open(Kind::Snapshot, &bytes).map_err(|error| error.to_string())?;
    let head: Head = serde_json::from_slice(&json).map_err(|error| error.to_string())?;
    if head.next_seq == seq { Ok(head) } else { Err(format!("it says it is {}", head.next_seq)) }
}

/// One snapshot; a damaged one counts as missing.
async fn load(
    store: &dyn ObjectStore,
    layout: &Layout,
    seq: u64,
) -> Result<Option<Head>, StoreError> {
    let key = layout.snapshot(seq);
    let Some(bytes) = stored(store, &key).await? else { return Ok(None) };
    let read = || {
        let json = frame::open(Kind::Snapshot, &bytes).map_err(|error| error.to_string())?;
        serde_json::from_slice::<Head>(&json).map_err(|error| error.to_string())
    };
    Ok(match read() {
        Ok(head) if head.next_seq == seq => Some(head),
        Ok(_) => None,
        Err(error) => {
            tracing::warn!(%key, error, "commit log: snapshot unreadable, an older one is used");
            None
        }
    })
}
