//! The tables as the query service sees them: `tidemill.public.<table>`, one Delta snapshot each.
//!
//! A query pins the version of a table the first time it names it and keeps it to its end, so the
//! parts of one statement never disagree. Snapshots are shared by queries and looked at again once
//! they are [`SNAPSHOT_REFRESH_MILLIS`] old, incrementally: one listing of the log's tail. A table
//! that was never published reads as empty with its contract's columns.

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use datafusion::arrow::array::AsArray;
use datafusion::arrow::compute;
use datafusion::arrow::datatypes::{DataType, Field, Schema, SchemaRef, TimestampMicrosecondType};
use datafusion::catalog::{SchemaProvider, TableProvider};
use datafusion::datasource::empty::EmptyTable;
use datafusion::error::DataFusionError;
use datafusion::logical_expr::TableType;
use deltalake_core::delta_datafusion::{DeltaScanConfig, DeltaScanNext};
use deltalake_core::kernel::EagerSnapshot;
use deltalake_core::logstore::{LogStoreRef, StorageConfig, default_logstore};
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::ObjectStore;
use object_store::prefix::PrefixStore;
use schemas::issue;
use schemas::limits::SNAPSHOT_REFRESH_MILLIS;
use schemas::publish::app_id;
use schemas::table::Table;
use url::Url;

use crate::current_issues;
use crate::error::TableUnreadable;
use crate::scan::EventTimeScan;
use crate::stores::{HOST, SCHEME};

/// SQL name of the catalog, also the PostgreSQL database.
pub(crate) const CATALOG: &str = "tidemill";
/// SQL name of the schema the tables live in.
pub(crate) const SCHEMA: &str = "public";

/// One version of one table.
#[derive(Debug)]
pub(crate) struct Pinned {
    /// Delta version; `None` for a table never published.
    pub(crate) version: Option<u64>,
    /// Last commit-log sequence number of the live pipeline the version contains.
    pub(crate) published_seq: Option<i64>,
    /// What plans read.
    pub(crate) provider: Arc<dyn TableProvider>,
    snapshot: Option<EagerSnapshot>,
    newest: OnceLock<Option<i64>>,
}

impl Pinned {
    fn empty(table: Table) -> Self {
        Self {
            version: None,
            published_seq: None,
            provider: Arc::new(EmptyTable::new(reader_schema(table))),
            snapshot: None,
            newest: OnceLock::new(),
        }
    }

    /// Latest event time the version contains, microseconds, from the files' statistics (some writers
    /// keep milliseconds there, rounded down). Read once per version: it walks the list of files.
    pub(crate) fn newest_event_time(&self) -> Option<i64> {
        *self.newest.get_or_init(|| {
            let files = self.snapshot.as_ref()?.add_actions_table(true).ok()?;
            let newest = files.column_by_name("max.timestamp")?;
            let newest = compute::cast(
                newest,
                &DataType::Timestamp(
                    datafusion::arrow::datatypes::TimeUnit::Microsecond,
                    Some("UTC".into()),
                ),
            )
            .ok()?;
            compute::max(newest.as_primitive::<TimestampMicrosecondType>())
        })
    }
}

/// The columns of a table as its scan returns them: text and bytes as views, which DataFusion
/// groups and compares without copying.
fn reader_schema(table: Table) -> SchemaRef {
    Arc::new(Schema::new(table.schema().fields().iter().map(viewed).collect::<Vec<_>>()))
}

fn viewed(field: &Arc<Field>) -> Arc<Field> {
    let data_type = match field.data_type() {
        DataType::Utf8 => DataType::Utf8View,
        DataType::Binary => DataType::BinaryView,
        DataType::List(item) => DataType::List(viewed(item)),
        DataType::Struct(fields) => DataType::Struct(fields.iter().map(viewed).collect()),
        other => other.clone(),
    };
    Arc::new(field.as_ref().clone().with_data_type(data_type))
}

/// A table between queries: its last snapshot and when that was current.
#[derive(Default)]
struct Cached {
    delta: Option<DeltaTable>,
    pinned: Option<(Arc<Pinned>, Instant)>,
}

/// All tables of a store.
pub(crate) struct Tables {
    logs: [LogStoreRef; Table::ALL.len()],
    cached: [tokio::sync::Mutex<Cached>; Table::ALL.len()],
}

impl std::fmt::Debug for Tables {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Tables")
    }
}

impl Tables {
    /// The tables below `tables/` of `store`. Reads nothing yet.
    pub(crate) fn new(store: &Arc<dyn ObjectStore>) -> Result<Self, url::ParseError> {
        let mut logs = Vec::with_capacity(Table::ALL.len());
        for table in Table::ALL {
            logs.push(log_store(store, table)?);
        }
        let logs = logs.try_into().map_err(|_| url::ParseError::Overflow)?;
        Ok(Self { logs, cached: Default::default() })
    }

    /// The current version of a table, at most [`SNAPSHOT_REFRESH_MILLIS`] old. Queries that come
    /// while it is looked up wait for the same answer.
    pub(crate) async fn pin(&self, table: Table) -> Result<Arc<Pinned>, DataFusionError> {
        let log = &self.logs[table as usize];
        let mut cached = self.cached[table as usize].lock().await;
        if let Some((pinned, since)) = &cached.pinned
            && since.elapsed() < Duration::from_millis(SNAPSHOT_REFRESH_MILLIS)
        {
            return Ok(Arc::clone(pinned));
        }
        let looked = Instant::now();
        let pinned = refresh(&mut cached, log, table).await.map_err(|error| {
            DataFusionError::External(Box::new(TableUnreadable {
                table: table.name(),
                reason: error.to_string(),
            }))
        })?;
        cached.pinned = Some((Arc::clone(&pinned), looked));
        Ok(pinned)
    }
}

