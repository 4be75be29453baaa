//! The swap: one Maintenance record of the live log that lets go of every file with replaced rows, and brings
//! the staged files, and for files with other rows too, new ones with only those. One record, so all tables
//! change or none; one Delta commit per table, so a reader of a table finds the old rows or the new ones.
//!
//! The plan of the swap is made on the published tables and names the maintenance it was made after. If upkeep
//! comes first the record is refused, and the plan is made again; files already written anew are used again.
//! Live units that come meanwhile do not matter: their offsets are others.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::compute::not;
use schemas::limits::{MAX_SWAP_ATTEMPTS, MAX_SWAP_FILES};
use schemas::table::Table;
use schemas::time::EventHour;
use stages::record::TopicPartition;

use super::covered::{self, Covered, Stretch};
use super::ledger::LedgerRange;
use super::live::Live;
use super::plan::{Plan, Work};
use super::report::Report;
use super::staged::Staged;
use super::{ReplayError, journal, ledger, rows};
use crate::commit_log::head::Rejection;
use crate::commit_log::log::LogError;
use crate::commit_log::record::{Body, FileAdd, Maintenance, MaintenanceKind, TableChange};
use crate::upkeep::pass::World;
use crate::upkeep::rewrite::Rewriter;

/// How a swap is done.
#[derive(Debug)]
pub struct Swap<'a> {
    /// Storage and clocks.
    pub world: &'a World,
    /// The replay.
    pub plan: &'a Plan,
    /// What it has staged.
    pub staged: &'a Staged,
    /// What it said it would change.
    pub report: &'a Report,
    /// How long after its end an hour is open.
    pub closed_after: Duration,
}

/// Files written anew, by table and path of the old one: they serve again when the swap is planned again.
type Kept = BTreeMap<(Table, String), FileAdd>;

