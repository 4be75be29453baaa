//! Deletes commit-log records and snapshots that recovery does not need any more.
//!
//! A record may go when a snapshot covers it that every table has caught up with, and when it is
//! older than the horizon. The horizon is what keeps a deleted key from being created again: only
//! a writer that has not looked at the log for all that time could try, and such a writer looks
//! at the snapshots first ([`crate::commit_log::log`]).

use std::time::Duration;

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta, ObjectStore};
use schemas::limits::{COLLECTED_AT_ONCE, UNREAD_LOG_HORIZONS};

use super::vacuum::delete_keys;
use crate::commit_log::snapshot::{self, NewestError};
use crate::commit_log::{Layout, head::Head};
use crate::crash_point::{CrashPoint, pass};
use crate::mutant::{Mutant, planted};

/// Records and snapshots below the newest snapshot that `usable` accepts, older than the horizon; those that
/// another pipeline has not read, from record `read` on, only after [`UNREAD_LOG_HORIZONS`].
pub(crate) async fn find(
    store: &dyn ObjectStore,
    layout: &Layout,
    now_millis: i64,
    horizon: Duration,
    read: Option<u64>,
    usable: impl Fn(&Head) -> bool,
) -> Result<Vec<Path>, NewestError> {
    let Some(read) = read else { return below(store, layout, now_millis, horizon, usable).await };
    let is_read = |head: &Head| usable(head) && head.next_seq <= read;
    let mut old = below(store, layout, now_millis, horizon, is_read).await?;
    let horizon = horizon.saturating_mul(UNREAD_LOG_HORIZONS);
    old.extend(below(store, layout, now_millis, horizon, &usable).await?);
    old.sort_unstable();
    old.dedup();
    Ok(old)
}

async fn below(
    store: &dyn ObjectStore,
    layout: &Layout,
    now_millis: i64,
    horizon: Duration,
    usable: impl Fn(&Head) -> bool,
) -> Result<Vec<Path>, NewestError> {
    let Some(head) = snapshot::newest(store, layout, usable).await? else { return Ok(Vec::new()) };
    let floor = if planted(Mutant::CollectsTooMuch) { u64::MAX } else { head.next_seq };
    let horizon = i64::try_from(horizon.as_millis()).unwrap_or(i64::MAX);
    let before = now_millis.saturating_sub(horizon);
    let mut old = Vec::new();
    for directory in [layout.records(), layout.snapshots()] {
        let listed: Vec<ObjectMeta> = store.list(Some(&directory)).try_collect().await?;
        let is_old = |meta: &ObjectMeta| {
            let below = Layout::seq(&meta.location).is_some_and(|seq| seq < floor);
            below && meta.last_modified.timestamp_millis() < before
        };
        old.extend(listed.into_iter().filter(is_old).map(|meta| meta.location));
    }
    old.sort_unstable();
    Ok(old)
}

/// Deletes them, the oldest first: the very first alone, the others by the [`COLLECTED_AT_ONCE`]. So a log
/// whose collection was cut short is known by its beginning: it misses record 0, and has holes
/// in its next few records at most.
pub(crate) async fn delete(store: &dyn ObjectStore, keys: &[Path]) -> Result<(), StoreError> {
    let Some((first, rest)) = keys.split_first() else { return Ok(()) };
    pass(CrashPoint::CollectionBefore);
    delete_keys(store, vec![Ok(first.clone())]).await?;
    pass(CrashPoint::CollectionHalf);
    for some in rest.chunks(COLLECTED_AT_ONCE) {
        delete_keys(store, some.iter().cloned().map(Ok).collect()).await?;
    }
    Ok(())
}
