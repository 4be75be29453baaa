//! The intake: what agents and SDKs speak, into Kafka, acknowledged only when Kafka has it.
//!
//! One request's way: `listener` (connections, headers) -> `body` and `decompress` (bytes, within
//! their limits) -> `datadog` or `otlp` (check, split by trace) -> `sink` (Kafka) -> the answer.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};
use tokio_util::sync::CancellationToken;

mod admission;
mod body;
mod counters;
mod datadog;
mod decompress;
mod intake;
pub mod kafka;
mod listener;
mod msgpack;
mod otlp;
mod protobuf;
mod refusal;
pub mod sink;

pub use counters::{Counter, CounterReader};
use intake::Intake;
use listener::Listener;
use sink::Sink;

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

/// The addresses that were bound: with port 0 in the configuration, the ports the system chose.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Addresses {
    /// Datadog trace and log intake.
    pub datadog: SocketAddr,
    /// OTLP over gRPC.
    pub otlp_grpc: SocketAddr,
    /// OTLP over HTTP.
    pub otlp_http: SocketAddr,
}

/// A running intake.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    intake: Intake,
    stop: CancellationToken,
    listeners: JoinSet<&'static str>,
    /// Absent when the caller brought a sink of its own.
    producer: Option<Arc<kafka::Producer>>,
}

/// Binds every port and starts serving; ready when it returns.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let producer = Arc::new(kafka::Producer::connect(&config.kafka)?);
    let mut running = start_with(&config, Arc::clone(&producer) as Arc<dyn Sink>).await?;
    running.producer = Some(producer);
    Ok(running)
}

/// [`start`], writing to a sink of the caller's.
pub async fn start_with(config: &Config, sink: Arc<dyn Sink>) -> Result<Running, StartError> {
    // All are bound before any serves: a port in use must not leave half an intake behind.
    let datadog = listener::bind(config.datadog, "intake.datadog").await?;
    let grpc = listener::bind(config.otlp_grpc, "intake.otlp_grpc").await?;
    let http = listener::bind(config.otlp_http, "intake.otlp_http").await?;
    let addresses = Addresses {
        datadog: datadog.address(),
        otlp_grpc: grpc.address(),
        otlp_http: http.address(),
    };
    let intake = Intake::new(sink);
    let stop = CancellationToken::new();
    let mut listeners = JoinSet::new();
    let mut serve = |listener: Listener, router| {
        listeners.spawn(listener.serve(router, stop.clone()));
    };
    serve(datadog, datadog::router(intake.clone(), addresses.datadog.port()));
    serve(grpc, otlp::grpc_router(intake.clone()));
    serve(http, otlp::http_router(intake.clone()));
    Ok(Running { addresses, intake, stop, listeners, producer: None })
}

impl Running {
    /// Where the intake listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// What was taken and refused since the start, per endpoint and reason, zeros included.
    pub fn counters(&self) -> Vec<Counter> {
        self.intake.counters.snapshot()
    }

    /// A reader of the same counters that may outlive this handle.
    pub fn counter_reader(&self) -> CounterReader {
        CounterReader(Arc::clone(&self.intake.counters))
    }

    /// Resolves only when the intake can not go on.
    pub async fn failed(&mut self) -> RunError {
        match self.listeners.join_next().await {
            Some(Ok(setting)) => RunError(format!("the listener of {setting} ended")),
            Some(Err(error)) => RunError(format!("a listener broke: {error}")),
            None => std::future::pending().await,
        }
    }

    /// Stops accepting, answers what is in flight, flushes the producer.
    ///
    /// # Errors
    /// When requests were still in flight at the deadline; their clients got no answer and send again.
    pub async fn drain(mut self, deadline: Duration) -> Result<(), RunError> {
        self.stop.cancel();
        let all = async { while self.listeners.join_next().await.is_some() {} };
        let end = Instant::now() + deadline;
        timeout_at(end, all).await.map_err(|_| {
            RunError(format!("requests were still in flight after {} s", deadline.as_secs()))
        })?;
        // Every answer has waited for its acknowledgement; only requests that ran out of time, or
        // whose clients left, still have messages in the queue.
        match self.producer {
            Some(producer) => {
                let left = end.saturating_duration_since(Instant::now());
                producer.flush(left).await.map_err(|error| RunError(error.to_string()))
            }
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
