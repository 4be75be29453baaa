//! The rows the tables have of what is replayed, in the order of their lineage: compared unit by unit with the
//! new ones. They are sorted in pieces and merged, so that memory does not follow their number.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::{AsArray as _, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::{filter_record_batch, interleave_record_batch};
use arrow::error::ArrowError;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ArrowWriter;
use schemas::limits::{REPLAY_MERGE_FILES, REPLAY_RUN_GROUP_ROWS, REPLAY_SORT_BYTES};
use schemas::table::{LINEAGE_INDEX, LINEAGE_OFFSET, LINEAGE_PARTITION, LINEAGE_TOPIC, Table};
use stages::record::TopicPartition;
use tokio_util::task::AbortOnDropHandle;

use super::ReplayError;
use super::covered::Covered;
use super::{journal, rows};
use crate::files::{self, FileError};
use crate::table::delta::PublishedTable;
use crate::upkeep::merge::{Input, Merge, Order};
use crate::upkeep::rewrite::Output;
use crate::upkeep::vacuum::delete_keys;

/// The tables whose rows are compared one by one: a row of theirs stands for one event.
pub const COMPARED: [Table; 2] = [Table::Logs, Table::Spans];
/// The tables whose rows say that an event is not excluded.
pub const KEPT: [Table; 2] = [Table::Logs, Table::DeadLetters];

/// Rows of one piece that are decoded at once.
const PIECE_BATCH_ROWS: usize = 1_024;

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
    Pieces::new(store, (replay, directory), open.table()).sort(open, covered).await
}

/// Sorted pieces being made.
struct Pieces<'a> {
    store: &'a Arc<dyn ObjectStore>,
    replay: &'a str,
    directory: &'a str,
    table: Table,
    /// Those that are written, in the order of their rows' files.
    keys: Vec<Path>,
    /// How many were ever named.
    named: usize,
    /// The piece that is being sorted while the rows of the next one are read.
    sorting: Option<AbortOnDropHandle<Result<Vec<u8>, ReplayError>>>,
}

impl<'a> Pieces<'a> {
    fn new(
        store: &'a Arc<dyn ObjectStore>,
        (replay, directory): (&'a str, &'a str),
        table: Table,
    ) -> Self {
        let (keys, named, sorting) = (Vec::new(), 0, None);
        Self { store, replay, directory, table, keys, named, sorting }
    }

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
                    self.begin(std::mem::take(&mut waiting)).await?;
                    bytes = 0;
                }
            }
        }
        self.write().await?;
        let table = self.table;
        let rest = tokio::task::spawn_blocking(move || sorted(table, &waiting)).await??;
        self.make_few(REPLAY_MERGE_FILES).await?;
        let mut inputs = self.open(&self.keys).await?;
        inputs.push(futures::stream::iter([Ok(rest)]).boxed());
        let merge = Merge::open(self.table, Order::Lineage, inputs).await?;
        Ok(Sorted { merge, pending: None })
    }

    /// Begins to sort a piece, when the one before is written.
    async fn begin(&mut self, batches: Vec<RecordBatch>) -> Result<(), ReplayError> {
        self.write().await?;
        let table = self.table;
        let sorting = tokio::task::spawn_blocking(move || encode(table, &batches));
        self.sorting = Some(AbortOnDropHandle::new(sorting));
        Ok(())
    }

    /// Writes the piece that was being sorted.
    async fn write(&mut self) -> Result<(), ReplayError> {
        let Some(sorting) = self.sorting.take() else { return Ok(()) };
        let bytes = sorting.await??;
        let key = self.name();
        self.store.put(&key, bytes.into()).await?;
        self.keys.push(key);
        Ok(())
    }

    fn name(&mut self) -> Path {
        let name = format!("{}/{}-{}.parquet", self.directory, self.table.name(), self.named);
        self.named += 1;
        journal::key(self.replay, &name)
    }

    /// Merges pieces until there are no more than `most`: a row group of each is in memory while they are read.
    async fn make_few(&mut self, most: usize) -> Result<(), ReplayError> {
        while self.keys.len() > most.max(2) {
            let many = std::mem::take(&mut self.keys);
            for some in many.chunks(most.max(2)) {
                let joined = self.join(some).await?;
                self.keys.push(joined);
            }
            delete_keys(self.store.as_ref(), many.into_iter().map(Ok).collect()).await?;
        }
        Ok(())
    }

    /// Pieces -> one piece.
    async fn join(&mut self, pieces: &[Path]) -> Result<Path, ReplayError> {
        let inputs = self.open(pieces).await?;
        let mut merge = Merge::open(self.table, Order::Lineage, inputs).await?;
        let key = self.name();
        let properties = files::scratch_properties(REPLAY_RUN_GROUP_ROWS);
        let mut output =
            Output::create(Arc::clone(self.store), self.table, key.clone(), properties)?;
        while let Some(rows) = merge.next().await? {
            output.write(&rows).await?;
        }
        output.finish().await?;
        Ok(key)
    }

    async fn open(&self, pieces: &[Path]) -> Result<Vec<Input>, ReplayError> {
        let mut inputs = Vec::with_capacity(pieces.len() + 1);
        for key in pieces {
            inputs.push(rows::whole_at(self.store, self.table, key, PIECE_BATCH_ROWS).await?);
        }
        Ok(inputs)
    }
}

