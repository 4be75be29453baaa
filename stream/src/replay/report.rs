//! What a replay changes, all in all: made when everything is staged and nothing is changed yet, kept with the
//! replay, and held to by the swap.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::compute::filter_record_batch;
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use schemas::ledger::{self, Action};
use schemas::table::Table;
use schemas::topic::Signal;
use serde::{Deserialize, Serialize};

use super::covered::{self, Covered, Stretch};
use super::diff::{FieldDiff, Parsed, RowsDiff, UnitDiff};
use super::ledger::{ACTIONS, Columns, Sum};
use super::live::Live;
use super::plan::{Plan, Work};
use super::restored::{self, Excluded};
use super::series::{AllSeries, SeriesDiff, When};
use super::staged::Staged;
use super::{ReplayError, journal, rows, stage};

/// What a rule decides, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RuleDiff {
    /// `logs`, `spans` or `metrics`.
    pub signal: String,
    /// `received`, `indexed`, `excluded` or `dead_letter`.
    pub action: String,
    /// Index, exclusion filter or reason; empty for `received`.
    pub rule: String,
    /// Events and bytes before.
    pub before: Sum,
    /// Events and bytes after.
    pub after: Sum,
}

/// Everything a replay changes.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The replay.
    pub replay: String,
    /// Version of its pipeline.
    pub pipeline_version: String,
    /// Messages read.
    pub messages: i64,
    /// Rows by table. Where rows are not compared one by one, only their numbers.
    pub tables: BTreeMap<String, RowsDiff>,
    /// Rows of `logs` the pipeline has read something from, and the others; not without comparison.
    pub parsed: Option<Parsed>,
    /// What each rule decides.
    pub rules: Vec<RuleDiff>,
    /// Changed fields by table and name; attributes have an `@`.
    pub fields: BTreeMap<String, BTreeMap<String, FieldDiff>>,
    /// Changes of fields beyond those told apart.
    pub untold_fields: i64,
    /// Metric series.
    pub series: SeriesDiff,
    /// Files to be swapped in, and their bytes.
    pub files: i64,
    /// Bytes of these files.
    pub file_bytes: i64,
    /// Whose ledger rows are replaced.
    pub touched: Vec<Stretch>,
    /// Of a restore: the excluded events there are, and those it could search.
    #[serde(default)]
    pub excluded: Option<Excluded>,
}

impl Report {
    /// The report of a replay, if all of it is staged.
    ///
    /// # Errors
    /// Storage.
    pub async fn load(store: &Arc<dyn ObjectStore>, id: &str) -> Result<Option<Self>, ReplayError> {
        journal::get(store, &journal::key(id, "report.json")).await
    }

    /// Makes and keeps the report.
    ///
    /// # Errors
    /// Storage, or the tables do not hold what the ledger says.
    pub async fn make(
        store: &Arc<dyn ObjectStore>,
        live: &Live,
        plan: &Plan,
        staged: &Staged,
    ) -> Result<Self, ReplayError> {
        let touched = match plan.work {
            Work::Replace => plan.replaces.clone(),
            Work::Restore { .. } => restored::touched(store, plan, staged).await?,
        };
        let covered = covered::tables().map(|table| (table, plan.covered(table, &touched)));
        let covered = covered.collect();
        let mut report = Self {
            touched,
            replay: plan.id.clone(),
            pipeline_version: plan.pipeline_version.clone(),
            messages: staged.units.iter().map(|unit| unit.messages).sum(),
            ..Self::default()
        };
        let side = Sides { store, live, covered: &covered, staged };
        report.rules = side.rules().await?;
        report.series = side.series().await?;
        for table in covered::tables() {
            let (before, after) = (side.rows_before(table).await?, side.rows_after(table));
            let rows = RowsDiff { before, after, ..RowsDiff::default() };
            report.tables.insert(table.name().to_owned(), rows);
            let files = staged.of(table).count();
            report.files += i64::try_from(files).unwrap_or(i64::MAX);
            report.file_bytes += staged.of(table).map(|add| add.size).sum::<i64>();
        }
        report.agrees_with_ledger(&plan.work)?;
        if plan.work != Work::Replace {
            report.excluded = Some(Excluded::of(store, live, plan, staged).await?);
        }
        if plan.compares {
            report.differences(store, staged).await?;
        }
        journal::put(store, &journal::key(&plan.id, "report.json"), &report).await?;
        Ok(report)
    }

    /// Adds up the differences of all units.
    async fn differences(
        &mut self,
        store: &Arc<dyn ObjectStore>,
        staged: &Staged,
    ) -> Result<(), ReplayError> {
        let mut all = UnitDiff::default();
        for unit in staged.units.iter().filter(|unit| unit.messages > 0) {
            let name = stage::diff_name(&unit.partition, unit.from);
            let found = journal::get::<UnitDiff>(store, &journal::key(&self.replay, &name)).await?;
            all.add(&found.unwrap_or_default());
        }
        for (table, rows) in &all.tables {
            if let Some(known) = self.tables.get_mut(table) {
                // Both were counted on their own: they must be the same.
                if (known.before, known.after) != (rows.before, rows.after) {
                    let (expected, found) = (rows.before + rows.after, known.before + known.after);
                    let table = Table::from_name(table).map_or("", Table::name);
                    return Err(ReplayError::NotTheLedger { table, expected, found });
                }
                *known = *rows;
            }
        }
        self.parsed = Some(all.parsed);
        self.fields = all.fields;
        self.fields.retain(|_, fields| !fields.is_empty());
        self.untold_fields = all.untold;
        Ok(())
    }

