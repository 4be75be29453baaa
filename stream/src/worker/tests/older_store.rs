//! A store that an older version made: fewer columns, a table less, and files without them.

use std::collections::BTreeSet;

use arrow::array::Array as _;
use object_store::PutPayload;
use parquet::arrow::ArrowWriter;

use super::*;
use crate::commit_log::Layout;
use crate::commit_log::log::CommitLog;
use crate::commit_log::record::{
    Body, Claim, ClaimedPartition, Commit, FileAdd, Unit, UnitPartition,
};
use crate::fsck::{Fault, fsck};
use crate::table::columns;
use crate::table::inspect::inspect;
use crate::upkeep::Settings;
use schemas::log::{ISSUE_ID, TAGS};

/// Columns of `logs` that the older version did not know: at the end and in the middle.
const NEW: [&str; 2] = [ISSUE_ID, TAGS];
const OLD_ROWS: i64 = 5;

fn is_new(name: &str) -> bool {
    NEW.contains(&name)
}

async fn open_log(store: &Arc<dyn ObjectStore>) -> CommitLog {
    let system = System::shared();
    let layout = Layout::new("live");
    let log =
        CommitLog::recover(store.clone(), layout, system.clone(), system, TEST_BACKOFF, |_| true);
    log.await.expect("reads").0
}

/// Its tables: all but `dead_letters`.
async fn make_tables(store: &Arc<dyn ObjectStore>) {
    for table in [Table::Logs, Table::Spans, Table::Metrics, Table::Ledger] {
        let mut fields = columns::of(table).expect("fields");
        fields.retain(|field| table != Table::Logs || !is_new(field.name()));
        columns::create_with(store.clone(), table, fields).await.expect("created");
    }
}

/// A file of `logs` as it wrote them.
async fn old_file(store: &Arc<dyn ObjectStore>) -> FileAdd {
    let rows = fixture::log_rows(&["old"; OLD_ROWS as usize], NOON / 1_000);
    let schema = rows.schema();
    let kept = schema.fields().iter().enumerate().filter(|(_, f)| !is_new(f.name()));
    let rows = rows.project(&kept.map(|(place, _)| place).collect::<Vec<_>>()).expect("columns");
    let mut writer = ArrowWriter::try_new(Vec::new(), rows.schema(), None).expect("writer");
    writer.write(&rows).expect("written");
    let bytes = writer.into_inner().expect("closed");
    let hour = EventTime::from_nanos(NOON).hour();
    let path = crate::files::relative_path(hour, "old", 7);
    let size = bytes.len() as i64;
    let key = Path::from(format!("{}/{path}", Table::Logs.path()));
    store.put(&key, PutPayload::from(bytes)).await.expect("put");
    FileAdd {
        table: Table::Logs,
        path,
        date: hour.date(),
        hour: hour.hour_of_day(),
        size,
        rows: OLD_ROWS,
        stats: format!("{{\"numRecords\":{OLD_ROWS}}}"),
        modified_millis: 0,
    }
}

/// What it committed: a claim, and a unit with a file.
async fn commit_old_file(store: &Arc<dyn ObjectStore>) {
    let add = old_file(store).await;
    let mut log = open_log(store).await;
    let partition = fixture::partition(0);
    let claimed = ClaimedPartition { partition: partition.clone(), generation: 1, start_offset: 0 };
    let claim = Claim {
        owner: "old".to_owned(),
        cluster_id: None,
        tables: BTreeMap::new(),
        partitions: vec![claimed],
        group: None,
    };
    log.append(|_| Body::Claim(claim.clone())).await.expect("claims");
    let range = UnitPartition {
        partition,
        generation: 1,
        parent_seq: 0,
        from_offset: 0,
        to_offset: OLD_ROWS,
        messages: OLD_ROWS,
        clock_ns: 0,
        anchor: None,
    };
    let unit = Unit {
        owner: "old".to_owned(),
        partitions: vec![range],
        adds: vec![add],
        kept: Vec::new(),
        pipeline: None,
        state: None,
    };
    log.append(|_| Body::Commit(Commit { units: vec![unit.clone()] })).await.expect("commits");
}

