//! The ledger of events that come back: what was excluded is indexed now, and restored by the rule that had dropped
//! it. And how many excluded events there were to search.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::compute::filter_record_batch;
use arrow::datatypes::Float64Type;
use arrow::error::ArrowError;
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use schemas::ledger::{self, Action};
use schemas::table::{LINEAGE_PIPELINE_VERSION, Table};
use schemas::time::{EventHour, EventTime};
use schemas::topic::Signal;
use serde::{Deserialize, Serialize};
use stages::columns::{LedgerColumns, LedgerEntry, Lineage, TableColumns as _};
use stages::record::TopicPartition;

use super::covered::{Covered, Stretch};
use super::diff::UnitDiff;
use super::ledger::{self as ledger_ranges, Columns};
use super::live::Live;
use super::plan::Plan;
use super::restore::RestoredLine;
use super::staged::Staged;
use super::{ReplayError, journal, rows, stage};
use crate::commit_log::log::CommitLog;
use crate::commit_log::record::{Body, FileAdd, Maintenance, MaintenanceKind, TableChange};
use crate::files::{FilePlan, FileWriter};
use crate::upkeep::pass::World;

/// Lines by partition and first offset of their range.
type Lines = BTreeMap<(TopicPartition, i64), Vec<RestoredLine>>;

async fn lines(
    store: &Arc<dyn ObjectStore>,
    plan: &Plan,
    staged: &Staged,
) -> Result<Lines, ReplayError> {
    let mut lines = Lines::new();
    for (partition, diff) in diffs(store, plan, staged).await? {
        for line in diff.restored {
            lines.entry((partition.clone(), line.from)).or_default().push(line);
        }
    }
    Ok(lines)
}

/// What each unit found.
async fn diffs(
    store: &Arc<dyn ObjectStore>,
    plan: &Plan,
    staged: &Staged,
) -> Result<Vec<(TopicPartition, UnitDiff)>, ReplayError> {
    let mut diffs = Vec::new();
    for unit in staged.units.iter().filter(|unit| unit.messages > 0) {
        let key = journal::key(&plan.id, &stage::diff_name(&unit.partition, unit.from));
        let diff = journal::get::<UnitDiff>(store, &key).await?.unwrap_or_default();
        diffs.push((unit.partition.clone(), diff));
    }
    Ok(diffs)
}

/// Excluded events where a restore has looked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Excluded {
    /// As the ledger counts them.
    pub counted: i64,
    /// Those whose messages were there and that the pipeline excludes: among them it has searched.
    pub looked_at: i64,
}

impl Excluded {
    /// Adds up what the units have looked at, and what the ledger has of their offsets.
    pub(super) async fn of(
        store: &Arc<dyn ObjectStore>,
        live: &Live,
        plan: &Plan,
        staged: &Staged,
    ) -> Result<Self, ReplayError> {
        let mut excluded = Self::default();
        for (_, diff) in diffs(store, plan, staged).await? {
            excluded.looked_at += diff.looked_at;
        }
        let Some(table) = live.table(Table::Ledger) else { return Ok(excluded) };
        let is_read = |partition: &TopicPartition, offset: i64| {
            plan.reads.iter().map(|read| &read.stretch).any(|stretch| {
                stretch.partition == *partition && (stretch.from..stretch.to).contains(&offset)
            })
        };
        for range in ledger_ranges::ranges(store, table, |_| true).await? {
            if is_read(&range.partition, range.from) {
                excluded.counted += range.events(Action::Excluded);
            }
        }
        Ok(excluded)
    }
}

/// The ranges with events that come back.
pub(super) async fn touched(
    store: &Arc<dyn ObjectStore>,
    plan: &Plan,
    staged: &Staged,
) -> Result<Vec<Stretch>, ReplayError> {
    let lines = lines(store, plan, staged).await?;
    let stretch = |((partition, from), lines): (&(TopicPartition, i64), &Vec<RestoredLine>)| {
        let to = lines.first().map_or(*from, |line| line.to);
        Stretch { partition: partition.clone(), from: *from, to }
    };
    Ok(lines.iter().map(stretch).collect())
}

