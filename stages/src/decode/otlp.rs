//! Format `otlp_proto`: what logs, traces and metrics share. Resource, scope, attributes.
//!
//! `TracesData`, `LogsData` and `MetricsData` all are `repeated Resource*{resource 1, scope_* 2}`,
//! `Scope*{scope 1, records 2}` (opentelemetry-proto 1.11). A record starts with the attributes of
//! its resource and scope and adds its own, which win.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::MAX_DEPTH;
use schemas::time::EventTime;
use schemas::topic::Signal;

use super::batch::{Batch, Item};
use super::protobuf::{Field, Reader};
use super::wire::{self, WireError};
use super::{Decoded, Items, Refusal, otlp_logs, otlp_metrics, otlp_traces};
use crate::json::join;
use crate::record::Record;
use crate::value::{Attributes, Value};

/// Decodes a message of any signal.
pub(super) fn decode<'b>(
    arena: &'b Bump,
    record: &'b Record,
    signal: Signal,
    message: &'b [u8],
) -> Result<Decoded<'b>, Refusal<'b>> {
    let received = record.timestamp;
    let bytes = record.payload.len();
    let (items, refused) = match signal {
        Signal::Logs => {
            let (logs, refused) = each_record(arena, message, |batch, context, record| {
                otlp_logs::push(batch, context, received, record)
            })?
            .finish(bytes);
            (Items::Logs(logs), refused)
        }
        Signal::Spans => {
            let (spans, refused) = each_record(arena, message, |batch, context, record| {
                otlp_traces::push(batch, context, received, record)
            })?
            .finish(bytes);
            (Items::Spans(spans), refused)
        }
        Signal::Metrics => {
            let (points, refused) = each_record(arena, message, |batch, context, record| {
                otlp_metrics::push(batch, context, received, record)
            })?
            .finish(bytes);
            (Items::Points(points), refused)
        }
    };
    Ok(Decoded { items, refused })
}

/// Why a decoder gives up on a message: its bytes, or a limit.
pub(super) enum Stop<'b> {
    Wire(WireError),
    Refused(Refusal<'b>),
}

impl From<WireError> for Stop<'_> {
    fn from(error: WireError) -> Self {
        Stop::Wire(error)
    }
}

impl<'b> From<Refusal<'b>> for Stop<'b> {
    fn from(refusal: Refusal<'b>) -> Self {
        Stop::Refused(refusal)
    }
}

/// What every record of one scope shares.
pub(super) struct Context<'b> {
    pub(super) service: &'b str,
    pub(super) env: &'b str,
    pub(super) version: &'b str,
    pub(super) host: &'b str,
    /// The other attributes of the resource, then those of the scope.
    pub(super) shared: Attributes<'b>,
    /// Bytes one record repeats of them.
    pub(super) shared_bytes: usize,
}

/// Walks resources and scopes and hands every record to `push`.
fn each_record<'b, T: Item>(
    arena: &'b Bump,
    message: &'b [u8],
    mut push: impl FnMut(&mut Batch<'b, T>, &Context<'b>, Reader<'b>) -> Result<(), Stop<'b>>,
) -> Result<Batch<'b, T>, Refusal<'b>> {
    let mut batch = Batch::new(arena);
    let mut walk = || -> Result<(), Stop<'b>> {
        let mut data = Reader::new(message);
        while let Some(field) = data.field()? {
            if field.number != 1 {
                continue;
            }
            let group = field.message()?;
            // The resource may stand behind its scopes, so it is looked for first.
            let resource = resource(arena, group)?;
            let mut scopes = group;
            while let Some(field) = scopes.field()? {
                if field.number != 2 {
                    continue;
                }
                let group = field.message()?;
                let context = scope(arena, &resource, group)?;
                let mut records = group;
                while let Some(field) = records.field()? {
                    if field.number == 2 {
                        push(&mut batch, &context, field.message()?)?;
                    }
                }
            }
        }
        Ok(())
    };
    match walk() {
        Ok(()) => Ok(batch),
        Err(Stop::Wire(error)) => Err(error.refusal(arena)),
        Err(Stop::Refused(refusal)) => Err(refusal),
    }
}

