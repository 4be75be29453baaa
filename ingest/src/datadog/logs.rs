//! Splits a Datadog logs body into messages: entries that name a trace are keyed by it, the others
//! share messages without a key. Entry bytes are copied as they came.
//!
//! Rules of the public API: at most 1,000 entries, an entry above 1 MB is cut and still accepted, an
//! empty body or `{}` is a probe of the agent.

use std::collections::HashMap;
use std::fmt;

use bytes::Bytes;
use schemas::id::TraceId;
use schemas::limits::{
    MAX_ATTRIBUTE_VALUE_BYTES, MAX_DEPTH, MAX_LOGS_PER_REQUEST, MAX_MESSAGE_BYTES,
};
use schemas::topic::{Format, Signal};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, Error, SeqAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use crate::intake::Split;
use crate::msgpack::cut;
use crate::refusal::Refusal;
use crate::sink::Message;

/// Request-level fields as Kafka headers, by the names in `schemas::topic`.
pub(super) type Headers = Vec<(&'static str, String)>;

/// Bytes of a message besides its entries: brackets, commas are counted with the entries.
const SLACK: usize = 64;

/// Splits a JSON body: one object or an array of objects.
pub(super) fn split_json(body: &Bytes, headers: &Headers) -> Result<Split, Refusal> {
    let text = std::str::from_utf8(body)
        .map_err(|error| Refusal::malformed(format!("the logs are not UTF-8: {error}")))?;
    let text = text.trim_start_matches('\u{feff}').trim();
    if text.is_empty() || is_probe(text) {
        return Ok(Split::default());
    }
    if depth(text.as_bytes()) > MAX_DEPTH {
        return Err(Refusal::malformed(format!("the logs nest deeper than {MAX_DEPTH} levels")));
    }
    let mut json = serde_json::Deserializer::from_str(text);
    let entries = if text.starts_with('[') {
        Entries.deserialize(&mut json)
    } else {
        <&RawValue>::deserialize(&mut json).map(|entry| vec![entry.get()])
    };
    let entries = entries.and_then(|entries| json.end().map(|()| entries)).map_err(|error| {
        match error.to_string() {
            text if text.contains(TOO_MANY) => Refusal::too_large(text),
            text => Refusal::malformed(format!("invalid JSON logs: {text}")),
        }
    })?;
    if !text.starts_with(['[', '{']) {
        return Err(Refusal::malformed("invalid JSON logs: neither an object nor an array"));
    }
    Ok(pack(&entries, body, headers))
}

/// Splits a text body: each line is the message of one log.
pub(super) fn split_text(body: &Bytes, headers: &Headers) -> Split {
    let text = String::from_utf8_lossy(body);
    let entries: Vec<String> = text
        .lines()
        .filter(|line| !line.trim().is_empty())
        .map(|line| serde_json::json!({ "message": line }).to_string())
        .collect();
    let borrowed: Vec<&str> = entries.iter().map(String::as_str).collect();
    pack(&borrowed, &Bytes::new(), headers)
}

fn is_probe(text: &str) -> bool {
    text.strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .is_some_and(|inner| inner.trim().is_empty())
}

const TOO_MANY: &str = "entries in one request";

/// The elements of an array, borrowed, up to the documented number.
struct Entries;

impl<'de> DeserializeSeed<'de> for Entries {
    type Value = Vec<&'de str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for Entries {
    type Value = Vec<&'de str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of log objects")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<Self::Value, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = array.next_element::<&RawValue>()? {
            if entries.len() == MAX_LOGS_PER_REQUEST {
                return Err(A::Error::custom(format!(
                    "more than {MAX_LOGS_PER_REQUEST} {TOO_MANY}"
                )));
            }
            // An empty object is the agent's probe, also inside an array.
            if !is_probe(entry.get()) {
                entries.push(entry.get());
            }
        }
        Ok(entries)
    }
}