    /// Rows before and after must be those the ledger counts, so that the audit is green after the swap if it
    /// was before.
    fn agrees_with_ledger(&self, work: &Work) -> Result<(), ReplayError> {
        let sum = |action: Action, signal: Option<Signal>| {
            let of_it = self.rules.iter().filter(|rule| {
                rule.action == action.as_str()
                    && signal.is_none_or(|signal| rule.signal == signal.as_str())
            });
            of_it.fold((0, 0), |(before, after), rule| {
                (before + rule.before.events, after + rule.after.events)
            })
        };
        for (table, (before, after)) in [
            (Table::Logs, sum(Action::Indexed, Some(Signal::Logs))),
            (Table::Spans, sum(Action::Indexed, Some(Signal::Spans))),
            (Table::DeadLetters, sum(Action::DeadLetter, None)),
        ] {
            let Some(rows) = self.tables.get(table.name()) else { continue };
            let pairs = match work {
                Work::Replace => [(before, rows.before), (after, rows.after)],
                // Rows only come; the ledger has others of the same ranges.
                Work::Restore { .. } => [(0, rows.before), (after - before, rows.after)],
            };
            for (expected, found) in pairs {
                if expected != found {
                    let table = table.name();
                    return Err(ReplayError::NotTheLedger { table, expected, found });
                }
            }
        }
        Ok(())
    }
}

/// The rows that go and those that come.
struct Sides<'a> {
    store: &'a Arc<dyn ObjectStore>,
    live: &'a Live,
    covered: &'a BTreeMap<Table, Covered>,
    staged: &'a Staged,
}

impl Sides<'_> {
    async fn rows_before(&self, table: Table) -> Result<i64, ReplayError> {
        let (Some(open), Some(covered)) = (self.live.table(table), self.covered.get(&table)) else {
            return Ok(0);
        };
        let affected = rows::affected(self.store, open, covered).await?;
        Ok(affected.iter().map(|file| file.covered).sum())
    }

    fn rows_after(&self, table: Table) -> i64 {
        self.staged.of(table).map(|add| add.rows).sum()
    }

    /// Takes all rows of a table, before and after, through `each`.
    async fn all(
        &self,
        table: Table,
        mut each: impl FnMut(&RecordBatch, When) -> Result<(), arrow::error::ArrowError>,
    ) -> Result<(), ReplayError> {
        if let (Some(open), Some(covered)) = (self.live.table(table), self.covered.get(&table)) {
            for affected in rows::affected(self.store, open, covered).await? {
                let mut all = rows::whole(self.store, table, &affected.file.path, 8_192).await?;
                while let Some(batch) = all.try_next().await? {
                    let mask = covered.mask(table, &batch)?;
                    each(&filter_record_batch(&batch, &mask)?, When::Before)?;
                }
            }
        }
        for add in self.staged.of(table) {
            let mut all = rows::whole(self.store, table, &add.path, 8_192).await?;
            while let Some(batch) = all.try_next().await? {
                each(&batch, When::After)?;
            }
        }
        Ok(())
    }

    async fn series(&self) -> Result<SeriesDiff, ReplayError> {
        let mut series = AllSeries::default();
        self.all(Table::Metrics, |rows, when| series.add(rows, when)).await?;
        Ok(series.diff())
    }

    async fn rules(&self) -> Result<Vec<RuleDiff>, ReplayError> {
        let mut rules: BTreeMap<(String, String, String), (Sum, Sum)> = BTreeMap::new();
        self.all(Table::Ledger, |rows, when| {
            let columns = Columns::of(rows)?;
            for row in 0..rows.num_rows() {
                let action = columns.action(row);
                let restored = action == Action::Restored.as_str();
                if !restored && !ACTIONS.iter().any(|known| known.as_str() == action) {
                    continue;
                }
                let key = [ledger::SIGNAL, ledger::ACTION, ledger::RULE];
                let [signal, action, rule] = key.map(|name| columns.text(name, row).to_owned());
                let sums = rules.entry((signal, action, rule)).or_default();
                let sum = if when == When::Before { &mut sums.0 } else { &mut sums.1 };
                sum.events += columns.number(ledger::EVENTS, row);
                sum.bytes += columns.number(ledger::BYTES, row);
            }
            Ok(())
        })
        .await?;
        let rule = |((signal, action, rule), (before, after))| RuleDiff {
            signal,
            action,
            rule,
            before,
            after,
        };
        Ok(rules.into_iter().map(rule).collect())
    }
}
