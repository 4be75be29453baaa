//! Records of the table `raw_messages`: what Kafka has let go of, as the worker once read it.

use std::sync::Arc;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use async_trait::async_trait;
use schemas::raw_message::{HEADERS, PAYLOAD, TIMESTAMP};
use schemas::table::{LINEAGE_OFFSET, Table};
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};
use stages::input::Input;
use stages::record::{Record, TopicPartition};

use super::ReplayError;
use super::choose::ReadRange;
use super::covered::Covered;
use super::live::Live;
use super::old::{self, Sorted};
use super::plan::Plan;
use super::reader::{Reader, Records};
use super::rows;
use crate::source::SourceError;
use crate::upkeep::pass::World;
use crate::worker::Topic;

/// Directory of the sorted pieces.
const DIRECTORY: &str = "raw";

/// Reads the messages a replay needs from the table, sorted once by partition and offset.
pub struct RawReader {
    rows: Sorted,
    topics: Vec<Topic>,
    /// What is read: the partition, and one past its last offset.
    open: Option<(TopicPartition, i64)>,
    kind: (Signal, Arc<Input>),
}

impl std::fmt::Debug for RawReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawReader").field("open", &self.open).finish_non_exhaustive()
    }
}

impl RawReader {
    /// Sorts what this replay reads.
    ///
    /// # Errors
    /// Nothing of it was kept, or the table or storage can not be read.
    pub async fn new(world: &World, plan: &Plan, topics: Vec<Topic>) -> Result<Self, ReplayError> {
        super::journal::clear(&world.store, &plan.id, DIRECTORY).await?;
        let live = Live::open(world, u64::MAX).await?;
        let covered = Covered::new(plan.reads.iter().map(|read| &read.stretch));
        let table = live.table(Table::RawMessages).ok_or(ReplayError::NotKept)?;
        if rows::affected(&world.store, table, &covered).await?.is_empty() {
            return Err(ReplayError::NotKept);
        }
        let rows = old::sort(&world.store, (&plan.id, DIRECTORY), table, &covered).await?;
        let kind = (Signal::Logs, Arc::new(Input::from(Format::Json)));
        Ok(Self { rows, topics, open: None, kind })
    }
}

#[async_trait]
impl Reader for RawReader {
    async fn open(&mut self, range: &ReadRange, from: i64) -> Result<(), ReplayError> {
        let partition = range.stretch.partition.clone();
        let topic = self.topics.iter().find(|topic| *topic.name == *partition.topic);
        let topic = topic.ok_or_else(|| SourceError::UnknownTopic(partition.topic.to_string()))?;
        self.kind = (topic.signal, Arc::new(topic.input.clone()));
        while self.rows.some(&partition, from).await?.is_some() {}
        self.open = Some((partition, range.stretch.to));
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Records>, ReplayError> {
        let Some((partition, to)) = &self.open else { return Ok(None) };
        let Some(rows) = self.rows.some(partition, *to).await? else { return Ok(None) };
        let (signal, input) = self.kind.clone();
        Ok(Some(Records { records: records(&rows)?, signal, input, behind: None }))
    }
}

/// Rows as the messages they were.
fn records(rows: &RecordBatch) -> Result<Vec<Record>, ArrowError> {
    let column = |name: &str| {
        let found = rows.column_by_name(name);
        found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
    };
    let offsets = column(LINEAGE_OFFSET)?.as_primitive::<Int64Type>();
    let times = column(TIMESTAMP)?.as_primitive::<TimestampMicrosecondType>();
    let payloads = column(PAYLOAD)?.as_binary::<i32>();
    let headers = column(HEADERS)?.as_map();
    let record = |row: usize| Record {
        offset: offsets.value(row),
        timestamp: EventTime::from_micros(times.value(row)).unwrap_or_default(),
        payload: payloads.value(row).to_vec(),
        headers: match headers.is_null(row) {
            true => Vec::new(),
            false => {
                let pairs = headers.value(row);
                let (names, values) =
                    (pairs.column(0).as_string::<i32>(), pairs.column(1).as_string::<i32>());
                let pair = |place: usize| (names.value(place).into(), values.value(place).into());
                (0..pairs.len()).map(pair).collect()
            }
        },
    };
    Ok((0..rows.num_rows()).map(record).collect())
}
