//! Sorted files -> their rows in one order: a k-way merge that holds one batch per file.

use std::cmp::Ordering;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray as _, Int32Array, RecordBatch, TimestampMicrosecondArray};
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use schemas::limits::{MERGE_BATCH_BYTES, MERGE_BATCH_ROWS};
use schemas::table::{LINEAGE_INDEX, LINEAGE_OFFSET, LINEAGE_PARTITION, LINEAGE_TOPIC, Table};

/// Batches of one file, in the table's order.
pub(crate) type Input = BoxStream<'static, Result<RecordBatch, ArrowError>>;

/// One file's place in the merge.
struct Cursor {
    input: Input,
    /// Its current batch, by its place among the merge's batches.
    batch: usize,
    keys: Rows,
    row: usize,
    /// Bytes of a row, on average over the batch.
    row_bytes: usize,
}

/// What rows are merged by; every input must be in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// The order of a file.
    File,
    /// By event hour, then the order of a file.
    Hour,
    /// Where rows come from.
    Lineage,
}

impl Order {
    fn columns(self, table: Table) -> &'static [&'static str] {
        match self {
            Self::File | Self::Hour => table.sort_columns(),
            Self::Lineage => &[LINEAGE_TOPIC, LINEAGE_PARTITION, LINEAGE_OFFSET, LINEAGE_INDEX],
        }
    }

    /// The columns rows are compared by.
    pub(crate) fn keys(
        self,
        table: Table,
        rows: &RecordBatch,
    ) -> Result<Vec<ArrayRef>, ArrowError> {
        let mut keys = Vec::new();
        if self == Self::Hour {
            keys.push(Arc::new(hours(rows)?) as ArrayRef);
        }
        for name in self.columns(table) {
            keys.push(Arc::clone(rows.column(rows.schema_ref().index_of(name)?)));
        }
        Ok(keys)
    }
}

/// The event hour of every row, counted from the epoch. The time comes first in every table.
pub(crate) fn hours(rows: &RecordBatch) -> Result<Int32Array, ArrowError> {
    let times = rows.columns().first().and_then(|column| column.as_primitive_opt());
    let times: &TimestampMicrosecondArray =
        times.ok_or_else(|| ArrowError::SchemaError("the first column is no time".to_owned()))?;
    let hour = |micros: i64| i32::try_from(micros.div_euclid(3_600_000_000)).unwrap_or(i32::MAX);
    Ok(times.values().iter().map(|micros| hour(*micros)).collect())
}

/// The merge.
pub(crate) struct Merge {
    table: Table,
    order: Order,
    converter: RowConverter,
    cursors: Vec<Cursor>,
    /// Cursors with rows left; a heap, the smallest row first.
    heap: Vec<usize>,
    /// Batches that rows of the next output come from.
    batches: Vec<RecordBatch>,
}

impl Merge {
    /// Reads the first batch of every file.
    pub(crate) async fn open(
        table: Table,
        order: Order,
        inputs: Vec<Input>,
    ) -> Result<Self, ArrowError> {
        let empty = RecordBatch::new_empty(table.file_schema());
        let keys = order.keys(table, &empty)?;
        let field = |key: &ArrayRef| SortField::new(key.data_type().clone());
        let converter = RowConverter::new(keys.iter().map(field).collect())?;
        let (cursors, heap, batches) = (Vec::new(), Vec::new(), Vec::new());
        let mut merge = Self { table, order, converter, cursors, heap, batches };
        for mut input in inputs {
            if let Some(batch) = next_rows(&mut input).await? {
                let (keys, row_bytes) = merge.keys(&batch)?;
                let place = merge.batches.len();
                merge.batches.push(batch);
                merge.cursors.push(Cursor { input, batch: place, keys, row: 0, row_bytes });
            }
        }
        merge.heap = (0..merge.cursors.len()).collect();
        for place in (0..merge.heap.len() / 2).rev() {
            merge.sift_down(place);
        }
        Ok(merge)
    }

    /// The next rows in order; `None` at the end.
    pub(crate) async fn next(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.forget_used_batches();
        if let [last] = self.heap.as_slice() {
            return self.rest(*last).await;
        }
        let mut rows = Vec::new();
        let mut bytes = 0;
        while let Some(&number) = self.heap.first() {
            if rows.len() >= MERGE_BATCH_ROWS || bytes >= MERGE_BATCH_BYTES {
                break;
            }
            let Some(cursor) = self.cursors.get_mut(number) else { break };
            rows.push((cursor.batch, cursor.row));
            bytes += cursor.row_bytes;
            cursor.row += 1;
            if cursor.row >= cursor.keys.num_rows() && !self.refill(number).await? {
                self.heap.swap_remove(0);
            }
            self.sift_down(0);
        }
        if rows.is_empty() {
            return Ok(None);
        }
        let batches: Vec<&RecordBatch> = self.batches.iter().collect();
        interleave_record_batch(&batches, &rows).map(Some)
    }

    /// The next rows of the only file that has some left: as they are, without a copy.
    async fn rest(&mut self, number: usize) -> Result<Option<RecordBatch>, ArrowError> {
        let Some(cursor) = self.cursors.get_mut(number) else { return Ok(None) };
        let Some(batch) = self.batches.get(cursor.batch) else { return Ok(None) };
        let room = (MERGE_BATCH_BYTES / cursor.row_bytes.max(1)).clamp(1, MERGE_BATCH_ROWS);
        let rows = batch.slice(cursor.row, room.min(batch.num_rows() - cursor.row));
        cursor.row += rows.num_rows();
        if cursor.row >= batch.num_rows() && !self.refill(number).await? {
            self.heap.clear();
        }
        Ok(Some(rows))
    }

