//! The rows of the tables against the ranges of the ledger.

use std::collections::BTreeMap;
use std::sync::Arc;

use query::engine::Engine;
use schemas::table::Table;

use super::ask::{self, AuditError, numbers, quoted, texts};
use super::range::{Finding, Range, Walk, What};

/// The tables whose rows have a lineage.
const RAW: [Table; 4] = [Table::Logs, Table::Spans, Table::Metrics, Table::DeadLetters];

/// Compares some ranges of one partition, sorted, with the rows the tables have of them.
pub(super) async fn compare(
    engine: &Engine,
    ranges: &[Range],
    walk: &mut Walk,
) -> Result<(), AuditError> {
    for table in RAW {
        match count(engine, table, ranges, walk).await {
            Err(error) if error.is_missing_file() => {
                if let (Some(first), Some(last)) = (ranges.first(), ranges.last()) {
                    let finding = first.finding(What::FileMissing, 1, 0);
                    let (table, to_offset) = (Some(table.name()), last.to);
                    walk.found(Finding { table, to_offset, ..finding });
                }
            }
            other => other?,
        }
    }
    Ok(())
}

/// Counts the rows of one table in each range, and says where the count is another than the ledger's.
async fn count(
    engine: &Engine,
    table: Table,
    ranges: &[Range],
    walk: &mut Walk,
) -> Result<(), AuditError> {
    let (Some(first), Some(last)) = (ranges.first(), ranges.last()) else { return Ok(()) };
    // `sum(1)` and not `count(*)`: beside it the optimiser turns the distinct count into a grouping, which
    // spills, where a set per offset would not.
    let sql = format!(
        "SELECT _offset, sum(1) AS n, count(DISTINCT _index) AS d FROM {} WHERE _topic = {} AND _partition = {} \
         AND _offset >= {} AND _offset < {} GROUP BY _offset",
        table.name(),
        quoted(&first.topic),
        first.partition,
        first.from,
        last.to
    );
    let mut counts = vec![0_i64; ranges.len()];
    let mut answer = ask::ask(engine, &sql).await?;
    answer.published(walk);
    let mut last_offset = None;
    // Rows between two ranges, by the range before them: first offset, last offset, rows.
    let mut strays: BTreeMap<Option<usize>, (i64, i64, i64)> = BTreeMap::new();
    while let Some(batch) = answer.next().await? {
        let offsets = numbers(&batch, "_offset")?;
        let (rows, distinct) = (numbers(&batch, "n")?, numbers(&batch, "d")?);
        for row in 0..batch.num_rows() {
            let (offset, n, d) = (offsets.value(row), rows.value(row), distinct.value(row));
            last_offset = last_offset.max(Some(offset));
            let at = |what, expected, found| Finding {
                table: Some(table.name()),
                from_offset: offset,
                to_offset: offset.saturating_add(1),
                ..first.finding(what, expected, found)
            };
            if n != d {
                walk.found(at(What::RowTwice, d, n));
            }
            let position = ranges.partition_point(|range| range.from <= offset).checked_sub(1);
            let inside = position.filter(|at| ranges.get(*at).is_some_and(|r| offset < r.to));
            match inside.and_then(|position| counts.get_mut(position)) {
                Some(count) => *count += n,
                None => {
                    let stray = strays.entry(position).or_insert((offset, offset, 0));
                    *stray = (stray.0.min(offset), stray.1.max(offset), stray.2 + n);
                }
            }
        }
    }
    for (range, found) in ranges.iter().zip(counts) {
        let Some(expected) = range.expected_in(table).filter(|expected| *expected != found) else {
            continue;
        };
        let what = if found < expected { What::RowsMissing } else { What::RowsExtra };
        let finding = range.finding(what, expected, found);
        let is_last = found == 0;
        walk.found(Finding { table: Some(table.name()), is_last, ..finding });
    }
    for (low, high, rows) in strays.into_values() {
        let (from_offset, to_offset) = (low, high.saturating_add(1));
        let finding = first.finding(What::RowOutside, 0, rows);
        walk.found(Finding { table: Some(table.name()), from_offset, to_offset, ..finding });
    }
    if let Some(offset) = last_offset {
        walk.reaches(table, first, offset);
    }
    Ok(())
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
