//! `google.rpc.Status` and the export responses, in protobuf and JSON, and which status a refusal gets.
//!
//! Source: OTLP 1.11, "Failures" and "OTLP/HTTP Response"; google/rpc/status.proto, error_details.proto.

use axum::http::StatusCode;
use serde_json::json;
use tonic::Code;

use super::signal::Shape;
use crate::intake::Split;
use crate::protobuf::{put_bytes, put_number};
use crate::refusal::{Kind, Refusal};

const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";
const BAD_REQUEST: &str = "type.googleapis.com/google.rpc.BadRequest";

/// Seconds a client shall wait before it comes back; `None` when it shall not.
///
/// A record lost to a wrong status is lost for good: everything that may pass later is retryable,
/// and nothing else is.
pub(super) fn retry_after(kind: Kind) -> Option<u64> {
    match kind {
        Kind::Busy | Kind::Slow => Some(1),
        Kind::Unavailable => Some(2),
        Kind::Malformed | Kind::TooLarge | Kind::Unsupported => None,
    }
}

/// The HTTP status: of those that clients retry (429, 502, 503, 504), or a 4xx that they do not.
pub(super) fn http_status(kind: Kind) -> StatusCode {
    match kind {
        Kind::Malformed => StatusCode::BAD_REQUEST,
        Kind::TooLarge => StatusCode::PAYLOAD_TOO_LARGE,
        Kind::Unsupported => StatusCode::UNSUPPORTED_MEDIA_TYPE,
        Kind::Busy => StatusCode::TOO_MANY_REQUESTS,
        Kind::Slow | Kind::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// The gRPC code.
pub(super) fn code(kind: Kind) -> Code {
    match kind {
        Kind::Malformed => Code::InvalidArgument,
        // Without RetryInfo, so that it is not sent again.
        Kind::TooLarge => Code::ResourceExhausted,
        Kind::Unsupported => Code::Unimplemented,
        Kind::Busy | Kind::Slow | Kind::Unavailable => Code::Unavailable,
    }
}

/// The refusal as a serialized `google.rpc.Status`.
pub(super) fn proto(refusal: &Refusal) -> Vec<u8> {
    let mut status = Vec::new();
    put_number(&mut status, 1, code(refusal.kind) as u64);
    put_bytes(&mut status, 2, refusal.text.as_bytes());
    let mut detail = Vec::new();
    let name = if let Some(seconds) = retry_after(refusal.kind) {
        let mut duration = Vec::new();
        put_number(&mut duration, 1, seconds);
        put_bytes(&mut detail, 1, &duration);
        RETRY_INFO
    } else if refusal.kind == Kind::Malformed {
        let mut violation = Vec::new();
        put_bytes(&mut violation, 1, b"body");
        put_bytes(&mut violation, 2, refusal.text.as_bytes());
        put_bytes(&mut detail, 1, &violation);
        BAD_REQUEST
    } else {
        return status;
    };
    let mut any = Vec::new();
    put_bytes(&mut any, 1, name.as_bytes());
    put_bytes(&mut any, 2, &detail);
    put_bytes(&mut status, 3, &any);
    status
}

/// The refusal as the JSON form of `google.rpc.Status`.
pub(super) fn json(refusal: &Refusal) -> Vec<u8> {
    let mut status = json!({ "code": code(refusal.kind) as i32, "message": refusal.text });
    let detail = if let Some(seconds) = retry_after(refusal.kind) {
        Some(json!({ "@type": RETRY_INFO, "retryDelay": format!("{seconds}s") }))
    } else if refusal.kind == Kind::Malformed {
        let violation = json!({ "field": "body", "description": refusal.text });
        Some(json!({ "@type": BAD_REQUEST, "fieldViolations": [violation] }))
    } else {
        None
    };
    if let (Some(detail), Some(status)) = (detail, status.as_object_mut()) {
        status.insert("details".to_owned(), json!([detail]));
    }
    status.to_string().into_bytes()
}

/// A serialized `Export...ServiceResponse`; empty unless records were rejected.
pub(super) fn response_proto(split: &Split) -> Vec<u8> {
    let mut response = Vec::new();
    if split.rejected > 0 {
        let mut partial = Vec::new();
        put_number(&mut partial, 1, split.rejected as u64);
        put_bytes(&mut partial, 2, split.reason.as_deref().unwrap_or_default().as_bytes());
        put_bytes(&mut response, 1, &partial);
    }
    response
}

/// The JSON form of it.
pub(super) fn response_json(shape: &Shape, split: &Split) -> Vec<u8> {
    if split.rejected == 0 {
        return b"{}".to_vec();
    }
    // 64-bit numbers are strings in protobuf's JSON.
    let rejected = split.rejected.to_string();
    let reason = split.reason.as_deref().unwrap_or_default();
    json!({ "partialSuccess": { shape.rejected_name: rejected, "errorMessage": reason } })
        .to_string()
        .into_bytes()
}
