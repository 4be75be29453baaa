//! Format `json`: one JSON object, or several separated by newlines; each is one log.
//!
//! The decoder only fills attributes. Which of them are the message, the time, the service is the
//! pipeline's business. A line that is no JSON object is refused alone.

use bumpalo::Bump;
use schemas::limits::MAX_MESSAGE_TEXT_BYTES;

use super::batch::Batch;
use super::wire::head;
use super::{Decoded, Items, Refusal};
use crate::event::LogEvent;
use crate::json::read_object;
use crate::record::Record;
use crate::value::{Attributes, Value};

pub(super) fn decode<'b>(arena: &'b Bump, record: &'b Record) -> Result<Decoded<'b>, Refusal<'b>> {
    let payload = record.payload.as_slice();
    let mut batch = Batch::new(arena);
    if payload.trim_ascii().is_empty() {
        let detail = format_args!("an empty message where a JSON object was expected");
        return Err(Refusal::whole(arena, "empty_payload", detail));
    }
    // One object may be spread over several lines. Its first line alone is then no object.
    let first_end = memchr::memchr(b'\n', payload).unwrap_or(payload.len());
    let spread = payload[..first_end].trim_ascii_end();
    if matches!(spread, b"{") && first_end < payload.len() {
        let mut event = LogEvent::new_in(arena, record.timestamp);
        if read_object(arena, payload.trim_ascii(), &mut event.attributes).is_ok() {
            batch.number()?;
            cut_long_text(payload, &mut event.attributes);
            batch.push(event);
            return Ok(finish(batch, payload));
        }
    }
    for whole in lines(payload) {
        let line = whole.trim_ascii();
        if line.is_empty() {
            continue;
        }
        let mut event = LogEvent::new_in(arena, record.timestamp);
        event.index = batch.number()?;
        match read_object(arena, line, &mut event.attributes) {
            Ok(()) => {
                cut_long_text(line, &mut event.attributes);
                batch.push(event);
            }
            Err(error) => {
                // As it came, blanks included: a dead letter can be sent again.
                batch.refuse(event.index, json_reason(&error), format_args!("{error}"), whole);
            }
        }
    }
    Ok(finish(batch, payload))
}

fn finish<'b>(batch: Batch<'b, LogEvent<'b>>, payload: &[u8]) -> Decoded<'b> {
    let (logs, refused) = batch.finish(payload.len());
    Decoded { items: Items::Logs(logs), refused }
}

/// Lines without their newline.
pub(super) fn lines(payload: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(payload);
    std::iter::from_fn(move || {
        let bytes = rest?;
        match memchr::memchr(b'\n', bytes) {
            Some(end) => {
                rest = Some(&bytes[end + 1..]);
                Some(&bytes[..end])
            }
            None => rest.take(),
        }
    })
}

/// The stable name of what serde_json found.
pub(super) fn json_reason(error: &serde_json::Error) -> &'static str {
    match error.classify() {
        serde_json::error::Category::Eof => "truncated",
        // The only data error our visitors raise on well-formed JSON objects is the depth.
        _ if error.to_string().starts_with("nested deeper") => "too_deep",
        _ => "malformed_json",
    }
}

/// Cuts text over [`MAX_MESSAGE_TEXT_BYTES`] and says so in `_truncated`. `source` is what the
/// attributes were read from: nothing in it can be longer than itself.
pub(super) fn cut_long_text<'b>(source: &[u8], attributes: &mut Attributes<'b>) {
    if source.len() <= MAX_MESSAGE_TEXT_BYTES {
        return;
    }
    let mut cut = false;
    for value in attributes.values_mut() {
        if let Value::Str(text) = value
            && text.len() > MAX_MESSAGE_TEXT_BYTES
        {
            *text = head(text, MAX_MESSAGE_TEXT_BYTES);
            cut = true;
        }
    }
    if cut {
        attributes.set("_truncated", Value::Bool(true));
    }
}
