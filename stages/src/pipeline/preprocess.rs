//! JSON preprocessing: the reserved attributes of a JSON log move to their fields before any
//! pipeline (Datadog documentation, "Pipelines", "Preprocessing"). What a decoder has already set
//! stays.
//!
//! An attribute with the reserved name itself moves out; one that only stands in for it (`level`,
//! `syslog.severity`, `@timestamp`, ...) also stays an attribute, since users search by it.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::MAX_PREPROCESSING_NAMES;
use schemas::status::Status;

use super::config::{ConfigError, PreprocessingConfig};
use super::{dates, ids};
use crate::event::LogEvent;
use crate::json;
use crate::value::{Attributes, Value};

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

/// The attributes tried for each field, compiled.
#[derive(Debug)]
pub(super) struct Preprocess {
    source: Names,
    host: Names,
    date: Names,
    message: Names,
    status: Names,
    service: Names,
    trace_id: Names,
    span_id: Names,
    env: Names,
    version: Names,
}

/// Attributes in order.
type Names = Vec<Name>;

#[derive(Debug)]
struct Name {
    path: Box<str>,
    shape: u64,
    /// Whether it leaves once it is read.
    moves: bool,
}

impl Preprocess {
    /// Compiles the lists.
    pub(super) fn compile(config: &PreprocessingConfig, errors: &mut Vec<ConfigError>) -> Self {
        let mut names = |names: &[String], field: &str| -> Names {
            let bad = names.iter().any(|name| name.trim().is_empty());
            if bad || names.len() > MAX_PREPROCESSING_NAMES {
                errors.push(ConfigError {
                    path: format!("preprocessing.{field}"),
                    reason: format!(
                        "must be at most {MAX_PREPROCESSING_NAMES} names of attributes"
                    ),
                });
            }
            names.iter().map(|name| Name::new(name)).collect()
        };
        Self {
            source: names(&config.source, "source"),
            host: names(&config.host, "host"),
            date: names(&config.date, "date"),
            message: names(&config.message, "message"),
            status: names(&config.status, "status"),
            service: names(&config.service, "service"),
            trace_id: names(&config.trace_id, "trace_id"),
            span_id: names(&config.span_id, "span_id"),
            env: vec![Name::new("dd.env")],
            version: vec![Name::new("dd.version")],
        }
    }

