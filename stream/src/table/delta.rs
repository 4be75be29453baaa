//! One Delta table: creation, cursor, and commits that are safe to repeat.

use std::sync::Arc;

use deltalake_core::kernel::transaction::{CommitBuilder, CommitProperties};
use deltalake_core::kernel::{StructField, Transaction};
use deltalake_core::logstore::{LogStoreRef, StorageConfig, logstore_with};
use deltalake_core::operations::create::CreateBuilder;
use deltalake_core::protocol::{SaveMode, checkpoints};
use deltalake_core::{DeltaTable, DeltaTableError};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use schemas::limits::{CHECKPOINT_INTERVAL, MAX_PUBLISH_ATTEMPTS};
use schemas::table::{PARTITION_COLUMNS, Table};
use url::Url;

use super::columns;
use super::publication::{self, Publication};
use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy};
use crate::commit_log::Layout;
use crate::commit_log::log::{CommitLog, LogError};
use crate::crash_point::{CrashPoint, pass};
use crate::mutant::{Mutant, planted};

/// Days of Delta log kept: what time travel and slow readers can reach.
const LOG_RETENTION: &str = "interval 7 days";

/// Why a table can not be published to.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// Delta or the store failed.
    #[error("table {table}: {source}")]
    Delta {
        /// Its name.
        table: &'static str,
        /// The reason.
        source: DeltaTableError,
    },
    /// The attempts ran out.
    #[error("table {table}: not published after {attempts} attempts, last: {last}")]
    GaveUp {
        /// Its name.
        table: &'static str,
        /// How many.
        attempts: u32,
        /// The last error.
        last: String,
    },
    /// The store's columns and ours do not go together.
    #[error(
        "table {table}: column {column} {reason}: the store was made by another version of Tidemill; run that one, or start a new store"
    )]
    Column {
        /// Its name.
        table: &'static str,
        /// The column.
        column: String,
        /// What is wrong.
        reason: String,
    },
    /// Someone dropped it. It is not made anew: an empty table of another id in its place would be in the way of the
    /// one that is to be restored.
    #[error(
        "table {table}: {path}/_delta_log is gone, and the commit log publishes to the table with id {id}: it was dropped; with the worker stopped put the directory back, or restore it from a backup, and leave the files that are there now: they were written since. Or start a new store"
    )]
    Missing {
        /// Its name.
        table: &'static str,
        /// Its directory.
        path: String,
        /// The id it had.
        id: String,
    },
    /// The commit log, which says whether the table has been there, can not be read.
    #[error(transparent)]
    Log(#[from] Box<LogError>),
    /// Someone dropped or replaced it under us.
    #[error(
        "table {table}: its id changed from {expected} to {found}, it was dropped or replaced; restore it, or start a new store"
    )]
    Replaced {
        /// Its name.
        table: &'static str,
        /// The id we opened.
        expected: String,
        /// The id it has now.
        found: String,
    },
}

/// A table and how far it has been published.
#[derive(Debug)]
pub struct PublishedTable {
    table: Table,
    delta: DeltaTable,
    log_store: LogStoreRef,
    app_id: String,
    id: String,
    cursor: Option<u64>,
    /// The version last read from scratch.
    loaded: u64,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    backoff: Backoff,
}

impl PublishedTable {
    /// Opens the table, creating it if it is not there, and has never been as far as the pipeline's log says.
    pub async fn open(
        store: Arc<dyn ObjectStore>,
        table: Table,
        pipeline: &str,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        backoff: Backoff,
    ) -> Result<Self, TableError> {
        let wrap = |source| TableError::Delta { table: table.name(), source };
        let log_store = log_store(Arc::clone(&store), table).map_err(wrap)?;
        if !is_there(&log_store).await.map_err(wrap)? {
            let log = CommitLog::recover(
                store,
                Layout::new(pipeline),
                Arc::clone(&clock),
                Arc::clone(&entropy),
                backoff,
                |_| true,
            );
            let head = log.await.map_err(Box::new)?.0.head().clone();
            match head.tables.get(&table).and_then(|known| known.id.clone()) {
                None => create_unless_there(&log_store, table).await.map_err(wrap)?,
                // Another worker may have made it, and recorded it, between the two looks.
                Some(_) if is_there(&log_store).await.map_err(wrap)? => {}
                Some(id) => return Err(missing(table, id)),
            }
        }
        let mut delta = DeltaTable::new(Arc::clone(&log_store));
        delta.load().await.map_err(wrap)?;
        let app_id = schemas::publish::app_id(pipeline);
        let (id, cursor) = identity(&delta, &log_store, &app_id).await.map_err(wrap)?;
        let loaded = delta.version().unwrap_or(0);
        Ok(Self { table, delta, log_store, app_id, id, cursor, loaded, clock, entropy, backoff })
    }

    /// The Delta id.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Which table.
    pub fn table(&self) -> Table {
        self.table
    }

