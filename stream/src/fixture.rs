//! What several tests of this crate share.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use arrow::array::{
    Array as _, ArrayRef, AsArray as _, Int32Array, Int64Array, RecordBatch, StringArray,
    TimestampMicrosecondArray, new_null_array,
};
use arrow::datatypes::{DataType, Int64Type};
use schemas::ledger;
use schemas::table::Table;

use crate::clock::Clock;
use crate::unit::HourBatch;
use stages::pipeline::{Pipeline, config};
use stages::record::TopicPartition;

/// The pipeline of an empty configuration.
pub(crate) fn pipeline() -> Arc<Pipeline> {
    Arc::new(
        Pipeline::compile(&config::Config::default()).expect("the empty configuration compiles"),
    )
}

/// A partition of the default logs topic.
pub(crate) fn partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: schemas::topic::LOGS.into(), partition }
}

/// Rows of table `logs`, one per service, one microsecond apart.
pub(crate) fn log_rows(services: &[&str], micros: i64) -> RecordBatch {
    let rows = services.len();
    let schema = Table::Logs.file_schema();
    let column = |field: &Arc<arrow::datatypes::Field>| -> ArrayRef {
        match field.data_type() {
            _ if field.is_nullable() => new_null_array(field.data_type(), rows),
            DataType::Timestamp(..) => {
                let times = (micros..).take(rows).collect::<Vec<_>>();
                Arc::new(TimestampMicrosecondArray::from(times).with_timezone("UTC"))
            }
            DataType::Int64 => Arc::new(Int64Array::from_iter_values((0..).take(rows))),
            DataType::Int32 => Arc::new(Int32Array::from(vec![0; rows])),
            _ if field.name() == schemas::log::SERVICE => {
                Arc::new(StringArray::from(services.to_vec()))
            }
            _ => Arc::new(StringArray::from(vec![""; rows])),
        }
    };
    let columns = schema.fields().iter().map(column).collect();
    RecordBatch::try_new(schema, columns).expect("the columns fit the schema")
}

/// Sums of the ledger.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Balance {
    pub(crate) received: i64,
    pub(crate) indexed: i64,
    pub(crate) excluded: i64,
    pub(crate) dead_letters: i64,
    pub(crate) messages: i64,
}

/// Adds up the ledger rows among these batches.
pub(crate) fn ledger_balance(batches: &[HourBatch]) -> Balance {
    let mut balance = Balance::default();
    for batch in batches.iter().filter(|batch| batch.table == Table::Ledger) {
        let column = |name: &str| batch.rows.column_by_name(name).expect("ledger column").clone();
        let actions = column(ledger::ACTION);
        let events = column(ledger::EVENTS);
        let messages = column(ledger::MESSAGES);
        for row in 0..actions.len() {
            let events = events.as_primitive::<Int64Type>().value(row);
            balance.messages += messages.as_primitive::<Int64Type>().value(row);
            match actions.as_string::<i32>().value(row) {
                "received" => balance.received += events,
                "indexed" => balance.indexed += events,
                "excluded" => balance.excluded += events,
                "dead_letter" => balance.dead_letters += events,
                "gap" | "redriven" | "restored" | "sensitive" => {}
                other => panic!("unknown action {other}"),
            }
        }
    }
    balance
}

/// A clock that stands still until it is moved; wall and monotonic time together.
#[derive(Debug, Default)]
pub(crate) struct Hands(AtomicI64);

impl Hands {
    pub(crate) fn pass(&self, millis: i64) {
        self.0.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for Hands {
    fn monotonic(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::SeqCst).unsigned_abs())
    }

    fn unix_millis(&self) -> i64 {
        self.0.load(Ordering::SeqCst)
    }
}
