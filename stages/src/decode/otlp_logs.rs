//! OTLP log records -> logs. The reserved fields are filled here: OTLP says what they are.

use schemas::id::{SpanId, TraceId};
use schemas::limits::MAX_MESSAGE_TEXT_BYTES;
use schemas::status::Status;
use schemas::time::EventTime;

use super::batch::Batch;
use super::otlp::{Context, Stop, any_value, attribute, time};
use super::protobuf::Reader;
use super::wire::head;
use crate::event::LogEvent;
use crate::json::join;
use crate::value::{Attributes, Value};

/// `LogRecord{time 1, severity_number 2, severity_text 3, body 5, attributes 6, dropped 7,
/// trace_id 9, span_id 10, observed_time 11, event_name 12}`.
pub(super) fn push<'b>(
    batch: &mut Batch<'b, LogEvent<'b>>,
    context: &Context<'b>,
    received: EventTime,
    mut record: Reader<'b>,
) -> Result<(), Stop<'b>> {
    let index = batch.number()?;
    batch.expand(context.shared_bytes)?;
    let (arena, bytes) = (batch.arena, record.rest());
    let mut event = LogEvent::new_in(arena, received);
    event.attributes = context.shared.copy_in(arena, 12);
    let (mut when, mut observed, mut severity, mut severity_text) = (0, 0, 0, "");
    let mut body = None;
    while let Some(field) = record.field()? {
        match field.number {
            1 => when = field.fixed64()?,
            2 => severity = field.int()? as i32,
            3 => severity_text = field.text(arena)?,
            5 => body = Some(field),
            6 => attribute(arena, &mut event.attributes, "", &field, 0)?,
            7 => {
                let dropped = u32::try_from(field.varint()?).unwrap_or(u32::MAX);
                dropped_by_source(&mut event.attributes, dropped);
            }
            9 => event.trace_id = TraceId::from_bytes(field.bytes()?),
            10 => event.span_id = SpanId::from_bytes(field.bytes()?),
            11 => observed = field.fixed64()?,
            12 => event.attributes.set("event.name", Value::Str(field.text(arena)?)),
            _ => {}
        }
    }
    let (Ok(timestamp), Ok(observed)) = (time(when), time(observed)) else {
        let detail = format_args!(
            "time_unix_nano {when} or observed_time_unix_nano {observed} is past the year 2262"
        );
        batch.refuse(index, "invalid_timestamp", detail, bytes);
        return Ok(());
    };
    event.index = index;
    (event.timestamp, event.observed) = (timestamp, observed);
    (event.service, event.env) = (context.service, context.env);
    (event.version, event.host) = (context.version, context.host);
    set_severity(&mut event, severity, severity_text);
    if let Some(body) = body {
        let value = any_value(arena, body.message()?, 0)?;
        set_body(&mut event, value, arena);
    }
    batch.push(event);
    Ok(())
}

/// Status from the number, else from the text; both stay readable as attributes.
fn set_severity<'b>(event: &mut LogEvent<'b>, number: i32, text: &'b str) {
    if number != 0 {
        event.status = Some(Status::from_severity_number(number));
        event.attributes.set("otel.severity_number", Value::Int(number.into()));
    } else if !text.is_empty() {
        event.status = Some(Status::from_text(text));
    }
    if !text.is_empty() {
        event.attributes.set("otel.severity_text", Value::Str(text));
    }
}

/// Text is the message. Anything else is the message as JSON; the members of a map are attributes
/// too, where the record has none of that name.
fn set_body<'b>(event: &mut LogEvent<'b>, body: Value<'b>, arena: &'b bumpalo::Bump) {
    let text = body.text(arena);
    event.message = head(text, MAX_MESSAGE_TEXT_BYTES);
    if event.message.len() < text.len() {
        event.attributes.set("_truncated", Value::Bool(true));
    }
    if let Value::Object(fields) = body {
        flatten(arena, &mut event.attributes, "", fields);
    }
}

/// Depth is bounded by the reader that made the value.
fn flatten<'b>(
    arena: &'b bumpalo::Bump,
    attributes: &mut Attributes<'b>,
    prefix: &'b str,
    fields: &'b [(&'b str, Value<'b>)],
) {
    for (key, value) in fields {
        let path = join(arena, prefix, key);
        match value {
            Value::Object(inner) => flatten(arena, attributes, path, inner),
            other if attributes.get(path).is_none() => attributes.set(path, *other),
            _ => {}
        }
    }
}

/// How many attributes the source itself left out: the only sign of it.
pub(super) fn dropped_by_source(attributes: &mut Attributes<'_>, dropped: u32) {
    if dropped > 0 {
        attributes.set("otel.dropped_attributes_count", Value::Int(dropped.into()));
    }
}
