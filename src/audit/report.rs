//! Findings and sums, as a person and as a program reads them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use schemas::table::Table;
use serde_json::{Value, json};

use super::range::{Finding, Range, What};
use crate::api::{Column, Rows};

/// Sums of one topic partition.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Partition {
    /// Topic.
    pub topic: Arc<str>,
    /// Partition.
    pub partition: i32,
    /// What the topic carries.
    pub signal: String,
    /// First offset the ledger has.
    pub from_offset: i64,
    /// One past the last.
    pub to_offset: i64,
    /// Units with a range of it.
    pub units: i64,
    /// Kafka messages.
    pub messages: i64,
    /// Events received.
    pub received: i64,
    /// Events in their table.
    pub indexed: i64,
    /// Events dropped by a filter.
    pub excluded: i64,
    /// Events refused.
    pub dead_letters: i64,
    /// Offsets a person has accepted as lost.
    pub accepted_gap: i64,
    /// Offsets inside the units that never were a message: compaction, transaction markers.
    pub absent: i64,
    /// Findings.
    pub findings: u64,
}

impl Partition {
    /// Before its first range.
    pub(super) fn first(range: &Range) -> Self {
        Self {
            topic: Arc::clone(&range.topic),
            partition: range.partition,
            signal: range.signal.clone(),
            from_offset: range.from,
            to_offset: range.from,
            units: 0,
            messages: 0,
            received: 0,
            indexed: 0,
            excluded: 0,
            dead_letters: 0,
            accepted_gap: 0,
            absent: 0,
            findings: 0,
        }
    }

    pub(super) fn add(&mut self, range: &Range) {
        let offsets = range.to.saturating_sub(range.from);
        self.to_offset = self.to_offset.max(range.to);
        self.units += range.units;
        self.messages += range.messages;
        self.received += range.received;
        self.indexed += range.indexed;
        self.excluded += range.excluded;
        self.dead_letters += range.dead_letters;
        if range.gaps > 0 {
            self.accepted_gap += offsets;
        } else {
            self.absent += offsets.saturating_sub(range.messages).max(0);
        }
    }
}

/// Whether the promise holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// Everything adds up.
    Proven,
    /// Something does not, and the findings say where.
    Violated,
    /// All that does not add up is in the last units, and the tables are not published up to the same record:
    /// an engine was stopped hard in between. It publishes the rest at its next start.
    Unsettled,
}

/// What an audit found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Sums per topic partition, sorted.
    pub partitions: Vec<Partition>,
    /// The first of what is wrong.
    pub findings: Vec<Finding>,
    /// How much is wrong.
    pub finding_count: u64,
    /// Up to which record of the commit log each table was published when it was read.
    pub published: BTreeMap<&'static str, Option<i64>>,
}

impl Report {
    /// Whether the promise holds.
    pub fn verdict(&self) -> Verdict {
        let is_all = self.finding_count == self.findings.len() as u64;
        if self.finding_count == 0 {
            Verdict::Proven
        } else if is_all && self.findings.iter().all(|finding| self.is_unpublished(finding)) {
            Verdict::Unsettled
        } else {
            Verdict::Violated
        }
    }

    /// Whether a finding is what a table looks like whose last records are not published yet.
    fn is_unpublished(&self, finding: &Finding) -> bool {
        let seq = |table| self.published.get(table).copied().flatten();
        let (ledger, table) = (seq(Table::Ledger.name()), finding.table.and_then(seq));
        finding.is_last
            && match finding.what {
                What::RowsMissing => table < ledger,
                What::RowOutside => table > ledger,
                _ => false,
            }
    }

