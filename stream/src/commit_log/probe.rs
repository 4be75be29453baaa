//! Does this store refuse to create a key twice? Everything rests on it, and some stores that
//! call themselves S3-compatible ignore the condition, so it is tried at every start.
//!
//! Others look whether the key is there and then write, two steps between which another writer fits (seen: S3Proxy 3.1
//! on a directory, up to eight of eight creates that came at once): so stores behind a network are raced, too.

use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};

use super::Layout;
use crate::backoff::Backoff;
use crate::clock::Entropy;
use crate::mutant::{Mutant, planted};

/// Attempts at each of the two creates.
const ATTEMPTS: u32 = 5;
/// So often the second create must be refused: one refusal may be a conflict of requests (S3's 409
/// `ConditionalRequestConflict`), which a store that ignores the condition can answer as well.
const REFUSALS: u32 = 3;
/// Creates of one key that are sent at once,
const RACERS: usize = 8;
/// and keys that are raced for. Of the store above seven of eight such races have several winners.
const RACES: usize = 4;

/// Why the store can not be used.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// It creates a key twice.
    #[error(
        "the store ignores conditional creates (If-None-Match): a second create of {0} succeeded; records could be overwritten, so Tidemill does not run on it. Use a store with conditional writes"
    )]
    IgnoresCreate(String),
    /// It creates a key for several who ask at once.
    #[error(
        "the store does not create a key atomically: {winners} of {RACERS} creates of {key} that came at once succeeded; records could be overwritten, so Tidemill does not run on it. Use a store that checks If-None-Match and writes in one step"
    )]
    NotAtomic {
        /// The key.
        key: String,
        /// Creates that succeeded.
        winners: usize,
    },
    /// It does not work at all.
    #[error("the store cannot be written: {0}; check address, credentials and free space")]
    Unusable(String),
}

/// Creates one key twice; the second must fail, each time it is tried, and leave the first.
pub async fn probe(
    store: &dyn ObjectStore,
    layout: &Layout,
    entropy: &dyn Entropy,
    backoff: Backoff,
) -> Result<(), ProbeError> {
    if planted(Mutant::Probe) {
        return Ok(());
    }
    let key = layout.probe(entropy.bits());
    let first = create(store, &key, "first", entropy, backoff).await;
    let verdict = match first {
        Err(error) => Err(error),
        Ok(()) => judge_second(store, &key, entropy, backoff).await,
    };
    if let Err(error) = store.delete(&key).await {
        tracing::debug!(%key, %error, "probe key left behind");
    }
    verdict
}

/// Creates a few keys from several sides at once; of each at most one may succeed. A store that fails meanwhile is not
/// judged: two successes alone are a proof. The keys are raced for side by side: a store may let those who ask for one
/// key wait for each other (seen: SeaweedFS, a second for each), and a start would wait for all.
pub async fn race(
    store: &dyn ObjectStore,
    layout: &Layout,
    entropy: &dyn Entropy,
) -> Result<(), ProbeError> {
    let races = (0..RACES).map(|_| race_for(store, layout.probe(entropy.bits())));
    // All to their ends: each takes its key away.
    futures::future::join_all(races).await.into_iter().collect()
}

async fn race_for(store: &dyn ObjectStore, key: Path) -> Result<(), ProbeError> {
    let creates = (0..RACERS).map(|_| put(store, &key, "raced"));
    let winners = futures::future::join_all(creates).await.iter().flatten().count();
    if let Err(error) = store.delete(&key).await {
        tracing::debug!(%key, %error, "probe key left behind");
    }
    if winners > 1 {
        return Err(ProbeError::NotAtomic { key: key.to_string(), winners });
    }
    Ok(())
}

/// The first create: any answer will do as long as the key reads back.
async fn create(
    store: &dyn ObjectStore,
    key: &Path,
    content: &'static str,
    entropy: &dyn Entropy,
    backoff: Backoff,
) -> Result<(), ProbeError> {
    let mut last = String::new();
    for attempt in 0..ATTEMPTS {
        if let Err(error) = put(store, key, content).await {
            last = error.to_string();
        }
        match read(store, key).await {
            Ok(found) if found == content.as_bytes() => return Ok(()),
            Ok(_) => last = "a key read back with other bytes than written".to_owned(),
            Err(error) if last.is_empty() => last = error.to_string(),
            Err(_) => {}
        }
        backoff.pause(attempt, entropy).await;
    }
    Err(ProbeError::Unusable(last))
}

