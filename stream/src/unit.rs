//! A unit being built: columns per table and event hour, filled by one lane; and the units of all
//! lanes put together.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::error::ArrowError;
use schemas::table::Table;
use schemas::time::{EventHour, EventTime};
use schemas::topic::Signal;

use crate::files::FilePlan;
use stages::columns::{
    DeadLetter, DeadLetterColumns, ErrorEventColumns, LedgerColumns, LedgerEntry, Lineage,
    LogColumns, MetricColumns, RawMessageColumns, SpanColumns, TableColumns,
};
use stages::errors::ErrorEvent;
use stages::event::LogEvent;
use stages::pipeline::quota::{DailyLimit, Kept};
use stages::point::Point;
use stages::record::{Record, TopicPartition};
use stages::span::Span;
use stages::value::Attributes;

type Hours<C> = BTreeMap<EventHour, C>;

/// The builders of one lane.
#[derive(Debug, Default)]
pub struct Columns {
    logs: Hours<LogColumns>,
    spans: Hours<SpanColumns>,
    metrics: Hours<MetricColumns>,
    dead_letters: Hours<DeadLetterColumns>,
    ledger: Hours<LedgerColumns>,
    error_events: Hours<ErrorEventColumns>,
    raw_messages: Hours<RawMessageColumns>,
    rows: usize,
}

impl Columns {
    /// Adds a log to the hour of its time.
    pub fn log(&mut self, event: &LogEvent<'_>, index: &str, lineage: &Lineage<'_>) {
        self.rows += 1;
        self.logs.entry(event.time().hour()).or_default().push(event, index, lineage);
    }

    /// Adds a span to the hour of its start.
    pub fn span(&mut self, span: &Span<'_>, lineage: &Lineage<'_>) {
        self.rows += 1;
        self.spans.entry(span.start.hour()).or_default().push(span, lineage);
    }

    /// Adds a metric point to the hour of its time.
    pub fn point(&mut self, point: &Point<'_>, lineage: &Lineage<'_>) {
        self.rows += 1;
        self.metrics.entry(point.timestamp.hour()).or_default().push(point, lineage);
    }

    /// Adds a dead letter to the hour it was received in.
    pub fn dead_letter(&mut self, letter: &DeadLetter<'_>, lineage: &Lineage<'_>) {
        self.rows += 1;
        self.dead_letters.entry(letter.timestamp.hour()).or_default().push(letter, lineage);
    }

    /// Adds a ledger row.
    pub fn ledger(&mut self, entry: &LedgerEntry<'_>, lineage: &Lineage<'_>) {
        self.rows += 1;
        self.ledger.entry(entry.timestamp.hour()).or_default().push(entry, lineage);
    }

    /// Adds an error to the hour of its time.
    pub fn error_event(
        &mut self,
        event: &ErrorEvent<'_>,
        attributes: &Attributes<'_>,
        tags: &[&str],
        lineage: &Lineage<'_>,
    ) {
        self.rows += 1;
        let columns = self.error_events.entry(event.timestamp.hour()).or_default();
        columns.push(event, attributes, tags, lineage);
    }

    /// Keeps a message as it came, in the hour it was received in.
    pub fn raw_message(
        &mut self,
        record: &Record,
        signal: Signal,
        excluded: i64,
        lineage: &Lineage<'_>,
    ) {
        self.rows += 1;
        let columns = self.raw_messages.entry(record.timestamp.hour()).or_default();
        columns.push(record, signal, excluded, lineage);
    }

    /// Rows so far.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Bytes held, roughly.
    pub fn bytes(&self) -> usize {
        fn bytes<C: TableColumns>(hours: &Hours<C>) -> usize {
            hours.values().map(TableColumns::bytes).sum()
        }
        bytes(&self.logs)
            + bytes(&self.spans)
            + bytes(&self.metrics)
            + bytes(&self.dead_letters)
            + bytes(&self.ledger)
            + bytes(&self.error_events)
            + bytes(&self.raw_messages)
    }

