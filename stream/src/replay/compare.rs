//! What a unit changes, row by row and field by field: rows with the same lineage are the same event. Pure.
//!
//! **Parsed.** A log's row is parsed if it has an attribute that its message does not have by itself: one the
//! pipeline has made. What the message has by itself is what a pipeline without processors leaves of it. So the
//! word means the same for rows of any pipeline version.

use std::collections::{BTreeMap, HashMap};
use std::panic::{AssertUnwindSafe, catch_unwind};

use arrow::array::{Array as _, ArrayRef, AsArray as _, MapArray, RecordBatch};
use arrow::compute::concat_batches;
use arrow::datatypes::{DataType, Int32Type, Int64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use bumpalo::Bump;
use schemas::limits::{MAX_CHANGED_FIELDS, MAX_FIELD_SAMPLES, MAX_SAMPLE_BYTES};
use schemas::log::ATTRIBUTES;
use schemas::table::{
    LINEAGE_INDEX, LINEAGE_OFFSET, LINEAGE_PARTITION, LINEAGE_PIPELINE_VERSION, LINEAGE_TOPIC,
    Table,
};
use schemas::topic::Signal;
use serde::{Deserialize, Serialize};
use stages::decode::{self, Items};
use stages::input::Input;
use stages::pipeline::{MetricWindows, Pipeline, config};
use stages::record::Record;
use xxhash_rust::xxh3::xxh3_64;

use super::restore::RestoredLine;
use crate::unit::HourBatch;
use crate::upkeep::fingerprint::values;

/// What becomes of the rows of one table.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RowsDiff {
    /// Rows before.
    pub before: i64,
    /// Rows after.
    pub after: i64,
    /// Rows of the same event with the same values.
    pub same: i64,
    /// Rows of the same event with other values.
    pub changed: i64,
    /// Rows of events that have none afterwards: excluded or refused now.
    pub gone: i64,
    /// Rows of events that had none: excluded or refused before.
    pub new: i64,
}

/// Rows of `logs` that the pipeline has given attributes, and those it has not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parsed {
    /// Parsed rows before.
    pub before: i64,
    /// Parsed rows after.
    pub after: i64,
    /// Unparsed rows before.
    pub unparsed_before: i64,
    /// Unparsed rows after.
    pub unparsed_after: i64,
}

/// How often a field of rows that are there before and after is another.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct FieldDiff {
    /// Rows that have it now and did not before.
    pub added: i64,
    /// Rows that had it.
    pub removed: i64,
    /// Rows that have another value.
    pub changed: i64,
    /// The first of them.
    pub samples: Vec<Sample>,
}

/// One changed value.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// Lineage of the row: offset.
    pub offset: i64,
    /// Lineage of the row: number within the message.
    pub index: i32,
    /// The value before, cut.
    pub before: Option<String>,
    /// The value after, cut.
    pub after: Option<String>,
}

/// What a unit, or all units of a replay, change.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnitDiff {
    /// Rows by table.
    pub tables: BTreeMap<String, RowsDiff>,
    /// Rows of `logs`.
    pub parsed: Parsed,
    /// Fields by table and name; attributes have an `@`.
    pub fields: BTreeMap<String, BTreeMap<String, FieldDiff>>,
    /// Changes of fields beyond [`MAX_CHANGED_FIELDS`].
    pub untold: i64,
    /// Events brought back, by range and rule; not added up.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub restored: Vec<RestoredLine>,
}

impl UnitDiff {
    /// Adds another unit's.
    pub fn add(&mut self, other: &Self) {
        for (table, rows) in &other.tables {
            let sum = self.tables.entry(table.clone()).or_default();
            sum.before += rows.before;
            sum.after += rows.after;
            sum.same += rows.same;
            sum.changed += rows.changed;
            sum.gone += rows.gone;
            sum.new += rows.new;
        }
        self.parsed.before += other.parsed.before;
        self.parsed.after += other.parsed.after;
        self.parsed.unparsed_before += other.parsed.unparsed_before;
        self.parsed.unparsed_after += other.parsed.unparsed_after;
        self.untold += other.untold;
        for (table, fields) in &other.fields {
            for (name, field) in fields {
                self.field(table, name, |sum| {
                    sum.added += field.added;
                    sum.removed += field.removed;
                    sum.changed += field.changed;
                    let room = MAX_FIELD_SAMPLES.saturating_sub(sum.samples.len());
                    sum.samples.extend(field.samples.iter().take(room).cloned());
                    field.added + field.removed + field.changed
                });
            }
        }
    }

    /// Changes the counts of a field by `change`, which says by how much, while there is room.
    fn field(&mut self, table: &str, name: &str, change: impl FnOnce(&mut FieldDiff) -> i64) {
        let fields = self.fields.entry(table.to_owned()).or_default();
        if fields.len() >= MAX_CHANGED_FIELDS && !fields.contains_key(name) {
            self.untold += change(&mut FieldDiff::default());
        } else {
            change(fields.entry(name.to_owned()).or_default());
        }
    }
}

