//! What must be true in the end, known without asking the code under test.

use std::collections::{BTreeMap, BTreeSet};

/// Offsets of one partition that a file has the rows of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Range {
    pub(super) partition: i32,
    pub(super) from: i64,
    pub(super) to: i64,
}

/// What files contain.
#[derive(Debug, Default)]
pub(super) struct Oracle {
    contents: BTreeMap<String, Vec<Range>>,
    /// Files of units that must be refused.
    poison: BTreeSet<String>,
}

impl Oracle {
    /// Remembers a new file; returns its path.
    pub(super) fn file(&mut self, ranges: Vec<Range>) -> String {
        let path = format!("date=2024-04-27/hour=1/part-{:06}.parquet", self.contents.len());
        self.contents.insert(path.clone(), ranges);
        path
    }

    /// The same for a unit that must be refused.
    pub(super) fn poison(&mut self, ranges: Vec<Range>) -> String {
        let path = self.file(ranges);
        self.poison.insert(path.clone());
        path
    }

    /// What a file contains.
    pub(super) fn contents(&self, path: &str) -> Vec<Range> {
        self.contents.get(path).cloned().unwrap_or_default()
    }

    /// Rows of a file: one per offset.
    pub(super) fn rows(&self, path: &str) -> i64 {
        self.contents(path).iter().map(|range| range.to - range.from).sum()
    }

    /// Every offset produced is in exactly one of these files.
    pub(super) fn check(&self, files: &[String], produced: &[i64]) -> Result<(), String> {
        if let Some(path) = files.iter().find(|path| self.poison.contains(*path)) {
            return Err(format!("{path} of a unit that must be refused is in the table"));
        }
        let mut seen: BTreeMap<(i32, i64), usize> = BTreeMap::new();
        for range in files.iter().flat_map(|path| self.contents(path)) {
            for offset in range.from..range.to {
                *seen.entry((range.partition, offset)).or_default() += 1;
            }
        }
        if let Some((place, times)) = seen.iter().find(|(_, times)| **times > 1) {
            return Err(format!("{place:?} is there {times} times"));
        }
        for (partition, high) in (0i32..).zip(produced) {
            let lost = (0..*high).find(|offset| !seen.contains_key(&(partition, *offset)));
            if let Some(offset) = lost {
                return Err(format!("({partition}, {offset}) of {high} is lost"));
            }
        }
        Ok(())
    }
}
