//! OTLP spans -> the same row as Datadog's.

use bumpalo::Bump;
use schemas::id::{SpanId, TraceId};
use schemas::limits::{MAX_EVENTS, MAX_LINKS};
use schemas::time::EventTime;

use bumpalo::collections::Vec as BumpVec;

use super::batch::Batch;
use super::otlp::{Context, Stop, attribute, time};
use super::otlp_logs::dropped_by_source;
use super::otlp_names;
use super::protobuf::{Field, Reader};
use super::wire::{WireError, hex};
use crate::span::{Link, Span, SpanEvent};
use crate::value::{Attributes, Value};

/// Status code of a failed span.
const STATUS_ERROR: i64 = 2;

/// A span as it was sent.
pub(super) struct Sent<'b> {
    trace_id: &'b [u8],
    span_id: &'b [u8],
    parent_id: &'b [u8],
    pub(super) name: &'b str,
    pub(super) kind: &'static str,
    start: u64,
    end: u64,
    failed: bool,
    status_message: &'b str,
    pub(super) attributes: Attributes<'b>,
    links: BumpVec<'b, Link<'b>>,
    events: BumpVec<'b, SpanEvent<'b>>,
    left_out: (i64, i64),
}

/// Adds one span, or refuses it.
pub(super) fn push<'b>(
    batch: &mut Batch<'b, Span<'b>>,
    context: &Context<'b>,
    received: EventTime,
    message: Reader<'b>,
) -> Result<(), Stop<'b>> {
    let index = batch.number()?;
    batch.expand(context.shared_bytes)?;
    let arena = batch.arena;
    let sent = read(arena, context, message)?;
    let bytes = message.rest();
    let Some(trace_id) = TraceId::from_bytes(sent.trace_id) else {
        let id = hex(arena, sent.trace_id.get(..64).unwrap_or(sent.trace_id));
        let detail = format_args!("trace_id {id:?} is not 16 bytes that are not all zero");
        batch.refuse(index, "invalid_id", detail, bytes);
        return Ok(());
    };
    let Some(span_id) = SpanId::from_bytes(sent.span_id) else {
        let id = hex(arena, sent.span_id.get(..64).unwrap_or(sent.span_id));
        let detail = format_args!("span_id {id:?} is not 8 bytes that are not all zero");
        batch.refuse(index, "invalid_id", detail, bytes);
        return Ok(());
    };
    if !matches!(sent.parent_id.len(), 0 | 8) {
        let detail = format_args!("parent_span_id has {} bytes, not 8", sent.parent_id.len());
        batch.refuse(index, "invalid_id", detail, bytes);
        return Ok(());
    }
    let (Ok(start), Ok(end)) = (time(sent.start), time(sent.end)) else {
        let (start, end) = (sent.start, sent.end);
        let detail = format_args!(
            "start_time_unix_nano {start} or end_time_unix_nano {end} is past the year 2262"
        );
        batch.refuse(index, "invalid_timestamp", detail, bytes);
        return Ok(());
    };
    // An end that is missing or before the start says nothing of the duration.
    let duration_ns = match (start, end) {
        (Some(start), Some(end)) => end.nanos().saturating_sub(start.nanos()).max(0),
        _ => 0,
    };
    let parent_id = SpanId::from_bytes(sent.parent_id);
    let row = row(arena, context, sent, trace_id, span_id);
    let start = start.unwrap_or(received);
    batch.push(Span { index, start, duration_ns, parent_id, ..row });
    Ok(())
}

