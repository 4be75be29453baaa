//! The intake: what agents and SDKs speak, into Kafka, acknowledged only when Kafka has it.

use std::net::SocketAddr;
use std::time::Duration;

#[cfg(feature = "embedded-broker")]
pub mod broker;
pub mod kafka;
pub mod sink;

/// Where to listen and where to write.
#[derive(Debug, Clone)]
pub struct Config {
    /// Datadog trace and log intake. Default 127.0.0.1:8126.
    pub datadog: SocketAddr,
    /// OTLP over gRPC. Default 127.0.0.1:4317.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP. Default 127.0.0.1:4318.
    pub otlp_http: SocketAddr,
    /// The Kafka side.
    pub kafka: kafka::Config,
}

/// Why the intake did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port could not be bound.
    #[error("cannot listen on {address} (setting {setting}): {source}")]
    Bind {
        /// The address asked for.
        address: SocketAddr,
        /// The configuration key that names it.
        setting: &'static str,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The producer could not be made.
    #[error(transparent)]
    Kafka(#[from] kafka::Error),
}

/// Why the intake stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("intake stopped: {0}")]
pub struct RunError(pub String);

/// A running intake.
#[derive(Debug)]
pub struct Running {}

/// Binds every port and starts serving; ready when it returns.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let _ = config;
    Ok(Running {})
}

impl Running {
    /// Resolves only when the intake can not go on.
    pub async fn failed(&mut self) -> RunError {
        std::future::pending().await
    }

    /// Stops accepting, answers what is in flight, flushes the producer.
    pub async fn drain(self, deadline: Duration) -> Result<(), RunError> {
        let _ = deadline;
        Ok(())
    }
}
