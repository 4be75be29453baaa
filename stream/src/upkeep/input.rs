//! A stored file -> its rows, and what they hold of memory until they are used up.

use bytes::Bytes;
use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::metadata::{ColumnChunkMetaData, RowGroupMetaData};
use schemas::limits::{MAX_READ_BATCH_BYTES, MERGE_BATCH_ROWS, MERGE_CONCURRENT_READS};
use schemas::table::Table;

use super::merge::Input;
use super::rewrite::RewriteError;
use crate::files;
use crate::table::contents::TableFile;

/// What the decoder of one column holds beside its pages: zstd's context.
const DECODER_BYTES: usize = 96 << 10;
/// Pages of one column that are decompressed at once, at most: one of values and the dictionary, of 1 MiB each
/// as files are written.
const MAX_PAGES_BYTES: usize = 2 << 20;

/// A file as it is stored, in memory, and its footer.
pub(super) struct Stored {
    table: Table,
    key: Path,
    builder: ParquetRecordBatchReaderBuilder<Bytes>,
    rows: usize,
    /// Of all its rows in memory.
    decoded: usize,
    /// Of the file as it is stored.
    encoded: usize,
    /// Of its decoders.
    decoders: usize,
}

impl Stored {
    /// Fetches a file of the table.
    pub(super) async fn fetch(
        store: &dyn ObjectStore,
        table: Table,
        path: &str,
    ) -> Result<Self, RewriteError> {
        let key = Path::from(format!("{}/{path}", table.path()));
        let missing = |source| RewriteError::Store { path: key.to_string(), source };
        let bytes = store.get(&key).await.map_err(missing)?.bytes().await.map_err(missing)?;
        let encoded = bytes.len();
        let wrap = |source| RewriteError::Parquet { path: key.to_string(), source };
        let builder = ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(wrap)?;
        let groups = builder.metadata().row_groups();
        let rows: i64 = groups.iter().map(|group| group.num_rows()).sum();
        let rows = usize::try_from(rows).unwrap_or(usize::MAX);
        let decoded = groups.iter().map(decoded_bytes).sum();
        let decoders = groups.iter().map(decoder_bytes).max().unwrap_or(0);
        Ok(Self { table, key, builder, rows, decoded, encoded, decoders })
    }

    /// As many of the files as fit in so many bytes together, from the first on; two at least.
    pub(super) async fn fetch_some(
        store: &dyn ObjectStore,
        table: Table,
        files: &[TableFile],
        room: usize,
    ) -> Result<Vec<Self>, RewriteError> {
        let (mut some, mut held) = (Vec::new(), 0_usize);
        let mut fetched = futures::stream::iter(files)
            .map(|file| Self::fetch(store, table, &file.path))
            .buffered(MERGE_CONCURRENT_READS);
        while let Some(file) = fetched.try_next().await? {
            held = held.saturating_add(file.held());
            if some.len() >= 2 && held > room {
                break;
            }
            some.push(file);
        }
        Ok(some)
    }

    /// Bytes it holds while it is read, about, but for the batch that is handed out.
    pub(super) fn held(&self) -> usize {
        if self.is_small() { self.decoded } else { self.encoded + self.decoders }
    }

    /// Whether its rows take less than its decoders would.
    fn is_small(&self) -> bool {
        self.decoded <= self.decoders
    }

    /// The rows, as the table's columns; `share` bounds the bytes of a batch. A small file is decoded at once, so
    /// that it holds neither its bytes nor decoders.
    pub(super) fn read(self, share: usize) -> Result<Input, RewriteError> {
        let is_small = self.is_small();
        let share = if is_small { MAX_READ_BATCH_BYTES } else { share.min(MAX_READ_BATCH_BYTES) };
        let row_bytes = (self.decoded / self.rows.max(1)).max(1);
        let batch = (share / row_bytes).clamp(1, MERGE_BATCH_ROWS);
        let wrap = |source| RewriteError::Parquet { path: self.key.to_string(), source };
        let reader = self.builder.with_batch_size(batch).build().map_err(wrap)?;
        let schema = self.table.file_schema();
        let rows = reader.map(move |batch| files::as_table(&schema, batch?));
        if is_small {
            let rows: Vec<_> = rows.collect();
            return Ok(futures::stream::iter(rows).boxed());
        }
        Ok(futures::stream::iter(rows).boxed())
    }
}

