//! Docker's json-file: `{"log":"text\n","stream":"stdout","time":"2023-01-29T08:42:22.383150913Z"}`,
//! one a line (Docker documentation, "JSON File logging driver"; moby `daemon/logger/jsonfilelog`).
//!
//! A line over 16 KiB comes in parts: all but the last have no newline at the end of `log`. `attrs`
//! (labels, environment, tag) stays as it is.

use std::borrow::Cow;

use bumpalo::Bump;

use super::{Opened, without_newline};
use crate::event::LogEvent;
use crate::input::multiline::{Line, Stream};
use crate::pipeline::dates;
use crate::value::Value;

/// Takes the text, time and stream out of the attributes.
pub(super) fn open<'b>(_: &'b Bump, event: &mut LogEvent<'b>) -> Option<Opened> {
    let attributes = &mut event.attributes;
    let Some(Value::Str(log)) = attributes.get("log") else { return None };
    let stream = attributes.get_str("stream")?;
    let time = attributes.get("time").filter(|time| time.as_str().is_some())?;
    event.observed = dates::from_value(&time, event.received).or(event.observed);
    event.message = without_newline(log);
    attributes.remove("log");
    attributes.remove("time");
    let is_partial = !log.ends_with('\n');
    Some(Opened { stream: Stream::from_name(stream), is_partial })
}

/// What lines are joined by, of Docker's own lines and of what shippers make of them.
#[derive(serde::Deserialize)]
struct Peeked<'a> {
    #[serde(borrow, default)]
    log: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    message: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    stream: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    time: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    kubernetes: Option<&'a serde_json::value::RawValue>,
    #[serde(borrow, default)]
    logtag: Option<Cow<'a, str>>,
}

pub(super) fn peek(line: &[u8]) -> Option<(Cow<'_, [u8]>, Line<'static>)> {
    // Most JSON lines are no container's: told apart without reading them.
    memchr::memmem::find(line, b"\"stream\"")?;
    let peeked: Peeked<'_> = serde_json::from_slice(line).ok()?;
    let stream = Stream::from_name(&peeked.stream?);
    let is_shipped = peeked.kubernetes.is_some() || peeked.logtag.is_some();
    let text = match (peeked.log, peeked.message) {
        (Some(log), _) => log,
        (None, Some(message)) if is_shipped => message,
        _ => return None,
    };
    if !is_shipped && peeked.time.is_none() {
        return None;
    }
    let is_partial = match peeked.logtag {
        Some(tag) => tag.starts_with('P'),
        None => !is_shipped && !text.ends_with('\n'),
    };
    let text = match text {
        Cow::Borrowed(text) => Cow::Borrowed(without_newline(text).as_bytes()),
        Cow::Owned(text) => Cow::Owned(without_newline(&text).as_bytes().to_vec()),
    };
    Some((text, Line { stream, is_partial, ..Line::default() }))
}
