//! Small Delta tables in memory for tests: a store that counts what is read, and a writer.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use bytes::Bytes;
use chrono::{DateTime, Timelike};
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::arrow::json::ReaderBuilder;
use deltalake_core::DeltaTable;
use deltalake_core::kernel::transaction::CommitProperties;
use deltalake_core::kernel::{StructType, Transaction, engine::arrow_conversion::TryIntoKernel};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::SaveMode;
use futures::stream::BoxStream;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use schemas::publish::{LIVE_PIPELINE, app_id};
use schemas::table::{PARTITION_COLUMNS, Table};
use serde_json::{Value, json};

/// An in-memory store that remembers which data files were read, and can pretend to be slow.
#[derive(Debug)]
pub(crate) struct TestStore {
    inner: InMemory,
    read: Mutex<Vec<String>>,
    bytes: AtomicU64,
    /// Milliseconds added to each read of a data file.
    pub(crate) delay_millis: AtomicU64,
}

impl TestStore {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            inner: InMemory::new(),
            read: Mutex::default(),
            bytes: AtomicU64::new(0),
            delay_millis: AtomicU64::new(0),
        })
    }

    /// Data files read since the last call, each once, in order; and the bytes.
    pub(crate) fn taken(&self) -> (Vec<String>, u64) {
        let mut files = std::mem::take(&mut *self.read.lock().unwrap());
        files.sort();
        files.dedup();
        (files, self.bytes.swap(0, Ordering::Relaxed))
    }

    async fn note(&self, location: &Path, bytes: u64) {
        if location.as_ref().ends_with(".parquet") && !location.as_ref().contains("_delta_log") {
            self.read.lock().unwrap().push(location.to_string());
            self.bytes.fetch_add(bytes, Ordering::Relaxed);
            let delay = self.delay_millis.load(Ordering::Relaxed);
            if delay > 0 {
                tokio::time::sleep(std::time::Duration::from_millis(delay)).await;
            }
        }
    }
}

impl fmt::Display for TestStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TestStore")
    }
}

#[async_trait]
impl ObjectStore for TestStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        opts: PutOptions,
    ) -> Result<PutResult> {
        self.inner.put_opts(location, payload, opts).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        opts: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.inner.put_multipart_opts(location, opts).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let result = self.inner.get_opts(location, options).await?;
        self.note(location, result.range.end - result.range.start).await;
        Ok(result)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.note(location, ranges.iter().map(|range| range.end - range.start).sum()).await;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list(prefix)
    }

    fn list_with_offset(
        &self,
        prefix: Option<&Path>,
        offset: &Path,
    ) -> BoxStream<'static, Result<ObjectMeta>> {
        self.inner.list_with_offset(prefix, offset)
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await
    }
}

fn log_store(store: &Arc<TestStore>, table: Table) -> LogStoreRef {
    let url = url::Url::parse(&format!("tidemill://store/{}/", table.path())).unwrap();
    let root: Arc<dyn ObjectStore> = store.clone();
    let prefixed = PrefixStore::new(Arc::clone(&root), table.path());
    default_logstore(Arc::new(prefixed), root, &url, &StorageConfig::default())
}

/// Appends rows as one Delta commit that says it contains the commit log up to `seq`. Columns left
/// out are filled in; the table is made when it is not there.
pub(crate) async fn append(store: &Arc<TestStore>, table: Table, rows: &[Value], seq: i64) {
    append_without(store, table, rows, seq, &[]).await;
}

/// The same by a version that did not know these columns.
pub(crate) async fn append_without(
    store: &Arc<TestStore>,
    table: Table,
    rows: &[Value],
    seq: i64,
    unknown: &[&str],
) {
    let log = log_store(store, table);
    let mut delta = DeltaTable::new(log.clone());
    if log.is_delta_table_location().await.unwrap() {
        delta.load().await.unwrap();
    } else {
        let schema: StructType = table.schema().as_ref().try_into_kernel().unwrap();
        delta = CreateBuilder::new()
            .with_log_store(log)
            .with_columns(
                schema.fields().filter(|f| !unknown.contains(&f.name().as_str())).cloned(),
            )
            .with_partition_columns(PARTITION_COLUMNS)
            .await
            .unwrap();
    }
    let rows = batch(table, rows);
    let schema = rows.schema();
    let known = schema.fields().iter().enumerate();
    let known = known.filter(|(_, field)| !unknown.contains(&field.name().as_str()));
    let rows = rows.project(&known.map(|(place, _)| place).collect::<Vec<_>>()).unwrap();
    delta
        .write([rows])
        .with_save_mode(SaveMode::Append)
        .with_commit_properties(
            CommitProperties::default()
                .with_application_transaction(Transaction::new(app_id(LIVE_PIPELINE), seq)),
        )
        .await
        .unwrap();
}