    pub(super) fn delta(&self) -> &DeltaTable {
        &self.delta
    }

    pub(super) fn log_store(&self) -> &LogStoreRef {
        &self.log_store
    }

    /// The last seq it contains.
    pub fn cursor(&self) -> Option<u64> {
        self.cursor
    }

    /// Paths of the files of the version last read, below the table.
    pub fn files(&self) -> Result<Vec<String>, TableError> {
        let wrap = |source| TableError::Delta { table: self.table.name(), source };
        let files = self.delta.snapshot().map_err(wrap)?.log_data();
        Ok(files.iter().map(|file| file.path().to_string()).collect())
    }

    /// Performs the changes of these records, in their order: appends in one Delta commit, each
    /// replacement in one of its own. Those at or below the cursor are skipped, so a repeated call
    /// is harmless. Returns the Delta version the table is at.
    pub async fn publish(
        &mut self,
        publications: &[Publication],
    ) -> Result<Option<u64>, TableError> {
        let mut last = String::new();
        let mut attempt = 0;
        let mut all = planted(Mutant::Cursor);
        while attempt < MAX_PUBLISH_ATTEMPTS {
            let is_new = |p: &&Publication| self.cursor.is_none_or(|cursor| cursor < p.seq) || all;
            let mut new: Vec<&Publication> = publications.iter().filter(is_new).collect();
            new.sort_by_key(|publication| publication.seq);
            all = false;
            let together = publication::next_commit(&new);
            let Some(last_new) = together.last().map(|publication| publication.seq) else {
                return Ok(self.delta.version());
            };
            // A cursor never goes back.
            let target = self.cursor.map_or(last_new, |cursor| cursor.max(last_new));
            match self.commit(&together, target).await {
                Ok(version) => {
                    self.cursor = Some(target);
                    self.checkpoint_if_due(version).await;
                    attempt = 0;
                    continue;
                }
                // Every error means unknown: the commit may have landed. The table itself says.
                Err(error) => last = error.to_string(),
            }
            tracing::warn!(
                table = self.table.name(),
                attempt,
                error = last,
                "publish unclear, looking"
            );
            self.backoff.pause(attempt, self.entropy.as_ref()).await;
            match self.reload().await {
                Err(TableError::Delta { source, .. }) => last = source.to_string(),
                other => other?,
            }
            attempt += 1;
        }
        Err(TableError::GaveUp { table: self.table.name(), attempts: MAX_PUBLISH_ATTEMPTS, last })
    }

    /// One attempt, based on the snapshot the cursor was read from: with no retries inside, any
    /// commit by anyone after that snapshot makes it fail instead of doubling files.
    async fn commit(
        &mut self,
        publications: &[&Publication],
        target: u64,
    ) -> Result<u64, DeltaTableError> {
        let version =
            i64::try_from(target).map_err(|_| DeltaTableError::generic("seq too large"))?;
        let first = self.cursor.map_or(0, |cursor| cursor.saturating_add(1));
        let now = self.clock.unix_millis();
        let (operation, is_append) = publication::operation(publications, &self.app_id, version);
        let transaction = Transaction::new_with_last_update(&self.app_id, version, Some(now));
        let properties = CommitProperties::default()
            .with_application_transaction(transaction)
            .with_max_retries(0)
            .with_create_checkpoint(false)
            .with_cleanup_expired_logs(Some(false))
            .with_metadata([
                ("seqFrom".to_owned(), first.into()),
                ("seqTo".to_owned(), target.into()),
                ("isBlindAppend".to_owned(), is_append.into()),
            ]);
        let snapshot = self.delta.snapshot()?;
        let schema = snapshot.schema();
        let actions = publication::actions(publications, (snapshot.metadata(), &schema), now)?;
        pass(CrashPoint::PublishBefore);
        let done = CommitBuilder::from(properties)
            .with_actions(actions)
            .build(Some(snapshot), Arc::clone(&self.log_store), operation)
            .await?;
        pass(CrashPoint::Published);
        self.delta.state = Some(done.snapshot());
        Ok(done.version())
    }

    /// Reads what is new in the table since it was last read.
    pub async fn refresh(&mut self) -> Result<(), TableError> {
        let mut delta = self.delta.clone();
        // From scratch where that fails: the log may have been cut, or the table replaced. And now and then, so
        // that memory does not grow with the table's life.
        let updated = delta.update_state().await.is_ok();
        let new = delta.version().unwrap_or(0).saturating_sub(self.loaded);
        if !updated || new >= CHECKPOINT_INTERVAL {
            return self.reload().await;
        }
        self.take(delta).await
    }

