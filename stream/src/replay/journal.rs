//! The replays of a store, below `_sys/live/replay/<id>/`:
//!
//! ```text
//! plan.json               what it does; created once
//! log/, snap/             its own commit log
//! diff/<...>.json         what a unit changes, written before the unit is committed
//! position/<offset>.json  where in the files of an archive the record at this offset is
//! old/<table>-<n>.parquet old rows in the order of their lineage, while it runs
//! report.json             what it changes, all in all; created when everything is staged
//! swapped.json            the seq of the swap
//! ```

use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use schemas::publish::LIVE_PIPELINE;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::ReplayError;
use super::plan::Plan;

/// Name of the commit log of a replay.
pub(super) fn pipeline_name(id: &str) -> String {
    format!("{LIVE_PIPELINE}/replay/{id}")
}

/// The key of one of its objects.
pub(super) fn key(id: &str, name: &str) -> Path {
    Path::from(format!("_sys/{}/{name}", pipeline_name(id)))
}

/// Records a replay; nobody else may have this id.
///
/// # Errors
/// Storage.
pub async fn begin(store: &Arc<dyn ObjectStore>, plan: &Plan) -> Result<(), ReplayError> {
    let options = PutOptions { mode: PutMode::Create, ..Default::default() };
    let bytes = serde_json::to_vec(plan)?;
    store.put_opts(&key(&plan.id, "plan.json"), bytes.into(), options).await?;
    Ok(())
}

/// A recorded replay.
///
/// # Errors
/// There is none of this name, or storage fails.
pub async fn load(store: &Arc<dyn ObjectStore>, id: &str) -> Result<Plan, ReplayError> {
    // What comes from a command line becomes part of a path.
    let is_name = !id.is_empty() && id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    let found = if is_name { get(store, &key(id, "plan.json")).await? } else { None };
    found.ok_or_else(|| ReplayError::Unknown(id.to_owned()))
}

/// An object, if it is there.
pub(super) async fn get<T: DeserializeOwned>(
    store: &Arc<dyn ObjectStore>,
    key: &Path,
) -> Result<Option<T>, ReplayError> {
    match store.get(key).await {
        Ok(found) => Ok(Some(serde_json::from_slice(&found.bytes().await?)?)),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// Writes an object over what stood there.
pub(super) async fn put<T: Serialize + Sync>(
    store: &Arc<dyn ObjectStore>,
    key: &Path,
    content: &T,
) -> Result<(), ReplayError> {
    store.put(key, serde_json::to_vec(content)?.into()).await?;
    Ok(())
}

/// Names of all replays of which anything is there.
pub(super) async fn ids(store: &Arc<dyn ObjectStore>) -> Result<Vec<String>, StoreError> {
    let root = Path::from(format!("_sys/{LIVE_PIPELINE}/replay"));
    let found = store.list_with_delimiter(Some(&root)).await?;
    let names = found.common_prefixes.iter().filter_map(|prefix| prefix.filename());
    Ok(names.map(str::to_owned).collect())
}

/// All replays that were not dropped, oldest first.
///
/// # Errors
/// Storage.
pub async fn list(store: &Arc<dyn ObjectStore>) -> Result<Vec<Plan>, ReplayError> {
    let mut plans = Vec::new();
    for id in ids(store).await? {
        plans.extend(get::<Plan>(store, &key(&id, "plan.json")).await?);
    }
    plans.sort_by(|a, b| (a.created_millis, &a.id).cmp(&(b.created_millis, &b.id)));
    Ok(plans)
}

/// The record that swapped it in, if that was noted.
///
/// # Errors
/// Storage.
pub async fn swapped(store: &Arc<dyn ObjectStore>, id: &str) -> Result<Option<u64>, ReplayError> {
    get(store, &key(id, "swapped.json")).await
}

/// Deletes the objects below a name of the replay.
pub(super) async fn clear(
    store: &Arc<dyn ObjectStore>,
    id: &str,
    name: &str,
) -> Result<(), ReplayError> {
    let listed = store.list(Some(&key(id, name))).map_ok(|meta| meta.location);
    let keys: Vec<Result<Path, StoreError>> =
        listed.try_collect::<Vec<_>>().await?.into_iter().map(Ok).collect();
    Ok(crate::upkeep::vacuum::delete_keys(store.as_ref(), keys).await?)
}

/// Deletes the objects that say what the replay is.
pub(super) async fn clear_rest(store: &Arc<dyn ObjectStore>, id: &str) -> Result<(), ReplayError> {
    let names = ["report.json", "swapped.json", "plan.json"];
    for name in names {
        match store.delete(&key(id, name)).await {
            Ok(()) | Err(StoreError::NotFound { .. }) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}
