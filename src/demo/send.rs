//! Plays the shop's clients: each service sends what it says, in time order, over a connection of
//! its own to the real intake ports, and tries again when told to come back, as real clients do.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use hyper::Method;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message;
use tokio::task::JoinSet;

use super::shop::{Dialect, Log, Measured, Service, Shop, Span};
use super::{datadog, otlp};
use crate::config::Intake;
use crate::http::{Answer, Client, HttpError};

/// Event time one round of requests covers, nanoseconds.
const ROUND: i64 = 10_000_000_000;
/// Logs in one Datadog request: the API takes a thousand.
const LOGS_PER_REQUEST: usize = 500;
/// Attempts at one request.
const ATTEMPTS: u32 = 60;
/// Longest wait between two attempts.
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What was sent so far.
#[derive(Debug, Default)]
pub(super) struct Sent {
    /// Spans, logs and points acknowledged.
    pub(super) events: AtomicU64,
    /// Requests acknowledged.
    pub(super) requests: AtomicU64,
    /// Bytes of their bodies, as sent.
    pub(super) bytes: AtomicU64,
    /// Requests told to come back later.
    pub(super) retries: AtomicU64,
}

/// Why a service gave up.
#[derive(Debug, thiserror::Error)]
pub(super) enum SendError {
    #[error("{service} {path}: {source}")]
    Http { service: &'static str, path: &'static str, source: HttpError },
    #[error("{service} {path}: refused with status {status}: {text}")]
    Refused { service: &'static str, path: &'static str, status: u16, text: String },
    #[error("{service} {path}: accepted only in part: {rejected} rejected, {text}")]
    Partial { service: &'static str, path: &'static str, rejected: i64, text: String },
    #[error("cannot compress: {0}")]
    Compress(#[from] std::io::Error),
    #[error("a sender ended by itself: {0}")]
    Ended(#[from] tokio::task::JoinError),
}

/// Sends everything; returns when all of it is acknowledged.
pub(super) async fn all(shop: Arc<Shop>, intake: Intake, sent: Arc<Sent>) -> Result<(), SendError> {
    let mut services = JoinSet::new();
    for service in Service::ALL {
        let address = match service.dialect() {
            Dialect::Datadog => intake.datadog,
            Dialect::Otlp => intake.otlp_http,
        };
        let client = Client::new(address.to_string());
        let sender = Sender { service, client, sent: Arc::clone(&sent) };
        services.spawn(sender.run(Arc::clone(&shop)));
    }
    while let Some(ended) = services.join_next().await {
        // The first failure ends the others: dropping the set stops them.
        ended??;
    }
    Ok(())
}

/// What one service says in one round.
#[derive(Default)]
struct Round<'a> {
    spans: Vec<&'a Span>,
    logs: Vec<&'a Log>,
    measured: Vec<&'a Measured>,
}

/// Cuts a service's part of the story into rounds, in time order.
fn rounds(shop: &Shop, service: Service) -> BTreeMap<i64, Round<'_>> {
    let mut rounds: BTreeMap<i64, Round<'_>> = BTreeMap::new();
    for span in shop.spans.iter().filter(|span| span.service == service) {
        // A span is sent when it has ended.
        let ended = span.start_ns + span.duration_ns;
        rounds.entry(ended.div_euclid(ROUND)).or_default().spans.push(span);
    }
    for log in shop.logs.iter().filter(|log| log.service == service) {
        rounds.entry(log.time_ns.div_euclid(ROUND)).or_default().logs.push(log);
    }
    if service == Service::Checkout {
        for measured in &shop.measured {
            rounds.entry(measured.to_ns.div_euclid(ROUND)).or_default().measured.push(measured);
        }
    }
    rounds
}

struct Sender {
    service: Service,
    client: Client,
    sent: Arc<Sent>,
}

/// A request as it goes out.
struct Post {
    method: Method,
    path: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Bytes,
    events: usize,
}

impl Sender {
    async fn run(mut self, shop: Arc<Shop>) -> Result<(), SendError> {
        let rounds = rounds(&shop, self.service);
        for round in rounds.values() {
            let posts = match self.service.dialect() {
                Dialect::Datadog => self.datadog(round)?,
                Dialect::Otlp => self.otlp(round),
            };
            for post in posts {
                self.post(post).await?;
            }
        }
        Ok(())
    }

