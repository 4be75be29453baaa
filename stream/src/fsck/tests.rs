//! Stores a real worker wrote: sound as they are, and every fault planted in them is found in its place.

use std::time::Duration;

use object_store::memory::InMemory;
use schemas::topic::{Format, Signal};

use super::*;
use crate::commit_log::frame::{self, Kind};
use crate::commit_log::record;
use crate::fixture;
use crate::source::memory::MemoryLog;
use crate::worker;
use stages::record::Record;

const LAYOUT: &str = "live";

/// A store after three runs of a worker, twenty lines each.
async fn written() -> Arc<dyn ObjectStore> {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let log = MemoryLog::new();
    for _ in 0..3 {
        let line = |n| Record { payload: format!("line {n}").into(), ..Record::default() };
        log.append(&fixture::partition(0), (0..20).map(line).collect());
        let topic = worker::Topic {
            name: schemas::topic::LOGS.to_owned(),
            signal: Signal::Logs,
            input: Format::Raw.into(),
        };
        let config = worker::Config {
            brokers: String::new(),
            properties: Vec::new(),
            topics: vec![topic],
            store: Arc::clone(&store),
            store_name: "test store".to_owned(),
            store_is_remote: false,
            pipeline: fixture::pipeline(),
            epoch: Duration::from_secs(3_600),
            threads: 1,
            sharing: None,
            upkeep: crate::upkeep::Settings::default(),
            keep_raw: crate::lane::KeepRaw::Nothing,
            notes: None,
        };
        let running = worker::start_from(config, Box::new(log.open())).await.expect("starts");
        running.drain(Duration::from_secs(20)).await.expect("drains");
    }
    store
}

async fn check(store: &Arc<dyn ObjectStore>) -> Report {
    fsck(store, LAYOUT, i64::MAX).await.expect("readable")
}

fn faults(report: &Report) -> Vec<Fault> {
    let mut faults: Vec<Fault> = report.problems.kept.iter().map(|p| p.fault).collect();
    faults.dedup();
    faults
}

async fn bytes(store: &Arc<dyn ObjectStore>, key: &Path) -> Vec<u8> {
    store.get(key).await.expect("there").bytes().await.expect("bytes").to_vec()
}

async fn put(store: &Arc<dyn ObjectStore>, key: &Path, bytes: Vec<u8>) {
    store.put(key, bytes.into()).await.expect("written");
}