/// The table gains the columns it lacks.
pub(crate) async fn gain_columns(store: &Arc<TestStore>, table: Table, seq: i64) {
    let mut delta = DeltaTable::new(log_store(store, table));
    delta.load().await.unwrap();
    let schema: StructType = table.schema().as_ref().try_into_kernel().unwrap();
    let there = delta.snapshot().unwrap().schema();
    let missing: Vec<_> =
        schema.fields().filter(|field| there.field(field.name()).is_none()).cloned().collect();
    delta
        .add_columns()
        .with_fields(missing)
        .with_commit_properties(
            CommitProperties::default()
                .with_application_transaction(Transaction::new(app_id(LIVE_PIPELINE), seq)),
        )
        .await
        .unwrap();
}

fn batch(table: Table, rows: &[Value]) -> RecordBatch {
    let rows: Vec<Value> = rows.iter().map(|row| filled(table, row)).collect();
    let mut decoder = ReaderBuilder::new(table.schema()).build_decoder().unwrap();
    decoder.serialize(&rows).unwrap();
    decoder.flush().unwrap().unwrap()
}

/// The row with every required column.
fn filled(table: Table, row: &Value) -> Value {
    let mut row = row.as_object().unwrap().clone();
    let at = DateTime::parse_from_rfc3339(row["timestamp"].as_str().unwrap()).unwrap().to_utc();
    row.insert("date".to_owned(), json!(at.date_naive().to_string()));
    row.insert("hour".to_owned(), json!(at.hour()));
    for name in ["timestamp_ns", "start_ns"] {
        if table.schema().index_of(name).is_ok() {
            row.entry(name).or_insert(json!(at.timestamp_nanos_opt().unwrap()));
        }
    }
    for field in table.schema().fields() {
        if !field.is_nullable() && !row.contains_key(field.name()) {
            let default = match field.data_type() {
                DataType::Utf8 => json!(""),
                DataType::Boolean => json!(false),
                DataType::Timestamp(TimeUnit::Microsecond, _) => json!(at.to_rfc3339()),
                _ => json!(0),
            };
            row.insert(field.name().clone(), default);
        }
    }
    Value::Object(row)
}

/// A sketch of numbers as the JSON reader takes binary: hexadecimal.
pub(crate) fn sketch(values: impl IntoIterator<Item = f64>) -> Value {
    let mut sketch = schemas::sketch::Sketch::new();
    values.into_iter().for_each(|value| sketch.add(value, 1));
    json!(sketch.to_bytes().iter().map(|byte| format!("{byte:02x}")).collect::<String>())
}

/// The little shop that golden answers are about: three hours of one morning.
pub(crate) async fn shop() -> Arc<TestStore> {
    let store = TestStore::new();
    for hour in 8..11 {
        let logs: Vec<Value> = (0..6)
            .map(|n| {
                json!({
                    "timestamp": format!("2026-03-01T{hour:02}:{:02}:00.{:06}Z", n * 10, n),
                    "service": if n % 2 == 0 { "cart" } else { "checkout" },
                    "env": "prod", "version": "1.2.0", "host": "web-1", "source": "nginx",
                    "status": if n == 5 { "error" } else { "info" },
                    "message": if n == 5 { "Connection timeout: host=db01".to_owned() } else { format!("request {n} done") },
                    "trace_id": format!("{:032x}", hour * 100 + n),
                    "attributes": {"http.method": "GET", "duration_ms": (n * 100 + 1).to_string()},
                    "tags": ["team:shop", format!("n:{n}")],
                    "index": "main", "_topic": "tidemill.logs", "_offset": hour * 10 + n,
                })
            })
            .collect();
        append(&store, Table::Logs, &logs, i64::from(hour)).await;
        let spans: Vec<Value> = (0..4)
            .map(|n| {
                json!({
                    "timestamp": format!("2026-03-01T{hour:02}:{:02}:00Z", n * 15),
                    "trace_id": format!("{:032x}", hour * 100 + n), "span_id": format!("{n:016x}"),
                    "service": "cart", "name": "http.request", "resource": "GET /cart", "type": "web",
                    "kind": "server", "error": n == 3, "duration_ns": (n + 1) * 1_000_000, "http_status_code": 200 + n,
                    "attributes": {"http.url": "/cart?q=\"x\""}, "metrics": {"_sampling_priority_v1": 1.0},
                    "events": [{"time_ns": 1, "name": "retry", "attributes": {"k": "v"}}], "links": [],
                })
            })
            .collect();
        append(&store, Table::Spans, &spans, i64::from(hour)).await;
    }
    let point = |minute: u32, values: Range<u32>| {
        let values: Vec<f64> = values.map(f64::from).collect();
        json!({
            "timestamp": format!("2026-03-01T08:{minute:02}:00Z"), "name": "cart.duration", "type": "distribution",
            "service": "cart", "tags": {"region": "eu"}, "count": values.len(), "sum": values.iter().sum::<f64>(),
            "sketch": sketch(values),
        })
    };
    append(&store, Table::Metrics, &[point(0, 1..501), point(1, 501..1001)], 3).await;
    store
}
