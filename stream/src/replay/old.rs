//! The rows the tables have of what is replayed, in the order of their lineage: compared unit by unit with the
//! new ones. They are sorted in pieces and merged, so that memory does not follow their number.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::compute::{
    SortColumn, concat_batches, filter_record_batch, lexsort_to_indices, take_record_batch,
};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::error::ArrowError;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ArrowWriter;
use schemas::limits::{REPLAY_RUN_GROUP_ROWS, REPLAY_SORT_BYTES};
use schemas::table::{LINEAGE_OFFSET, LINEAGE_PARTITION, LINEAGE_TOPIC, Table};
use stages::record::TopicPartition;

use super::ReplayError;
use super::covered::Covered;
use super::{journal, rows};
use crate::files::{self, FileError};
use crate::table::delta::PublishedTable;
use crate::upkeep::merge::{Input, Merge, Order};

/// The tables whose rows are compared one by one: a row of theirs stands for one event.
pub const COMPARED: [Table; 2] = [Table::Logs, Table::Spans];
/// The tables whose rows say that an event is not excluded.
pub const KEPT: [Table; 2] = [Table::Logs, Table::DeadLetters];

/// Old rows of some tables.
pub struct OldRows(BTreeMap<Table, Sorted>);

impl std::fmt::Debug for OldRows {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OldRows").finish_non_exhaustive()
    }
}

impl OldRows {
    /// Sorts the covered rows of these tables, in the version last read.
    ///
    /// # Errors
    /// A file can not be read, or storage fails.
    pub async fn open(
        store: &Arc<dyn ObjectStore>,
        tables: &BTreeMap<Table, PublishedTable>,
        of: &[Table],
        covered: &Covered,
        replay: &str,
    ) -> Result<Self, ReplayError> {
        journal::clear(store, replay, "old").await?;
        let mut old = BTreeMap::new();
        for table in of {
            if let Some(open) = tables.get(table) {
                old.insert(*table, sort(store, (replay, "old"), open, covered).await?);
            }
        }
        Ok(Self(old))
    }

    /// The rows of these offsets. Ask in order: rows before them are thrown away.
    ///
    /// # Errors
    /// A sorted piece can not be read.
    pub async fn of(
        &mut self,
        partition: &TopicPartition,
        from: i64,
        to: i64,
    ) -> Result<BTreeMap<Table, Vec<RecordBatch>>, ReplayError> {
        let mut found = BTreeMap::new();
        for (table, sorted) in &mut self.0 {
            let mut before = Vec::new();
            sorted.until(partition, from, &mut before).await?;
            let mut rows = Vec::new();
            sorted.until(partition, to, &mut rows).await?;
            found.insert(*table, rows);
        }
        Ok(found)
    }
}

/// Sorts the covered rows of a table; pieces go to this directory of the replay's.
pub(super) async fn sort(
    store: &Arc<dyn ObjectStore>,
    (replay, directory): (&str, &str),
    open: &PublishedTable,
    covered: &Covered,
) -> Result<Sorted, ReplayError> {
    let pieces = Pieces { store, replay, directory, table: open.table(), inputs: Vec::new() };
    pieces.sort(open, covered).await
}

/// Sorted pieces being made.
struct Pieces<'a> {
    store: &'a Arc<dyn ObjectStore>,
    replay: &'a str,
    directory: &'a str,
    table: Table,
    inputs: Vec<Input>,
}

