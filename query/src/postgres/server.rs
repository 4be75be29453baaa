//! Accepts connections and ends them when the service stops.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use schemas::limits::MAX_CONNECTIONS;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::engine::Engine;

use super::service::Handlers;

/// Serves until told to stop, then until the running queries have ended: connections wait for
/// their clients, so they are closed once nothing runs.
pub(crate) async fn serve(
    listener: TcpListener,
    engine: Engine,
    stop: CancellationToken,
) -> io::Result<()> {
    // On the query threads: connections parse SQL, which needs their deep stacks and may take long.
    let threads = engine.threads().map_err(io::Error::other)?;
    let handlers = Arc::new(Handlers::new(engine.clone()));
    let places = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
            accepted = listener.accept() => match accepted {
                Ok((socket, peer)) => {
                    let Ok(place) = Arc::clone(&places).try_acquire_owned() else {
                        tracing::warn!(%peer, "query.postgres: {MAX_CONNECTIONS} connections are open; refused one");
                        continue;
                    };
                    let handlers = Arc::clone(&handlers);
                    connections.spawn_on(async move {
                        let _place = place;
                        if let Err(error) = pgwire::tokio::process_socket(socket, None, handlers).await {
                            tracing::debug!(%peer, %error, "postgres connection ended");
                        }
                    }, &threads);
                }
                // Out of descriptors, or a client gone already: neither may stop the listener.
                Err(error) => {
                    tracing::warn!(%error, "query.postgres: accept failed");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
        }
    }
    drop(listener);
    while engine.running() > 0 {
        tokio::time::sleep(DRAIN_POLL).await;
    }
    connections.shutdown().await;
    Ok(())
}

/// Time between attempts to accept when the system refuses.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// How often a stopping server looks whether queries still run.
const DRAIN_POLL: Duration = Duration::from_millis(10);
