//! Format `datadog_v04`: msgpack, an array of traces, each an array of span maps. Keys come in any
//! order and unknown ones are skipped (libdatadog `libdd-trace-utils`, `msgpack_decoder/v04`).

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::id::{SpanId, TraceId};
use schemas::limits::{MAX_ATTRIBUTES, MAX_EVENTS, MAX_LINKS};
use schemas::time::EventTime;

use super::batch::Batch;
use super::datadog_span::{RawSpan, finish_chunk};
use super::msgpack::Reader;
use super::wire::WireError;
use super::{Decoded, Items, Refusal};
use crate::record::Record;
use crate::span::{Link, SpanEvent};
use crate::value::{Attributes, Value};

pub(super) fn decode<'b>(arena: &'b Bump, record: &'b Record) -> Result<Decoded<'b>, Refusal<'b>> {
    let refused = |error: WireError| error.refusal(arena);
    let mut batch = Batch::new(arena);
    let mut reader = Reader::new(&record.payload);
    for _ in 0..reader.array().map_err(refused)? {
        let count = reader.array().map_err(refused)?;
        batch.admit(count)?;
        let mut spans = BumpVec::with_capacity_in(count.min(256), arena);
        for _ in 0..count {
            spans.push(span(arena, &mut reader).map_err(refused)?);
        }
        finish_chunk(&mut batch, record, spans)?;
    }
    if !reader.rest().is_empty() {
        let left = reader.rest().len();
        let detail = format_args!("{left} bytes after the last trace");
        return Err(Refusal::whole(arena, "malformed_msgpack", detail));
    }
    let (spans, refused) = batch.finish(record.payload.len());
    Ok(Decoded { items: Items::Spans(spans), refused })
}

fn span<'b>(arena: &'b Bump, reader: &mut Reader<'b>) -> Result<RawSpan<'b>, WireError> {
    let before = *reader;
    let mut span = RawSpan::new_in(arena);
    for _ in 0..reader.map()? {
        match reader.bytes()? {
            b"service" => span.service = reader.text(arena)?,
            b"name" => span.name = reader.text(arena)?,
            b"resource" => span.resource = reader.text(arena)?,
            b"type" => span.span_type = reader.text(arena)?,
            b"trace_id" => span.trace_id = reader.id()?,
            b"span_id" => span.span_id = reader.id()?,
            b"parent_id" => span.parent_id = reader.id()?,
            b"start" => span.start = reader.int()?,
            b"duration" => span.duration = reader.int()?,
            b"error" => span.error = reader.int()? != 0,
            b"meta" => texts(arena, reader, &mut span.meta)?,
            b"metrics" => numbers(arena, reader, &mut span)?,
            b"meta_struct" => documents(arena, reader, &mut span.meta)?,
            b"span_links" => links(arena, reader, &mut span)?,
            b"span_events" => events(arena, reader, &mut span)?,
            _ => reader.skip()?,
        }
    }
    span.bytes = reader.since(&before);
    Ok(span)
}

/// A map of text to anything, as attributes.
fn texts<'b>(
    arena: &'b Bump,
    reader: &mut Reader<'b>,
    into: &mut Attributes<'b>,
) -> Result<(), WireError> {
    for _ in 0..reader.map()? {
        let key = reader.text(arena)?;
        into.set(key, reader.value(arena, 1)?);
    }
    Ok(())
}

fn numbers<'b>(
    arena: &'b Bump,
    reader: &mut Reader<'b>,
    span: &mut RawSpan<'b>,
) -> Result<(), WireError> {
    let count = reader.map()?;
    span.metrics.reserve(count.min(64));
    for _ in 0..count {
        let key = reader.text(arena)?;
        let number = reader.float()?;
        if span.metrics.len() < MAX_ATTRIBUTES {
            span.metrics.push((key, number));
        } else {
            span.meta.count_dropped(1);
        }
    }
    Ok(())
}

