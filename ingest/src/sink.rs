//! Where the intake hands its messages over: the seam between the protocols and Kafka.
//!
//! The producer implements [`Sink`]; tests of the protocols implement it with a recorder.

use bytes::Bytes;
use futures::future::BoxFuture;
use schemas::id::TraceId;
use schemas::topic::{Format, Signal};

/// One Kafka message to be written.
#[derive(Debug, Clone)]
pub struct Message {
    /// Which signal; the producer maps it to the configured topic.
    pub topic: Signal,
    /// How the payload is to be read; becomes the `content-type` header.
    pub format: Format,
    /// The trace all of the payload belongs to; becomes the message key.
    pub key: Option<TraceId>,
    /// Further headers, by the names in `schemas::topic`.
    pub headers: Vec<(&'static str, String)>,
    /// The bytes.
    pub payload: Bytes,
}

/// Why messages were not acknowledged.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The producer's queue is full: come back.
    #[error("the Kafka producer's queue is full")]
    Busy,
    /// Timeout, broker down, leader missing: try again.
    #[error("kafka did not acknowledge: {0}")]
    Unavailable(String),
    /// A message is larger than Kafka takes; trying again does not help.
    #[error("a message of {bytes} bytes is larger than the limit of {limit} bytes")]
    TooLarge {
        /// Size of the message.
        bytes: usize,
        /// The limit it broke.
        limit: usize,
    },
}

/// Takes messages and says when they are safe.
pub trait Sink: Send + Sync + 'static {
    /// Resolves when every message is acknowledged, or with the first failure. After a failure some
    /// of the messages may have been written: delivery is at least once.
    fn send(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<(), SendError>>;
}
