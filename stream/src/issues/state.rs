//! The state of issues in the store: parts that the pipeline's records refer to.

use std::sync::Arc;

use futures::{StreamExt as _, TryStreamExt as _};
use issues::saved::Part;
use issues::settings::Settings;
use issues::tracker::Tracker;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use schemas::limits::{MAX_STATE_DELTAS, RECOVERY_CONCURRENT_READS};
use schemas::publish::ISSUES_PIPELINE;

use super::session::Error;
use crate::backoff::Backoff;
use crate::clock::Entropy;
use crate::commit_log::Layout;
use crate::commit_log::frame::{self, Kind};
use crate::commit_log::record::{StatePart, StateRef};

/// Reads the state a record refers to; an empty one where there is none yet.
pub(super) async fn load(
    store: &Arc<dyn ObjectStore>,
    state: Option<&StateRef>,
    settings: Settings,
) -> Result<Tracker, Error> {
    let parts = state.map(|state| state.parts.clone()).unwrap_or_default();
    let parts: Vec<Part> = futures::stream::iter(parts)
        .map(|part| async move { read(store, &part.path).await })
        .buffered(RECOVERY_CONCURRENT_READS)
        .try_collect()
        .await?;
    Ok(Tracker::load(settings, parts))
}

async fn read(store: &Arc<dyn ObjectStore>, path: &str) -> Result<Part, Error> {
    let wrap = |reason: String| Error(format!("state of issues: {path}: {reason}"));
    let stored = async { store.get(&Path::from(path)).await?.bytes().await };
    let bytes = stored.await.map_err(|error| wrap(error.to_string()))?;
    let json = frame::open(Kind::State, &bytes).map_err(|error| wrap(error.to_string()))?;
    serde_json::from_slice(&json).map_err(|error| wrap(error.to_string()))
}

/// Writes states. Parts are immutable; which of them are the state is said by the record alone.
#[derive(Debug)]
pub(super) struct StateWriter {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) entropy: Arc<dyn Entropy>,
    pub(super) backoff: Backoff,
}

impl StateWriter {
    /// What the next record refers to: the parts before and what changed, or a full copy when those have become
    /// many or large.
    pub(super) async fn write(
        &self,
        before: Option<&StateRef>,
        tracker: &mut Tracker,
        decisions_from: u64,
    ) -> Result<StateRef, Error> {
        let known = before.map(|state| state.parts.as_slice()).unwrap_or_default();
        let bytes = |full: bool| -> u64 {
            known.iter().filter(|part| part.full == full).map(|part| part.bytes).sum()
        };
        let deltas = known.iter().filter(|part| !part.full).count();
        let full = known.is_empty() || deltas >= MAX_STATE_DELTAS || bytes(false) > 4 * bytes(true);
        let (mut parts, new) = if full {
            (Vec::new(), tracker.full())
        } else {
            (known.to_vec(), tracker.take_unsaved())
        };
        for part in new {
            let (path, bytes) = self.put(&part).await?;
            parts.push(StatePart { path, bytes, full });
        }
        Ok(StateRef { parts, decisions_from })
    }

    async fn put(&self, part: &Part) -> Result<(String, u64), Error> {
        let wrap = |reason: String| Error(format!("state of issues: {reason}"));
        let json = serde_json::to_vec(part).map_err(|error| wrap(error.to_string()))?;
        let bytes = frame::seal(Kind::State, &json).map_err(|error| wrap(error.to_string()))?;
        let key = Layout::new(ISSUES_PIPELINE).state(self.entropy.bits());
        let length = bytes.len() as u64;
        let bytes = bytes::Bytes::from(bytes);
        let mut attempt = 0;
        while let Err(error) = self.store.put(&key, bytes.clone().into()).await {
            tracing::warn!(%key, attempt, %error, "part of the state not written, trying again");
            self.backoff.pause(attempt, self.entropy.as_ref()).await;
            attempt = attempt.saturating_add(1);
        }
        Ok((key.to_string(), length))
    }

    /// Deletes parts that no record from here on refers to. Best effort: what stays is garbage.
    pub(super) async fn delete(&self, parts: &[String]) {
        for path in parts {
            if let Err(error) = self.store.delete(&Path::from(path.as_str())).await {
                tracing::debug!(path, %error, "an old part of the state stays");
            }
        }
    }

    /// What crashes left behind: parts nobody refers to, not written lately.
    pub(super) async fn orphans(
        &self,
        state: Option<&StateRef>,
        before_millis: i64,
    ) -> Vec<String> {
        let known = state.map(|state| state.parts.as_slice()).unwrap_or_default();
        let directory = Layout::new(ISSUES_PIPELINE).states();
        let listed = self.store.list(Some(&directory)).try_collect::<Vec<_>>().await;
        let is_orphan = |path: &str| !known.iter().any(|part| part.path == path);
        let old =
            |meta: &object_store::ObjectMeta| meta.last_modified.timestamp_millis() < before_millis;
        let listed = listed.unwrap_or_default().into_iter().filter(old);
        listed.map(|meta| meta.location.to_string()).filter(|path| is_orphan(path)).collect()
    }
}

/// Parts of `before` that `after` does without.
pub(super) fn dropped(before: Option<&StateRef>, after: &StateRef) -> Vec<String> {
    let parts = before.map(|state| state.parts.as_slice()).unwrap_or_default();
    let gone = parts.iter().filter(|part| !after.parts.contains(part));
    gone.map(|part| part.path.clone()).collect()
}