    /// Reads table and cursor anew.
    pub async fn reload(&mut self) -> Result<(), TableError> {
        let table = self.table.name();
        let wrap = |source| TableError::Delta { table, source };
        let mut delta = DeltaTable::new(Arc::clone(&self.log_store));
        if let Err(error) = delta.load().await {
            let is_gone = !is_there(&self.log_store).await.map_err(wrap)?;
            return Err(if is_gone { missing(self.table, self.id.clone()) } else { wrap(error) });
        }
        self.take(delta).await?;
        self.loaded = self.delta.version().unwrap_or(0);
        Ok(())
    }

    async fn take(&mut self, delta: DeltaTable) -> Result<(), TableError> {
        let table = self.table.name();
        let wrap = |source| TableError::Delta { table, source };
        let (id, cursor) = identity(&delta, &self.log_store, &self.app_id).await.map_err(wrap)?;
        if id != self.id {
            let expected = self.id.clone();
            return Err(TableError::Replaced { table, expected, found: id });
        }
        self.delta = delta;
        self.cursor = cursor;
        Ok(())
    }

    /// Every [`CHECKPOINT_INTERVAL`] commits: a checkpoint, the removal of log files past their
    /// retention, and a fresh snapshot so that memory does not grow with the table's life. All
    /// best effort: the commit is done.
    async fn checkpoint_if_due(&mut self, version: u64) {
        if !version.is_multiple_of(CHECKPOINT_INTERVAL) {
            return;
        }
        let table = self.table.name();
        pass(CrashPoint::CheckpointBefore);
        if let Err(error) = checkpoints::create_checkpoint(&self.delta, None).await {
            tracing::warn!(table, version, %error, "no checkpoint written; the next one will do");
        } else if let Err(error) = checkpoints::cleanup_metadata(&self.delta, None).await {
            tracing::warn!(table, version, %error, "expired log files stay a while longer");
        }
        pass(CrashPoint::CheckpointWritten);
        if let Err(error) = self.reload().await {
            tracing::warn!(table, version, %error, "table not re-read; the former snapshot serves");
        }
    }
}

/// A log store over our own store. The URL is only a name below it: with `file` Delta would look
/// for a real directory of that name, with `memory` it takes the store as it is and relies on
/// sorted listings, which every store of [`crate::store`] gives.
pub(super) fn log_store(
    store: Arc<dyn ObjectStore>,
    table: Table,
) -> Result<LogStoreRef, DeltaTableError> {
    let url = Url::parse(&format!("memory:///{}/", table.path()))
        .map_err(|error| DeltaTableError::generic(error.to_string()))?;
    logstore_with(store, &url, StorageConfig::default())
}

/// A new empty table with these columns. One attempt, at version 0: delta-rs answers a lost race with a
/// second metadata action at version 1, which would give the winner's table another id.
pub(super) async fn create(
    log_store: &LogStoreRef,
    table: Table,
    columns: Vec<StructField>,
) -> Result<DeltaTable, DeltaTableError> {
    CreateBuilder::new()
        .with_log_store(Arc::clone(log_store))
        .with_table_name(table.name())
        .with_columns(columns)
        .with_partition_columns(PARTITION_COLUMNS)
        .with_save_mode(SaveMode::Ignore)
        .with_commit_properties(CommitProperties::default().with_max_retries(0))
        .with_configuration([
            ("delta.checkpointInterval", Some(CHECKPOINT_INTERVAL.to_string())),
            ("delta.logRetentionDuration", Some(LOG_RETENTION.to_owned())),
        ])
        .await
}

async fn create_unless_there(log_store: &LogStoreRef, table: Table) -> Result<(), DeltaTableError> {
    // Another worker may have been faster, or the answer got lost: the load that follows says.
    if let Err(error) = create(log_store, table, columns::of(table)?).await {
        tracing::warn!(table = table.name(), %error, "table creation unclear, looking");
    }
    Ok(())
}

/// Whether there is a table. A listing may be late, so what every table has, its first version or else a checkpoint,
/// is asked for by name too.
async fn is_there(log_store: &LogStoreRef) -> Result<bool, DeltaTableError> {
    if log_store.is_delta_table_location().await? {
        return Ok(true);
    }
    Ok(has_object(log_store, "_delta_log/00000000000000000000.json").await?
        || has_object(log_store, "_delta_log/_last_checkpoint").await?)
}

async fn has_object(log_store: &LogStoreRef, key: &str) -> Result<bool, DeltaTableError> {
    match log_store.object_store(None).head(&Path::from(key)).await {
        Ok(_) => Ok(true),
        Err(StoreError::NotFound { .. }) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn missing(table: Table, id: String) -> TableError {
    TableError::Missing { table: table.name(), path: table.path(), id }
}

pub(super) async fn identity(
    delta: &DeltaTable,
    log_store: &LogStoreRef,
    app_id: &str,
) -> Result<(String, Option<u64>), DeltaTableError> {
    let snapshot = delta.snapshot()?;
    let version = snapshot.transaction_version(log_store.as_ref(), app_id).await?;
    let id = snapshot.metadata().id().to_owned();
    Ok((id, version.and_then(|version| u64::try_from(version).ok())))
}
