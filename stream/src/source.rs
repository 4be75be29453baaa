//! The seam to Kafka: where batches of records come from.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;

use crate::record::{Record, TopicPartition};

/// Where to begin reading a partition.
#[derive(Debug, Clone)]
pub struct Start {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset to deliver.
    pub offset: i64,
}

/// Records of one partition, in contiguous order.
#[derive(Debug)]
pub struct Batch {
    /// The partition.
    pub partition: TopicPartition,
    /// Its records.
    pub records: Vec<Record>,
}

/// What a lane receives.
#[derive(Debug)]
pub enum Event {
    /// Records.
    Batch(Batch),
    /// Offsets that will never come (compaction, transaction markers).
    Gap {
        /// The partition.
        partition: TopicPartition,
        /// The offset that should have come.
        expected: i64,
        /// The offset that came.
        found: i64,
    },
    /// The broker no longer has the offset asked for.
    OutOfRange {
        /// The partition.
        partition: TopicPartition,
        /// The offset asked for.
        asked: i64,
        /// First offset the broker has.
        low: i64,
        /// One past the last.
        high: i64,
    },
    /// The client can not go on.
    Failed(String),
}

/// A partition and what the broker holds of it.
#[derive(Debug, Clone)]
pub struct PartitionInfo {
    /// The partition.
    pub partition: TopicPartition,
    /// First offset.
    pub low: i64,
    /// One past the last offset.
    pub high: i64,
}

/// Why the source could not answer.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct SourceError(pub String);

/// Kafka, or a stand-in.
pub trait Source: Send {
    /// Partitions of the topics and their watermarks.
    fn partitions(
        &self,
        topics: &[String],
        deadline: Duration,
    ) -> Result<Vec<PartitionInfo>, SourceError>;
    /// Starts delivering these partitions as well.
    fn assign(&mut self, starts: Vec<Start>) -> Result<(), SourceError>;
    /// The receiving end for these partitions.
    fn lane(&mut self, partitions: &[TopicPartition]) -> Lane;
    /// Tells the broker what is committed; a hint for its tools.
    fn store_hint(&self, offsets: &[(TopicPartition, i64)]);
    /// Identity of the cluster, where known.
    fn cluster_id(&self) -> Option<String>;
    /// Stops delivering.
    fn stop(self: Box<Self>);
}

/// Events of some partitions.
#[derive(Debug)]
pub struct Lane {
    events: Receiver<Event>,
}

impl Lane {
    /// The receiving end of a bounded channel.
    pub fn new(events: Receiver<Event>) -> Self {
        Self { events }
    }

    /// The next event, waiting at most `timeout`.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => None,
        }
    }

    /// The next event, if one waits.
    pub fn try_recv(&self) -> Option<Event> {
        self.events.try_recv().ok()
    }
}
