//! Messages in OTLP.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    Histogram, HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics,
    ScopeMetrics, Sum, number_data_point::Value as Number,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use stages::record::Record;

use super::{START, records};

/// Messages of fifty OTLP spans.
pub(crate) fn traces(messages: usize) -> Vec<Record> {
    records(data(messages).map(|data| data.encode_to_vec()))
}

/// The same as JSON.
pub(crate) fn traces_json(messages: usize) -> Vec<Record> {
    records(data(messages).map(|data| serde_json::to_vec(&data).expect("encodes")))
}

fn data(messages: usize) -> impl Iterator<Item = TracesData> {
    (0..messages as u64).map(|m| {
        let spans = (0..50).map(|n| span(m, n)).collect();
        let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
        let group = ResourceSpans { resource: Some(resource()), scope_spans, ..Default::default() };
        TracesData { resource_spans: vec![group] }
    })
}

fn resource() -> Resource {
    let attributes = vec![
        pair("service.name", "cart"),
        pair("host.name", "node-1"),
        pair("k8s.pod.name", "cart-1"),
    ];
    Resource { attributes, ..Default::default() }
}

fn pair(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

fn span(message: u64, n: u64) -> Span {
    let mut trace_id = message.to_be_bytes().to_vec();
    trace_id.extend_from_slice(&(n / 10 + 1).to_be_bytes());
    Span {
        trace_id,
        span_id: (n + 1).to_be_bytes().to_vec(),
        name: "GET /cart/{id}".to_owned(),
        kind: 2,
        start_time_unix_nano: START + n,
        end_time_unix_nano: START + n + 12_345,
        attributes: vec![
            pair("http.request.method", "GET"),
            pair("http.route", "/cart/{id}"),
            pair("url.path", &format!("/cart/{n}")),
            pair("server.address", "cart"),
            pair("user_agent.original", "python-httpx/0.27"),
            pair("network.protocol.version", "1.1"),
        ],
        ..Default::default()
    }
}

/// Messages of fifty OTLP logs.
pub(crate) fn logs(messages: usize) -> Vec<Record> {
    records((0..messages as u64).map(|m| {
        let log_records = (0..50).map(|n| log(m, n)).collect();
        let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
        let group = ResourceLogs { resource: Some(resource()), scope_logs, ..Default::default() };
        LogsData { resource_logs: vec![group] }.encode_to_vec()
    }))
}

fn log(message: u64, n: u64) -> LogRecord {
    let body = format!("GET /cart/{} took {} ms", (message * 50 + n) * 7919 % 100_000, n * 3);
    LogRecord {
        time_unix_nano: START + n,
        severity_number: 9,
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Any::StringValue(body)) }),
        attributes: vec![
            pair("http.request.method", "GET"),
            pair("http.route", "/cart/{id}"),
            pair("thread.name", "http-nio-8080-exec-7"),
        ],
        ..Default::default()
    }
}

/// Messages of fifty points: a counter and a histogram of 25 series each.
pub(crate) fn metrics(messages: usize) -> Vec<Record> {
    records((0..messages as u64).map(|m| {
        let counts = Sum {
            data_points: (0..25).map(|n| count(m, n)).collect(),
            aggregation_temporality: 1,
            is_monotonic: true,
        };
        let durations = Histogram {
            data_points: (0..25).map(|n| durations(m, n)).collect(),
            aggregation_temporality: 1,
        };
        let metrics = vec![
            metric("http.server.requests", "{request}", Data::Sum(counts)),
            metric("http.server.request.duration", "ms", Data::Histogram(durations)),
        ];
        let scope_metrics = vec![ScopeMetrics { metrics, ..Default::default() }];
        let group =
            ResourceMetrics { resource: Some(resource()), scope_metrics, ..Default::default() };
        MetricsData { resource_metrics: vec![group] }.encode_to_vec()
    }))
}

fn metric(name: &str, unit: &str, data: Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Default::default() }
}

fn series(n: u64) -> Vec<KeyValue> {
    vec![pair("http.request.method", "GET"), pair("http.route", &format!("/cart/{n}"))]
}

fn count(message: u64, n: u64) -> NumberDataPoint {
    NumberDataPoint {
        attributes: series(n),
        start_time_unix_nano: START + message,
        time_unix_nano: START + message + 10_000_000_000,
        value: Some(Number::AsInt((message + n) as i64)),
        ..Default::default()
    }
}

fn durations(message: u64, n: u64) -> HistogramDataPoint {
    HistogramDataPoint {
        attributes: series(n),
        start_time_unix_nano: START + message,
        time_unix_nano: START + message + 10_000_000_000,
        count: 15,
        sum: Some(420.0),
        bucket_counts: vec![1, 2, 3, 4, 5, 0],
        explicit_bounds: vec![5.0, 10.0, 25.0, 50.0, 100.0],
        ..Default::default()
    }
}
