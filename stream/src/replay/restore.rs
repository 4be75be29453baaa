//! Excluded events come back into the index. Their messages are read again; an event that the pipeline excludes,
//! that matches the query, and that no table has, becomes a row. The ledger rows of its range count it as
//! indexed then, no longer as excluded, and beside it as restored by the rule that had dropped it. Everything
//! else stays as it is: metrics have counted the event from the beginning.

use std::collections::{BTreeMap, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use arrow::error::ArrowError;
use bumpalo::Bump;
use object_store::ObjectStore;
use schemas::table::{LINEAGE_INDEX, LINEAGE_OFFSET, Table};
use serde::{Deserialize, Serialize};
use stages::columns::Lineage;
use stages::decode::{self, Items};
use stages::event::LogEvent;
use stages::pipeline::{Fate, MetricWindows, Pipeline};
use stages::record::{Record, TopicPartition};

use super::ReplayError;
use super::diff::{RowsDiff, UnitDiff};
use super::ledger as ledger_ranges;
use super::live::Live;
use super::plan::Plan;
use super::unit::{Portion, Processed};
use crate::unit::{Columns as UnitColumns, OffsetRange, Part};

/// Whether an event is wanted back.
pub type Matches = Arc<dyn Fn(&LogEvent<'_>) -> bool + Send + Sync>;

/// Events of one ledger range that one rule had excluded and that come back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RestoredLine {
    /// The range's first offset.
    pub from: i64,
    /// One past its last.
    pub to: i64,
    /// The rule.
    pub rule: String,
    /// Service of the events.
    pub service: String,
    /// The index they come into.
    pub index: String,
    /// How many.
    pub events: i64,
}

/// What comes back.
pub struct Restore {
    matches: Matches,
    /// Ranges of the ledger, sorted.
    ranges: BTreeMap<TopicPartition, Vec<(i64, i64)>>,
}

impl std::fmt::Debug for Restore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Restore").finish_non_exhaustive()
    }
}

impl Restore {
    /// Knows the ledger's ranges of the partitions that are read.
    ///
    /// # Errors
    /// The ledger can not be read.
    pub(super) async fn new(
        store: &Arc<dyn ObjectStore>,
        live: &Live,
        plan: &Plan,
        matches: Matches,
    ) -> Result<Self, ReplayError> {
        let mut ranges: BTreeMap<TopicPartition, Vec<(i64, i64)>> = BTreeMap::new();
        let wanted = |partition: &TopicPartition| {
            plan.replaces.iter().any(|stretch| stretch.partition == *partition)
        };
        if let Some(table) = live.table(Table::Ledger) {
            for range in ledger_ranges::ranges(store, table, wanted).await? {
                ranges.entry(range.partition).or_default().push((range.from, range.to));
            }
        }
        Ok(Self { matches, ranges })
    }

    /// Finds what comes back of a portion.
    ///
    /// # Errors
    /// Columns do not fit together.
    pub(super) fn process(
        &self,
        pipeline: &Arc<Pipeline>,
        portion: Portion,
    ) -> Result<Processed, ReplayError> {
        let known = Known::of(portion.old.as_ref())?;
        let empty = Vec::new();
        let ranges = self.ranges.get(&portion.partition).unwrap_or(&empty);
        let mut finder = Finder {
            pipeline,
            restore: self,
            portion: &portion,
            known,
            ranges,
            windows: MetricWindows::new(pipeline),
            columns: UnitColumns::default(),
            lines: BTreeMap::new(),
            looked_at: 0,
        };
        let mut arena = Bump::new();
        for record in &portion.records {
            // What panics is no excluded event.
            drop(catch_unwind(AssertUnwindSafe(|| finder.record(&arena, record))));
            arena.reset();
        }
        let Finder { mut columns, lines, looked_at, .. } = finder;
        let events: i64 = lines.values().sum();
        let line = |((from, to, rule, service, index), events)| RestoredLine {
            from,
            to,
            rule,
            service,
            index,
            events,
        };
        let logs = RowsDiff { after: events, new: events, ..RowsDiff::default() };
        let diff = UnitDiff {
            tables: BTreeMap::from([(Table::Logs.name().to_owned(), logs)]),
            restored: lines.into_iter().map(line).collect(),
            looked_at,
            ..UnitDiff::default()
        };
        let clock = portion.records.iter().map(|record| record.timestamp).max();
        let range = OffsetRange {
            partition: portion.partition.clone(),
            from: portion.from,
            to: portion.to,
            messages: i64::try_from(portion.records.len()).unwrap_or(i64::MAX),
            clock: clock.unwrap_or_default(),
            last: None,
        };
        let batches = columns.finish()?;
        Ok(Processed {
            part: Part { batches, ranges: vec![range], ..Part::default() },
            diff: Some(diff),
        })
    }
}

/// Range, rule, service, index.
type LineKey = (i64, i64, String, String, String);

struct Finder<'a> {
    pipeline: &'a Pipeline,
    restore: &'a Restore,
    portion: &'a Portion,
    known: Known,
    ranges: &'a [(i64, i64)],
    windows: MetricWindows,
    columns: UnitColumns,
    lines: BTreeMap<LineKey, i64>,
    looked_at: i64,
}

impl Finder<'_> {
    fn record(&mut self, arena: &Bump, record: &Record) {
        let offset = record.offset;
        if self.known.has(offset, -1) {
            return;
        }
        let Portion { signal, input, partition, .. } = self.portion;
        let Ok(decoded) = decode::decode_input(arena, record, *signal, input) else { return };
        let Items::Logs(logs) = decoded.items else { return };
        for mut log in logs {
            let fate = self.pipeline.process(arena, &mut log, offset, &mut self.windows);
            let Fate::Excluded { rule } = fate else { continue };
            if self.known.has(offset, log.index) {
                continue;
            }
            self.looked_at += 1;
            if !(self.restore.matches)(&log) {
                continue;
            }
            let index = rule.split('/').next().unwrap_or(rule);
            let lineage = Lineage {
                topic: &partition.topic,
                partition: partition.partition,
                offset,
                pipeline_version: self.pipeline.version(),
            };
            self.columns.log(&log, index, &lineage);
            let place = self.ranges.partition_point(|(from, _)| *from <= offset);
            let range = place.checked_sub(1).and_then(|place| self.ranges.get(place));
            let (from, to) = range.copied().unwrap_or((offset, offset));
            let text = |text: &str| text.to_owned();
            let key = (from, to, text(rule), text(log.service), text(index));
            *self.lines.entry(key).or_default() += 1;
        }
        // Metrics have counted them long ago.
        self.windows.drain(&mut |_, _| {});
    }
}

/// Events the tables have.
struct Known(HashSet<(i64, i32)>);

impl Known {
    fn of(old: Option<&BTreeMap<Table, Vec<RecordBatch>>>) -> Result<Self, ArrowError> {
        let mut known = HashSet::new();
        for rows in old.into_iter().flat_map(BTreeMap::values).flatten() {
            let column = |name: &str| {
                let found = rows.column_by_name(name);
                found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
            };
            let offsets = column(LINEAGE_OFFSET)?.as_primitive::<Int64Type>();
            let indexes = column(LINEAGE_INDEX)?.as_primitive::<Int32Type>();
            known.extend(offsets.values().iter().copied().zip(indexes.values().iter().copied()));
        }
        Ok(Self(known))
    }

    fn has(&self, offset: i64, index: i32) -> bool {
        self.0.contains(&(offset, index))
    }
}
