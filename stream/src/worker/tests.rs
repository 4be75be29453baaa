//! The whole worker on stores that die at every write: every record exactly once, whatever
//! happened before.

mod clocks;
mod continuity;
mod older_store;
mod quota;
mod reload;
mod sharing;
mod storage;
mod upkeep;

use std::collections::BTreeMap;

use arrow::array::AsArray as _;
use arrow::datatypes::{Int32Type, Int64Type};
use object_store::ObjectStoreExt as _;
use object_store::memory::InMemory;
use object_store::path::Path;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::table::{self, Table};
use schemas::time::EventTime;
use schemas::topic::Format;

use super::*;
use crate::commit_log::log::TEST_BACKOFF;
use crate::fault_store::{FaultStore, Rule};
use crate::fixture;
use crate::source::memory::MemoryLog;
use crate::table::delta::PublishedTable;
use crate::unit::HourBatch;
use stages::record::Record;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);
/// 2024-04-27 12:00.
const NOON: i64 = 1_714_219_200_000_000_000;
const HOUR: i64 = 3_600_000_000_000;

fn world() -> World {
    let millis = Duration::from_millis;
    World {
        backoff: TEST_BACKOFF,
        refresh: millis(30),
        lease: millis(300),
        reclaim: millis(50),
        ..World::real()
    }
}

fn config(store: Arc<dyn ObjectStore>) -> Config {
    Config {
        brokers: String::new(),
        properties: Vec::new(),
        topics: vec![Topic {
            name: schemas::topic::LOGS.to_owned(),
            signal: Signal::Logs,
            input: Format::Raw.into(),
        }],
        store,
        store_name: "test store".to_owned(),
        store_is_remote: false,
        pipeline: fixture::pipeline(),
        epoch: Duration::from_millis(10),
        threads: 2,
        sharing: None,
        upkeep: crate::upkeep::Settings::default(),
        keep_raw: crate::lane::KeepRaw::Nothing,
        notes: None,
    }
}

/// Appends lines received in three different hours, and a tombstone.
fn produce(log: &MemoryLog, partition: i32, lines: i64) {
    let record = |line: i64| Record {
        timestamp: EventTime::from_nanos(NOON + (line % 3) * HOUR),
        payload: if line == 1 { Vec::new() } else { format!("line {line}").into_bytes() },
        ..Record::default()
    };
    log.append(&fixture::partition(partition), (0..lines).map(record).collect());
}

/// Waits for a condition.
async fn until(what: &str, mut done: impl FnMut() -> bool) {
    let wait = async {
        while !done() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, wait).await.is_ok(), "still waiting: {what}");
}

/// The rows of a table as any reader finds them: the files of its current Delta version.
async fn read(store: &Arc<dyn ObjectStore>, table: Table) -> Vec<HourBatch> {
    let system = System::shared();
    let published =
        PublishedTable::open(store.clone(), table, "live", system.clone(), system, TEST_BACKOFF);
    let files = published.await.expect("opens").files().expect("files");
    let mut rows = Vec::new();
    for file in files {
        let key = Path::from(format!("{}/{file}", table.path()));
        let bytes = store.get(&key).await.expect("referenced file").bytes().await.expect("bytes");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
        for batch in reader.build().expect("reads") {
            let hour = EventTime::from_nanos(NOON).hour();
            rows.push(HourBatch { table, hour, rows: batch.expect("rows") });
        }
    }
    rows
}

/// How often each message appears in a table.
async fn messages(store: &Arc<dyn ObjectStore>, table: Table) -> BTreeMap<(i32, i64), usize> {
    let mut seen = BTreeMap::new();
    for batch in read(store, table).await {
        let column = |name| batch.rows.column_by_name(name).expect("lineage").clone();
        let partitions = column(table::LINEAGE_PARTITION);
        let offsets = column(table::LINEAGE_OFFSET);
        for row in 0..batch.rows.num_rows() {
            let partition = partitions.as_primitive::<Int32Type>().value(row);
            let offset = offsets.as_primitive::<Int64Type>().value(row);
            *seen.entry((partition, offset)).or_default() += 1;
        }
    }
    seen
}

