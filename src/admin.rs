//! Health of the process itself: `GET /` and `GET /metrics` on 13133, the OpenTelemetry Collector's
//! health port. 200 when ready, 503 while starting and draining, always with a JSON status: what the
//! intake took and refused, where the worker stands. `POST /pipeline/reload` has the pipeline read
//! again: 200 when it took over, 422 with the problems when it was refused.

mod metrics;

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, OnceLock, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::{Method, Request, Response, StatusCode, header};
use hyper_util::rt::{TokioIo, TokioTimer};
use schemas::limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::engine::Reloaded;

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
    reloads: Option<mpsc::Receiver<ReloadRequest>>,
}

/// Somebody who waits for the pipeline to be read again.
pub(crate) type ReloadRequest = oneshot::Sender<Reloaded>;

#[derive(Debug)]
struct State {
    phase: AtomicU8,
    role: &'static str,
    started: Instant,
    intake: OnceLock<ingest::CounterReader>,
    worker: RwLock<Option<stream::worker::StatusReader>>,
    halted: RwLock<Option<String>>,
    pipeline: RwLock<Option<PipelineState>>,
    reload: mpsc::Sender<ReloadRequest>,
    issues: OnceLock<stream::issues::StatusReader>,
    monitors: OnceLock<crate::monitors::Reader>,
}

/// Which pipeline runs, and why the last attempt to change it was refused.
#[derive(Debug, Clone, serde::Serialize)]
struct PipelineState {
    version: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
}

/// What is known at one moment; absent roles are absent.
#[derive(Debug)]
struct Report {
    phase: Phase,
    role: &'static str,
    version: &'static str,
    uptime_seconds: u64,
    intake: Option<Vec<ingest::Counter>>,
    worker: Option<stream::worker::Status>,
    /// Why the worker does nothing until a person has decided.
    halted: Option<String>,
    pipeline: Option<PipelineState>,
    issues: Option<stream::issues::Status>,
    monitors: Option<BTreeMap<String, crate::monitors::Shown>>,
}

impl State {
    fn report(&self) -> Report {
        Report {
            phase: self.phase(),
            role: self.role,
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: self.started.elapsed().as_secs(),
            intake: self.intake.get().map(ingest::CounterReader::read),
            worker: read(&self.worker).as_ref().map(stream::worker::StatusReader::read),
            halted: read(&self.halted).clone(),
            pipeline: read(&self.pipeline).clone(),
            issues: self.issues.get().map(stream::issues::StatusReader::read),
            monitors: self.monitors.get().map(crate::monitors::Reader::read),
        }
    }

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
        let (reload, reloads) = mpsc::channel(1);
        let state = Arc::new(State {
            phase,
            role,
            started: Instant::now(),
            intake: OnceLock::new(),
            worker: RwLock::new(None),
            halted: RwLock::new(None),
            pipeline: RwLock::new(None),
            reload,
            issues: OnceLock::new(),
            monitors: OnceLock::new(),
        });
        let accept = tokio::spawn(accept(listener, Arc::clone(&state)));
        Ok(Self { state, address, accept, reloads: Some(reloads) })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Says so from now on.
    pub fn phase(&self, phase: Phase) {
        self.state.phase.store(phase as u8, Ordering::Release);
    }

    /// Shows the intake's counters from now on.
    pub fn show_intake(&self, reader: ingest::CounterReader) {
        // A process has one intake; a second reader would say the same.
        let _ = self.state.intake.set(reader);
    }

    /// Shows the worker's status from now on.
    pub fn show_worker(&self, reader: stream::worker::StatusReader) {
        *write(&self.state.worker) = Some(reader);
        *write(&self.state.halted) = None;
    }

    /// Says from now on that the worker waits for a person's decision; its last status stays.
    pub fn show_halted(&self, reason: &str) {
        *write(&self.state.halted) = Some(reason.to_owned());
    }

    /// Shows which pipeline runs from now on, and why another one was refused.
    pub fn show_pipeline(&self, version: &str, refused: &[String]) {
        let (version, refused) = (version.to_owned(), refused.to_vec());
        *write(&self.state.pipeline) = Some(PipelineState { version, refused });
    }

    /// Those who ask for the pipeline to be read again; once.
    pub(crate) fn reload_requests(&mut self) -> Option<mpsc::Receiver<ReloadRequest>> {
        self.reloads.take()
    }
    /// Shows where the issues stand from now on.
    pub fn show_issues(&self, reader: stream::issues::StatusReader) {
        let _ = self.state.issues.set(reader);
    }

    /// Shows where monitors stand from now on.
    pub fn show_monitors(&self, reader: crate::monitors::Reader) {
        let _ = self.state.monitors.set(reader);
    }

    /// Reads where the worker stands, whichever runs then; none while it waits for a decision.
    pub fn worker_reader(&self) -> Box<dyn Fn() -> Option<stream::worker::Status> + Send + Sync> {
        let state = Arc::clone(&self.state);
        Box::new(move || {
            let halted = read(&state.halted).is_some();
            let worker = read(&state.worker);
            worker.as_ref().filter(|_| !halted).map(stream::worker::StatusReader::read)
        })
    }

