//! Splits a trace body of v0.5 (`[strings, traces of spans of 12 fields]`) into one message per trace
//! id, each with a table of the strings it uses and no other.
//!
//! Copying the whole table into every message would let a small body become a large one.

use std::collections::{HashMap, HashSet};

use bytes::Bytes;
use schemas::id::TraceId;
use schemas::limits::{
    MAX_ATTRIBUTE_VALUE_BYTES, MAX_DECOMPRESSED_BYTES, MAX_ITEMS_PER_REQUEST, MAX_MESSAGE_BYTES,
    MAX_TRACES_PER_REQUEST,
};
use schemas::topic::{Format, Signal};

use super::v04::{TID, high_half};
use crate::intake::Split;
use crate::msgpack::{Malformed, Reader, cut, put_array, put_map, put_text, put_unsigned};
use crate::refusal::Refusal;
use crate::sink::Message;

/// Fields of a span.
const FIELDS: usize = 12;
/// Bytes a message needs besides its spans and strings.
const SLACK: usize = 256;
/// What an index or a string header may take.
const HEADER: usize = 5;

/// One span, as far as splitting needs it.
struct Span<'a> {
    raw: &'a [u8],
    trace_id: u64,
    tid: Option<&'a [u8]>,
}

/// Spans of one chunk that share a trace id.
struct Chunk<'a> {
    spans: Vec<Span<'a>>,
    tid: Option<&'a [u8]>,
}

struct Group<'a> {
    id: Option<TraceId>,
    chunks: Vec<Chunk<'a>>,
}

/// Splits `body`.
///
/// # Errors
/// As [`super::v04::split`].
pub(super) fn split(body: &Bytes) -> Result<Split, Refusal> {
    let (strings, groups) = read(body)?;
    let chunks = groups.iter().flat_map(|group| &group.chunks);
    let mut split =
        Split { records: chunks.map(|chunk| chunk.spans.len()).sum(), ..Split::default() };
    if let [group] = groups.as_slice()
        && body.len() <= MAX_MESSAGE_BYTES
    {
        split.messages.push(message(group.id, body.clone()));
        return Ok(split);
    }
    let mut written = 0usize;
    for group in &groups {
        let before = split.messages.len();
        let mut writer = Writer::new(&strings, group.id, &mut split);
        for chunk in &group.chunks {
            writer.chunk(chunk)?;
        }
        writer.flush();
        let new = split.messages.iter().skip(before);
        written += new.map(|message| message.payload.len()).sum::<usize>();
        if written > MAX_DECOMPRESSED_BYTES {
            return Err(Refusal::too_large(
                "the strings shared by the traces make the payload too large when it is split",
            ));
        }
    }
    Ok(split)
}

fn message(key: Option<TraceId>, payload: Bytes) -> Message {
    let format = Some(Format::DatadogV05);
    Message { topic: Signal::Spans, format, key, headers: Vec::new(), payload }
}

fn refuse(error: Malformed) -> Refusal {
    Refusal::malformed(format!("invalid v0.5 trace payload: {error}"))
}

type Parsed<'a> = (Vec<&'a [u8]>, Vec<Group<'a>>);

fn read(body: &[u8]) -> Result<Parsed<'_>, Refusal> {
    let mut reader = Reader::new(body);
    if reader.array().map_err(refuse)? != 2 {
        return Err(Refusal::malformed("invalid v0.5 trace payload: not an array of two"));
    }
    let count = reader.array().map_err(refuse)?;
    bounded(count, MAX_ITEMS_PER_REQUEST, "strings")?;
    let strings =
        (0..count).map(|_| reader.text()).collect::<Result<Vec<_>, _>>().map_err(refuse)?;
    let count = reader.array().map_err(refuse)?;
    bounded(count, MAX_TRACES_PER_REQUEST, "traces")?;
    let mut groups: Vec<Group<'_>> = Vec::new();
    let mut known: HashMap<u128, usize> = HashMap::new();
    let mut total = 0usize;
    for _ in 0..count {
        let count = reader.array().map_err(refuse)?;
        total += count;
        bounded(total, MAX_ITEMS_PER_REQUEST, "spans")?;
        let mut spans = Vec::with_capacity(count.min(1024));
        for _ in 0..count {
            spans.push(span(&mut reader, &strings)?);
        }
        for (id, chunk) in by_id(spans) {
            let at = *known.entry(id).or_insert(groups.len());
            match groups.get_mut(at) {
                Some(group) => group.chunks.push(chunk),
                None => groups.push(Group { id: TraceId::new(id), chunks: vec![chunk] }),
            }
        }
    }
    if !reader.is_done() {
        return Err(Refusal::malformed("invalid v0.5 trace payload: bytes after the end"));
    }
    Ok((strings, groups))
}

