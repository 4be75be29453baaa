//! Ports 4317 and 4318: OTLP over gRPC and HTTP.

mod base64;
mod check;
mod grpc;
mod http;
mod json;
mod schema;
mod signal;
mod split;
mod status;

use axum::Router;

use crate::intake::Intake;

/// The routes of the gRPC listener.
pub(crate) fn grpc_router(intake: Intake) -> Router {
    grpc::router(intake)
}

/// The routes of the HTTP listener.
pub(crate) fn http_router(intake: Intake) -> Router {
    http::router(intake)
}
