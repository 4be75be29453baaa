//! Sorted files -> their rows in one order: a k-way merge that holds one batch per file.

use std::cmp::Ordering;

use arrow::array::RecordBatch;
use arrow::compute::interleave_record_batch;
use arrow::error::ArrowError;
use arrow::row::{RowConverter, Rows, SortField};
use futures::stream::BoxStream;
use futures::{StreamExt as _, TryStreamExt as _};
use schemas::limits::{MERGE_BATCH_BYTES, MERGE_BATCH_ROWS};
use schemas::table::Table;

/// Batches of one file, in the table's order.
pub(super) type Input = BoxStream<'static, Result<RecordBatch, ArrowError>>;

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

/// The merge.
pub(super) struct Merge {
    converter: RowConverter,
    columns: Vec<usize>,
    cursors: Vec<Cursor>,
    /// Cursors with rows left; a heap, the smallest row first.
    heap: Vec<usize>,
    /// Batches that rows of the next output come from.
    batches: Vec<RecordBatch>,
}

impl Merge {
    /// Reads the first batch of every file.
    pub(super) async fn open(table: Table, inputs: Vec<Input>) -> Result<Self, ArrowError> {
        let schema = table.file_schema();
        let columns: Result<Vec<usize>, ArrowError> =
            table.sort_columns().iter().map(|name| schema.index_of(name)).collect();
        let columns = columns?;
        let field = |column: &usize| SortField::new(schema.field(*column).data_type().clone());
        let converter = RowConverter::new(columns.iter().map(field).collect())?;
        let (cursors, heap, batches) = (Vec::new(), Vec::new(), Vec::new());
        let mut merge = Self { converter, columns, cursors, heap, batches };
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
    pub(super) async fn next(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        self.forget_used_batches();
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

    /// The next batch of a file that is used up; whether there was one.
    async fn refill(&mut self, number: usize) -> Result<bool, ArrowError> {
        let Some(cursor) = self.cursors.get_mut(number) else { return Ok(false) };
        let Some(batch) = next_rows(&mut cursor.input).await? else { return Ok(false) };
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
        let columns: Vec<_> = self.columns.iter().map(|c| batch.column(*c).clone()).collect();
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
        let mut merge = Merge::open(Table::Logs, inputs).await.expect("opens");
        let mut out = Vec::new();
        while let Some(batch) = merge.next().await.expect("merges") {
            assert!(batch.num_rows() > 0);
            out.push(batch);
        }
        out
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
