//! The HTTP API: `POST /api/v1/sql`, `GET /api/v1/tables`.

mod body;
mod origin;
pub(crate) mod server;
mod sql;
mod tables;

use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, middleware};
use serde_json::json;

use crate::engine::Engine;
use crate::error::{Code, QueryError};

/// All routes.
pub(crate) fn router(engine: Engine, further: Option<Router>, loopback: bool) -> Router {
    let ours = Router::new()
        .route("/api/v1/sql", post(sql::post))
        .route("/api/v1/tables", get(tables::get))
        .with_state(engine);
    ours.merge(further.unwrap_or_default())
        .method_not_allowed_fallback(wrong_method)
        .fallback(not_found)
        .layer(middleware::from_fn_with_state(loopback, origin::check))
}

async fn not_found() -> Response {
    let error = QueryError::new(Code::BadRequest, "no such address")
        .with_hint("POST /api/v1/sql with {\"sql\": \"SELECT ...\"}, or GET /api/v1/tables");
    respond(&error, StatusCode::NOT_FOUND)
}

async fn wrong_method() -> Response {
    let error = QueryError::new(Code::BadRequest, "this address does not take that method")
        .with_hint("POST /api/v1/sql with {\"sql\": \"SELECT ...\"}, or GET /api/v1/tables");
    respond(&error, StatusCode::METHOD_NOT_ALLOWED)
}

impl IntoResponse for QueryError {
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.http_status())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        respond(&self, status)
    }
}

fn respond(error: &QueryError, status: StatusCode) -> Response {
    let body = json!({"error": {"code": error.code.as_str(), "message": error.message, "hint": error.hint}});
    let mut response = (status, body.to_string()).into_response();
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if matches!(error.code, Code::Busy | Code::StorageUnavailable) {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    }
    response
}