/// Names of the attributes each event has by itself, as hashes.
#[derive(Debug, Default)]
pub struct Own(HashMap<(i64, i32), Box<[u64]>>);

impl Own {
    /// Of the logs in these records.
    pub fn of(records: &[Record], signal: Signal, input: &Input) -> Self {
        let mut own = Self::default();
        let pipeline = Pipeline::compile(&config::Config::default());
        let (Signal::Logs, Ok(pipeline)) = (signal, pipeline) else { return own };
        let mut arena = Bump::new();
        let mut windows = MetricWindows::new(&pipeline);
        for record in records {
            // What panics is a dead letter, and has no row.
            let read = AssertUnwindSafe(|| {
                let decoded = decode::decode_input(&arena, record, signal, input);
                let Ok(decoded) = decoded else { return };
                let Items::Logs(logs) = decoded.items else { return };
                for mut log in logs {
                    pipeline.process(&arena, &mut log, record.offset, &mut windows);
                    let names = log.attributes.iter().map(|(key, _)| xxh3_64(key.as_bytes()));
                    own.0.insert((record.offset, log.index), names.collect());
                }
            });
            drop(catch_unwind(read));
            arena.reset();
        }
        own
    }

    /// Whether a row with these attributes has one its event does not have by itself.
    fn is_parsed<'k>(&self, event: (i64, i32), mut names: impl Iterator<Item = &'k str>) -> bool {
        let own = self.0.get(&event).map_or(&[][..], |own| own);
        // Marks of ours, such as `_truncated`, are nothing the pipeline has read.
        names.any(|name| !name.starts_with('_') && !own.contains(&xxh3_64(name.as_bytes())))
    }
}

/// Compares the rows of one unit.
///
/// # Errors
/// Rows that are not of their table.
pub fn compare(
    old: &BTreeMap<Table, Vec<RecordBatch>>,
    new: &[HourBatch],
    own: &Own,
) -> Result<UnitDiff, ArrowError> {
    let mut diff = UnitDiff::default();
    for (table, old) in old {
        let schema = table.file_schema();
        let new = new.iter().filter(|batch| batch.table == *table).map(|batch| &batch.rows);
        let (old, new) = (concat_batches(&schema, old)?, concat_batches(&schema, new)?);
        Pair { table: *table, old: Side::of(&old)?, new: Side::of(&new)? }.compare(&mut diff)?;
        if *table == Table::Logs {
            (diff.parsed.before, diff.parsed.unparsed_before) = parsed(&old, own)?;
            (diff.parsed.after, diff.parsed.unparsed_after) = parsed(&new, own)?;
        }
    }
    Ok(diff)
}

fn parsed(rows: &RecordBatch, own: &Own) -> Result<(i64, i64), ArrowError> {
    let side = Side::of(rows)?;
    let attributes = rows.column_by_name(ATTRIBUTES).map(|column| column.as_map());
    let Some(attributes) = attributes else { return Ok((0, 0)) };
    let names = attributes.keys().as_string::<i32>();
    let mut parsed = 0;
    for row in 0..rows.num_rows() {
        let of_row = entries(attributes, row).map(|entry| names.value(entry));
        parsed += i64::from(own.is_parsed(side.event(row), of_row));
    }
    Ok((parsed, i64::try_from(rows.num_rows()).unwrap_or(i64::MAX) - parsed))
}

/// The entries of a row's map.
fn entries(map: &MapArray, row: usize) -> std::ops::Range<usize> {
    let bound = |at: usize| map.value_offsets().get(at).and_then(|at| usize::try_from(*at).ok());
    bound(row).unwrap_or(0)..bound(row + 1).unwrap_or(0)
}

/// Rows of one side, and which event each is of.
struct Side<'r> {
    rows: &'r RecordBatch,
    offsets: &'r [i64],
    indexes: &'r [i32],
}

impl<'r> Side<'r> {
    fn of(rows: &'r RecordBatch) -> Result<Self, ArrowError> {
        let column = |name: &str| {
            let found = rows.column_by_name(name);
            found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
        };
        let offsets = column(LINEAGE_OFFSET)?.as_primitive::<Int64Type>().values();
        let indexes = column(LINEAGE_INDEX)?.as_primitive::<Int32Type>().values();
        Ok(Self { rows, offsets, indexes })
    }

    fn event(&self, row: usize) -> (i64, i32) {
        let offset = self.offsets.get(row).copied().unwrap_or_default();
        (offset, self.indexes.get(row).copied().unwrap_or_default())
    }

    fn len(&self) -> i64 {
        i64::try_from(self.rows.num_rows()).unwrap_or(i64::MAX)
    }
}

