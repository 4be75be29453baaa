//! Whole passes: no row is lost or doubled, whatever dies or races, and storage shrinks.

mod by_index;

use std::sync::atomic::{AtomicI64, Ordering};

use arrow::array::RecordBatch;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectMeta, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::publish::ISSUES_PIPELINE;
use schemas::time::EventTime;

use super::*;
use crate::clock::System;
use crate::commit_log::head::tests::{claim, topic_partition, unit};
use crate::commit_log::log::TEST_BACKOFF;
use crate::commit_log::record::{Claim, ClaimedPartition, Commit, Unit};
use crate::commit_log::snapshot;
use crate::fault_store::{FaultStore, Rule};
use crate::files::{FilePlan, FileWriter};
use crate::fixture::log_rows;
use crate::upkeep::fingerprint::Fingerprint;
use stages::record::TopicPartition;

/// 2024-04-27 12:00, in microseconds.
const NOON: i64 = 1_714_219_200_000_000;
const HOUR: i64 = 3_600_000_000;
const DAY_MILLIS: i64 = 24 * 3_600_000;

/// The real time moved by some days.
#[derive(Debug, Default)]
struct Shifted(AtomicI64);

impl Clock for Shifted {
    fn monotonic(&self) -> Duration {
        System::shared().monotonic()
    }

