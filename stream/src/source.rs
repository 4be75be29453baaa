//! Where records come from, without naming Kafka: the seam between the consumer and the worker.
//!
//! A [`Source`] reads partitions from offsets the worker names (the commit log knows them, Kafka's
//! committed offsets are only a hint) and puts what it reads into bounded queues, one per partition.
//! A worker thread takes a [`Lane`]: the queues of the partitions it is responsible for.
//!
//! Which partitions are read is decided by the worker ([`Source::assign`], [`Source::add`]), or together with
//! other workers by a group ([`Source::join`]): the group says what changes, the worker answers each [`Change`]
//! once it has claimed or committed what it must. Records of a partition keep their order; what is missing in
//! the sequence is said with [`Event::Gap`], never skipped silently.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;

use schemas::time::EventTime;
use stages::record::{Record, TopicPartition};

pub mod memory;
mod router;

pub use router::Lane;
pub(crate) use router::Router;

/// Read this partition from this offset on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// Which.
    pub partition: TopicPartition,
    /// Offset of the first record wanted.
    pub offset: i64,
}

/// Consecutive records of one partition.
#[derive(Debug, Clone)]
pub struct Batch {
    /// Where they come from.
    pub partition: TopicPartition,
    /// Ascending by offset; never empty.
    pub records: Vec<Record>,
}

/// What a lane delivers.
#[derive(Debug, Clone)]
pub enum Event {
    /// Records.
    Batch(Batch),
    /// Offsets jumped: the topic is compacted, holds transactions, or lost records. Delivery goes on
    /// with `found`.
    Gap {
        /// Where.
        partition: TopicPartition,
        /// The next offset in sequence.
        expected: i64,
        /// The offset that came.
        found: i64,
    },
    /// The offset is not (or no longer) in the partition: retention has passed it, or the topic was
    /// made anew. Nothing more comes from this partition until it is assigned again.
    OutOfRange {
        /// Where.
        partition: TopicPartition,
        /// The offset wanted.
        asked: i64,
        /// The oldest offset there is.
        low: i64,
        /// One past the newest.
        high: i64,
    },
    /// The broker has another message where one was read: the topic was made anew, or lost its end and grew again.
    /// Nothing more comes from this partition.
    Replaced(Replaced),
    /// The source can not go on, or only in part; says why and what to do.
    Failed(String),
}

/// A message that is not the one that was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaced {
    /// Where.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// Kafka's timestamp of the message that was read.
    pub read: EventTime,
    /// That of the message that is there now.
    pub found: EventTime,
}

impl std::fmt::Display for Replaced {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { partition: TopicPartition { topic, partition }, offset, read, found } = self;
        let time = |time: &EventTime| {
            chrono::DateTime::from_timestamp_nanos(time.nanos())
                .to_rfc3339_opts(chrono::SecondsFormat::Millis, true)
        };
        write!(
            f,
            "{topic}-{partition}: the message at offset {offset} is not the one that was read: that was of {}, this \
             is of {}; the topic was created anew, or lost its end and grew again, and what came before that offset \
             since was not read",
            time(read),
            time(found)
        )
    }
}

/// What a group decided. The group waits for the answer; it comes from [`Source::add`] or [`Source::remove`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// These are ours from now on. Answered by adding them, or a part of them, or none yet.
    Assigned(Vec<TopicPartition>),
    /// These are wanted by another worker; it gets them when they were removed here.
    Revoked(Vec<TopicPartition>),
    /// These may be read by another worker already: the group has not heard of us for too long.
    Lost(Vec<TopicPartition>),
    /// The group can not go on with us; says why and what to do.
    Failed(String),
}

/// The decisions of a group, in order.
pub type Changes = mpsc::Receiver<Change>;

/// Decisions that may wait. A group waits for the answer to one before it makes the next; losing everything may
/// come on top.
pub(crate) const MAX_WAITING_CHANGES: usize = 16;

/// One partition and the offsets it holds now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartitionInfo {
    /// Which.
    pub partition: TopicPartition,
    /// The oldest offset.
    pub low: i64,
    /// One past the newest offset.
    pub high: i64,
}

/// Why a source did not do what was asked.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// A property is wrong or refused.
    #[error("kafka configuration: {0}")]
    Config(String),
    /// No answer in time.
    #[error("kafka did not answer: {0}; check kafka.brokers")]
    Unavailable(String),
    /// The topic is not there.
    #[error("topic {0} does not exist; create it, or correct its name in the configuration")]
    UnknownTopic(String),
    /// A message was replaced by another.
    #[error("{0}")]
    Replaced(Replaced),
    /// The source was stopped or its thread has ended.
    #[error("the consumer has stopped")]
    Stopped,
}

/// Looks at single messages, whatever is read meanwhile.
pub trait Look: Send + Sync {
    /// Kafka's timestamps of these messages, at most one of a partition; `None` where there is no such message (any
    /// more). Waits for the broker.
    ///
    /// # Errors
    /// Not all answers came in time.
    fn timestamps(
        &self,
        messages: &[(TopicPartition, i64)],
    ) -> Result<Vec<Option<EventTime>>, SourceError>;
}

/// One consumer.
pub trait Source: Send {
    /// The partitions of these topics, sorted; waits until every topic exists.
    ///
    /// # Errors
    /// A topic is still missing, or no broker answers, at the deadline.
    fn partitions(
        &self,
        topics: &[String],
        deadline: Duration,
    ) -> Result<Vec<PartitionInfo>, SourceError>;

    /// What looks at single messages, beside what is read.
    fn look(&self) -> Arc<dyn Look>;

    /// Replaces what is read. An offset outside its partition is answered with [`Event::OutOfRange`]
    /// and not read.
    ///
    /// # Errors
    /// The watermarks could not be asked for, or the consumer has stopped.
    fn assign(&mut self, starts: Vec<Start>) -> Result<(), SourceError>;

    /// Joins the group of workers that share these topics, if this source has one; `None` means that all
    /// partitions are ours.
    ///
    /// # Errors
    /// The consumer refuses the topics, or has stopped.
    fn join(&mut self, topics: &[String]) -> Result<Option<Changes>, SourceError>;

    /// Reads these partitions too, or again from another offset if they are read already. Their queues are
    /// emptied. Answers [`Change::Assigned`].
    ///
    /// # Errors
    /// As [`Source::assign`].
    fn add(&mut self, starts: Vec<Start>) -> Result<(), SourceError>;

    /// Stops reading these partitions and empties their queues. Answers [`Change::Revoked`] and [`Change::Lost`].
    ///
    /// # Errors
    /// The consumer has stopped.
    fn remove(&mut self, partitions: &[TopicPartition]) -> Result<(), SourceError>;

    /// The receiving side of a group of partitions. A partition belongs to the last lane that named it.
    fn lane(&mut self, partitions: &[TopicPartition]) -> Lane;

    /// Tells Kafka how far we are, for dashboards that show lag. A hint: failures are ignored.
    fn store_hint(&self, offsets: &[(TopicPartition, i64)]);

    /// The cluster's id, if it answers.
    fn cluster_id(&self) -> Option<String>;

    /// Stops reading; returns within a few seconds even when no broker answers.
    fn stop(self: Box<Self>);
}
