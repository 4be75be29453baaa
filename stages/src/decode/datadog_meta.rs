//! Links and events that tracers put into `meta` as JSON where the agent does not say that it
//! takes them natively: `_dd.span_links` and `events` (dd-trace-js `encode/0.4.js`,
//! `span_format.js`). JSON that is not what it should be stays where it is.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::id::{SpanId, TraceId};
use schemas::limits::{MAX_EVENTS, MAX_LINKS};
use schemas::time::EventTime;

use crate::json::read_value;
use crate::span::{Link, SpanEvent};
use crate::value::{Attributes, Value};

type Fields<'b> = &'b [(&'b str, Value<'b>)];

/// Moves `_dd.span_links` into links.
pub(super) fn take_links<'b>(
    arena: &'b Bump,
    meta: &mut Attributes<'b>,
    links: &mut BumpVec<'b, Link<'b>>,
) {
    const KEY: &str = "_dd.span_links";
    take(arena, meta, KEY, links, MAX_LINKS, |fields| {
        Some(Link {
            trace_id: TraceId::from_hex(get(fields, "trace_id")?.as_str()?)?,
            span_id: SpanId::from_hex(get(fields, "span_id")?.as_str()?)?,
            tracestate: get(fields, "tracestate").and_then(|v| v.as_str()).unwrap_or_default(),
            attributes: attributes(arena, fields),
        })
    });
}

/// Moves `events` into events.
pub(super) fn take_events<'b>(
    arena: &'b Bump,
    meta: &mut Attributes<'b>,
    events: &mut BumpVec<'b, SpanEvent<'b>>,
) {
    take(arena, meta, "events", events, MAX_EVENTS, |fields| {
        let nanos = match get(fields, "time_unix_nano")? {
            Value::Int(nanos) => nanos,
            Value::Float(nanos) => nanos as i64,
            _ => return None,
        };
        Some(SpanEvent {
            time: EventTime::from_nanos(nanos),
            name: get(fields, "name")?.as_str()?,
            attributes: attributes(arena, fields),
        })
    });
}

/// Reads the JSON array at `key`; all of it is understood and moved, or none of it.
fn take<'b, T>(
    arena: &'b Bump,
    meta: &mut Attributes<'b>,
    key: &str,
    into: &mut BumpVec<'b, T>,
    max: usize,
    read: impl Fn(Fields<'b>) -> Option<T>,
) {
    let Some(text) = meta.get_str(key) else { return };
    let Ok(Value::Array(items)) = read_value(arena, text.as_bytes()) else { return };
    if items.len() > max.saturating_sub(into.len()) {
        return;
    }
    let before = into.len();
    for item in items {
        let Value::Object(fields) = item else { return into.truncate(before) };
        match read(fields) {
            Some(found) => into.push(found),
            None => return into.truncate(before),
        }
    }
    meta.remove(key);
}

fn get<'b>(fields: Fields<'b>, key: &str) -> Option<Value<'b>> {
    fields.iter().find(|(name, _)| *name == key).map(|(_, value)| *value)
}

fn attributes<'b>(arena: &'b Bump, fields: Fields<'b>) -> Attributes<'b> {
    let mut attributes = Attributes::new_in(arena);
    if let Some(Value::Object(pairs)) = get(fields, "attributes") {
        for (key, value) in pairs {
            attributes.set(key, *value);
        }
    }
    attributes
}
