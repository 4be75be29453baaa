//! What shippers and runtimes wrap around the text of a log: opened, so that text, time, stream and
//! origin stand where they belong. One file per envelope.
//!
//! The time an envelope gives is when the line was collected (`observed`): a time within the text is
//! nearer to what happened and wins. What an envelope says beyond that stays in the attributes as it
//! was sent.

mod cri;
mod docker;
mod kubernetes;
mod stored;
mod syslog;

use std::borrow::Cow;
use std::str::FromStr;

use bumpalo::Bump;
use schemas::limits::MAX_ENVELOPES;

use super::multiline::{Line, Stream};
use crate::event::LogEvent;
use crate::json::read_object;
use crate::value::{Attributes, Value};

/// Attribute with what went wrong on a log's way: a list of texts.
pub const ERRORS: &str = "pipeline_errors";

/// Which envelope logs come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Envelope {
    /// None: the text is the log.
    #[default]
    None,
    /// Whichever of the others it looks like, also one within another.
    Auto,
    /// Docker's json-file: `{"log":"text\n","stream":"stdout","time":"..."}`.
    Docker,
    /// The container runtime interface: `2016-10-06T00:17:09.669794202Z stdout F text`.
    Cri,
    /// Syslog, RFC 5424 or RFC 3164.
    Syslog,
    /// JSON with Kubernetes metadata, as Fluent Bit, Filebeat and Vector ship it.
    Kubernetes,
    /// A processed log as Datadog's archives hold it: `{"_id":..., "date":..., "attributes":{...}}`.
    Datadog,
}

/// An envelope name nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unknown envelope {0:?}; known: none, auto, docker, cri, syslog, kubernetes, datadog")]
pub struct UnknownEnvelope(pub String);

impl Envelope {
    /// Every envelope.
    pub const ALL: [Envelope; 7] = [
        Envelope::None,
        Envelope::Auto,
        Envelope::Docker,
        Envelope::Cri,
        Envelope::Syslog,
        Envelope::Kubernetes,
        Envelope::Datadog,
    ];

    /// The name in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Envelope::None => "none",
            Envelope::Auto => "auto",
            Envelope::Docker => "docker",
            Envelope::Cri => "cri",
            Envelope::Syslog => "syslog",
            Envelope::Kubernetes => "kubernetes",
            Envelope::Datadog => "datadog",
        }
    }
}

impl FromStr for Envelope {
    type Err = UnknownEnvelope;

    fn from_str(text: &str) -> Result<Self, UnknownEnvelope> {
        let found = Envelope::ALL.into_iter().find(|envelope| envelope.as_str() == text);
        found.ok_or_else(|| UnknownEnvelope(text.to_owned()))
    }
}

/// What an envelope said of the line itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Opened {
    /// Where it was written.
    pub(crate) stream: Stream,
    /// Its rest comes with the next line of the stream.
    pub(crate) is_partial: bool,
}

impl Opened {
    /// What a further envelope within says as well.
    fn and(self, inner: Opened) -> Self {
        let stream = if inner.stream == Stream::One { self.stream } else { inner.stream };
        Self { stream, is_partial: self.is_partial || inner.is_partial }
    }
}

impl Envelope {
    /// Opens the envelope of a log whose text is its message, or which is a JSON object read into its
    /// attributes. A log that does not come in it stays as it is; if one was named, a note says so.
    pub(crate) fn open<'b>(self, arena: &'b Bump, event: &mut LogEvent<'b>) -> Opened {
        let opened = match self {
            Envelope::None => return Opened::default(),
            Envelope::Auto => return open_any(arena, event),
            Envelope::Docker => open_json(arena, event, docker::open),
            Envelope::Kubernetes => open_json(arena, event, kubernetes::open),
            Envelope::Datadog => open_json(arena, event, stored::open),
            Envelope::Cri => take_message(event).then(|| cri::open(arena, event)).flatten(),
            Envelope::Syslog => take_message(event).then(|| syslog::open(arena, event)).flatten(),
        };
        match opened {
            // Within what shippers send, the text may still come in its runtime's envelope.
            Some(opened) if matches!(self, Envelope::Kubernetes) => {
                opened.and(open_any(arena, event))
            }
            Some(opened) => opened,
            None => {
                let note =
                    bumpalo::format!(in arena, "envelope: not in the form of {}", self.as_str());
                event
                    .attributes
                    .set(ERRORS, Value::Array(arena.alloc([Value::Str(note.into_bump_str())])));
                Opened::default()
            }
        }
    }

    /// The line within its envelope, without reading more of it than lines are joined by.
    pub(crate) fn peek(self, line: &[u8]) -> (Cow<'_, [u8]>, Line<'static>) {
        let plain = (Cow::Borrowed(line), Line::default());
        let found = match self {
            Envelope::None | Envelope::Datadog => None,
            Envelope::Syslog => syslog::peek(line),
            Envelope::Cri => cri::peek(line),
            Envelope::Docker | Envelope::Kubernetes => docker::peek(line),
            Envelope::Auto => match line.first() {
                Some(b'{') => docker::peek(line),
                Some(b'<') => syslog::peek(line),
                Some(b'0'..=b'9') => cri::peek(line),
                _ => None,
            },
        };
        found.unwrap_or(plain)
    }
}

