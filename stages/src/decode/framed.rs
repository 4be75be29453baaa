//! Formats `raw` and `json` with an [`Input`]: a message of lines, in envelopes, several of which may
//! be one log.

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use schemas::limits::MAX_MESSAGE_TEXT_BYTES;
use schemas::topic::Format;

use super::batch::Batch;
use super::json::{cut_long_text, json_reason, lines};
use super::wire::{head, text};
use super::{Decoded, Items, Refusal};
use crate::event::LogEvent;
use crate::input::Input;
use crate::input::envelope::{Envelope, Opened};
use crate::input::multiline::{Join, Joins, Line, Multiline, Stream};
use crate::input::split::{Split, Splitter};
use crate::json::read_object;
use crate::record::Record;
use crate::value::Value;

/// A log under way: its first line's event, and the text of the further ones.
struct Open<'b> {
    event: LogEvent<'b>,
    /// Each with whether a newline stands before it.
    more: BumpVec<'b, (bool, &'b str)>,
}

pub(super) fn decode<'b>(
    arena: &'b Bump,
    record: &'b Record,
    format: Format,
    input: &Input,
) -> Result<Decoded<'b>, Refusal<'b>> {
    let payload = record.payload.as_slice();
    let mut batch = Batch::new(arena);
    let mut logs: BumpVec<'b, Open<'b>> = BumpVec::new_in(arena);
    let mut last = [None; Stream::COUNT];
    let mut joins = Joins::new(&input.multiline);
    for line in pieces(arena, payload, format, input) {
        let mut event = LogEvent::new_in(arena, record.timestamp);
        if let Err(error) = read(arena, line, format, &mut event) {
            let index = batch.number()?;
            batch.refuse(index, json_reason(&error), format_args!("{error}"), line);
            continue;
        }
        let Opened { stream, is_partial } = input.envelope.open(arena, &mut event);
        let join = joins.join(&Line { text: event.message.as_bytes(), stream, is_partial });
        match (join, last[stream as usize]) {
            (Join::Line | Join::Part, Some(at)) => {
                let log: &mut Open<'b> = &mut logs[at];
                log.more.push((join == Join::Line, event.message));
            }
            _ if is_blank(line, &event) => {}
            _ => {
                event.index = batch.number()?;
                last[stream as usize] = Some(logs.len());
                logs.push(Open { event, more: BumpVec::new_in(arena) });
            }
        }
    }
    for Open { mut event, more } in logs {
        if !more.is_empty() {
            event.message = join_text(arena, event.message, &more);
        }
        cut(&mut event);
        batch.push(event);
    }
    let (logs, refused) = batch.finish(payload.len());
    if logs.is_empty() && refused.is_empty() {
        let detail = format_args!("only blank lines where logs were expected");
        return Err(Refusal::whole(arena, "empty_payload", detail));
    }
    Ok(Decoded { items: Items::Logs(logs), refused })
}

/// The lines of a message, or all of it where it is one.
fn pieces<'b>(
    arena: &'b Bump,
    payload: &'b [u8],
    format: Format,
    input: &Input,
) -> BumpVec<'b, &'b [u8]> {
    let mut pieces = BumpVec::new_in(arena);
    if format == Format::Json {
        // One value may be spread over lines.
        let is_one = || serde_json::from_slice::<serde::de::IgnoredAny>(payload).is_ok();
        if payload.trim_ascii().contains(&b'\n') && is_one() {
            pieces.push(payload.trim_ascii());
            return pieces;
        }
    } else if matches!(input.multiline, Multiline::Whole) {
        let line = payload.strip_suffix(b"\n").unwrap_or(payload);
        pieces.push(line.strip_suffix(b"\r").unwrap_or(line));
        return pieces;
    } else if input.envelope == Envelope::Syslog {
        let mut splitter = Splitter::new(&Split::Syslog, 0);
        let mut add = |bytes: &[u8]| pieces.push(&*arena.alloc_slice_copy(bytes));
        splitter.feed(payload, &mut |piece| add(piece.bytes));
        splitter.finish(&mut |piece| add(piece.bytes));
        return pieces;
    }
    pieces.extend(lines(payload).map(|line| line.strip_suffix(b"\r").unwrap_or(line)));
    pieces
}

/// Raw text becomes the message, a JSON object the attributes.
fn read<'b>(
    arena: &'b Bump,
    line: &'b [u8],
    format: Format,
    event: &mut LogEvent<'b>,
) -> Result<(), serde_json::Error> {
    if format == Format::Json {
        if line.trim_ascii().is_empty() {
            return Ok(());
        }
        read_object(arena, line.trim_ascii(), &mut event.attributes)?;
        cut_long_text(line, &mut event.attributes);
        return Ok(());
    }
    event.message = text(arena, line);
    if event.message.as_ptr() != line.as_ptr() {
        event.attributes.set("_invalid_utf8", Value::Bool(true));
    }
    Ok(())
}

/// Nothing but blanks, and no envelope around them.
fn is_blank(line: &[u8], event: &LogEvent<'_>) -> bool {
    line.trim_ascii().is_empty() && event.message.trim_ascii().is_empty()
}

/// The text of several lines; blank ones at the end are no part of it.
fn join_text<'b>(arena: &'b Bump, first: &str, more: &[(bool, &str)]) -> &'b str {
    let length = more.iter().map(|(_, text)| text.len() + 1).sum::<usize>();
    let mut whole = BumpString::with_capacity_in(first.len() + length, arena);
    whole.push_str(first);
    for (newline, text) in more {
        if *newline {
            whole.push('\n');
        }
        whole.push_str(text);
    }
    whole.into_bump_str().trim_end_matches(['\n', '\r'])
}

fn cut(event: &mut LogEvent<'_>) {
    if event.message.len() > MAX_MESSAGE_TEXT_BYTES {
        event.message = head(event.message, MAX_MESSAGE_TEXT_BYTES);
        event.attributes.set("_truncated", Value::Bool(true));
    }
}
