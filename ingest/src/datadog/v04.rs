//! Splits a trace body of v0.3/v0.4 (`array(traces) of array(spans) of map`) into one message per
//! trace id. Span bytes are copied as they came.
//!
//! The high 64 bits of the id stand in `_dd.p.tid` of the chunk's first span alone; a part of a chunk
//! that does not begin with that span gets the tag, or its spans would belong to another trace.

use std::collections::HashMap;

use bytes::Bytes;
use schemas::id::TraceId;
use schemas::limits::{
    MAX_ATTRIBUTE_VALUE_BYTES, MAX_DECOMPRESSED_BYTES, MAX_ITEMS_PER_REQUEST, MAX_MESSAGE_BYTES,
    MAX_TRACES_PER_REQUEST,
};
use schemas::topic::{Format, Signal};

use crate::intake::Split;
use crate::msgpack::{self, Malformed, Reader, copy_cut, put_array, put_map, put_text};
use crate::refusal::Refusal;
use crate::sink::Message;

/// The tag with the high half of the trace id.
pub(super) const TID: &[u8] = b"_dd.p.tid";
/// Bytes a message needs besides its spans: array headers, the tag, a map header that grew.
const SLACK: usize = 128;

/// One span, as far as splitting needs it.
struct Span<'a> {
    raw: &'a [u8],
    trace_id: u64,
    tid: Option<&'a [u8]>,
}

/// Spans that came together and share a trace id.
struct Chunk<'a> {
    spans: Vec<Span<'a>>,
    /// The whole array, when it is as it came.
    raw: Option<&'a [u8]>,
    tid: Option<&'a [u8]>,
}

/// All chunks of one trace id, in the order they came.
struct Group<'a> {
    id: Option<TraceId>,
    chunks: Vec<Chunk<'a>>,
}

/// Splits `body`.
///
/// # Errors
/// Malformed when the body is not MessagePack of this shape, too large when a count is above its limit.
pub(super) fn split(body: &Bytes) -> Result<Split, Refusal> {
    let groups = read(body)?;
    let mut split = Split { records: spans(&groups), ..Split::default() };
    if let [group] = groups.as_slice()
        && body.len() <= MAX_MESSAGE_BYTES
    {
        split.messages.push(message(group.id, body.clone()));
        return Ok(split);
    }
    let mut written = 0usize;
    for group in &groups {
        let before = split.messages.len();
        let mut writer = Writer { id: group.id, parts: Vec::new(), size: SLACK, split: &mut split };
        for chunk in &group.chunks {
            writer.chunk(chunk)?;
        }
        writer.flush();
        let new = split.messages.iter().skip(before);
        written += new.map(|message| message.payload.len()).sum::<usize>();
        if written > MAX_DECOMPRESSED_BYTES {
            return Err(Refusal::too_large(format!(
                "the traces are more than {MAX_DECOMPRESSED_BYTES} bytes after splitting"
            )));
        }
    }
    Ok(split)
}

fn spans(groups: &[Group<'_>]) -> usize {
    groups.iter().flat_map(|group| &group.chunks).map(|chunk| chunk.spans.len()).sum()
}

fn message(key: Option<TraceId>, payload: Bytes) -> Message {
    let format = Some(Format::DatadogV04);
    Message { topic: Signal::Spans, format, key, headers: Vec::new(), payload }
}

fn refuse(error: Malformed) -> Refusal {
    Refusal::malformed(format!("invalid trace payload: {error}"))
}

fn read(body: &[u8]) -> Result<Vec<Group<'_>>, Refusal> {
    let mut reader = Reader::new(body);
    let count = reader.array().map_err(refuse)?;
    if count > MAX_TRACES_PER_REQUEST {
        return Err(Refusal::too_large(format!(
            "{count} traces in one request; the limit is {MAX_TRACES_PER_REQUEST}"
        )));
    }
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: HashMap<u128, usize> = HashMap::new();
    let mut total = 0usize;
    for _ in 0..count {
        let start = reader.at();
        let spans = chunk_spans(&mut reader).map_err(refuse)?;
        total += spans.len();
        if total > MAX_ITEMS_PER_REQUEST {
            return Err(Refusal::too_large(format!("more than {MAX_ITEMS_PER_REQUEST} spans")));
        }
        for (id, chunk) in by_id(spans, reader.since(start)) {
            let at = *known.entry(id).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.chunks.push(chunk),
                None => groups.push(Group { id: TraceId::new(id), chunks: vec![chunk] }),
            }
        }
    }
    if !reader.is_done() {
        return Err(Refusal::malformed("invalid trace payload: bytes after the end"));
    }
    Ok(groups)
}

