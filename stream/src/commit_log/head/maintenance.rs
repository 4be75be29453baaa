//! The fold of maintenance: files replaced by others, in several tables at once or not at all.

use std::collections::BTreeSet;

use super::super::record::{Maintenance, MaintenanceKind, TableChange};
use super::{Head, Rejection};
use crate::mutant::{Mutant, planted};

impl Head {
    pub(super) fn check_maintenance(&self, maintenance: &Maintenance) -> Result<(), Rejection> {
        let mut seen = BTreeSet::new();
        for change in &maintenance.changes {
            if !seen.insert(change.table) {
                return Err(Rejection::Malformed("a table twice"));
            }
            check_files(&maintenance.kind, change)?;
            let current = self.tables.get(&change.table).and_then(|head| head.last_maintenance_seq);
            if current != change.parent_seq && !planted(Mutant::MaintenanceParent) {
                let (table, given) = (change.table.name(), change.parent_seq);
                return Err(Rejection::Maintained { table, current, given });
            }
        }
        if seen.is_empty() { Err(Rejection::Malformed("no table")) } else { Ok(()) }
    }

    pub(super) fn fold_maintenance(
        &mut self,
        seq: u64,
        maintenance: &Maintenance,
    ) -> Vec<(usize, Rejection)> {
        if let Err(rejection) = self.check_maintenance(maintenance) {
            return vec![(0, rejection)];
        }
        for change in &maintenance.changes {
            let table = self.tables.entry(change.table).or_default();
            table.last_add_seq = Some(seq);
            table.last_maintenance_seq = Some(seq);
        }
        Vec::new()
    }
}

/// What holds for the files of any change, whatever the table contains.
fn check_files(kind: &MaintenanceKind, change: &TableChange) -> Result<(), Rejection> {
    let mut paths = BTreeSet::new();
    let removes = change.removes.iter().map(|file| &file.path);
    if !removes.chain(change.adds.iter().map(|file| &file.path)).all(|path| paths.insert(path)) {
        return Err(Rejection::Malformed("a file twice"));
    }
    if paths.is_empty() {
        return Err(Rejection::Malformed("a table without files to change"));
    }
    if change.adds.iter().any(|add| add.table != change.table) {
        return Err(Rejection::Malformed("a file of another table"));
    }
    let removed: i64 = change.removes.iter().map(|file| file.rows).sum();
    let added: i64 = change.adds.iter().map(|file| file.rows).sum();
    match kind {
        MaintenanceKind::Compact if removed != added => {
            Err(Rejection::Malformed("a compaction that changes the number of rows"))
        }
        MaintenanceKind::Retain if added > removed => {
            Err(Rejection::Malformed("a retention that adds rows"))
        }
        _ => Ok(()),
    }
}

/// A seq in words.
pub(super) fn seq(seq: Option<u64>) -> String {
    seq.map_or_else(|| "nobody".to_owned(), |seq| format!("seq {seq}"))
}