    /// Fills the reserved fields.
    pub(super) fn run<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        self.message(arena, event);
        if !event.attributes.is_empty() {
            self.reserved(arena, event);
        }
        // Error tracking reads `env` and `version` of a log as attributes too (documented); they stay there.
        if event.env.is_empty() {
            event.env = event.tag("env").or_else(|| plain(arena, event, "env")).unwrap_or("");
        }
        if event.version.is_empty() {
            let version = event.tag("version").or_else(|| plain(arena, event, "version"));
            event.version = version.unwrap_or("");
        }
        if event.service.is_empty() {
            event.service = event.tag("service").unwrap_or("");
        }
    }

    /// The message: the attribute `message`, and, where the text is a JSON object, its members.
    fn message<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        if event.message.is_empty() {
            self.take_message(arena, event);
        }
        let text = event.message.trim();
        if !(text.starts_with('{') && text.ends_with('}')) {
            return;
        }
        let mut parsed = Attributes::new_in(arena);
        if let Err(error) = json::read_object(arena, text.as_bytes(), &mut parsed) {
            // Well-formed so far, and refused by a limit of ours.
            if error.is_data() {
                event.fail(arena, "json", "nested deeper than 64: the message stays text");
            }
            return;
        }
        if event.attributes.is_empty() {
            event.attributes = parsed;
        } else {
            parsed.iter().for_each(|(path, value)| event.attributes.set(path, value));
        }
        self.take_message(arena, event);
    }

    fn take_message<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        for name in &self.message {
            match event.attributes.get(&name.path) {
                None if hoist(arena, &mut event.attributes, &name.path) => return,
                None | Some(Value::Null | Value::Str("")) => {}
                Some(value) => {
                    event.message = value.text(arena);
                    event.attributes.remove(&name.path);
                    return;
                }
            }
        }
    }

    fn reserved<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let received = event.received;
        let there = event.attributes.iter().fold(0, |there, (path, _)| there | shape(path));
        if event.timestamp.is_none() {
            event.timestamp =
                first(event, there, &self.date, |value| dates::from_value(&value, received));
        }
        if event.status.is_none() {
            event.status = first(event, there, &self.status, |value| severity(&value));
        }
        if event.trace_id.is_none() {
            event.trace_id = first(event, there, &self.trace_id, |value| ids::trace(&value));
        }
        if event.span_id.is_none() {
            event.span_id = first(event, there, &self.span_id, |value| ids::span(&value));
        }
        let text = |value: Value<'b>| scalar(arena, value);
        let mut fill = |field: for<'e> fn(&'e mut LogEvent<'b>) -> &'e mut &'b str,
                        names: &[Name]| {
            if field(event).is_empty()
                && let Some(found) = first(event, there, names, text)
            {
                *field(event) = found;
            }
        };
        fill(|event| &mut event.source, &self.source);
        fill(|event| &mut event.host, &self.host);
        fill(|event| &mut event.service, &self.service);
        fill(|event| &mut event.env, &self.env);
        fill(|event| &mut event.version, &self.version);
        // Decoders take the source out of the envelope; one inside the text is no attribute either.
        let reads_source = self.source.iter().any(|name| &*name.path == "ddsource");
        if reads_source
            && event.attributes.get_str("ddsource").is_some_and(|source| source == event.source)
        {
            event.attributes.remove("ddsource");
        }
    }
}

impl Name {
    fn new(path: &str) -> Self {
        Self { path: path.into(), shape: shape(path), moves: MOVED.contains(&path) }
    }
}

/// The text of an attribute that is neither list nor object.
fn plain<'b>(arena: &'b Bump, event: &LogEvent<'b>, path: &str) -> Option<&'b str> {
    scalar(arena, event.attributes.get(path)?)
}

fn scalar<'b>(arena: &'b Bump, value: Value<'b>) -> Option<&'b str> {
    match value {
        Value::Array(_) | Value::Object(_) | Value::Null => None,
        value => Some(value.text(arena)).filter(|text| !text.is_empty()),
    }
}

/// The members of an object at `path` become the log's own: agents send a structured message so. Whether
/// there was one.
fn hoist<'b>(arena: &'b Bump, attributes: &mut Attributes<'b>, path: &str) -> bool {
    let members = BumpVec::from_iter_in(attributes.below(path), arena);
    for (full, value) in &members {
        attributes.remove(full);
        attributes.set(full.get(path.len() + 1..).unwrap_or_default(), *value);
    }
    !members.is_empty()
}

/// A status in a log as it came. A number that is no severity is something else: `status: 200` stays an
/// attribute.
fn severity(value: &Value<'_>) -> Option<Status> {
    match value {
        Value::Int(number) if !(0..=7).contains(number) => None,
        value => status(value),
    }
}

/// A number is a syslog severity, a text goes by its prefix.
pub(super) fn status(value: &Value<'_>) -> Option<Status> {
    match value {
        Value::Int(number) => Some(Status::from_syslog(*number)),
        Value::Float(number) if number.fract() == 0.0 => Some(Status::from_syslog(*number as i64)),
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
    names: &[Name],
    read: impl Fn(Value<'b>) -> Option<T>,
) -> Option<T> {
    for name in names.iter().filter(|name| there & name.shape != 0) {
        if let Some(found) = event.attributes.get(&name.path).and_then(&read) {
            if name.moves {
                event.attributes.remove(&name.path);
            }
            return Some(found);
        }
    }
    None
}
