//! `/api/v2/logs` and `/v1/input`: one request, from its query to its answer.

use axum::body::Body;
use axum::extract::{RawQuery, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use schemas::limits::MAX_LOGS_BODY_BYTES;
use schemas::topic::{DD_HOSTNAME, DD_SERVICE, DD_SOURCE, DD_TAGS};
use serde_json::json;

use super::logs::{self, Headers};
use super::trace_api::status;
use crate::body;
use crate::counters::Endpoint;
use crate::decompress::decompress;
use crate::intake::{Intake, Split};
use crate::refusal::Refusal;

/// Bytes of all request-level fields together: they travel as headers beside every message, within
/// what the broker takes for one.
const MAX_FIELDS_BYTES: usize = 16 << 10;

/// `POST /api/v2/logs`: 202 when every log is in Kafka.
pub(super) async fn v2(
    State(intake): State<Intake>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take(&intake, query, &headers, body).await {
        Ok(()) => reply(StatusCode::ACCEPTED, "{}".to_owned()),
        Err(refusal) => {
            intake.refused(Endpoint::DatadogLogs, &refusal);
            let status = status(refusal.kind);
            let error = json!({
                "status": status.as_str(),
                "title": status.canonical_reason().unwrap_or_default(),
                "detail": refusal.text,
            });
            reply(status, json!({ "errors": [error] }).to_string())
        }
    }
}

/// `POST /v1/input` and `/v1/input/<key>`: 200 when every log is in Kafka.
pub(super) async fn v1(
    State(intake): State<Intake>,
    RawQuery(query): RawQuery,
    headers: HeaderMap,
    body: Body,
) -> Response {
    match take(&intake, query, &headers, body).await {
        Ok(()) => reply(StatusCode::OK, "{}".to_owned()),
        Err(refusal) => {
            intake.refused(Endpoint::DatadogLogs, &refusal);
            let status = status(refusal.kind);
            let error = json!({ "code": status.as_u16(), "message": refusal.text });
            reply(status, error.to_string())
        }
    }
}

fn reply(status: StatusCode, body: String) -> Response {
    let json = HeaderValue::from_static("application/json");
    (status, [(CONTENT_TYPE, json)], body).into_response()
}

async fn take(
    intake: &Intake,
    query: Option<String>,
    headers: &HeaderMap,
    body: Body,
) -> Result<(), Refusal> {
    let deadline = body::deadline();
    let mut lease = intake.admission.lease();
    let fields = fields(query.as_deref().unwrap_or_default())?;
    let codings = body::codings(headers)?;
    let sent = body::read(body, headers, MAX_LOGS_BODY_BYTES, &mut lease, deadline).await?;
    let shape = shape(headers);
    let (mut split, _lease) = body::offload(sent.len(), move || {
        let bytes = decompress(&codings, sent, &mut lease)?;
        lease.grow(bytes.len())?;
        Ok((split(shape, &bytes, &fields)?, lease))
    })
    .await?;
    intake.deliver(Endpoint::DatadogLogs, &mut split, deadline).await
}

/// What the content type says about the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    Json,
    Text,
    /// Nothing that helps (curl's default, none at all): the first byte decides.
    Open,
}

fn shape(headers: &HeaderMap) -> Shape {
    let value = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/json" | "text/json" => Shape::Json,
        "text/plain" | "application/logplex-1" => Shape::Text,
        _ => Shape::Open,
    }
}

fn split(shape: Shape, body: &Bytes, fields: &Headers) -> Result<Split, Refusal> {
    let first = body.iter().find(|byte| !byte.is_ascii_whitespace());
    let is_json = match shape {
        Shape::Json => true,
        Shape::Text => false,
        Shape::Open => matches!(first, Some(b'[' | b'{')),
    };
    if is_json { logs::split_json(body, fields) } else { Ok(logs::split_text(body, fields)) }
}

/// The fields a request sets for all of its logs.
fn fields(query: &str) -> Result<Headers, Refusal> {
    let mut fields = Headers::new();
    let mut bytes = 0usize;
    for (name, value) in url::form_urlencoded::parse(query.as_bytes()) {
        let name = match name.as_ref() {
            "ddsource" => DD_SOURCE,
            "ddtags" => DD_TAGS,
            "hostname" | "host" => DD_HOSTNAME,
            "service" => DD_SERVICE,
            _ => continue,
        };
        if value.is_empty() {
            continue;
        }
        bytes += value.len();
        if bytes > MAX_FIELDS_BYTES {
            return Err(Refusal::too_large(format!(
                "ddsource, ddtags, hostname and service in the query are longer than {MAX_FIELDS_BYTES} bytes"
            )));
        }
        match fields.iter_mut().find(|(known, _)| *known == name) {
            // Tags given twice are added up; of the others the last one counts.
            Some((_, tags)) if name == DD_TAGS => {
                tags.push(',');
                tags.push_str(&value);
            }
            Some((_, known)) => *known = value.into_owned(),
            None => fields.push((name, value.into_owned())),
        }
    }
    Ok(fields)
}
