//! What the ledger says of one offset range of one topic partition, and the walk over all ranges in order:
//! pure, so that every way a ledger can be wrong is a test of a few lines.

use std::sync::Arc;

use arrow::array::RecordBatch;
use schemas::limits::MAX_AUDIT_FINDINGS;
use schemas::table::Table;
use schemas::topic::Signal;

use super::ask::{AuditError, numbers, texts};
use super::report::{Partition, Report};

/// One range: all ledger rows with the same topic, partition, first and last offset.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Range {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// First offset.
    pub from: i64,
    /// One past the last.
    pub to: i64,
    /// What the topic carries, as the ledger names it.
    pub signal: String,
    /// `received` rows: one unit has exactly one.
    pub units: i64,
    /// `gap` rows: losses a person has accepted.
    pub gaps: i64,
    /// Events received.
    pub received: i64,
    /// Events written to their table.
    pub indexed: i64,
    /// Events dropped by a filter.
    pub excluded: i64,
    /// Events refused.
    pub dead_letters: i64,
    /// Kafka messages.
    pub messages: i64,
}

/// The ways in which tables and ledger can be wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Offsets between two units are in none.
    Gap,
    /// Offsets are in two units.
    Overlap,
    /// One range was counted more than once.
    RangeTwice,
    /// A range has no `received` row.
    NoReceived,
    /// `received` is not the sum of the others.
    Unbalanced,
    /// More messages than offsets, or a range that goes backwards.
    Impossible,
    /// Fewer rows in a table than the ledger says.
    RowsMissing,
    /// More rows in a table than the ledger says.
    RowsExtra,
    /// One lineage more than once in a table.
    RowTwice,
    /// A row whose offset is in no unit.
    RowOutside,
    /// A file that a table names is gone.
    FileMissing,
}

impl What {
    /// As a person reads it.
    pub fn text(self) -> &'static str {
        match self {
            What::Gap => "offsets are in no unit",
            What::Overlap => "offsets are in two units",
            What::RangeTwice => "the range was counted more than once",
            What::NoReceived => "the ledger has no `received` row of this range",
            What::Unbalanced => "received is not indexed + excluded + dead letters",
            What::Impossible => "the range can not be",
            What::RowsMissing => "rows are missing",
            What::RowsExtra => "rows are too many",
            What::RowTwice => "a row is there more than once",
            What::RowOutside => "rows lie outside every unit",
            What::FileMissing => "a file of the table is gone",
        }
    }
}

/// Something wrong, and exactly where.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    /// What.
    pub what: What,
    /// The table, where one is named.
    pub table: Option<&'static str>,
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// First offset concerned.
    pub from_offset: i64,
    /// One past the last.
    pub to_offset: i64,
    /// What should be.
    pub expected: i64,
    /// What is.
    pub found: i64,
    /// Whether it is about the last units of its partition only, which may not be published to every table yet.
    #[serde(skip)]
    pub(super) is_last: bool,
}

impl Finding {
    /// A file of the ledger itself is gone: nothing can be said of any partition.
    pub(super) fn ledger_file_missing() -> Self {
        Self {
            what: What::FileMissing,
            table: Some(Table::Ledger.name()),
            topic: "".into(),
            partition: -1,
            from_offset: 0,
            to_offset: 0,
            expected: 1,
            found: 0,
            is_last: false,
        }
    }

    /// Where and what, without the numbers: the same finding in two looks.
    pub(super) fn key(&self) -> (What, Option<&'static str>, Arc<str>, i32, i64, i64) {
        let Self { what, table, topic, partition, from_offset, to_offset, .. } = self;
        (*what, *table, Arc::clone(topic), *partition, *from_offset, *to_offset)
    }
}

impl Range {
    /// The ranges of a batch of the ledger question.
    pub(super) fn read(batch: &RecordBatch) -> Result<Vec<Self>, AuditError> {
        let topics = texts(batch, "_topic")?;
        let signals = texts(batch, "signal")?;
        let column = |name| numbers(batch, name);
        let (partitions, from, to) =
            (column("_partition")?, column("from_offset")?, column("to_offset")?);
        let (units, gaps, messages) = (column("units")?, column("gaps")?, column("messages")?);
        let (received, indexed) = (column("received")?, column("indexed")?);
        let (excluded, dead_letters) = (column("excluded")?, column("dead_letter")?);
        let range = |row: usize| Self {
            topic: topics.value(row).into(),
            partition: i32::try_from(partitions.value(row)).unwrap_or(i32::MAX),
            from: from.value(row),
            to: to.value(row),
            signal: signals.value(row).to_owned(),
            units: units.value(row),
            gaps: gaps.value(row),
            received: received.value(row),
            indexed: indexed.value(row),
            excluded: excluded.value(row),
            dead_letters: dead_letters.value(row),
            messages: messages.value(row),
        };
        Ok((0..batch.num_rows()).map(range).collect())
    }

