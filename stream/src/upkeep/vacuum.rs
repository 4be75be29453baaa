//! Deletes the files of a table that nothing refers to any more: those its versions let go of
//! longer ago than the horizon, and those a crash left that never came into a record.

use std::collections::BTreeSet;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore};
use schemas::table::Table;

use super::plan::{self, StoredFile};
use crate::commit_log::log::Entry;
use crate::crash_point::{CrashPoint, pass};
use crate::mutant::{Mutant, planted};
use crate::table::delta::{PublishedTable, TableError};

/// Paths of `table` that must stay: the version last read, what is in `unpublished` records, and
/// what was removed after `since_millis`, for a slow reader may still hold the version before.
pub(super) async fn referenced(
    table: &PublishedTable,
    unpublished: &[Entry],
    since_millis: i64,
) -> Result<BTreeSet<String>, TableError> {
    let mut referenced: BTreeSet<String> = table.files()?.into_iter().collect();
    let is_new = |entry: &&Entry| table.cursor().is_none_or(|cursor| cursor < entry.record.seq);
    let unpublished = if planted(Mutant::UnpublishedIsGarbage) { &[] } else { unpublished };
    for entry in unpublished.iter().filter(is_new) {
        let adds = entry.folded.adds(&entry.record).filter(|add| add.table == table.table());
        referenced.extend(adds.map(|add| add.path.clone()));
    }
    let removed = table.removed().await?.into_iter();
    let lately = removed.filter(|(_, removed_millis)| *removed_millis >= since_millis);
    referenced.extend(lately.map(|(path, _)| path));
    Ok(referenced)
}

/// What storage holds below the table.
pub(crate) async fn stored(
    store: &dyn ObjectStore,
    table: Table,
) -> Result<Vec<StoredFile>, StoreError> {
    let root = Path::from(table.path());
    let prefix = format!("{root}/");
    let file = |meta: object_store::ObjectMeta| StoredFile {
        path: meta.location.as_ref().trim_start_matches(&prefix).to_owned(),
        size: meta.size,
        modified_millis: meta.last_modified.timestamp_millis(),
    };
    store.list(Some(&root)).map_ok(file).try_collect().await
}

/// Deletes them; a file that is gone already is no error.
pub(super) async fn delete(
    store: &dyn ObjectStore,
    table: Table,
    files: &[StoredFile],
) -> Result<(), StoreError> {
    let root = table.path();
    let keys = |files: &[StoredFile]| {
        files.iter().map(|file| Path::from(format!("{root}/{}", file.path))).map(Ok).collect()
    };
    let (first, rest) = files.split_at(files.len() / 2);
    pass(CrashPoint::VacuumBefore);
    delete_keys(store, keys(first)).await?;
    pass(CrashPoint::VacuumHalf);
    delete_keys(store, keys(rest)).await
}

/// Deletes objects, several at once where the store can.
pub(crate) async fn delete_keys(
    store: &dyn ObjectStore,
    keys: Vec<Result<Path, StoreError>>,
) -> Result<(), StoreError> {
    let mut deleted = store.delete_stream(futures::stream::iter(keys).boxed());
    while let Some(result) = deleted.next().await {
        match result {
            Ok(_) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// What may go, of a table.
pub(super) async fn find(
    store: &dyn ObjectStore,
    table: &PublishedTable,
    referenced: &BTreeSet<String>,
    now_millis: i64,
    horizon: std::time::Duration,
) -> Result<Vec<StoredFile>, StoreError> {
    let stored = stored(store, table.table()).await?;
    Ok(plan::garbage(&stored, referenced, now_millis, horizon))
}
