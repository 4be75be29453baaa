//! Append and recovery on a store that fails at the worst moments.

use super::super::head::tests::{claim, topic_partition, unit};
use super::super::record::{Commit, FileAdd};
use super::*;
use crate::clock::System;
use crate::fault_store::{FaultStore, Rule};
use crate::fixture::Hands;
use object_store::memory::InMemory;

async fn open(store: Arc<dyn ObjectStore>) -> Result<(CommitLog, Vec<Entry>), LogError> {
    let system = System::shared();
    let layout = Layout::new("live");
    CommitLog::recover(store, layout, system.clone(), system, TEST_BACKOFF, |_| true).await
}

/// The next unit of partition 0 by owner `a`, as the log stands.
fn next_unit(head: &Head) -> Body {
    let part = &head.partitions[&topic_partition(0)];
    let from = part.next_offset;
    let unit = unit("a", 0, part.generation, part.last_seq, from, from + 10);
    Body::Commit(Commit { units: vec![unit] })
}

fn paths(entries: &[Entry]) -> Vec<String> {
    let adds = entries.iter().flat_map(|entry| entry.folded.adds(&entry.record));
    adds.map(|add: &FileAdd| add.path.clone()).collect()
}

/// Claims and commits three units under `rules`, then reads the log on the sound store.
async fn three_units(rules: Vec<Rule>) -> Vec<String> {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let faulty = Arc::new(FaultStore::new(inner.clone(), rules));
    let (mut log, _) = open(faulty).await.expect("opens");
    log.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect("claims");
    for expected in 1..=3 {
        log.append(next_unit).await.expect("commits");
        assert_eq!(log.head().partitions[&topic_partition(0)].next_offset, expected * 10);
    }
    let (again, entries) = open(inner).await.expect("reads back");
    assert_eq!(again.head(), log.head());
    paths(&entries)
}

#[tokio::test]
async fn unclear_answers_at_any_write_neither_lose_nor_double_a_unit() {
    let expected = three_units(Vec::new()).await;
    assert_eq!(expected.len(), 3);
    for write in 0..4 {
        for rule in [
            Rule::FailBefore(write),
            Rule::FailAfter(write),
            Rule::FalseExists(write),
            Rule::Delay(write, write + 1),
        ] {
            assert_eq!(three_units(vec![rule]).await, expected, "{rule:?}");
        }
        let storm = (write..write + 3).map(Rule::FailBefore).collect();
        assert_eq!(three_units(storm).await, expected);
    }
}

#[tokio::test]
async fn a_write_that_lands_after_its_author_died_is_rejected_or_counted_once() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut zombie, _) = open(inner.clone()).await.expect("opens");
    zombie.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect("claims");
    let (mut heir, _) = open(inner.clone()).await.expect("opens");
    heir.append(|_| Body::Claim(claim("b", 0, 2, 0))).await.expect("takes over");
    // The zombie still believes in its claim: it meets the new one and gives up.
    let late = zombie.append(|_| Body::Commit(Commit { units: vec![unit("a", 0, 1, 0, 0, 10)] }));
    assert!(matches!(late.await, Err(LogError::Rejected(Rejection::Generation { .. }))));
    let (log, entries) = open(inner).await.expect("opens");
    assert_eq!(entries.len(), 2);
    assert_eq!(log.head().partitions[&topic_partition(0)].next_offset, 0);
}

#[tokio::test]
async fn two_writers_of_different_partitions_take_turns() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut one, _) = open(inner.clone()).await.expect("opens");
    one.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect("claims");
    let (mut two, _) = open(inner.clone()).await.expect("opens");
    two.append(|_| Body::Claim(claim("b", 1, 1, 0))).await.expect("claims");
    let seen = one.append(next_unit).await.expect("commits after the other");
    assert_eq!(seen.iter().map(|entry| entry.record.seq).collect::<Vec<_>>(), [1, 2]);
    let (_, entries) = open(inner).await.expect("opens");
    assert_eq!(paths(&entries).len(), 1);
}

#[tokio::test]
async fn a_store_that_never_answers_is_an_unsettled_append() {
    let faulty = Arc::new(FaultStore::new(Arc::new(InMemory::new()), vec![Rule::DieAt(0)]));
    let (mut log, _) = open(faulty).await.expect("empty log reads");
    let error = log.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect_err("unsettled");
    assert!(matches!(error, LogError::Unsettled { .. }), "{error}");
}

