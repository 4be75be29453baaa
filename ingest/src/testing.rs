//! What the tests of several files share: real payloads, trace encoders and decoders, a recording sink.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use futures::future::BoxFuture;
use schemas::topic::Format;
use serde_json::{Map, Value, json};

use crate::sink::{Message, SendError, Sink};

/// The directory with real telemetry; tests that need it say so and pass when it is missing.
pub(crate) fn data(below: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TIDEMILL_DATA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"),
        PathBuf::from,
    );
    let path = root.join(below);
    if !path.exists() {
        eprintln!("SKIPPED: no real data at TIDEMILL_DATA or ../shared/data ({below})");
        return None;
    }
    Some(path)
}

/// The traces of every real Datadog payload: arrays of spans in the v0.4 names. Their trace ids are
/// normalised to 0, 1, ...: each file gets its own range, so that ids mean something.
pub(crate) fn datadog_payloads() -> Vec<Value> {
    let Some(dir) = data("datadog") else { return Vec::new() };
    let mut paths: Vec<_> = std::fs::read_dir(dir)
        .expect("readable")
        .map(|entry| entry.expect("entry").path())
        .collect();
    paths.sort();
    let mut payloads = Vec::new();
    for (file, path) in paths.into_iter().enumerate() {
        let mut payload: Value =
            serde_json::from_slice(&std::fs::read(path).expect("readable")).expect("JSON");
        let traces = payload.as_array_mut().expect("array");
        if !traces.iter().all(Value::is_array) {
            continue; // two of the files hold client statistics
        }
        for span in traces.iter_mut().flat_map(|trace| trace.as_array_mut().expect("spans")) {
            let id = span["trace_id"].as_u64().expect("number");
            span["trace_id"] = json!(id + 1 + 1_000 * file as u64);
        }
        payloads.push(payload);
    }
    payloads
}

/// v0.4 bytes.
pub(crate) fn v04(traces: &Value) -> Vec<u8> {
    rmp_serde::to_vec(traces).expect("memory")
}

/// v0.5 bytes: a string table, and spans as arrays of twelve.
pub(crate) fn v05(traces: &Value) -> Vec<u8> {
    let mut table = vec![String::new()];
    let mut index = |text: &str| {
        let at = table.iter().position(|known| known == text).unwrap_or(table.len());
        if at == table.len() {
            table.push(text.to_owned());
        }
        at
    };
    let mut out_traces = Vec::new();
    for trace in traces.as_array().expect("array") {
        let mut spans = Vec::new();
        for span in trace.as_array().expect("array") {
            let text = |name: &str| span[name].as_str().unwrap_or_default();
            let number = |name: &str| span[name].as_i64().unwrap_or_default();
            let mut meta = Vec::new();
            for (key, value) in span["meta"].as_object().unwrap_or(&Map::new()) {
                meta.push((index(key), index(value.as_str().expect("text"))));
            }
            let mut metrics = Vec::new();
            for (key, value) in span["metrics"].as_object().unwrap_or(&Map::new()) {
                metrics.push((index(key), value.as_f64().expect("number")));
            }
            let (service, name) = (index(text("service")), index(text("name")));
            let (resource, kind) = (index(text("resource")), index(text("type")));
            let mut bytes = vec![0x9c];
            let mut put = |value: &dyn erased::Put| value.put(&mut bytes);
            put(&service);
            put(&name);
            put(&resource);
            put(&span["trace_id"].as_u64().expect("id"));
            put(&(number("span_id") as u64));
            put(&(number("parent_id") as u64));
            put(&number("start"));
            put(&number("duration"));
            put(&number("error"));
            put(&meta);
            put(&metrics);
            put(&kind);
            spans.push(bytes);
        }
        out_traces.push(spans);
    }
    let mut out = vec![0x92];
    out.extend(rmp_serde::to_vec(&table).expect("memory"));
    crate::msgpack::put_array(&mut out, out_traces.len());
    for spans in out_traces {
        crate::msgpack::put_array(&mut out, spans.len());
        spans.iter().for_each(|span| out.extend_from_slice(span));
    }
    out
}

/// Values of v0.5 spans, written one after the other.
mod erased {
    use std::collections::HashMap;

    pub(super) trait Put {
        fn put(&self, out: &mut Vec<u8>);
    }