struct Pair<'r> {
    table: Table,
    old: Side<'r>,
    new: Side<'r>,
}

impl Pair<'_> {
    fn compare(&self, diff: &mut UnitDiff) -> Result<(), ArrowError> {
        let places: HashMap<(i64, i32), usize> =
            (0..self.new.rows.num_rows()).map(|row| (self.new.event(row), row)).collect();
        let of_old = |row| places.get(&self.old.event(row)).map(|new| (row, *new));
        let pairs: Vec<(usize, usize)> = (0..self.old.rows.num_rows()).filter_map(of_old).collect();
        let mut changed = vec![false; pairs.len()];
        let columns = self.old.rows.columns().iter().zip(self.new.rows.columns());
        for (field, (old, new)) in self.old.rows.schema_ref().fields().iter().zip(columns) {
            if is_lineage(field.name()) {
                continue;
            }
            let (before, after) = (values(old)?, values(new)?);
            let is_map = matches!(field.data_type(), DataType::Map(..));
            let maps = if is_map { Some((Map::of(old)?, Map::of(new)?)) } else { None };
            for (pair, changed) in pairs.iter().zip(&mut changed) {
                if before.get(pair.0) == after.get(pair.1) {
                    continue;
                }
                match &maps {
                    None => {
                        self.told(
                            diff,
                            field.name(),
                            *pair,
                            (Some((old, pair.0)), Some((new, pair.1))),
                        );
                        *changed = true;
                    }
                    Some((old, new)) => {
                        *changed |= self.entries(diff, field.name(), *pair, old, new)
                    }
                }
            }
        }
        let both = i64::try_from(pairs.len()).unwrap_or(i64::MAX);
        let changed = changed.iter().filter(|changed| **changed).count();
        let changed = i64::try_from(changed).unwrap_or(i64::MAX);
        let (before, after) = (self.old.len(), self.new.len());
        let (same, gone, new) = (both - changed, before - both, after - both);
        let rows = RowsDiff { before, after, same, changed, gone, new };
        diff.tables.insert(self.table.name().to_owned(), rows);
        Ok(())
    }

    /// Compares the entries of a pair's maps; whether one differs.
    fn entries(
        &self,
        diff: &mut UnitDiff,
        column: &str,
        pair: (usize, usize),
        old: &Map<'_>,
        new: &Map<'_>,
    ) -> bool {
        let (before, after) = (old.row(pair.0), new.row(pair.1));
        // Entries may be turned around: that is no change.
        let mut any = false;
        let name = |key: &str| {
            if column == ATTRIBUTES { format!("@{key}") } else { format!("{column}.{key}") }
        };
        for (key, entry) in &before {
            let other = after.get(key);
            if other.is_none_or(|other| old.hash(*entry) != new.hash(*other)) {
                any = true;
                let to = other.map(|other| (new.values, *other));
                self.told(diff, &name(key), pair, (Some((old.values, *entry)), to));
            }
        }
        for (key, entry) in after.iter().filter(|(key, _)| !before.contains_key(*key)) {
            any = true;
            self.told(diff, &name(key), pair, (None, Some((new.values, *entry))));
        }
        any
    }

    /// Counts a changed field.
    fn told(
        &self,
        diff: &mut UnitDiff,
        name: &str,
        pair: (usize, usize),
        (old, new): (Option<Value<'_>>, Option<Value<'_>>),
    ) {
        let (old, new) = (old.filter(is_there), new.filter(is_there));
        let (offset, index) = self.old.event(pair.0);
        diff.field(self.table.name(), name, |field| {
            match (&old, &new) {
                (None, _) => field.added += 1,
                (_, None) => field.removed += 1,
                _ => field.changed += 1,
            }
            if field.samples.len() < MAX_FIELD_SAMPLES {
                let (before, after) = (old.map(shown), new.map(shown));
                field.samples.push(Sample { offset, index, before, after });
            }
            1
        });
    }
}

fn is_lineage(name: &str) -> bool {
    [LINEAGE_TOPIC, LINEAGE_PARTITION, LINEAGE_OFFSET, LINEAGE_INDEX, LINEAGE_PIPELINE_VERSION]
        .contains(&name)
}

/// A value in a column.
type Value<'a> = (&'a ArrayRef, usize);

/// Whether there is a value: neither null nor empty text.
fn is_there((column, row): &Value<'_>) -> bool {
    let text = column.as_string_opt::<i32>();
    !column.is_null(*row) && text.is_none_or(|text| !text.value(*row).is_empty())
}

fn shown((column, row): Value<'_>) -> String {
    let options = FormatOptions::default();
    let formatted = ArrayFormatter::try_new(column.as_ref(), &options);
    let mut text = formatted.map(|format| format.value(row).to_string()).unwrap_or_default();
    if text.len() > MAX_SAMPLE_BYTES {
        let cut = (0..=MAX_SAMPLE_BYTES).rev().find(|at| text.is_char_boundary(*at));
        text.truncate(cut.unwrap_or(0));
        text.push('…');
    }
    text
}

