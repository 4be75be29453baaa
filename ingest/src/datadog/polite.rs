//! What tracers call besides traces. What would only disturb their users if it failed is answered
//! politely and not kept; what a user asked for and we do not have is said to be missing.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use schemas::limits::MAX_TRACE_BODY_BYTES;

use super::trace_api::status;
use crate::body;
use crate::counters::{Endpoint, Outcome};
use crate::intake::Intake;

/// How one path is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// 200 and nothing.
    Empty,
    /// The status and `{}`.
    Json(StatusCode),
    /// 200 and `OK`.
    Ok,
    /// 404: tracers then turn the feature off.
    Missing(&'static str),
}

/// `GET /info`.
pub(super) async fn info(document: Bytes) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], document).into_response()
}

/// Every other path.
pub(super) async fn other(
    State(intake): State<Intake>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let manner = manner(uri.path());
    // Read to the end, so that the connection can be used again; never kept.
    let mut lease = intake.admission.lease();
    let read = body::read(body, &headers, MAX_TRACE_BODY_BYTES, &mut lease, body::deadline()).await;
    if let Err(refusal) = read {
        intake.refused(Endpoint::DatadogOther, &refusal);
        return (status(refusal.kind), format!("{refusal}\n")).into_response();
    }
    if !matches!(manner, Manner::Missing(_)) {
        intake.counters.add(Endpoint::DatadogOther, Outcome::Discarded, 1);
    }
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    match manner {
        Manner::Empty => StatusCode::OK.into_response(),
        Manner::Json(status) => (status, json, "{}").into_response(),
        Manner::Ok => "OK\n".into_response(),
        Manner::Missing(what) => {
            (StatusCode::NOT_FOUND, format!("{what} is not supported here\n")).into_response()
        }
    }
}

fn manner(path: &str) -> Manner {
    match path {
        // Statistics are computed from the spans here, all of which are kept.
        "/v0.6/stats" => Manner::Empty,
        "/v0.1/pipeline_stats" => Manner::Json(StatusCode::ACCEPTED),
        // No configuration for this client.
        "/v0.7/config" => Manner::Json(StatusCode::OK),
        "/v0.3/services" | "/v0.4/services" | "/v0.5/services" | "/v0.7/services" => Manner::Ok,
        "/tracer_flare/v1" => Manner::Missing("a tracer flare"),
        _ if path.starts_with("/telemetry/proxy/") => Manner::Json(StatusCode::ACCEPTED),
        _ if path.starts_with("/profiling/") => Manner::Missing("profiling"),
        _ if path.starts_with("/evp_proxy/") => Manner::Missing("the event proxy"),
        _ if path.starts_with("/debugger/") => Manner::Missing("dynamic instrumentation"),
        _ if path.starts_with("/symdb/") => Manner::Missing("the symbol database"),
        _ if path.starts_with("/dogstatsd/") => Manner::Missing("statsd over HTTP"),
        _ => Manner::Missing("this path"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_tracers_send_unasked_is_never_an_error() {
        for path in [
            "/v0.6/stats",
            "/telemetry/proxy/api/v2/apmtelemetry",
            "/v0.7/config",
            "/v0.4/services",
        ] {
            assert!(!matches!(manner(path), Manner::Missing(_)), "{path}");
        }
    }

    #[test]
    fn what_a_user_asked_for_and_we_lack_is_said_to_be_missing() {
        for path in
            ["/profiling/v1/input", "/evp_proxy/v4/api/v2/llmobs", "/v0.7/traces", "/v1.0/traces"]
        {
            assert!(matches!(manner(path), Manner::Missing(_)), "{path}");
        }
    }
}
