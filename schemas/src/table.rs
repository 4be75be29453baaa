//! CONTRACT stream -> query: the tables, their place, partitioning and sort order.
//!
//! Every table is a Delta table at `tables/<name>`, partitioned by `date` and `hour` of event time
//! (UTC). Delta has neither unsigned nor portable nanosecond types, so times are microseconds with
//! a separate nanosecond LONG where the source has one, and ids are lower-case hex.

use std::sync::{Arc, LazyLock};

use arrow::datatypes::{DataType, Field, Fields, Schema, SchemaRef, TimeUnit};

use crate::publish::{ISSUES_PIPELINE, LIVE_PIPELINE};

/// Prefix of every table below the root.
pub const PREFIX: &str = "tables";
/// Partition column: the day of event time, Arrow `Date32`, Delta `date`.
pub const DATE: &str = "date";
/// Partition column: the hour of event time, 0 to 23, Arrow `Int32`, Delta `integer`.
pub const HOUR: &str = "hour";
/// The partition columns, in path order. They are in the path, not in the Parquet file.
pub const PARTITION_COLUMNS: [&str; 2] = [DATE, HOUR];

/// Lineage: topic of the Kafka message a row came from.
pub const LINEAGE_TOPIC: &str = "_topic";
/// Lineage: its partition.
pub const LINEAGE_PARTITION: &str = "_partition";
/// Lineage: its offset.
pub const LINEAGE_OFFSET: &str = "_offset";
/// Lineage: number of the row within its message, from 0.
pub const LINEAGE_INDEX: &str = "_index";
/// Content hash of the pipeline configuration that made the row.
pub const LINEAGE_PIPELINE_VERSION: &str = "_pipeline_version";

/// A table.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Table {
    /// One row per indexed log.
    Logs,
    /// One row per span.
    Spans,
    /// One mergeable point per series and bucket and unit.
    Metrics,
    /// What could not be processed.
    DeadLetters,
    /// What happened to every event, per unit, stage and rule.
    Ledger,
    /// One row per error.
    ErrorEvents,
    /// One row per change of an issue.
    ErrorIssueHistory,
    /// What was sent to whom.
    Notifications,
    /// Messages as they came, where they are kept.
    RawMessages,
}

impl Table {
    /// Every table, in a fixed order.
    pub const ALL: [Table; 9] = [
        Table::Logs,
        Table::Spans,
        Table::Metrics,
        Table::DeadLetters,
        Table::Ledger,
        Table::ErrorEvents,
        Table::ErrorIssueHistory,
        Table::Notifications,
        Table::RawMessages,
    ];

    /// The pipeline whose commit log the table follows. One log decides all changes of a table.
    pub fn pipeline(self) -> &'static str {
        match self {
            Table::ErrorIssueHistory | Table::Notifications => ISSUES_PIPELINE,
            _ => LIVE_PIPELINE,
        }
    }

    /// The tables that follow this pipeline's commit log.
    pub fn of(pipeline: &str) -> impl Iterator<Item = Self> + '_ {
        Self::ALL.into_iter().filter(move |table| table.pipeline() == pipeline)
    }

    /// Its SQL name, also the last part of its path.
    pub fn name(self) -> &'static str {
        match self {
            Table::Logs => "logs",
            Table::Spans => "spans",
            Table::Metrics => "metrics",
            Table::DeadLetters => "dead_letters",
            Table::Ledger => "ledger",
            Table::ErrorEvents => "error_events",
            Table::ErrorIssueHistory => "error_issue_history",
            Table::Notifications => "notifications",
            Table::RawMessages => "raw_messages",
        }
    }

    /// The table with this SQL name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|table| table.name() == name)
    }

    /// Path below the root: `tables/<name>`.
    pub fn path(self) -> String {
        format!("{PREFIX}/{}", self.name())
    }

    /// Columns of the Parquet files: everything but the partition columns.
    pub fn file_schema(self) -> SchemaRef {
        static SCHEMAS: LazyLock<[SchemaRef; Table::ALL.len()]> = LazyLock::new(|| {
            Table::ALL.map(|table| {
                Arc::new(Schema::new(match table {
                    Table::Logs => crate::log::fields(),
                    Table::Spans => crate::span::fields(),
                    Table::Metrics => crate::metric::fields(),
                    Table::DeadLetters => crate::dead_letter::fields(),
                    Table::Ledger => crate::ledger::fields(),
                    Table::ErrorEvents => crate::error_event::fields(),
                    Table::ErrorIssueHistory => crate::issue::fields(),
                    Table::Notifications => crate::notification::fields(),
                    Table::RawMessages => crate::raw_message::fields(),
                }))
            })
        });
        Arc::clone(&SCHEMAS[self as usize])
    }

    /// Columns a reader sees: the file's, then `date` and `hour`.
    pub fn schema(self) -> SchemaRef {
        let mut fields: Vec<_> = self.file_schema().fields().iter().cloned().collect();
        fields.push(Arc::new(Field::new(DATE, DataType::Date32, true)));
        fields.push(Arc::new(Field::new(HOUR, DataType::Int32, true)));
        Arc::new(Schema::new(fields))
    }

    /// Columns that order the rows of a file, first the most significant.
    pub fn sort_columns(self) -> &'static [&'static str] {
        match self {
            Table::Logs => &[crate::log::SERVICE, crate::log::TIMESTAMP],
            Table::Spans => &[crate::span::TRACE_ID, crate::span::START_NS],
            Table::Metrics => {
                &[crate::metric::NAME, crate::metric::SERVICE, crate::metric::TIMESTAMP]
            }
            Table::DeadLetters => &[crate::dead_letter::TIMESTAMP],
            Table::Ledger => &[crate::ledger::TIMESTAMP],
            Table::ErrorEvents => &[
                crate::error_event::SERVICE,
                crate::error_event::ISSUE_ID,
                crate::error_event::TIMESTAMP,
            ],
            Table::ErrorIssueHistory => &[crate::issue::ISSUE_ID, crate::issue::SEQ],
            Table::Notifications => &[crate::notification::TIMESTAMP],
            Table::RawMessages => &[LINEAGE_TOPIC, LINEAGE_PARTITION, LINEAGE_OFFSET],
        }
    }

    /// Columns with a bloom filter in every file.
    pub fn bloom_columns(self) -> &'static [&'static str] {
        match self {
            Table::Logs => &[crate::log::TRACE_ID, crate::log::SPAN_ID],
            Table::Spans => &[crate::span::TRACE_ID, crate::span::SPAN_ID],
            Table::ErrorEvents => &[crate::error_event::ISSUE_ID, crate::error_event::TRACE_ID],
            Table::ErrorIssueHistory => &[crate::issue::ISSUE_ID],
            Table::Metrics
            | Table::DeadLetters
            | Table::Ledger
            | Table::Notifications
            | Table::RawMessages => &[],
        }
    }
}