fn tidy(store: Arc<dyn ObjectStore>) -> Config {
    let upkeep = Settings {
        interval: Duration::from_millis(15),
        compact_after: Duration::ZERO,
        ..Settings::default()
    };
    Config { upkeep, ..config(store) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_of_an_older_version_gains_columns_and_tables_and_keeps_its_rows() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    make_tables(&inner).await;
    commit_old_file(&inner).await;
    let log = MemoryLog::new();
    produce(&log, 0, OLD_ROWS + 9);
    let running = start_in(world(), tidy(inner.clone()), Box::new(log.open())).await;
    let running = running.expect("starts on the old store");
    // Old files and new ones become one.
    let compacted =
        || running.status().upkeep.tables.get("logs").map_or(0, |t| t.compacted.files_before);
    for _ in 0..4 {
        until("read", || running.status().lag == 0).await;
        produce(&log, 0, 3);
    }
    until("old files and new ones are one", || compacted() >= 3).await;
    running.drain(DEADLINE).await.expect("drains");

    let head = open_log(&inner).await.head().clone();
    let gained: Vec<_> = head.tables[&Table::Logs].columns.keys().map(String::as_str).collect();
    assert_eq!(gained, NEW);
    let records = head.next_seq;
    let mut old = 0;
    for batch in read(&inner, Table::Logs).await {
        let services = batch.rows.column_by_name("service").expect("service").clone();
        let services = services.as_string::<i32>();
        old += (0..services.len()).filter(|row| services.value(*row) == "old").count();
    }
    assert_eq!(old as i64, OLD_ROWS, "the older version's rows");
    let report = fsck(&inner, "live", 0).await.expect("checks");
    assert_eq!(report.problems.kept, []);
    let table = inspect(&inner, Table::Logs, "live").await.expect("reads").expect("there");
    assert!(NEW.iter().all(|name| table.columns.contains(*name)), "{:?}", table.columns);
    assert!(inspect(&inner, Table::DeadLetters, "live").await.expect("reads").is_some());

    // The next start has nothing to add.
    run_to_the_end(inner.clone(), &log, "again").await;
    let log = open_log(&inner).await;
    assert_eq!(log.head().tables[&Table::Logs].columns, head.tables[&Table::Logs].columns);
    assert!(log.head().next_seq <= records + 2, "only the claim, and what was left to read");
}

/// SCHEMA records, the tables' new columns and new tables are all among the first writes of a life.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_write_of_the_first_start_on_an_older_store_costs_nothing() {
    let mut deaths = 0;
    for write in 0.. {
        let mut died = false;
        for rule in [Rule::DieAt(write), Rule::DieAfter(write)] {
            let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
            make_tables(&inner).await;
            commit_old_file(&inner).await;
            let log = MemoryLog::new();
            produce(&log, 0, OLD_ROWS + 9);
            let store = Arc::new(FaultStore::new(inner.clone(), vec![rule]));
            if life(&store, &log).await {
                died = true;
                deaths += 1;
            }
            let context = format!("{rule:?}");
            run_to_the_end(inner.clone(), &log, &context).await;
            let gained = open_log(&inner).await.head().tables[&Table::Logs].columns.len();
            assert_eq!(gained, NEW.len(), "{context}");
            let report = fsck(&inner, "live", 0).await.expect("checks");
            assert_eq!(report.problems.kept, [], "{context}");
            let rows: usize =
                read(&inner, Table::Logs).await.iter().map(|batch| batch.rows.num_rows()).sum();
            let letters: usize =
                read(&inner, Table::DeadLetters).await.iter().map(|b| b.rows.num_rows()).sum();
            assert_eq!((rows + letters) as i64, log_end(&log), "{context}");
        }
        if !died {
            break;
        }
    }
    assert!(deaths > 40, "only {deaths} deaths: a first start writes more than that");
}

#[tokio::test]
async fn a_table_that_does_not_have_what_the_log_says_is_found() {
    let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    make_tables(&inner).await;
    let log = MemoryLog::new();
    produce(&log, 0, 5);
    run_to_the_end(inner.clone(), &log, "gains").await;
    let mut expected = inspect(&inner, Table::Logs, "live").await.expect("reads").expect("there");
    expected.columns = BTreeSet::new();
    let known = crate::fsck::chain::Known {
        id: Some(expected.id.clone()),
        columns: BTreeSet::from([TAGS.to_owned()]),
        next_seq: u64::MAX,
        is_partial: true,
        ..Default::default()
    };
    let files = BTreeMap::new();
    let checked = crate::fsck::contents::check(Table::Logs, Some(&expected), &known, &files, 0);
    assert!(checked.problems.iter().any(|problem| problem.fault == Fault::ColumnMissing));
}

#[tokio::test]
async fn columns_that_do_not_go_together_are_refused_by_name() {
    for (change, expected) in [
        ("type", "column tags of table"),
        ("required", "column colour is required by the store"),
        ("lacking", "column message is not in the store"),
    ] {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let mut fields = columns::of(Table::Logs).expect("fields");
        match change {
            "type" => {
                fields.retain(|field| field.name() != TAGS);
                fields.push(columns::text_field(TAGS, true));
            }
            "required" => fields.push(columns::text_field("colour", false)),
            _ => fields.retain(|field| field.name() != "message"),
        }
        columns::create_with(inner.clone(), Table::Logs, fields).await.expect("created");
        let log = MemoryLog::new();
        produce(&log, 0, 1);
        let error = start_in(world(), config(inner), Box::new(log.open())).await;
        let error = error.expect_err("refused");
        let text = error.to_string();
        let expected =
            expected.replace("column tags of table", "column tags is string in the store");
        assert!(text.contains(&expected) && text.contains("table logs"), "{text}");
        assert!(error.needs_decision(), "{text}");
    }
}

/// The columns of every table as version 0.1.0 made them.
const V0_1_0: &str = include_str!("older_store/v0.1.0.json");

#[tokio::test]
async fn a_store_made_by_version_0_1_0_opens() {
    let tables: BTreeMap<String, serde_json::Value> =
        serde_json::from_str(V0_1_0).expect("the kept columns");
    assert!(tables.len() >= 5);
    for (name, schema) in tables {
        let inner: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let table = Table::from_name(&name).expect("no table is ever dropped");
        let fields = columns::fields_of(&schema).expect("fields");
        columns::create_with(inner.clone(), table, fields).await.expect("created");
        let system = System::shared();
        let open = PublishedTable::open(inner, table, "live", system.clone(), system, TEST_BACKOFF);
        let missing = open.await.expect("opens").missing_columns(&BTreeMap::new());
        missing.unwrap_or_else(|error| panic!("{error}: make the column nullable"));
    }
}