fn bounded(count: usize, limit: usize, what: &str) -> Result<(), Refusal> {
    if count > limit {
        return Err(Refusal::too_large(format!(
            "{count} {what} in one request; the limit is {limit}"
        )));
    }
    Ok(())
}

/// Reads one span and checks every index it holds.
fn span<'a>(reader: &mut Reader<'a>, strings: &[&'a [u8]]) -> Result<Span<'a>, Refusal> {
    let start = reader.at();
    if reader.array().map_err(refuse)? != FIELDS {
        return Err(Refusal::malformed(format!(
            "invalid v0.5 trace payload: the span at byte {start} has not {FIELDS} fields"
        )));
    }
    let (mut trace_id, mut tid) = (0, None);
    for field in 0..FIELDS {
        match field {
            0..=2 | 11 => {
                string(reader, strings)?;
            }
            3 => trace_id = reader.integer().map_err(refuse)?.unwrap_or(0),
            9 => {
                for _ in 0..reader.map().map_err(refuse)? {
                    let key = string(reader, strings)?;
                    let value = string(reader, strings)?;
                    tid = if key == TID { Some(value) } else { tid };
                }
            }
            10 => {
                for _ in 0..reader.map().map_err(refuse)? {
                    string(reader, strings)?;
                    reader.skip().map_err(refuse)?;
                }
            }
            _ => {
                reader.skip().map_err(refuse)?;
            }
        }
    }
    Ok(Span { raw: reader.since(start), trace_id, tid })
}

fn string<'a>(reader: &mut Reader<'a>, strings: &[&'a [u8]]) -> Result<&'a [u8], Refusal> {
    let at = reader.at();
    let index = reader.integer().map_err(refuse)?.and_then(|index| usize::try_from(index).ok());
    index.and_then(|index| strings.get(index)).copied().ok_or_else(|| {
        Refusal::malformed(format!(
            "invalid v0.5 trace payload: byte {at} is no index into the {} strings",
            strings.len()
        ))
    })
}

fn by_id(spans: Vec<Span<'_>>) -> Vec<(u128, Chunk<'_>)> {
    let mut parts: Vec<(u64, Chunk<'_>)> = Vec::new();
    let mut known: HashMap<u64, usize> = HashMap::new();
    for span in spans {
        let (low, tid) = (span.trace_id, span.tid);
        let at = *known.entry(low).or_insert(parts.len());
        match parts.get_mut(at) {
            Some((_, chunk)) => {
                chunk.tid = chunk.tid.or(tid);
                chunk.spans.push(span);
            }
            None => parts.push((low, Chunk { spans: vec![span], tid })),
        }
    }
    let full = |low: u64, tid| u128::from(high_half(tid)) << 64 | u128::from(low);
    parts.into_iter().map(|(low, chunk)| (full(low, chunk.tid), chunk)).collect()
}

/// Fills messages of one trace id up to the limit.
struct Writer<'s, 'a> {
    all: &'s [&'a [u8]],
    id: Option<TraceId>,
    split: &'s mut Split,
    /// From an index of the request to one of this message.
    known: HashMap<u64, u64>,
    table: Vec<u8>,
    strings: usize,
    /// Finished chunks: how many spans, and their bytes.
    chunks: Vec<u8>,
    chunk_count: usize,
    spans: Vec<u8>,
    span_count: usize,
    /// Strings are cut to this many bytes.
    longest: usize,
}

impl<'s, 'a> Writer<'s, 'a> {
    fn new(all: &'s [&'a [u8]], id: Option<TraceId>, split: &'s mut Split) -> Self {
        let mut writer = Self {
            all,
            id,
            split,
            known: HashMap::new(),
            table: Vec::new(),
            strings: 0,
            chunks: Vec::new(),
            chunk_count: 0,
            spans: Vec::new(),
            span_count: 0,
            longest: usize::MAX,
        };
        writer.reset();
        writer
    }

    fn reset(&mut self) {
        self.known.clear();
        self.table.clear();
        self.chunks.clear();
        (self.chunk_count, self.longest) = (0, usize::MAX);
        // String 0 is the empty one, by the format.
        put_text(&mut self.table, b"");
        self.strings = 1;
    }

    fn size(&self) -> usize {
        self.table.len() + self.chunks.len() + self.spans.len() + SLACK
    }

    fn chunk(&mut self, chunk: &Chunk<'a>) -> Result<(), Refusal> {
        for span in &chunk.spans {
            if self.size() + self.cost(span.raw, chunk.tid)? > MAX_MESSAGE_BYTES {
                self.flush();
                self.shorten(span.raw, chunk.tid)?;
            }
            let tid = if self.span_count == 0 && span.tid.is_none() { chunk.tid } else { None };
            self.span(span.raw, tid).map_err(refuse)?;
            if self.longest < usize::MAX {
                self.flush();
            }
        }
        self.end_chunk();
        Ok(())
    }

    /// Sets the cut so that this span fits an empty message.
    fn shorten(&mut self, raw: &[u8], tid: Option<&[u8]>) -> Result<(), Refusal> {
        while self.size() + self.cost(raw, tid)? > MAX_MESSAGE_BYTES {
            self.longest = match self.longest {
                usize::MAX => {
                    self.split.cut += 1;
                    MAX_ATTRIBUTE_VALUE_BYTES
                }
                16.. => self.longest / 4,
                _ => {
                    return Err(Refusal::too_large(format!(
                        "a span does not fit a message of {MAX_MESSAGE_BYTES} bytes even with its values cut"
                    )));
                }
            };
        }
        Ok(())
    }

    /// An upper bound of what the span adds: every index at its widest, strings that are new here.
    fn cost(&self, raw: &[u8], tid: Option<&[u8]>) -> Result<usize, Refusal> {
        let mut cost = raw.len() + tid.map_or(0, |tid| TID.len() + tid.len() + 4 * HEADER);
        let mut counted = HashSet::new();
        indexes(raw, |index| {
            cost += HEADER;
            if !self.known.contains_key(&index) && counted.insert(index) {
                cost += HEADER + self.text(index).len();
            }
        })
        .map_err(refuse)?;
        Ok(cost)
    }

    fn text(&self, index: u64) -> &'a [u8] {
        let text = usize::try_from(index).ok().and_then(|index| self.all.get(index));
        cut(text.copied().unwrap_or_default(), self.longest)
    }

    fn add(&mut self, text: &[u8]) -> u64 {
        put_text(&mut self.table, text);
        self.strings += 1;
        self.strings as u64 - 1
    }

    fn put_string(&mut self, reader: &mut Reader<'_>) -> Result<(), Malformed> {
        let index = reader.integer()?.unwrap_or(0);
        let new = match self.known.get(&index) {
            Some(new) => *new,
            None => {
                let text = self.text(index);
                let new = if text.is_empty() { 0 } else { self.add(text) };
                self.known.insert(index, new);
                new
            }
        };
        put_unsigned(&mut self.spans, new);
        Ok(())
    }

    fn span(&mut self, raw: &[u8], tid: Option<&[u8]>) -> Result<(), Malformed> {
        let mut reader = Reader::new(raw);
        put_array(&mut self.spans, reader.array()?);
        for field in 0..FIELDS {
            match field {
                0..=2 | 11 => self.put_string(&mut reader)?,
                9 => {
                    let count = reader.map()?;
                    put_map(&mut self.spans, count + usize::from(tid.is_some()));
                    if let Some(tid) = tid {
                        let pair = [self.add(TID), self.add(tid)];
                        pair.iter().for_each(|index| put_unsigned(&mut self.spans, *index));
                    }
                    for _ in 0..2 * count {
                        self.put_string(&mut reader)?;
                    }
                }
                10 => {
                    let count = reader.map()?;
                    put_map(&mut self.spans, count);
                    for _ in 0..count {
                        self.put_string(&mut reader)?;
                        self.spans.extend_from_slice(reader.skip()?);
                    }
                }
                _ => self.spans.extend_from_slice(reader.skip()?),
            }
        }
        self.span_count += 1;
        Ok(())
    }

    fn end_chunk(&mut self) {
        if self.span_count > 0 {
            put_array(&mut self.chunks, self.span_count);
            self.chunks.append(&mut self.spans);
            self.chunk_count += 1;
            self.span_count = 0;
        }
    }

    fn flush(&mut self) {
        self.end_chunk();
        if self.chunk_count > 0 {
            let mut payload = Vec::with_capacity(self.size());
            put_array(&mut payload, 2);
            put_array(&mut payload, self.strings);
            payload.extend_from_slice(&self.table);
            put_array(&mut payload, self.chunk_count);
            payload.extend_from_slice(&self.chunks);
            self.split.messages.push(message(self.id, Bytes::from(payload)));
        }
        self.reset();
    }
}

/// Calls `each` with every string index of a span.
fn indexes(raw: &[u8], mut each: impl FnMut(u64)) -> Result<(), Malformed> {
    let mut reader = Reader::new(raw);
    reader.array()?;
    for field in 0..FIELDS {
        match field {
            0..=2 | 11 => each(reader.integer()?.unwrap_or(0)),
            9 => {
                for _ in 0..2 * reader.map()? {
                    each(reader.integer()?.unwrap_or(0));
                }
            }
            10 => {
                for _ in 0..reader.map()? {
                    each(reader.integer()?.unwrap_or(0));
                    reader.skip()?;
                }
            }
            _ => {
                reader.skip()?;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