fn chunk_spans<'a>(reader: &mut Reader<'a>) -> Result<Vec<Span<'a>>, Malformed> {
    let count = reader.array()?;
    let mut spans = Vec::with_capacity(count.min(1024));
    for _ in 0..count {
        spans.push(span(reader)?);
    }
    Ok(spans)
}

fn span<'a>(reader: &mut Reader<'a>) -> Result<Span<'a>, Malformed> {
    let start = reader.at();
    let (mut trace_id, mut tid) = (0, None);
    for _ in 0..reader.map()? {
        match reader.text()? {
            b"trace_id" => trace_id = reader.integer()?.unwrap_or(0),
            b"meta" => tid = meta_tid(reader)?,
            _ => {
                reader.skip()?;
            }
        }
    }
    Ok(Span { raw: reader.since(start), trace_id, tid })
}

fn meta_tid<'a>(reader: &mut Reader<'a>) -> Result<Option<&'a [u8]>, Malformed> {
    let mut tid = None;
    for _ in 0..reader.map()? {
        if reader.text()? == TID {
            tid = Some(reader.text()?);
        } else {
            reader.skip()?;
        }
    }
    Ok(tid)
}

/// The high half named by a `_dd.p.tid` value; zero for none and for nonsense, as tracers do.
pub(super) fn high_half(tid: Option<&[u8]>) -> u64 {
    tid.and_then(|tid| std::str::from_utf8(tid).ok())
        .filter(|tid| tid.len() == 16 && tid.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .and_then(|tid| u64::from_str_radix(tid, 16).ok())
        .unwrap_or(0)
}

/// Sorts the spans of one chunk by full trace id; almost always there is one.
fn by_id<'a>(spans: Vec<Span<'a>>, raw: &'a [u8]) -> Vec<(u128, Chunk<'a>)> {
    let Some(first) = spans.first() else { return Vec::new() };
    let low = first.trace_id;
    let tid = spans.iter().find_map(|span| span.tid);
    let high = u128::from(high_half(tid)) << 64;
    if spans.iter().all(|span| span.trace_id == low) {
        let id = high | u128::from(low);
        let raw = (first.tid.is_some() || tid.is_none()).then_some(raw);
        return vec![(id, Chunk { spans, raw, tid })];
    }
    let mut parts: Vec<(u64, Chunk<'a>)> = Vec::new();
    let mut known: HashMap<u64, usize> = HashMap::new();
    for span in spans {
        let at = *known.entry(span.trace_id).or_insert(parts.len());
        let own = span.tid;
        match parts.get_mut(at) {
            Some((_, chunk)) => {
                chunk.tid = chunk.tid.or(own);
                chunk.spans.push(span);
            }
            None => parts.push((span.trace_id, Chunk { spans: vec![span], raw: None, tid: own })),
        }
    }
    let full = |low: u64, tid| u128::from(high_half(tid)) << 64 | u128::from(low);
    parts.into_iter().map(|(low, chunk)| (full(low, chunk.tid), chunk)).collect()
}

/// Fills messages of one trace id up to the limit.
struct Writer<'s> {
    id: Option<TraceId>,
    parts: Vec<Vec<u8>>,
    size: usize,
    split: &'s mut Split,
}

