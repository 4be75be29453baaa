//! Believable messages of every format, the same at every run.

pub(crate) mod otlp;

use std::collections::BTreeMap;

use serde_json::json;
use stages::record::Record;

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

/// One line of an access log per message, as a log shipper produces them.
pub(crate) fn raw(messages: usize) -> Vec<Record> {
    records((0..messages as u64).map(|n| {
        let (host, path, millis) = (n % 250, n * 7919 % 100_000, n % 300);
        format!(
            r#"10.0.{host}.7 - u{user} [27/Apr/2024:12:00:00 +0000] "GET /cart/{path} HTTP/1.1" 200 {bytes} "https://shop.example/" "Mozilla/5.0 (X11; Linux x86_64)" {millis}"#,
            user = n % 1_000,
            bytes = n * 31 % 9_000,
        )
        .into_bytes()
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
