//! What a replay changes, in numbers: rows by table, parsed and unparsed logs, fields with examples. Sums over units
//! are sums over their parts.

use std::collections::BTreeMap;

use schemas::limits::{MAX_CHANGED_FIELDS, MAX_FIELD_SAMPLES};
use serde::{Deserialize, Serialize};

use super::restore::RestoredLine;

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
    /// Excluded events a restore has read and looked at, whether they matched or not.
    #[serde(default)]
    pub looked_at: i64,
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
        self.looked_at += other.looked_at;
        for (table, fields) in &other.fields {
            for (name, field) in fields {
                self.field(table, name, field);
            }
        }
    }

    /// Adds what a field of a table changes, while there is room to name it.
    pub(super) fn field(&mut self, table: &str, name: &str, field: &FieldDiff) {
        let fields = self.fields.entry(table.to_owned()).or_default();
        let room = fields.len() < MAX_CHANGED_FIELDS;
        match fields.get_mut(name) {
            Some(sum) => sum.add(field),
            None if room => {
                fields.insert(name.to_owned(), field.clone());
            }
            None => self.untold += field.changes(),
        }
    }
}

impl FieldDiff {
    fn add(&mut self, other: &Self) {
        self.added += other.added;
        self.removed += other.removed;
        self.changed += other.changed;
        let room = MAX_FIELD_SAMPLES.saturating_sub(self.samples.len());
        self.samples.extend(other.samples.iter().take(room).cloned());
    }

    /// Rows that have it changed in one way or another.
    fn changes(&self) -> i64 {
        self.added + self.removed + self.changed
    }
}
