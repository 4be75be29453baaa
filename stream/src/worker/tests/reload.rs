//! Another pipeline while records come: every row says truly which one made it, and each one's text is kept.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;
use stages::pipeline::read;

use super::*;
use crate::fault_store::{FaultStore, Rule};
use crate::versions;

/// A pipeline that names the metric it counts every log by.
fn counting(name: &str) -> Arc<Pipeline> {
    let text = format!("metrics: [{{name: {name}, compute: {{aggregation_type: count}}}}]");
    Arc::new(Pipeline::compile(&read::read(&[&text]).config).expect("compiles"))
}

/// Text of a column in each row.
fn texts(batches: &[HourBatch], column: &str) -> Vec<String> {
    let mut all = Vec::new();
    for batch in batches {
        let column = batch.rows.column_by_name(column).expect("a column");
        let column = arrow::compute::cast(column, &DataType::Utf8).expect("text");
        let column = column.as_string::<i32>();
        all.extend((0..batch.rows.num_rows()).map(|row| column.value(row).to_owned()));
    }
    all
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_pipeline_takes_over_at_a_unit_and_both_texts_are_kept() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    let (old, new) = (counting("old"), counting("new"));
    let config = Config { pipeline: old.clone(), ..config(store.clone()) };
    for partition in 0..3 {
        produce(&log, partition, 7);
    }
    let running = start_in(world(), config, Box::new(log.open())).await.expect("starts");
    for round in 0..20 {
        for partition in 0..3 {
            produce(&log, partition, 7);
        }
        if round == 10 {
            running.reloader().reload(new.clone()).await.expect("takes over");
        }
    }
    until("all read", || running.status().lag == 0).await;
    // What came after the reload is the new one's, however fast the rest was.
    produce(&log, 0, 7);
    let version = new.version().to_owned();
    until("a unit of the new one", || {
        let status = running.status();
        status.lag == 0 && status.pipeline_version.as_ref() == Some(&version)
    })
    .await;
    running.drain(DEADLINE).await.expect("drains");

    assert_exactly_once(&store, &[154, 147, 147], "reloaded").await;
    // Each metric counts exactly the logs whose rows carry its version.
    let rows = read(&store, Table::Logs).await;
    let mut logs: BTreeMap<String, i64> = BTreeMap::new();
    for version in texts(&rows, table::LINEAGE_PIPELINE_VERSION) {
        *logs.entry(version).or_default() += 1;
    }
    let points = read(&store, Table::Metrics).await;
    let mut counted: BTreeMap<String, i64> = BTreeMap::new();
    for batch in &points {
        let names = texts(std::slice::from_ref(batch), schemas::metric::NAME);
        let versions = texts(std::slice::from_ref(batch), table::LINEAGE_PIPELINE_VERSION);
        let counts = batch.rows.column_by_name(schemas::metric::COUNT).expect("count").clone();
        for (row, (name, version)) in names.iter().zip(versions).enumerate() {
            let own = if name == "old" { old.version() } else { new.version() };
            assert_eq!(version, own, "{name}");
            *counted.entry(version).or_default() += counts.as_primitive::<Int64Type>().value(row);
        }
    }
    assert_eq!(counted, logs);
    assert_eq!(logs.len(), 2, "both made rows");

    let kept = versions::list(&store).await.expect("lists");
    let names: Vec<&str> = kept.iter().map(|version| version.version.as_str()).collect();
    assert_eq!(names, [old.version(), new.version()]);
    assert!(kept[0].last_seq < kept[1].first_seq, "{kept:?}");
    for pipeline in [&old, &new] {
        let config = versions::load(&store, pipeline.version()).await.expect("loads");
        let again = Pipeline::compile(&config).expect("compiles");
        assert_eq!(again.version(), pipeline.version());
    }
    let unknown = versions::load(&store, "0123").await.expect_err("nobody kept it");
    assert!(unknown.to_string().contains("no pipeline version 0123"), "{unknown}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_that_can_not_be_kept_changes_nothing() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 7);
    // Dies long after the start: somewhere in the reload or the units around it.
    let store = Arc::new(FaultStore::new(inner.clone(), vec![Rule::DieAt(60)]));
    let config = Config { pipeline: counting("old"), ..config(store.clone()) };
    let running = start_in(world(), config, Box::new(log.open())).await.expect("starts");
    let mut number = 0;
    while !store.dead() {
        produce(&log, 0, 3);
        let reload = running.reloader();
        let done = reload.reload(counting(&format!("new{number}")));
        drop(tokio::time::timeout(Duration::from_millis(500), done).await);
        number += 1;
    }
    drop(running);
    run_to_the_end(inner.clone(), &log, "after the death").await;
    assert_exactly_once(&inner, &[log_end(&log)], "after the death").await;
    // Whatever made a row is known.
    let versions = texts(&read(&inner, Table::Logs).await, table::LINEAGE_PIPELINE_VERSION);
    for version in versions.into_iter().collect::<BTreeSet<_>>() {
        versions::load(&inner, &version).await.expect("kept");
    }
}
