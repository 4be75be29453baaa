//! Format `raw`: the message is the text of one log.
//!
//! Bytes that are no UTF-8 do not cost the log: they become U+FFFD, marked `_invalid_utf8`. One
//! newline at the end is the separator of whoever sent it, not part of the text.

use bumpalo::Bump;
use schemas::limits::MAX_MESSAGE_TEXT_BYTES;

use super::batch::Batch;
use super::wire::{head, text};
use super::{Decoded, Items, Refusal};
use crate::event::LogEvent;
use crate::record::Record;
use crate::value::Value;

pub(super) fn decode<'b>(arena: &'b Bump, record: &'b Record) -> Result<Decoded<'b>, Refusal<'b>> {
    let payload = record.payload.as_slice();
    let line = payload.strip_suffix(b"\n").unwrap_or(payload);
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    if line.is_empty() {
        let detail = format_args!("an empty message where a log line was expected");
        return Err(Refusal::whole(arena, "empty_payload", detail));
    }
    let mut batch = Batch::new(arena);
    let mut event = LogEvent::new_in(arena, record.timestamp);
    event.index = batch.number()?;
    let whole = text(arena, line);
    if whole.as_ptr() != line.as_ptr() {
        event.attributes.set("_invalid_utf8", Value::Bool(true));
    }
    event.message = head(whole, MAX_MESSAGE_TEXT_BYTES);
    if event.message.len() < whole.len() {
        event.attributes.set("_truncated", Value::Bool(true));
    }
    batch.push(event);
    let (logs, refused) = batch.finish(payload.len());
    Ok(Decoded { items: Items::Logs(logs), refused })
}
