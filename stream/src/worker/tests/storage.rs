//! The whole worker on a local store whose power goes at any step, and whose disk is full for a while.

use futures::TryStreamExt as _;

use super::*;
use crate::fsck::fsck;
use crate::simulation::chance::Chance;
use crate::store::power;
use crate::upkeep::Settings;

/// Power cuts of an ordinary run.
const CUTS: usize = 24;

fn tidy(store: Arc<dyn ObjectStore>) -> Config {
    let upkeep = Settings {
        interval: Duration::from_millis(15),
        compact_after: Duration::ZERO,
        ..Settings::default()
    };
    Config { upkeep, ..config(store) }
}

fn number(name: &str) -> Option<usize> {
    std::env::var(name).ok()?.parse().ok()
}

/// A worker that reads, commits, publishes and tidies; then it is gone, as the power is.
async fn life(store: &Arc<dyn ObjectStore>, log: &MemoryLog) {
    let running = start_in(world(), tidy(store.clone()), Box::new(log.open())).await;
    let running = running.expect("starts");
    let compacted =
        || running.status().upkeep.tables.get("logs").map_or(0, |t| t.compacted.files_before);
    for round in 0..9 {
        // A unit each: the lag is still that of before.
        let units = running.status().units;
        produce(log, round % 3, 5);
        until("read", || running.status().units > units && running.status().lag == 0).await;
    }
    until("files put together", || compacted() >= 2).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_power_cut_at_any_step_loses_and_doubles_nothing() {
    let (directory, log) = (tempfile::tempdir().expect("temporary directory"), MemoryLog::new());
    log.create_topic(schemas::topic::LOGS, 3);
    let (store, journal) = power::open(directory.path());
    life(&store, &log).await;
    let (steps, cuts) = (journal.steps(), number("TIDEMILL_CUTS").unwrap_or(CUTS));
    let topics = [schemas::topic::LOGS.to_owned()];
    let infos = log.open().partitions(&topics, DEADLINE).expect("partitions");
    let ends: Vec<i64> = infos.iter().map(|info| info.high).collect();
    let mut all = power::Lost::default();
    for cut in 0..cuts {
        let context = format!("power cut {cut} of {cuts}");
        let at = steps * (cut + 1) / cuts;
        let after = tempfile::tempdir().expect("temporary directory");
        let lost = journal.cut(directory.path(), at, after.path(), &mut Chance::new(cut as u64));
        (all.names, all.bytes) = (all.names + lost.names, all.bytes + lost.bytes);
        let url = after.path().to_str().expect("utf-8").to_owned();
        let store = crate::store::open(&crate::store::Config { url, options: BTreeMap::new() });
        let store = store.expect("opens");
        run_to_the_end(store.clone(), &log, &context).await;
        assert_exactly_once(&store, &ends, &context).await;
        let report = fsck(&store, "live", 0).await.expect("checks");
        assert_eq!(report.problems.kept, [], "{context}");
    }
    assert!(all.names > 0, "no cut took anything: {all:?}");
    println!(
        "{cuts} power cuts at {steps} steps, nothing committed lost or doubled; lost without harm: {all:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_holds_the_worker_up_and_costs_nothing() {
    let (directory, log) = (tempfile::tempdir().expect("temporary directory"), MemoryLog::new());
    let (store, journal) = power::open(directory.path());
    produce(&log, 0, 9);
    let running = start_in(world(), config(store.clone()), Box::new(log.open())).await;
    let running = running.expect("starts");
    until("first unit", || running.status().lag == 0).await;
    for room in [0, 900, 3_000] {
        let refused = journal.refused();
        journal.limit(Some(room));
        produce(&log, 0, 9);
        // More than the attempts of one append: however long it takes, the worker waits.
        until("a full disk", || journal.refused() > refused + 30).await;
        journal.limit(None);
        until("the rest", || running.status().lag == 0).await;
    }
    running.drain(DEADLINE).await.expect("drains");
    assert_exactly_once(&store, &[36], "full disk").await;
    println!("{} writes met a full disk", journal.refused());
}

/// Takes everything below a prefix away.
async fn take_away(store: &Arc<dyn ObjectStore>, prefix: &str) -> Vec<(Path, bytes::Bytes)> {
    let listed = store.list(Some(&Path::from(prefix))).map_ok(|meta| meta.location);
    let keys: Vec<Path> = listed.try_collect().await.expect("lists");
    let mut taken = Vec::new();
    for key in keys {
        let bytes = store.get(&key).await.expect("there").bytes().await.expect("bytes");
        store.delete(&key).await.expect("deleted");
        taken.push((key, bytes));
    }
    taken
}

async fn put_back(store: &Arc<dyn ObjectStore>, taken: Vec<(Path, bytes::Bytes)>) {
    for (key, bytes) in taken {
        store.put(&key, bytes.into()).await.expect("put back");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_table_is_a_named_decision_and_nothing_is_put_in_its_place() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 9);
    run_to_the_end(inner.clone(), &log, "first run").await;
    for table in [Table::Logs, Table::Ledger, Table::DeadLetters] {
        let taken = take_away(&inner, &table.path()).await;
        produce(&log, 0, 5);
        for _ in 0..2 {
            let refused = start_in(world(), config(inner.clone()), Box::new(log.open())).await;
            let error = refused.expect_err("refused");
            assert!(error.needs_decision(), "{error}");
            let named = format!("table {}: {}/_delta_log is gone", table.name(), table.path());
            assert!(error.to_string().contains(&named), "{error}");
        }
        let left = take_away(&inner, &table.path()).await;
        assert!(left.is_empty(), "{left:?}");
        put_back(&inner, taken).await;
        run_to_the_end(inner.clone(), &log, table.name()).await;
    }
    assert_exactly_once(&inner, &[log_end(&log)], "put back").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_table_dropped_under_a_running_worker_halts_it_and_is_not_begun_anew() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 9);
    let mut running =
        start_in(world(), config(inner.clone()), Box::new(log.open())).await.expect("starts");
    let published = || {
        let status = running.status();
        let logs = status.published_seq.get("logs").copied().flatten();
        status.lag == 0 && logs.is_some() && logs == status.committed_seq
    };
    until("published", published).await;
    let taken = take_away(&inner, "tables/logs").await;
    produce(&log, 0, 5);
    let error = tokio::time::timeout(DEADLINE, running.failed()).await.expect("halts");
    assert!(error.needs_decision() && error.text().contains("table logs"), "{error}");
    drop(running);
    let log_files = take_away(&inner, "tables/logs/_delta_log").await;
    assert!(log_files.is_empty(), "{log_files:?}");
    put_back(&inner, taken).await;
    run_to_the_end(inner.clone(), &log, "put back").await;
    assert_exactly_once(&inner, &[14], "put back").await;
}
