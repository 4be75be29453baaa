//! Rows of every table as columns.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use grouping::IssueId;
use proptest::prelude::*;
use schemas::id::{SpanId, TraceId};
use schemas::ledger::Action;
use schemas::limits::{MAX_ATTRIBUTE_VALUE_BYTES, MAX_MESSAGE_TEXT_BYTES};
use schemas::metric::Kind;
use schemas::sketch::Sketch;
use schemas::time::EventTime;
use schemas::topic::Signal;

use super::*;
use crate::errors::ErrorEvent;
use crate::event::LogEvent;
use crate::point::Point;
use crate::span::{Link, Span, SpanEvent};
use crate::value::{Attributes, Value};

const LINEAGE: Lineage<'_> = Lineage { topic: "t", partition: 3, offset: 9, pipeline_version: "v" };

/// The map column's row as text pairs.
fn pairs(batch: &RecordBatch, column: &str, row: usize) -> Vec<(String, String)> {
    let entries = batch.column_by_name(column).expect("column").as_map().value(row);
    let (keys, values) = (entries.column(0).as_string::<i32>(), entries.column(1));
    let values = arrow::compute::cast(values, &arrow::datatypes::DataType::Utf8).expect("text");
    let values = values.as_string::<i32>();
    (0..keys.len()).map(|i| (keys.value(i).to_owned(), values.value(i).to_owned())).collect()
}

fn text<'a>(batch: &'a RecordBatch, column: &str, row: usize) -> Option<&'a str> {
    let column = batch.column_by_name(column).expect("column").as_string::<i32>();
    column.is_valid(row).then(|| column.value(row))
}

fn pair(key: &str, value: &str) -> (String, String) {
    (key.to_owned(), value.to_owned())
}

/// A span with everything in it.
fn span(arena: &Bump) -> Span<'_> {
    let trace_id = TraceId::new(0xabc).expect("not zero");
    let span_id = SpanId::new(0xdef).expect("not zero");
    let mut attributes = Attributes::new_in(arena);
    attributes.set("k", Value::Str("v"));
    let link = Link { trace_id, span_id, tracestate: "", attributes: attributes.clone() };
    let time = EventTime::from_nanos(7);
    let event = SpanEvent { time, name: "e", attributes: attributes.clone() };
    Span {
        index: 1,
        bytes: 10,
        start: EventTime::from_nanos(1_999),
        duration_ns: 5,
        trace_id,
        span_id,
        parent_id: None,
        service: "s",
        env: "",
        version: "",
        host: "",
        name: "n",
        resource: "r",
        span_type: "web",
        kind: "server",
        error: true,
        error_kind: Some("E"),
        error_message: None,
        error_stack: None,
        http_method: Some("GET"),
        http_route: None,
        http_status_code: Some(200),
        db_system: None,
        peer_service: None,
        attributes,
        metrics: BumpVec::from_iter_in([("m", 1.0), ("x", 2.0), ("m", 3.0)], arena),
        links: BumpVec::from_iter_in([link], arena),
        events: BumpVec::from_iter_in([event], arena),
        errors: BumpVec::new_in(arena),
    }
}

fn point() -> Point<'static> {
    Point {
        index: 0,
        bytes: 0,
        timestamp: EventTime::from_nanos(0),
        name: "latency",
        kind: Kind::Histogram,
        temporality: "delta",
        monotonic: false,
        unit: "ms",
        description: "",
        service: "s",
        env: "",
        version: "",
        host: "",
        tags: &[("a", "1"), ("a", "2")],
        count: 3,
        sum: Some(6.0),
        min: None,
        max: None,
        last: None,
        sketch: None,
        bounds: &[1.0, 2.0],
        bucket_counts: &[1, 1, 1],
        quantiles: &[(0.5, 2.0), (0.99, 3.0)],
        start: None,
        exemplars: &[],
    }
}

#[test]
fn empty_builders_give_empty_batches_of_their_schema() {
    fn check<C: TableColumns>() {
        let batch = C::default().finish().expect("empty");
        assert_eq!(batch.schema(), C::TABLE.file_schema());
        assert_eq!(batch.num_rows(), 0);
        assert_eq!(sort(C::TABLE, &batch).expect("sorts").num_rows(), 0);
    }
    check::<LogColumns>();
    check::<SpanColumns>();
    check::<MetricColumns>();
    check::<DeadLetterColumns>();
    check::<LedgerColumns>();
    check::<ErrorEventColumns>();
    check::<IssueColumns>();
    check::<NotificationColumns>();
}

