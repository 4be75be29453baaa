//! The rows of the tables against the ranges of the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use query::engine::Engine;
use schemas::table::Table;

use super::ask::{self, AuditError, numbers, quoted, texts};
use super::range::{Finding, Range, Walk, What};

/// The tables whose rows have a lineage.
const RAW: [Table; 4] = [Table::Logs, Table::Spans, Table::Metrics, Table::DeadLetters];

/// Compares some ranges with the rows the tables have of them: of several partitions at once, for each question opens
/// the files of all of them. They are sorted by topic, partition and offset.
pub(super) async fn compare(
    engine: &Engine,
    ranges: &[Range],
    walk: &mut Walk,
) -> Result<(), AuditError> {
    for table in RAW {
        match count(engine, table, ranges, walk).await {
            // Whose rows it had, the partitions are asked one by one.
            Err(error) if error.is_missing_file() => {
                for own in ranges.chunk_by(Range::same_partition) {
                    compare_one(engine, table, own, walk).await?;
                }
            }
            other => other?,
        }
    }
    Ok(())
}

/// The same of one table and partition, and a file that is gone is a finding.
async fn compare_one(
    engine: &Engine,
    table: Table,
    ranges: &[Range],
    walk: &mut Walk,
) -> Result<(), AuditError> {
    match count(engine, table, ranges, walk).await {
        Err(error) if error.is_missing_file() => {
            if let (Some(first), Some(last)) = (ranges.first(), ranges.last()) {
                let finding = first.finding(What::FileMissing, 1, 0);
                let (table, to_offset) = (Some(table.name()), last.to);
                walk.found(Finding { table, to_offset, ..finding });
            }
            Ok(())
        }
        other => other,
    }
}

/// Counts the rows of one table in each range, and says where the count is another than the ledger's.
async fn count(
    engine: &Engine,
    table: Table,
    ranges: &[Range],
    walk: &mut Walk,
) -> Result<(), AuditError> {
    let of: Vec<String> = ranges.chunk_by(Range::same_partition).filter_map(bounded).collect();
    if of.is_empty() {
        return Ok(());
    }
    // `sum(1)` and not `count(*)`: beside it the optimiser turns the distinct count into a grouping, which
    // spills, where a set per offset would not.
    let sql = format!(
        "SELECT _topic, _partition, _offset, sum(1) AS n, count(DISTINCT _index) AS d FROM {} WHERE {} GROUP BY 1, 2, 3",
        table.name(),
        of.join(" OR "),
    );
    let mut answer = ask::ask(engine, &sql).await?;
    answer.published(walk);
    let mut counts = Counts::new(table, ranges);
    while let Some(batch) = answer.next().await? {
        let (topics, partitions) = (texts(&batch, "_topic")?, numbers(&batch, "_partition")?);
        let offsets = numbers(&batch, "_offset")?;
        let (rows, distinct) = (numbers(&batch, "n")?, numbers(&batch, "d")?);
        for row in 0..batch.num_rows() {
            let partition = i32::try_from(partitions.value(row)).unwrap_or(i32::MAX);
            let place = (topics.value(row), partition, offsets.value(row));
            counts.add(place, rows.value(row), distinct.value(row));
        }
    }
    counts.tell(walk);
    Ok(())
}

/// The rows of some ranges of one partition, in SQL.
fn bounded(ranges: &[Range]) -> Option<String> {
    let (first, last) = (ranges.first()?, ranges.last()?);
    Some(format!(
        "(_topic = {} AND _partition = {} AND _offset >= {} AND _offset < {})",
        quoted(&first.topic),
        first.partition,
        first.from,
        last.to
    ))
}

/// Rows found, by range. Nothing is told before all were read: a question that fails half-way is asked again.
struct Counts<'a> {
    table: Table,
    ranges: &'a [Range],
    /// The first range of each one's partition.
    starts: Vec<usize>,
    rows: Vec<i64>,
    /// Last offset with a row, by the first range of its partition.
    last: BTreeMap<usize, i64>,
    /// Rows between two ranges, by the first range of their partition and the one before them: first offset, last
    /// offset, rows.
    strays: BTreeMap<(usize, Option<usize>), (i64, i64, i64)>,
    twice: Vec<Finding>,
}

impl<'a> Counts<'a> {
    fn new(table: Table, ranges: &'a [Range]) -> Self {
        let mut starts = Vec::with_capacity(ranges.len());
        for own in ranges.chunk_by(Range::same_partition) {
            starts.resize(starts.len() + own.len(), starts.len());
        }
        Self {
            table,
            ranges,
            starts,
            rows: vec![0; ranges.len()],
            last: BTreeMap::new(),
            strays: BTreeMap::new(),
            twice: Vec::new(),
        }
    }

    /// Rows of one offset, and how many of them differ.
    fn add(&mut self, (topic, partition, offset): (&str, i32, i64), rows: i64, distinct: i64) {
        let begins = |range: &Range| {
            (&*range.topic, range.partition, range.from) <= (topic, partition, offset)
        };
        let after = self.ranges.partition_point(begins);
        let is_own = |range: &Range| &*range.topic == topic && range.partition == partition;
        let before = after.checked_sub(1).filter(|at| self.ranges.get(*at).is_some_and(is_own));
        let start = before.and_then(|at| self.starts.get(at).copied()).unwrap_or(after);
        let Some(first) = self.ranges.get(start) else { return };
        let last = self.last.entry(start).or_insert(offset);
        *last = offset.max(*last);
        if rows != distinct {
            self.twice.push(Finding {
                table: Some(self.table.name()),
                from_offset: offset,
                to_offset: offset.saturating_add(1),
                ..first.finding(What::RowTwice, distinct, rows)
            });
        }
        let inside = before.filter(|at| self.ranges.get(*at).is_some_and(|r| offset < r.to));
        match inside.and_then(|at| self.rows.get_mut(at)) {
            Some(count) => *count += rows,
            None => {
                let stray = self.strays.entry((start, before)).or_insert((offset, offset, 0));
                *stray = (stray.0.min(offset), stray.1.max(offset), stray.2 + rows);
            }
        }
    }

