//! Tables that have gained columns: rows written before have nulls there, in every way of asking.

use schemas::table::Table;
use serde_json::json;

use super::{engine, show};
use crate::testing::{TestStore, append, append_without, gain_columns};

#[tokio::test(flavor = "multi_thread")]
async fn rows_older_than_a_column_have_nulls_there() {
    let store = TestStore::new();
    let old = json!({"timestamp": "2026-03-02T00:01:00Z", "service": "old"});
    append_without(&store, Table::Logs, &[old], 1, &["issue_id", "tags"]).await;
    gain_columns(&store, Table::Logs, 2).await;
    let new = json!({"timestamp": "2026-03-02T00:02:00Z", "service": "new", "issue_id": "i", "tags": ["a:b"]});
    append(&store, Table::Logs, &[new], 3).await;
    let engine = engine(&store);
    let ask = |sql: &'static str| {
        let engine = &engine;
        async move { show(engine, sql).await.unwrap() }
    };
    let all = ask("SELECT service, issue_id, tags FROM logs ORDER BY service").await;
    assert!(all.contains("| new     | i        | [a:b] |"), "{all}");
    assert!(all.contains("| old     |          |       |"), "{all}");
    let null = ask("SELECT service FROM logs WHERE issue_id IS NULL").await;
    assert!(null.contains("old") && !null.contains("new"), "{null}");
    let some = ask(
        "SELECT service FROM logs WHERE issue_id = 'i' AND timestamp >= '2026-03-02T00:00:00Z'",
    )
    .await;
    assert!(some.contains("new") && !some.contains("old"), "{some}");
    let count = ask("SELECT count(*) AS n, count(issue_id) AS i FROM logs").await;
    assert!(count.contains("| 2 | 1 |"), "{count}");
}
