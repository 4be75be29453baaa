//! What the tables and the state must say in the end, added up from the messages alone.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type, Int64Type, TimestampMicrosecondType};
use issues::tracker::Tracker;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::table::{LINEAGE_OFFSET, LINEAGE_PARTITION, Table};
use schemas::{error_event, metric};

use super::clerk::Heard;
use super::message::{Fate, Message};
use crate::fixture;
use crate::table::inspect::inspect;
use crate::unit::HourBatch;

/// Times a message is there, by partition and offset.
type Places = BTreeMap<(i32, i64), usize>;
/// Count and sum by metric, service and start of the bucket in microseconds.
type Points = BTreeMap<(String, String, i64), (i64, i64)>;
/// Count, first and last, in microseconds, by type of error and service.
type Errors = BTreeMap<(String, String), (u64, i64, i64)>;

/// The rows of a table, as any reader finds them.
pub(super) async fn rows(
    store: &Arc<dyn ObjectStore>,
    table: Table,
) -> Result<Vec<RecordBatch>, String> {
    let inspected = inspect(store, table, table.pipeline()).await.map_err(|e| e.to_string())?;
    let Some(inspected) = inspected else { return Ok(Vec::new()) };
    let mut rows = Vec::new();
    for path in inspected.files.keys() {
        let key = Path::from(format!("{}/{path}", table.path()));
        let stored = async { store.get(&key).await?.bytes().await };
        let bytes = stored.await.map_err(|error| format!("{key}: {error}"))?;
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes);
        let reader = reader.and_then(ParquetRecordBatchReaderBuilder::build);
        let reader = reader.map_err(|error| format!("{key}: {error}"))?;
        let read: Result<Vec<_>, _> = reader.collect();
        rows.extend(read.map_err(|error| format!("{key}: {error}"))?);
    }
    Ok(rows)
}

/// All messages, with their places.
fn each(produced: &[Vec<Message>]) -> impl Iterator<Item = ((i32, i64), &Message)> {
    (0i32..).zip(produced).flat_map(|(partition, messages)| {
        (0i64..).zip(messages).map(move |(offset, message)| ((partition, offset), message))
    })
}

/// I1: every message is one row of `logs`, or one of `dead_letters`, or excluded, and the ledger says how many.
pub(super) async fn is_in_one_place(
    store: &Arc<dyn ObjectStore>,
    produced: &[Vec<Message>],
) -> Result<(), String> {
    for (table, fate) in [(Table::Logs, Fate::Indexed), (Table::DeadLetters, Fate::DeadLetter)] {
        let wanted: Places = each(produced)
            .filter(|(_, message)| message.fate == fate)
            .map(|(place, _)| (place, 1))
            .collect();
        same(table.name(), &places(&rows(store, table).await?), &wanted)?;
    }
    let ledger = rows(store, Table::Ledger).await?;
    let ledger: Vec<_> = ledger
        .into_iter()
        .map(|rows| {
            let hour = schemas::time::EventTime::from_nanos(0).hour();
            HourBatch { table: Table::Ledger, hour, rows }
        })
        .collect();
    let of = |fate| each(produced).filter(|(_, message)| message.fate == fate).count() as i64;
    let all = each(produced).count() as i64;
    let wanted = fixture::Balance {
        received: all,
        indexed: of(Fate::Indexed),
        excluded: of(Fate::Excluded),
        dead_letters: of(Fate::DeadLetter),
        messages: all,
    };
    let found = fixture::ledger_balance(&ledger);
    if found != wanted {
        return Err(format!("the ledger says {found:?}, and {wanted:?} was produced"));
    }
    Ok(())
}

fn places(rows: &[RecordBatch]) -> Places {
    let mut seen = Places::new();
    for rows in rows {
        let partitions = column(rows, LINEAGE_PARTITION).as_primitive::<Int32Type>().clone();
        let offsets = column(rows, LINEAGE_OFFSET).as_primitive::<Int64Type>().clone();
        for row in 0..rows.num_rows() {
            *seen.entry((partitions.value(row), offsets.value(row))).or_default() += 1;
        }
    }
    seen
}

/// I3: metrics equal the query over everything that came, excluded events included.
pub(super) async fn metrics_equal_the_query(
    store: &Arc<dyn ObjectStore>,
    produced: &[Vec<Message>],
) -> Result<(), String> {
    let mut wanted = Points::new();
    for (_, message) in each(produced).filter(|(_, message)| message.fate != Fate::DeadLetter) {
        let bucket = metric::BUCKET_NS / 1_000;
        let at = (message.millis * 1_000).div_euclid(bucket) * bucket;
        for (name, value) in [("requests", 0), ("duration", message.duration)] {
            let key = (name.to_owned(), message.service.to_owned(), at);
            let point = wanted.entry(key).or_default();
            *point = (point.0 + 1, point.1 + value);
        }
    }
    let mut found = Points::new();
    for rows in rows(store, Table::Metrics).await? {
        let names = column(&rows, metric::NAME).as_string::<i32>().clone();
        let services = column(&rows, metric::SERVICE).as_string::<i32>().clone();
        let times =
            column(&rows, metric::TIMESTAMP).as_primitive::<TimestampMicrosecondType>().clone();
        let counts = column(&rows, metric::COUNT).as_primitive::<Int64Type>().clone();
        let sums = column(&rows, metric::SUM).as_primitive::<Float64Type>().clone();
        for row in 0..rows.num_rows() {
            let (name, service) = (names.value(row).to_owned(), services.value(row).to_owned());
            let point = found.entry((name, service, times.value(row))).or_default();
            let sum = if sums.is_valid(row) { sums.value(row) as i64 } else { 0 };
            *point = (point.0 + counts.value(row), point.1 + sum);
        }
    }
    same("metrics", &found, &wanted)
}

