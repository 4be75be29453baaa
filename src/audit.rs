//! `tidemill audit`: proves from the tables and the ledger alone, beside a running engine or without
//! one, that nothing was lost and nothing is there twice.
//!
//! | file | what |
//! |---|---|
//! | [`range`] | what the ledger says of one offset range, and the pure walk over all of them |
//! | [`rows`] | the rows of the tables against these ranges |
//! | [`ask`] | questions to the query engine, answers as plain columns |
//! | [`report`] | findings and sums, as a person and as a program reads them |
//!
//! What is proven, per topic partition: the offset ranges of the units follow one another without gap or
//! overlap; in each of them `received = indexed + excluded + dead_letter`; the tables hold exactly as many
//! rows of the range as the ledger calls indexed or refused; no lineage is there twice; no row lies outside
//! every range. The commit log is not read: it is what made the tables, so it can not vouch for them.
//!
//! Memory is bounded: the ledger is read as a sorted stream, and its ranges are compared with the tables in
//! pieces of at most [`MAX_AUDIT_ROWS`] expected rows of at most [`MAX_AUDIT_PARTITIONS`] partitions.

pub(crate) mod ask;
pub mod range;
pub mod report;
mod rows;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use query::engine::Engine;
use schemas::limits::{MAX_AUDIT_PARTITIONS, MAX_AUDIT_RANGES, MAX_AUDIT_ROWS};

pub use ask::AuditError;
pub use report::{Report, Verdict};

use range::{Finding, Range, Walk};

/// Looks at a running engine before a finding counts: a table may be a moment behind another.
const LOOKS: usize = 3;
/// Pause between two looks: longer than a publication takes and than a snapshot is cached.
const PAUSE: Duration = Duration::from_secs(2);

/// Which part of the ledger is looked at, by the time its messages were received.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Scope {
    /// RFC 3339; units whose latest message came before are left out.
    pub from: Option<String>,
    /// RFC 3339; units whose latest message came at or after it are left out.
    pub to: Option<String>,
}

impl Scope {
    /// Whether everything is looked at.
    fn is_whole(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// The ranges of every partition, sorted. With bounds in time, all ranges between the first and the
    /// last one inside: times do not follow the offsets exactly.
    fn sql(&self) -> String {
        let mut inside = vec!["action IN ('received', 'gap')".to_owned()];
        inside.extend(self.from.iter().map(|from| format!("timestamp >= '{from}'")));
        inside.extend(self.to.iter().map(|to| format!("timestamp < '{to}'")));
        let bounds = if self.is_whole() {
            ""
        } else {
            " JOIN bounds ON _topic = bounds.t AND _partition = bounds.p \
             WHERE from_offset >= bounds.lo AND to_offset <= bounds.hi"
        };
        let sum = |action: &str| {
            format!("sum(CASE WHEN action = '{action}' THEN events ELSE 0 END) AS {action}")
        };
        let count = |action: &str, name: &str| {
            format!("sum(CASE WHEN action = '{action}' THEN 1 ELSE 0 END) AS {name}")
        };
        format!(
            "WITH bounds AS (SELECT _topic AS t, _partition AS p, min(from_offset) AS lo, \
             max(to_offset) AS hi FROM ledger WHERE {} GROUP BY 1, 2) \
             SELECT _topic, _partition, from_offset, to_offset, max(signal) AS signal, {}, {}, {}, {}, {}, {}, \
             sum(messages) AS messages FROM (SELECT * FROM ledger WHERE action NOT IN ('redriven', 'restored')){bounds} \
             GROUP BY _topic, _partition, from_offset, to_offset \
             ORDER BY _topic, _partition, from_offset, to_offset",
            inside.join(" AND "),
            count("received", "units"),
            count("gap", "gaps"),
            sum("received"),
            sum("indexed"),
            sum("excluded"),
            sum("dead_letter"),
        )
    }
}

/// Looks until nothing is found, or the same is found each time. Beside a running engine one table may be
/// published a moment after another: such findings pass, and only what stays is one.
///
/// # Errors
/// When the tables can not be read at all.
pub async fn audit(engine: &Engine, scope: &Scope) -> Result<Report, AuditError> {
    let mut report = look(engine, scope).await?;
    for _ in 1..LOOKS {
        if report.findings.is_empty() {
            break;
        }
        tokio::time::sleep(PAUSE).await;
        let before: BTreeSet<_> = report.findings.iter().map(range::Finding::key).collect();
        let again = look(engine, scope).await?;
        report = again.only(&before);
    }
    Ok(report)
}

/// First offset of every partition that no table has: where reading would go on.
///
/// # Errors
/// When the tables can not be read.
pub async fn ends(engine: &Engine) -> Result<Vec<(Arc<str>, i32, i64)>, AuditError> {
    let raw = |table: &str| {
        format!(" UNION ALL SELECT _topic, _partition, _offset + 1 AS e FROM {table}")
    };
    let raw: String = ["logs", "spans", "metrics", "dead_letters"].map(raw).concat();
    let sql = format!(
        "SELECT _topic, _partition, max(e) AS e FROM (SELECT _topic, _partition, to_offset AS e FROM ledger \
         WHERE action IN ('received', 'gap'){raw}) GROUP BY _topic, _partition ORDER BY _topic, _partition"
    );
    let mut answer = ask::ask(engine, &sql).await?;
    let mut ends = Vec::new();
    while let Some(batch) = answer.next().await? {
        let topics = ask::texts(&batch, "_topic")?;
        let (partitions, offsets) =
            (ask::numbers(&batch, "_partition")?, ask::numbers(&batch, "e")?);
        ends.extend((0..batch.num_rows()).map(|row| {
            let partition = i32::try_from(partitions.value(row)).unwrap_or(i32::MAX);
            (topics.value(row).into(), partition, offsets.value(row))
        }));
    }
    Ok(ends)
}

/// One look at everything: of a store at rest, or of one whose worker was killed.
///
/// # Errors
/// When the tables can not be read at all.
pub async fn look(engine: &Engine, scope: &Scope) -> Result<Report, AuditError> {
    let mut walk = Walk::default();
    match look_into(engine, scope, &mut walk).await {
        // The other tables' files are findings with a range; without the ledger there are no ranges.
        Err(error) if error.is_missing_file() => walk.found(Finding::ledger_file_missing()),
        other => other?,
    }
    Ok(walk.finish())
}

async fn look_into(engine: &Engine, scope: &Scope, walk: &mut Walk) -> Result<(), AuditError> {
    let mut piece: Vec<Range> = Vec::new();
    let (mut expected, mut partitions) = (0, 0);
    let mut ledger = ask::ask(engine, &scope.sql()).await?;
    ledger.published(walk);
    while let Some(batch) = ledger.next().await? {
        for range in Range::read(&batch)? {
            walk.step(&range);
            let is_other = piece.last().is_none_or(|last| !last.same_partition(&range));
            let is_full = expected >= MAX_AUDIT_ROWS
                || piece.len() >= MAX_AUDIT_RANGES
                || (is_other && partitions >= MAX_AUDIT_PARTITIONS);
            if is_full {
                rows::compare(engine, &piece, walk).await?;
                piece.clear();
                (expected, partitions) = (0, 0);
            }
            partitions += usize::from(is_other || piece.is_empty());
            expected += range.expected_rows();
            piece.push(range);
        }
    }
    rows::compare(engine, &piece, walk).await?;
    if scope.is_whole() {
        rows::outside(engine, walk).await?;
    }
    Ok(())
}
