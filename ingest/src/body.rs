//! A request body, read within its limits and its deadline.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::http::header::{CONTENT_ENCODING, CONTENT_LENGTH, EXPECT};
use bytes::BytesMut;
use http_body_util::BodyExt;
use schemas::limits::{MAX_DECOMPRESSED_BYTES, MAX_DISCARDED_BODY_BYTES};
use tokio::time::{Instant, timeout_at};

use crate::admission::Lease;
use crate::decompress::{self, Coding};
use crate::refusal::Refusal;

/// Bodies above this many bytes are worked on away from the threads that serve the sockets.
const OFFLOAD_BYTES: usize = 64 << 10;

/// Reads the body as sent and charges it to `lease`.
///
/// `limit` is in bytes as sent; a body that is not compressed may be as long as a decompressed one.
pub(crate) async fn read(
    body: Body,
    headers: &HeaderMap,
    limit: usize,
    lease: &mut Lease,
    deadline: Instant,
) -> Result<Bytes, Refusal> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.parse::<u64>().ok());
    let slow = |_| Refusal::slow("the request body did not arrive in time");
    let mut body = body;
    let read = if declared.is_some_and(|declared| declared > limit as u64) {
        Err(above(limit))
    } else {
        timeout_at(deadline, collect(&mut body, limit, lease)).await.map_err(slow)?
    };
    // A client that waits for `100 Continue` sends nothing more once it is refused.
    if read.is_err() && !headers.contains_key(EXPECT) {
        let _ = timeout_at(deadline, discard(body)).await;
    }
    read
}

/// Reads on for a while and keeps nothing: most clients read their answer only after they have sent
/// everything, and would see a broken connection in place of the reason.
async fn discard(mut body: Body) {
    let mut left = MAX_DISCARDED_BODY_BYTES;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.into_data().map_or(0, |data| data.len());
        left = left.saturating_sub(bytes);
        if left == 0 {
            return;
        }
    }
}

async fn collect(body: &mut Body, limit: usize, lease: &mut Lease) -> Result<Bytes, Refusal> {
    let mut first = Bytes::new();
    let mut all = BytesMut::new();
    let mut total = 0usize;
    while let Some(frame) = body.frame().await {
        let frame = frame
            .map_err(|error| Refusal::malformed(format!("the request body broke off: {error}")))?;
        let Ok(data) = frame.into_data() else { continue };
        total = total.saturating_add(data.len());
        if total > limit {
            return Err(above(limit));
        }
        lease.grow(data.len())?;
        if first.is_empty() && all.is_empty() {
            // Most bodies arrive in one piece and need no copy.
            first = data;
            continue;
        }
        if all.is_empty() {
            all.extend_from_slice(&first);
        }
        all.extend_from_slice(&data);
    }
    Ok(if all.is_empty() { first } else { all.freeze() })
}

fn above(limit: usize) -> Refusal {
    Refusal::too_large(format!("the request body is larger than {limit} bytes"))
}

/// The codings of a request, from all of its `Content-Encoding` headers.
pub(crate) fn codings(headers: &HeaderMap) -> Result<Vec<Coding>, Refusal> {
    let mut all = Vec::new();
    for value in headers.get_all(CONTENT_ENCODING) {
        let value = value
            .to_str()
            .map_err(|_| Refusal::unsupported("the content-encoding header is not text"))?;
        all.extend(decompress::parse(value)?);
    }
    Ok(all)
}

/// The limit on bytes as sent: what is not compressed is already as large as it gets.
pub(crate) fn limit_as_sent(codings: &[Coding], compressed: usize) -> usize {
    if codings.is_empty() { MAX_DECOMPRESSED_BYTES } else { compressed }
}

/// Runs `work` on a thread that may be busy for long, where the body is large enough to matter.
pub(crate) async fn offload<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    if bytes <= OFFLOAD_BYTES {
        return work();
    }
    match tokio::task::spawn_blocking(work).await {
        Ok(done) => done,
        Err(error) => Err(Refusal::unavailable(format!("the request was given up: {error}"))),
    }
}

/// When a request that began now must be answered.
pub(crate) fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(schemas::limits::REQUEST_DEADLINE_SECONDS)
}