/// Asserts that every message of these partitions is in exactly one row, and the ledger agrees.
async fn assert_exactly_once(store: &Arc<dyn ObjectStore>, lines: &[i64], context: &str) {
    let mut seen = messages(store, Table::Logs).await;
    for (message, count) in messages(store, Table::DeadLetters).await {
        *seen.entry(message).or_default() += count;
    }
    let mut expected = BTreeMap::new();
    for (partition, lines) in (0..).zip(lines) {
        expected.extend((0..*lines).map(|offset| ((partition, offset), 1)));
    }
    assert_eq!(seen, expected, "{context}");
    let balance = fixture::ledger_balance(&read(store, Table::Ledger).await);
    let total: i64 = lines.iter().sum();
    assert_eq!((balance.received, balance.messages), (total, total), "{context}");
    assert_eq!(balance.indexed + balance.excluded + balance.dead_letters, total, "{context}");
}

async fn run_to_the_end(store: Arc<dyn ObjectStore>, log: &MemoryLog, context: &str) -> Status {
    let running = start_in(world(), config(store), Box::new(log.open())).await;
    let running = running.unwrap_or_else(|error| panic!("{context}: {error}"));
    until(context, || running.status().lag == 0).await;
    let status = running.status();
    running.drain(DEADLINE).await.unwrap_or_else(|error| panic!("{context}: {error}"));
    status
}

/// One life of a worker whose store dies under `rule`; whether it died.
async fn life(store: &Arc<FaultStore>, log: &MemoryLog) -> bool {
    let Ok(running) = start_in(world(), config(store.clone()), Box::new(log.open())).await else {
        return true;
    };
    let committed = until("commit or death", || store.dead() || running.status().lag == 0);
    committed.await;
    produce(log, 0, 5);
    let last = log_end(log);
    let committed =
        || running.status().partitions.iter().any(|p| p.partition == 0 && p.next_offset == last);
    until("commit or death", || store.dead() || committed()).await;
    let death = until("death", || store.dead());
    tokio::select! {
        biased;
        () = death => true,
        // Dropping `running` inside `drain` is the kill.
        drained = running.drain(DEADLINE) => drained.is_err(),
    }
}