/// `Resource{attributes 1, dropped_attributes_count 2}` inside a `Resource*` message.
fn resource<'b>(arena: &'b Bump, mut group: Reader<'b>) -> Result<Context<'b>, WireError> {
    let mut shared = Attributes::new_in(arena);
    while let Some(field) = group.field()? {
        if field.number == 1 {
            let mut resource = field.message()?;
            while let Some(field) = resource.field()? {
                if field.number == 1 {
                    attribute(arena, &mut shared, "", &field, 0)?;
                }
            }
        }
    }
    let mut take = |path: &str| match shared.get(path)? {
        Value::Null => None,
        _ => shared.remove(path).map(|value| value.text(arena)),
    };
    // The newer name first; the older one stays an attribute if both are there.
    let env = take("deployment.environment.name").or_else(|| take("deployment.environment"));
    Ok(Context {
        service: take("service.name").unwrap_or_default(),
        env: env.unwrap_or_default(),
        version: take("service.version").unwrap_or_default(),
        host: take("host.name").unwrap_or_default(),
        shared,
        shared_bytes: 0,
    })
}

/// Adds `InstrumentationScope{name 1, version 2, attributes 3}` to what the resource gives.
fn scope<'b>(
    arena: &'b Bump,
    resource: &Context<'b>,
    mut group: Reader<'b>,
) -> Result<Context<'b>, WireError> {
    let mut shared = resource.shared.copy_in(arena, 8);
    while let Some(field) = group.field()? {
        if field.number != 1 {
            continue;
        }
        let mut scope = field.message()?;
        while let Some(field) = scope.field()? {
            match field.number {
                1 => set_text(arena, &mut shared, "otel.scope.name", &field)?,
                2 => set_text(arena, &mut shared, "otel.scope.version", &field)?,
                3 => attribute(arena, &mut shared, "", &field, 0)?,
                _ => {}
            }
        }
    }
    let texts: usize = shared.iter().map(|(key, value)| key.len() + weight(&value)).sum();
    let pairs = shared.len() * size_of::<(&str, Value<'_>)>();
    Ok(Context { shared, shared_bytes: texts + pairs, ..*resource })
}

/// Bytes of a value as text, roughly.
fn weight(value: &Value<'_>) -> usize {
    match value {
        Value::Str(text) => text.len(),
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(fields) => fields.iter().map(|(key, item)| key.len() + weight(item)).sum(),
        _ => 8,
    }
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

/// Reads a `KeyValue{key 1, value 2}` field into `attributes`, below `prefix`; the members of a
/// key-value list become dotted paths.
pub(super) fn attribute<'b>(
    arena: &'b Bump,
    attributes: &mut Attributes<'b>,
    prefix: &'b str,
    field: &Field<'b>,
    depth: usize,
) -> Result<(), WireError> {
    if let Some((key, text)) = short_text_pair(field.bytes()?) {
        let path = join(arena, prefix, wire::text(arena, key));
        attributes.set(path, Value::Str(wire::text(arena, text)));
        return Ok(());
    }
    let (key, value) = key_value(arena, field)?;
    let path = join(arena, prefix, key);
    match value {
        Some(value) => member(arena, attributes, path, value.message()?, depth),
        None => {
            attributes.set(path, Value::Null);
            Ok(())
        }
    }
}

/// Key and value of `KeyValue{key, value: AnyValue{string_value}}` where every length takes one byte
/// and the fields stand in their order: nearly every attribute, read without a walk over fields.
fn short_text_pair(pair: &[u8]) -> Option<(&[u8], &[u8])> {
    let short = |bytes: &'_ [u8], tag: u8| match bytes {
        [found, length @ 0..0x80, ..] if *found == tag => Some(usize::from(*length)),
        _ => None,
    };
    let (key, rest) = pair.get(2..)?.split_at_checked(short(pair, 0x0a)?)?;
    let value = rest.get(2..)?;
    let text = value.get(2..)?;
    let whole = short(rest, 0x12)? == value.len() && short(value, 0x0a)? == text.len();
    whole.then_some((key, text))
}

/// Sets an `AnyValue` at `path`.
fn member<'b>(
    arena: &'b Bump,
    attributes: &mut Attributes<'b>,
    path: &'b str,
    message: Reader<'b>,
    depth: usize,
) -> Result<(), WireError> {
    match last_field(message)? {
        Some(field) if field.number == KEY_VALUE_LIST => {
            let mut list = bounded(&field, depth)?;
            while let Some(field) = list.field()? {
                if field.number == 1 {
                    attribute(arena, attributes, path, &field, depth + 1)?;
                }
            }
        }
        field => attributes.set(path, scalar_or_array(arena, field, depth)?),
    }
    Ok(())
}

