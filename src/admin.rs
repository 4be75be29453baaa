//! Health of the process itself: `GET /` and `GET /metrics` on 13133, the OpenTelemetry Collector's
//! health port. 200 when ready, 503 while starting and draining, always with a JSON status.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use schemas::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;

/// How far the process is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub enum Phase {
    /// Not ready yet.
    Starting = 0,
    /// Everything runs.
    Ready = 1,
    /// A signal came or a role failed; no new data is taken.
    Draining = 2,
}

impl Phase {
    fn name(self) -> &'static str {
        match self {
            Phase::Starting => "starting",
            Phase::Ready => "ready",
            Phase::Draining => "draining",
        }
    }
}

/// The health port could not be bound.
#[derive(Debug, thiserror::Error)]
#[error(
    "cannot listen on {address} (setting health.listen): {source}; is another tidemill running?"
)]
pub struct BindError {
    address: SocketAddr,
    source: std::io::Error,
}

/// The running endpoint.
#[derive(Debug)]
pub struct Admin {
    state: Arc<State>,
    address: SocketAddr,
    accept: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    phase: AtomicU8,
    role: &'static str,
    started: Instant,
}

impl State {
    fn phase(&self) -> Phase {
        match self.phase.load(Ordering::Acquire) {
            0 => Phase::Starting,
            1 => Phase::Ready,
            _ => Phase::Draining,
        }
    }
}

impl Admin {
    /// Binds the port and answers 503 from now on.
    ///
    /// # Errors
    /// When the port can not be bound.
    pub async fn start(address: SocketAddr, role: &'static str) -> Result<Self, BindError> {
        let bind = |source| BindError { address, source };
        let listener = TcpListener::bind(address).await.map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let phase = AtomicU8::new(Phase::Starting as u8);
        let state = Arc::new(State { phase, role, started: Instant::now() });
        let accept = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { state, address, accept })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says so from now on.
    pub fn phase(&self, phase: Phase) {
        self.state.phase.store(phase as u8, Ordering::Release);
    }

    /// Closes the port.
    pub async fn stop(self) {
        self.accept.abort();
        let _ = self.accept.await;
    }
}

async fn accept(listener: TcpListener, state: Arc<State>) {
    let places = Arc::new(Semaphore::new(limits::MAX_ADMIN_CONNECTIONS));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let state = Arc::clone(&state);
                tokio::spawn(async move {
                    let _place = place;
                    serve(stream, state).await;
                });
            }
            Err(error) => {
                // Out of file descriptors, most likely: others may close some meanwhile.
                tracing::warn!("health endpoint: {error}");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve(stream: TcpStream, state: Arc<State>) {
    let service = hyper::service::service_fn(move |request| {
        let answer = respond(&request, &state);
        async move { Ok::<_, Infallible>(answer) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new());
    server.header_read_timeout(Duration::from_secs(limits::HEADER_DEADLINE_SECONDS));
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let deadline = Duration::from_secs(limits::REQUEST_DEADLINE_SECONDS);
    // A probe that hangs or breaks off is its own problem.
    let _ = tokio::time::timeout(deadline, connection).await;
}

fn respond(request: &Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned());
    }
    let phase = state.phase();
    let status =
        if phase == Phase::Ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    match request.uri().path() {
        "/" | "/health" | "/health/status" => {
            let body = serde_json::json!({
                "status": phase.name(),
                "role": state.role,
                "version": env!("CARGO_PKG_VERSION"),
                "uptime_seconds": state.started.elapsed().as_secs(),
            });
            answer(status, "application/json", format!("{body}\n"))
        }
        "/metrics" => answer(StatusCode::OK, "text/plain; version=0.0.4", metrics(state)),
        _ => answer(StatusCode::NOT_FOUND, "text/plain", "try / or /metrics\n".to_owned()),
    }
}

/// Prometheus text format.
fn metrics(state: &State) -> String {
    format!(
        "# HELP tidemill_ready Whether every role runs.\n# TYPE tidemill_ready gauge\n\
         tidemill_ready{{role=\"{role}\",version=\"{version}\"}} {ready}\n\
         # HELP tidemill_uptime_seconds Seconds since the start.\n# TYPE tidemill_uptime_seconds gauge\n\
         tidemill_uptime_seconds {uptime}\n",
        role = state.role,
        version = env!("CARGO_PKG_VERSION"),
        ready = u8::from(state.phase() == Phase::Ready),
        uptime = state.started.elapsed().as_secs(),
    )
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