/// The first file of a table, by its key.
async fn a_file(store: &Arc<dyn ObjectStore>, table: Table) -> Path {
    let files = list_files(store, table).await.expect("listed");
    let (path, _) = files.first_key_value().expect("a file");
    Path::from(format!("{}/{path}", table.path()))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_wrote_is_sound() {
    let store = written().await;
    let report = check(&store).await;
    assert_eq!(report.problems, Problems::default());
    assert!(report.records >= 6, "three claims and three units at least: {report:?}");
    assert_eq!((report.first_seq, report.next_seq), (0, report.records));
    assert_eq!((report.orphans.len(), report.rejected), (0, 0));
    let logs = report.tables.first().expect("logs");
    assert_eq!((logs.table, logs.cursor, logs.pending), ("logs", Some(report.records - 1), 0));
    assert!(logs.files >= 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_log_is_found() {
    let layout = Layout::new(LAYOUT);
    let store = written().await;
    store.delete(&layout.record(2)).await.expect("deleted");
    assert!(faults(&check(&store).await).contains(&Fault::RecordMissing));

    let store = written().await;
    let mut cut = bytes(&store, &layout.record(3)).await;
    cut.truncate(cut.len() / 2);
    put(&store, &layout.record(3), cut).await;
    let report = check(&store).await;
    let damaged = report.problems.kept.first().expect("a problem");
    assert_eq!(damaged.fault, Fault::RecordDamaged);
    assert!(damaged.place.ends_with("00000000000000000003"), "{damaged:?}");

    // Two logs mixed: a sound record of another store.
    let (store, other) = (written().await, written().await);
    put(&store, &layout.record(4), bytes(&other, &layout.record(4)).await).await;
    assert!(faults(&check(&store).await).contains(&Fault::ChainBroken));

    let store = written().await;
    put(&store, &Path::from("_sys/live/log/notes.txt"), b"hello".to_vec()).await;
    assert_eq!(faults(&check(&store).await), [Fault::ForeignObject]);

    let store = written().await;
    for seq in 0..2 {
        store.delete(&layout.record(seq)).await.expect("deleted");
    }
    assert!(faults(&check(&store).await).contains(&Fault::BeginningMissing));
    for seq in 2..20 {
        drop(store.delete(&layout.record(seq)).await);
    }
    assert!(faults(&check(&store).await).contains(&Fault::LogBehindTable));
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshots_are_compared_with_the_records() {
    let layout = Layout::new(LAYOUT);
    let store = written().await;
    let mut head = crate::commit_log::head::Head::default();
    for seq in 0..4 {
        let stored = bytes(&store, &layout.record(seq)).await;
        let decoded = record::decode(&stored).expect("decodes");
        head.fold(&decoded, record::hash(&stored)).expect("folds");
    }
    snapshot::save(store.as_ref(), &layout, &head).await.expect("saved");
    let report = check(&store).await;
    assert_eq!((report.problems.count, report.snapshots), (0, 1));
    // Collected records are no fault where a snapshot covers them.
    store.delete(&layout.record(0)).await.expect("deleted");
    let report = check(&store).await;
    assert_eq!((report.problems, report.first_seq), (Problems::default(), 1));
    // Nor is a collection that was cut short: a hole, and a snapshot that covers what is gone.
    store.delete(&layout.record(2)).await.expect("deleted");
    head.next_seq = 2;
    snapshot::save(store.as_ref(), &layout, &head).await.expect("saved");
    let report = check(&store).await;
    assert_eq!((report.problems, report.first_seq), (Problems::default(), 3));

    let store = written().await;
    store.delete(&layout.record(2)).await.expect("deleted");
    head.next_seq = 4;
    snapshot::save(store.as_ref(), &layout, &head).await.expect("saved");
    assert_eq!(
        faults(&check(&store).await).first(),
        Some(&Fault::RecordMissing),
        "none was collected"
    );

    let store = written().await;
    head.partitions.values_mut().for_each(|partition| partition.next_offset += 1);
    snapshot::save(store.as_ref(), &layout, &head).await.expect("saved");
    assert_eq!(faults(&check(&store).await), [Fault::SnapshotWrong]);
    let newer = frame::seal(Kind::Snapshot, br#"{"tidemill":"7.0.0","newer":1}"#).expect("seals");
    put(&store, &layout.snapshot(4), newer).await;
    let report = check(&store).await;
    assert_eq!(faults(&report), [Fault::SnapshotNewer]);
    assert!(report.problems.kept[0].detail.contains("7.0.0"), "{report:?}");
    put(&store, &layout.snapshot(4), b"no snapshot".to_vec()).await;
    assert_eq!(faults(&check(&store).await), [Fault::SnapshotDamaged]);
}

#[tokio::test(flavor = "multi_thread")]
async fn every_fault_of_the_files_is_found() {
    let store = written().await;
    let file = a_file(&store, Table::Logs).await;
    store.delete(&file).await.expect("deleted");
    let report = check(&store).await;
    assert_eq!(faults(&report), [Fault::FileMissing]);
    assert!(file.to_string().ends_with(&report.problems.kept[0].detail), "{report:?}");

    let store = written().await;
    let file = a_file(&store, Table::Ledger).await;
    put(&store, &file, b"short".to_vec()).await;
    assert_eq!(faults(&check(&store).await), [Fault::FileSize]);

    let store = written().await;
    let file = a_file(&store, Table::Logs).await;
    let copy = Path::from(file.to_string().replace("part-", "part-copy-"));
    store.copy(&file, &copy).await.expect("copied");
    let foreign = Path::from("tables/logs/date=2024-04-27/hour=12/export.parquet");
    store.copy(&file, &foreign).await.expect("copied");
    let report = check(&store).await;
    assert_eq!(report.problems, Problems::default(), "neither is in a table, nor missing there");
    let [orphan] = &report.orphans[..] else { panic!("one orphan: {:?}", report.orphans) };
    assert!(orphan.path.contains("part-copy-") && orphan.age_seconds > 0, "{orphan:?}");
    let [foreign] = &report.foreign[..] else { panic!("one foreign: {:?}", report.foreign) };
    assert_eq!(foreign.path, "date=2024-04-27/hour=12/export.parquet");
    assert_eq!(report.tables[0].foreign, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_says_something_else_than_the_log_is_found() {
    let store = written().await;
    let file = a_file(&store, Table::Logs).await.to_string();
    let path = file.strip_prefix("tables/logs/").expect("below the table");
    let remove = format!(
        "{{\"remove\":{{\"path\":\"{path}\",\"deletionTimestamp\":1,\"dataChange\":true}}}}\n"
    );
    let prefix = Path::from("tables/logs/_delta_log");
    let versions: Vec<Path> =
        store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect().await.expect("keys");
    let next = versions.iter().filter(|key| key.to_string().ends_with(".json")).count();
    put(&store, &Path::from(format!("{prefix}/{next:020}.json")), remove.into()).await;
    let report = check(&store).await;
    assert_eq!(faults(&report), [Fault::NotInTable], "{report:?}");

    let store = written().await;
    let prefix = Path::from("tables/spans");
    let keys: Vec<Path> =
        store.list(Some(&prefix)).map_ok(|meta| meta.location).try_collect().await.expect("keys");
    for key in keys {
        store.delete(&key).await.expect("deleted");
    }
    assert_eq!(faults(&check(&store).await), [Fault::TableMissing]);
}

#[tokio::test]
async fn an_empty_store_is_said_to_be_empty() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    assert!(matches!(fsck(&store, LAYOUT, 0).await, Err(FsckError::Nothing)));
}
