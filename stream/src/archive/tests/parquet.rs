//! Parquet of others, and of our own table.

use super::*;

use ::bytes::Bytes;
use ::parquet::arrow::ArrowWriter;
use ::parquet::file::properties::WriterProperties;
use arrow::array::{Int64Array, RecordBatch, StringArray, TimestampMillisecondArray};
use schemas::topic::{Format, Signal};
use stages::columns::{Lineage, LogColumns, TableColumns};
use stages::pipeline::{MetricWindows, Pipeline, config};
use stages::record::Record;

fn write(batch: &RecordBatch, group: usize) -> Vec<u8> {
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(group)).build();
    let mut out = Vec::new();
    let mut writer =
        ArrowWriter::try_new(&mut out, batch.schema(), Some(properties)).expect("begins");
    writer.write(batch).expect("writes");
    writer.close().expect("ends");
    out
}

/// Three rows of somebody else's, two row groups.
pub(super) fn foreign() -> Vec<u8> {
    let batch = RecordBatch::try_from_iter([
        (
            "timestamp",
            Arc::new(TimestampMillisecondArray::from(vec![1, 2, 3]).with_timezone("UTC")) as _,
        ),
        ("Body", Arc::new(StringArray::from(vec!["one", "two\nlines", "three"])) as _),
        ("code", Arc::new(Int64Array::from(vec![Some(1), None, Some(3)])) as _),
    ]);
    write(&batch.expect("columns"), 2)
}

#[tokio::test]
async fn a_foreign_column_keeps_its_type_and_a_missing_value_is_missing() {
    let store = store([("x.parquet", foreign())]).await;
    let batch = open(&store, "x.parquet").await.read(&Position::default(), 1 << 20).await;
    let payloads: Vec<String> = batch
        .expect("reads")
        .records
        .into_iter()
        .map(|record| String::from_utf8(record.payload).expect("JSON"))
        .collect();
    assert_eq!(payloads[0], r#"{"timestamp":"1970-01-01T00:00:00.001Z","message":"one","code":1}"#);
    assert_eq!(payloads[1], r#"{"timestamp":"1970-01-01T00:00:00.002Z","message":"two\nlines"}"#);
}

#[tokio::test]
async fn parquet_that_is_none_is_said() {
    let mut bytes = foreign();
    bytes.truncate(bytes.len() - 10);
    let store = store([("a.parquet", bytes), ("b.log", b"x\n".to_vec())]).await;
    let (all, findings) = read_all(&mut open(&store, "").await, 1 << 20).await;
    assert_eq!(all.len(), 1);
    assert!(matches!(findings[0].trouble, Trouble::Parquet(_)), "{findings:?}");
}

/// Rows of table `logs` of these payloads, through an empty pipeline.
fn rows(records: &[(Record, Signal, Input)]) -> RecordBatch {
    let pipeline = Pipeline::compile(&config::Config::default()).expect("compiles");
    let mut columns = LogColumns::default();
    for (record, signal, input) in records {
        let arena = Bump::new();
        let decoded = decode_input(&arena, record, *signal, input).expect("decodes");
        let Items::Logs(logs) = decoded.items else { panic!("no logs") };
        for mut log in logs {
            pipeline.process(&arena, &mut log, 0, &mut MetricWindows::new(&pipeline));
            let lineage = Lineage { topic: "t", partition: 0, offset: 0, pipeline_version: "v" };
            columns.push(&log, "main", &lineage);
        }
    }
    columns.finish().expect("fits")
}

#[tokio::test]
async fn rows_of_the_own_table_come_back_as_the_same_rows() {
    let payloads = [
        r#"{"timestamp":"2024-05-01T10:00:00.123456789Z","service":"web","level":"error","message":"it failed","dd.trace_id":"0000000000000000000000000000002a","dd.span_id":"000000000000002b","dd.env":"prod","dd.version":"1.2","host":"h","error":{"kind":"E","message":"m","stack":"at x\nat y"},"n":42,"f":1.5,"ok":true,"zero":"007","list":[1,"a",{"b":null}],"ddtags":"team:a,env:other"}"#,
        r#"{"message":"{not json}","status":"warn","nested":{"a":{"b":"c"}}}"#,
        r#"{"message":"plain"}"#,
    ];
    let records = payloads.map(|payload| {
        let timestamp = EventTime::from_seconds(1_714_557_600).expect("in range");
        let record = Record { timestamp, payload: payload.into(), ..Record::default() };
        (record, Signal::Logs, Input::from(Format::DatadogLogs))
    });
    let wanted = rows(&records);
    let store = store([("logs/x.parquet", write(&wanted, 2))]).await;
    let mut archive = open(&store, "logs").await;
    let batch = archive.read(&Position::default(), 1 << 20).await.expect("reads");
    assert_eq!((batch.records.len(), &batch.findings[..]), (3, &[][..]));
    let again: Vec<_> = batch
        .records
        .into_iter()
        .map(|record| (record, batch.signal, (*batch.input).clone()))
        .collect();
    let found = rows(&again);
    let drawn = |rows: &RecordBatch| {
        let schema = rows.schema();
        let rows = rows.columns().iter().zip(schema.fields()).map(|(column, field)| {
            let values: Vec<String> = (0..column.len())
                .map(|row| {
                    arrow::util::display::array_value_to_string(column, row).expect("prints")
                })
                .map(|text| {
                    // Maps in any order.
                    let mut parts: Vec<&str> = text.trim_matches(['{', '}']).split(", ").collect();
                    parts.sort_unstable();
                    parts.join(", ")
                })
                .collect();
            format!("{}: {values:?}", field.name())
        });
        rows.collect::<Vec<_>>()
    };
    assert_eq!(drawn(&found), drawn(&wanted));
}

#[tokio::test]
async fn a_row_in_the_middle_of_a_row_group_is_found_again() {
    let numbers: Vec<i64> = (0..10_000).collect();
    let texts: Vec<String> = numbers.iter().map(|number| format!("row {number}")).collect();
    let batch = RecordBatch::try_from_iter([("message", Arc::new(StringArray::from(texts)) as _)]);
    let bytes = Bytes::from(write(&batch.expect("columns"), 3_000));
    let store = store([("x.parquet", bytes.to_vec())]).await;
    for skip in [0, 1, 2_999, 3_000, 3_001, 9_999] {
        let position =
            Position { path: "x.parquet".to_owned(), record: skip, ..Position::default() };
        let batch = open(&store, "").await.read(&position, 1).await.expect("reads");
        let wanted = format!("{{\"message\":\"row {skip}\"}}");
        assert_eq!(String::from_utf8_lossy(&batch.records[0].payload), wanted);
        assert_eq!(batch.records[0].offset, i64::try_from(skip).expect("small"));
    }
}