/// An `AnyValue` whose objects keep their shape.
pub(super) fn any_value<'b>(
    arena: &'b Bump,
    message: Reader<'b>,
    depth: usize,
) -> Result<Value<'b>, WireError> {
    match last_field(message)? {
        Some(field) if field.number == KEY_VALUE_LIST => {
            let mut list = bounded(&field, depth)?;
            let mut fields = BumpVec::new_in(arena);
            while let Some(field) = list.field()? {
                if field.number == 1 {
                    let (key, value) = key_value(arena, &field)?;
                    let value = match value {
                        Some(value) => any_value(arena, value.message()?, depth + 1)?,
                        None => Value::Null,
                    };
                    fields.push((key, value));
                }
            }
            Ok(Value::Object(fields.into_bump_slice()))
        }
        field => scalar_or_array(arena, field, depth),
    }
}

/// Field of `AnyValue`: a list of key-value pairs.
const KEY_VALUE_LIST: u32 = 6;

/// Every kind of `AnyValue` but the key-value list.
fn scalar_or_array<'b>(
    arena: &'b Bump,
    field: Option<Field<'b>>,
    depth: usize,
) -> Result<Value<'b>, WireError> {
    let Some(field) = field else { return Ok(Value::Null) };
    Ok(match field.number {
        1 => Value::Str(field.text(arena)?),
        2 => Value::Bool(field.varint()? != 0),
        3 => Value::Int(field.int()?),
        4 => Value::Float(field.double()?),
        5 => {
            let mut list = bounded(&field, depth)?;
            let mut items = BumpVec::new_in(arena);
            while let Some(field) = list.field()? {
                if field.number == 1 {
                    items.push(any_value(arena, field.message()?, depth + 1)?);
                }
            }
            Value::Array(items.into_bump_slice())
        }
        7 => Value::Str(wire::base64(arena, field.bytes()?)),
        _ => Value::Null,
    })
}

/// Of a `oneof` that was sent more than once the last one counts.
fn last_field(mut message: Reader<'_>) -> Result<Option<Field<'_>>, WireError> {
    let mut last = None;
    while let Some(field) = message.field()? {
        if (1..=7).contains(&field.number) {
            last = Some(field);
        }
    }
    Ok(last)
}

fn bounded<'b>(field: &Field<'b>, depth: usize) -> Result<Reader<'b>, WireError> {
    let inner = field.message()?;
    if depth >= MAX_DEPTH {
        let what = "a value nested deeper than 64, before the field that ends";
        return Err(WireError { reason: "too_deep", what, at: field.end() });
    }
    Ok(inner)
}

fn key_value<'b>(
    arena: &'b Bump,
    field: &Field<'b>,
) -> Result<(&'b str, Option<Field<'b>>), WireError> {
    let (mut key, mut value) = ("", None);
    let mut pair = field.message()?;
    while let Some(field) = pair.field()? {
        match field.number {
            1 => key = field.text(arena)?,
            2 => value = Some(field),
            _ => {}
        }
    }
    Ok((key, value))
}

/// A time of OTLP: `None` for zero, which means unknown; an error past 2262.
pub(super) fn time(nanos: u64) -> Result<Option<EventTime>, OutOfRange> {
    if nanos > i64::MAX as u64 {
        return Err(OutOfRange);
    }
    Ok(EventTime::from_unsigned_nanos(nanos))
}

/// A time past 2262, or a negative one written as unsigned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct OutOfRange;

#[cfg(test)]
mod tests {
    use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue, any_value::Value as Any};
    use proptest::prelude::*;
    use prost::Message;

    use super::*;

    proptest! {
        #[test]
        fn a_text_attribute_is_the_same_read_at_once_or_field_by_field(
            key in ".{0,40}", text in ".{0,70}", odd in any::<[bool; 2]>(),
        ) {
            let arena = Bump::new();
            let value = AnyValue { value: Some(Any::StringValue(text.clone())) };
            let mut pair =
                KeyValue { key: key.clone(), value: Some(value), ..Default::default() }.encode_to_vec();
            if odd[0] {
                // An unknown field at the end.
                prost::encoding::uint32::encode(15, &1, &mut pair);
            }
            if odd[1] {
                // A second value: the last one counts.
                pair.extend_from_slice(&[0x12, 2, 0x10, 1]);
            }
            let mut field = Vec::new();
            prost::encoding::bytes::encode(1, &pair, &mut field);
            let field = Reader::new(&field).field().expect("a field").expect("not the end");
            let mut attributes = Attributes::new_in(&arena);
            attribute(&arena, &mut attributes, "", &field, 0).expect("reads");
            // Two values of one message merge, and of the oneof the later kind stands.
            let wanted = if odd[1] { Value::Bool(true) } else { Value::Str(&text) };
            prop_assert_eq!(attributes.iter().collect::<Vec<_>>(), vec![(key.as_str(), wanted)]);
        }
    }
}
