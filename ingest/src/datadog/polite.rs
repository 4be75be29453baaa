//! What tracers call besides traces. It is answered as the agent answers it and not kept: a refusal
//! would only make tracers retry and log errors in their users' programs. `discarded` of the counter
//! `datadog_other` says how much that was. Paths that carry telemetry we would have to keep, and
//! unknown ones, are said to be missing.

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
    /// 404: tracers then use another version, or turn the feature off.
    Missing,
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
    if manner != Manner::Missing {
        intake.counters.add(Endpoint::DatadogOther, Outcome::Discarded, 1);
    }
    let json = [(CONTENT_TYPE, HeaderValue::from_static("application/json"))];
    match manner {
        Manner::Empty => StatusCode::OK.into_response(),
        Manner::Json(status) => (status, json, "{}").into_response(),
        Manner::Ok => "OK\n".into_response(),
        Manner::Missing => (
            StatusCode::NOT_FOUND,
            format!("{} is not supported here; GET /info names what is\n", uri.path()),
        )
            .into_response(),
    }
}

/// Products whose data we do not keep; the agent passes them on and answers 200 or 202.
const DISCARDED: [&str; 7] = [
    "/telemetry/proxy/",
    "/profiling/v1/",
    "/evp_proxy/",
    "/debugger/",
    "/symdb/v1/",
    "/tracer_flare/",
    "/dogstatsd/",
];

fn manner(path: &str) -> Manner {
    match path {
        // Statistics are computed from the spans here, all of which are kept.
        "/v0.6/stats" => Manner::Empty,
        "/v0.1/pipeline_stats" => Manner::Json(StatusCode::ACCEPTED),
        // No configuration for this client.
        "/v0.7/config" => Manner::Json(StatusCode::OK),
        "/v0.3/services" | "/v0.4/services" | "/v0.5/services" | "/v0.7/services" => Manner::Ok,
        _ if DISCARDED.iter().any(|prefix| path.starts_with(prefix)) => {
            Manner::Json(StatusCode::ACCEPTED)
        }
        _ => Manner::Missing,
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
            "/profiling/v1/input",
            "/evp_proxy/v4/api/v2/llmobs",
            "/debugger/v1/diagnostics",
            "/debugger/v2/input",
            "/symdb/v1/input",
            "/tracer_flare/v1",
            "/dogstatsd/v2/proxy",
        ] {
            assert_ne!(manner(path), Manner::Missing, "{path}");
        }
    }

    #[test]
    fn traces_of_unknown_versions_are_never_discarded_politely() {
        for path in ["/v0.7/traces", "/v1.0/traces", "/v2/input", "/profiling"] {
            assert_eq!(manner(path), Manner::Missing, "{path}");
        }
    }
}