/// A column of maps.
struct Map<'r> {
    map: &'r MapArray,
    values: &'r ArrayRef,
    hashes: Vec<u64>,
}

impl<'r> Map<'r> {
    fn of(column: &'r ArrayRef) -> Result<Self, ArrowError> {
        let map = column.as_map();
        Ok(Self { map, values: map.values(), hashes: values(map.values())? })
    }

    /// Entries of a row by key.
    fn row(&self, row: usize) -> BTreeMap<&'r str, usize> {
        let keys = self.map.keys().as_string::<i32>();
        entries(self.map, row).map(|entry| (keys.value(entry), entry)).collect()
    }

    fn hash(&self, entry: usize) -> Option<u64> {
        self.hashes.get(entry).copied()
    }
}

#[cfg(test)]
mod tests {
    use schemas::topic::Format;

    use super::*;
    use crate::fixture;
    use crate::replay::unit::{Portion, process};
    use std::sync::Arc;

    fn pipeline(rule: &str) -> Arc<Pipeline> {
        let grok = serde_json::json!({
            "pipelines": [{"filter": "*", "processors": [{
                "type": "grok-parser", "grok": {"match_rules": rule},
            }]}],
            "indexes": [{"name": "main", "exclusion_filters": [
                {"name": "noise", "filter": {"query": "@level:debug"}},
            ]}],
        });
        let config: config::Config = serde_json::from_value(grok).expect("a configuration");
        Arc::new(Pipeline::compile(&config).expect("compiles"))
    }

    fn portion(lines: &[&str], old: Option<BTreeMap<Table, Vec<RecordBatch>>>) -> Portion {
        let record = |(offset, line): (i64, &&str)| Record {
            offset,
            payload: line.as_bytes().to_vec(),
            ..Record::default()
        };
        Portion {
            partition: fixture::partition(0),
            signal: Signal::Logs,
            input: Format::Raw.into(),
            from: 0,
            to: i64::try_from(lines.len()).expect("few"),
            records: (0..).zip(lines).map(record).collect(),
            behind: None,
            old,
        }
    }

    fn rows(pipeline: &Arc<Pipeline>, lines: &[&str]) -> BTreeMap<Table, Vec<RecordBatch>> {
        let done = process(pipeline, portion(lines, None)).expect("processes");
        let logs = done.part.batches.into_iter().filter(|batch| batch.table == Table::Logs);
        BTreeMap::from([(Table::Logs, logs.map(|batch| batch.rows).collect())])
    }

    #[test]
    fn a_corrected_rule_parses_more_and_every_change_is_counted() {
        let lines = ["info took 5", "warn took 7", "debug took 9", "what"];
        // The old rule reads the number as a level, and only of lines that say `info`.
        let old = rows(&pipeline("r info took %{word:level}"), &lines);
        let fixed = pipeline("r %{word:level} took %{integer:ms}");
        let done = process(&fixed, portion(&lines, Some(old))).expect("processes");
        let diff = done.diff.expect("compared");
        let logs = diff.tables["logs"];
        let expected = RowsDiff { before: 4, after: 3, same: 1, changed: 2, gone: 1, new: 0 };
        assert_eq!(logs, expected, "one line is excluded now");
        let parsed = Parsed { before: 1, after: 2, unparsed_before: 3, unparsed_after: 1 };
        assert_eq!(diff.parsed, parsed);
        let fields = &diff.fields["logs"];
        let counts = |name: &str| {
            let field = &fields[name];
            (field.added, field.removed, field.changed)
        };
        assert_eq!((counts("@level"), counts("@ms")), ((1, 0, 1), (2, 0, 0)));
        assert_eq!(fields.len(), 2, "{fields:?}");
        let sample = &fields["@level"].samples[0];
        let seen = (sample.before.as_deref(), sample.after.as_deref());
        assert_eq!((sample.offset, seen), (0, (Some("5"), Some("info"))));
    }

    #[test]
    fn the_same_pipeline_changes_nothing_and_sums_add_up() {
        let lines = ["info took 5", "x"];
        let same = pipeline("r %{word:level} took %{integer:ms}");
        let old = rows(&same, &lines);
        let mut diff =
            process(&same, portion(&lines, Some(old))).expect("processes").diff.expect("diff");
        assert_eq!((diff.tables["logs"].same, diff.tables["logs"].changed), (2, 0));
        assert!(diff.fields.values().all(BTreeMap::is_empty), "{diff:?}");
        let one = diff.clone();
        diff.add(&one);
        assert_eq!((diff.tables["logs"].same, diff.parsed.after), (4, 2));
    }
}
