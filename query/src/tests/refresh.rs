//! A new commit is seen within a second, and a running query keeps the version it began with.

use std::time::{Duration, Instant};

use schemas::table::Table;
use serde_json::json;

use super::{engine, show};
use crate::engine::Limits;
use crate::testing::{TestStore, append, shop};

fn row(minute: u32) -> serde_json::Value {
    json!({"timestamp": format!("2026-03-02T00:{minute:02}:00Z"), "service": "late"})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_visible_within_a_second() {
    let store = TestStore::new();
    let engine = engine(&store);
    assert!(show(&engine, "SELECT count(*) AS n FROM logs").await.unwrap().contains("| 0 |"));
    for seen in 1..=3 {
        append(&store, Table::Logs, &[row(seen)], i64::from(seen)).await;
        let committed = Instant::now();
        loop {
            let answer = show(&engine, "SELECT count(*) AS n FROM logs").await.unwrap();
            if answer.contains(&format!("| {seen} |")) {
                break;
            }
            assert!(committed.elapsed() < Duration::from_secs(1), "{answer}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_says_what_it_covers() {
    let engine = engine(&shop().await);
    let answer =
        engine.query("SELECT 1 FROM logs, metrics LIMIT 1", Limits::default()).await.unwrap();
    let [logs, metrics] = answer.coverage() else { panic!("{:?}", answer.coverage()) };
    assert_eq!((logs.table, logs.version, logs.published_seq), (Table::Logs, Some(3), Some(10)));
    assert_eq!(logs.newest_event_time, Some(1_772_362_200_000_000));
    assert_eq!((metrics.table, metrics.published_seq), (Table::Metrics, Some(3)));
    let none = engine.query("SELECT * FROM ledger", Limits::default()).await.unwrap();
    assert_eq!(
        none.coverage().first().map(|ledger| (ledger.version, ledger.newest_event_time)),
        Some((None, None))
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn an_engine_that_is_dropped_lets_go_of_its_store_and_tables() {
    let store = shop().await;
    let held = std::sync::Arc::strong_count(&store);
    let engine = engine(&store);
    show(&engine, "SELECT count(*) AS n FROM logs").await.unwrap();
    show(&engine, "SELECT count(*) AS n FROM pg_catalog.pg_class").await.unwrap();
    drop(engine);
    // Its threads end in the background.
    let dropped = Instant::now();
    while std::sync::Arc::strong_count(&store) > held {
        assert!(dropped.elapsed() < Duration::from_secs(10), "something keeps it");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}
