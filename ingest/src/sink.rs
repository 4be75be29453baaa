//! Where the intake's listeners put messages, without naming Kafka: the seam that lets them be
//! tested against a sink in memory.

use bytes::Bytes;
use futures::future::BoxFuture;
use schemas::id::TraceId;
use schemas::topic::{Format, Signal};

/// One message for Kafka.
#[derive(Debug, Clone)]
pub struct Message {
    /// Decides the topic.
    pub topic: Signal,
    /// What the payload is; becomes the `content-type` header. `None`: what the topic's configuration says.
    pub format: Option<Format>,
    /// The trace the whole payload belongs to, if it is one; becomes the key.
    pub key: Option<TraceId>,
    /// Further headers (names in `schemas::topic`).
    pub headers: Vec<(&'static str, String)>,
    /// The bytes.
    pub payload: Bytes,
}

/// Why messages were not acknowledged. Some of them may still arrive.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The queue is full; nothing was taken. The client comes back after a pause.
    #[error("the queue to kafka is full; retry after a pause")]
    Busy,
    /// Kafka did not acknowledge in time. The client sends again.
    #[error("kafka did not acknowledge: {0}")]
    Unavailable(String),
    /// A message can not fit; sending it again does not help.
    #[error("a message of {bytes} bytes is over the limit of {limit} bytes; send smaller requests")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
}

/// Takes messages and answers when every one is durable.
pub trait Sink: Send + Sync + 'static {
    /// Sends all messages; `Ok` means that Kafka has acknowledged each of them.
    fn send(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<(), SendError>>;
}