/// Reads `Span{trace_id 1, span_id 2, trace_state 3, parent_span_id 4, name 5, kind 6, start 7,
/// end 8, attributes 9, dropped_attributes 10, events 11, dropped_events 12, links 13,
/// dropped_links 14, status 15, flags 16}`.
fn read<'b>(
    arena: &'b Bump,
    context: &Context<'b>,
    mut message: Reader<'b>,
) -> Result<Sent<'b>, WireError> {
    let mut sent = Sent {
        trace_id: &[],
        span_id: &[],
        parent_id: &[],
        name: "",
        kind: "",
        start: 0,
        end: 0,
        failed: false,
        status_message: "",
        attributes: context.shared.copy_in(arena, 12),
        links: BumpVec::new_in(arena),
        events: BumpVec::new_in(arena),
        left_out: (0, 0),
    };
    while let Some(field) = message.field()? {
        match field.number {
            1 => sent.trace_id = field.bytes()?,
            2 => sent.span_id = field.bytes()?,
            3 => set_text(arena, &mut sent.attributes, "w3c.tracestate", &field)?,
            4 => sent.parent_id = field.bytes()?,
            5 => sent.name = field.text(arena)?,
            6 => sent.kind = kind(field.int()?),
            7 => sent.start = field.fixed64()?,
            8 => sent.end = field.fixed64()?,
            9 => attribute(arena, &mut sent.attributes, "", &field, 0)?,
            10 => {
                let dropped = u32::try_from(field.varint()?).unwrap_or(u32::MAX);
                dropped_by_source(&mut sent.attributes, dropped);
            }
            11 => event(arena, &mut sent, &field)?,
            12 => sent.left_out.0 = sent.left_out.0.saturating_add(field.varint()? as u32 as i64),
            13 => link(arena, &mut sent, &field)?,
            14 => sent.left_out.1 = sent.left_out.1.saturating_add(field.varint()? as u32 as i64),
            15 => status(arena, &mut sent, &field)?,
            16 => {
                // Bits 8 and 9 say whether the parent is in another process: needed to tell whose
                // fault an orphan is.
                let flags = field.fixed32()?;
                if flags != 0 {
                    sent.attributes.set("otel.flags", Value::Int(flags.into()));
                }
            }
            _ => {}
        }
    }
    for (path, count) in [("_dropped_events", sent.left_out.0), ("_dropped_links", sent.left_out.1)]
    {
        if count > 0 {
            sent.attributes.set(path, Value::Int(count));
        }
    }
    Ok(sent)
}

fn set_text<'b>(
    arena: &'b Bump,
    attributes: &mut Attributes<'b>,
    path: &'b str,
    field: &Field<'b>,
) -> Result<(), WireError> {
    let text = field.text(arena)?;
    if !text.is_empty() {
        attributes.set(path, Value::Str(text));
    }
    Ok(())
}

fn kind(number: i64) -> &'static str {
    match number {
        1 => "internal",
        2 => "server",
        3 => "client",
        4 => "producer",
        5 => "consumer",
        _ => "",
    }
}

/// `Status{message 2, code 3}`.
fn status<'b>(arena: &'b Bump, sent: &mut Sent<'b>, field: &Field<'b>) -> Result<(), WireError> {
    let mut status = field.message()?;
    while let Some(field) = status.field()? {
        match field.number {
            2 => sent.status_message = field.text(arena)?,
            3 => sent.failed = field.int()? == STATUS_ERROR,
            _ => {}
        }
    }
    Ok(())
}

/// `Event{time 1, name 2, attributes 3, dropped 4}`; one past 2262 is left out and counted.
fn event<'b>(arena: &'b Bump, sent: &mut Sent<'b>, field: &Field<'b>) -> Result<(), WireError> {
    let (mut nanos, mut name) = (0, "");
    let mut attributes = Attributes::new_in(arena);
    let mut message = field.message()?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => nanos = field.fixed64()?,
            2 => name = field.text(arena)?,
            3 => attribute(arena, &mut attributes, "", &field, 0)?,
            4 => {
                let dropped = u32::try_from(field.varint()?).unwrap_or(u32::MAX);
                dropped_by_source(&mut attributes, dropped);
            }
            _ => {}
        }
    }
    match i64::try_from(nanos) {
        Ok(nanos) if sent.events.len() < MAX_EVENTS => {
            sent.events.push(SpanEvent { time: EventTime::from_nanos(nanos), name, attributes });
        }
        _ => sent.left_out.0 = sent.left_out.0.saturating_add(1),
    }
    Ok(())
}

