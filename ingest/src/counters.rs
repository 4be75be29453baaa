//! What the intake took and refused, per endpoint and reason, for the admin endpoint.
//!
//! Both sets are closed enums, so the memory is fixed whatever clients send.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::refusal::Kind;

/// What a client talked to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Endpoint {
    DatadogTraces,
    DatadogLogs,
    /// Statistics, telemetry and the like: taken politely, not kept.
    DatadogOther,
    GrpcTraces,
    GrpcLogs,
    GrpcMetrics,
    HttpTraces,
    HttpLogs,
    HttpMetrics,
}

/// What became of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Requests acknowledged.
    Accepted,
    /// Records (spans, logs, metrics) in acknowledged requests.
    Records,
    /// Records refused inside requests that were acknowledged.
    RecordsRejected,
    /// Records whose long values were cut so that they fit a message.
    RecordsCut,
    /// Messages written to Kafka.
    Messages,
    /// Payload bytes written to Kafka.
    Bytes,
    /// Requests answered politely whose content is not kept.
    Discarded,
    /// Requests refused.
    Refused(Kind),
}

const ENDPOINTS: [(Endpoint, &str); 9] = [
    (Endpoint::DatadogTraces, "datadog_traces"),
    (Endpoint::DatadogLogs, "datadog_logs"),
    (Endpoint::DatadogOther, "datadog_other"),
    (Endpoint::GrpcTraces, "otlp_grpc_traces"),
    (Endpoint::GrpcLogs, "otlp_grpc_logs"),
    (Endpoint::GrpcMetrics, "otlp_grpc_metrics"),
    (Endpoint::HttpTraces, "otlp_http_traces"),
    (Endpoint::HttpLogs, "otlp_http_logs"),
    (Endpoint::HttpMetrics, "otlp_http_metrics"),
];

const OUTCOMES: [(Outcome, &str); 13] = [
    (Outcome::Accepted, "accepted"),
    (Outcome::Records, "records"),
    (Outcome::RecordsRejected, "records_rejected"),
    (Outcome::RecordsCut, "records_cut"),
    (Outcome::Messages, "messages"),
    (Outcome::Bytes, "bytes"),
    (Outcome::Discarded, "discarded"),
    (Outcome::Refused(Kind::Malformed), "refused_malformed"),
    (Outcome::Refused(Kind::TooLarge), "refused_too_large"),
    (Outcome::Refused(Kind::Unsupported), "refused_unsupported"),
    (Outcome::Refused(Kind::Slow), "refused_slow_client"),
    (Outcome::Refused(Kind::Busy), "refused_busy"),
    (Outcome::Refused(Kind::Unavailable), "refused_kafka_unavailable"),
];

/// The table of counters.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    cells: [[AtomicU64; OUTCOMES.len()]; ENDPOINTS.len()],
}

/// Goes on reading the counters while the intake runs or drains; cheap to clone.
#[derive(Debug, Clone)]
pub struct CounterReader(pub(crate) Arc<Counters>);

impl CounterReader {
    /// What was taken and refused since the start, per endpoint and reason, zeros included.
    pub fn read(&self) -> Vec<Counter> {
        self.0.snapshot()
    }
}

/// One line of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counter {
    /// For instance `otlp_grpc_traces`.
    pub endpoint: &'static str,
    /// For instance `accepted`, `records` or `refused_busy`.
    pub outcome: &'static str,
    /// Since the intake started.
    pub count: u64,
}

impl Counters {
    /// Adds `count`.
    pub(crate) fn add(&self, endpoint: Endpoint, outcome: Outcome, count: usize) {
        let row = ENDPOINTS.iter().position(|(known, _)| *known == endpoint);
        let column = OUTCOMES.iter().position(|(known, _)| *known == outcome);
        let cell = row.zip(column).and_then(|(row, column)| self.cells.get(row)?.get(column));
        if let Some(cell) = cell {
            cell.fetch_add(count as u64, Ordering::Relaxed);
        }
    }

    /// Every counter, zeros included, in a fixed order.
    pub(crate) fn snapshot(&self) -> Vec<Counter> {
        let rows = self.cells.iter().zip(ENDPOINTS);
        rows.flat_map(|(row, (_, endpoint))| {
            row.iter().zip(OUTCOMES).map(move |(cell, (_, outcome))| Counter {
                endpoint,
                outcome,
                count: cell.load(Ordering::Relaxed),
            })
        })
        .collect()
    }
}
