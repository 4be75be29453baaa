//! The container runtime interface: `TIME STREAM TAGS TEXT`, one a line, as containerd and CRI-O write
//! the files below `/var/log/pods` (Kubernetes, "CRI logging": design proposal and
//! `pkg/kubelet/kuberuntime/logs`).
//!
//! The first of the tags, which colons separate, is `F` for a whole line and `P` for a part of one.

use std::borrow::Cow;

use bumpalo::Bump;

use super::Opened;
use crate::event::LogEvent;
use crate::input::multiline::{Line, Stream};
use crate::pipeline::dates;
use crate::value::Value;

/// The parts of a line.
struct Parts<'a> {
    time: &'a [u8],
    stream: &'static str,
    is_partial: bool,
    text: &'a [u8],
}

fn parts(line: &[u8]) -> Option<Parts<'_>> {
    let (time, rest) = word(line)?;
    // 2016-10-06T00:17:09
    if time.len() < 20 || time[4] != b'-' || time[10] != b'T' || time[13] != b':' {
        return None;
    }
    let (stream, rest) = word(rest)?;
    let stream = match stream {
        b"stdout" => "stdout",
        b"stderr" => "stderr",
        _ => return None,
    };
    // A line of nothing may lack the blank after its tag.
    let (tags, text) = word(rest).unwrap_or((rest, b""));
    let is_partial = match tags.first()? {
        b'P' => true,
        b'F' => false,
        _ => return None,
    };
    (tags.len() == 1 || tags[1] == b':').then_some(Parts { time, stream, is_partial, text })
}

/// Up to the next blank, and what is behind it.
fn word(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memchr(b' ', text)?;
    Some((&text[..at], &text[at + 1..]))
}

pub(super) fn open<'b>(_: &'b Bump, event: &mut LogEvent<'b>) -> Option<Opened> {
    let line = event.message;
    let Parts { time, stream, is_partial, text } = parts(line.as_bytes())?;
    let time = std::str::from_utf8(time).ok()?;
    let observed = dates::from_value(&Value::Str(time), event.received)?;
    event.observed = Some(observed);
    event.message = &line[line.len() - text.len()..];
    event.attributes.set("stream", Value::Str(stream));
    Some(Opened { stream: Stream::from_name(stream), is_partial })
}

pub(super) fn peek(line: &[u8]) -> Option<(Cow<'_, [u8]>, Line<'static>)> {
    let Parts { stream, is_partial, text, .. } = parts(line)?;
    Some((
        Cow::Borrowed(text),
        Line { stream: Stream::from_name(stream), is_partial, ..Line::default() },
    ))
}
