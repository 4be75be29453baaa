//! Table `ledger`.

use arrow::array::{
    Float64Builder, Int32Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use schemas::ledger::Action;
use schemas::table::Table;
use schemas::time::EventTime;
use schemas::topic::Signal;

use super::parts::{self, Held, array};
use super::{Lineage, TableColumns};

/// One row of the ledger; column meanings: `schemas::ledger`.
#[derive(Debug, Clone, Copy)]
pub struct LedgerEntry<'a> {
    /// Latest Kafka timestamp of the unit's messages of this partition.
    pub timestamp: EventTime,
    /// Signal of the topic.
    pub signal: Signal,
    /// What was done.
    pub action: Action,
    /// The rule that acted.
    pub rule: &'a str,
    /// Unified service tag.
    pub service: &'a str,
    /// Events.
    pub events: i64,
    /// Their bytes as they came.
    pub bytes: i64,
    /// Messages in the range, on `received` rows.
    pub messages: i64,
    /// First offset of the range.
    pub from_offset: i64,
    /// One past the last.
    pub to_offset: i64,
    /// What it costs, or would have.
    pub cost: Option<f64>,
}

/// Builder of table `ledger`.
#[derive(Debug, Default)]
pub struct LedgerColumns {
    timestamp: TimestampMicrosecondBuilder,
    /// `signal`, `stage`, `action`, `rule`, `service`.
    texts: [StringBuilder; 5],
    /// `events`, `bytes`, `messages`, `from_offset`, `to_offset`.
    numbers: [Int64Builder; 5],
    topic: StringBuilder,
    partition: Int32Builder,
    version: StringBuilder,
    cost: Float64Builder,
}

impl LedgerColumns {
    /// Adds a row. Of the lineage, the offset is not used: a row stands for a range.
    pub fn push(&mut self, entry: &LedgerEntry<'_>, lineage: &Lineage<'_>) {
        self.timestamp.append_value(entry.timestamp.micros());
        let (action, stage) = (entry.action.as_str(), entry.action.stage());
        let texts = [entry.signal.as_str(), stage, action, entry.rule, entry.service];
        for (column, text) in self.texts.iter_mut().zip(texts) {
            column.append_value(text);
        }
        let numbers =
            [entry.events, entry.bytes, entry.messages, entry.from_offset, entry.to_offset];
        for (column, number) in self.numbers.iter_mut().zip(numbers) {
            column.append_value(number);
        }
        self.topic.append_value(lineage.topic);
        self.partition.append_value(lineage.partition);
        self.version.append_value(lineage.pipeline_version);
        self.cost.append_option(entry.cost);
    }
}

impl TableColumns for LedgerColumns {
    const TABLE: Table = Table::Ledger;

    fn rows(&self) -> usize {
        self.partition.values_slice().len()
    }

    fn bytes(&self) -> usize {
        self.texts.iter().map(Held::held).sum::<usize>()
            + self.topic.held()
            + self.version.held()
            + self.rows() * 60
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = vec![array(self.timestamp.finish().with_timezone("UTC"))];
        columns.extend(self.texts.each_mut().map(|column| array(column.finish())));
        columns.extend(self.numbers.each_mut().map(|column| array(column.finish())));
        columns.push(array(self.topic.finish()));
        columns.push(array(self.partition.finish()));
        columns.push(array(self.version.finish()));
        columns.push(array(self.cost.finish()));
        parts::batch(Self::TABLE, columns)
    }
}