/// `Link{trace_id 1, span_id 2, trace_state 3, attributes 4, dropped 5, flags 6}`; one without
/// valid ids leads nowhere: it is left out and counted.
fn link<'b>(arena: &'b Bump, sent: &mut Sent<'b>, field: &Field<'b>) -> Result<(), WireError> {
    let (mut trace_id, mut span_id, mut tracestate) = (None, None, "");
    let mut attributes = Attributes::new_in(arena);
    let mut message = field.message()?;
    while let Some(field) = message.field()? {
        match field.number {
            1 => trace_id = TraceId::from_bytes(field.bytes()?),
            2 => span_id = SpanId::from_bytes(field.bytes()?),
            3 => tracestate = field.text(arena)?,
            4 => attribute(arena, &mut attributes, "", &field, 0)?,
            _ => {}
        }
    }
    match (trace_id, span_id) {
        (Some(trace_id), Some(span_id)) if sent.links.len() < MAX_LINKS => {
            sent.links.push(Link { trace_id, span_id, tracestate, attributes });
        }
        _ => sent.left_out.1 = sent.left_out.1.saturating_add(1),
    }
    Ok(())
}

/// The row, but for what `push` has worked out.
fn row<'b>(
    arena: &'b Bump,
    context: &Context<'b>,
    mut sent: Sent<'b>,
    trace_id: TraceId,
    span_id: SpanId,
) -> Span<'b> {
    let [error_kind, error_message, error_stack] = errors(&mut sent);
    let names = otlp_names::derive(arena, &sent);
    let attributes = &sent.attributes;
    let first = |paths: &[&str]| paths.iter().find_map(|path| attributes.get_str(path));
    let numbers = attributes.iter().filter_map(|(key, value)| Some((key, value.as_f64()?)));
    let metrics = BumpVec::from_iter_in(numbers, arena);
    let code = ["http.response.status_code", "http.status_code"];
    let code = code.iter().find_map(|path| match attributes.get(path)? {
        Value::Str(text) => text.parse().ok(),
        value => value.as_f64().map(|code| code as i32),
    });
    Span {
        index: 0,
        bytes: 0,
        start: EventTime::default(),
        duration_ns: 0,
        trace_id,
        span_id,
        parent_id: None,
        service: context.service,
        env: context.env,
        version: context.version,
        host: context.host,
        name: names.operation,
        resource: names.resource,
        span_type: names.span_type,
        kind: sent.kind,
        error: sent.failed,
        error_kind,
        error_message,
        error_stack,
        http_method: first(&["http.request.method", "http.method"]),
        http_route: first(&["http.route"]),
        http_status_code: code.filter(|code| (100..600).contains(code)),
        db_system: first(&["db.system.name", "db.system"]),
        peer_service: first(&["peer.service", "service.peer.name"]),
        metrics,
        links: sent.links,
        events: sent.events,
        errors: BumpVec::new_in(arena),
        attributes: sent.attributes,
    }
}

/// Kind, message and stack of a failed span's error: from its last exception event, else the
/// status message and `error.type`, as Datadog's exporter has it. A span that did not fail has
/// none; its exception events stay events.
fn errors<'b>(sent: &mut Sent<'b>) -> [Option<&'b str>; 3] {
    let message = Some(sent.status_message).filter(|text| !text.is_empty());
    if !sent.failed {
        if let Some(message) = message {
            sent.attributes.set("otel.status_description", Value::Str(message));
        }
        return [None; 3];
    }
    let exception = sent.events.iter().rev().find(|event| event.name == "exception");
    let of = |path: &str| exception.and_then(|event| event.attributes.get_str(path));
    let found = [
        of("exception.type").or_else(|| sent.attributes.get_str("error.type")),
        of("exception.message").or(message),
        of("exception.stacktrace"),
    ];
    if let Some(message) = message.filter(|message| found[1] != Some(*message)) {
        sent.attributes.set("otel.status_description", Value::Str(message));
    }
    found
}
