//! One listening socket: bounded connections, bounded headers, slow clients cut off, graceful end.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::server::conn::auto;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use schemas::limits::{
    HEADER_DEADLINE_SECONDS, MAX_CONNECTIONS, MAX_HEADER_BYTES, MAX_STREAMS_PER_CONNECTION,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::StartError;

/// How long the accept loop rests after the system refused a socket (too many open files).
const ACCEPT_REST: Duration = Duration::from_millis(100);
/// Between pings on a quiet HTTP/2 connection; one unanswered for as long ends it.
const PING: Duration = Duration::from_secs(20);
/// What an HTTP/2 client sends first (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// Bytes of an HTTP/2 stream that may be on their way; the default of 64 KiB slows large exports.
const STREAM_WINDOW: u32 = 1 << 20;

/// A bound socket that does not accept yet.
#[derive(Debug)]
pub(crate) struct Listener {
    socket: TcpListener,
    address: SocketAddr,
    setting: &'static str,
}

/// Binds `address`, the value of the configuration key `setting`.
pub(crate) async fn bind(
    address: SocketAddr,
    setting: &'static str,
) -> Result<Listener, StartError> {
    let fail = |source| StartError::Bind { address, setting, source };
    let socket = TcpListener::bind(address).await.map_err(fail)?;
    let address = socket.local_addr().map_err(fail)?;
    Ok(Listener { socket, address, setting })
}

impl Listener {
    /// The address, with the port the system chose if it was asked to.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop`; then lets the requests in flight end. Returns the setting's name.
    pub(crate) async fn serve(self, router: Router, stop: CancellationToken) -> &'static str {
        let slots = Arc::new(Semaphore::new(MAX_CONNECTIONS));
        let graceful = GracefulShutdown::new();
        let mut connections = JoinSet::new();
        loop {
            // The slot comes first: without one, clients wait in the system's own short queue.
            let slot = tokio::select! {
                () = stop.cancelled() => break,
                slot = Arc::clone(&slots).acquire_owned() => slot,
            };
            let Ok(slot) = slot else { break };
            tokio::select! {
                () = stop.cancelled() => break,
                accepted = self.socket.accept() => match accepted {
                    Ok((stream, _)) => {
                        let serving = connection(stream, router.clone(), graceful.watcher());
                        connections.spawn(async move {
                            serving.await;
                            drop(slot);
                        });
                    }
                    Err(error) => {
                        tracing::warn!(setting = self.setting, "accepting a connection failed: {error}");
                        sleep(ACCEPT_REST).await;
                    }
                },
            }
            while connections.try_join_next().is_some() {}
        }
        drop(self.socket);
        graceful.shutdown().await;
        while connections.join_next().await.is_some() {}
        self.setting
    }
}

/// Serves one connection to its end.
async fn connection(stream: TcpStream, router: Router, watcher: Watcher) {
    let limit = Duration::from_secs(HEADER_DEADLINE_SECONDS);
    if !matches!(timeout(limit, first_bytes(&stream)).await, Ok(Ok(()))) {
        return;
    }
    // Small answers to waiting clients: never held back to fill a packet.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!("set_nodelay: {error}");
    }
    let builder = builder();
    let serving = builder
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .into_owned();
    if let Err(error) = watcher.watch(serving).await {
        tracing::debug!("connection ended: {error}");
    }
}

/// Waits until it is clear whether the client speaks HTTP/1 or 2. hyper starts its header clock only
/// after that, so a client that sends `P` and then nothing would stay for ever.
async fn first_bytes(stream: &TcpStream) -> std::io::Result<()> {
    let mut head = [0u8; PREFACE.len()];
    loop {
        stream.readable().await?;
        let count = stream.peek(&mut head).await?;
        let seen = head.get(..count).unwrap_or_default();
        if count == 0 || count == PREFACE.len() || !PREFACE.starts_with(seen) {
            return Ok(());
        }
        sleep(Duration::from_millis(10)).await;
    }
}

fn builder() -> auto::Builder<TokioExecutor> {
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from_secs(HEADER_DEADLINE_SECONDS))
        .max_buf_size(MAX_HEADER_BYTES.max(8 << 10));
    builder
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(MAX_STREAMS_PER_CONNECTION)
        .max_header_list_size(MAX_HEADER_BYTES as u32)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(4 * STREAM_WINDOW)
        .keep_alive_interval(PING)
        .keep_alive_timeout(PING);
    builder
}