    fn unix_millis(&self) -> i64 {
        System::shared().unix_millis() + self.0.load(Ordering::SeqCst)
    }
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

fn keeper_at(store: &Arc<dyn ObjectStore>, settings: Settings, days: i64) -> Keeper {
    let world = World {
        store: Arc::clone(store),
        clock: Arc::new(Shifted(AtomicI64::new(days * DAY_MILLIS))),
        entropy: System::shared(),
        backoff: TEST_BACKOFF,
        stop: CancellationToken::new(),
    };
    Keeper::new(world, LIVE_PIPELINE, settings, "test".to_owned())
}

fn keeper(store: &Arc<dyn ObjectStore>) -> Keeper {
    keeper_at(store, Settings::default(), 0)
}

fn scope(publish: bool, delete: bool) -> Scope {
    let delete = delete.then_some(Duration::ZERO);
    Scope { tables: vec![Table::Logs], dry_run: false, publish, delete, by_hand: true }
}

async fn pass(keeper: &mut Keeper, scope: &Scope) -> Result<Report, PassError> {
    keeper.pass(scope, &|_| ()).await
}

async fn log(store: &Arc<dyn ObjectStore>) -> CommitLog {
    let system = System::shared();
    let layout = Layout::new(LIVE_PIPELINE);
    let log =
        CommitLog::recover(Arc::clone(store), layout, system.clone(), system, TEST_BACKOFF, |_| {
            true
        });
    log.await.expect("reads").0
}

/// Names no table: none is made before the first pass.
fn first_claim() -> Body {
    Body::Claim(Claim { tables: BTreeMap::new(), ..claim("worker-of-test", 0, 1, 0) })
}

/// Commits `units` units of a few rows in each of `hours` hours.
async fn commit(store: &Arc<dyn ObjectStore>, units: i64, hours: i64) {
    let mut log = log(store).await;
    let system = System::shared();
    let files = FileWriter {
        store: Arc::clone(store),
        clock: system.clone(),
        entropy: system,
        backoff: TEST_BACKOFF,
    };
    if log.head().partitions.is_empty() {
        log.append(|_| first_claim()).await.expect("claims");
    }
    for _ in 0..units {
        let part = log.head().partitions[&topic_partition(0)].clone();
        let from = part.next_offset;
        let plan = |hour: i64| {
            let micros = NOON + hour * HOUR + from * 1_000;
            let hour = EventTime::from_micros(micros).expect("in range").hour();
            let batches = vec![log_rows(&["web", "api", "", "db"], micros)];
            FilePlan { table: Table::Logs, hour, batches }
        };
        let name = format!("worker-o-{from}");
        let adds = files.write(&name, (0..hours).map(plan).collect()).await.expect("writes");
        let unit = Unit {
            adds,
            ..unit("worker-of-test", 0, part.generation, part.last_seq, from, from + 10)
        };
        log.append(|_| Body::Commit(Commit { units: vec![unit.clone()] })).await.expect("commits");
    }
}

/// The rows of the table's current version, file by file, read as any reader does.
async fn batches(store: &Arc<dyn ObjectStore>) -> Vec<RecordBatch> {
    let mut batches = Vec::new();
    for file in files(store).await {
        let key = Path::from(format!("{}/{file}", Table::Logs.path()));
        let bytes = store.get(&key).await.expect("a referenced file is there");
        let bytes = bytes.bytes().await.expect("bytes");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
        batches.extend(reader.build().expect("reads").map(|batch| batch.expect("rows")));
    }
    batches
}

/// The files of the table's current version.
async fn files(store: &Arc<dyn ObjectStore>) -> Vec<String> {
    let system = System::shared();
    let table = PublishedTable::open(
        Arc::clone(store),
        Table::Logs,
        LIVE_PIPELINE,
        system.clone(),
        system,
        TEST_BACKOFF,
    );
    table.await.expect("opens").files().expect("files")
}

/// Number of files, and their rows.
async fn read(store: &Arc<dyn ObjectStore>) -> (usize, Fingerprint) {
    let mut rows = Fingerprint::default();
    for batch in batches(store).await {
        rows.add(&batch).expect("known types");
    }
    (files(store).await.len(), rows)
}

async fn stored(store: &Arc<dyn ObjectStore>, prefix: &str) -> Vec<String> {
    let listed: Vec<ObjectMeta> =
        store.list(Some(&Path::from(prefix))).try_collect().await.expect("lists");
    let parquet = listed.iter().map(|meta| meta.location.to_string());
    parquet.filter(|path| !path.contains("_delta_log")).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn small_files_of_closed_hours_become_one_with_the_same_rows() {
    let store = memory();
    commit(&store, 9, 3).await;
    let mut keeper = keeper(&store);
    let dry = Scope { dry_run: true, ..scope(false, true) };
    commit(&store, 1, 3).await;
    // Nobody has published: there is nothing to plan on yet, and nothing to delete.
    let planned = pass(&mut keeper, &dry).await.expect("plans");
    assert_eq!(planned.tables["logs"].compacted.files_before, 0);
    let log_before = log(&store).await.head().clone();
    pass(&mut keeper_at(&store, closed_never(), 0), &scope(true, false)).await.expect("publishes");
    let (files, rows) = read(&store).await;
    assert_eq!((files, rows.rows), (30, 120));
    let planned = pass(&mut keeper, &dry).await.expect("plans").tables["logs"].compacted;
    assert_eq!(log(&store).await.head(), &log_before, "a dry run changes nothing");
    let done = pass(&mut keeper, &scope(true, false)).await.expect("compacts");
    let compacted = done.tables["logs"].compacted;
    assert!(done.is_complete());
    assert_eq!((compacted.files_before, compacted.files_after, compacted.rows), (30, 3, 120));
    assert!(compacted.bytes_after < compacted.bytes_before, "{compacted:?}");
    assert_eq!((planned.files_before, planned.rows), (30, 120), "as planned");
    assert_eq!(read(&store).await, (3, rows));
    let again = pass(&mut keeper, &scope(true, true)).await.expect("rests");
    assert_eq!(again.tables["logs"].compacted.files_before, 0);
    assert_eq!(again.tables["logs"].deleted_files, 0, "too young");
    assert_eq!(stored(&store, "tables/logs").await.len(), 33);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_hour_that_memory_has_no_room_for_at_once_becomes_one_file_in_turns() {
    let store = memory();
    commit(&store, 9, 1).await;
    pass(&mut keeper_at(&store, closed_never(), 0), &scope(true, false)).await.expect("publishes");
    let (files, rows) = read(&store).await;
    assert_eq!(files, 9);
    let settings =
        Settings { merge_bytes: 0, compact_after: Duration::ZERO, ..Settings::default() };
    let mut keeper = keeper_at(&store, settings, 0);
    for left in [5, 3, 2, 1] {
        let done = pass(&mut keeper, &scope(true, false)).await.expect("compacts");
        assert!(done.is_complete());
        assert_eq!(read(&store).await, (left, rows), "two at a time, each row once");
    }
}

/// No hour is ever closed.
fn closed_never() -> Settings {
    Settings { compact_after: Duration::from_secs(100 * 365 * 24 * 3_600), ..Settings::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_write_of_a_pass_leaves_every_row_once() {
    let mut deaths = 0;
    for write in 0.. {
        let mut died = false;
        for rule in [Rule::DieAt(write), Rule::DieAfter(write)] {
            let inner = memory();
            commit(&inner, 5, 2).await;
            pass(&mut keeper_at(&inner, closed_never(), 0), &scope(true, false))
                .await
                .expect("publishes");
            commit(&inner, 1, 2).await;
            let expected = {
                let copy = keeper_at(&inner, closed_never(), 0);
                let mut copy = copy;
                // What is committed counts, published or not.
                pass(&mut copy, &scope(true, false)).await.expect("publishes");
                read(&inner).await.1
            };
            let store = Arc::new(FaultStore::new(inner.clone(), vec![rule]));
            let faulty: Arc<dyn ObjectStore> = store.clone();
            drop(pass(&mut keeper(&faulty), &scope(true, true)).await);
            if store.dead() {
                died = true;
                deaths += 1;
            }
            let (_, rows) = read(&inner).await;
            assert_eq!(rows, expected, "{rule:?}, as the crash left it");
            // Until nothing is left to do; then a month later what the crash left is gone.
            pass(&mut keeper(&inner), &scope(true, false)).await.expect("goes on");
            assert_eq!(read(&inner).await, (2, expected), "{rule:?}");
            let later = keeper_at(&inner, Settings::default(), 8);
            let mut later = later;
            pass(&mut later, &scope(true, true)).await.expect("deletes");
            assert_eq!(read(&inner).await, (2, expected), "{rule:?}, eight days later");
        }
        if !died {
            break;
        }
    }
    assert!(deaths >= 6, "only {deaths} kills: a pass has more writes than that");
    eprintln!("{deaths} kills of a compaction survived, every row once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_maintainers_with_the_same_plan_one_is_refused() {
    let store = memory();
    commit(&store, 5, 2).await;
    let mut first = keeper(&store);
    pass(&mut keeper_at(&store, closed_never(), 0), &scope(true, false)).await.expect("publishes");
    let (_, rows) = read(&store).await;
    // The first has planned when the second comes and does all of it.
    first.look_at_tables().await.expect("opens");
    let (log, backlog) = first.read_log().await.expect("reads");
    let everything = scope(true, false);
    let mut slow = Pass {
        keeper: &mut first,
        scope: &everything,
        log,
        backlog,
        staged: BTreeSet::new(),
        report: Report::default(),
        progress: &|_| (),
    };
    let done = pass(&mut keeper(&store), &scope(true, false)).await.expect("compacts");
    assert_eq!(done.tables["logs"].compacted.files_after, 2);
    slow.table(Table::Logs).await.expect("is refused in peace");
    let report = &slow.report.tables["logs"];
    assert_eq!(report.compacted.files_after, 0);
    assert!(report.skipped.as_ref().is_some_and(|why| why.contains("plan it again")), "{report:?}");
    assert_eq!(read(&store).await, (2, rows));
    assert_eq!(stored(&store, "tables/logs").await.len(), 12, "the refused files are gone");
    let again = pass(&mut first, &scope(true, false)).await.expect("sees the other's work");
    assert_eq!(again.tables["logs"].compacted.files_before, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reader_never_sees_old_and_new_files_together() {
    let store = memory();
    commit(&store, 8, 2).await;
    pass(&mut keeper_at(&store, closed_never(), 0), &scope(true, false)).await.expect("publishes");
    let (_, rows) = read(&store).await;
    let stop = CancellationToken::new();
    let reader = tokio::spawn({
        let (store, stop) = (Arc::clone(&store), stop.clone());
        async move {
            let mut seen = std::collections::BTreeSet::new();
            while !stop.is_cancelled() {
                let (files, found) = read(&store).await;
                assert_eq!(found, rows);
                seen.insert(files);
            }
            seen.insert(read(&store).await.0);
            seen
        }
    });
    tokio::task::yield_now().await;
    pass(&mut keeper(&store), &scope(true, false)).await.expect("compacts");
    stop.cancel();
    let seen = reader.await.expect("reads");
    assert!(seen.iter().all(|files| [16, 2].contains(files)), "{seen:?}");
    assert!(seen.contains(&2), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hours_past_their_retention_leave_the_table_and_a_week_later_storage() {
    let store = memory();
    commit(&store, 4, 3).await;
    // Between the end of the second hour and that of the third.
    let age = System::shared().unix_millis() - (NOON + 2 * HOUR) / 1_000 - 60_000;
    let retention = Duration::from_millis(u64::try_from(age).expect("past"));
    let settings =
        Settings { retention: BTreeMap::from([(Table::Logs, retention)]), ..closed_never() };
    let done = pass(&mut keeper_at(&store, settings.clone(), 0), &scope(true, false)).await;
    // The rows were published in this very pass, so they are planned for in the next.
    assert_eq!(done.expect("publishes").tables["logs"].expired.rows, 48 - 16);
    assert_eq!(read(&store).await.0, 4);
    assert_eq!(stored(&store, "tables/logs").await.len(), 12);
    let settings = Settings { retention: BTreeMap::new(), ..settings };
    let early = pass(&mut keeper_at(&store, settings.clone(), 6), &scope(true, true)).await;
    assert_eq!(early.expect("waits").tables["logs"].deleted_files, 0);
    let late = pass(&mut keeper_at(&store, settings, 8), &scope(true, true)).await;
    assert_eq!(late.expect("deletes").tables["logs"].deleted_files, 8);
    assert_eq!(stored(&store, "tables/logs").await.len(), 4);
    assert_eq!(read(&store).await.0, 4);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_committed_file_stays_even_when_nobody_has_published_it_for_weeks() {
    let store = memory();
    commit(&store, 3, 1).await;
    let hour = EventTime::from_nanos(NOON).hour();
    let orphan = crate::files::relative_path(hour, "dead-1", 9);
    let orphan = Path::from(format!("tables/logs/{orphan}"));
    store.put(&orphan, "left by a crash".into()).await.expect("puts");
    let foreign = Path::from("tables/logs/date=2024-04-27/hour=12/export.parquet");
    store.put(&foreign, "somebody's only copy".into()).await.expect("puts");
    let mut later = keeper_at(&store, closed_never(), 20);
    let cautious = Scope { delete: Some(Duration::from_secs(60)), ..scope(false, false) };
    let done = pass(&mut later, &cautious).await.expect("looks");
    assert_eq!(done.tables["logs"].deleted_files, 0, "the clock may have jumped");
    let done = pass(&mut later, &scope(false, true)).await.expect("deletes the orphan");
    assert_eq!(done.tables["logs"].deleted_files, 1);
    let left = stored(&store, "tables/logs").await;
    assert!(left.contains(&foreign.to_string()), "not ours: {left:?}");
    assert_eq!(left.len(), 3 + 1);
    pass(&mut later, &scope(true, false)).await.expect("publishes");
    assert_eq!(read(&store).await.0, 3);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_log_is_cut_below_a_snapshot_the_tables_have_caught_up_with() {
    let store = memory();
    commit(&store, 230, 1).await;
    let head = log(&store).await.head().clone();
    // Error tracking has read the first 150 records.
    let system = System::shared();
    let issues = CommitLog::recover(
        Arc::clone(&store),
        Layout::new(ISSUES_PIPELINE),
        system.clone(),
        system,
        TEST_BACKOFF,
        |_| true,
    );
    let source = TopicPartition { topic: crate::issues::SOURCE.into(), partition: 0 };
    let claim = Claim {
        owner: "issues".to_owned(),
        cluster_id: None,
        tables: BTreeMap::new(),
        partitions: vec![ClaimedPartition { partition: source, generation: 1, start_offset: 150 }],
        group: None,
    };
    let mut issues = issues.await.expect("empty").0;
    issues.append(|_| Body::Claim(claim.clone())).await.expect("claims");
    let old = |days| {
        let mut keeper = keeper_at(&store, closed_never(), days);
        let store = Arc::clone(&store);
        async move {
            let done = pass(&mut keeper, &scope(days > 35, true)).await.expect("passes");
            (done.deleted_log_objects, stored(&store, "_sys/live/log").await.len())
        }
    };
    assert_eq!(old(31).await, (0, 231), "nothing is published: recovery needs all of it");
    // What can not be read does not say how far it has read.
    let key = Layout::new(ISSUES_PIPELINE).record(0);
    let whole = store.get(&key).await.expect("there").bytes().await.expect("bytes");
    store.put(&key, whole.slice(..whole.len() / 2).into()).await.expect("truncates");
    assert_eq!(old(40).await, (0, 231), "published, and kept");
    store.put(&key, whole.into()).await.expect("restores");
    assert_eq!(old(40).await, (100, 131), "records 0 to 99: error tracking needs the others");
    assert_eq!(old(121).await, (101, 31), "that long nobody is waited for");
    assert_eq!(log(&store).await.head(), &head);
    let system = System::shared();
    let layout = Layout::new(LIVE_PIPELINE);
    let fresh = CommitLog::recover(
        Arc::clone(&store),
        layout,
        system.clone(),
        system,
        TEST_BACKOFF,
        |_| false,
    );
    assert!(matches!(fresh.await, Err(LogError::Missing { .. })), "no snapshot, no log");
    // A writer that was away for long saves the head it had, and points the hint back at it.
    let old_head = Head { next_seq: 150, ..head.clone() };
    let layout = Layout::new(LIVE_PIPELINE);
    snapshot::save(store.as_ref(), &layout, &old_head).await.expect("saves");
    let restarted = CommitLog::recover(
        Arc::clone(&store),
        layout,
        System::shared(),
        System::shared(),
        TEST_BACKOFF,
        |_| true,
    );
    assert_eq!(restarted.await.expect("starts from the newest").0.head(), &head);
    commit(&store, 3, 1).await;
    pass(&mut keeper(&store), &scope(true, true)).await.expect("goes on");
    let (_, rows) = read(&store).await;
    assert_eq!(rows.rows, 233 * 4);
}