    /// Whether both are of one topic partition.
    pub(super) fn same_partition(&self, other: &Self) -> bool {
        self.topic == other.topic && self.partition == other.partition
    }

    /// Rows the tables should have of it.
    pub(super) fn expected_rows(&self) -> i64 {
        self.indexed.saturating_add(self.dead_letters)
    }

    /// Rows this table should have of it; `None` where the ledger does not say: metrics derived from logs
    /// are aggregates.
    pub(super) fn expected_in(&self, table: Table) -> Option<i64> {
        let own = match self.signal.as_str() {
            signal if signal == Signal::Logs.as_str() => Table::Logs,
            signal if signal == Signal::Spans.as_str() => Table::Spans,
            _ => Table::Metrics,
        };
        match table {
            Table::DeadLetters => Some(self.dead_letters),
            table if table == own => Some(self.indexed),
            Table::Metrics => None,
            _ => Some(0),
        }
    }

    pub(super) fn finding(&self, what: What, expected: i64, found: i64) -> Finding {
        Finding {
            what,
            table: None,
            topic: Arc::clone(&self.topic),
            partition: self.partition,
            from_offset: self.from,
            to_offset: self.to,
            expected,
            found,
            is_last: false,
        }
    }
}

/// The walk over all ranges, sorted by topic, partition and first offset.
#[derive(Debug, Default)]
pub struct Walk {
    report: Report,
}

impl Walk {
    /// The next range.
    pub fn step(&mut self, range: &Range) {
        let known = self.report.partitions.last();
        let known = known.filter(|p| p.topic == range.topic && p.partition == range.partition);
        match known.map(|partition| partition.to_offset) {
            None => self.report.partitions.push(Partition::first(range)),
            Some(next) if range.from != next => self.not_next(range, next),
            Some(_) => {}
        }
        for (what, expected, found) in faults(range) {
            self.found(range.finding(what, expected, found));
        }
        if let Some(partition) = self.report.partitions.last_mut() {
            partition.add(range);
        }
    }

    fn not_next(&mut self, range: &Range, next: i64) {
        let (what, from, to) = if range.from > next {
            (What::Gap, next, range.from)
        } else {
            (What::Overlap, range.from, next.min(range.to))
        };
        let finding = range.finding(what, next, range.from);
        self.found(Finding { from_offset: from, to_offset: to, ..finding });
    }

    /// The partitions walked so far.
    pub(super) fn partitions(&self) -> &[Partition] {
        &self.report.partitions
    }

    /// Up to which record the table is published.
    pub(super) fn published(&mut self, table: Table, seq: Option<i64>) {
        self.report.published.insert(table.name(), seq);
    }

    /// The table has rows of this partition up to `offset`: what is missing before it is no matter of
    /// publication any more.
    pub(super) fn reaches(&mut self, table: Table, range: &Range, offset: i64) {
        let of_it = |f: &&mut Finding| {
            f.table == Some(table.name())
                && f.topic == range.topic
                && f.partition == range.partition
                && f.from_offset <= offset
        };
        self.report.findings.iter_mut().filter(of_it).for_each(|finding| finding.is_last = false);
    }

    /// Notes a finding; beyond [`MAX_AUDIT_FINDINGS`] they are only counted.
    pub(super) fn found(&mut self, finding: Finding) {
        let report = &mut self.report;
        report.finding_count += 1;
        let same =
            |p: &&mut Partition| p.topic == finding.topic && p.partition == finding.partition;
        if let Some(partition) = report.partitions.iter_mut().rev().find(same) {
            partition.findings += 1;
        }
        if report.findings.len() < MAX_AUDIT_FINDINGS {
            report.findings.push(finding);
        }
    }

    /// The sums.
    pub fn finish(self) -> Report {
        self.report
    }
}

/// What is wrong with a range by itself.
fn faults(range: &Range) -> Vec<(What, i64, i64)> {
    let mut faults = Vec::new();
    let offsets = range.to.saturating_sub(range.from);
    if offsets < 0 || range.messages > offsets || range.messages < 0 {
        faults.push((What::Impossible, offsets, range.messages));
    }
    match (range.units, range.gaps) {
        (0, 0) => faults.push((What::NoReceived, 1, 0)),
        (1, 0) | (0, 1) => {}
        (units, gaps) => faults.push((What::RangeTwice, 1, units.saturating_add(gaps))),
    }
    let accounted = range.indexed.saturating_add(range.excluded).saturating_add(range.dead_letters);
    if range.received != accounted {
        faults.push((What::Unbalanced, range.received, accounted));
    }
    faults
}
