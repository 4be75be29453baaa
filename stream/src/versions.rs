//! Versions of the pipeline that units were made with. The text of each lies beside the commit log before the
//! first unit that uses it is committed, for good: what was done can be done again.
//!
//! ```text
//! _sys/<pipeline>/pipelines/<version, 16 hex characters>    {"version", "kept_millis", "config"}
//! ```
//!
//! A unit names its version in the log, its rows carry it in `_pipeline_version`.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use schemas::publish::LIVE_PIPELINE;
use serde_json::Value;
use stages::pipeline::Pipeline;
use stages::pipeline::config::Config;

use crate::clock::{Clock, System};
use crate::commit_log::Layout;
use crate::commit_log::head::Head;
use crate::commit_log::log::{BACKOFF, CommitLog, LogError};
use crate::commit_log::record::Body;
use crate::worker::World;

/// Why a version can not be had.
#[derive(Debug, thiserror::Error)]
pub enum VersionError {
    /// The store.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The log, which says when each was in use.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Nobody kept it.
    #[error("no pipeline version {0} is kept here; `tidemill pipeline versions` lists them")]
    Unknown(String),
    /// What was kept can not be read.
    #[error("pipeline version {version}: {reason}")]
    Unreadable {
        /// Which.
        version: String,
        /// Why.
        reason: String,
    },
}

/// A version that was kept.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Version {
    /// Content hash of the configuration.
    pub version: String,
    /// When it was first kept, Unix milliseconds.
    pub kept_millis: Option<i64>,
    /// First record of the log with a unit of this version; none where the log no longer goes back to it, or no unit
    /// was made.
    pub first_seq: Option<u64>,
    /// Last record with such a unit.
    pub last_seq: Option<u64>,
    /// Units in these records.
    pub units: u64,
}

/// Attempts to keep a text before the answer is an error.
const ATTEMPTS: u32 = 8;

/// Keeps the text of a pipeline; doing it again changes nothing.
pub(crate) async fn keep(
    store: &dyn ObjectStore,
    pipeline: &Pipeline,
    world: &World,
) -> Result<(), StoreError> {
    let mut attempt = 0;
    loop {
        match keep_once(store, pipeline, world.clock.as_ref()).await {
            Ok(()) => return Ok(()),
            Err(error) if attempt >= ATTEMPTS => return Err(error),
            Err(error) => {
                tracing::warn!(attempt, %error, "the pipeline's text is not kept, trying again");
                world.backoff.pause(attempt, world.entropy.as_ref()).await;
                attempt += 1;
            }
        }
    }
}

async fn keep_once(
    store: &dyn ObjectStore,
    pipeline: &Pipeline,
    clock: &dyn Clock,
) -> Result<(), StoreError> {
    let key = Layout::new(LIVE_PIPELINE).pipeline(pipeline.version());
    let text = format!(
        "{{\"version\":\"{}\",\"kept_millis\":{},\"config\":{}}}\n",
        pipeline.version(),
        clock.unix_millis(),
        pipeline.text()
    );
    let options = PutOptions { mode: PutMode::Create, ..Default::default() };
    match store.put_opts(&key, text.into(), options).await {
        // Named by its content: whoever kept it kept the same.
        Ok(_) | Err(StoreError::AlreadyExists { .. }) => Ok(()),
        Err(error) => Err(error),
    }
}

/// The configuration of a version that was kept, for whoever does again what it did.
///
/// # Errors
/// Why it can not be had.
pub async fn load(store: &Arc<dyn ObjectStore>, version: &str) -> Result<Config, VersionError> {
    let unreadable =
        |reason: String| VersionError::Unreadable { version: version.to_owned(), reason };
    let kept = read(store, version).await?;
    let config = kept.get("config").cloned().unwrap_or_default();
    serde_json::from_value(config).map_err(|error| {
        unreadable(format!("{error}; was it kept by another version of Tidemill?"))
    })
}

async fn read(store: &Arc<dyn ObjectStore>, version: &str) -> Result<Value, VersionError> {
    let legal = !version.is_empty() && version.bytes().all(|byte| byte.is_ascii_hexdigit());
    let unknown = || VersionError::Unknown(version.to_owned());
    if !legal {
        return Err(unknown());
    }
    let bytes = match store.get(&Layout::new(LIVE_PIPELINE).pipeline(version)).await {
        Ok(found) => found.bytes().await?,
        Err(StoreError::NotFound { .. }) => return Err(unknown()),
        Err(error) => return Err(error.into()),
    };
    serde_json::from_slice(&bytes).map_err(|error| VersionError::Unreadable {
        version: version.to_owned(),
        reason: error.to_string(),
    })
}

/// All versions that were kept, oldest first, with where the log has them.
///
/// # Errors
/// The store or the log can not be read.
pub async fn list(store: &Arc<dyn ObjectStore>) -> Result<Vec<Version>, VersionError> {
    let layout = Layout::new(LIVE_PIPELINE);
    let directory = layout.pipelines();
    let kept: Vec<_> = store.list(Some(&directory)).try_collect().await?;
    let mut versions = BTreeMap::new();
    for meta in kept {
        let Some(name) = meta.location.filename() else { continue };
        let kept_millis = read(store, name).await.ok();
        let kept_millis = kept_millis.and_then(|kept| kept.get("kept_millis")?.as_i64());
        let version = Version {
            version: name.to_owned(),
            kept_millis,
            first_seq: None,
            last_seq: None,
            units: 0,
        };
        versions.insert(name.to_owned(), version);
    }
    let system = System::shared();
    // No snapshot is a start here: each record that is still there is looked at.
    let from_the_start = |head: &Head| head.next_seq == 0;
    let recovered = CommitLog::recover(
        Arc::clone(store),
        layout,
        system.clone(),
        system,
        BACKOFF,
        from_the_start,
    );
    let (_, entries) = recovered.await?;
    for entry in &entries {
        let Body::Commit(commit) = &entry.record.body else { continue };
        for name in commit.units.iter().filter_map(|unit| unit.pipeline.as_ref()) {
            let Some(version) = versions.get_mut(name) else { continue };
            version.first_seq.get_or_insert(entry.record.seq);
            version.last_seq = Some(entry.record.seq);
            version.units += 1;
        }
    }
    let mut versions: Vec<Version> = versions.into_values().collect();
    versions.sort_by(|a, b| {
        (a.first_seq.unwrap_or(u64::MAX), a.kept_millis)
            .cmp(&(b.first_seq.unwrap_or(u64::MAX), b.kept_millis))
    });
    Ok(versions)
}