    fn tell(self, walk: &mut Walk) {
        let Self { table, ranges, rows, last, strays, twice, .. } = self;
        twice.into_iter().for_each(|finding| walk.found(finding));
        for (range, found) in ranges.iter().zip(rows) {
            let Some(expected) = range.expected_in(table).filter(|expected| *expected != found)
            else {
                continue;
            };
            let what = if found < expected { What::RowsMissing } else { What::RowsExtra };
            let finding = range.finding(what, expected, found);
            walk.found(Finding { table: Some(table.name()), is_last: found == 0, ..finding });
        }
        for ((start, _), (low, high, rows)) in strays {
            let Some(first) = ranges.get(start) else { continue };
            let (from_offset, to_offset) = (low, high.saturating_add(1));
            let finding = first.finding(What::RowOutside, 0, rows);
            walk.found(Finding { table: Some(table.name()), from_offset, to_offset, ..finding });
        }
        for (start, offset) in last {
            if let Some(first) = ranges.get(start) {
                walk.reaches(table, first, offset);
            }
        }
    }
}

/// Finds rows before the first range of their partition, after its last, or of a partition the ledger does
/// not know.
pub(super) async fn outside(engine: &Engine, walk: &mut Walk) -> Result<(), AuditError> {
    for table in RAW {
        match bounds(engine, table, walk).await {
            // Said already, with its place.
            Err(error) if error.is_missing_file() => {}
            other => other?,
        }
    }
    Ok(())
}

async fn bounds(engine: &Engine, table: Table, walk: &mut Walk) -> Result<(), AuditError> {
    let sql = format!(
        "SELECT _topic, _partition, min(_offset) AS lo, max(_offset) AS hi, count(*) AS n FROM {} GROUP BY 1, 2",
        table.name()
    );
    let mut answer = ask::ask(engine, &sql).await?;
    answer.published(walk);
    while let Some(batch) = answer.next().await? {
        let topics = texts(&batch, "_topic")?;
        let (partitions, lows) = (numbers(&batch, "_partition")?, numbers(&batch, "lo")?);
        let (highs, counts) = (numbers(&batch, "hi")?, numbers(&batch, "n")?);
        for row in 0..batch.num_rows() {
            let topic: Arc<str> = topics.value(row).into();
            let partition = i32::try_from(partitions.value(row)).unwrap_or(i32::MAX);
            let (low, end) = (lows.value(row), highs.value(row).saturating_add(1));
            let known =
                walk.partitions().iter().find(|p| p.topic == topic && p.partition == partition);
            let known = known.map(|known| (known.from_offset, known.to_offset));
            let outside = match known {
                None => vec![(low, end, true)],
                Some((from, to)) => {
                    let before = (low < from).then_some((low, from, false));
                    let after = (end > to).then_some((to, end, true));
                    before.into_iter().chain(after).collect()
                }
            };
            for (from_offset, to_offset, is_last) in outside {
                let found = if known.is_none() { counts.value(row) } else { 1 };
                let (what, table, topic) =
                    (What::RowOutside, Some(table.name()), Arc::clone(&topic));
                let expected = 0;
                walk.found(Finding {
                    what,
                    table,
                    topic,
                    partition,
                    from_offset,
                    to_offset,
                    expected,
                    found,
                    is_last,
                });
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ten rows of `logs`, no others.
    fn range(topic: &str, partition: i32, from: i64) -> Range {
        Range {
            topic: topic.into(),
            partition,
            from,
            to: from + 10,
            signal: "logs".to_owned(),
            units: 1,
            gaps: 0,
            received: 10,
            indexed: 10,
            excluded: 0,
            dead_letters: 0,
            messages: 10,
        }
    }

    #[test]
    fn rows_of_partitions_that_are_asked_for_together_are_told_apart() {
        let ranges = [
            range("a", 0, 0),
            range("a", 0, 20),
            range("a", 1, 5),
            range("b", 0, 0),
            range("b", 0, 10),
        ];
        let mut counts = Counts::new(Table::Logs, &ranges);
        let all = ranges.iter().flat_map(|range| {
            (range.from..range.to).map(|offset| (&*range.topic, range.partition, offset))
        });
        // One is lost, one is there twice, one lies between two ranges and one before the first.
        for place in all.filter(|place| *place != ("b", 0, 12)) {
            counts.add(place, if place == ("a", 1, 7) { 2 } else { 1 }, 1);
        }
        counts.add(("a", 0, 15), 3, 3);
        counts.add(("a", 1, 2), 1, 1);
        let mut walk = Walk::default();
        ranges.iter().for_each(|range| walk.step(range));
        let gap = walk.finish().findings.len();
        let mut walk = Walk::default();
        ranges.iter().for_each(|range| walk.step(range));
        counts.tell(&mut walk);
        let found = walk.finish().findings.split_off(gap);
        let found: Vec<_> = found
            .iter()
            .map(|f| (f.what, &*f.topic, f.partition, f.from_offset, f.to_offset, f.found))
            .collect();
        assert_eq!(
            found,
            [
                (What::RowTwice, "a", 1, 7, 8, 2),
                (What::RowsExtra, "a", 1, 5, 15, 11),
                (What::RowsMissing, "b", 0, 10, 20, 9),
                (What::RowOutside, "a", 0, 15, 16, 3),
                (What::RowOutside, "a", 1, 2, 3, 1),
            ]
        );
    }
}