    /// Closes the port.
    pub async fn stop(self) {
        self.accept.abort();
        let _ = self.accept.await;
    }
}

fn read<T>(lock: &RwLock<T>) -> RwLockReadGuard<'_, T> {
    lock.read().unwrap_or_else(PoisonError::into_inner)
}

fn write<T>(lock: &RwLock<T>) -> RwLockWriteGuard<'_, T> {
    lock.write().unwrap_or_else(PoisonError::into_inner)
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
        let state = Arc::clone(&state);
        async move { Ok::<_, Infallible>(respond(&request, &state).await) }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    server.timer(TokioTimer::new());
    server.header_read_timeout(Duration::from_secs(limits::HEADER_DEADLINE_SECONDS));
    let connection = server.serve_connection(TokioIo::new(stream), service);
    let deadline = Duration::from_secs(limits::REQUEST_DEADLINE_SECONDS);
    // A probe that hangs or breaks off is its own problem.
    let _ = tokio::time::timeout(deadline, connection).await;
}

async fn respond(request: &Request<Incoming>, state: &State) -> Response<Full<Bytes>> {
    if request.uri().path() == "/pipeline/reload" {
        return match *request.method() {
            Method::POST => reload(state).await,
            _ => answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "POST only\n".to_owned()),
        };
    }
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return answer(StatusCode::METHOD_NOT_ALLOWED, "text/plain", "GET only\n".to_owned());
    }
    match request.uri().path() {
        "/" | "/health" | "/health/status" => {
            let report = state.report();
            let status = match report.phase {
                Phase::Ready => StatusCode::OK,
                Phase::Starting | Phase::Draining => StatusCode::SERVICE_UNAVAILABLE,
            };
            answer(status, "application/json", format!("{}\n", json(&report)))
        }
        "/metrics" => {
            answer(StatusCode::OK, "text/plain; version=0.0.4", metrics::render(&state.report()))
        }
        _ => answer(StatusCode::NOT_FOUND, "text/plain", "try / or /metrics\n".to_owned()),
    }
}

/// Has the pipeline read again, and says what came of it.
async fn reload(state: &State) -> Response<Full<Bytes>> {
    let (request, done) = oneshot::channel();
    if state.reload.try_send(request).is_err() {
        let text = "another reload is under way, or the process starts or ends\n";
        return answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text.to_owned());
    }
    match done.await {
        Ok(reloaded) => {
            let refused = !reloaded.problems.is_empty();
            let status = if refused { StatusCode::UNPROCESSABLE_ENTITY } else { StatusCode::OK };
            answer(status, "application/json", format!("{}\n", serde_json::json!(reloaded)))
        }
        Err(_) => {
            let text = "the process ends; nothing was changed\n";
            answer(StatusCode::SERVICE_UNAVAILABLE, "text/plain", text.to_owned())
        }
    }
}

/// The status document. Counters at zero are left out: a person reads it.
fn json(report: &Report) -> serde_json::Value {
    let intake = report.intake.as_ref().map(|counters| {
        let mut endpoints = serde_json::Map::new();
        for counter in counters.iter().filter(|counter| counter.count > 0) {
            let endpoint = endpoints
                .entry(counter.endpoint)
                .or_insert_with(|| serde_json::Value::Object(serde_json::Map::new()));
            if let Some(endpoint) = endpoint.as_object_mut() {
                endpoint.insert(counter.outcome.to_owned(), counter.count.into());
            }
        }
        endpoints
    });
    let mut body = serde_json::json!({
        "status": report.phase.name(),
        "role": report.role,
        "version": report.version,
        "uptime_seconds": report.uptime_seconds,
    });
    if let (Some(intake), Some(body)) = (intake, body.as_object_mut()) {
        body.insert("intake".to_owned(), intake.into());
    }
    if let (Some(worker), Some(body)) = (&report.worker, body.as_object_mut()) {
        body.insert("worker".to_owned(), serde_json::json!(worker));
    }
    if let (Some(pipeline), Some(body)) = (&report.pipeline, body.as_object_mut()) {
        body.insert("pipeline".to_owned(), serde_json::json!(pipeline));
    }
    if let (Some(issues), Some(body)) = (&report.issues, body.as_object_mut()) {
        body.insert("issues".to_owned(), serde_json::json!(issues));
    }
    if let (Some(monitors), Some(body)) = (&report.monitors, body.as_object_mut()) {
        body.insert("monitors".to_owned(), serde_json::json!(monitors));
    }
    if let (Some(halted), Some(body)) = (&report.halted, body.as_object_mut()) {
        body.insert("worker_halted".to_owned(), halted.as_str().into());
    }
    body
}

fn answer(status: StatusCode, content_type: &'static str, body: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, header::HeaderValue::from_static(content_type));
    response
}