#[tokio::test]
async fn damage_gaps_and_foreign_objects_are_refused_by_name() {
    for (key, bytes, expected) in [
        ("_sys/live/log/00000000000000000001", Some("x"), "truncated"),
        ("_sys/live/log/00000000000000000001", None, "is missing"),
        ("_sys/live/log/notes.txt", Some("x"), "foreign object"),
    ] {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (mut log, _) = open(inner.clone()).await.expect("opens");
        log.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect("claims");
        for _ in 0..3 {
            log.append(next_unit).await.expect("commits");
        }
        let key = Path::from(key);
        match bytes {
            Some(bytes) => drop(inner.put(&key, bytes.into()).await.expect("put")),
            None => inner.delete(&key).await.expect("deleted"),
        }
        let error = open(inner).await.expect_err("refused").to_string();
        assert!(error.contains(expected) && error.contains(key.as_ref()), "{error}");
    }
}

#[tokio::test]
async fn recovery_starts_from_a_usable_snapshot_and_ends_at_the_same_head() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut log, _) = open(inner.clone()).await.expect("opens");
    log.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect("claims");
    for _ in 0..2 * SNAPSHOT_INTERVAL + 10 {
        log.append(next_unit).await.expect("commits");
    }
    let (newest, entries) = open(inner.clone()).await.expect("opens");
    assert_eq!(newest.head(), log.head());
    assert_eq!(entries.len(), 11);
    let system = System::shared();
    let older = CommitLog::recover(
        inner.clone(),
        Layout::new("live"),
        system.clone(),
        system,
        TEST_BACKOFF,
        |head| head.next_seq <= SNAPSHOT_INTERVAL,
    );
    let (older, entries) = older.await.expect("opens");
    assert_eq!(older.head(), log.head());
    assert_eq!(entries.len() as u64, SNAPSHOT_INTERVAL + 11);
    // Snapshots are only a short cut: without any the head is the same.
    for seq in [SNAPSHOT_INTERVAL, 2 * SNAPSHOT_INTERVAL] {
        let key = Layout::new("live").snapshot(seq);
        inner.put(&key, "damaged".into()).await.expect("put");
    }
    let (slow, _) = open(inner).await.expect("opens");
    assert_eq!(slow.head(), log.head());
}

/// A writer that saw the first record, another that wrote many more, and the first one's clock.
async fn away_for_long(store: &Arc<dyn ObjectStore>) -> (CommitLog, Arc<Hands>) {
    let (mut other, _) = open(store.clone()).await.expect("opens");
    other.append(|_| Body::Claim(claim("a", 0, 1, 0))).await.expect("claims");
    let (clock, system) = (Arc::new(Hands::default()), System::shared());
    let layout = Layout::new("live");
    let away =
        CommitLog::recover(store.clone(), layout, clock.clone(), system, TEST_BACKOFF, |_| true);
    let (away, _) = away.await.expect("opens");
    for _ in 0..=SNAPSHOT_INTERVAL {
        other.append(next_unit).await.expect("commits");
    }
    (away, clock)
}

#[tokio::test]
async fn a_writer_that_was_away_too_long_does_not_open_a_removed_key_again() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut away, clock) = away_for_long(&store).await;
    clock.pass(1_000 * (LOG_STALENESS_SECONDS as i64 + 1));
    let layout = Layout::new("live");
    for seq in 0..50 {
        store.delete(&layout.record(seq)).await.expect("removed");
    }
    let error = away.append(next_unit).await.expect_err("refused");
    assert!(matches!(error, LogError::Stale { .. }), "{error}");
    assert!(store.get(&layout.record(1)).await.is_err(), "the key was opened again");
}

#[tokio::test]
async fn a_writer_that_was_away_reads_what_it_missed_before_it_appends() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (mut away, clock) = away_for_long(&store).await;
    clock.pass(1_000 * (LOG_STALENESS_SECONDS as i64 + 1));
    let entries = away.append(next_unit).await.expect("appends");
    assert_eq!(entries.len() as u64, SNAPSHOT_INTERVAL + 2, "all it missed, then its own");
}