/// About what the rows of a group take in memory. Encoded sizes say little of it: a value that is repeated costs
/// next to nothing there, and its length in every row here.
fn decoded_bytes(group: &RowGroupMetaData) -> usize {
    /// Of a value's own: a number, or an offset and its share of what says which are null.
    const VALUE: i64 = 8;
    let column = |column: &ColumnChunkMetaData| {
        let text = column.unencoded_byte_array_data_bytes();
        let text = text.unwrap_or_else(|| column.uncompressed_size());
        size(text.saturating_add(column.num_values().saturating_mul(VALUE)))
    };
    group.columns().iter().map(column).sum()
}

/// About what the decoders of a group take.
fn decoder_bytes(group: &RowGroupMetaData) -> usize {
    let pages =
        |column: &ColumnChunkMetaData| size(column.uncompressed_size()).min(MAX_PAGES_BYTES);
    group.columns().iter().map(|column| DECODER_BYTES + pages(column)).sum()
}

fn size(bytes: i64) -> usize {
    usize::try_from(bytes).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::System;
    use crate::fixture::log_rows;
    use crate::upkeep::rewrite::Rewriter;
    use object_store::memory::InMemory;
    use schemas::time::EventTime;
    use std::sync::Arc;
    use tokio_util::sync::CancellationToken;

    /// Writes rows with these services into files; how they are stored.
    async fn written(files: &[&[&str]]) -> (Arc<dyn ObjectStore>, Vec<TableFile>) {
        let system = System::shared();
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (clock, entropy, stop) = (system.clone(), system, CancellationToken::new());
        let rewriter = Rewriter { store: Arc::clone(&store), clock, entropy, stop };
        let mut stored = Vec::new();
        for (number, services) in files.iter().enumerate() {
            let path = format!("f{number}");
            let rows = i64::try_from(services.len()).expect("few");
            let properties = rewriter.properties(Table::Logs, &path, rows).expect("properties");
            let mut output = rewriter.create(Table::Logs, &path, properties).expect("begins");
            output.write(&log_rows(services, 0)).await.expect("writes");
            let size = output.finish().await.expect("finishes").cast_signed();
            let hour = EventTime::from_nanos(0).hour();
            stored.push(TableFile { path, hour, size, rows, modified_millis: 0 });
        }
        (store, stored)
    }

    #[tokio::test]
    async fn batches_of_rows_that_repeat_are_as_small_in_memory_as_those_of_others() {
        const SHARE: usize = 256 << 10;
        let long = "service ".repeat(50);
        let (store, files) = written(&[&vec![long.as_str(); 20_000]]).await;
        assert!(files[0].size < 400_000, "{} bytes for 8 MB: they repeat", files[0].size);
        let stored = Stored::fetch(&*store, Table::Logs, "f0").await.expect("opens");
        assert!(stored.held() < 4 << 20, "{} bytes: more than decoders", stored.held());
        let mut input = stored.read(SHARE).expect("reads");
        let mut found = 0;
        while let Some(batch) = input.try_next().await.expect("reads") {
            let bytes = batch.get_array_memory_size();
            assert!(bytes < 2 * SHARE, "{} rows in {bytes} bytes", batch.num_rows());
            found += batch.num_rows();
        }
        assert_eq!(found, 20_000);
    }

    #[tokio::test]
    async fn a_small_file_holds_its_rows_and_no_decoders() {
        let (store, _) = written(&[&["a"; 100]]).await;
        let stored = Stored::fetch(&*store, Table::Logs, "f0").await.expect("opens");
        let held = stored.held();
        let mut input = stored.read(1).expect("reads");
        let batch = input.try_next().await.expect("reads").expect("has rows");
        let bytes = batch.get_array_memory_size();
        assert_eq!(batch.num_rows(), 100, "all at once, whatever the share");
        assert!(held < 100_000 && bytes < 2 * held, "{held} bytes were foretold, {bytes} it is");
    }

    #[tokio::test]
    async fn of_many_files_as_many_are_held_as_there_is_room_for_and_two_at_least() {
        let (store, files) = written(&[&["a"; 100][..]; 9]).await;
        let one = Stored::fetch(&*store, Table::Logs, "f0").await.expect("opens").held();
        for (room, expected) in [(0, 2), (5 * one, 5), (5 * one - 1, 4), (100 * one, 9)] {
            let some = Stored::fetch_some(&*store, Table::Logs, &files, room).await;
            assert_eq!(some.expect("opens").len(), expected, "room for {room} bytes");
        }
    }
}