    fn datadog(&self, round: &Round<'_>) -> Result<Vec<Post>, SendError> {
        let mut posts = Vec::new();
        if !round.spans.is_empty() {
            posts.push(Post {
                method: Method::PUT,
                path: "/v0.4/traces",
                headers: vec![
                    ("content-type", "application/msgpack".to_owned()),
                    ("datadog-meta-lang", self.service.language().to_owned()),
                    ("datadog-meta-tracer-version", "4.0.0".to_owned()),
                    ("x-datadog-trace-count", datadog::trace_count(&round.spans).to_string()),
                ],
                body: Bytes::from(datadog::traces(&round.spans)),
                events: round.spans.len(),
            });
        }
        for logs in round.logs.chunks(LOGS_PER_REQUEST) {
            posts.push(Post {
                method: Method::POST,
                path: "/api/v2/logs",
                headers: vec![
                    ("content-type", "application/json".to_owned()),
                    ("content-encoding", "gzip".to_owned()),
                    ("dd-api-key", "00000000000000000000000000000000".to_owned()),
                ],
                body: Bytes::from(datadog::gzip(&datadog::logs(logs))?),
                events: logs.len(),
            });
        }
        Ok(posts)
    }

    fn otlp(&self, round: &Round<'_>) -> Vec<Post> {
        let post = |path, body, events| Post {
            method: Method::POST,
            path,
            headers: vec![("content-type", "application/x-protobuf".to_owned())],
            body: Bytes::from(body),
            events,
        };
        let mut posts = Vec::new();
        if !round.spans.is_empty() {
            let body = otlp::traces(self.service, &round.spans);
            posts.push(post("/v1/traces", body, round.spans.len()));
        }
        if !round.logs.is_empty() {
            let body = otlp::logs(self.service, &round.logs);
            posts.push(post("/v1/logs", body, round.logs.len()));
        }
        if !round.measured.is_empty() {
            let body = otlp::metrics(self.service, &round.measured);
            posts.push(post("/v1/metrics", body, 3 * round.measured.len()));
        }
        posts
    }

    /// Sends until acknowledged; waits longer each time it is told to come back.
    async fn post(&mut self, post: Post) -> Result<(), SendError> {
        let (service, path) = (self.service.name(), post.path);
        let headers: Vec<(&str, &str)> =
            post.headers.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let mut wait = Duration::from_millis(20);
        for _ in 1..ATTEMPTS {
            let answer =
                self.client.send(post.method.clone(), path, &headers, post.body.clone()).await;
            let answer = answer.map_err(|source| SendError::Http { service, path, source })?;
            if !matches!(answer.status, 429 | 502..=504) {
                return self.settle(&post, &answer);
            }
            self.sent.retries.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(wait).await;
            wait = (wait * 2).min(LONGEST_WAIT);
        }
        let text = format!("still told to come back after {ATTEMPTS} attempts");
        Err(SendError::Refused { service, path, status: 503, text })
    }

    fn settle(&self, post: &Post, answer: &Answer) -> Result<(), SendError> {
        let (service, path) = (self.service.name(), post.path);
        if !answer.is_success() {
            let text = String::from_utf8_lossy(&answer.body).chars().take(300).collect();
            return Err(SendError::Refused { service, path, status: answer.status, text });
        }
        if let Some((rejected, text)) = partial_success(path, &answer.body) {
            return Err(SendError::Partial { service, path, rejected, text });
        }
        self.sent.events.fetch_add(post.events as u64, Ordering::Relaxed);
        self.sent.requests.fetch_add(1, Ordering::Relaxed);
        self.sent.bytes.fetch_add(post.body.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// What an OTLP answer says was rejected. The three answers have one shape, so one reader does.
fn partial_success(path: &str, body: &[u8]) -> Option<(i64, String)> {
    if !path.starts_with("/v1/") {
        return None;
    }
    let answer = ExportTraceServiceResponse::decode(body).ok()?;
    let partial = answer.partial_success.filter(|partial| partial.rejected_spans > 0)?;
    Some((partial.rejected_spans, partial.error_message))
}

#[cfg(test)]
mod tests {
    use super::super::story;
    use super::*;

    #[test]
    fn the_rounds_of_all_services_hold_everything_once() {
        let shop = story::tell(7, 1_767_225_600_000_000_000);
        let (mut spans, mut logs, mut measured) = (0, 0, 0);
        for service in Service::ALL {
            for round in rounds(&shop, service).values() {
                spans += round.spans.len();
                logs += round.logs.len();
                measured += round.measured.len();
            }
        }
        assert_eq!((spans, logs), (shop.spans.len(), shop.logs.len()));
        assert_eq!(measured, shop.measured.len());
    }
}
