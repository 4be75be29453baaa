//! What a Datadog tracer and a Datadog log shipper send: trace payloads v0.4 in msgpack, logs in JSON.

use std::collections::BTreeMap;
use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use rmp::encode as pack;
use serde_json::{Value, json};

use super::shop::{ENV, Failure, Kind, Log, Span, Text, Work};

/// A v0.4 body: spans of one service, grouped by trace. Written by hand because that is what tracers
/// do; writing to memory cannot fail.
pub(super) fn traces(spans: &[&Span]) -> Vec<u8> {
    let mut by_trace: BTreeMap<u128, Vec<&Span>> = BTreeMap::new();
    for span in spans {
        by_trace.entry(span.trace).or_default().push(span);
    }
    let mut out = Vec::with_capacity(spans.len() * 600);
    array(&mut out, by_trace.len());
    for chunk in by_trace.values() {
        array(&mut out, chunk.len());
        for (index, span) in chunk.iter().enumerate() {
            one_span(&mut out, span, index == 0);
        }
    }
    out
}

/// Number of traces in a body, for the header tracers set.
pub(super) fn trace_count(spans: &[&Span]) -> usize {
    let mut traces: Vec<u128> = spans.iter().map(|span| span.trace).collect();
    traces.sort_unstable();
    traces.dedup();
    traces.len()
}

fn one_span(out: &mut Vec<u8>, span: &Span, first: bool) {
    let (name, kind) = match (&span.work, span.kind) {
        (Work::Http { .. }, Kind::Server) => ("web.request", "web"),
        (Work::Http { .. }, Kind::Client) => ("http.request", "http"),
        (Work::Database { system: "redis", .. }, _) => ("redis.command", "redis"),
        (Work::Database { .. }, _) => ("postgres.query", "sql"),
    };
    map(out, 12);
    text(out, "service", span.service.name());
    text(out, "name", name);
    text(out, "resource", &span.resource());
    text(out, "type", kind);
    let low = span.trace as u64;
    for (key, value) in [("trace_id", low), ("span_id", span.id), ("parent_id", span.parent)] {
        put_text(out, key);
        let _ = pack::write_u64(out, value);
    }
    for (key, value) in [("start", span.start_ns), ("duration", span.duration_ns)] {
        put_text(out, key);
        let _ = pack::write_sint(out, value);
    }
    put_text(out, "error");
    let _ = pack::write_sint(out, i64::from(span.failure.is_some()));
    let meta = meta(span, first);
    put_text(out, "meta");
    map(out, meta.len());
    meta.iter().for_each(|(key, value)| text(out, key, value));
    let numbers = numbers(span, first);
    put_text(out, "metrics");
    map(out, numbers.len());
    for (key, value) in numbers {
        put_text(out, key);
        let _ = pack::write_f64(out, value);
    }
}

fn meta(span: &Span, first: bool) -> Vec<(&'static str, String)> {
    let kind = if span.kind == Kind::Server { "server" } else { "client" };
    let mut meta = vec![
        ("env", ENV.to_owned()),
        ("version", span.service.version().to_owned()),
        ("span.kind", kind.to_owned()),
        ("language", span.service.language().to_owned()),
        ("_dd.hostname", span.service.host().to_owned()),
    ];
    if first {
        meta.push(("_dd.p.tid", format!("{:016x}", (span.trace >> 64) as u64)));
    }
    match &span.work {
        Work::Http { method, route, path, status, peer } => {
            meta.push(("http.method", (*method).to_owned()));
            meta.push(("http.route", (*route).to_owned()));
            meta.push(("http.url", format!("http://shop.example{path}")));
            meta.push(("http.status_code", status.to_string()));
            meta.extend(peer.map(|peer| ("peer.service", peer.name().to_owned())));
        }
        Work::Database { system, statement, .. } => {
            meta.push(("db.system", (*system).to_owned()));
            meta.push(("db.statement", (*statement).to_owned()));
            meta.push(("peer.service", (*system).to_owned()));
        }
    }
    if let Some(Failure { kind, message, stack }) = &span.failure {
        meta.push(("error.type", (*kind).to_owned()));
        meta.push(("error.message", message.clone()));
        meta.push(("error.stack", stack.clone()));
    }
    meta
}

fn numbers(span: &Span, first: bool) -> Vec<(&'static str, f64)> {
    let mut numbers = vec![("process_id", 4_711.0)];
    if first {
        numbers.push(("_sampling_priority_v1", 1.0));
    }
    if span.kind == Kind::Server {
        numbers.push(("_dd.top_level", 1.0));
    }
    if let Work::Database { rows, .. } = &span.work {
        numbers.push(("db.row_count", f64::from(*rows)));
    }
    numbers
}

/// A logs body: a JSON array, as `POST /api/v2/logs` takes it.
pub(super) fn logs(logs: &[&Log]) -> Vec<u8> {
    let entries: Vec<Value> = logs.iter().map(|log| one_log(log)).collect();
    Value::from(entries).to_string().into_bytes()
}

/// Gzip, as log shippers send it.
pub(super) fn gzip(body: &[u8]) -> std::io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 8), Compression::fast());
    encoder.write_all(body)?;
    encoder.finish()
}

