//! What a unit changes, row by row and field by field: rows with the same lineage are the same event. Pure.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, DynComparator, MapArray, RecordBatch, make_comparator,
};
use arrow::compute::{SortOptions, concat_batches};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::error::ArrowError;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use schemas::limits::{MAX_CHANGED_FIELDS, MAX_FIELD_SAMPLES, MAX_SAMPLE_BYTES};
use schemas::log::ATTRIBUTES;
use schemas::table::{
    LINEAGE_INDEX, LINEAGE_OFFSET, LINEAGE_PARTITION, LINEAGE_PIPELINE_VERSION, LINEAGE_TOPIC,
    Table,
};

use super::diff::{FieldDiff, RowsDiff, Sample, UnitDiff};
use super::own::Own;
use crate::unit::HourBatch;

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

    fn event(&self, row: usize) -> Event {
        let offset = self.offsets.get(row).copied().unwrap_or_default();
        (offset, self.indexes.get(row).copied().unwrap_or_default())
    }

    fn len(&self) -> i64 {
        i64::try_from(self.rows.num_rows()).unwrap_or(i64::MAX)
    }

    /// Its rows in the order of their events.
    fn in_order(&self) -> Vec<(Event, usize)> {
        let mut rows: Vec<_> =
            (0..self.rows.num_rows()).map(|row| (self.event(row), row)).collect();
        rows.sort_unstable();
        rows
    }
}

/// An event by its lineage within one partition: offset, and number within the message.
type Event = (i64, i32);

/// The rows of events that both sides have.
fn pairs(old: &Side<'_>, new: &Side<'_>) -> Vec<(usize, usize)> {
    let mut new = new.in_order().into_iter().peekable();
    let mut pairs = Vec::new();
    for (event, row) in old.in_order() {
        while new.next_if(|(other, _)| *other < event).is_some() {}
        if let Some((_, other)) = new.next_if(|(other, _)| *other == event) {
            pairs.push((row, other));
        }
    }
    pairs
}

struct Pair<'r> {
    table: Table,
    old: Side<'r>,
    new: Side<'r>,
}

impl Pair<'_> {
    fn compare(&self, diff: &mut UnitDiff) -> Result<(), ArrowError> {
        let pairs = pairs(&self.old, &self.new);
        let mut changed = vec![false; pairs.len()];
        let columns = self.old.rows.columns().iter().zip(self.new.rows.columns());
        for (field, (old, new)) in self.old.rows.schema_ref().fields().iter().zip(columns) {
            if is_lineage(field.name()) {
                continue;
            }
            let is_same = make_comparator(old, new, SortOptions::default())?;
            let mut entries = Entries::of(old, new)?;
            let mut tally = Tally::default();
            for (pair, changed) in pairs.iter().zip(&mut changed) {
                if is_same(pair.0, pair.1) == Ordering::Equal {
                    continue;
                }
                let event = self.old.event(pair.0);
                *changed |= match &mut entries {
                    Some(entries) => entries.compare(*pair, event, &mut tally),
                    None => {
                        tally.count("", event, Some((old, pair.0)), Some((new, pair.1)));
                        true
                    }
                };
            }
            tally.tell(diff, self.table, field.name());
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
}

fn is_lineage(name: &str) -> bool {
    [LINEAGE_TOPIC, LINEAGE_PARTITION, LINEAGE_OFFSET, LINEAGE_INDEX, LINEAGE_PIPELINE_VERSION]
        .contains(&name)
}

/// A value in a column.
type Value<'a> = (&'a ArrayRef, usize);

/// What changes in one column of a unit: by the keys of its maps, or as one field without a key.
#[derive(Default)]
struct Tally<'r> {
    fields: BTreeMap<&'r str, FieldDiff>,
    /// Changes of keys beyond [`MAX_CHANGED_FIELDS`].
    untold: i64,
}