fn log_end(log: &MemoryLog) -> i64 {
    let topics = [schemas::topic::LOGS.to_owned()];
    let infos = log.open().partitions(&topics, DEADLINE).expect("partitions");
    infos.iter().find(|info| info.partition.partition == 0).map_or(0, |info| info.high)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_write_loses_and_doubles_nothing() {
    let mut deaths = 0;
    for write in 0.. {
        let mut died = false;
        for rule in [Rule::DieAt(write), Rule::DieAfter(write)] {
            let context = format!("{rule:?}");
            let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            let log = MemoryLog::new();
            for partition in 0..3 {
                produce(&log, partition, 7);
            }
            let store = Arc::new(FaultStore::new(inner.clone(), vec![rule]));
            if life(&store, &log).await {
                died = true;
                deaths += 1;
            }
            run_to_the_end(inner.clone(), &log, &context).await;
            assert_exactly_once(&inner, &[log_end(&log), 7, 7], &context).await;
        }
        if !died {
            break;
        }
    }
    assert!(deaths > 40, "only {deaths} kills: the worker has more writes than that");
    eprintln!("{deaths} kills survived, nothing lost or doubled");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn unclear_answers_at_any_write_are_waited_out() {
    for write in (0..40).step_by(3) {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let log = MemoryLog::new();
        for partition in 0..3 {
            produce(&log, partition, 7);
        }
        let rules = vec![
            Rule::FailAfter(write),
            Rule::FailBefore(write + 1),
            Rule::FalseExists(write + 2),
            Rule::Delay(write + 3, write + 5),
        ];
        let store = Arc::new(FaultStore::new(inner.clone(), rules));
        let context = format!("faults from write {write}");
        // Some faults stop the start: a person would start again, and so does this.
        drop(start_in(world(), config(store.clone()), Box::new(log.open())).await);
        run_to_the_end(store, &log, &context).await;
        assert_exactly_once(&inner, &[7, 7, 7], &context).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_crashes_its_lane_twice_is_quarantined_and_costs_no_other() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    for partition in 0..3 {
        produce(&log, partition, 7);
    }
    let trap = Record { payload: b"crash the lane".to_vec(), ..Record::default() };
    log.append(&fixture::partition(1), vec![trap]);
    produce(&log, 1, 7);
    run_to_the_end(inner.clone(), &log, "crash").await;
    assert_exactly_once(&inner, &[7, 15, 7], "crash").await;
    let letters = messages(&inner, Table::DeadLetters).await;
    assert_eq!(letters.get(&(1, 7)), Some(&1), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_drain_takes_in_what_was_stored_when_it_began() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    let lines = 20_000;
    produce(&log, 0, lines);
    // Only the drain makes units here, and nothing has been read when it begins.
    let config = Config { epoch: Duration::from_secs(3_600), ..config(inner.clone()) };
    let running = start_in(world(), config, Box::new(log.open())).await.expect("starts");
    running.drain(DEADLINE).await.expect("drains");
    assert_exactly_once(&inner, &[lines], "drain").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_added_later_are_claimed_and_read() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 5);
    let running =
        start_in(world(), config(inner.clone()), Box::new(log.open())).await.expect("starts");
    until("first partition", || running.status().lag == 0).await;
    produce(&log, 1, 9);
    produce(&log, 0, 2);
    let read_all = |status: Status| {
        let next: Vec<_> = status.partitions.iter().map(|p| p.next_offset).collect();
        next == [7, 9]
    };
    until("new partition", || read_all(running.status())).await;
    running.drain(DEADLINE).await.expect("drains");
    assert_exactly_once(&inner, &[7, 9], "new partition").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_worker_takes_over_and_the_first_one_says_so() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 5);
    let mut first =
        start_in(world(), config(inner.clone()), Box::new(log.open())).await.expect("starts");
    until("first unit", || first.status().lag == 0).await;
    let second =
        start_in(world(), config(inner.clone()), Box::new(log.open())).await.expect("starts");
    produce(&log, 0, 6);
    let error = tokio::time::timeout(DEADLINE, first.failed()).await.expect("the first gives up");
    assert!(error.to_string().contains("another worker took it"), "{error}");
    until("second", || second.status().partitions.iter().any(|p| p.next_offset == 11)).await;
    second.drain(DEADLINE).await.expect("drains");
    assert_exactly_once(&inner, &[11], "takeover").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_emptied_log_or_lost_offsets_are_a_named_decision() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    produce(&log, 0, 9);
    run_to_the_end(inner.clone(), &log, "first run").await;
    let refusal = || async {
        let started = start_in(world(), config(inner.clone()), Box::new(log.open())).await;
        started.expect_err("refused").to_string()
    };
    let anew = MemoryLog::new();
    produce(&anew, 0, 5);
    let started = start_in(world(), config(inner.clone()), Box::new(anew.open())).await;
    let error = started.expect_err("refused").to_string();
    assert!(error.contains("up to offset 9, but the broker ends at 5"), "{error}");
    assert!(error.contains("created anew") && !error.contains("accept-gap"), "{error}");
    produce(&log, 0, 9);
    log.truncate(&fixture::partition(0), 12);
    let error = refusal().await;
    assert!(error.contains("offset 9 is gone") && error.contains("accept-gap"), "{error}");
    let keys = crate::commit_log::Layout::new("live");
    for seq in 0..10 {
        drop(inner.delete(&keys.record(seq)).await);
    }
    let error = refusal().await;
    assert!(error.contains("the log was emptied"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_local_directory_holds_tables_other_engines_can_read() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let url = directory.path().to_str().expect("utf-8").to_owned();
    let store = crate::store::open(&crate::store::Config { url, options: BTreeMap::new() });
    let store = store.expect("opens");
    let log = MemoryLog::new();
    for round in 1..=2 {
        produce(&log, 0, 50);
        let status = run_to_the_end(store.clone(), &log, "local").await;
        assert!(status.units >= 1 && status.committed_seq.is_some(), "{status:?}");
        assert_exactly_once(&store, &[50 * round], "local").await;
    }
    let hours = std::fs::read_dir(directory.path().join("tables/logs/date=2024-04-27"));
    assert_eq!(hours.expect("partition directories").count(), 3);
    let log_files = std::fs::read_dir(directory.path().join("tables/logs/_delta_log"));
    assert!(log_files.expect("delta log").count() >= 3);
}