fn sorted(table: Table, batches: &[RecordBatch]) -> Result<RecordBatch, ArrowError> {
    let mut places = Vec::new();
    let topics = Topics::of(batches)?;
    for (number, batch) in batches.iter().enumerate() {
        let lineage = Lineage::of(batch)?;
        let mut topics = topics.ranks(lineage.topics);
        places.extend((0..batch.num_rows()).map(|row| {
            let event = (lineage.partitions.value(row), lineage.offsets.value(row));
            (topics(row), event, lineage.indexes.value(row), (number, row))
        }));
    }
    places.sort_unstable();
    let places: Vec<_> = places.into_iter().map(|(.., place)| place).collect();
    if places.is_empty() {
        return Ok(RecordBatch::new_empty(table.file_schema()));
    }
    interleave_record_batch(&batches.iter().collect::<Vec<_>>(), &places)
}

/// The columns that say where rows come from.
struct Lineage<'r> {
    topics: &'r StringArray,
    partitions: &'r Int32Array,
    offsets: &'r Int64Array,
    indexes: &'r Int32Array,
}

impl<'r> Lineage<'r> {
    fn of(rows: &'r RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            let found = rows.column_by_name(name);
            found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
        };
        Ok(Self {
            topics: column(LINEAGE_TOPIC)?.as_string(),
            partitions: column(LINEAGE_PARTITION)?.as_primitive(),
            offsets: column(LINEAGE_OFFSET)?.as_primitive(),
            indexes: column(LINEAGE_INDEX)?.as_primitive(),
        })
    }
}

/// The topics of some rows, so that rows are sorted by numbers.
struct Topics<'r>(BTreeSet<&'r str>);

impl<'r> Topics<'r> {
    fn of(batches: &'r [RecordBatch]) -> Result<Self, ArrowError> {
        let mut topics = BTreeSet::new();
        for batch in batches {
            let mut last = None;
            for topic in Lineage::of(batch)?.topics.iter().flatten() {
                if last.replace(topic) != Some(topic) {
                    topics.insert(topic);
                }
            }
        }
        Ok(Self(topics))
    }

    /// Which of them a row of this column has, counted in their order. Rows in a row mostly have the same.
    fn ranks<'t>(&'t self, column: &'t StringArray) -> impl FnMut(usize) -> usize + 't {
        let mut last = ("", 0);
        move |row| {
            let topic = column.value(row);
            if topic != last.0 {
                last = (topic, self.0.range(..topic).count());
            }
            last.1
        }
    }
}

fn encode(table: Table, batches: &[RecordBatch]) -> Result<Vec<u8>, ReplayError> {
    let rows = sorted(table, batches)?;
    let write = || {
        let properties = files::scratch_properties(REPLAY_RUN_GROUP_ROWS);
        let mut writer = ArrowWriter::try_new(Vec::new(), table.file_schema(), Some(properties))?;
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
    let Lineage { topics, partitions, offsets, .. } = Lineage::of(rows)?;
    let is_before =
        |row: usize| (topics.value(row), partitions.value(row), offsets.value(row)) < place;
    let (mut low, mut high) = (0, rows.num_rows());
    while low < high {
        let middle = usize::midpoint(low, high);
        if is_before(middle) { low = middle + 1 } else { high = middle }
    }
    Ok(low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::log_rows;
    use object_store::memory::InMemory;

    /// Rows with these offsets.
    fn rows_at(offsets: &[i64]) -> RecordBatch {
        let rows = log_rows(&vec!["a"; offsets.len()], 0);
        let place = rows.schema_ref().index_of(LINEAGE_OFFSET).expect("a column");
        let mut columns = rows.columns().to_vec();
        columns[place] = Arc::new(Int64Array::from(offsets.to_vec()));
        RecordBatch::try_new(rows.schema(), columns).expect("the columns fit")
    }

    #[tokio::test]
    async fn pieces_too_many_to_be_read_at_once_become_few_and_keep_every_row_in_order() {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let mut pieces = Pieces::new(&store, ("r", "old"), Table::Logs);
        for piece in 0..7 {
            // Each has rows between those of the others, backwards.
            let offsets: Vec<i64> = (0..10).rev().map(|row| row * 7 + piece).collect();
            pieces.begin(vec![rows_at(&offsets)]).await.expect("begins");
        }
        pieces.write().await.expect("writes");
        assert_eq!(pieces.keys.len(), 7);
        pieces.make_few(2).await.expect("joins");
        assert_eq!(pieces.keys.len(), 2);
        let stored = store.list(None).map_ok(|meta| meta.location).try_collect::<Vec<_>>();
        assert_eq!(stored.await.expect("lists").len(), 2, "those that were joined are gone");
        let inputs = pieces.open(&pieces.keys).await.expect("opens");
        let mut merge = Merge::open(Table::Logs, Order::Lineage, inputs).await.expect("opens");
        let mut found = Vec::new();
        while let Some(rows) = merge.next().await.expect("merges") {
            found.extend_from_slice(Lineage::of(&rows).expect("has them").offsets.values());
        }
        assert_eq!(found, (0..70).collect::<Vec<_>>());
    }
}