/// Deepest nesting of brackets outside of strings. serde_json does not count when it skips.
fn depth(json: &[u8]) -> usize {
    let (mut now, mut deepest, mut inside, mut escaped) = (0usize, 0usize, false, false);
    for byte in json {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if inside => escaped = true,
            b'"' => inside = !inside,
            b'[' | b'{' if !inside => {
                now += 1;
                deepest = deepest.max(now);
            }
            b']' | b'}' if !inside => now = now.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

/// Puts entries into messages. `body` is the request's own bytes, used whole where that is the same.
fn pack(entries: &[&str], body: &Bytes, headers: &Headers) -> Split {
    let mut split = Split { records: entries.len(), ..Split::default() };
    let mut batches: Vec<Batch> = Vec::new();
    let mut open: HashMap<Option<TraceId>, usize> = HashMap::new();
    for entry in entries {
        let shorter = (entry.len() + SLACK > MAX_MESSAGE_BYTES).then(|| shorten(entry));
        split.cut += usize::from(shorter.is_some());
        let entry = shorter.as_deref().unwrap_or(entry);
        let key = trace_id(entry);
        let at = open.get(&key).copied().and_then(|at| batches.get_mut(at));
        match at {
            Some(batch) if batch.json.len() + entry.len() + SLACK <= MAX_MESSAGE_BYTES => {
                batch.push(entry)
            }
            _ => {
                open.insert(key, batches.len());
                let mut batch = Batch { key, json: Vec::with_capacity(entry.len() + 2) };
                batch.push(entry);
                batches.push(batch);
            }
        }
    }
    let whole =
        batches.len() == 1 && split.cut == 0 && !body.is_empty() && body.len() <= MAX_MESSAGE_BYTES;
    split.messages = batches
        .into_iter()
        .map(|batch| Message {
            topic: Signal::Logs,
            format: Some(Format::DatadogLogs),
            key: batch.key,
            headers: headers.clone(),
            payload: if whole { body.clone() } else { batch.close() },
        })
        .collect();
    split
}

/// The beginning of a JSON array.
struct Batch {
    key: Option<TraceId>,
    json: Vec<u8>,
}

impl Batch {
    fn push(&mut self, entry: &str) {
        self.json.push(if self.json.is_empty() { b'[' } else { b',' });
        self.json.extend_from_slice(entry.as_bytes());
    }

    fn close(mut self) -> Bytes {
        self.json.push(b']');
        Bytes::from(self.json)
    }
}

/// Where the attributes of an entry name its trace (preprocessing's first choices).
#[derive(Deserialize)]
struct Ids<'a> {
    #[serde(borrow, rename = "dd.trace_id")]
    flat: Option<&'a RawValue>,
    #[serde(borrow)]
    trace_id: Option<&'a RawValue>,
    #[serde(borrow)]
    dd: Option<Nested<'a>>,
}

#[derive(Deserialize)]
struct Nested<'a> {
    #[serde(borrow)]
    trace_id: Option<&'a RawValue>,
}

fn trace_id(entry: &str) -> Option<TraceId> {
    if !entry.contains("trace_id") {
        return None;
    }
    let ids: Ids<'_> = serde_json::from_str(entry).ok()?;
    let raw = ids.flat.or(ids.dd.and_then(|dd| dd.trace_id)).or(ids.trace_id)?;
    parse_id(raw.get().trim_matches('"'))
}

/// 32 characters are hex; fewer, if all digits, the low half as Datadog's decimal; else hex.
fn parse_id(text: &str) -> Option<TraceId> {
    if text.len() < 32 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        return text.parse::<u64>().ok().and_then(|low| TraceId::from_halves(0, low));
    }
    if text.len() == 16 || text.len() == 32 { TraceId::from_hex(text) } else { None }
}

/// An entry that fits a message: first its message is cut, then every long text, in the end only a
/// piece of the entry is kept as text.
fn shorten(entry: &str) -> String {
    if let Ok(mut value) = serde_json::from_str::<Value>(entry)
        && value.is_object()
    {
        for (message, others) in [
            (MAX_MESSAGE_BYTES / 2, usize::MAX),
            (MAX_MESSAGE_BYTES / 2, MAX_ATTRIBUTE_VALUE_BYTES),
            (MAX_ATTRIBUTE_VALUE_BYTES, MAX_ATTRIBUTE_VALUE_BYTES / 16),
            (MAX_ATTRIBUTE_VALUE_BYTES / 16, 256),
        ] {
            cut_texts(&mut value, message, others);
            if let Some(object) = value.as_object_mut() {
                object.insert("_truncated".to_owned(), Value::Bool(true));
            }
            let text = value.to_string();
            if text.len() + SLACK <= MAX_MESSAGE_BYTES {
                return text;
            }
        }
    }
    // Six bytes are the longest escape of one.
    let piece = shortened(entry, MAX_MESSAGE_BYTES / 8);
    serde_json::json!({ "message": piece, "_truncated": true }).to_string()
}

fn cut_texts(value: &mut Value, message: usize, others: usize) {
    match value {
        Value::String(text) if text.len() > others => {
            *text = shortened(text, others).to_owned();
        }
        Value::Array(items) => items.iter_mut().for_each(|item| cut_texts(item, others, others)),
        Value::Object(fields) => {
            for (name, field) in fields.iter_mut() {
                let longest =
                    if name == "message" { message.min(others.max(message)) } else { others };
                cut_texts(field, longest, longest);
            }
        }
        _ => {}
    }
}

fn shortened(text: &str, longest: usize) -> &str {
    std::str::from_utf8(cut(text.as_bytes(), longest)).unwrap_or_default()
}

#[cfg(test)]
mod tests;