/// `timestamp(us, UTC)`.
pub(crate) fn timestamp(name: &str, nullable: bool) -> Field {
    Field::new(name, DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into())), nullable)
}

/// Nullable text.
pub(crate) fn text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, true)
}

/// Text that is always there, possibly empty.
pub(crate) fn required_text(name: &str) -> Field {
    Field::new(name, DataType::Utf8, false)
}

/// `list<text>`; the element is named as Delta and Parquet name it.
pub(crate) fn text_list(name: &str) -> Field {
    Field::new(name, DataType::List(list_item(DataType::Utf8)), true)
}

/// The element field of every list.
pub fn list_item(data_type: DataType) -> Arc<Field> {
    Arc::new(Field::new("element", data_type, true))
}

/// The entries field of every map with text keys: `key_value<key, value>`, Delta's names.
pub fn map_entries(value: DataType) -> Arc<Field> {
    Arc::new(Field::new(
        "key_value",
        DataType::Struct(Fields::from(vec![
            Field::new("key", DataType::Utf8, false),
            Field::new("value", value, true),
        ])),
        false,
    ))
}

/// `map<text, value>`.
pub(crate) fn map(name: &str, value: DataType) -> Field {
    Field::new(name, DataType::Map(map_entries(value), false), true)
}

/// The five lineage columns.
pub(crate) fn lineage() -> [Field; 5] {
    [
        required_text(LINEAGE_TOPIC),
        Field::new(LINEAGE_PARTITION, DataType::Int32, false),
        Field::new(LINEAGE_OFFSET, DataType::Int64, false),
        Field::new(LINEAGE_INDEX, DataType::Int32, false),
        required_text(LINEAGE_PIPELINE_VERSION),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_table_has_its_named_columns() {
        for table in Table::ALL {
            assert_eq!(Table::from_name(table.name()), Some(table));
            let schema = table.file_schema();
            for column in table.sort_columns().iter().chain(table.bloom_columns()) {
                assert!(schema.index_of(column).is_ok(), "{}: {column}", table.name());
            }
            assert!(PARTITION_COLUMNS.iter().all(|column| schema.index_of(column).is_err()));
            assert_eq!(schema.field(0).name(), "timestamp", "pruning statistics come first");
        }
    }

    #[test]
    fn no_column_has_a_type_delta_would_reinterpret() {
        fn check(field: &Field) {
            match field.data_type() {
                DataType::UInt8 | DataType::UInt16 | DataType::UInt32 | DataType::UInt64 => {
                    panic!("{} is unsigned", field.name())
                }
                DataType::List(item) | DataType::Map(item, _) => check(item),
                DataType::Struct(fields) => fields.iter().for_each(|field| check(field)),
                _ => {}
            }
        }
        for table in Table::ALL {
            table.schema().fields().iter().for_each(|field| check(field));
        }
    }
}