#[test]
fn error_attributes_move_to_their_columns_and_nulls_vanish() {
    let arena = Bump::new();
    let mut event = LogEvent::new_in(&arena, EventTime::from_nanos(1_001));
    event.trace_id = TraceId::new(1);
    event.tags.push("env:prod");
    for (key, value) in [
        ("error.kind", Value::Str("Oops")),
        ("exception.type", Value::Str("other")),
        ("exception.stacktrace", Value::Str("at x")),
        ("n", Value::Int(5)),
        ("gone", Value::Null),
        ("list", Value::Array(&[Value::Int(1), Value::Str("a")])),
    ] {
        event.attributes.set(key, value);
    }
    let mut columns = LogColumns::default();
    columns.push(&event, "main", &LINEAGE);
    assert!(columns.rows() == 1 && columns.bytes() > 100);
    let batch = columns.finish().expect("a row");
    assert_eq!(text(&batch, "error_kind", 0), Some("Oops"));
    assert_eq!(text(&batch, "error_message", 0), None);
    assert_eq!(text(&batch, "error_stack", 0), Some("at x"));
    assert_eq!(text(&batch, "trace_id", 0), Some("00000000000000000000000000000001"));
    assert_eq!(text(&batch, "status", 0), Some("info"));
    let wanted = [pair("exception.type", "other"), pair("n", "5"), pair("list", r#"[1,"a"]"#)];
    assert_eq!(pairs(&batch, "attributes", 0), wanted);
    assert_eq!(columns.rows(), 0, "the builder starts over");
}

#[test]
fn long_values_and_messages_are_cut_at_a_character() {
    let arena = Bump::new();
    let long: &str = arena.alloc_str(&"é".repeat(MAX_MESSAGE_TEXT_BYTES));
    let mut event = LogEvent::new_in(&arena, EventTime::from_nanos(0));
    event.message = long;
    event.attributes.set("text", Value::Str(long));
    event.attributes.set("list", Value::Array(arena.alloc_slice_copy(&[Value::Str(long)])));
    let mut columns = LogColumns::default();
    columns.push(&event, "main", &LINEAGE);
    let batch = columns.finish().expect("a row");
    assert_eq!(text(&batch, "message", 0).map(str::len), Some(MAX_MESSAGE_TEXT_BYTES));
    for (key, value) in pairs(&batch, "attributes", 0) {
        match key.as_str() {
            "_truncated" => assert_eq!(value, "true"),
            _ => assert!(value.len() > 60_000 && value.len() <= MAX_ATTRIBUTE_VALUE_BYTES, "{key}"),
        }
    }
    assert_eq!(pairs(&batch, "attributes", 0).len(), 3);
}

#[test]
fn a_whole_span_becomes_a_row_and_its_last_metric_wins() {
    let arena = Bump::new();
    let mut columns = SpanColumns::default();
    columns.push(&span(&arena), &LINEAGE);
    columns.push(&Span { parent_id: SpanId::new(1), ..span(&arena) }, &LINEAGE);
    let batch = columns.finish().expect("rows");
    assert_eq!(pairs(&batch, "metrics", 0), [pair("x", "2.0"), pair("m", "3.0")]);
    assert_eq!(text(&batch, "parent_id", 0), Some(""));
    assert_eq!(text(&batch, "parent_id", 1), Some("0000000000000001"));
    assert_eq!(batch.column_by_name("links").expect("links").as_list::<i32>().value(1).len(), 1);
    let micros = batch.column(0).as_primitive::<TimestampMicrosecondType>();
    assert_eq!(micros.value(0), 1);
    let offsets = batch.column_by_name("_offset").expect("offset").as_primitive::<Int64Type>();
    assert_eq!(offsets.value(1), 9);
}

#[test]
fn a_histogram_without_sketch_gets_one_from_its_buckets() {
    let mut columns = MetricColumns::default();
    columns.push(&point(), &LINEAGE);
    let given = {
        let mut s = Sketch::new();
        s.add(5.0, 2);
        s
    };
    columns.push(&Point { sketch: Some(&given), ..point() }, &LINEAGE);
    let batch = columns.finish().expect("rows");
    let sketches = batch.column_by_name("sketch").expect("sketch").as_binary::<i32>();
    let count = |row| Sketch::from_bytes(sketches.value(row)).expect("a sketch").count();
    assert_eq!((count(0), count(1)), (3, 2));
    assert_eq!(pairs(&batch, "tags", 0), [pair("a", "2")]);
    assert_eq!(pairs(&batch, "quantiles", 0), [pair("0.5", "2.0"), pair("0.99", "3.0")]);
}

#[test]
fn dead_letters_keep_the_head_of_the_payload_and_the_hash_of_all() {
    let payload = vec![7u8; 100_000];
    let mut columns = DeadLetterColumns::default();
    let letter = DeadLetter {
        timestamp: EventTime::from_nanos(0),
        signal: Signal::Logs,
        format: "json",
        reason: "malformed_json",
        detail: "line 1",
        index: -1,
        payload: &payload,
    };
    columns.push(&letter, &LINEAGE);
    let batch = columns.finish().expect("a row");
    let kept = batch.column_by_name("payload").expect("payload").as_binary::<i32>();
    assert_eq!(kept.value(0).len(), 64 << 10);
    assert_eq!(text(&batch, "payload_hash", 0).map(str::len), Some(16));
    let index = batch.column_by_name("_index").expect("index").as_primitive::<Int32Type>();
    assert_eq!(index.value(0), -1);
}

#[test]
fn a_ledger_row_names_stage_and_action() {
    let mut columns = LedgerColumns::default();
    let entry = LedgerEntry {
        timestamp: EventTime::from_nanos(0),
        signal: Signal::Spans,
        action: Action::Excluded,
        rule: "main/debug",
        service: "cart",
        events: 2,
        bytes: 20,
        messages: 0,
        from_offset: 4,
        to_offset: 6,
        cost: None,
    };
    columns.push(&entry, &LINEAGE);
    let batch = columns.finish().expect("a row");
    assert_eq!(text(&batch, "stage", 0), Some("exclusion"));
    assert_eq!(text(&batch, "_topic", 0), Some("t"));
}

proptest! {
    #[test]
    fn sorting_orders_rows_and_keeps_ties_in_place(rows in prop::collection::vec((0u8..3, 0i64..4), 0..60)) {
        let arena = Bump::new();
        let mut columns = LogColumns::default();
        for (index, (service, micros)) in rows.iter().enumerate() {
            let mut event = LogEvent::new_in(&arena, EventTime::from_nanos(micros * 1_000));
            event.index = index as i32;
            event.service = ["a", "b", "c"][usize::from(*service)];
            columns.push(&event, "main", &LINEAGE);
        }
        let batch = sort(Table::Logs, &columns.finish().expect("rows")).expect("sorts");
        let index = batch.column_by_name("_index").expect("index").as_primitive::<Int32Type>();
        let got: Vec<usize> = index.values().iter().map(|i| *i as usize).collect();
        let mut wanted: Vec<usize> = (0..rows.len()).collect();
        wanted.sort_by_key(|row| rows[*row]);
        prop_assert_eq!(got, wanted);
    }
}

#[test]
fn of_a_flood_every_error_is_a_row_and_some_of_each_version_have_their_context() {
    use schemas::limits::MAX_CONTEXT_EVENTS;
    let arena = Bump::new();
    let mut attributes = Attributes::new_in(&arena);
    attributes.set("k", Value::Str("v"));
    let mut columns = ErrorEventColumns::default();
    let rows = 3 * MAX_CONTEXT_EVENTS;
    for row in 0..rows {
        let event = ErrorEvent {
            index: 0,
            signal: "log",
            timestamp: EventTime::from_nanos(i64::from(row)),
            service: "s",
            env: "",
            version: if row == rows - 1 { "2" } else { "1" },
            host: "",
            source: "",
            trace_id: None,
            span_id: None,
            issue_id: IssueId::from_hex(&"ab".repeat(16)).expect("an id"),
            kind: "E",
            error_message: "m",
            stack: "at f",
            title: "E: m",
            culprit: "f in x.rs",
            language: "",
            strategy: "message",
            user: "",
            batch: "b",
            message: "line",
            is_repeat: false,
        };
        columns.push(&event, &attributes, &["a:b"], &LINEAGE);
    }
    let batch = columns.finish().expect("fits");
    let context = batch.column_by_name("context").expect("column").as_boolean();
    assert_eq!(batch.num_rows(), rows as usize);
    assert_eq!(context.true_count(), MAX_CONTEXT_EVENTS as usize + 1);
    let first = (text(&batch, "error_stack", 0), pairs(&batch, "attributes", 0));
    assert_eq!(first, (Some("at f"), vec![pair("k", "v")]));
    let bare = MAX_CONTEXT_EVENTS as usize;
    assert_eq!((text(&batch, "error_stack", bare), text(&batch, "message", bare)), (None, None));
    assert!(pairs(&batch, "attributes", bare).is_empty());
    let kept = (text(&batch, "issue_id", bare), text(&batch, "batch_id", bare));
    assert_eq!(kept, (Some("ab".repeat(16).as_str()), Some("b")));
    assert!(context.value(rows as usize - 1), "a new version has samples of its own");
}

#[test]
fn an_issue_is_a_row_with_its_counts() {
    let mut columns = IssueColumns::default();
    columns.push(&IssueRow {
        issue_id: "i",
        change: "created",
        events: 3,
        versions: vec![("1", 2), ("2", 1)],
        hourly: vec![("2026-03-02T14".to_owned(), 3)],
        aliases: vec!["i", "j"],
        seq: 4,
        ..IssueRow::default()
    });
    let batch = columns.finish().expect("fits");
    assert_eq!(pairs(&batch, "versions", 0), [pair("1", "2"), pair("2", "1")]);
    assert_eq!(pairs(&batch, "hourly", 0), [pair("2026-03-02T14", "3")]);
    assert_eq!(text(&batch, "merged_into", 0), None);
    let mut columns = NotificationColumns::default();
    let row =
        NotificationRow { id: "k", outcome: "sent", status_code: Some(200), ..Default::default() };
    columns.push(&row);
    assert_eq!(text(&columns.finish().expect("fits"), "outcome", 0), Some("sent"));
}

#[test]
fn whole_numbers_are_written_as_the_standard_library_does() {
    for number in [0, 7, -1, 10, 1_234_567_890_123, i64::MAX, i64::MIN] {
        super::parts::digits(number, |text| assert_eq!(text, number.to_string()));
    }
}
