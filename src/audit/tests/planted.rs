//! Tables a real worker wrote in three runs, and faults planted in them: Delta commits written by hand.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use query::engine::{Engine, Options};
use schemas::table::Table;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};
use serde_json::{Value, json};
use stages::record::{Record, TopicPartition};
use stream::source::memory::MemoryLog;
use stream::worker;

use crate::audit::{AuditError, Report, Scope, look};

/// 2024-04-27 12:00.
const NOON: i64 = 1_714_219_200_000_000_000;
/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(30);

/// Three partitions of sixty messages, twenty in each of three runs, the second of each run a tombstone.
pub(super) struct Planted {
    dir: tempfile::TempDir,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) log: MemoryLog,
}

/// A partition of the topic.
pub(super) fn partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: schemas::topic::LOGS.into(), partition }
}

impl Planted {
    pub(super) async fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let url = dir.path().to_str().expect("utf-8").to_owned();
        let config = stream::store::Config { url, options: BTreeMap::new() };
        let store = stream::store::open(&config).expect("opens");
        let planted = Self { dir, store, log: MemoryLog::new() };
        for _ in 0..3 {
            planted.produce();
            planted.run().await.expect("runs");
        }
        planted
    }

    /// Twenty more messages for each partition.
    pub(super) fn produce(&self) {
        for number in 0..3 {
            let record = |line: i64| Record {
                timestamp: EventTime::from_nanos(NOON),
                payload: if line == 1 { Vec::new() } else { format!("line {line}").into() },
                ..Record::default()
            };
            self.log.append(&partition(number), (0..20).map(record).collect());
        }
    }

    /// A worker from start to drain.
    pub(super) async fn run(&self) -> Result<(), worker::Error> {
        let config = worker_config(&self.store);
        let running = worker::start_from(config, Box::new(self.log.open())).await?;
        running.drain(DEADLINE).await
    }

    /// Deletes the commit log.
    pub(super) fn empty_system(&self) {
        fs::remove_dir_all(self.dir.path().join("_sys")).expect("deleted");
    }

    fn engine(&self) -> Engine {
        let options = Options { max_rows: usize::MAX, ..Options::default() };
        Engine::open(Arc::clone(&self.store), options).expect("an engine")
    }

    pub(super) async fn audit(&self, scope: &Scope) -> Result<Report, AuditError> {
        look(&self.engine(), scope).await
    }

    pub(super) async fn ends(&self) -> Result<Vec<(Arc<str>, i32, i64)>, AuditError> {
        crate::audit::ends(&self.engine()).await
    }

    fn table(&self, table: Table) -> PathBuf {
        self.dir.path().join(table.path())
    }

    /// The `add` actions of a table in the order of its versions, and the next version.
    fn adds(&self, table: Table) -> (Vec<Value>, usize) {
        let log = self.table(table).join("_delta_log");
        let mut versions: Vec<PathBuf> = fs::read_dir(log)
            .expect("a Delta log")
            .map(|entry| entry.expect("an entry").path())
            .filter(|path| path.extension().is_some_and(|end| end == "json"))
            .collect();
        versions.sort();
        let actions = |path: &PathBuf| {
            let text = fs::read_to_string(path).expect("a version");
            let values: Vec<Value> =
                text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect();
            values
        };
        let all = versions.iter().flat_map(actions);
        let adds = all.filter_map(|action| action.get("add").cloned()).collect();
        (adds, versions.len())
    }

    fn commit(&self, table: Table, version: usize, actions: &[Value]) {
        let info = json!({"commitInfo": {"timestamp": 1, "operation": "PLANTED"}});
        let path = self.table(table).join("_delta_log").join(format!("{version:020}.json"));
        let lines: Vec<String> = actions.iter().map(Value::to_string).collect();
        fs::write(path, format!("{info}\n{}\n", lines.join("\n"))).expect("written");
    }

    /// Takes the n-th file out of the table; how many rows it had.
    pub(super) fn remove(&self, table: Table, n: usize) -> i64 {
        let (adds, next) = self.adds(table);
        let add = adds.get(n).expect("as many files");
        self.commit(table, next, &[removal(add)]);
        rows(add)
    }

    /// Takes the ledger files of all units that begin at these offsets out of the ledger.
    pub(super) fn remove_ledger(&self, offsets: std::ops::Range<i64>) {
        let (adds, next) = self.adds(Table::Ledger);
        let begins = |add: &&Value| {
            let stats: Value = serde_json::from_str(add["stats"].as_str()?).ok()?;
            stats["minValues"]["from_offset"].as_i64()
        };
        let inside = |add: &&Value| begins(add).is_some_and(|from| offsets.contains(&from));
        let removals: Vec<Value> = adds.iter().filter(inside).map(removal).collect();
        assert!(!removals.is_empty(), "files of {offsets:?}");
        self.commit(Table::Ledger, next, &removals);
    }

    /// Adds a copy of the n-th file to the table; how many rows it has.
    pub(super) fn double(&self, table: Table, n: usize) -> i64 {
        let (adds, next) = self.adds(table);
        let mut add = adds.get(n).expect("as many files").clone();
        let path = add["path"].as_str().expect("a path").to_owned();
        let copy = path.replace(".parquet", "-copy.parquet");
        let file = |name: &str| self.table(table).join(Path::new(name));
        fs::copy(file(&path), file(&copy)).expect("copied");
        add["path"] = copy.into();
        self.commit(table, next, &[json!({ "add": add })]);
        rows(&add)
    }

    /// Deletes the n-th file behind the table's back.
    pub(super) fn delete_file(&self, table: Table, n: usize) {
        let (adds, _) = self.adds(table);
        let path = adds.get(n).and_then(|add| add["path"].as_str()).expect("as many files");
        fs::remove_file(self.table(table).join(path)).expect("deleted");
    }
}

fn removal(add: &Value) -> Value {
    json!({"remove": {
        "path": add["path"], "deletionTimestamp": 1, "dataChange": true,
        "extendedFileMetadata": true, "partitionValues": add["partitionValues"], "size": add["size"],
    }})
}

fn rows(add: &Value) -> i64 {
    let stats: Value = serde_json::from_str(add["stats"].as_str().expect("stats")).expect("JSON");
    stats["numRecords"].as_i64().expect("a number of rows")
}

fn worker_config(store: &Arc<dyn ObjectStore>) -> worker::Config {
    let pipeline = crate::config::from_text("", &Default::default()).expect("defaults").pipeline;
    let topic = worker::Topic {
        name: schemas::topic::LOGS.to_owned(),
        signal: Signal::Logs,
        input: Format::Raw.into(),
    };
    worker::Config {
        brokers: String::new(),
        properties: Vec::new(),
        topics: vec![topic],
        store: Arc::clone(store),
        store_name: "test store".to_owned(),
        store_is_remote: false,
        pipeline,
        epoch: Duration::from_secs(3_600),
        threads: 2,
        sharing: None,
        upkeep: stream::upkeep::Settings::default(),
        keep_raw: stream::lane::KeepRaw::Nothing,
        notes: None,
    }
}
