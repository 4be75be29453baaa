//! What an older, a damaged and a newer snapshot mean.

use std::sync::Arc;

use object_store::memory::InMemory;
use serde_json::json;

use super::*;
use crate::clock::System;
use crate::commit_log::head::tests::claim;
use crate::commit_log::log::{CommitLog, LogError, TEST_BACKOFF};
use crate::commit_log::record::{self, Body};

async fn recover(store: &Arc<dyn ObjectStore>) -> Result<Head, LogError> {
    let (layout, system) = (Layout::new("live"), System::shared());
    let log =
        CommitLog::recover(store.clone(), layout, system.clone(), system, TEST_BACKOFF, |_| true);
    Ok(log.await?.0.head().clone())
}

/// A log of two claims, and its head after each of them.
async fn written(store: &Arc<dyn ObjectStore>) -> [Head; 2] {
    let (layout, system) = (Layout::new("live"), System::shared());
    let log =
        CommitLog::recover(store.clone(), layout, system.clone(), system, TEST_BACKOFF, |_| true);
    let mut log = log.await.expect("opens").0;
    log.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect("claims");
    let first = log.head().clone();
    log.append(|_| Body::Claim(claim("b", 0, 2, 0))).await.expect("claims");
    [first, log.head().clone()]
}

async fn put(store: &Arc<dyn ObjectStore>, seq: u64, json: &Value) {
    let bytes = serde_json::to_vec(json).expect("JSON");
    let bytes = frame::seal(Kind::Snapshot, &bytes).expect("seals");
    store.put(&Layout::new("live").snapshot(seq), bytes.into()).await.expect("put");
}

/// As version 0.1.0 wrote them, before they named who did.
const V0_1_0: &str = include_str!("v0.1.0.json");

#[tokio::test]
async fn a_snapshot_of_version_0_1_0_is_read() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let json: Value = serde_json::from_str(V0_1_0).expect("the kept snapshot");
    put(&store, 17, &json).await;
    let head = newest(store.as_ref(), &Layout::new("live"), |_| true).await.expect("reads");
    let head = head.expect("a snapshot");
    assert_eq!((head.partitions.len(), head.tables.len(), head.kept.len()), (2, 2, 1));
    assert!(head.state.is_some());
}

#[tokio::test]
async fn what_a_newer_version_added_to_a_snapshot_is_refused_with_the_version_that_wrote_it() {
    for place in ["/newer", "/tables/logs/newer", "/partitions/0/1/newer"] {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let [first, head] = written(&store).await;
        save(store.as_ref(), &Layout::new("live"), &first).await.expect("an older one");
        let mut json = serde_json::to_value(&head).expect("JSON");
        json["tidemill"] = json!("7.0.0");
        json["tables"] = json!({"logs": {"id": "i", "last_add_seq": null}});
        let (parent, field) = place.rsplit_once('/').expect("a path");
        json.pointer_mut(parent).expect("there")[field] = json!(1);
        put(&store, head.next_seq, &json).await;
        let error = recover(&store).await.expect_err("refused");
        assert!(matches!(error, LogError::Newer(_)), "{error}");
        for word in ["Tidemill 7.0.0", "newer", THIS, "snap/00000000000000000002"] {
            assert!(error.to_string().contains(word), "{place}: {error}");
        }
        assert!(crate::worker::Error::from(error).needs_decision());
    }
}

#[tokio::test]
async fn a_damaged_snapshot_is_passed_over_for_an_older_one() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let [first, head] = written(&store).await;
    let layout = Layout::new("live");
    save(store.as_ref(), &layout, &first).await.expect("an older one");
    let mut bytes = encode(&head).expect("encodes");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    store.put(&layout.snapshot(2), bytes.into()).await.expect("put");
    let found = newest(store.as_ref(), &layout, |_| true).await.expect("reads");
    assert_eq!(found, Some(first));
    assert_eq!(recover(&store).await.expect("recovers"), head);
}

#[tokio::test]
async fn the_oldest_snapshot_is_the_oldest_that_can_be_read() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let [_, head] = written(&store).await;
    let layout = Layout::new("live");
    assert_eq!(oldest(store.as_ref(), &layout).await.expect("reads"), None);
    for seq in 1..=4 {
        let head = Head { next_seq: seq, ..head.clone() };
        save(store.as_ref(), &layout, &head).await.expect("saves");
    }
    // Both ends are damaged.
    for seq in [1, 4] {
        store.put(&layout.snapshot(seq), "torn".into()).await.expect("put");
    }
    assert_eq!(oldest(store.as_ref(), &layout).await.expect("reads"), Some(2));
}

#[tokio::test]
async fn a_record_of_a_newer_version_asks_for_it_and_a_damaged_one_for_a_backup() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    written(&store).await;
    let key = Layout::new("live").record(1);
    let bytes = store.get(&key).await.expect("there").bytes().await.expect("bytes");
    let record = record::decode(&bytes).expect("decodes");
    let mut json = serde_json::to_value(&record).expect("JSON");
    json["body"]["claim"]["newer"] = json!(1);
    let json = serde_json::to_vec(&json).expect("JSON");
    let newer = frame::seal(Kind::Record, &json).expect("seals");
    store.put(&key, newer.into()).await.expect("put");
    let error = recover(&store).await.expect_err("refused").to_string();
    assert!(
        error.contains("unknown field `newer`") && error.contains("run the version"),
        "{error}"
    );
    assert!(!error.contains("backup"), "{error}");
    store.put(&key, bytes.slice(..bytes.len() - 1).into()).await.expect("put");
    let error = recover(&store).await.expect_err("refused").to_string();
    assert!(error.contains("restore this object from a backup"), "{error}");
}
