//! Format `datadog_logs`: a body of Datadog's logs intake, a JSON object or an array of objects.
//!
//! `ddsource` and `ddtags` become source and tags here; `message`, `hostname`, `service`, `status`,
//! `timestamp` and all further members stay attributes for the pipeline's preprocessing. What the
//! request said in its query or headers stands in the message's headers: it fills in what an item
//! does not say itself, and its tags are added to the item's (Datadog API reference, "Send logs").

use std::fmt;

use bumpalo::Bump;
use schemas::limits::MAX_TAGS;
use schemas::topic::{DD_HOSTNAME, DD_SERVICE, DD_SOURCE, DD_TAGS};
use serde::Deserializer;
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use super::batch::Batch;
use super::json::{cut_long_text, json_reason};
use super::{Decoded, Items, Refusal};
use crate::event::LogEvent;
use crate::json::{ObjectSeed, ValueSeed};
use crate::record::Record;
use crate::value::{Value, write_json};

pub(super) fn decode<'b>(arena: &'b Bump, record: &'b Record) -> Result<Decoded<'b>, Refusal<'b>> {
    let payload = record.payload.as_slice();
    if payload.trim_ascii().is_empty() {
        let detail = format_args!("an empty message where Datadog logs were expected");
        return Err(Refusal::whole(arena, "empty_payload", detail));
    }
    let mut batch = Batch::new(arena);
    let mut stopped = None;
    let mut reader = serde_json::Deserializer::from_slice(payload);
    let body = Body { record, batch: &mut batch, stopped: &mut stopped };
    let read = (&mut reader).deserialize_any(body).and_then(|()| reader.end());
    if let Some(refusal) = stopped {
        return Err(refusal);
    }
    if let Err(error) = read {
        return Err(Refusal::whole(arena, json_reason(&error), format_args!("{error}")));
    }
    let (logs, refused) = batch.finish(payload.len());
    Ok(Decoded { items: Items::Logs(logs), refused })
}

/// The body: one item, or an array of them.
struct Body<'a, 'b> {
    record: &'b Record,
    batch: &'a mut Batch<'b, LogEvent<'b>>,
    /// A refusal of the whole message from inside; serde's own error can not carry it.
    stopped: &'a mut Option<Refusal<'b>>,
}

impl<'b> Visitor<'b> for Body<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object or an array of objects")
    }

    fn visit_map<A: MapAccess<'b>>(self, map: A) -> Result<(), A::Error> {
        Item { record: self.record, batch: self.batch, stopped: self.stopped }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<(), A::Error> {
        let Self { record, batch, stopped } = self;
        while seq.next_element_seed(Item { record, batch, stopped })?.is_some() {}
        Ok(())
    }
}

/// One element of the array.
struct Item<'a, 'b> {
    record: &'b Record,
    batch: &'a mut Batch<'b, LogEvent<'b>>,
    stopped: &'a mut Option<Refusal<'b>>,
}

impl<'b> Item<'_, 'b> {
    fn number<E: Error>(&mut self) -> Result<i32, E> {
        self.batch.number().map_err(|refusal| {
            let error = E::custom(refusal.detail);
            *self.stopped = Some(refusal);
            error
        })
    }

    /// Refuses an element that is no object.
    fn refuse<E: Error>(mut self, value: Value<'b>) -> Result<(), E> {
        let index = self.number()?;
        let mut text = bumpalo::collections::String::new_in(self.batch.arena);
        write_json(&value, &mut text).map_err(E::custom)?;
        let detail = format_args!("a log is a JSON object, this is none");
        self.batch.refuse(index, "malformed_json", detail, text.into_bump_str().as_bytes());
        Ok(())
    }
}

impl<'b> DeserializeSeed<'b> for Item<'_, 'b> {
    type Value = ();

    fn deserialize<D: Deserializer<'b>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for Item<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a log")
    }

    fn visit_map<A: MapAccess<'b>>(mut self, map: A) -> Result<(), A::Error> {
        let arena = self.batch.arena;
        let mut event = LogEvent::new_in(arena, self.record.timestamp);
        event.index = self.number()?;
        ObjectSeed { arena, prefix: "", attributes: &mut event.attributes, depth: 0 }
            .visit_map(map)?;
        cut_long_text(&self.record.payload, &mut event.attributes);
        envelope(&mut event, self.record);
        self.batch.push(event);
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'b>>(self, seq: A) -> Result<(), A::Error> {
        let value = ValueSeed { arena: self.batch.arena, depth: 1 }.visit_seq(seq)?;
        self.refuse(value)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.refuse(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.refuse(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.refuse(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.refuse(Value::Float(number as f64))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.refuse(Value::Float(number))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        let text = self.batch.arena.alloc_str(text);
        self.refuse(Value::Str(text))
    }
}

/// Moves source and tags out of the attributes and fills in what the request said.
fn envelope<'b>(event: &mut LogEvent<'b>, record: &'b Record) {
    let attributes = &mut event.attributes;
    if let Some(source) = attributes.get_str("ddsource") {
        event.source = source;
        attributes.remove("ddsource");
    } else if let Some(source) = record.header(DD_SOURCE) {
        event.source = source;
    }
    match attributes.remove("ddtags") {
        Some(Value::Str(list)) => event.tags.extend(split_tags(list)),
        Some(Value::Array(items)) => {
            event.tags.extend(items.iter().filter_map(|item| item.as_str()).flat_map(split_tags));
        }
        // Neither a list nor text: no tags, but not lost.
        Some(other) => attributes.set("ddtags", other),
        None => {}
    }
    if let Some(list) = record.header(DD_TAGS) {
        for tag in split_tags(list) {
            if !event.tags.contains(&tag) {
                event.tags.push(tag);
            }
        }
    }
    event.tags.truncate(MAX_TAGS);
    if let Some(host) = record.header(DD_HOSTNAME)
        && attributes.get("hostname").is_none()
        && attributes.get("host").is_none()
    {
        attributes.set("hostname", Value::Str(host));
    }
    if let Some(service) = record.header(DD_SERVICE)
        && attributes.get("service").is_none()
    {
        attributes.set("service", Value::Str(service));
    }
}

/// The tags of a comma list.
fn split_tags(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|tag| !tag.is_empty())
}