/// `meta_struct`: each value is a msgpack document of its own, stored as JSON text; one that is
/// none is stored as base64.
fn documents<'b>(
    arena: &'b Bump,
    reader: &mut Reader<'b>,
    into: &mut Attributes<'b>,
) -> Result<(), WireError> {
    for _ in 0..reader.map()? {
        let key = reader.text(arena)?;
        let bytes = reader.bytes()?;
        let text = match Reader::new(bytes).value(arena, 1) {
            Ok(value) => value.text(arena),
            Err(_) => super::wire::base64(arena, bytes),
        };
        into.set(key, Value::Str(text));
    }
    Ok(())
}

fn links<'b>(
    arena: &'b Bump,
    reader: &mut Reader<'b>,
    span: &mut RawSpan<'b>,
) -> Result<(), WireError> {
    let mut invalid = 0;
    for _ in 0..reader.array()? {
        let (mut high, mut low, mut id, mut tracestate) = (0, 0, 0, "");
        let mut attributes = Attributes::new_in(arena);
        for _ in 0..reader.map()? {
            match reader.bytes()? {
                b"trace_id" => low = reader.id()?,
                b"trace_id_high" => high = reader.id()?,
                b"span_id" => id = reader.id()?,
                b"tracestate" => tracestate = reader.text(arena)?,
                b"attributes" => texts(arena, reader, &mut attributes)?,
                _ => reader.skip()?,
            }
        }
        match (TraceId::from_halves(high, low), SpanId::new(id)) {
            (Some(trace_id), Some(span_id)) if span.links.len() < MAX_LINKS => {
                span.links.push(Link { trace_id, span_id, tracestate, attributes });
            }
            _ => invalid += 1,
        }
    }
    if invalid > 0 {
        span.meta.set("_dropped_links", Value::Int(invalid));
    }
    Ok(())
}

fn events<'b>(
    arena: &'b Bump,
    reader: &mut Reader<'b>,
    span: &mut RawSpan<'b>,
) -> Result<(), WireError> {
    let mut dropped = 0;
    for _ in 0..reader.array()? {
        let (mut nanos, mut name) = (0, "");
        let mut attributes = Attributes::new_in(arena);
        for _ in 0..reader.map()? {
            match reader.bytes()? {
                b"time_unix_nano" => nanos = reader.int()?,
                b"name" => name = reader.text(arena)?,
                b"attributes" => {
                    for _ in 0..reader.map()? {
                        let key = reader.text(arena)?;
                        attributes.set(key, typed(arena, reader, 0)?);
                    }
                }
                _ => reader.skip()?,
            }
        }
        match i64::try_from(nanos) {
            Ok(nanos) if span.events.len() < MAX_EVENTS => {
                span.events.push(SpanEvent {
                    time: EventTime::from_nanos(nanos),
                    name,
                    attributes,
                });
            }
            _ => dropped += 1,
        }
    }
    if dropped > 0 {
        span.meta.set("_dropped_events", Value::Int(dropped));
    }
    Ok(())
}

/// `{type, string_value | bool_value | int_value | double_value | array_value}`. The value that is
/// there says what it is; arrays hold no arrays.
fn typed<'b>(
    arena: &'b Bump,
    reader: &mut Reader<'b>,
    depth: usize,
) -> Result<Value<'b>, WireError> {
    let mut value = Value::Null;
    for _ in 0..reader.map()? {
        match reader.bytes()? {
            b"string_value" => value = Value::Str(reader.text(arena)?),
            b"bool_value" => value = Value::Bool(reader.boolean()?),
            b"int_value" | b"double_value" => value = reader.value(arena, 1)?,
            b"array_value" if depth == 0 => {
                let mut items = BumpVec::new_in(arena);
                for _ in 0..reader.map()? {
                    if reader.bytes()? != b"values" {
                        reader.skip()?;
                        continue;
                    }
                    for _ in 0..reader.array()? {
                        items.push(typed(arena, reader, depth + 1)?);
                    }
                }
                value = Value::Array(items.into_bump_slice());
            }
            _ => reader.skip()?,
        }
    }
    Ok(value)
}