impl Pieces<'_> {
    async fn sort(
        mut self,
        open: &PublishedTable,
        covered: &Covered,
    ) -> Result<Sorted, ReplayError> {
        let (mut waiting, mut bytes) = (Vec::new(), 0);
        for affected in rows::affected(self.store, open, covered).await? {
            let mut all = rows::whole(self.store, self.table, &affected.file.path, 8_192).await?;
            while let Some(batch) = all.try_next().await? {
                let mask = covered.mask(self.table, &batch)?;
                let batch = filter_record_batch(&batch, &mask)?;
                bytes += batch.get_array_memory_size();
                waiting.push(batch);
                if bytes >= REPLAY_SORT_BYTES {
                    self.write(std::mem::take(&mut waiting)).await?;
                    bytes = 0;
                }
            }
        }
        let table = self.table;
        let rest = tokio::task::spawn_blocking(move || sorted(table, &waiting)).await??;
        self.inputs.push(futures::stream::iter([Ok(rest)]).boxed());
        let merge = Merge::open(self.table, Order::Lineage, self.inputs).await?;
        Ok(Sorted { merge, pending: None })
    }

    async fn write(&mut self, batches: Vec<RecordBatch>) -> Result<(), ReplayError> {
        let table = self.table;
        let bytes = tokio::task::spawn_blocking(move || encode(table, &batches)).await??;
        let name = format!("{}/{}-{}.parquet", self.directory, table.name(), self.inputs.len());
        let key = journal::key(self.replay, &name);
        self.store.put(&key, bytes.into()).await?;
        self.inputs.push(rows::whole_at(self.store, table, &key, 1_024).await?);
        Ok(())
    }
}

fn sorted(table: Table, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let rows = concat_batches(&table.file_schema(), batches)?;
    let keys = Order::Lineage.keys(table, &rows)?;
    let keys: Vec<SortColumn> =
        keys.into_iter().map(|values| SortColumn { values, options: None }).collect();
    take_record_batch(&rows, &lexsort_to_indices(&keys, None)?)
}

fn encode(table: Table, batches: &[RecordBatch]) -> Result<Vec<u8>, ReplayError> {
    let rows = sorted(table, batches)?;
    let write = || {
        let properties = files::properties(table, rows.num_rows())?.into_builder();
        let properties = properties.set_max_row_group_row_count(Some(REPLAY_RUN_GROUP_ROWS));
        let schema = table.file_schema();
        let mut writer = ArrowWriter::try_new(Vec::new(), schema, Some(properties.build()))?;
        writer.write(&rows)?;
        writer.into_inner()
    };
    Ok(write().map_err(|source| FileError::Encode { table: table.name(), source })?)
}

/// Rows of one table in the order of their lineage.
pub(super) struct Sorted {
    merge: Merge,
    pending: Option<RecordBatch>,
}

impl Sorted {
    /// Takes the rows before this offset of this partition.
    async fn until(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
        into: &mut Vec<RecordBatch>,
    ) -> Result<(), ArrowError> {
        while let Some(rows) = self.some(partition, offset).await? {
            into.push(rows);
        }
        Ok(())
    }

    /// Takes some of the rows before this offset of this partition; `None` when there are no more.
    pub(super) async fn some(
        &mut self,
        partition: &TopicPartition,
        offset: i64,
    ) -> Result<Option<RecordBatch>, ArrowError> {
        let mut next = self.pending.take();
        while next.as_ref().is_none_or(|rows| rows.num_rows() == 0) {
            next = self.merge.next().await?;
            if next.is_none() {
                return Ok(None);
            }
        }
        let Some(batch) = next else { return Ok(None) };
        let count = before(&batch, (&*partition.topic, partition.partition, offset))?;
        if count < batch.num_rows() {
            self.pending = Some(batch.slice(count, batch.num_rows() - count));
        }
        Ok((count > 0).then(|| batch.slice(0, count)))
    }
}

/// How many rows, in the order of their lineage, come before this place.
fn before(rows: &RecordBatch, place: (&str, i32, i64)) -> Result<usize, ArrowError> {
    let column = |name: &str| {
        let found = rows.column_by_name(name);
        found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
    };
    let topics = column(LINEAGE_TOPIC)?.as_string::<i32>();
    let partitions = column(LINEAGE_PARTITION)?.as_primitive::<Int32Type>();
    let offsets = column(LINEAGE_OFFSET)?.as_primitive::<Int64Type>();
    let is_before =
        |row: usize| (topics.value(row), partitions.value(row), offsets.value(row)) < place;
    let (mut low, mut high) = (0, rows.num_rows());
    while low < high {
        let middle = usize::midpoint(low, high);
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}
