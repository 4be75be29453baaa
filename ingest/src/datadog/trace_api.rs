//! `/v0.3`, `/v0.4` and `/v0.5/traces`: one request, from its headers to its answer.

use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use schemas::limits::MAX_TRACE_BODY_BYTES;
use schemas::topic::{DD_CONTAINER, DD_LANG};

use super::{json, v04 as split_v04, v05 as split_v05};
use crate::body;
use crate::counters::Endpoint;
use crate::decompress::decompress;
use crate::intake::{Intake, Split};
use crate::refusal::{Kind, Refusal};

/// Version of the sampling rates a client holds and we have; ours never change.
const RATES_VERSION: HeaderName = HeaderName::from_static("datadog-rates-payload-version");
/// Our one version of the rates.
const RATES: HeaderValue = HeaderValue::from_static("tidemill-1");
/// Everything is kept: which traces are dropped is decided, and recorded, by the pipeline.
const RATE_BY_SERVICE: &str = r#"{"rate_by_service":{"service:,env:":1}}"#;
/// Bytes of a header value that is handed on.
const MAX_FORWARDED_BYTES: usize = 256;

/// Which shape the body has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Version {
    V03,
    V04,
    V05,
}

/// `/v0.3/traces`.
pub(super) async fn v03(State(intake): State<Intake>, headers: HeaderMap, body: Body) -> Response {
    answer(intake, Version::V03, headers, body).await
}

/// `/v0.4/traces`.
pub(super) async fn v04(State(intake): State<Intake>, headers: HeaderMap, body: Body) -> Response {
    answer(intake, Version::V04, headers, body).await
}

/// `/v0.5/traces`.
pub(super) async fn v05(State(intake): State<Intake>, headers: HeaderMap, body: Body) -> Response {
    answer(intake, Version::V05, headers, body).await
}

async fn answer(intake: Intake, version: Version, headers: HeaderMap, body: Body) -> Response {
    match take(&intake, version, &headers, body).await {
        Ok(()) if version == Version::V03 => "OK\n".into_response(),
        Ok(()) => rates(&headers),
        Err(refusal) => {
            intake.refused(Endpoint::DatadogTraces, &refusal);
            (status(refusal.kind), format!("{refusal}\n")).into_response()
        }
    }
}

/// The answer of v0.4 and later: always JSON, `{}` to a client that has our rates already.
fn rates(headers: &HeaderMap) -> Response {
    let held = headers.get(&RATES_VERSION);
    let body = if held == Some(&RATES) { "{}" } else { RATE_BY_SERVICE };
    let mut response =
        ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response();
    if held.is_some() {
        response.headers_mut().insert(RATES_VERSION, RATES);
    }
    response
}

/// The agent's status codes; 429 and 503 make a tracer try again.
pub(super) fn status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Slow => StatusCode::REQUEST_TIMEOUT,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

async fn take(
    intake: &Intake,
    version: Version,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Refusal> {
    let deadline = body::deadline();
    let mut lease = intake.admission.lease();
    let codings = body::codings(headers)?;
    let sent = body::read(body, headers, MAX_TRACE_BODY_BYTES, &mut lease, deadline).await?;
    let is_json = json_declared(headers);
    let (mut split, _lease) = body::offload(sent.len(), move || {
        let bytes = decompress(&codings, sent, &mut lease)?;
        // The copies that go into messages.
        lease.grow(bytes.len())?;
        Ok((split(version, is_json, &bytes)?, lease))
    })
    .await?;
    let forwarded = forwarded(headers);
    for message in &mut split.messages {
        message.headers.clone_from(&forwarded);
    }
    intake.deliver(Endpoint::DatadogTraces, &mut split, deadline).await
}

fn split(version: Version, json_declared: Option<bool>, body: &Bytes) -> Result<Split, Refusal> {
    let Some(first) = body.iter().find(|byte| !byte.is_ascii_whitespace()) else {
        return Ok(Split::default());
    };
    // Brackets are no MessagePack array, so the first byte settles what a header leaves open.
    let is_json = json_declared.unwrap_or(matches!(first, b'[' | b'{'));
    match (version, is_json) {
        (Version::V05, true) => {
            Err(Refusal::unsupported("/v0.5/traces takes application/msgpack only"))
        }
        (Version::V05, false) => split_v05::split(body),
        (_, true) => split_v04::split(&json::to_msgpack(body)?),
        (_, false) => split_v04::split(body),
    }
}

fn json_declared(headers: &HeaderMap) -> Option<bool> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/msgpack" | "application/x-msgpack" => Some(false),
        "application/json" | "text/json" => Some(true),
        _ => None,
    }
}

/// What the worker wants to know about the tracer.
fn forwarded(headers: &HeaderMap) -> Vec<(&'static str, String)> {
    [DD_LANG, DD_CONTAINER]
        .into_iter()
        .filter_map(|name| {
            let value = headers.get(name)?.to_str().ok()?.trim();
            (!value.is_empty() && value.len() <= MAX_FORWARDED_BYTES)
                .then(|| (name, value.to_owned()))
        })
        .collect()
}
