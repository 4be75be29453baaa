//! OTLP over HTTP: `POST /v1/traces`, `/v1/logs`, `/v1/metrics`, protobuf or JSON.

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::{ALLOW, CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use schemas::limits::MAX_OTLP_BODY_BYTES;

use super::signal::{LOGS, METRICS, Shape, TRACES};
use super::{json, split, status};
use crate::body;
use crate::decompress::decompress;
use crate::intake::{Intake, Split};
use crate::refusal::Refusal;

/// How a body is encoded; the answer is encoded the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

/// The routes.
pub(super) fn router(intake: Intake) -> Router {
    let route = |shape: &'static Shape| {
        post(move |State(intake): State<Intake>, headers: HeaderMap, body: Body| {
            export(intake, shape, headers, body)
        })
        .fallback(only_post)
    };
    Router::new()
        .route("/v1/traces", route(&TRACES))
        .route("/v1/logs", route(&LOGS))
        .route("/v1/metrics", route(&METRICS))
        .fallback(nothing_here)
        .layer(DefaultBodyLimit::disable())
        .with_state(intake)
}

async fn only_post() -> Response {
    let headers = [(ALLOW, HeaderValue::from_static("POST"))];
    (StatusCode::METHOD_NOT_ALLOWED, headers, "OTLP takes POST only\n").into_response()
}

async fn nothing_here() -> Response {
    (StatusCode::NOT_FOUND, "OTLP paths are /v1/traces, /v1/logs and /v1/metrics\n").into_response()
}

async fn export(intake: Intake, shape: &'static Shape, headers: HeaderMap, body: Body) -> Response {
    let Some(encoding) = encoding(&headers) else {
        let refusal = Refusal::unsupported(
            "the content-type must be application/x-protobuf or application/json",
        );
        intake.refused(shape.http, &refusal);
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, format!("{refusal}\n")).into_response();
    };
    match take(&intake, shape, encoding, &headers, body).await {
        Ok(split) => {
            let body = match encoding {
                Encoding::Protobuf => status::response_proto(&split),
                Encoding::Json => status::response_json(shape, &split),
            };
            reply(StatusCode::OK, encoding, body)
        }
        Err(refusal) => {
            intake.refused(shape.http, &refusal);
            refused(encoding, &refusal)
        }
    }
}

fn refused(encoding: Encoding, refusal: &Refusal) -> Response {
    let body = match encoding {
        Encoding::Protobuf => status::proto(refusal),
        Encoding::Json => status::json(refusal),
    };
    let mut response = reply(status::http_status(refusal.kind), encoding, body);
    if let Some(seconds) = status::retry_after(refusal.kind) {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

fn reply(status: StatusCode, encoding: Encoding, body: Vec<u8>) -> Response {
    let name = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    (status, [(CONTENT_TYPE, HeaderValue::from_static(name))], body).into_response()
}

fn encoding(headers: &HeaderMap) -> Option<Encoding> {
    let value = headers.get(CONTENT_TYPE)?.to_str().ok()?;
    match value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
        "application/x-protobuf" | "application/protobuf" => Some(Encoding::Protobuf),
        "application/json" => Some(Encoding::Json),
        _ => None,
    }
}

async fn take(
    intake: &Intake,
    shape: &'static Shape,
    encoding: Encoding,
    headers: &HeaderMap,
    body: Body,
) -> Result<Split, Refusal> {
    let deadline = body::deadline();
    let mut lease = intake.admission.lease();
    let codings = body::codings(headers)?;
    let limit = body::limit_as_sent(&codings, MAX_OTLP_BODY_BYTES);
    let sent = body::read(body, headers, limit, &mut lease, deadline).await?;
    let (mut split, _lease) = body::offload(sent.len(), move || {
        let mut bytes = decompress(&codings, sent, &mut lease)?;
        lease.grow(bytes.len())?;
        if encoding == Encoding::Json {
            bytes = json::to_protobuf(shape.request, &bytes)?;
        }
        Ok((split::split(shape, &bytes)?, lease))
    })
    .await?;
    intake.deliver(shape.http, &mut split, deadline).await?;
    Ok(split)
}