    /// The next batch of a file that is used up; whether there was one.
    async fn refill(&mut self, number: usize) -> Result<bool, ArrowError> {
        let Some(cursor) = self.cursors.get_mut(number) else { return Ok(false) };
        let Some(batch) = next_rows(&mut cursor.input).await? else {
            // The file's bytes and its decoders go now, not with the merge.
            cursor.input = futures::stream::empty().boxed();
            return Ok(false);
        };
        let (keys, row_bytes) = self.keys(&batch)?;
        let place = self.batches.len();
        self.batches.push(batch);
        if let Some(cursor) = self.cursors.get_mut(number) {
            (cursor.batch, cursor.row) = (place, 0);
            (cursor.keys, cursor.row_bytes) = (keys, row_bytes);
        }
        Ok(true)
    }

    fn keys(&self, batch: &RecordBatch) -> Result<(Rows, usize), ArrowError> {
        let columns = self.order.keys(self.table, batch)?;
        let row_bytes = batch.get_array_memory_size() / batch.num_rows().max(1);
        Ok((self.converter.convert_columns(&columns)?, row_bytes))
    }

    /// Keeps only the batches that cursors still stand in.
    fn forget_used_batches(&mut self) {
        let mut kept = Vec::with_capacity(self.heap.len());
        for number in &self.heap {
            if let Some(cursor) = self.cursors.get_mut(*number)
                && let Some(batch) = self.batches.get(cursor.batch)
            {
                cursor.batch = kept.len();
                kept.push(batch.clone());
            }
        }
        self.batches = kept;
    }

    /// The order of two cursors' rows; of equal rows, the file named first comes first.
    fn order(&self, a: usize, b: usize) -> Ordering {
        let key = |number: usize| {
            let cursor = self.cursors.get(number)?;
            (cursor.row < cursor.keys.num_rows()).then(|| cursor.keys.row(cursor.row))
        };
        key(a).cmp(&key(b)).then(a.cmp(&b))
    }

    fn sift_down(&mut self, mut place: usize) {
        loop {
            let mut least = place;
            for child in [2 * place + 1, 2 * place + 2] {
                if let (Some(a), Some(b)) = (self.heap.get(child), self.heap.get(least))
                    && self.order(*a, *b) == Ordering::Less
                {
                    least = child;
                }
            }
            if least == place {
                return;
            }
            self.heap.swap(place, least);
            place = least;
        }
    }
}

async fn next_rows(input: &mut Input) -> Result<Option<RecordBatch>, ArrowError> {
    let mut some = input.by_ref().try_filter(|batch| {
        let has_rows = batch.num_rows() > 0;
        futures::future::ready(has_rows)
    });
    some.try_next().await
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::log_rows;
    use crate::upkeep::fingerprint::Fingerprint;
    use arrow::compute::concat_batches;
    use proptest::prelude::*;
    use stages::columns;

    fn input(batches: Vec<RecordBatch>) -> Input {
        futures::stream::iter(batches.into_iter().map(Ok)).boxed()
    }

    async fn merged(inputs: Vec<Vec<RecordBatch>>) -> Vec<RecordBatch> {
        let inputs = inputs.into_iter().map(input).collect();
        let mut merge = Merge::open(Table::Logs, Order::File, inputs).await.expect("opens");
        let mut out = Vec::new();
        while let Some(batch) = merge.next().await.expect("merges") {
            assert!(batch.num_rows() > 0);
            out.push(batch);
        }
        out
    }

    #[tokio::test]
    async fn a_file_that_is_used_up_is_let_go_of_while_the_merge_goes_on() {
        let file = Arc::new(());
        let watched = Arc::downgrade(&file);
        let short = futures::stream::iter([Ok(log_rows(&["a"], 0))]);
        let short = short.inspect(move |_| assert_eq!(Arc::strong_count(&file), 1)).boxed();
        let long = input(vec![log_rows(&["b"], 0), log_rows(&["c"], 0)]);
        let mut merge =
            Merge::open(Table::Logs, Order::File, vec![short, long]).await.expect("opens");
        assert!(watched.upgrade().is_some(), "it may have more");
        while merge.next().await.expect("merges").is_some() {}
        assert!(watched.upgrade().is_none(), "held as long as the merge");
        drop(merge);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn the_merge_of_sorted_files_is_the_sort_of_all_their_rows(
            files in prop::collection::vec((prop::collection::vec("[a-c]{0,2}", 0..40), 1..9usize), 0..6),
        ) {
            let mut all = Vec::new();
            let mut inputs = Vec::new();
            for (number, (services, cut)) in files.iter().enumerate() {
                let services: Vec<&str> = services.iter().map(String::as_str).collect();
                let rows = log_rows(&services, 7 * i64::try_from(number).expect("few"));
                let rows = columns::sort(Table::Logs, &rows).expect("sorts");
                let parts = (0..rows.num_rows()).step_by(*cut);
                inputs.push(parts.map(|at| rows.slice(at, (*cut).min(rows.num_rows() - at))).collect());
                all.push(rows);
            }
            let schema = Table::Logs.file_schema();
            let sorted = concat_batches(&schema, &all).expect("joins");
            let sorted = columns::sort(Table::Logs, &sorted).expect("sorts");
            let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
            let merged = runtime.block_on(merged(inputs));
            prop_assert_eq!(concat_batches(&schema, &merged).expect("joins"), sorted.clone());
            let of = |batches: &[RecordBatch]| {
                let mut fingerprint = Fingerprint::default();
                batches.iter().for_each(|batch| fingerprint.add(batch).expect("known types"));
                fingerprint
            };
            prop_assert_eq!(of(&merged), of(&[sorted]));
        }
    }
}
