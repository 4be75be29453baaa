//! Believable messages of every format, the same at every run.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use prost::Message;
use serde_json::json;
use stream::record::Record;

/// Start of everything, nanoseconds.
const START: u64 = 1_700_000_000_000_000_000;

/// Records with the payloads.
pub(crate) fn records(payloads: impl Iterator<Item = Vec<u8>>) -> Vec<Record> {
    payloads.map(|payload| Record { payload, ..Record::default() }).collect()
}

/// One JSON log of about 250 bytes.
fn log(n: u64) -> serde_json::Value {
    json!({
        "timestamp": START / 1_000_000 + n, "level": if n.is_multiple_of(20) { "error" } else { "info" },
        "service": format!("svc-{}", n % 8), "host": format!("node-{}", n % 16),
        "message": format!("GET /cart/{} took {} ms", n * 7919 % 100_000, n % 300),
        "http": {"method": "GET", "status_code": 200 + n % 5, "url": format!("/cart/{n}")},
        "duration": n * 1000, "user": {"id": n % 1000},
    })
}

/// Messages of 50 newline-separated JSON logs.
pub(crate) fn json_lines(messages: usize) -> Vec<Record> {
    records((0..messages as u64).map(|m| {
        let lines: Vec<_> = (0..50).map(|n| log(m * 50 + n).to_string()).collect();
        lines.join("\n").into_bytes()
    }))
}

/// The same as arrays.
pub(crate) fn datadog_logs(messages: usize) -> Vec<Record> {
    records((0..messages as u64).map(|m| {
        let items: Vec<_> = (0..50).map(|n| log(m * 50 + n)).collect();
        json!(items).to_string().into_bytes()
    }))
}

/// Messages of five Datadog traces of ten spans.
pub(crate) fn datadog_v04(messages: usize) -> Vec<Record> {
    records((0..messages as u64).map(|m| {
        let traces: Vec<Vec<_>> =
            (0..5).map(|t| (0..10).map(|n| datadog_span(m * 5 + t + 1, n)).collect()).collect();
        rmp_serde::to_vec(&traces).expect("encodes")
    }))
}

fn datadog_span(trace: u64, n: u64) -> serde_json::Value {
    json!({
        "service": "cart", "name": "web.request", "resource": "GET /cart/{id}", "type": "web",
        "trace_id": trace, "span_id": n + 1, "parent_id": n, "start": START + n, "duration": 12_345 + n,
        "error": 0,
        "meta": {"env": "prod", "version": "1.2.3", "component": "flask", "language": "python",
            "http.method": "GET", "http.status_code": "200", "http.url": format!("http://cart/cart/{trace}"),
            "span.kind": "server", "runtime-id": "af89a2fe1f1e4e77a6315c42a0dcc771"},
        "metrics": {"_sampling_priority_v1": 1.0, "_dd.top_level": 1.0, "process_id": 40316.0},
    })
}

/// The same spans as v0.5: a string table, and spans of twelve elements.
pub(crate) fn datadog_v05(messages: usize) -> Vec<Record> {
    records((0..messages as u64).map(|m| {
        let mut strings = vec![String::new()];
        let traces: Vec<Vec<_>> = (0..5)
            .map(|t| {
                let trace = m * 5 + t + 1;
                (0..10).map(|n| indexed(&datadog_span(trace, n), &mut strings)).collect()
            })
            .collect();
        rmp_serde::to_vec(&(strings, traces)).expect("encodes")
    }))
}

/// The twelve elements of a v0.5 span.
type Indexed = (
    usize,
    usize,
    usize,
    u64,
    u64,
    u64,
    u64,
    u64,
    u64,
    BTreeMap<usize, usize>,
    BTreeMap<usize, f64>,
    usize,
);

fn indexed(span: &serde_json::Value, strings: &mut Vec<String>) -> Indexed {
    let mut index = |text: &str| {
        strings.iter().position(|known| known == text).unwrap_or_else(|| {
            strings.push(text.to_owned());
            strings.len() - 1
        })
    };
    let number = |key: &str| span[key].as_u64().unwrap_or_default();
    let names = ["service", "name", "resource", "type"]
        .map(|key| index(span[key].as_str().unwrap_or_default()));
    let meta = span["meta"].as_object().into_iter().flatten();
    let meta = meta.map(|(key, value)| (index(key), index(value.as_str().unwrap_or_default())));
    let meta = meta.collect();
    let metrics = span["metrics"].as_object().into_iter().flatten();
    let metrics = metrics.map(|(key, value)| (index(key), value.as_f64().unwrap_or_default()));
    (
        names[0],
        names[1],
        names[2],
        number("trace_id"),
        number("span_id"),
        number("parent_id"),
        number("start"),
        number("duration"),
        number("error"),
        meta,
        metrics.collect(),
        names[3],
    )
}

/// Messages of fifty OTLP spans.
pub(crate) fn otlp_traces(messages: usize) -> Vec<Record> {
    records(otlp_data(messages).map(|data| data.encode_to_vec()))
}

/// The same as JSON.
pub(crate) fn otlp_json(messages: usize) -> Vec<Record> {
    records(otlp_data(messages).map(|data| serde_json::to_vec(&data).expect("encodes")))
}

fn otlp_data(messages: usize) -> impl Iterator<Item = TracesData> {
    (0..messages as u64).map(|m| {
        let spans = (0..50).map(|n| otlp_span(m, n)).collect();
        let resource = Resource {
            attributes: vec![
                pair("service.name", "cart"),
                pair("host.name", "node-1"),
                pair("k8s.pod.name", "cart-1"),
            ],
            ..Default::default()
        };
        let scope_spans = vec![ScopeSpans { spans, ..Default::default() }];
        let group = ResourceSpans { resource: Some(resource), scope_spans, ..Default::default() };
        TracesData { resource_spans: vec![group] }
    })
}

fn pair(key: &str, text: &str) -> KeyValue {
    let value = Some(AnyValue { value: Some(Any::StringValue(text.to_owned())) });
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

fn otlp_span(message: u64, n: u64) -> Span {
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