    /// The same with only those findings that an earlier look had too.
    pub(super) fn only(
        mut self,
        before: &BTreeSet<(What, Option<&'static str>, Arc<str>, i32, i64, i64)>,
    ) -> Self {
        // With more findings than are kept, what passes is not told apart: all of them count.
        if self.finding_count == self.findings.len() as u64 {
            self.findings.retain(|finding| before.contains(&finding.key()));
            self.finding_count = self.findings.len() as u64;
            for partition in &mut self.partitions {
                let of_it =
                    |f: &&Finding| f.topic == partition.topic && f.partition == partition.partition;
                partition.findings = self.findings.iter().filter(of_it).count() as u64;
            }
        }
        self
    }

    fn sum(&self, of: impl Fn(&Partition) -> i64) -> i64 {
        self.partitions.iter().map(of).sum()
    }

    /// For programs.
    pub fn json(&self) -> Value {
        json!({
            "verdict": self.verdict(),
            "partitions": self.partitions,
            "findings": self.findings,
            "finding_count": self.finding_count,
            "units": self.sum(|p| p.units),
            "messages": self.sum(|p| p.messages),
            "received": self.sum(|p| p.received),
            "indexed": self.sum(|p| p.indexed),
            "excluded": self.sum(|p| p.excluded),
            "dead_letters": self.sum(|p| p.dead_letters),
            "accepted_gap": self.sum(|p| p.accepted_gap),
            "absent": self.sum(|p| p.absent),
            "published": self.published,
        })
    }

    /// The partitions as a table.
    pub fn partitions_table(&self) -> Rows {
        let row = |p: &Partition| {
            vec![
                json!(format!("{}-{}", p.topic, p.partition)),
                json!(format!("{}..{}", p.from_offset, p.to_offset)),
                json!(p.units),
                json!(p.received),
                json!(p.indexed),
                json!(p.excluded),
                json!(p.dead_letters),
                json!(p.accepted_gap),
                json!(if p.findings == 0 { "proven" } else { "VIOLATED" }),
            ]
        };
        let names = [
            "partition",
            "offsets",
            "units",
            "received",
            "indexed",
            "excluded",
            "dead",
            "lost",
            "verdict",
        ];
        table(&names, self.partitions.iter().map(row).collect())
    }

    /// The findings as a table.
    pub fn findings_table(&self) -> Rows {
        let row = |f: &Finding| {
            vec![
                json!(f.what.text()),
                json!(f.table.unwrap_or("ledger")),
                if f.topic.is_empty() {
                    json!("all")
                } else {
                    json!(format!("{}-{}", f.topic, f.partition))
                },
                json!(format!("{}..{}", f.from_offset, f.to_offset)),
                json!(f.expected),
                json!(f.found),
            ]
        };
        let names = ["finding", "table", "partition", "offsets", "expected", "found"];
        table(&names, self.findings.iter().map(row).collect())
    }

    /// The verdict in one sentence.
    pub fn sentence(&self) -> String {
        let (units, count) = (self.sum(|p| p.units), self.partitions.len());
        match self.verdict() {
            Verdict::Proven => format!(
                "proven: {count} partitions, {units} units, {} events received = {} indexed + {} excluded + {} \
                 dead letters; no gap, no overlap, no row twice",
                self.sum(|p| p.received),
                self.sum(|p| p.indexed),
                self.sum(|p| p.excluded),
                self.sum(|p| p.dead_letters)
            ),
            Verdict::Unsettled => format!(
                "UNSETTLED: {} findings, all in the last units, and the tables are not published up to the same record; \
                 start the engine, it publishes the rest, and audit again",
                self.finding_count
            ),
            Verdict::Violated => format!(
                "VIOLATED: {} findings in {count} partitions, {units} units",
                self.finding_count
            ),
        }
    }

    /// What a reader should know beside the verdict.
    pub fn notes(&self) -> Vec<String> {
        let mut notes = Vec::new();
        let (lost, absent) = (self.sum(|p| p.accepted_gap), self.sum(|p| p.absent));
        if lost > 0 {
            notes.push(format!(
                "{lost} offsets were lost before they were read, and accepted by an operator (ledger: action = 'gap')"
            ));
        }
        if absent > 0 {
            notes.push(format!(
                "{absent} offsets inside the units are no messages: compaction and transactions leave such holes"
            ));
        }
        let shown = self.findings.len() as u64;
        if self.finding_count > shown {
            notes.push(format!("{} further findings are not shown", self.finding_count - shown));
        }
        notes
    }
}

fn table(names: &[&str], rows: Vec<Vec<Value>>) -> Rows {
    let column = |name: &&str| Column { name: (*name).to_owned(), kind: "text".to_owned() };
    Rows { columns: names.iter().map(column).collect(), rows, meta: Value::Null }
}
