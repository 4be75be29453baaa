//! The pure check over the log: records and snapshots in, what the tables should contain out.

use std::collections::{BTreeMap, BTreeSet};

use schemas::table::Table;

use super::{Fault, Problems, Report};
use crate::commit_log::head::{FilesChange, Head};
use crate::commit_log::record::{self, Bits, FileAdd};
use crate::commit_log::snapshot::Unreadable;

/// What the log says of the files of one table.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Known {
    /// The id the log publishes to.
    pub id: Option<String>,
    /// Files the table should contain at its cursor, and their bytes.
    pub contents: BTreeMap<String, i64>,
    /// Files of records after the cursor, and their bytes.
    pub pending: BTreeMap<String, i64>,
    /// Every file any record has named; what was removed is in here too.
    pub named: BTreeSet<String>,
    /// Whether older records are collected, so that the table may contain files of theirs.
    pub is_partial: bool,
    /// Columns it must have gained by its cursor.
    pub columns: BTreeSet<String>,
    /// Where the log ends.
    pub next_seq: u64,
}

/// What the log says of every table.
#[derive(Debug, Clone, Default)]
pub struct Expected(BTreeMap<Table, Known>);

impl Expected {
    /// What it says of one.
    pub fn of(&self, table: Table) -> Known {
        self.0.get(&table).cloned().unwrap_or_default()
    }
}

/// The check, fed record by record.
#[derive(Debug)]
pub struct Chain {
    head: Head,
    cursors: BTreeMap<Table, Option<u64>>,
    known: BTreeMap<Table, Known>,
    /// The head a log without its beginning starts from, once its records reach it.
    base: Option<Head>,
    /// Number and hash of the last record before the base.
    before: Option<(u64, Bits)>,
    report: Report,
}

impl Chain {
    /// Before the first record. `cursors` are the tables', read before the log.
    pub fn new(cursors: BTreeMap<Table, Option<u64>>, problems: Problems) -> Self {
        let report = Report { problems, ..Report::default() };
        Self {
            head: Head::default(),
            cursors,
            known: BTreeMap::new(),
            base: None,
            before: None,
            report,
        }
    }

    /// The log's first record is `first`: older ones are collected, or the log was adopted. `base` is the
    /// oldest snapshot that covers them.
    pub fn begin_at(&mut self, first: u64, base: Option<Head>) {
        self.report.first_seq = first;
        for table in Table::ALL {
            self.known.entry(table).or_default().is_partial = true;
        }
        match base {
            Some(base) if base.next_seq == first => self.head = base,
            Some(base) => self.base = Some(base),
            None if first > 0 => self.report.problems.add(
                Fault::BeginningMissing,
                format!("record {first}"),
                "records before it are gone, and no readable snapshot covers them; restore both from a backup",
            ),
            None => {}
        }
    }

    /// The next record's bytes, `None` where it is missing; whether what follows can be trusted.
    pub fn record(&mut self, key: &str, seq: u64, bytes: Option<&[u8]>) -> bool {
        let problems = &mut self.report.problems;
        let Some(bytes) = bytes else {
            problems.add(
                Fault::RecordMissing,
                key,
                "later records are there; restore it from a backup",
            );
            return false;
        };
        let decoded = match record::decode(bytes) {
            Ok(record) => record,
            Err(error) => {
                problems.add(Fault::RecordDamaged, key, error.to_string());
                return false;
            }
        };
        self.report.records += 1;
        let hash = record::hash(bytes);
        if self.base.is_some() {
            return self.before_base(key, seq, &decoded, hash);
        }
        match self.head.fold(&decoded, hash) {
            Ok(folded) => {
                self.report.rejected += folded.rejected.len() as u64;
                for (table, change) in folded.changes(&decoded) {
                    self.change(key, seq, table, change);
                }
                true
            }
            Err(error) => {
                let detail = format!("{error}; two logs were mixed, or a record was edited");
                self.report.problems.add(Fault::ChainBroken, key, detail);
                false
            }
        }
    }

    /// A record that the base covers: only its place in the chain is checked.
    fn before_base(&mut self, key: &str, seq: u64, found: &record::Record, hash: Bits) -> bool {
        let follows = match self.before {
            Some((last, before)) => found.seq == last + 1 && found.previous == before,
            None => found.seq == seq,
        };
        if !follows {
            let detail = "it does not continue the record before it";
            self.report.problems.add(Fault::ChainBroken, key, detail);
            return false;
        }
        self.before = Some((seq, hash));
        if let Some(base) = self.base.take_if(|base| base.next_seq == seq + 1) {
            if base.last_hash != hash {
                let detail = "the snapshot after it continues another record";
                self.report.problems.add(Fault::SnapshotWrong, key, detail);
            }
            self.head = base;
        }
        true
    }

    fn change(&mut self, key: &str, seq: u64, table: Table, change: FilesChange<'_>) {
        let done = self.cursors.get(&table).copied().flatten().is_some_and(|cursor| seq <= cursor);
        match change {
            FilesChange::Append(adds) => self.adds(key, table, done, adds),
            FilesChange::Replace(_, change) => {
                let known = self.known.entry(table).or_default();
                for file in change.removes.iter().filter(|_| done) {
                    known.named.insert(file.path.clone());
                    if known.contents.remove(&file.path).is_none() && !known.is_partial {
                        let detail = format!("{} is not in table {}", file.path, table.name());
                        self.report.problems.add(Fault::RemovesUnknown, key, detail);
                    }
                }
                self.adds(key, table, done, change.adds.iter().collect());
            }
            FilesChange::Columns(columns) if done => {
                let known = self.known.entry(table).or_default();
                known.columns.extend(columns.iter().map(|column| column.name.clone()));
            }
            FilesChange::Columns(_) => {}
        }
    }

    fn adds(&mut self, key: &str, table: Table, done: bool, adds: Vec<&FileAdd>) {
        let known = self.known.entry(table).or_default();
        for add in adds {
            if !known.named.insert(add.path.clone()) {
                let detail = format!("{} of table {} was named before", add.path, table.name());
                self.report.problems.add(Fault::FileNamedTwice, key, detail);
            }
            let files = if done { &mut known.contents } else { &mut known.pending };
            files.insert(add.path.clone(), add.size);
        }
    }

    /// A snapshot taken before the next record.
    pub fn snapshot(&mut self, key: &str, saved: &Head) {
        if self.base.is_some() {
            return;
        }
        self.report.snapshots += 1;
        if *saved != self.head {
            let detail = if saved.next_seq == self.head.next_seq {
                "it says something else than the records before it; delete it, an older one serves"
            } else {
                "the records it covers are not there"
            };
            self.report.problems.add(Fault::SnapshotWrong, key, detail);
        }
    }

    /// A snapshot that can not be read: recovery uses an older one, or stops where a newer version wrote it.
    pub(crate) fn unreadable_snapshot(&mut self, key: &str, reason: &Unreadable) {
        let problems = &mut self.report.problems;
        match reason {
            Unreadable::Damaged(reason) => problems.add(Fault::SnapshotDamaged, key, reason),
            Unreadable::Newer(newer) => {
                problems.add(Fault::SnapshotNewer, key, newer.to_string());
            }
        }
    }

    /// What the records fed so far add up to.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// What was found, and what the tables should contain.
    pub fn finish(mut self) -> (Report, Expected) {
        self.report.next_seq = self.head.next_seq;
        for table in Table::ALL {
            let known = self.known.entry(table).or_default();
            known.id = self.head.tables.get(&table).and_then(|head| head.id.clone());
            known.next_seq = self.head.next_seq;
        }
        (self.report, Expected(self.known))
    }
}
