//! Tests of the files as other readers see them.

use super::*;
use crate::fixture;
use object_store::memory::InMemory;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::reader::FileReader as _;
use parquet::file::serialized_reader::SerializedFileReader;

#[tokio::test]
async fn a_file_has_its_rows_page_index_and_bloom_filters_where_the_add_says() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let system = crate::clock::System::shared();
    let writer = FileWriter {
        store: store.clone(),
        clock: system.clone(),
        entropy: system,
        backoff: crate::commit_log::log::TEST_BACKOFF,
    };
    let rows = fixture::log_rows(&["b", "a"], 1_714_219_200_000_000);
    let hour = schemas::time::EventTime::from_nanos(1_714_219_200_000_000_000).hour();
    let empty = FilePlan { table: Table::Spans, hour, batches: Vec::new() };
    let plan = FilePlan { table: Table::Logs, hour, batches: vec![rows.clone(), rows] };
    let adds = writer.write("w-1", vec![empty, plan]).await.expect("written");
    let [add] = &adds[..] else { panic!("one file: {adds:?}") };
    assert!(add.path.starts_with("date=2024-04-27/hour=12/part-w-1-"), "{}", add.path);
    let key = Path::from(format!("tables/logs/{}", add.path));
    let bytes = store.get(&key).await.expect("there").bytes().await.expect("readable");
    assert_eq!((bytes.len() as i64, add.rows), (add.size, 4));
    let reader = SerializedFileReader::new(bytes.clone()).expect("Parquet");
    let group = reader.metadata().row_group(0);
    for (index, field) in Table::Logs.file_schema().fields().iter().enumerate() {
        let column = group.columns().iter().find(|c| c.column_path().string() == *field.name());
        let Some(column) = column else { continue };
        let bloom = Table::Logs.bloom_columns().contains(&field.name().as_str());
        assert_eq!(column.bloom_filter_offset().is_some(), bloom, "{index} {}", field.name());
        assert!(column.column_index_offset().is_some(), "page index of {}", field.name());
    }
    let read = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("opens").build();
    let read: Vec<_> = read.expect("reads").collect::<Result<_, _>>().expect("rows");
    assert_eq!(read.iter().map(RecordBatch::num_rows).sum::<usize>(), 4);
}

#[test]
fn a_name_we_give_is_ours_and_what_others_write_is_not() {
    let hour = schemas::time::EventTime::from_nanos(1_714_219_200_000_000_000).hour();
    for unit in ["w-1", "operator-0badcafe", "compact", "issues-ab-3", "replay"] {
        let path = relative_path(hour, unit, 7);
        assert!(is_ours(&path), "{path}");
    }
    let id = "00000000-0000-4000-8000-000000000007";
    for foreign in [
        // As Spark and delta-rs name theirs.
        &format!("date=2024-04-27/hour=12/part-00000-{id}.c000.snappy.parquet"),
        &format!("date=2024-04-27/hour=12/part-00001-{id}-c000.snappy.parquet"),
        &format!("date=2024-04-27/hour=24/part-w-{id}.parquet"),
        &format!("date=2024-04-27/hour=12/part-old/w-{id}.parquet"),
        &format!("hour=12/date=2024-04-27/part-w-{id}.parquet"),
        &format!("part-w-{id}.parquet"),
        &format!("_replay/r/run-{id}.parquet"),
        "date=2024-04-27/hour=12/part-w-1.parquet",
        "export.parquet",
    ] {
        assert!(!is_ours(foreign), "{foreign}");
    }
}
