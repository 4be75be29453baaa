//! The errors of the first pipeline's records.

use std::collections::HashMap;
use std::sync::Arc;

use arrow::array::{
    Array as _, AsArray as _, BooleanArray, Int32Array, Int64Array, RecordBatch, StringArray,
};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use issues::occurrence::{Deltas, Occurrence};
use issues::regroup::Moves;
use issues::{HOUR, Micros};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::error_event as columns;
use schemas::table::{LINEAGE_INDEX, LINEAGE_OFFSET, LINEAGE_PARTITION, LINEAGE_TOPIC, Table};

use super::session::Error;
use crate::commit_log::head::FilesChange;
use crate::commit_log::log::Entry;
use crate::commit_log::record::{Body, MaintenanceKind};

/// The columns read.
const COLUMNS: [&str; 16] = [
    columns::TIMESTAMP,
    columns::SERVICE,
    columns::ENV,
    columns::VERSION,
    columns::HOST,
    columns::ERROR_KIND,
    columns::ERROR_MESSAGE,
    columns::CULPRIT,
    columns::ISSUE_ID,
    columns::USER_ID,
    columns::BATCH_ID,
    columns::CONTEXT,
    LINEAGE_TOPIC,
    LINEAGE_PARTITION,
    LINEAGE_OFFSET,
    LINEAGE_INDEX,
];

/// What one record of the first pipeline says about errors.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum News {
    /// Nothing.
    None,
    /// Errors came.
    Came(Deltas),
    /// A replay put others in the place of some.
    Regrouped { removed: Deltas, added: Deltas, moves: Moves },
}

/// Files to read for a record.
enum Files {
    None,
    Came(Vec<String>),
    Swapped { removed: Vec<String>, added: Vec<String> },
}

/// The record's time: the latest clock of its units' partitions. A producer whose clock is far ahead does not
/// take everybody's with it.
pub(super) fn clock(entry: &Entry) -> Option<Micros> {
    let Body::Commit(commit) = &entry.record.body else { return None };
    let rejected = |index: &usize| entry.folded.rejected.iter().any(|(part, _)| part == index);
    let units = commit.units.iter().enumerate().filter(|(index, _)| !rejected(index));
    let clocks = units.flat_map(|(_, unit)| &unit.partitions).map(|part| part.clock_ns / 1_000);
    let written = entry.record.written_millis.saturating_mul(1_000).saturating_add(HOUR);
    clocks.max().filter(|clock| *clock > 0).map(|clock| clock.min(written))
}

/// The errors of a file; none where it is gone.
pub(super) async fn errors(
    store: &Arc<dyn ObjectStore>,
    path: &str,
) -> Result<Option<Deltas>, Error> {
    let mut deltas = Deltas::default();
    let is_there = each(store, path, |rows| count(rows, &mut deltas)).await?;
    Ok(is_there.then_some(deltas))
}

/// Reads what a record says; none where a file it names is gone: it was put together with others and deleted
/// since, for this pipeline was away for longer than such files are kept.
pub(super) async fn read(
    store: &Arc<dyn ObjectStore>,
    entry: &Entry,
) -> Result<Option<News>, Error> {
    let files = match entry.folded.changes(&entry.record).remove(&Table::ErrorEvents) {
        None => Files::None,
        Some(FilesChange::Append(adds)) => {
            Files::Came(adds.into_iter().map(|add| add.path.clone()).collect())
        }
        Some(FilesChange::Replace(MaintenanceKind::Swap { .. }, change)) => Files::Swapped {
            removed: change.removes.iter().map(|file| file.path.clone()).collect(),
            added: change.adds.iter().map(|file| file.path.clone()).collect(),
        },
        // The same rows in other files, or rows that went because they are old: they were counted.
        Some(FilesChange::Replace(..) | FilesChange::Columns(_)) => Files::None,
    };
    match files {
        Files::None => Ok(Some(News::None)),
        Files::Came(paths) => {
            let mut deltas = Deltas::default();
            for path in &paths {
                if !each(store, path, |rows| count(rows, &mut deltas)).await? {
                    return Ok(None);
                }
            }
            Ok(Some(News::Came(deltas)))
        }
        Files::Swapped { removed: gone, added: come } => {
            let (mut removed, mut added) = (Deltas::default(), Deltas::default());
            let mut before: HashMap<Lineage, String> = HashMap::new();
            let mut moves = Moves::new();
            for path in &gone {
                let take = |rows: &Rows<'_>| {
                    rows.lineages().for_each(|(lineage, id)| drop(before.insert(lineage, id)));
                    count(rows, &mut removed);
                };
                if !each(store, path, take).await? {
                    return Ok(None);
                }
            }
            for path in &come {
                let take = |rows: &Rows<'_>| {
                    for (lineage, new) in rows.lineages() {
                        if let Some(old) = before.get(&lineage) {
                            *moves.entry((old.clone(), new)).or_default() += 1;
                        }
                    }
                    count(rows, &mut added);
                };
                if !each(store, path, take).await? {
                    return Ok(None);
                }
            }
            Ok(Some(News::Regrouped { removed, added, moves }))
        }
    }
}

