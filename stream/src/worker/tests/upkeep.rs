//! A worker that tidies its tables while it reads, and dies at any write.

use super::*;
use crate::table::contents::TableFile;
use crate::upkeep::Settings;

/// Passes all the time; every hour is closed at once.
fn tidy(store: Arc<dyn ObjectStore>) -> Config {
    let upkeep = Settings {
        interval: Duration::from_millis(15),
        compact_after: Duration::ZERO,
        ..Settings::default()
    };
    Config { upkeep, ..config(store) }
}

async fn files(store: &Arc<dyn ObjectStore>, table: Table) -> Vec<TableFile> {
    let system = System::shared();
    let open =
        PublishedTable::open(store.clone(), table, "live", system.clone(), system, TEST_BACKOFF);
    open.await.expect("opens").contents().expect("files")
}

fn compacted(running: &Running) -> u64 {
    running.status().upkeep.tables.get("logs").map_or(0, |table| table.compacted.files_before)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_puts_small_files_together_while_it_reads() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 9);
    let running = start_in(world(), tidy(inner.clone()), Box::new(log.open())).await;
    let running = running.expect("starts");
    let mut lines = 9;
    for _ in 0..8 {
        until("read", || running.status().lag == 0).await;
        produce(&log, 0, 9);
        lines += 9;
    }
    until("compaction", || compacted(&running) > 0).await;
    let written = running.status().units;
    running.drain(DEADLINE).await.expect("drains");
    assert_exactly_once(&inner, &[lines], "after compaction").await;
    let files = files(&inner, Table::Logs).await;
    assert!(files.iter().any(|file| file.path.contains("part-compact-")), "{files:?}");
    assert!((files.len() as u64) < 3 * written, "{} of {written} units", files.len());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_while_tables_are_tidied_loses_and_doubles_nothing() {
    let (mut deaths, mut under_way) = (0, 0);
    for write in (8..360).step_by(16) {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let log = MemoryLog::new();
        log.create_topic(schemas::topic::LOGS, 2);
        let store = Arc::new(FaultStore::new(inner.clone(), vec![Rule::DieAt(write)]));
        if let Ok(running) = start_in(world(), tidy(store.clone()), Box::new(log.open())).await {
            produce_until(&log, "death", || store.dead()).await;
            drop(running);
        }
        deaths += u32::from(store.dead());
        under_way += u32::from(has_compacted_files(&inner).await);
        let running = start_in(world(), tidy(inner.clone()), Box::new(log.open())).await;
        let running = running.expect("starts again");
        produce_until(&log, "compaction", || compacted(&running) > 0).await;
        until("the rest", || running.status().lag == 0).await;
        running.drain(DEADLINE).await.expect("drains");
        let ends = [0, 1].map(|partition| end_of(&log, partition));
        assert_exactly_once(&inner, &ends, &format!("death at write {write}")).await;
    }
    assert!(deaths > 15, "only {deaths} kills");
    assert!(under_way > 5, "only {under_way} deaths of workers that had begun to compact");
    eprintln!(
        "{deaths} kills of a worker that tidies its tables survived, {under_way} after it had begun"
    );
}

async fn produce_until(log: &MemoryLog, what: &str, done: impl Fn() -> bool) {
    let produce = async {
        let mut parts = 0;
        while !done() {
            produce(log, parts % 2, 5);
            parts += 1;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, produce).await.is_ok(), "still waiting: {what}");
}

/// Whether storage holds files of a compaction, recorded or not.
async fn has_compacted_files(store: &Arc<dyn ObjectStore>) -> bool {
    use futures::StreamExt as _;
    let mut listed = store.list(Some(&Path::from(Table::Logs.path())));
    while let Some(meta) = listed.next().await {
        if meta.expect("lists").location.as_ref().contains("part-compact-") {
            return true;
        }
    }
    false
}

fn end_of(log: &MemoryLog, partition: i32) -> i64 {
    let topics = [schemas::topic::LOGS.to_owned()];
    let infos = log.open().partitions(&topics, DEADLINE).expect("partitions");
    infos.iter().find(|info| info.partition.partition == partition).map_or(0, |info| info.high)
}
