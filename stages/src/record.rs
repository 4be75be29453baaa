//! A Kafka message as the worker sees it: no librdkafka type gets past the consumer.

use std::sync::Arc;

use schemas::time::EventTime;

/// One partition of one topic.
#[derive(
    Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
pub struct TopicPartition {
    /// Topic name.
    pub topic: Arc<str>,
    /// Partition number.
    pub partition: i32,
}

/// One message, detached from the consumer's buffers.
#[derive(Debug, Clone, Default)]
pub struct Record {
    /// Its offset in the partition.
    pub offset: i64,
    /// Kafka's timestamp: the receive time.
    pub timestamp: EventTime,
    /// The payload's bytes; a tombstone is empty.
    pub payload: Vec<u8>,
    /// Headers with a UTF-8 value, in order. Few: a linear search is the fastest map.
    pub headers: Vec<(Box<str>, Box<str>)>,
}

impl Record {
    /// The last header of this name.
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().rev().find(|(key, _)| key.eq_ignore_ascii_case(name));
        found.map(|(_, value)| &**value)
    }
}
