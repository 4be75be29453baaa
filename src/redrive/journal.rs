//! What a run is about to send, in the store before anything is sent: a run that is killed is finished from
//! it. One key, created and never overwritten: one run at a time.

use std::sync::Arc;

use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use schemas::publish::LIVE_PIPELINE;

use super::letter::{Key, Letter};

/// Why the journal can not be used.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The store.
    #[error("the journal of the redrive: {0}")]
    Store(#[from] StoreError),
    /// Its content.
    #[error("the journal of the redrive can not be read: {0}; was it written by a newer Tidemill?")]
    Content(#[from] serde_json::Error),
}

/// One run.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Journal {
    /// Names it.
    pub id: String,
    /// What it sends.
    pub letters: Vec<Key>,
    /// Where the topics ended before: topic, partition, offset.
    pub ends: Vec<(String, i32, i64)>,
    /// Where the commit log ended before.
    pub log_end: u64,
}

fn key() -> Path {
    Path::from(format!("_sys/{LIVE_PIPELINE}/redrive/current"))
}

impl Journal {
    /// The run that is not finished, if there is one.
    pub(super) async fn load(store: &Arc<dyn ObjectStore>) -> Result<Option<Self>, JournalError> {
        match store.get(&key()).await {
            Ok(found) => Ok(Some(serde_json::from_slice(&found.bytes().await?)?)),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Begins a run; fails if another began one meanwhile.
    pub(super) async fn begin(
        store: &Arc<dyn ObjectStore>,
        letters: &[Letter],
        ends: Vec<(String, i32, i64)>,
        log_end: u64,
    ) -> Result<Self, JournalError> {
        let id = uuid::Uuid::new_v4().simple().to_string();
        let letters = letters.iter().map(Letter::key).collect();
        let journal = Self { id, letters, ends, log_end };
        let options = PutOptions { mode: PutMode::Create, ..Default::default() };
        store.put_opts(&key(), serde_json::to_vec(&journal)?.into(), options).await?;
        Ok(journal)
    }

    /// The run is recorded and to be seen.
    pub(super) async fn end(&self, store: &Arc<dyn ObjectStore>) -> Result<(), JournalError> {
        Ok(store.delete(&key()).await?)
    }
}