impl<'r> Tally<'r> {
    /// Counts a change.
    fn count(
        &mut self,
        key: &'r str,
        (offset, index): Event,
        old: Option<Value<'_>>,
        new: Option<Value<'_>>,
    ) {
        if self.fields.len() >= MAX_CHANGED_FIELDS && !self.fields.contains_key(key) {
            self.untold += 1;
            return;
        }
        let field = self.fields.entry(key).or_default();
        let (old, new) = (old.filter(is_there), new.filter(is_there));
        match (&old, &new) {
            (None, _) => field.added += 1,
            (_, None) => field.removed += 1,
            _ => field.changed += 1,
        }
        if field.samples.len() < MAX_FIELD_SAMPLES {
            let (before, after) = (old.map(shown), new.map(shown));
            field.samples.push(Sample { offset, index, before, after });
        }
    }

    fn tell(self, diff: &mut UnitDiff, table: Table, column: &str) {
        for (key, field) in &self.fields {
            let name = match (column, *key) {
                (column, "") => column.to_owned(),
                (ATTRIBUTES, key) => format!("@{key}"),
                (column, key) => format!("{column}.{key}"),
            };
            diff.field(table.name(), &name, field);
        }
        diff.untold += self.untold;
    }
}

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

/// Two columns of maps, compared entry by entry: entries that are only turned around are no change.
struct Entries<'r> {
    old: &'r MapArray,
    new: &'r MapArray,
    is_same: DynComparator,
    /// The entries of a pair, by key.
    before: Vec<(&'r str, usize)>,
    after: Vec<(&'r str, usize)>,
}

impl<'r> Entries<'r> {
    /// `None` if the columns hold no maps.
    fn of(old: &'r ArrayRef, new: &'r ArrayRef) -> Result<Option<Self>, ArrowError> {
        let (Some(old), Some(new)) = (old.as_map_opt(), new.as_map_opt()) else { return Ok(None) };
        let is_same = make_comparator(old.values(), new.values(), SortOptions::default())?;
        Ok(Some(Self { old, new, is_same, before: Vec::new(), after: Vec::new() }))
    }

    /// Counts the entries in which a pair of rows differs; whether there is one.
    fn compare(&mut self, pair: (usize, usize), event: Event, tally: &mut Tally<'r>) -> bool {
        let Self { old, new, is_same, before, after } = self;
        by_key(old, pair.0, before);
        by_key(new, pair.1, after);
        let mut any = false;
        let mut differs = |key, old_entry: Option<usize>, new_entry: Option<usize>| {
            any = true;
            let from = old_entry.map(|entry| (old.values(), entry));
            tally.count(key, event, from, new_entry.map(|entry| (new.values(), entry)));
        };
        let mut rest = after.iter().peekable();
        for (key, entry) in before.iter() {
            while let Some((key, entry)) = rest.next_if(|(other, _)| other < key) {
                differs(key, None, Some(*entry));
            }
            match rest.next_if(|(other, _)| other == key) {
                Some((_, other)) if is_same(*entry, *other) == Ordering::Equal => {}
                other => differs(key, Some(*entry), other.map(|(_, entry)| *entry)),
            }
        }
        for (key, entry) in rest {
            differs(key, None, Some(*entry));
        }
        any
    }
}

/// The entries of a row's map, sorted by key.
fn by_key<'r>(map: &'r MapArray, row: usize, into: &mut Vec<(&'r str, usize)>) {
    let keys = map.keys().as_string::<i32>();
    into.clear();
    into.extend(entries(map, row).map(|entry| (keys.value(entry), entry)));
    into.sort_unstable();
}

#[cfg(test)]
mod tests {
    use schemas::topic::Format;

    use super::*;
    use crate::fixture;
    use crate::replay::diff::Parsed;
    use crate::replay::unit::{Portion, process};
    use schemas::topic::Signal;
    use stages::pipeline::{Pipeline, config};
    use stages::record::Record;
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