impl Writer<'_> {
    fn chunk(&mut self, chunk: &Chunk<'_>) -> Result<(), Refusal> {
        match chunk.raw {
            Some(raw) if raw.len() + SLACK <= MAX_MESSAGE_BYTES => {
                self.room_for(raw.len());
                self.size += raw.len();
                self.parts.push(raw.to_vec());
                Ok(())
            }
            _ => self.spans(chunk),
        }
    }

    /// Writes a chunk span by span, each part beginning with a span that has the tag.
    fn spans(&mut self, chunk: &Chunk<'_>) -> Result<(), Refusal> {
        let mut part = Vec::new();
        let mut count = 0usize;
        for span in &chunk.spans {
            let cut = fitted(span.raw, &mut self.split.cut)?;
            let raw = cut.as_deref().unwrap_or(span.raw);
            if part.len() + raw.len() + SLACK > MAX_MESSAGE_BYTES {
                self.part(&part, count);
                part.clear();
                count = 0;
            }
            match (count, span.tid, chunk.tid) {
                (0, None, Some(tid)) => tagged(raw, tid, &mut part).map_err(refuse)?,
                _ => part.extend_from_slice(raw),
            }
            count += 1;
        }
        self.part(&part, count);
        Ok(())
    }

    fn part(&mut self, spans: &[u8], count: usize) {
        if count == 0 {
            return;
        }
        self.room_for(spans.len() + 5);
        let mut part = Vec::with_capacity(spans.len() + 5);
        put_array(&mut part, count);
        part.extend_from_slice(spans);
        self.size += part.len();
        self.parts.push(part);
    }

    fn room_for(&mut self, bytes: usize) {
        if self.size + bytes > MAX_MESSAGE_BYTES {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if self.parts.is_empty() {
            return;
        }
        let mut payload = Vec::with_capacity(self.size);
        put_array(&mut payload, self.parts.len());
        for part in self.parts.drain(..) {
            payload.extend_from_slice(&part);
        }
        self.size = SLACK;
        self.split.messages.push(message(self.id, Bytes::from(payload)));
    }
}

/// A span that is too large for a message, with its long values cut; `None` when it fits as it is.
/// The worker cuts values to the same length, so only spans with many long values lose more.
fn fitted(raw: &[u8], cut: &mut usize) -> Result<Option<Vec<u8>>, Refusal> {
    if raw.len() + SLACK <= MAX_MESSAGE_BYTES {
        return Ok(None);
    }
    let mut longest = MAX_ATTRIBUTE_VALUE_BYTES;
    while longest >= 16 {
        let mut shorter = Vec::new();
        copy_cut(&mut Reader::new(raw), longest, &mut shorter).map_err(refuse)?;
        if shorter.len() + SLACK <= MAX_MESSAGE_BYTES {
            *cut += 1;
            return Ok(Some(shorter));
        }
        longest /= 4;
    }
    Err(Refusal::too_large(format!(
        "a span of {} bytes does not fit a message of {MAX_MESSAGE_BYTES} bytes even with its values cut",
        raw.len()
    )))
}

/// Writes the span with `_dd.p.tid` in its meta.
fn tagged(raw: &[u8], tid: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut reader = Reader::new(raw);
    let fields = reader.map()?;
    let body = reader.at();
    let mut meta = None;
    for _ in 0..fields {
        let is_meta = reader.text()? == b"meta";
        let start = reader.at();
        if is_meta {
            let count = reader.map()?;
            meta = Some((start, reader.at(), count));
            (0..2 * count).try_for_each(|_| reader.skip().map(|_| ()))?;
        } else {
            reader.skip()?;
        }
    }
    let slice = |from: usize, to: usize| raw.get(from..to).unwrap_or_default();
    put_map(out, fields + usize::from(meta.is_none()));
    let (start, entries, count) = match meta {
        Some(found) => found,
        None => {
            put_text(out, b"meta");
            (body, body, 0)
        }
    };
    if meta.is_some() {
        out.extend_from_slice(slice(body, start));
    }
    put_map(out, count + 1);
    put_text(out, TID);
    put_text(out, msgpack::cut(tid, 16));
    out.extend_from_slice(slice(entries, raw.len()));
    Ok(())
}

#[cfg(test)]
mod tests;