fn one_log(log: &Log) -> Value {
    let millis = log.time_ns / 1_000_000;
    let mut entry = json!({
        "ddsource": log.service.language(),
        "ddtags": format!("env:{ENV},version:{}", log.service.version()),
        "hostname": log.service.host(),
        "service": log.service.name(),
    });
    let mut body = json!({
        "timestamp": millis,
        "level": log.level.name(),
    });
    if let Some((trace, span)) = log.context {
        body["dd"] = json!({ "trace_id": format!("{trace:032x}"), "span_id": span.to_string() });
    }
    match &log.text {
        Text::Access(access) => {
            body["logger"] = json!("access");
            body["http"] = json!({ "method": access.method, "url": access.path, "status_code": access.status });
            body["duration_ms"] = json!(access.duration_ms());
            body["network"] =
                json!({ "bytes_written": access.bytes, "client": { "ip": access.client } });
            body["message"] = json!(format!("{} {} {}", access.method, access.path, access.status));
        }
        Text::Application { message, failure } => {
            body["logger"] = json!("application");
            body["message"] = json!(message);
            if let Some(Failure { kind, message, stack }) = failure {
                body["error"] = json!({ "kind": kind, "message": message, "stack": stack });
            }
        }
        Text::SlowQuery { database, duration_ms } => {
            // Plain text: its trace context travels beside it, as log injection does.
            let time = chrono::DateTime::from_timestamp_millis(millis).unwrap_or_default();
            let line = format!(
                "{} {} [{}] Slow query: host={database} duration={duration_ms}ms",
                time.format("%Y-%m-%d %H:%M:%S"),
                log.level.name(),
                log.service.name(),
            );
            entry["message"] = json!(line);
            entry["timestamp"] = json!(millis);
            entry["dd"] = body["dd"].take();
            return entry;
        }
    }
    entry["message"] = json!(body.to_string());
    entry
}

fn array(out: &mut Vec<u8>, len: usize) {
    let _ = pack::write_array_len(out, u32::try_from(len).unwrap_or(u32::MAX));
}

fn map(out: &mut Vec<u8>, len: usize) {
    let _ = pack::write_map_len(out, u32::try_from(len).unwrap_or(u32::MAX));
}

fn put_text(out: &mut Vec<u8>, value: &str) {
    let _ = pack::write_str(out, value);
}

fn text(out: &mut Vec<u8>, key: &str, value: &str) {
    put_text(out, key);
    put_text(out, value);
}

#[cfg(test)]
mod tests {
    use super::super::{shop::Service, story};
    use super::*;

    #[derive(serde::Deserialize)]
    struct Read {
        service: String,
        trace_id: u64,
        span_id: u64,
        parent_id: u64,
        start: i64,
        duration: i64,
        error: i32,
        meta: BTreeMap<String, String>,
        metrics: BTreeMap<String, f64>,
    }

    #[test]
    fn a_trace_body_reads_back_with_an_independent_decoder() {
        let shop = story::tell(7, 1_767_225_600_000_000_000);
        let spans: Vec<&Span> =
            shop.spans.iter().filter(|span| span.service == Service::Inventory).take(500).collect();
        let read: Vec<Vec<Read>> = rmp_serde::from_slice(&traces(&spans)).expect("msgpack");
        assert_eq!(read.len(), trace_count(&spans));
        let by_id: BTreeMap<u64, &&Span> = spans.iter().map(|span| (span.id, span)).collect();
        assert_eq!(read.iter().flatten().count(), spans.len());
        for chunk in &read {
            let high = u128::from_str_radix(&chunk[0].meta["_dd.p.tid"], 16).expect("hex");
            for span in chunk {
                let sent = by_id[&span.span_id];
                assert_eq!(high << 64 | u128::from(span.trace_id), sent.trace);
                assert_eq!((span.parent_id, span.start), (sent.parent, sent.start_ns));
                assert_eq!(
                    (span.duration, span.error == 1),
                    (sent.duration_ns, sent.failure.is_some())
                );
                assert_eq!(span.service, "inventory");
                assert!(span.metrics.contains_key("process_id"));
            }
        }
    }

    #[test]
    fn a_log_body_is_an_array_whose_messages_carry_the_trace() {
        let shop = story::tell(7, 1_767_225_600_000_000_000);
        let some: Vec<&Log> =
            shop.logs.iter().filter(|log| log.service == Service::Inventory).collect();
        let read: Vec<Value> = serde_json::from_slice(&logs(&some)).expect("json");
        assert_eq!(read.len(), some.len());
        for (entry, log) in read.iter().zip(&some) {
            let text = entry["message"].as_str().expect("text");
            let inner: Value = serde_json::from_str(text).unwrap_or_else(|_| entry.clone());
            let trace = log.context.map(|(trace, _)| format!("{trace:032x}"));
            assert_eq!(inner["dd"]["trace_id"].as_str(), trace.as_deref());
        }
        assert!(read.iter().any(|entry| {
            entry["message"].as_str().is_some_and(|m| m.contains("Slow query: host=db01"))
        }));
    }
}
