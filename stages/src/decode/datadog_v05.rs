//! Format `datadog_v05`: msgpack, `[strings, traces]`, a span is an array of twelve with indexes
//! into the strings (libdatadog `libdd-trace-utils`, `msgpack_decoder/v05`).

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::MAX_ATTRIBUTES;

use super::batch::Batch;
use super::datadog_span::{RawSpan, finish_chunk};
use super::msgpack::Reader;
use super::wire::WireError;
use super::{Decoded, Items, Refusal};
use crate::record::Record;
use crate::span::Span;
use crate::value::Value;

/// Elements of a span.
const SPAN_FIELDS: usize = 12;

pub(super) fn decode<'b>(arena: &'b Bump, record: &'b Record) -> Result<Decoded<'b>, Refusal<'b>> {
    let malformed = |detail| Refusal::whole(arena, "malformed_msgpack", detail);
    let refused = |error: WireError| error.refusal(arena);
    let mut batch: Batch<'b, Span<'b>> = Batch::new(arena);
    let mut reader = Reader::new(&record.payload);
    let parts = reader.array().map_err(refused)?;
    if parts != 2 {
        return Err(malformed(format_args!("expected [strings, traces], found {parts} parts")));
    }
    let count = reader.array().map_err(refused)?;
    batch.expand(count.saturating_mul(size_of::<&str>()))?;
    let mut strings = BumpVec::with_capacity_in(count, arena);
    for _ in 0..count {
        strings.push(reader.text(arena).map_err(refused)?);
    }
    for _ in 0..reader.array().map_err(refused)? {
        let count = reader.array().map_err(refused)?;
        batch.admit(count)?;
        let mut spans = BumpVec::with_capacity_in(count.min(256), arena);
        for _ in 0..count {
            let mut table = Table { strings: &strings, referenced: 0 };
            spans.push(span(arena, &mut reader, &mut table).map_err(refused)?);
            batch.expand(table.referenced)?;
        }
        finish_chunk(&mut batch, record, spans)?;
    }
    if !reader.rest().is_empty() {
        let left = reader.rest().len();
        return Err(malformed(format_args!("{left} bytes after the last trace")));
    }
    let (spans, refused) = batch.finish(record.payload.len());
    Ok(Decoded { items: Items::Spans(spans), refused })
}

/// The string table, and how many bytes one span took from it.
struct Table<'a, 'b> {
    strings: &'a [&'b str],
    referenced: usize,
}

impl<'b> Table<'_, 'b> {
    fn text(&mut self, reader: &mut Reader<'b>) -> Result<&'b str, WireError> {
        let before = *reader;
        let index = reader.index()?;
        let text = index.and_then(|index| self.strings.get(index)).ok_or_else(|| WireError {
            reason: "malformed_msgpack",
            what: "an index beyond the string table",
            at: before.at(),
        })?;
        self.referenced += text.len();
        Ok(text)
    }
}

fn span<'b>(
    arena: &'b Bump,
    reader: &mut Reader<'b>,
    table: &mut Table<'_, 'b>,
) -> Result<RawSpan<'b>, WireError> {
    let before = *reader;
    if reader.array()? != SPAN_FIELDS {
        let what = "expected a span of 12 elements";
        return Err(WireError { reason: "malformed_msgpack", what, at: before.at() });
    }
    let mut span = RawSpan::new_in(arena);
    span.service = table.text(reader)?;
    span.name = table.text(reader)?;
    span.resource = table.text(reader)?;
    span.trace_id = reader.id()?;
    span.span_id = reader.id()?;
    span.parent_id = reader.id()?;
    span.start = reader.int()?;
    span.duration = reader.int()?;
    span.error = reader.int()? != 0;
    for _ in 0..reader.map()? {
        let key = table.text(reader)?;
        span.meta.set(key, Value::Str(table.text(reader)?));
    }
    for _ in 0..reader.map()? {
        let key = table.text(reader)?;
        let number = reader.float()?;
        if span.metrics.len() < MAX_ATTRIBUTES {
            span.metrics.push((key, number));
        } else {
            span.meta.count_dropped(1);
        }
    }
    span.span_type = table.text(reader)?;
    span.bytes = reader.since(&before);
    Ok(span)
}
