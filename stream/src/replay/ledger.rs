//! What the ledger says of offset ranges: which there are, when they were received, what became of their events.
//! A replay reads and replaces whole ranges only, for a range's counts and its metric points can not be cut.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use futures::TryStreamExt as _;
use object_store::ObjectStore;
use schemas::ledger::{self, Action};
use schemas::table::{LINEAGE_PARTITION, LINEAGE_TOPIC, Table};
use stages::record::TopicPartition;

use super::ReplayError;
use super::rows;
use crate::table::delta::PublishedTable;

/// Events and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Sum {
    /// Events.
    pub events: i64,
    /// Bytes, as they came.
    pub bytes: i64,
}

/// One offset range of one partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LedgerRange {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset.
    pub from: i64,
    /// One past the last.
    pub to: i64,
    /// `logs`, `spans` or `metrics`.
    pub signal: String,
    /// When its last message was received, microseconds.
    pub latest_micros: i64,
    /// Messages.
    pub messages: i64,
    /// Offsets that were lost, and accepted as lost.
    pub is_gap: bool,
    /// By action: events and bytes.
    pub sums: BTreeMap<&'static str, Sum>,
}

/// The actions that say what became of received events.
pub(super) const ACTIONS: [Action; 4] =
    [Action::Received, Action::Indexed, Action::Excluded, Action::DeadLetter];

impl LedgerRange {
    /// Events of this action.
    pub fn events(&self, action: Action) -> i64 {
        self.sums.get(action.as_str()).map_or(0, |sum| sum.events)
    }
}

/// All ranges of the wanted partitions, sorted by partition and offset.
///
/// # Errors
/// The ledger can not be read.
pub async fn ranges(
    store: &Arc<dyn ObjectStore>,
    ledger: &PublishedTable,
    wanted: impl Fn(&TopicPartition) -> bool,
) -> Result<Vec<LedgerRange>, ReplayError> {
    let mut found = BTreeMap::new();
    for file in ledger.contents()? {
        let mut batches = rows::whole(store, Table::Ledger, &file.path, 8_192).await?;
        while let Some(batch) = batches.try_next().await? {
            add(&batch, &wanted, &mut found)?;
        }
    }
    Ok(found.into_values().collect())
}

type Found = BTreeMap<(TopicPartition, i64, i64), LedgerRange>;

fn add(
    rows: &RecordBatch,
    wanted: &impl Fn(&TopicPartition) -> bool,
    found: &mut Found,
) -> Result<(), ArrowError> {
    let columns = Columns::of(rows)?;
    for row in 0..rows.num_rows() {
        let action = columns.action(row);
        let is_gap = action == Action::Gap.as_str();
        let known = ACTIONS.iter().find(|known| known.as_str() == action);
        if known.is_none() && !is_gap {
            continue;
        }
        let partition = columns.partition(row);
        if !wanted(&partition) {
            continue;
        }
        let (from, to) = columns.range(row);
        let key = (partition.clone(), from, to);
        let range = found.entry(key).or_insert_with(|| LedgerRange {
            partition,
            from,
            to,
            signal: columns.text(ledger::SIGNAL, row).to_owned(),
            latest_micros: i64::MIN,
            messages: 0,
            is_gap: false,
            sums: BTreeMap::new(),
        });
        range.is_gap |= is_gap;
        range.latest_micros = range.latest_micros.max(columns.timestamp(row));
        range.messages += columns.number(ledger::MESSAGES, row);
        if let Some(action) = known {
            let sum = range.sums.entry(action.as_str()).or_default();
            sum.events += columns.number(ledger::EVENTS, row);
            sum.bytes += columns.number(ledger::BYTES, row);
        }
    }
    Ok(())
}

/// The columns of ledger rows by name.
pub(super) struct Columns<'r>(&'r RecordBatch);

impl<'r> Columns<'r> {
    /// Of these rows, if they have every column.
    pub(super) fn of(rows: &'r RecordBatch) -> Result<Self, ArrowError> {
        if rows.schema_ref().fields() == Table::Ledger.file_schema().fields() {
            Ok(Self(rows))
        } else {
            Err(ArrowError::SchemaError("not the columns of the ledger".to_owned()))
        }
    }

    pub(super) fn text(&self, name: &str, row: usize) -> &'r str {
        self.0.column_by_name(name).map_or("", |column| column.as_string::<i32>().value(row))
    }

    pub(super) fn number(&self, name: &str, row: usize) -> i64 {
        let column = self.0.column_by_name(name);
        column.map_or(0, |column| column.as_primitive::<Int64Type>().value(row))
    }

    pub(super) fn action(&self, row: usize) -> &'r str {
        self.text(ledger::ACTION, row)
    }

    pub(super) fn range(&self, row: usize) -> (i64, i64) {
        (self.number(ledger::FROM_OFFSET, row), self.number(ledger::TO_OFFSET, row))
    }

    pub(super) fn timestamp(&self, row: usize) -> i64 {
        let column = self.0.column_by_name(ledger::TIMESTAMP);
        column.map_or(0, |column| column.as_primitive::<TimestampMicrosecondType>().value(row))
    }

    pub(super) fn partition(&self, row: usize) -> TopicPartition {
        let column = self.0.column_by_name(LINEAGE_PARTITION);
        let partition = column.map_or(0, |column| column.as_primitive::<Int32Type>().value(row));
        TopicPartition { topic: self.text(LINEAGE_TOPIC, row).into(), partition }
    }
}
