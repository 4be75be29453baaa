//! Read-only answers when no service runs: the query service is started for this one question, on
//! loopback ports of its own, so that every format and limit is exactly the service's.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::time::Duration;

use bytes::Bytes;

use crate::api::{Api, ApiError};
use crate::config::Config;
use crate::engine;

/// How long the service may take to stop after the answer.
const STOP: Duration = Duration::from_secs(2);

/// Why the tables could not be read.
#[derive(Debug, thiserror::Error)]
pub(super) enum OfflineError {
    #[error(
        "no service runs and there are no tables in {0}\n    hint: start one with `tidemill up`, or name the data with --data-dir or --config"
    )]
    NoTables(String),
    #[error(transparent)]
    Start(#[from] engine::StartError),
    #[error("no free port on loopback: {0}")]
    Port(#[from] std::io::Error),
    #[error(transparent)]
    Api(#[from] ApiError),
}

/// Asks the tables. The caller maps a refused query as if a service had refused it.
pub(super) async fn ask(
    config: &Config,
    sql: &str,
    format: &str,
) -> Result<Bytes, super::SqlError> {
    answer(config, sql, format).await.map_err(|error| match error {
        OfflineError::Api(error) => super::SqlError::Api(error),
        other => super::SqlError::Offline(other),
    })
}

async fn answer(config: &Config, sql: &str, format: &str) -> Result<Bytes, OfflineError> {
    let local = config.local_store();
    if local.is_some_and(|dir| !dir.join(schemas::table::PREFIX).is_dir()) {
        return Err(OfflineError::NoTables(config.storage.url.clone()));
    }
    let mut settings = engine::query_settings(config)?;
    [settings.http, settings.postgres] = free_ports()?;
    let http = settings.http;
    let service = query::start(settings).await.map_err(engine::StartError::from)?;
    let answer = Api::new(http.to_string()).raw(sql, format).await;
    if let Err(error) = service.drain(STOP).await {
        tracing::debug!("{error}");
    }
    Ok(answer?)
}

/// Ports that were free a moment ago; both are held until both are known, so that they differ.
fn free_ports() -> std::io::Result<[SocketAddr; 2]> {
    let bind = || TcpListener::bind((Ipv4Addr::LOCALHOST, 0));
    let (first, second) = (bind()?, bind()?);
    Ok([first.local_addr()?, second.local_addr()?])
}
