//! A table as it stands, read without changing anything: opening it to publish would create it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use deltalake_core::DeltaTable;
use object_store::ObjectStore;
use schemas::table::Table;

use super::delta::{TableError, identity, log_store};

/// One version of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Inspected {
    /// Which.
    pub table: Table,
    /// Its Delta id.
    pub id: String,
    /// The version.
    pub version: u64,
    /// The last seq of the pipeline it contains.
    pub cursor: Option<u64>,
    /// Its files: path below the table, and bytes.
    pub files: BTreeMap<String, i64>,
    /// Its columns.
    pub columns: BTreeSet<String>,
}

/// Reads the current version; `None` where there is no table.
pub async fn inspect(
    store: &Arc<dyn ObjectStore>,
    table: Table,
    pipeline: &str,
) -> Result<Option<Inspected>, TableError> {
    let wrap = |source| TableError::Delta { table: table.name(), source };
    let log_store = log_store(Arc::clone(store), table).map_err(wrap)?;
    if !log_store.is_delta_table_location().await.map_err(wrap)? {
        return Ok(None);
    }
    let mut delta = DeltaTable::new(Arc::clone(&log_store));
    delta.load().await.map_err(wrap)?;
    let app_id = schemas::publish::app_id(pipeline);
    let (id, cursor) = identity(&delta, &log_store, &app_id).await.map_err(wrap)?;
    let snapshot = delta.snapshot().map_err(wrap)?;
    let listed = snapshot.log_data();
    let files = listed.iter().map(|file| (file.path().to_string(), file.size())).collect();
    let columns = snapshot.schema().fields().map(|field| field.name().clone()).collect();
    Ok(Some(Inspected { table, id, version: snapshot.version(), cursor, files, columns }))
}