    /// Event hours of the table that spreads widest.
    pub fn hours(&self) -> usize {
        let spreads = [self.logs.len(), self.spans.len(), self.metrics.len()];
        let others = [self.dead_letters.len(), self.ledger.len(), self.error_events.len()];
        spreads.into_iter().chain(others).chain([self.raw_messages.len()]).max().unwrap_or(0)
    }

    /// The rows as one batch per table and hour; empty afterwards.
    pub fn finish(&mut self) -> Result<Vec<HourBatch>, ArrowError> {
        fn finish<C: TableColumns>(
            hours: &mut Hours<C>,
            out: &mut Vec<HourBatch>,
        ) -> Result<(), ArrowError> {
            for (hour, mut columns) in std::mem::take(hours) {
                out.push(HourBatch { table: C::TABLE, hour, rows: columns.finish()? });
            }
            Ok(())
        }
        let mut out = Vec::new();
        finish(&mut self.logs, &mut out)?;
        finish(&mut self.spans, &mut out)?;
        finish(&mut self.metrics, &mut out)?;
        finish(&mut self.dead_letters, &mut out)?;
        finish(&mut self.ledger, &mut out)?;
        finish(&mut self.error_events, &mut out)?;
        finish(&mut self.raw_messages, &mut out)?;
        self.rows = 0;
        Ok(out)
    }
}

/// Rows of one table and hour.
#[derive(Debug, Clone)]
pub struct HourBatch {
    /// The table.
    pub table: Table,
    /// The hour.
    pub hour: EventHour,
    /// The rows, in the order they were pushed.
    pub rows: RecordBatch,
}

/// How far a unit takes one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OffsetRange {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset.
    pub from: i64,
    /// One past the last.
    pub to: i64,
    /// Messages in between.
    pub messages: i64,
    /// Latest Kafka timestamp the partition has shown: its logical clock.
    pub clock: EventTime,
    /// Kafka's timestamp of the last message; `None` where there is no Kafka.
    pub last: Option<EventTime>,
}

/// What a lane hands over at a barrier.
#[derive(Debug, Clone, Default)]
pub struct Part {
    /// Rows.
    pub batches: Vec<HourBatch>,
    /// Ranges of the partitions that moved.
    pub ranges: Vec<OffsetRange>,
    /// Logs kept of the daily limits of indexes.
    pub kept: Vec<Kept>,
    /// Offsets that never came.
    pub missing: i64,
}

/// One epoch's work of all lanes, not yet written.
#[derive(Debug, Clone, Default)]
pub struct Unit {
    /// The files to write, in the order of table and hour.
    pub plans: Vec<FilePlan>,
    /// Ranges of the partitions that moved.
    pub ranges: Vec<OffsetRange>,
    /// Logs kept of the daily limits of indexes.
    pub kept: Vec<Kept>,
    /// Offsets that never came.
    pub missing: i64,
    /// Version of the pipeline that made its rows.
    pub pipeline: String,
    /// Daily limits of that pipeline's indexes.
    pub limits: Arc<[DailyLimit]>,
}

impl Unit {
    /// Puts the lanes' parts together. `None` when no partition moved: nothing to commit.
    pub fn assemble(parts: Vec<Part>) -> Option<Self> {
        let mut files: BTreeMap<(Table, EventHour), Vec<RecordBatch>> = BTreeMap::new();
        let mut unit = Self::default();
        for part in parts {
            unit.missing += part.missing;
            unit.ranges.extend(part.ranges);
            unit.kept.extend(part.kept);
            for HourBatch { table, hour, rows } in part.batches {
                if rows.num_rows() > 0 {
                    files.entry((table, hour)).or_default().push(rows);
                }
            }
        }
        let plan = |((table, hour), batches)| FilePlan { table, hour, batches };
        unit.plans = files.into_iter().map(plan).collect();
        unit.ranges.sort_unstable_by(|a, b| a.partition.cmp(&b.partition));
        (!unit.ranges.is_empty()).then_some(unit)
    }

    /// Rows of a table.
    pub fn rows(&self, table: Table) -> usize {
        let batches = self.plans.iter().filter(|plan| plan.table == table).flat_map(|p| &p.batches);
        batches.map(RecordBatch::num_rows).sum()
    }
}