/// Writes the ledger rows these ranges will have. None where that is done, or nothing comes back.
pub(super) async fn count(
    world: &World,
    plan: &Plan,
    staged: &Staged,
) -> Result<Vec<FileAdd>, ReplayError> {
    let store = &world.store;
    let lines = lines(store, plan, staged).await?;
    let is_done = staged.of(Table::Ledger).next().is_some();
    if lines.is_empty() || is_done {
        return Ok(Vec::new());
    }
    let covered = Covered::new(&touched(store, plan, staged).await?);
    let live = Live::open(world, u64::MAX).await?;
    let mut old: BTreeMap<(TopicPartition, i64), Vec<Row>> = BTreeMap::new();
    if let Some(table) = live.table(Table::Ledger) {
        for affected in rows::affected(store, table, &covered).await? {
            let mut all = rows::whole(store, Table::Ledger, &affected.file.path, 8_192).await?;
            while let Some(batch) = all.try_next().await? {
                let mask = covered.mask(Table::Ledger, &batch)?;
                let batch = filter_record_batch(&batch, &mask)?;
                for row in Row::read(&batch)? {
                    old.entry((row.partition.clone(), row.from)).or_default().push(row);
                }
            }
        }
    }
    let mut hours: BTreeMap<EventHour, LedgerColumns> = BTreeMap::new();
    for (place, rows) in old {
        let back = lines.get(&place).map_or(&[][..], Vec::as_slice);
        for row in moved(rows, back)? {
            row.push(hours.entry(row.timestamp.hour()).or_default());
        }
    }
    let mut plans = Vec::new();
    for (hour, mut columns) in hours {
        plans.push(FilePlan { table: Table::Ledger, hour, batches: vec![columns.finish()?] });
    }
    let World { store, clock, entropy, backoff, .. } = world.clone();
    let writer = FileWriter { store, clock, entropy, backoff };
    Ok(writer.write("replay", plans).await?)
}

/// The record of these files in the replay's own log.
pub(super) fn counted(plan: &Plan, log: &CommitLog, adds: Vec<FileAdd>) -> Body {
    let table = Table::Ledger;
    let parent_seq = log.head().tables.get(&table).and_then(|head| head.last_maintenance_seq);
    let changes = vec![TableChange { table, parent_seq, removes: Vec::new(), adds }];
    let kind = MaintenanceKind::Swap { replay: plan.id.clone() };
    Body::Maintenance(Maintenance { author: format!("replay-{}", plan.id), kind, changes })
}

/// One ledger row.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    partition: TopicPartition,
    timestamp: EventTime,
    signal: Signal,
    action: Action,
    rule: String,
    service: String,
    events: i64,
    bytes: i64,
    messages: i64,
    from: i64,
    to: i64,
    version: String,
    cost: Option<f64>,
}

impl Row {
    fn read(batch: &RecordBatch) -> Result<Vec<Self>, ArrowError> {
        let columns = Columns::of(batch)?;
        let text = |name: &str, row: usize| columns.text(name, row).to_owned();
        let costs = batch.column_by_name(ledger::COST);
        let costs = costs.and_then(|column| column.as_primitive_opt::<Float64Type>());
        let costs = costs.ok_or_else(|| ArrowError::SchemaError("no costs".to_owned()))?;
        let unknown = |what: &str| ArrowError::SchemaError(format!("unknown {what} in the ledger"));
        let read = |row: usize| -> Result<Self, ArrowError> {
            let action = ACTIONS.into_iter().find(|a| a.as_str() == columns.action(row));
            let signal = columns.text(ledger::SIGNAL, row);
            let signal = Signal::ALL.into_iter().find(|known| known.as_str() == signal);
            let (from, to) = columns.range(row);
            let timestamp = EventTime::from_micros(columns.timestamp(row));
            Ok(Self {
                partition: columns.partition(row),
                timestamp: timestamp.ok_or_else(|| unknown("time"))?,
                signal: signal.ok_or_else(|| unknown("signal"))?,
                action: action.ok_or_else(|| unknown("action"))?,
                rule: text(ledger::RULE, row),
                service: text(ledger::SERVICE, row),
                events: columns.number(ledger::EVENTS, row),
                bytes: columns.number(ledger::BYTES, row),
                messages: columns.number(ledger::MESSAGES, row),
                from,
                to,
                version: text(LINEAGE_PIPELINE_VERSION, row),
                cost: costs.is_valid(row).then(|| costs.value(row)),
            })
        };
        (0..batch.num_rows()).map(read).collect()
    }

    fn push(&self, columns: &mut LedgerColumns) {
        let entry = LedgerEntry {
            timestamp: self.timestamp,
            signal: self.signal,
            action: self.action,
            rule: &self.rule,
            service: &self.service,
            events: self.events,
            bytes: self.bytes,
            messages: self.messages,
            from_offset: self.from,
            to_offset: self.to,
            cost: self.cost,
        };
        let TopicPartition { topic, partition } = &self.partition;
        let (partition, offset) = (*partition, self.from);
        columns
            .push(&entry, &Lineage { topic, partition, offset, pipeline_version: &self.version });
    }
}

/// Actions of rows that go with the events they count.
const ACTIONS: [Action; 6] = [
    Action::Received,
    Action::Indexed,
    Action::Excluded,
    Action::DeadLetter,
    Action::Sensitive,
    Action::Restored,
];

