//! Port 8126: what Datadog's tracers and log shippers speak.

mod info;
mod json;
mod logs;
mod logs_api;
mod polite;
mod trace_api;
mod v04;
mod v05;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Request};
use axum::http::header::HeaderValue;
use axum::http::{HeaderName, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, post, put};

use crate::intake::Intake;

/// A digest of `/info`; tracers fetch it again when it changes.
const AGENT_STATE: HeaderName = HeaderName::from_static("datadog-agent-state");
/// Our version.
const AGENT_VERSION: HeaderName = HeaderName::from_static("datadog-agent-version");

/// The routes of a listener on `port`.
pub(crate) fn router(intake: Intake, port: u16) -> Router {
    let info = info::info(port);
    let state = HeaderValue::from_str(&info.state).unwrap_or(HeaderValue::from_static(""));
    Router::new()
        .route("/v0.3/traces", put(trace_api::v03).post(trace_api::v03))
        .route("/v0.4/traces", put(trace_api::v04).post(trace_api::v04))
        .route("/v0.5/traces", put(trace_api::v05).post(trace_api::v05))
        .route("/api/v2/logs", post(logs_api::v2))
        .route("/v1/input", post(logs_api::v1))
        .route("/v1/input/{key}", post(logs_api::v1))
        .route("/info", any(move || polite::info(info.body.clone())))
        .fallback(polite::other)
        .layer(from_fn(move |request: Request, next: Next| identify(request, next, state.clone())))
        // Bodies are bounded where they are read, each kind by its own limit.
        .layer(DefaultBodyLimit::disable())
        .with_state(intake)
}

/// Names us on every answer, and turns web pages away: a browser must not write telemetry.
async fn identify(request: Request, next: Next, state: HeaderValue) -> Response {
    let cross_site = request
        .headers()
        .get("sec-fetch-site")
        .is_some_and(|site| site.as_bytes() == b"cross-site");
    let mut response = if cross_site {
        (StatusCode::FORBIDDEN, "requests from other web sites are not taken\n").into_response()
    } else {
        next.run(request).await
    };
    let headers = response.headers_mut();
    headers.insert(AGENT_STATE, state);
    headers.insert(AGENT_VERSION, HeaderValue::from_static(info::VERSION));
    response
}
