//! A filter on event time reads the files of its hours and no others.

use super::{engine, show};
use schemas::table::Table;
use serde_json::json;

use crate::testing::{TestStore, append, shop};

/// Hours whose `logs` files a statement reads.
async fn hours(sql: &str) -> Vec<String> {
    let store = shop().await;
    let engine = engine(&store);
    show(&engine, "SELECT 1").await.unwrap();
    store.taken();
    show(&engine, sql).await.unwrap();
    let (files, _) = store.taken();
    let mut hours: Vec<String> = files
        .iter()
        .filter_map(|file| file.split("hour=").nth(1)?.split('/').next().map(str::to_owned))
        .collect();
    hours.dedup();
    hours
}

#[tokio::test(flavor = "multi_thread")]
async fn bounds_on_timestamp_read_only_their_hours() {
    for (filter, expected) in [
        ("timestamp >= '2026-03-01T09:00:00Z' AND timestamp < '2026-03-01T09:30:00Z'", vec!["9"]),
        ("timestamp BETWEEN '2026-03-01T08:00:00Z' AND '2026-03-01T08:59:59Z'", vec!["8"]),
        ("timestamp > timestamp '2026-03-01T09:55:00Z'", vec!["10"]),
        ("date = '2026-03-01' AND hour = 8", vec!["8"]),
        ("timestamp > '2026-03-01T10:00:00Z'::timestamptz - interval '5 minutes'", vec!["10"]),
        ("timestamp >= now() - interval '5 minutes'", vec![]),
        ("timestamp < '2026-03-01T08:00:01Z' OR timestamp > '2026-03-01T10:59:00Z'", vec![]),
    ] {
        let read = hours(&format!("SELECT message FROM logs WHERE {filter}")).await;
        if filter.contains(" OR ") {
            assert!(!read.iter().any(|hour| hour == "9"), "{filter}: {read:?}");
        } else {
            assert_eq!(read, expected, "{filter}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_exact_last_microsecond_of_a_file_is_found() {
    let engine = engine(&shop().await);
    for filter in ["=", ">="] {
        let sql = format!(
            "SELECT count(*) AS n FROM logs WHERE timestamp {filter} '2026-03-01T08:50:00.000005Z' \
             AND timestamp <= '2026-03-01T08:50:00.000005Z'"
        );
        assert!(show(&engine, &sql).await.unwrap().contains("| 1 |"), "{filter}");
    }
}

/// Files that a search reads, by the service whose rows they hold.
async fn services(query: &str) -> Vec<String> {
    let store = TestStore::new();
    for (seq, service) in (1..).zip(["cart", "checkout", "web"]) {
        let row = json!({
            "timestamp": format!("2026-03-01T{:02}:00:00Z", seq), "service": service,
            "status": "info", "message": "hello",
        });
        append(&store, Table::Logs, &[row], seq).await;
    }
    let engine = engine(&store);
    show(&engine, "SELECT 1").await.unwrap();
    store.taken();
    show(&engine, &format!("SELECT message FROM logs WHERE search('{query}')")).await.unwrap();
    let (files, _) = store.taken();
    let hours = files.iter().filter_map(|file| file.split("hour=").nth(1)?.split('/').next());
    hours
        .map(|hour| ["", "cart", "checkout", "web"][hour.parse::<usize>().unwrap()].to_owned())
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_search_reads_only_files_whose_statistics_allow_it() {
    for (query, expected) in [
        ("service:cart hello", vec!["cart"]),
        ("service:(cart OR web)", vec!["cart", "web"]),
        // A wildcard says nothing of a range here.
        ("service:check*", vec!["cart", "checkout", "web"]),
        ("service:[d TO z]", vec!["web"]),
        ("service:cart -hello", vec!["cart"]),
        ("status:error", vec![]),
        ("hello", vec!["cart", "checkout", "web"]),
        ("service:cart OR hello", vec!["cart", "checkout", "web"]),
        ("-service:cart", vec!["cart", "checkout", "web"]),
    ] {
        assert_eq!(services(query).await, expected, "{query}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_count_of_everything_reads_no_file() {
    assert!(hours("SELECT count(*) FROM logs").await.is_empty());
}