/// The rows of one range after events have moved from excluded to indexed. The pipeline may have had other rules
/// when the range was read: then they are taken from what it excluded of the same service, or of any.
fn moved(mut rows: Vec<Row>, back: &[RestoredLine]) -> Result<Vec<Row>, ReplayError> {
    for line in back {
        let mut left = line.events;
        let likely = |row: &Row| match (row.rule == line.rule, row.service == line.service) {
            (true, true) => 0,
            (false, true) => 1,
            (true, false) => 2,
            (false, false) => 3,
        };
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by_key(|place| rows.get(*place).map_or(4, likely));
        for place in order {
            let Some(row) = rows.get_mut(place).filter(|row| row.action == Action::Excluded) else {
                continue;
            };
            let events = left.min(row.events);
            if events == 0 {
                continue;
            }
            // A share of the bytes; what is left of them with the last event.
            let bytes = row.bytes.saturating_mul(events) / row.events.max(1);
            let share = events as f64 / row.events.max(1) as f64;
            row.events -= events;
            row.bytes -= bytes;
            let saved = row.cost;
            row.cost = saved.map(|cost| cost * (1.0 - share));
            left -= events;
            // What it would have cost, it costs now.
            let cost = saved.map(|cost| cost * share);
            let row = Row { events, bytes, messages: 0, cost, ..row.clone() };
            let restored = Row { action: Action::Restored, ..row.clone() };
            let (rule, service) = (line.index.clone(), line.service.clone());
            let indexed = Row { action: Action::Indexed, rule, service, ..row };
            [restored, indexed].into_iter().for_each(|row| add(&mut rows, row));
        }
        if left > 0 {
            let excluded = line.events - left;
            return Err(ReplayError::NotTheLedger {
                table: Table::Ledger.name(),
                expected: excluded,
                found: line.events,
            });
        }
    }
    rows.retain(|row| row.action == Action::Received || row.events > 0);
    Ok(rows)
}

fn add(rows: &mut Vec<Row>, row: Row) {
    let same = |known: &&mut Row| {
        (known.action, &known.rule, &known.service) == (row.action, &row.rule, &row.service)
    };
    match rows.iter_mut().find(same) {
        Some(known) => {
            known.events += row.events;
            known.bytes += row.bytes;
            known.cost = match (known.cost, row.cost) {
                (Some(known), Some(more)) => Some(known + more),
                (known, more) => known.or(more),
            };
        }
        None => rows.push(row),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(action: Action, rule: &str, service: &str, events: i64) -> Row {
        Row {
            partition: crate::fixture::partition(0),
            timestamp: EventTime::default(),
            signal: Signal::Logs,
            action,
            rule: rule.to_owned(),
            service: service.to_owned(),
            events,
            bytes: events * 10,
            messages: if action == Action::Received { events } else { 0 },
            from: 0,
            to: 10,
            version: "v".to_owned(),
            cost: None,
        }
    }

    fn line(rule: &str, service: &str, events: i64) -> RestoredLine {
        RestoredLine {
            from: 0,
            to: 10,
            rule: rule.to_owned(),
            service: service.to_owned(),
            index: "main".to_owned(),
            events,
        }
    }

    fn sum(rows: &[Row], action: Action) -> i64 {
        rows.iter().filter(|row| row.action == action).map(|row| row.events).sum()
    }

    #[test]
    fn events_move_from_excluded_to_indexed_and_the_range_stays_balanced() {
        let rows = vec![
            row(Action::Received, "", "", 10),
            row(Action::Indexed, "main", "a", 3),
            row(Action::Excluded, "main/noise", "a", 4),
            row(Action::Excluded, "main/other", "b", 3),
        ];
        let back = [line("main/noise", "a", 3), line("main/gone", "b", 2)];
        let after = moved(rows.clone(), &back).expect("moves");
        assert_eq!(sum(&after, Action::Received), 10);
        assert_eq!((sum(&after, Action::Indexed), sum(&after, Action::Excluded)), (8, 2));
        assert_eq!(sum(&after, Action::Restored), 5);
        let bytes = |rows: &[Row]| {
            let counted = rows.iter().filter(|row| row.action != Action::Restored);
            counted.map(|row| row.bytes).sum::<i64>()
        };
        assert_eq!(bytes(&after), bytes(&rows));
        let other =
            after.iter().find(|row| row.rule == "main/other" && row.action == Action::Restored);
        assert_eq!(
            other.map(|row| row.events),
            Some(2),
            "the rule that had dropped them: {after:?}"
        );
        assert!(moved(rows, &[line("main/noise", "a", 8)]).is_err(), "more than were excluded");
    }
}