/// Address of a table inside the process: `tidemill://store/tables/<name>/`.
fn log_store(store: &Arc<dyn ObjectStore>, table: Table) -> Result<LogStoreRef, url::ParseError> {
    let url = Url::parse(&format!("{SCHEME}://{HOST}/{}/", table.path()))?;
    let prefixed = PrefixStore::new(Arc::clone(store), table.path());
    Ok(default_logstore(Arc::new(prefixed), Arc::clone(store), &url, &StorageConfig::default()))
}

async fn refresh(
    cached: &mut Cached,
    log: &LogStoreRef,
    table: Table,
) -> Result<Arc<Pinned>, DeltaTableError> {
    let delta = match &mut cached.delta {
        Some(delta) => {
            if let Err(error) = delta.update_state().await {
                // The table may have been dropped and made again below us; a fresh load decides.
                cached.delta = None;
                tracing::warn!(table = table.name(), %error, "snapshot update failed; loading afresh");
                return Box::pin(refresh(cached, log, table)).await;
            }
            delta
        }
        none => {
            if !log.is_delta_table_location().await? {
                return Ok(Arc::new(Pinned::empty(table)));
            }
            let mut delta = DeltaTable::new(Arc::clone(log));
            delta.load().await?;
            none.insert(delta)
        }
    };
    let state = delta.snapshot()?;
    if let Some((pinned, _)) = &cached.pinned
        && pinned.version == Some(state.version())
    {
        return Ok(Arc::clone(pinned));
    }
    let snapshot = state.snapshot().clone();
    let published_seq = state.transaction_version(log, app_id(table.pipeline())).await?;
    let scan = DeltaScanNext::new(
        snapshot.clone(),
        DeltaScanConfig::new().with_wrap_partition_values(false),
    )
    .map_err(|error| DeltaTableError::Generic(error.to_string()))?;
    Ok(Arc::new(Pinned {
        version: Some(state.version()),
        published_seq,
        provider: Arc::new(EventTimeScan::new(Arc::new(scan))),
        snapshot: Some(snapshot),
        newest: OnceLock::new(),
    }))
}

/// What the schema has: every table, and the view of issues as they are.
fn names() -> Vec<String> {
    let tables = Table::ALL.iter().map(|table| table.name().to_owned());
    tables.chain([issue::CURRENT.to_owned()]).collect()
}

fn kind(name: &str) -> Option<TableType> {
    let view = (name == issue::CURRENT).then_some(TableType::View);
    view.or_else(|| Table::from_name(name).map(|_| TableType::Base))
}

/// The schema `public`, always current: for catalogs that outlive a query.
#[derive(Debug)]
pub(crate) struct LiveSchema(pub(crate) Arc<Tables>);

#[async_trait]
impl SchemaProvider for LiveSchema {
    fn table_names(&self) -> Vec<String> {
        names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if name == issue::CURRENT {
            let history = self.0.pin(Table::ErrorIssueHistory).await?;
            return current_issues::view(&history.provider).map(Some);
        }
        match Table::from_name(name) {
            Some(table) => Ok(Some(Arc::clone(&self.0.pin(table).await?.provider))),
            None => Ok(None),
        }
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        Ok(kind(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        kind(name).is_some()
    }
}

/// The schema `public` of one query: each table at the version it was first named at.
#[derive(Debug)]
pub(crate) struct PinnedSchema {
    tables: Arc<Tables>,
    pinned: [tokio::sync::OnceCell<Arc<Pinned>>; Table::ALL.len()],
}

impl PinnedSchema {
    /// Nothing pinned yet.
    pub(crate) fn new(tables: Arc<Tables>) -> Self {
        Self { tables, pinned: Default::default() }
    }

    /// What the query has named so far.
    pub(crate) fn pinned(&self) -> Vec<(Table, Arc<Pinned>)> {
        Table::ALL
            .into_iter()
            .filter_map(|table| Some((table, Arc::clone(self.pinned[table as usize].get()?))))
            .collect()
    }
}

#[async_trait]
impl SchemaProvider for PinnedSchema {
    fn table_names(&self) -> Vec<String> {
        names()
    }

    async fn table(&self, name: &str) -> Result<Option<Arc<dyn TableProvider>>, DataFusionError> {
        if name == issue::CURRENT {
            let history = self.table(Table::ErrorIssueHistory.name()).await?;
            return history.map(|history| current_issues::view(&history)).transpose();
        }
        let Some(table) = Table::from_name(name) else { return Ok(None) };
        let pinned = self.pinned[table as usize].get_or_try_init(|| self.tables.pin(table)).await?;
        Ok(Some(Arc::clone(&pinned.provider)))
    }

    async fn table_type(&self, name: &str) -> Result<Option<TableType>, DataFusionError> {
        Ok(kind(name))
    }

    fn table_exist(&self, name: &str) -> bool {
        kind(name).is_some()
    }
}
