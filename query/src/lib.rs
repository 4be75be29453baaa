//! SQL over the published tables: HTTP, PostgreSQL wire, and in process.

mod answer;
mod catalog;
mod current_issues;
mod encode;
pub mod engine;
mod error;
mod functions;
mod guard;
mod http;
mod postgres;
mod prune;
mod scan;
mod session;
mod stores;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod yield_in_joins;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

pub use answer::{Answer, Coverage};
pub use error::{Code, QueryError};
pub use functions::search_rows;

use engine::{Engine, Options};

/// Where to listen and what to read.
#[derive(Debug, Clone)]
pub struct Config {
    /// HTTP API. Default 127.0.0.1:8080.
    pub http: SocketAddr,
    /// PostgreSQL wire. Default 127.0.0.1:5433.
    pub postgres: SocketAddr,
    /// Root of the tables.
    pub store: Arc<dyn ObjectStore>,
    /// What the user calls the store, for messages.
    pub store_name: String,
    /// Memory for queries, bytes.
    pub memory_bytes: usize,
    /// Longest run of a query.
    pub timeout: Duration,
    /// Rows one answer may have.
    pub max_rows: usize,
    /// Further routes of the HTTP API, kept from foreign pages as ours are.
    pub routes: Option<axum::Router>,
}

/// Why the service did not start.
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
    /// The engine could not be made.
    #[error("query service: {0}")]
    Engine(String),
}

/// Why the service stopped by itself.
#[derive(Debug, thiserror::Error)]
#[error("query service stopped: {0}")]
pub struct RunError(pub String);

/// Where the service really listens: differs from the configuration where that said port 0.
#[derive(Debug, Clone, Copy)]
pub struct Addresses {
    /// HTTP API.
    pub http: SocketAddr,
    /// PostgreSQL wire.
    pub postgres: SocketAddr,
}

/// A running service.
#[derive(Debug)]
pub struct Running {
    addresses: Addresses,
    stop: CancellationToken,
    servers: JoinSet<std::io::Result<()>>,
}

/// Binds both ports and starts serving; ready when it returns.
///
/// # Errors
/// When a port is taken or the engine can not be made; nothing runs then.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let http = bind(config.http, "query.http").await?;
    let postgres = bind(config.postgres, "query.postgres").await?;
    let address = |listener: &TcpListener| {
        listener
            .local_addr()
            .map_err(|error| StartError::Engine(format!("no local address: {error}")))
    };
    let addresses = Addresses { http: address(&http)?, postgres: address(&postgres)? };
    let options = Options {
        memory_bytes: config.memory_bytes,
        timeout: config.timeout,
        max_rows: config.max_rows,
        ..Options::default()
    };
    let engine =
        Engine::open(config.store, options).map_err(|error| StartError::Engine(error.message))?;
    let stop = CancellationToken::new();
    let mut servers = JoinSet::new();
    let router = http::router(engine.clone(), config.routes, addresses.http.ip().is_loopback());
    servers.spawn(http::server::serve(http, router, stop.clone()));
    servers.spawn(postgres::server::serve(postgres, engine, stop.clone()));
    tracing::info!(store = config.store_name, http = %addresses.http, postgres = %addresses.postgres, "query service ready");
    Ok(Running { addresses, stop, servers })
}

async fn bind(address: SocketAddr, setting: &'static str) -> Result<TcpListener, StartError> {
    TcpListener::bind(address).await.map_err(|source| StartError::Bind { address, setting, source })
}

impl Running {
    /// Where it listens.
    pub fn addresses(&self) -> Addresses {
        self.addresses
    }

    /// Resolves only when the service can not go on.
    pub async fn failed(&mut self) -> RunError {
        match self.servers.join_next().await {
            Some(Ok(Ok(()))) | None => RunError("a listener ended".to_owned()),
            Some(Ok(Err(error))) => RunError(format!("a listener failed: {error}")),
            Some(Err(error)) => RunError(format!("a listener stopped: {error}")),
        }
    }

    /// Stops accepting and lets running queries finish.
    ///
    /// # Errors
    /// When queries were still running at the deadline; they are cancelled then.
    pub async fn drain(mut self, deadline: Duration) -> Result<(), RunError> {
        self.stop.cancel();
        let finished = async { while self.servers.join_next().await.is_some() {} };
        let in_time = tokio::time::timeout(deadline, finished).await.is_ok();
        self.servers.shutdown().await;
        if in_time {
            Ok(())
        } else {
            Err(RunError(format!("queries were still running after {deadline:?}")))
        }
    }
}
