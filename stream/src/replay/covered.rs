//! Which rows a replay replaces: stretches of offsets per topic partition, and the rows whose lineage lies in
//! one. Ledger rows stand for a range; they are covered by where it begins, for stretches never cut a range.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray as _, BooleanArray, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::error::ArrowError;
use schemas::ledger::{self, Action};
use schemas::publish::LIVE_PIPELINE;
use schemas::table::{LINEAGE_OFFSET, LINEAGE_PARTITION, LINEAGE_TOPIC, Table};
use stages::record::TopicPartition;

/// Consecutive offsets of one partition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Stretch {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset.
    pub from: i64,
    /// One past the last.
    pub to: i64,
}

/// Stretches of one partition, as first offset and one past the last.
type Stretches = Vec<(i64, i64)>;

/// Stretches by partition.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Covered(BTreeMap<Arc<str>, BTreeMap<i32, Stretches>>);

/// What a file's statistics say about the lineage of its rows; `None` where they say nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Bounds {
    topics: Option<(String, String)>,
    partitions: Option<(i64, i64)>,
    offsets: Option<(i64, i64)>,
}

impl Covered {
    /// These stretches.
    pub fn new<'s>(stretches: impl IntoIterator<Item = &'s Stretch>) -> Self {
        let mut covered = Self::default();
        for Stretch { partition: TopicPartition { topic, partition }, from, to } in stretches {
            let partitions = covered.0.entry(Arc::clone(topic)).or_default();
            partitions.entry(*partition).or_default().push((*from, *to));
        }
        covered
    }

    /// Whether it covers nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn stretches(&self, topic: &str, partition: i32) -> &[(i64, i64)] {
        let found = self.0.get(topic).and_then(|partitions| partitions.get(&partition));
        found.map_or(&[], Vec::as_slice)
    }

    /// Which of these rows are covered.
    ///
    /// # Errors
    /// The rows have no lineage columns.
    pub fn mask(&self, table: Table, rows: &RecordBatch) -> Result<BooleanArray, ArrowError> {
        let column = |name: &str| {
            let found = rows.column_by_name(name);
            found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
        };
        let topics = column(LINEAGE_TOPIC)?.as_string::<i32>();
        let partitions = column(LINEAGE_PARTITION)?.as_primitive::<Int32Type>();
        let offsets = column(offset_column(table))?.as_primitive::<Int64Type>();
        let actions = match table {
            Table::Ledger => Some(column(ledger::ACTION)?.as_string::<i32>()),
            _ => None,
        };
        // Rows of a partition mostly follow one another.
        type Last<'a> = Option<(&'a str, i32, &'a [(i64, i64)])>;
        let mut last: Last<'_> = None;
        let covered = |row: usize| {
            let (topic, partition) = (topics.value(row), partitions.value(row));
            let known = last.filter(|(t, p, _)| *t == topic && *p == partition);
            let stretches = known.map_or_else(|| self.stretches(topic, partition), |k| k.2);
            last = Some((topic, partition, stretches));
            let offset = offsets.value(row);
            stretches.iter().any(|(from, to)| (*from..*to).contains(&offset))
                && actions.is_none_or(|actions| replaces(actions.value(row)))
        };
        Ok((0..rows.num_rows()).map(covered).map(Some).collect())
    }

    /// Whether a file with these bounds may hold covered rows.
    pub fn may_be_in(&self, bounds: &Bounds) -> bool {
        let outside = |bounds: &Option<(i64, i64)>, from: i64, to: i64| {
            bounds.is_some_and(|(low, high)| high < from || low >= to)
        };
        self.0.iter().any(|(topic, partitions)| {
            let named = bounds.topics.as_ref();
            named.is_none_or(|(low, high)| **low <= **topic && **topic <= **high)
                && partitions.iter().any(|(partition, stretches)| {
                    let number = i64::from(*partition);
                    !outside(&bounds.partitions, number, number.saturating_add(1))
                        && stretches.iter().any(|(from, to)| !outside(&bounds.offsets, *from, *to))
                })
        })
    }
}

/// The tables a replay replaces rows of: all whose rows say where they come from, but for the messages themselves.
pub fn tables() -> impl Iterator<Item = Table> {
    Table::of(LIVE_PIPELINE).filter(|table| *table != Table::RawMessages).filter(|table| {
        let schema = table.file_schema();
        let has = |name: &str| schema.index_of(name).is_ok();
        has(LINEAGE_TOPIC) && (has(LINEAGE_OFFSET) || has(ledger::FROM_OFFSET))
    })
}

/// The columns [`Covered::mask`] looks at.
pub(super) fn lineage_columns(table: Table) -> Vec<&'static str> {
    let mut names = vec![LINEAGE_TOPIC, LINEAGE_PARTITION, offset_column(table)];
    names.extend((table == Table::Ledger).then_some(ledger::ACTION));
    names
}

