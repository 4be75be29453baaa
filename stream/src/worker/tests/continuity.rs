//! Topics that are not the ones that were read: found at a claim and while they are read, by a message of each.

use super::*;
use crate::commit_log::Layout;
use crate::commit_log::log::CommitLog;
use crate::commit_log::record::Anchor;
use crate::source::memory::MemoryGroup;

const LINES: i64 = 20;

fn lines(from: i64, to: i64, at: i64) -> Vec<Record> {
    let record = |line: i64| Record {
        timestamp: EventTime::from_nanos(at + line * 1_000_000),
        payload: format!("line {line}").into_bytes(),
        ..Record::default()
    };
    (from..to).map(record).collect()
}

/// A store that has all of a topic's messages, with nobody at work on it.
async fn read_once(log: &MemoryLog) -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    log.append(&fixture::partition(0), lines(0, LINES, NOON));
    let running =
        start_in(world(), config(store.clone()), Box::new(log.open())).await.expect("starts");
    until("all is committed", || committed(&running) == LINES).await;
    running.drain(DEADLINE).await.expect("stops");
    store
}

/// What the log has of partition 0.
async fn anchor(store: &Arc<dyn ObjectStore>) -> Option<Anchor> {
    let (system, layout) = (System::shared(), Layout::new("live"));
    let (store, clock) = (store.clone(), system.clone());
    let log = CommitLog::recover(store, layout, clock, system, TEST_BACKOFF, |_| true).await;
    log.expect("recovers").0.head().partitions[&fixture::partition(0)].anchor
}

fn committed(running: &Running) -> i64 {
    let status = running.status();
    status.partitions.iter().map(|partition| partition.next_offset).sum()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_and_grew_past_what_was_read_is_refused() {
    let log = MemoryLog::new();
    let store = read_once(&log).await;
    log.make_anew(&fixture::partition(0));
    log.append(&fixture::partition(0), lines(0, LINES - 1, NOON + HOUR));
    let error = start_in(world(), config(store.clone()), Box::new(log.open()))
        .await
        .expect_err("shorter than before");
    assert!(error.needs_decision(), "{error}");
    assert!(error.text().contains("the broker ends at 19"), "{error}");
    log.append(&fixture::partition(0), lines(0, 2 * LINES, NOON + HOUR));
    let error = start_in(world(), config(store.clone()), Box::new(log.open()))
        .await
        .expect_err("another topic");
    assert!(error.needs_decision(), "{error}");
    let told = "logs-0: the message at offset 19 is not the one that was read: that was of \
                2024-04-27T12:00:00.019Z, this is of 2024-04-27T13:00:00.000Z";
    assert!(error.text().contains(told), "{error}");
    assert_eq!(messages(&store, Table::Logs).await.len(), LINES as usize, "nothing is read on");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_lost_its_end_and_grew_again_is_refused_to_a_member_of_a_group() {
    let log = MemoryLog::new();
    let store = read_once(&log).await;
    log.make_anew(&fixture::partition(0));
    log.append(&fixture::partition(0), lines(0, LINES - 5, NOON));
    log.append(&fixture::partition(0), lines(0, LINES, NOON + HOUR));
    let group = MemoryGroup::new();
    let mut running = start_in(world(), config(store), Box::new(log.open_in(&group)))
        .await
        .expect("nothing is claimed yet");
    group.give(&fixture::partition(0), 0);
    let error = running.failed().await;
    assert!(error.needs_decision(), "{error}");
    assert!(error.text().contains("the message at offset 19 is not the one"), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_topic_is_read_on_also_where_retention_took_the_last_message() {
    let log = MemoryLog::new();
    let store = read_once(&log).await;
    for round in 1..3 {
        log.append(&fixture::partition(0), lines(0, LINES, NOON - round * HOUR));
        if round == 2 {
            log.truncate(&fixture::partition(0), 2 * LINES);
        }
        let running =
            start_in(world(), config(store.clone()), Box::new(log.open())).await.expect("starts");
        until("all is committed", || committed(&running) == (round + 1) * LINES).await;
        running.drain(DEADLINE).await.expect("stops");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_is_made_anew_under_a_worker_is_refused_then_and_at_every_start() {
    let log = MemoryLog::new();
    let store = read_once(&log).await;
    let mut running =
        start_in(world(), config(store.clone()), Box::new(log.open())).await.expect("starts");
    log.make_anew(&fixture::partition(0));
    log.append(&fixture::partition(0), lines(0, 2 * LINES, NOON + HOUR));
    let error = tokio::time::timeout(DEADLINE, running.failed()).await.expect("is noticed");
    assert!(error.needs_decision(), "{error}");
    assert!(error.text().contains("is not the one that was read"), "{error}");
    drop(running);
    // Whatever was read of the other topic meanwhile, the log does not name a message of it.
    let known = anchor(&store).await.expect("an anchor");
    assert!(known.timestamp_ns < NOON + HOUR, "{known:?}");
    let error = start_in(world(), config(store.clone()), Box::new(log.open())).await;
    assert!(error.expect_err("the other topic").needs_decision());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_anchor_moves_to_what_was_read_before_a_look() {
    let log = MemoryLog::new();
    let store = read_once(&log).await;
    let running =
        start_in(world(), config(store.clone()), Box::new(log.open())).await.expect("starts");
    let (mut count, mut moved) = (LINES, false);
    let first = anchor(&store).await.expect("an anchor");
    while !moved {
        log.append(&fixture::partition(0), lines(0, LINES, NOON));
        count += LINES;
        until("all is committed", || committed(&running) == count).await;
        moved = anchor(&store).await.expect("an anchor").offset >= LINES;
        assert!(count < 10_000, "it stays at {first:?}");
    }
    running.drain(DEADLINE).await.expect("stops");
}
