//! The fold of columns that tables gain.

use std::collections::BTreeSet;

use super::super::record::Schema;
use super::{Head, Rejection};

impl Head {
    /// A column that is there already, with the same field, is no error: several workers of a new
    /// version start at once.
    pub(super) fn check_schema(&self, schema: &Schema) -> Result<(), Rejection> {
        let mut tables = BTreeSet::new();
        for gain in &schema.tables {
            if !tables.insert(gain.table) {
                return Err(Rejection::Malformed("a table twice"));
            }
            let mut names = BTreeSet::new();
            if gain.columns.is_empty() || !gain.columns.iter().all(|c| names.insert(&c.name)) {
                return Err(Rejection::Malformed("no column, or one twice"));
            }
            let known = self.tables.get(&gain.table).map(|head| &head.columns);
            for column in &gain.columns {
                let there = known.and_then(|known| known.get(&column.name));
                if let Some(expected) = there.filter(|field| **field != column.field) {
                    return Err(Rejection::Column {
                        table: gain.table.name(),
                        column: column.name.clone(),
                        expected: expected.clone(),
                        found: column.field.clone(),
                    });
                }
            }
        }
        if tables.is_empty() { Err(Rejection::Malformed("no table")) } else { Ok(()) }
    }

    pub(super) fn fold_schema(&mut self, seq: u64, schema: &Schema) -> Vec<(usize, Rejection)> {
        if let Err(rejection) = self.check_schema(schema) {
            return vec![(0, rejection)];
        }
        for gain in &schema.tables {
            let table = self.tables.entry(gain.table).or_default();
            table.last_add_seq = Some(seq);
            let columns = gain.columns.iter();
            table.columns.extend(columns.map(|c| (c.name.clone(), c.field.clone())));
        }
        Vec::new()
    }
}