    impl Put for usize {
        fn put(&self, out: &mut Vec<u8>) {
            out.extend(rmp_serde::to_vec(self).expect("memory"));
        }
    }
    impl Put for u64 {
        fn put(&self, out: &mut Vec<u8>) {
            out.extend(rmp_serde::to_vec(self).expect("memory"));
        }
    }
    impl Put for i64 {
        fn put(&self, out: &mut Vec<u8>) {
            out.extend(rmp_serde::to_vec(self).expect("memory"));
        }
    }
    impl<T: serde::Serialize + Copy> Put for Vec<(usize, T)> {
        fn put(&self, out: &mut Vec<u8>) {
            let map: HashMap<usize, T> = self.iter().copied().collect();
            out.extend(rmp_serde::to_vec(&map).expect("memory"));
        }
    }
}

/// The chunks of a v0.5 payload in the v0.4 names, for comparing.
pub(crate) fn read_v05(payload: &[u8]) -> Vec<Vec<Value>> {
    type Span = (
        usize,
        usize,
        usize,
        u64,
        u64,
        u64,
        i64,
        i64,
        i64,
        std::collections::HashMap<usize, usize>,
        std::collections::HashMap<usize, f64>,
        usize,
    );
    let (table, traces): (Vec<String>, Vec<Vec<Span>>) =
        rmp_serde::from_slice(payload).expect("v0.5");
    let text = |index: usize| Value::from(table[index].as_str());
    let span = |span: Span| {
        let meta: Map<String, Value> =
            span.9.iter().map(|(key, value)| (table[*key].clone(), text(*value))).collect();
        let metrics: Map<String, Value> =
            span.10.iter().map(|(key, value)| (table[*key].clone(), json!(value))).collect();
        json!({
            "service": text(span.0), "name": text(span.1), "resource": text(span.2),
            "trace_id": span.3, "span_id": span.4, "parent_id": span.5, "start": span.6,
            "duration": span.7, "error": span.8, "meta": meta, "metrics": metrics,
            "type": text(span.11),
        })
    };
    traces.into_iter().map(|trace| trace.into_iter().map(span).collect()).collect()
}

/// The chunks of a message in the v0.4 names.
pub(crate) fn chunks(message: &Message) -> Vec<Vec<Value>> {
    match message.format {
        Some(Format::DatadogV05) => read_v05(&message.payload),
        _ => rmp_serde::from_slice(&message.payload).expect("v0.4"),
    }
}

/// The 128-bit id of a chunk, as the worker reads it.
pub(crate) fn chunk_id(chunk: &[Value]) -> u128 {
    let high = chunk[0]["meta"]["_dd.p.tid"].as_str().unwrap_or("0");
    let high = u128::from_str_radix(high, 16).expect("hex");
    high << 64 | u128::from(chunk[0]["trace_id"].as_u64().expect("id"))
}

/// Every span with its full trace id, without the tag that carries the high half: what must be the
/// same before and after splitting. Sorted.
pub(crate) fn identities(chunks: &[Vec<Value>]) -> Vec<(u128, String)> {
    let mut all = Vec::new();
    for chunk in chunks {
        let id = chunk_id(chunk);
        for span in chunk {
            let mut span = span.clone();
            if let Some(meta) = span["meta"].as_object_mut() {
                meta.remove("_dd.p.tid");
            }
            all.push((id, span.to_string()));
        }
    }
    all.sort();
    all
}

/// A sink that remembers, or fails on demand.
#[derive(Clone, Default)]
pub(crate) struct Recorder {
    state: Arc<Mutex<(Vec<Message>, Option<SendError>)>>,
}

impl Recorder {
    /// What was sent since the last call.
    pub(crate) fn take(&self) -> Vec<Message> {
        std::mem::take(&mut self.state.lock().expect("not poisoned").0)
    }

    /// Fails every send from now on, or none.
    pub(crate) fn fail(&self, error: Option<SendError>) {
        self.state.lock().expect("not poisoned").1 = error;
    }
}

impl Sink for Recorder {
    fn send(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async move {
            let mut state = self.state.lock().expect("not poisoned");
            match &state.1 {
                Some(error) => Err(error.clone()),
                None => {
                    state.0.extend(messages);
                    Ok(())
                }
            }
        })
    }
}
