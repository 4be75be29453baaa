//! `POST /api/v1/sql`: one statement in, JSON, CSV or Arrow IPC out.

use std::time::Duration;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use schemas::limits::{HEADER_DEADLINE_SECONDS, MAX_SQL_BYTES};
use serde::Deserialize;

use crate::encode::json;
use crate::engine::{Engine, Limits};
use crate::error::{Code, QueryError};

use super::body::{self, Encoder};

/// Bytes of a request body: the statement, escaped as JSON, and the other fields.
const MAX_BODY_BYTES: usize = 2 * MAX_SQL_BYTES;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    sql: String,
    format: Option<Format>,
    max_rows: Option<usize>,
    timeout_ms: Option<u64>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Format {
    Json,
    Csv,
    Arrow,
}

pub(super) async fn post(
    State(engine): State<Engine>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, QueryError> {
    let request = read(&headers, body).await?;
    let format = request.format.unwrap_or_else(|| accepted(&headers));
    let limits = Limits {
        max_rows: request.max_rows,
        timeout: request.timeout_ms.map(Duration::from_millis),
    };
    let answer = engine.query(&request.sql, limits).await?;
    match format {
        Format::Csv => body::stream(answer, Encoder::Csv).await,
        Format::Arrow => {
            let encoder = Encoder::arrow(&answer)?;
            body::stream(answer, encoder).await
        }
        Format::Json => {
            let bytes = json::encode(answer).await?;
            let mut response = bytes.into_response();
            response
                .headers_mut()
                .insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            Ok(response)
        }
    }
}

async fn read(headers: &HeaderMap, body: Body) -> Result<Request, QueryError> {
    let content_type =
        headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    // Also what keeps out forms of foreign pages: a browser asks first before it sends this type.
    if !content_type
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .eq_ignore_ascii_case("application/json")
    {
        return Err(QueryError::new(Code::BadRequest, "the content type must be application/json")
            .with_hint("send {\"sql\": \"SELECT ...\"} with content-type: application/json"));
    }
    let reading = axum::body::to_bytes(body, MAX_BODY_BYTES);
    let bytes = tokio::time::timeout(Duration::from_secs(HEADER_DEADLINE_SECONDS), reading)
        .await
        .map_err(|_| QueryError::new(Code::BadRequest, "the request body did not arrive in time"))?
        .map_err(|error| unreadable(&error))?;
    serde_json::from_slice(&bytes).map_err(|error| {
        QueryError::new(Code::BadRequest, format!("the request body: {error}"))
            .with_hint("send {\"sql\": \"SELECT ...\", \"format\": \"json\", \"max_rows\": 1000, \"timeout_ms\": 5000}; all but sql may be left out")
    })
}

fn unreadable(error: &axum::Error) -> QueryError {
    let source = std::error::Error::source(error);
    if source.is_some_and(|source| source.is::<http_body_util::LengthLimitError>()) {
        QueryError::new(
            Code::TooLarge,
            format!("the request body has more than {MAX_BODY_BYTES} bytes"),
        )
    } else {
        QueryError::new(Code::BadRequest, format!("the request body can not be read: {error}"))
    }
}

/// The format the `Accept` header names first; JSON when it names none of ours.
fn accepted(headers: &HeaderMap) -> Format {
    let accept =
        headers.get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    accept
        .split(',')
        .find_map(|part| match part.split(';').next().unwrap_or_default().trim() {
            "text/csv" => Some(Format::Csv),
            "application/vnd.apache.arrow.stream" => Some(Format::Arrow),
            "application/json" => Some(Format::Json),
            _ => None,
        })
        .unwrap_or(Format::Json)
}
