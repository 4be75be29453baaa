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

/// For the tests of the listeners: a JSON request as protobuf.
#[cfg(test)]
pub(crate) fn transcode_traces(json: &[u8]) -> Vec<u8> {
    json::to_protobuf(&schema::TRACES, json).expect("valid").to_vec()
}
