//! Syslog: RFC 5424, and RFC 3164 as it is found.
//!
//! The parts become the attributes `syslog.timestamp`, `.hostname`, `.appname`, `.procid`, `.msgid`,
//! `.facility` and `.severity` (numbers), `.structured_data.ID.NAME`; the preprocessing takes time,
//! host, service and status from there. `-` means that a part is missing.

use std::borrow::Cow;

use bumpalo::Bump;
use bumpalo::collections::String as BumpString;

use super::Opened;
use crate::event::LogEvent;
use crate::input::multiline::Line;
use crate::value::{Attributes, Value};

/// A line in its parts; a part that is missing is empty.
#[derive(Debug, Default)]
struct Parts<'a> {
    /// Facility times eight plus severity.
    priority: Option<u8>,
    version: &'a str,
    timestamp: &'a str,
    hostname: &'a str,
    appname: &'a str,
    procid: &'a str,
    msgid: &'a str,
    /// Between the first bracket and the last, both included.
    structured_data: &'a str,
    message: &'a str,
}

pub(super) fn open<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) -> Option<Opened> {
    let parts = parts(event.message)?;
    let attributes = &mut event.attributes;
    for (path, text) in [
        ("syslog.version", parts.version),
        ("syslog.timestamp", parts.timestamp),
        ("syslog.hostname", parts.hostname),
        ("syslog.appname", parts.appname),
        ("syslog.procid", parts.procid),
        ("syslog.msgid", parts.msgid),
    ] {
        if !text.is_empty() && text != "-" {
            attributes.set(path, Value::Str(text));
        }
    }
    if let Some(priority) = parts.priority {
        attributes.set("syslog.facility", Value::Int(i64::from(priority / 8)));
        attributes.set("syslog.severity", Value::Int(i64::from(priority % 8)));
    }
    structured_data(arena, parts.structured_data, attributes);
    event.message = parts.message;
    Some(Opened::default())
}

pub(super) fn peek(line: &[u8]) -> Option<(Cow<'_, [u8]>, Line<'static>)> {
    // Text that is no UTF-8 is read by what of it is; it is only looked at.
    let text = match std::str::from_utf8(line) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&line[..error.valid_up_to()]).ok()?,
    };
    Some((Cow::Borrowed(parts(text)?.message.as_bytes()), Line::default()))
}

fn parts(line: &str) -> Option<Parts<'_>> {
    let (priority, rest) = match line.strip_prefix('<') {
        Some(rest) => {
            let (digits, rest) = rest.split_at_checked(rest.find('>')?)?;
            let priority = digits.parse().ok().filter(|priority| *priority <= 191)?;
            (Some(priority), &rest[1..])
        }
        None => (None, line),
    };
    let mut parts = match rest.strip_prefix("1 ").filter(|_| priority.is_some()) {
        Some(rest) => rfc5424(rest)?,
        None => rfc3164(rest, priority.is_some())?,
    };
    parts.priority = priority;
    Some(parts)
}

/// After `<34>1 `.
fn rfc5424(text: &str) -> Option<Parts<'_>> {
    let mut words = text.splitn(6, ' ');
    let mut word = || words.next();
    let (timestamp, hostname, appname) = (word()?, word()?, word()?);
    let (procid, msgid, rest) = (word()?, word()?, word()?);
    let end = if rest.starts_with('[') {
        end_of_data(rest)?
    } else {
        rest.find(' ').unwrap_or(rest.len())
    };
    let (data, message) = rest.split_at(end);
    let message = message.strip_prefix(' ').unwrap_or(message);
    Some(Parts {
        priority: None,
        version: "1",
        timestamp,
        hostname,
        appname,
        procid,
        msgid,
        structured_data: if data == "-" { "" } else { data },
        message: message.strip_prefix('\u{feff}').unwrap_or(message),
    })
}

/// Where the structured data ends: behind the bracket that no further one follows.
fn end_of_data(text: &str) -> Option<usize> {
    let (mut quoted, mut escaped, mut depth) = (false, false, 0);
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' if !quoted => depth += 1,
            b']' if !quoted => {
                depth -= 1;
                if depth == 0 && text.as_bytes().get(index + 1) != Some(&b'[') {
                    return Some(index + 1);
                }
            }
            _ => {}
        }
    }
    None
}