/// I4: what is known of issues equals the query over `error_events`, and both equal what was produced.
pub(super) async fn issues_equal_the_query(
    store: &Arc<dyn ObjectStore>,
    produced: &[Vec<Message>],
    tracker: &Tracker,
) -> Result<(), String> {
    let mut wanted = Errors::new();
    for (_, message) in each(produced) {
        if let Some(kind) = message.kind {
            note(&mut wanted, kind, message.service, message.millis * 1_000);
        }
    }
    let mut found = Errors::new();
    for rows in rows(store, Table::ErrorEvents).await? {
        let kinds = column(&rows, error_event::ERROR_KIND).as_string::<i32>().clone();
        let services = column(&rows, error_event::SERVICE).as_string::<i32>().clone();
        let times = column(&rows, error_event::TIMESTAMP);
        let times = times.as_primitive::<TimestampMicrosecondType>().clone();
        for row in 0..rows.num_rows() {
            note(&mut found, kinds.value(row), services.value(row), times.value(row));
        }
    }
    same("error_events", &found, &wanted)?;
    let known: Errors = tracker
        .issues()
        .map(|issue| {
            let seen = &issue.seen;
            ((issue.kind.clone(), issue.service.clone()), (seen.count, seen.first, seen.last))
        })
        .collect();
    same("the issues", &known, &wanted)
}

fn note(errors: &mut Errors, kind: &str, service: &str, at: i64) {
    let known = errors.entry((kind.to_owned(), service.to_owned())).or_insert((0, at, at));
    *known = (known.0 + 1, known.1.min(at), known.2.max(at));
}

/// I8: every issue was told of, under one key, and what came under a key was the same each time.
pub(super) fn every_issue_was_told_once(tracker: &Tracker, heard: &Heard) -> Result<(), String> {
    let wrong = heard.wrong();
    if !wrong.is_empty() {
        return Err(format!("these keys came with different messages: {wrong:?}"));
    }
    let keys = heard.keys();
    for issue in tracker.issues() {
        match keys.get(&issue.id).map_or(0, |keys| keys.len()) {
            1 => {}
            0 => return Err(format!("issue {} ({}) was not told of", issue.id, issue.kind)),
            _ => return Err(format!("issue {} was told under {:?}", issue.id, keys[&issue.id])),
        }
    }
    let known = tracker.issues().count();
    if keys.len() != known {
        return Err(format!("{} issues were told of, and {known} are known", keys.len()));
    }
    Ok(())
}

/// I9: below the tables there are the files of their current versions and no others.
pub(super) async fn no_garbage_is_left(store: &Arc<dyn ObjectStore>) -> Result<(), String> {
    for table in Table::ALL {
        let inspected = inspect(store, table, table.pipeline()).await.map_err(|e| e.to_string())?;
        let named: Vec<String> =
            inspected.map(|found| found.files.into_keys().collect()).unwrap_or_default();
        let stored = crate::upkeep::vacuum::stored(store.as_ref(), table).await;
        let stored = stored.map_err(|error| error.to_string())?;
        let is_data = |path: &String| path.ends_with(".parquet") && !path.starts_with("_delta");
        let stored: Vec<String> =
            stored.into_iter().map(|file| file.path).filter(is_data).collect();
        if let Some(left) = stored.iter().find(|path| !named.contains(path)) {
            return Err(format!("{}: nothing names {left}, and it is there", table.name()));
        }
        if let Some(gone) = named.iter().find(|path| !stored.contains(path)) {
            return Err(format!("{}: {gone} is named, and gone", table.name()));
        }
    }
    Ok(())
}

fn column(rows: &RecordBatch, name: &str) -> arrow::array::ArrayRef {
    rows.column_by_name(name).expect("a column of the table").clone()
}

/// The first difference.
fn same<K: Ord + std::fmt::Debug, V: PartialEq + std::fmt::Debug>(
    what: &str,
    found: &BTreeMap<K, V>,
    wanted: &BTreeMap<K, V>,
) -> Result<(), String> {
    for (key, value) in wanted {
        match found.get(key) {
            Some(other) if other == value => {}
            Some(other) => {
                return Err(format!("{what}: {key:?} is {other:?}, and {value:?} was produced"));
            }
            None => return Err(format!("{what}: {key:?} is lost")),
        }
    }
    match found.keys().find(|key| !wanted.contains_key(key)) {
        Some(key) => Err(format!("{what}: {key:?} was not produced")),
        None => Ok(()),
    }
}
