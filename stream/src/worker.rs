//! The worker: the loop that feeds the pure stages and performs what they decide.

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use schemas::topic::{Format, Signal};

use crate::pipeline::Pipeline;

/// What to read, how to process it, where to write.
#[derive(Debug, Clone)]
pub struct Config {
    /// Kafka `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka properties from the user.
    pub properties: Vec<(String, String)>,
    /// Topics to read.
    pub topics: Vec<Topic>,
    /// Root of tables and commit log.
    pub store: Arc<dyn ObjectStore>,
    /// What the user calls the store, for messages: a path or a URL.
    pub store_name: String,
    /// The log pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Longest time between two units.
    pub epoch: Duration,
    /// Threads that decode and run stages.
    pub threads: usize,
}

/// A topic and what it carries.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its signal.
    pub signal: Signal,
    /// Format of messages without a `content-type` header.
    pub format: Format,
}

/// Why the worker did not start or stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("worker: {0}")]
pub struct Error(pub String);

/// A running worker.
#[derive(Debug)]
pub struct Running {}

/// Probes the store, recovers from the commit log, takes the partitions and starts; ready when it
/// returns.
pub async fn start(config: Config) -> Result<Running, Error> {
    let _ = config;
    Ok(Running {})
}

impl Running {
    /// Resolves only when the worker can not go on.
    pub async fn failed(&mut self) -> Error {
        std::future::pending().await
    }

    /// Stops consuming, commits one last unit, publishes it.
    pub async fn drain(self, deadline: Duration) -> Result<(), Error> {
        let _ = deadline;
        Ok(())
    }
}