impl Swap<'_> {
    /// Does it, once, however often it is called; the record.
    ///
    /// # Errors
    /// An hour is open, the range was replaced by another replay, or storage.
    pub async fn run(&self) -> Result<u64, ReplayError> {
        let mut kept = Kept::new();
        for attempt in 0..MAX_SWAP_ATTEMPTS {
            let mut live = Live::open(self.world, self.plan.log_end).await?;
            if let Some(seq) = self.done(&live)? {
                return self.note(seq).await;
            }
            self.is_as_planned(&live).await?;
            let changes = self.changes(&live, &mut kept).await?;
            if changes.is_empty() {
                return self.note(live.log.head().next_seq.saturating_sub(1)).await;
            }
            let kind = MaintenanceKind::Swap { replay: self.plan.id.clone() };
            let author = format!("replay-{}", self.plan.id);
            let body = Body::Maintenance(Maintenance { author, kind, changes });
            match live.log.append(|_| body.clone()).await {
                Ok(entries) => {
                    live.publish(&entries).await?;
                    let seq = entries.last().map_or(0, |entry| entry.record.seq);
                    return self.note(seq).await;
                }
                Err(LogError::Rejected(reason @ Rejection::Maintained { .. })) => {
                    tracing::debug!(%reason, attempt, "the swap is planned again");
                    let World { backoff, entropy, .. } = self.world;
                    backoff.pause(attempt.min(4), entropy.as_ref()).await;
                }
                Err(error) => return Err(error.into()),
            }
            if self.world.stop.is_cancelled() {
                return Err(ReplayError::Stopped);
            }
        }
        Err(ReplayError::Contended(MAX_SWAP_ATTEMPTS))
    }

    async fn note(&self, seq: u64) -> Result<u64, ReplayError> {
        let (store, id) = (&self.world.store, &self.plan.id);
        journal::put(store, &journal::key(id, "swapped.json"), &seq).await?;
        journal::clear(store, id, "old").await?;
        Ok(seq)
    }

    /// Whether a former life has done it.
    fn done(&self, live: &Live) -> Result<Option<u64>, ReplayError> {
        if let Some(seq) = live.swap_of(&self.plan.id) {
            return Ok(Some(seq));
        }
        // Its record may have been collected; its files are in the tables then.
        for open in live.tables.values() {
            let files = open.files()?;
            if self.staged.of(open.table()).any(|add| files.contains(&add.path)) {
                return Ok(Some(open.cursor().unwrap_or_default()));
            }
        }
        Ok(None)
    }

    /// The ranges that are replaced must still begin and end where they did.
    async fn is_as_planned(&self, live: &Live) -> Result<(), ReplayError> {
        let Some(table) = live.table(Table::Ledger) else { return Ok(()) };
        let touched = &self.report.touched;
        let of_it = |partition: &TopicPartition| {
            touched.iter().any(|stretch| stretch.partition == *partition)
        };
        let ranges = ledger::ranges(&self.world.store, table, of_it).await?;
        // What is brought back was looked for in the tables as they were.
        let is_stale =
            self.plan.work != Work::Replace && live.other_swap(&self.plan.id, self.plan.log_end);
        let cut = touched.iter().find(|stretch| is_stale || is_cut(stretch, &ranges));
        match cut {
            None => Ok(()),
            Some(Stretch { partition, from, to }) => Err(ReplayError::Overtaken {
                id: self.plan.id.clone(),
                topic: partition.topic.to_string(),
                partition: partition.partition,
                from: *from,
                to: *to,
            }),
        }
    }

    /// What changes in each table.
    async fn changes(&self, live: &Live, kept: &mut Kept) -> Result<Vec<TableChange>, ReplayError> {
        let (mut changes, mut files) = (Vec::new(), 0);
        for table in covered::tables() {
            let Some(open) = live.table(table) else { continue };
            let covered = Arc::new(self.plan.covered(table, &self.report.touched));
            let parent_seq =
                live.log.head().tables.get(&table).and_then(|head| head.last_maintenance_seq);
            let mut change =
                TableChange { table, parent_seq, removes: Vec::new(), adds: Vec::new() };
            let mut replaced = 0;
            for affected in rows::affected(&self.world.store, open, &covered).await? {
                let file = &affected.file;
                is_closed(table, file.hour, self.world.clock.unix_millis(), self.closed_after)?;
                replaced += affected.covered;
                let rest = file.rows - affected.covered;
                if rest > 0 {
                    let key = (table, file.path.clone());
                    let add = match kept.get(&key) {
                        Some(add) => add.clone(),
                        None => self.keep(table, &affected, rest, &covered).await?,
                    };
                    kept.insert(key, add.clone());
                    change.adds.push(add);
                }
                change.removes.push(file.remove());
            }
            self.expect(table, replaced)?;
            change.adds.extend(self.staged.of(table).cloned());
            files += change.adds.len() + change.removes.len();
            if !change.adds.is_empty() || !change.removes.is_empty() {
                changes.push(change);
            }
        }
        if files > MAX_SWAP_FILES {
            return Err(ReplayError::TooManyFiles { files, most: MAX_SWAP_FILES });
        }
        Ok(changes)
    }

    /// Writes the rows of a file that are not replaced into a new one.
    async fn keep(
        &self,
        table: Table,
        affected: &rows::Affected,
        rows: i64,
        covered: &Arc<Covered>,
    ) -> Result<FileAdd, ReplayError> {
        let World { store, clock, entropy, stop, .. } = self.world.clone();
        let rewriter = Rewriter { store, clock, entropy, stop };
        let covered = Arc::clone(covered);
        let keeps = move |rows: &_| not(&covered.mask(table, rows)?);
        Ok(rewriter.keep(table, &affected.file, rows, &keeps).await?)
    }

    /// The swap changes what the report said, or nothing.
    fn expect(&self, table: Table, found: i64) -> Result<(), ReplayError> {
        let expected = self.report.tables.get(table.name()).map_or(0, |rows| rows.before);
        if expected == found {
            return Ok(());
        }
        Err(ReplayError::NotTheLedger { table: table.name(), expected, found })
    }
}

