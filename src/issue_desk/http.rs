//! Issues over HTTP, on the query service's port:
//!
//! ```text
//! GET  /api/v1/issues?state=for_review&service=shop&order=events&limit=100
//! GET  /api/v1/issues/ID
//! POST /api/v1/issues/ID/state   {"state": "resolved", "by": "ann", "reason": "fixed in 2.1"}
//! POST /api/v1/issues/ID/merge   {"issues": ["ID2"], "by": ..., "reason": ...}
//! POST /api/v1/issues/ID/split   {"alias": "ID2", "by": ..., "reason": ...}
//! ```

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::{Path, Query, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Router, extract};
use issues::decision::Decision;
use issues::tracker::Tracker;
use object_store::ObjectStore;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use stream::issues::desk::DeskError;
use stream::operator::Decider;

use super::Wanted;

/// Bytes of a request.
const MAX_BODY_BYTES: usize = 64 << 10;

/// The routes over this store.
pub fn routes(store: Arc<dyn ObjectStore>) -> Router {
    Router::new()
        .route("/api/v1/issues", get(list))
        .route("/api/v1/issues/{id}", get(show))
        .route("/api/v1/issues/{id}/state", post(state))
        .route("/api/v1/issues/{id}/merge", post(merge))
        .route("/api/v1/issues/{id}/split", post(split))
        .layer(extract::DefaultBodyLimit::max(MAX_BODY_BYTES))
        .with_state(store)
}

type Store = State<Arc<dyn ObjectStore>>;

/// A refusal, in the shape of the other answers' errors.
struct Refusal(StatusCode, &'static str, String);

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let Self(status, code, message) = self;
        let hint = "GET /api/v1/issues lists them";
        answer(status, &json!({"error": {"code": code, "message": message, "hint": hint}}))
    }
}

impl From<DeskError> for Refusal {
    fn from(error: DeskError) -> Self {
        match &error {
            DeskError::Undecidable(_) => {
                Self(StatusCode::NOT_FOUND, "not_found", error.to_string())
            }
            DeskError::Log(_) | DeskError::State(_) => {
                Self(StatusCode::SERVICE_UNAVAILABLE, "storage_unavailable", error.to_string())
            }
        }
    }
}

fn bad(message: String) -> Refusal {
    Refusal(StatusCode::BAD_REQUEST, "bad_request", message)
}

fn answer(status: StatusCode, body: &Value) -> Response {
    let mut response = (status, body.to_string()).into_response();
    let json = HeaderValue::from_static("application/json");
    response.headers_mut().insert(header::CONTENT_TYPE, json);
    response
}

async fn list(State(store): Store, Query(wanted): Query<Wanted>) -> Result<Response, Refusal> {
    let tracker = super::read(&store).await?;
    let found = super::list(&tracker, &wanted).map_err(|error| bad(error.to_string()))?;
    let issues: Vec<Value> =
        found.into_iter().map(|issue| super::brief(&tracker, issue).into()).collect();
    Ok(answer(StatusCode::OK, &json!({"issues": issues})))
}

async fn show(State(store): Store, Path(id): Path<String>) -> Result<Response, Refusal> {
    let tracker = super::read(&store).await?;
    page(&tracker, &id)
}

fn page(tracker: &Tracker, id: &str) -> Result<Response, Refusal> {
    let unknown = || Refusal(StatusCode::NOT_FOUND, "not_found", format!("there is no issue {id}"));
    let issue = tracker.get(id).ok_or_else(unknown)?;
    Ok(answer(StatusCode::OK, &super::page(tracker, issue)))
}

/// Who and why, part of every decision.
#[derive(Deserialize)]
struct Body<T> {
    by: String,
    #[serde(default)]
    reason: String,
    #[serde(flatten)]
    what: T,
}

fn body<T: DeserializeOwned>(headers: &HeaderMap, bytes: &Bytes) -> Result<Body<T>, Refusal> {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
    // A page of somebody else's can not send this type without asking first.
    if !kind.is_some_and(|kind| kind.to_ascii_lowercase().starts_with("application/json")) {
        return Err(bad("the content type must be application/json".to_owned()));
    }
    let body: Body<T> =
        serde_json::from_slice(bytes).map_err(|error| bad(format!("the request body: {error}")))?;
    if body.by.trim().is_empty() {
        return Err(bad("`by` must say who decides".to_owned()));
    }
    Ok(body)
}

async fn decided<T>(
    store: &Arc<dyn ObjectStore>,
    id: &str,
    body: Body<T>,
    decision: Decision,
) -> Result<Response, Refusal> {
    let decider = Decider { by: body.by, reason: body.reason };
    let tracker = super::decide(store, decision, &decider).await?;
    page(&tracker, id)
}

#[derive(Deserialize)]
struct StateBody {
    state: String,
}

async fn state(
    State(store): Store,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refusal> {
    let body = body::<StateBody>(&headers, &bytes)?;
    let name = &body.what.state;
    let state = super::state(name)
        .ok_or_else(|| bad(super::BadRequest::State(name.clone()).to_string()))?;
    let decision = Decision::State { issue: id.clone(), state };
    decided(&store, &id, body, decision).await
}

#[derive(Deserialize)]
struct MergeBody {
    issues: Vec<String>,
}

async fn merge(
    State(store): Store,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refusal> {
    let body = body::<MergeBody>(&headers, &bytes)?;
    let decision = Decision::Merge { into: id.clone(), issues: body.what.issues.clone() };
    decided(&store, &id, body, decision).await
}

#[derive(Deserialize)]
struct SplitBody {
    alias: String,
}

async fn split(
    State(store): Store,
    Path(id): Path<String>,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Response, Refusal> {
    let body = body::<SplitBody>(&headers, &bytes)?;
    let decision = Decision::Split { issue: id.clone(), alias: body.what.alias.clone() };
    decided(&store, &id, body, decision).await
}