/// `[id name="value" ...][...]`
fn structured_data<'b>(arena: &'b Bump, data: &'b str, attributes: &mut Attributes<'b>) {
    let mut rest = data;
    while let Some(element) = rest.strip_prefix('[') {
        let end = element.find([' ', ']']).unwrap_or(element.len());
        let (id, mut params) = element.split_at(end);
        while let Some(param) = params.strip_prefix(' ') {
            let Some((name, value)) = param.trim_start().split_once("=\"") else { return };
            let Some((value, behind)) = quoted(arena, value) else { return };
            let path = bumpalo::format!(in arena, "syslog.structured_data.{}.{}", id, name);
            attributes.set(path.into_bump_str(), Value::Str(value));
            params = behind;
        }
        rest = params.strip_prefix(']').unwrap_or("");
    }
}

/// The text up to the closing quote, without its escapes, and what is behind the quote.
fn quoted<'b>(arena: &'b Bump, text: &'b str) -> Option<(&'b str, &'b str)> {
    let mut escaped = false;
    let mut has_escapes = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => (escaped, has_escapes) = (true, true),
            b'"' => {
                let (value, behind) = (&text[..index], &text[index + 1..]);
                let value = if has_escapes { unescape(arena, value) } else { value };
                return Some((value, behind));
            }
            _ => {}
        }
    }
    None
}

/// Only `"`, `\` and `]` are escaped; a backslash before anything else stands for itself.
fn unescape<'b>(arena: &'b Bump, text: &str) -> &'b str {
    let mut out = BumpString::with_capacity_in(text.len(), arena);
    let mut chars = text.chars().peekable();
    while let Some(character) = chars.next() {
        match chars.peek() {
            Some('"' | '\\' | ']') if character == '\\' => {
                out.push(chars.next().unwrap_or(character));
            }
            _ => out.push(character),
        }
    }
    out.into_bump_str()
}

/// What came before there was a standard: `Oct 11 22:14:15 host tag[pid]: text`. Without a priority, as in
/// files, a time must stand there; with one, all but the text may be missing.
fn rfc3164(text: &str, has_priority: bool) -> Option<Parts<'_>> {
    let Some((timestamp, rest)) = time(text) else {
        return has_priority.then(|| Parts { message: text, ..Parts::default() });
    };
    let mut parts = Parts { timestamp, message: rest, ..Parts::default() };
    // A word that is no tag is the host.
    if let Some((word, behind)) = rest.split_once(' ')
        && !word.ends_with(':')
        && !word.contains('[')
    {
        (parts.hostname, parts.message) = (word, behind);
    }
    let text = parts.message;
    let is_tag = |c: char| c.is_ascii_alphanumeric() || "-_./()@".contains(c);
    let end = text.find(|c: char| !is_tag(c)).unwrap_or(text.len());
    let (tag, behind) = text.split_at(end);
    let (pid, behind) = match behind.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((pid, behind)) => (pid, behind),
        None => ("", behind),
    };
    if let Some(message) = behind.strip_prefix(':').filter(|_| !tag.is_empty()) {
        (parts.appname, parts.procid) = (tag, pid);
        parts.message = message.strip_prefix(' ').unwrap_or(message);
    }
    Some(parts)
}

/// The time at the start: RFC 3164's 15 characters, or ISO 8601 as newer daemons write it.
fn time(text: &str) -> Option<(&str, &str)> {
    let bytes = text.as_bytes();
    let is_digit = |index: usize| bytes.get(index).is_some_and(u8::is_ascii_digit);
    let is_old = bytes.len() > 15
        && bytes[..3].iter().all(u8::is_ascii_alphabetic)
        && (bytes[3], bytes[6], bytes[9], bytes[12], bytes[15]) == (b' ', b' ', b':', b':', b' ')
        && [5, 7, 8, 10, 11, 13, 14].into_iter().all(is_digit);
    if is_old {
        return Some((&text[..15], &text[16..]));
    }
    let (word, rest) = text.split_once(' ')?;
    let bytes = word.as_bytes();
    let is_iso = bytes.len() >= 19 && (bytes[4], bytes[7], bytes[10]) == (b'-', b'-', b'T');
    is_iso.then_some((word, rest))
}