/// Whether a range of the ledger crosses an end of the stretch, or the ranges inside do not fill it.
fn is_cut(stretch: &Stretch, ranges: &[LedgerRange]) -> bool {
    let mut inside = ranges.iter().filter(|range| {
        range.partition == stretch.partition && range.from < stretch.to && range.to > stretch.from
    });
    let end = inside.try_fold(stretch.from, |next, range| (next == range.from).then_some(range.to));
    // What nobody has imported before has no range yet.
    let is_new = !ranges.iter().any(|range| range.partition == stretch.partition);
    // An archive is replaced as far as it was read.
    let is_whole = end == Some(stretch.to) || (end.is_some() && stretch.to == i64::MAX);
    let is_empty = is_new && end == Some(stretch.from);
    !(is_whole || is_empty)
}

/// Refuses hours to which rows still come. Tables by time of receipt are not asked: live units only add to them.
pub(super) fn is_closed(
    table: Table,
    hour: EventHour,
    now_millis: i64,
    closed_after: Duration,
) -> Result<(), ReplayError> {
    let begin = hour.start().nanos() / 1_000_000;
    let after = i64::try_from(closed_after.as_millis()).unwrap_or(i64::MAX);
    let end = begin.saturating_add(3_600_000).saturating_add(after);
    let by_receipt = matches!(table, Table::Ledger | Table::DeadLetters);
    if by_receipt || !(begin..end).contains(&now_millis) {
        return Ok(());
    }
    let after = chrono::DateTime::from_timestamp_millis(end);
    Err(ReplayError::OpenHour {
        table: table.name(),
        date: hour.date(),
        hour: hour.hour_of_day(),
        after: after.map_or_else(String::new, |at| at.format("%H:%M UTC").to_string()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::time::EventTime;

    #[test]
    fn a_stretch_must_be_whole_ranges_of_the_ledger() {
        let partition = TopicPartition { topic: "t".into(), partition: 0 };
        let range = |(from, to): &(i64, i64)| LedgerRange {
            partition: partition.clone(),
            from: *from,
            to: *to,
            signal: "logs".to_owned(),
            latest_micros: 0,
            messages: to - from,
            is_gap: false,
            sums: BTreeMap::new(),
        };
        let cut = |from, to, ranges: &[(i64, i64)]| {
            let ranges: Vec<_> = ranges.iter().map(range).collect();
            is_cut(&Stretch { partition: partition.clone(), from, to }, &ranges)
        };
        let ranges = [(0, 10), (10, 20), (20, 30)];
        assert!(!cut(10, 20, &ranges) && !cut(0, 30, &ranges) && !cut(0, i64::MAX, &[]));
        assert!(cut(5, 20, &ranges) && cut(10, 25, &ranges) && cut(30, 40, &ranges));
        assert!(cut(0, 30, &[(0, 10), (20, 30)]), "a hole");
    }

    #[test]
    fn an_hour_is_open_from_its_beginning_until_a_while_after_its_end() {
        let hour = EventTime::from_seconds(7_200).expect("in range").hour();
        let closed = |table, millis| {
            is_closed(table, hour, millis, Duration::from_secs(600)).map_err(|e| e.to_string())
        };
        assert!(closed(Table::Logs, 7_199_999).is_ok(), "an hour of the future is nobody's");
        let refused = closed(Table::Logs, 7_200_000).expect_err("open");
        assert!(refused.contains("open hour") && refused.contains("03:10 UTC"), "{refused}");
        assert!(closed(Table::Spans, 3 * 3_600_000 + 599_999).is_err());
        assert!(closed(Table::Spans, 3 * 3_600_000 + 600_000).is_ok());
        assert!(closed(Table::Ledger, 7_200_000).is_ok());
    }
}
