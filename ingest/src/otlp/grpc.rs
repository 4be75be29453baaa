//! OTLP over gRPC: the three unary `Export` calls.
//!
//! The framing of a unary call is five bytes, so it is read here and not by a generated service: the
//! body goes through the same bounded reader and decompressor as every other one, spans are copied
//! without being decoded, and the status codes are OTLP's (tonic answers a message that is too long
//! with OUT_OF_RANGE, which OTLP clients send again and again).

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http_body_util::StreamBody;
use hyper::body::Frame;
use schemas::limits::MAX_OTLP_BODY_BYTES;
use tokio::time::Instant;
use tonic::Status;

use super::signal::{LOGS, METRICS, Shape, TRACES};
use super::{split, status};
use crate::body;
use crate::decompress::{self, Coding, decompress};
use crate::intake::{Intake, Split};
use crate::refusal::Refusal;

/// Bytes before a message: the compressed flag and the length.
const PREFIX: usize = 5;

/// The routes.
pub(super) fn router(intake: Intake) -> Router {
    Router::new().fallback(call).layer(DefaultBodyLimit::disable()).with_state(intake)
}

async fn call(
    State(intake): State<Intake>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let is_grpc = headers
        .get(CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/grpc"));
    if !is_grpc || method != Method::POST {
        let text =
            "this port speaks OTLP over gRPC; OTLP over HTTP is on the port of intake.otlp_http\n";
        return (StatusCode::UNSUPPORTED_MEDIA_TYPE, text).into_response();
    }
    let shape = match uri.path() {
        "/opentelemetry.proto.collector.trace.v1.TraceService/Export" => &TRACES,
        "/opentelemetry.proto.collector.logs.v1.LogsService/Export" => &LOGS,
        "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export" => &METRICS,
        path => return Status::unimplemented(format!("no method {path}")).into_http(),
    };
    match take(&intake, shape, &headers, body).await {
        Ok(split) => success(&status::response_proto(&split)),
        Err(refusal) => {
            intake.refused(shape.grpc, &refusal);
            let details = Bytes::from(status::proto(&refusal));
            let code = status::code(refusal.kind);
            let mut response: Response =
                Status::with_details(code, refusal.text, details).into_http();
            // Named on every answer, so that a client can choose another coding.
            let codings = HeaderValue::from_static("identity,gzip,zstd,deflate");
            response.headers_mut().insert("grpc-accept-encoding", codings);
            response
        }
    }
}

/// One message and the trailers that say it is all.
fn success(message: &[u8]) -> Response {
    let mut framed = Vec::with_capacity(PREFIX + message.len());
    framed.push(0);
    framed.extend_from_slice(&(message.len() as u32).to_be_bytes());
    framed.extend_from_slice(message);
    let mut trailers = HeaderMap::new();
    trailers.insert("grpc-status", HeaderValue::from_static("0"));
    let frames = [Frame::data(Bytes::from(framed)), Frame::trailers(trailers)];
    let stream = futures::stream::iter(frames.map(Ok::<_, Infallible>));
    let mut response = Response::new(Body::new(StreamBody::new(stream)));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/grpc"));
    response
}

async fn take(
    intake: &Intake,
    shape: &'static Shape,
    headers: &HeaderMap,
    body: Body,
) -> Result<Split, Refusal> {
    let deadline = body::deadline().min(client_deadline(headers));
    let mut lease = intake.admission.lease();
    let codings = codings(headers)?;
    let limit = body::limit_as_sent(&codings, MAX_OTLP_BODY_BYTES) + PREFIX;
    let sent = body::read(body, headers, limit, &mut lease, deadline).await?;
    let (mut split, _lease) = body::offload(sent.len(), move || {
        let bytes = match unframe(sent)? {
            (true, message) => decompress(&codings, message, &mut lease)?,
            (false, message) => message,
        };
        lease.grow(bytes.len())?;
        Ok((split::split(shape, &bytes)?, lease))
    })
    .await?;
    intake.deliver(shape.grpc, &mut split, deadline).await?;
    Ok(split)
}

fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Refusal> {
    let Some(value) = headers.get("grpc-encoding") else { return Ok(Vec::new()) };
    let value = value.to_str().map_err(|_| Refusal::unsupported("grpc-encoding is not text"))?;
    decompress::parse(value)
}

/// Whether the one message of a unary call is compressed, and the message.
fn unframe(mut body: Bytes) -> Result<(bool, Bytes), Refusal> {
    let malformed = |text: &str| Refusal::malformed(format!("invalid gRPC message: {text}"));
    let Some((prefix, _)) = body.split_first_chunk::<PREFIX>() else {
        return Err(malformed("shorter than its prefix"));
    };
    let [flag, length @ ..] = *prefix;
    let message = body.split_off(PREFIX);
    if flag > 1 {
        return Err(malformed("the compressed flag is neither 0 nor 1"));
    }
    match message.len().cmp(&(u32::from_be_bytes(length) as usize)) {
        std::cmp::Ordering::Less => Err(malformed("truncated")),
        std::cmp::Ordering::Greater => Err(malformed("more than one message in a unary call")),
        std::cmp::Ordering::Equal => Ok((flag == 1, message)),
    }
}

/// When the client gives up: `grpc-timeout`, up to eight digits and a unit.
fn client_deadline(headers: &HeaderMap) -> Instant {
    let timeout = headers.get("grpc-timeout").and_then(|value| timeout(value.to_str().ok()?));
    Instant::now() + timeout.unwrap_or(Duration::from_secs(3_600)).min(Duration::from_secs(3_600))
}

fn timeout(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let value: u64 = (digits.len() <= 8).then(|| digits.parse().ok())??;
    Some(match unit {
        "H" => Duration::from_secs(value * 3_600),
        "M" => Duration::from_secs(value * 60),
        "S" => Duration::from_secs(value),
        "m" => Duration::from_millis(value),
        "u" => Duration::from_micros(value),
        "n" => Duration::from_nanos(value),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unary_call_is_exactly_one_message() {
        let unframe = |bytes: &'static [u8]| unframe(Bytes::from_static(bytes));
        assert_eq!(unframe(&[0, 0, 0, 0, 1, 7]), Ok((false, Bytes::from_static(&[7]))));
        assert_eq!(unframe(&[1, 0, 0, 0, 0]), Ok((true, Bytes::new())));
        for bad in [
            &[0u8, 0, 0, 0][..],
            &[0, 0xff, 0xff, 0xff, 0xff, 1],
            &[0, 0, 0, 0, 0, 0],
            &[2, 0, 0, 0, 0],
        ] {
            assert!(unframe(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn timeouts_have_a_unit() {
        assert_eq!(timeout("100m"), Some(Duration::from_millis(100)));
        assert_eq!(timeout("99999999H"), Some(Duration::from_secs(99_999_999 * 3_600)));
        for bad in ["", "5", "m", "999999999S", "1x", "-1S", "1\u{e9}"] {
            assert_eq!(timeout(bad), None, "{bad}");
        }
    }
}