/// Opens whatever envelopes the log looks to be in, from the outside in.
fn open_any<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) -> Opened {
    let mut all = Opened::default();
    for _ in 0..MAX_ENVELOPES {
        let opened = match event.message.as_bytes().first() {
            None => open_object(arena, event).or_else(|| take_message(event).then(Opened::default)),
            Some(b'{') => open_json_text(arena, event, open_object),
            Some(b'<') => syslog::open(arena, event),
            Some(b'0'..=b'9') => cri::open(arena, event),
            _ => None,
        };
        match opened {
            Some(opened) => all = all.and(opened),
            None => break,
        }
        if event.message.is_empty() {
            break;
        }
    }
    all
}

/// Of a JSON log: its attribute `message` is the text, as the preprocessing will have it.
fn take_message(event: &mut LogEvent<'_>) -> bool {
    if let Some(text) = event.attributes.get_str("message").filter(|_| event.message.is_empty()) {
        event.message = text;
        event.attributes.remove("message");
    }
    !event.message.is_empty()
}

/// How the members of a JSON object are recognised and opened.
type OpenObject = for<'b> fn(&'b Bump, &mut LogEvent<'b>) -> Option<Opened>;

fn open_object<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) -> Option<Opened> {
    stored::open(arena, event)
        .or_else(|| kubernetes::open(arena, event))
        .or_else(|| docker::open(arena, event))
}

/// Opens an object: the attributes of a JSON log, or the text of any log.
fn open_json<'b>(arena: &'b Bump, event: &mut LogEvent<'b>, open: OpenObject) -> Option<Opened> {
    if event.message.is_empty() {
        if let Some(opened) = open(arena, event) {
            return Some(opened);
        }
        take_message(event);
    }
    open_json_text(arena, event, open)
}

/// Opens text that is an object with one of the members envelopes have.
fn open_json_text<'b>(
    arena: &'b Bump,
    event: &mut LogEvent<'b>,
    open: OpenObject,
) -> Option<Opened> {
    let text = event.message.trim();
    let has = |name: &[u8]| memchr::memmem::find(text.as_bytes(), name).is_some();
    let likely = text.starts_with('{')
        && text.ends_with('}')
        && (has(b"\"log\"") || has(b"\"kubernetes\"") || has(b"\"_id\""));
    if !likely {
        return None;
    }
    let mut inner = LogEvent::new_in(arena, event.received);
    inner.attributes = Attributes::new_in(arena);
    read_object(arena, text.as_bytes(), &mut inner.attributes).ok()?;
    let opened = open(arena, &mut inner)?;
    merge(event, inner);
    Some(opened)
}

/// What was in the envelope, beside what stood outside of it.
fn merge<'b>(event: &mut LogEvent<'b>, inner: LogEvent<'b>) {
    for (path, value) in inner.attributes.iter() {
        event.attributes.set(path, value);
    }
    event.message = inner.message;
    event.timestamp = inner.timestamp.or(event.timestamp);
    event.observed = inner.observed.or(event.observed);
    event.status = inner.status.or(event.status);
    for (outer, inner) in [(&mut event.host, inner.host), (&mut event.source, inner.source)] {
        if outer.is_empty() {
            *outer = inner;
        }
    }
    event.tags.extend(inner.tags);
}

/// Text without the newline at its end.
fn without_newline(text: &str) -> &str {
    let text = text.strip_suffix('\n').unwrap_or(text);
    text.strip_suffix('\r').unwrap_or(text)
}

#[cfg(test)]
mod tests;