type Lineage = (String, i32, i64, i32);

/// Hands over the rows of a file, batch by batch. False: it is gone.
async fn each(
    store: &Arc<dyn ObjectStore>,
    path: &str,
    mut act: impl FnMut(&Rows),
) -> Result<bool, Error> {
    let key = Path::from(format!("{}/{path}", Table::ErrorEvents.path()));
    let wrap = |reason: String| Error(format!("{key}: {reason}"));
    let stored = async { store.get(&key).await?.bytes().await };
    let bytes = match stored.await {
        Ok(bytes) => bytes,
        Err(StoreError::NotFound { .. }) => return Ok(false),
        Err(error) => return Err(wrap(error.to_string())),
    };
    let decode = move || -> Result<Vec<RecordBatch>, String> {
        let builder =
            ParquetRecordBatchReaderBuilder::try_new(bytes).map_err(|error| error.to_string())?;
        let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
        let reader = builder.with_projection(mask).build().map_err(|error| error.to_string())?;
        reader.collect::<Result<_, _>>().map_err(|error| error.to_string())
    };
    let batches = tokio::task::spawn_blocking(decode).await;
    let batches = batches.map_err(|error| wrap(error.to_string()))?.map_err(wrap)?;
    for batch in &batches {
        act(&Rows::of(batch).ok_or_else(|| wrap("not a file of error_events".to_owned()))?);
    }
    Ok(true)
}

/// The columns of a batch.
struct Rows<'a> {
    at: &'a arrow::array::TimestampMicrosecondArray,
    /// `service`, `env`, `version`, `host`, `error_kind`, `error_message`, `culprit`, `issue_id`,
    /// `_topic`.
    texts: [&'a StringArray; 9],
    user: &'a StringArray,
    batch: &'a StringArray,
    context: &'a BooleanArray,
    partition: &'a Int32Array,
    offset: &'a Int64Array,
    index: &'a Int32Array,
}

impl<'a> Rows<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let column = |name: &str| batch.column_by_name(name);
        let text = |name: &str| column(name)?.as_string_opt::<i32>();
        Some(Self {
            at: column(columns::TIMESTAMP)?.as_primitive_opt::<TimestampMicrosecondType>()?,
            texts: [
                text(columns::SERVICE)?,
                text(columns::ENV)?,
                text(columns::VERSION)?,
                text(columns::HOST)?,
                text(columns::ERROR_KIND)?,
                text(columns::ERROR_MESSAGE)?,
                text(columns::CULPRIT)?,
                text(columns::ISSUE_ID)?,
                text(LINEAGE_TOPIC)?,
            ],
            user: text(columns::USER_ID)?,
            batch: text(columns::BATCH_ID)?,
            context: column(columns::CONTEXT)?.as_boolean_opt()?,
            partition: column(LINEAGE_PARTITION)?.as_primitive_opt::<Int32Type>()?,
            offset: column(LINEAGE_OFFSET)?.as_primitive_opt::<Int64Type>()?,
            index: column(LINEAGE_INDEX)?.as_primitive_opt::<Int32Type>()?,
        })
    }

    fn lineages(&self) -> impl Iterator<Item = (Lineage, String)> {
        let [.., ids, topics] = self.texts;
        (0..self.at.len()).map(move |row| {
            let lineage = (
                topics.value(row).to_owned(),
                self.partition.value(row),
                self.offset.value(row),
                self.index.value(row),
            );
            (lineage, ids.value(row).to_owned())
        })
    }
}

fn count(rows: &Rows<'_>, deltas: &mut Deltas) {
    let optional = |column: &'_ StringArray, row: usize| column.is_valid(row).then_some(row);
    for row in 0..rows.at.len() {
        let [service, env, version, host, kind, message, culprit, id, topic] =
            rows.texts.map(|column| column.value(row));
        let place = rows.context.value(row).then(|| {
            (topic, rows.partition.value(row), rows.offset.value(row), rows.index.value(row))
        });
        let error = Occurrence {
            at: rows.at.value(row),
            service,
            env,
            version,
            host,
            kind,
            message,
            culprit,
            user: optional(rows.user, row).map_or("", |row| rows.user.value(row)),
            batch: optional(rows.batch, row).map_or("", |row| rows.batch.value(row)),
            place,
        };
        deltas.add(id, &error);
    }
}
