//! Table `raw_messages`.

use arrow::array::{
    BinaryBuilder, Int64Builder, RecordBatch, StringBuilder, TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use schemas::table::Table;
use schemas::topic::Signal;

use super::lineage::LineageColumns;
use super::parts::{self, Held, TextMap, array};
use super::{Lineage, TableColumns};
use crate::record::Record;
use crate::value::Value;

/// Index of a row that is a whole message.
const WHOLE: i32 = -1;

/// Builder of table `raw_messages`.
#[derive(Debug, Default)]
pub struct RawMessageColumns {
    timestamp: TimestampMicrosecondBuilder,
    signal: StringBuilder,
    excluded: Int64Builder,
    headers: TextMap,
    payload: BinaryBuilder,
    lineage: LineageColumns,
}

impl RawMessageColumns {
    /// Adds a message of which so many events were excluded.
    pub fn push(&mut self, record: &Record, signal: Signal, excluded: i64, lineage: &Lineage<'_>) {
        self.timestamp.append_value(record.timestamp.micros());
        self.signal.append_value(signal.as_str());
        self.excluded.append_value(excluded);
        for (place, (name, value)) in record.headers.iter().enumerate() {
            let later = record.headers.get(place + 1..).unwrap_or_default();
            if !later.iter().any(|(other, _)| other == name) {
                self.headers.pair(name, &Value::Str(value));
            }
        }
        self.headers.end_row(0);
        self.payload.append_value(&record.payload);
        self.lineage.push(lineage, WHOLE);
    }
}

impl TableColumns for RawMessageColumns {
    const TABLE: Table = Table::RawMessages;

    fn rows(&self) -> usize {
        self.excluded.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let held = [self.signal.held(), self.headers.held(), self.payload.held()];
        held.into_iter().sum::<usize>() + self.lineage.held() + self.rows() * 16
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = vec![
            array(self.timestamp.finish().with_timezone("UTC")),
            array(self.signal.finish()),
            array(self.excluded.finish()),
            self.headers.finish()?,
            array(self.payload.finish()),
        ];
        columns.extend(self.lineage.finish()?);
        parts::batch(Self::TABLE, columns)
    }
}