/// The column that says where a row of the table comes from.
pub(super) fn offset_column(table: Table) -> &'static str {
    if table.file_schema().index_of(LINEAGE_OFFSET).is_ok() {
        LINEAGE_OFFSET
    } else {
        ledger::FROM_OFFSET
    }
}

/// Whether a ledger row of this action goes with the rows it counts. What a person decided stays.
fn replaces(action: &str) -> bool {
    action != Action::Gap.as_str() && action != Action::Redriven.as_str()
}

impl Bounds {
    /// From a file's Delta statistics.
    pub fn read(table: Table, statistics: Option<&str>) -> Self {
        let parsed = statistics.and_then(|text| serde_json::from_str(text).ok());
        let statistics: serde_json::Value = parsed.unwrap_or_default();
        let pair = |name: &str| {
            let at = |of: &str| statistics.get(of).and_then(|values| values.get(name)).cloned();
            Some((at("minValues")?, at("maxValues")?))
        };
        let number = |name: &str| {
            let (low, high) = pair(name)?;
            Some((low.as_i64()?, high.as_i64()?))
        };
        let topics = pair(LINEAGE_TOPIC)
            .and_then(|(low, high)| Some((low.as_str()?.to_owned(), high.as_str()?.to_owned())));
        let partitions = number(LINEAGE_PARTITION);
        Self { topics, partitions, offsets: number(offset_column(table)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stages::columns::{LedgerColumns, LedgerEntry, Lineage, TableColumns as _};

    fn stretch(topic: &str, partition: i32, from: i64, to: i64) -> Stretch {
        Stretch { partition: TopicPartition { topic: topic.into(), partition }, from, to }
    }

    #[test]
    fn only_rows_of_the_stretches_are_covered_and_decisions_of_people_are_not() {
        let covered = Covered::new(&[stretch("t", 1, 10, 20), stretch("t", 1, 30, 40)]);
        let mut columns = LedgerColumns::default();
        let mut expected = Vec::new();
        for (topic, partition, from, action, is_covered) in [
            ("t", 1, 10, Action::Received, true),
            ("t", 1, 19, Action::Excluded, true),
            ("t", 1, 20, Action::Received, false),
            ("t", 1, 20, Action::Gap, false),
            ("t", 1, 35, Action::Gap, false),
            ("t", 1, 35, Action::Redriven, false),
            ("t", 1, 35, Action::DeadLetter, true),
            ("t", 2, 10, Action::Received, false),
            ("u", 1, 10, Action::Received, false),
        ] {
            let entry = LedgerEntry {
                timestamp: schemas::time::EventTime::default(),
                signal: schemas::topic::Signal::Logs,
                action,
                rule: "",
                service: "",
                events: 1,
                bytes: 1,
                messages: 1,
                from_offset: from,
                to_offset: from + 1,
                cost: None,
            };
            columns.push(&entry, &Lineage { topic, partition, offset: from, pipeline_version: "" });
            expected.push(is_covered);
        }
        let rows = columns.finish().expect("columns");
        let mask = covered.mask(Table::Ledger, &rows).expect("lineage");
        assert_eq!(mask, BooleanArray::from(expected));
    }

    #[test]
    fn a_file_is_left_alone_only_if_its_statistics_exclude_every_stretch() {
        let covered = Covered::new(&[stretch("m", 1, 10, 20)]);
        let bounds = |topics: (&str, &str), partitions: (i64, i64), offsets: (i64, i64)| {
            let text = serde_json::json!({
                "minValues": {"_topic": topics.0, "_partition": partitions.0, "_offset": offsets.0},
                "maxValues": {"_topic": topics.1, "_partition": partitions.1, "_offset": offsets.1},
            });
            Bounds::read(Table::Logs, Some(&text.to_string()))
        };
        for (bounds, may) in [
            (bounds(("a", "z"), (0, 3), (0, 100)), true),
            (bounds(("m", "m"), (1, 1), (19, 19)), true),
            (bounds(("m", "m"), (1, 1), (20, 90)), false),
            (bounds(("m", "m"), (1, 1), (0, 9)), false),
            (bounds(("m", "m"), (2, 3), (10, 19)), false),
            (bounds(("n", "z"), (1, 1), (10, 19)), false),
            (Bounds::read(Table::Logs, None), true),
            (Bounds::read(Table::Logs, Some("{\"numRecords\": 3}")), true),
            (Bounds::read(Table::Logs, Some("damaged")), true),
        ] {
            assert_eq!(covered.may_be_in(&bounds), may, "{bounds:?}");
        }
    }
}
