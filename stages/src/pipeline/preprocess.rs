//! JSON preprocessing: the reserved attributes of a JSON log move to their fields before any
//! pipeline (Datadog documentation, "Pipelines", "Preprocessing"). What a decoder has already set
//! stays.
//!
//! An attribute with the reserved name itself moves out; one that only stands in for it (`level`,
//! `syslog.severity`, `@timestamp`, ...) also stays an attribute, since users search by it.

use bumpalo::Bump;

use super::{dates, ids};
use crate::event::LogEvent;
use crate::json;
use crate::value::{Attributes, Value};
use schemas::status::Status;

const HOST: [&str; 3] = ["host", "hostname", "syslog.hostname"];
const TIMESTAMP: [&str; 8] = [
    "@timestamp",
    "timestamp",
    "_timestamp",
    "Timestamp",
    "eventTime",
    "date",
    "published_date",
    "syslog.timestamp",
];
const STATUS: [&str; 4] = ["status", "severity", "level", "syslog.severity"];
const SERVICE: [&str; 3] = ["service", "dd.service", "syslog.appname"];
const TRACE_ID: [&str; 3] = ["dd.trace_id", "contextMap.dd.trace_id", "trace_id"];
const SPAN_ID: [&str; 3] = ["dd.span_id", "contextMap.dd.span_id", "span_id"];

/// Attributes that leave once they are read: the reserved names and what tracers inject.
const MOVED: [&str; 12] = [
    "host",
    "timestamp",
    "@timestamp",
    "status",
    "service",
    "dd.service",
    "dd.trace_id",
    "dd.span_id",
    "trace_id",
    "span_id",
    "dd.env",
    "dd.version",
];

/// Fills the reserved fields.
pub(super) fn run<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) {
    message(arena, event);
    if !event.attributes.is_empty() {
        from_attributes(arena, event);
    }
    if event.env.is_empty() {
        event.env = event.tag("env").unwrap_or("");
    }
    if event.version.is_empty() {
        event.version = event.tag("version").unwrap_or("");
    }
    if event.service.is_empty() {
        event.service = event.tag("service").unwrap_or("");
    }
}

/// The message: the attribute `message`, and, where the text is a JSON object, its members.
fn message<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) {
    if event.message.is_empty() {
        take_message(arena, event);
    }
    let text = event.message.trim();
    if !(text.starts_with('{') && text.ends_with('}')) {
        return;
    }
    let mut parsed = Attributes::new_in(arena);
    if json::read_object(arena, text.as_bytes(), &mut parsed).is_err() {
        return;
    }
    if event.attributes.is_empty() {
        event.attributes = parsed;
    } else {
        parsed.iter().for_each(|(path, value)| event.attributes.set(path, value));
    }
    take_message(arena, event);
}

fn take_message<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) {
    match event.attributes.get("message") {
        None | Some(Value::Null | Value::Str("")) => {}
        Some(value) => {
            event.message = value.text(arena);
            event.attributes.remove("message");
        }
    }
}

fn from_attributes<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) {
    let received = event.received;
    let there = event.attributes.iter().fold(0, |there, (path, _)| there | shape(path));
    if event.timestamp.is_none() {
        event.timestamp =
            first(event, there, &TIMESTAMP, |value| dates::from_value(&value, received));
    }
    if event.status.is_none() {
        event.status = first(event, there, &STATUS, |value| status(&value));
    }
    if event.trace_id.is_none() {
        event.trace_id = first(event, there, &TRACE_ID, |value| ids::trace(&value));
    }
    if event.span_id.is_none() {
        event.span_id = first(event, there, &SPAN_ID, |value| ids::span(&value));
    }
    let text = |value: Value<'b>| match value {
        Value::Array(_) | Value::Object(_) | Value::Null => None,
        value => Some(value.text(arena)).filter(|text| !text.is_empty()),
    };
    let mut fill = |field: for<'e> fn(&'e mut LogEvent<'b>) -> &'e mut &'b str, names: &[&str]| {
        if field(event).is_empty()
            && let Some(found) = first(event, there, names, text)
        {
            *field(event) = found;
        }
    };
    fill(|event| &mut event.source, &["ddsource"]);
    fill(|event| &mut event.host, &HOST);
    fill(|event| &mut event.service, &SERVICE);
    fill(|event| &mut event.env, &["dd.env"]);
    fill(|event| &mut event.version, &["dd.version"]);
    // Decoders take the source out of the envelope; one inside the text is no attribute either.
    if event.attributes.get_str("ddsource").is_some_and(|source| source == event.source) {
        event.attributes.remove("ddsource");
    }
}

/// A number is a syslog severity, a text goes by its prefix.
pub(super) fn status(value: &Value<'_>) -> Option<Status> {
    match value {
        Value::Int(number) => Some(Status::from_syslog(*number)),
        Value::Str(text) if !text.is_empty() => Some(Status::from_text(text)),
        _ => None,
    }
}

/// One bit for a path, so that names no attribute can have are passed over without a search.
fn shape(path: &str) -> u64 {
    let edge = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0));
    let bytes = path.as_bytes();
    1 << ((bytes.len() * 5 + edge(bytes.first()) + edge(bytes.last()) * 3) % 64)
}

/// The first attribute that can be read; it moves out if its name is reserved. `there` holds the
/// shapes of all attributes.
fn first<'b, T>(
    event: &mut LogEvent<'b>,
    there: u64,
    names: &[&str],
    read: impl Fn(Value<'b>) -> Option<T>,
) -> Option<T> {
    for name in names.iter().filter(|name| there & shape(name) != 0) {
        if let Some(found) = event.attributes.get(name).and_then(&read) {
            if MOVED.contains(name) {
                event.attributes.remove(name);
            }
            return Some(found);
        }
    }
    None
}
