//! Daily limits of indexes, through the whole worker.

use stages::pipeline::config::{Config as Pipelines, DailyLimitReset};

use super::*;

fn limited(events: u64) -> Arc<Pipeline> {
    let mut pipelines = Pipelines::default();
    let main = &mut pipelines.indexes[0];
    main.daily_limit = Some(events);
    let reset =
        DailyLimitReset { reset_time: "00:00".to_owned(), reset_utc_offset: "+00:00".to_owned() };
    main.daily_limit_reset = Some(reset);
    Arc::new(Pipeline::compile(&pipelines).expect("compiles"))
}

/// Runs until all is committed; the status at the end.
async fn live(store: &Arc<dyn ObjectStore>, log: &MemoryLog, limit: u64) -> Status {
    let config = Config { pipeline: limited(limit), threads: 1, ..super::config(store.clone()) };
    let running = start_in(world(), config, Box::new(log.open())).await.expect("starts");
    until("all of it", || running.status().lag == 0).await;
    let status = running.status();
    running.drain(DEADLINE).await.expect("drains");
    status
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_daily_limit_holds_over_partitions_and_restarts_and_the_books_balance() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    // Each partition: six lines and a tombstone.
    produce(&log, 0, 7);
    let status = live(&store, &log, 10).await;
    assert_eq!((status.quotas[0].kept, status.quotas[0].limit), (6, 10));
    produce(&log, 1, 7);
    produce(&log, 2, 7);
    let status = live(&store, &log, 10).await;
    assert_eq!(status.quotas[0].kept, 10);
    assert_eq!(messages(&store, Table::Logs).await.len(), 10);
    let balance = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!((balance.received, balance.indexed, balance.excluded), (21, 10, 8));
    assert_eq!(balance.dead_letters, 3);
}