async fn judge_second(
    store: &dyn ObjectStore,
    key: &Path,
    entropy: &dyn Entropy,
    backoff: Backoff,
) -> Result<(), ProbeError> {
    let (mut last, mut refusals) = (String::new(), 0);
    for attempt in 0..ATTEMPTS + REFUSALS {
        let answer = put(store, key, "second").await;
        match read(store, key).await {
            Ok(found) if *found != *b"first" => {
                return Err(ProbeError::IgnoresCreate(key.to_string()));
            }
            // Unreadable for now: the answer of the create decides.
            Ok(_) | Err(_) => {}
        }
        match answer {
            Ok(_) => return Err(ProbeError::IgnoresCreate(key.to_string())),
            Err(StoreError::AlreadyExists { .. } | StoreError::Precondition { .. }) => {
                refusals += 1;
                if refusals == REFUSALS {
                    return Ok(());
                }
                continue;
            }
            Err(error @ (StoreError::NotSupported { .. } | StoreError::NotImplemented { .. })) => {
                return Err(ProbeError::Unusable(error.to_string()));
            }
            Err(error) => last = error.to_string(),
        }
        backoff.pause(attempt, entropy).await;
    }
    Err(ProbeError::Unusable(last))
}

async fn put(store: &dyn ObjectStore, key: &Path, content: &'static str) -> Result<(), StoreError> {
    let options = PutOptions { mode: PutMode::Create, ..Default::default() };
    store.put_opts(key, content.into(), options).await.map(|_| ())
}

async fn read(store: &dyn ObjectStore, key: &Path) -> Result<bytes::Bytes, StoreError> {
    store.get(key).await?.bytes().await
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::log::TEST_BACKOFF;
    use super::*;
    use crate::fault_store::{FaultStore, Rule};
    use object_store::memory::InMemory;

    async fn run(rules: Vec<Rule>) -> Result<(), ProbeError> {
        let store = FaultStore::new(Arc::new(InMemory::new()), rules);
        let entropy = crate::clock::System::shared();
        probe(&store, &Layout::new("live"), entropy.as_ref(), TEST_BACKOFF).await
    }

    #[tokio::test]
    async fn a_store_that_creates_once_is_taken() {
        run(Vec::new()).await.expect("taken");
        run(vec![Rule::FailBefore(0), Rule::FailAfter(1)]).await.expect("taken after faults");
    }

    #[tokio::test]
    async fn a_store_that_ignores_create_is_refused() {
        for lie in [vec![], vec![Rule::FalseExists(1)], vec![Rule::FalseExists(2)]] {
            let rules = lie.into_iter().chain([Rule::IgnoreCreate]).collect();
            let error = run(rules).await.expect_err("refused");
            assert!(matches!(error, ProbeError::IgnoresCreate(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn a_store_that_creates_a_key_for_several_at_once_is_refused() {
        let entropy = crate::clock::System::shared();
        for (rules, is_atomic) in [(vec![], true), (vec![Rule::IgnoreCreate], false)] {
            let store = FaultStore::new(Arc::new(InMemory::new()), rules);
            let raced = race(&store, &Layout::new("live"), entropy.as_ref()).await;
            assert_eq!(raced.is_ok(), is_atomic, "{raced:?}");
            if let Err(error) = raced {
                assert!(error.to_string().contains("8 of 8 creates"), "{error}");
            }
        }
        // Failures are no successes.
        let dead = FaultStore::new(Arc::new(InMemory::new()), vec![Rule::DieAt(3)]);
        race(&dead, &Layout::new("live"), entropy.as_ref()).await.expect("not judged");
    }

    #[tokio::test]
    async fn all_keys_are_raced_for_at_once() {
        let store = FaultStore::new(Arc::new(InMemory::new()), Vec::new());
        let (layout, entropy) = (Layout::new("live"), crate::clock::System::shared());
        store.pause();
        let all_there = async {
            while store.held_back() < (RACES * RACERS) as u64 {
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            }
            store.resume();
        };
        let both = futures::future::join(race(&store, &layout, entropy.as_ref()), all_there);
        let deadline = std::time::Duration::from_secs(30);
        let (raced, ()) =
            tokio::time::timeout(deadline, both).await.expect("one key waits for another");
        raced.expect("one winner each");
    }

    #[tokio::test]
    async fn a_dead_store_is_refused_with_its_reason() {
        let error = run(vec![Rule::DieAt(0)]).await.expect_err("refused");
        assert!(error.to_string().contains("cannot be written"), "{error}");
    }
}
