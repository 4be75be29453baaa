//! Splits an OTLP request into messages: one per trace id, the rest by size. Spans, log records and
//! metrics are copied verbatim; resource and scope are repeated around them.

use std::borrow::Cow;
use std::collections::HashMap;

use bytes::Bytes;
use schemas::id::TraceId;
use schemas::limits::{
    MAX_ATTRIBUTE_VALUE_BYTES, MAX_DECOMPRESSED_BYTES, MAX_DEPTH, MAX_ITEMS_PER_REQUEST,
    MAX_MESSAGE_BYTES,
};
use schemas::topic::Format;

use super::check::{check, copy_cut};
use super::schema;
use super::signal::{Found, Shape};
use crate::intake::Split;
use crate::protobuf::{Fields, Malformed, put_bytes, wrap};
use crate::refusal::Refusal;
use crate::sink::Message;

/// Bytes that tags and lengths of the three levels around an item may take.
const FRAME: usize = 64;

/// A resource or a scope without what it holds.
#[derive(Default)]
struct Envelope<'a> {
    /// The fields to repeat: resource or scope (1) and schema URL (3).
    fields: Vec<&'a [u8]>,
    bytes: usize,
}

impl<'a> Envelope<'a> {
    fn push(&mut self, raw: &'a [u8]) {
        self.bytes += raw.len();
        self.fields.push(raw);
    }

    fn write(&self, out: &mut Vec<u8>) {
        self.fields.iter().for_each(|field| out.extend_from_slice(field));
    }
}

/// A span, log record or metric.
struct Item<'a> {
    resource: usize,
    scope: usize,
    /// Its message, without tag and length.
    bytes: Cow<'a, [u8]>,
}

/// A request taken apart.
struct Parts<'a> {
    shape: &'static Shape,
    resources: Vec<Envelope<'a>>,
    scopes: Vec<Envelope<'a>>,
    groups: Vec<(Option<TraceId>, Vec<Item<'a>>)>,
    known: HashMap<Option<TraceId>, usize>,
    items: usize,
    split: Split,
}

/// Splits `body`, protobuf of the signal's `Export...ServiceRequest`.
///
/// # Errors
/// Malformed when the body is not that message, too large when it has too many items or grows too
/// much by repeating its resources. Single bad records are counted as rejected instead.
pub(super) fn split(shape: &'static Shape, body: &Bytes) -> Result<Split, Refusal> {
    let mut parts = Parts {
        shape,
        resources: Vec::new(),
        scopes: Vec::new(),
        groups: Vec::new(),
        known: HashMap::new(),
        items: 0,
        split: Split::default(),
    };
    let name = shape.signal.as_str();
    parts.read(body).map_err(|fault| match fault {
        Fault::Malformed(error) => Refusal::malformed(format!("invalid OTLP {name}: {error}")),
        Fault::TooMany => Refusal::too_large(format!("more than {MAX_ITEMS_PER_REQUEST} {name}")),
    })?;
    let Parts { resources, scopes, groups, mut split, .. } = parts;
    if let [(key, _)] = groups.as_slice()
        && split.rejected == 0
        && body.len() <= MAX_MESSAGE_BYTES
    {
        split.messages.push(message(shape, *key, body.clone()));
        return Ok(split);
    }
    let mut writer = Writer { shape, resources: &resources, scopes: &scopes, split, written: 0 };
    for (key, items) in groups {
        writer.group(key, items)?;
    }
    Ok(writer.split)
}

fn message(shape: &Shape, key: Option<TraceId>, payload: Bytes) -> Message {
    let format = Format::OtlpProto;
    Message { topic: shape.signal, format: Some(format), key, headers: Vec::new(), payload }
}

/// Why reading stopped.
enum Fault {
    Malformed(Malformed),
    TooMany,
}

impl From<Malformed> for Fault {
    fn from(error: Malformed) -> Self {
        Fault::Malformed(error)
    }
}

impl<'a> Parts<'a> {
    fn read(&mut self, body: &'a [u8]) -> Result<(), Fault> {
        for field in Fields::of(body) {
            let field = field?;
            if field.number == 1 {
                self.resource(field.bytes(self.shape.resource_name)?)?;
            }
        }
        Ok(())
    }

    fn resource(&mut self, bytes: &'a [u8]) -> Result<(), Fault> {
        let envelope = envelope(bytes, &schema::RESOURCE)?;
        let index = self.resources.len();
        self.resources.push(envelope);
        for field in Fields::of(bytes) {
            let field = field?;
            if field.number == 2 {
                self.scope(index, field.bytes(self.shape.scope_name)?)?;
            }
        }
        Ok(())
    }

    fn scope(&mut self, resource: usize, bytes: &'a [u8]) -> Result<(), Fault> {
        let envelope = envelope(bytes, &schema::SCOPE)?;
        let scope = self.scopes.len();
        self.scopes.push(envelope);
        for field in Fields::of(bytes) {
            let field = field?;
            if field.number == 2 {
                self.item(resource, scope, field.bytes(self.shape.item_name)?)?;
            }
        }
        Ok(())
    }

    fn item(&mut self, resource: usize, scope: usize, bytes: &'a [u8]) -> Result<(), Fault> {
        let Found { key, records, fault } = match check(self.shape.item, bytes, MAX_DEPTH - 2) {
            // The other records are fine, so only this one is refused.
            Err(error @ Malformed::Utf8(_)) => {
                Found { key: None, records: 1, fault: Some(error.to_string()) }
            }
            Err(error) => return Err(error.into()),
            Ok(()) => (self.shape.examine)(bytes)?,
        };
        self.items += records;
        if self.items > MAX_ITEMS_PER_REQUEST {
            return Err(Fault::TooMany);
        }
        if let Some(fault) = fault {
            reject(&mut self.split, records, fault);
            return Ok(());
        }
        let at = *self.known.entry(key).or_insert(self.groups.len());
        let item = Item { resource, scope, bytes: Cow::Borrowed(bytes) };
        match self.groups.get_mut(at) {
            Some((_, items)) => items.push(item),
            None => self.groups.push((key, vec![item])),
        }
        self.split.records += records;
        Ok(())
    }
}

fn envelope<'a>(bytes: &'a [u8], inner: &schema::Message) -> Result<Envelope<'a>, Malformed> {
    let mut envelope = Envelope::default();
    for field in Fields::of(bytes) {
        let field = field?;
        match field.number {
            1 => {
                check(inner, field.bytes("resource or scope")?, MAX_DEPTH - 2)?;
                envelope.push(field.raw);
            }
            3 => {
                std::str::from_utf8(field.bytes("schema_url")?)
                    .map_err(|_| Malformed::Utf8("schema_url"))?;
                envelope.push(field.raw);
            }
            _ => {}
        }
    }
    Ok(envelope)
}

fn reject(split: &mut Split, records: usize, reason: String) {
    split.rejected += records;
    split.reason.get_or_insert(reason);
}

/// Fills messages up to their limit.
struct Writer<'e, 'a> {
    shape: &'static Shape,
    resources: &'e [Envelope<'a>],
    scopes: &'e [Envelope<'a>],
    split: Split,
    written: usize,
}

impl<'a> Writer<'_, 'a> {
    fn group(&mut self, key: Option<TraceId>, items: Vec<Item<'a>>) -> Result<(), Refusal> {
        let mut pending: Vec<Item<'a>> = Vec::new();
        let mut size = 0usize;
        for item in items {
            for item in self.fitted(item) {
                let around = self.around(&item);
                let same = pending.last().is_some_and(|last| last.scope == item.scope);
                let cost = item.bytes.len() + FRAME + if same { 0 } else { around };
                if size + cost > MAX_MESSAGE_BYTES && !pending.is_empty() {
                    self.emit(key, &pending)?;
                    pending.clear();
                    size = around;
                }
                size += cost;
                pending.push(item);
            }
        }
        self.emit(key, &pending)
    }

    /// Bytes of resource and scope around an item.
    fn around(&self, item: &Item<'_>) -> usize {
        let resource = self.resources.get(item.resource).map_or(0, |envelope| envelope.bytes);
        resource + self.scopes.get(item.scope).map_or(0, |envelope| envelope.bytes)
    }

    /// The item in a form that fits a message: as it is, in parts, cut, or not at all.
    fn fitted(&mut self, item: Item<'a>) -> Vec<Item<'a>> {
        let around = self.around(&item) + 2 * FRAME;
        if around + item.bytes.len() <= MAX_MESSAGE_BYTES {
            return vec![item];
        }
        let room = MAX_MESSAGE_BYTES.saturating_sub(around);
        let mut fitted = Vec::new();
        let parts = (self.shape.parts)(&item.bytes, room).unwrap_or_default();
        for (bytes, records) in parts {
            let Some(bytes) = self.cut_to(&bytes, room) else {
                self.split.records -= records;
                let reason = format!(
                    "a record of {} bytes does not fit a message of {MAX_MESSAGE_BYTES} bytes with its resource and scope of {around} bytes, even with its values cut",
                    bytes.len()
                );
                reject(&mut self.split, records, reason);
                continue;
            };
            fitted.push(Item { bytes: Cow::Owned(bytes), ..item });
        }
        fitted
    }

    fn cut_to(&mut self, bytes: &[u8], room: usize) -> Option<Vec<u8>> {
        if bytes.len() <= room {
            return Some(bytes.to_vec());
        }
        let mut longest = MAX_ATTRIBUTE_VALUE_BYTES;
        while longest >= 16 {
            let mut shorter = Vec::new();
            copy_cut(self.shape.item, bytes, longest, &mut shorter).ok()?;
            if shorter.len() <= room {
                self.split.cut += 1;
                return Some(shorter);
            }
            longest /= 4;
        }
        None
    }

    fn emit(&mut self, key: Option<TraceId>, items: &[Item<'a>]) -> Result<(), Refusal> {
        if items.is_empty() {
            return Ok(());
        }
        let mut payload = Vec::new();
        for resource in items.chunk_by(|one, other| one.resource == other.resource) {
            let start = payload.len();
            let index = resource.first().map_or(0, |item| item.resource);
            if let Some(envelope) = self.resources.get(index) {
                envelope.write(&mut payload);
            }
            for scope in resource.chunk_by(|one, other| one.scope == other.scope) {
                let start = payload.len();
                let index = scope.first().map_or(0, |item| item.scope);
                if let Some(envelope) = self.scopes.get(index) {
                    envelope.write(&mut payload);
                }
                scope.iter().for_each(|item| put_bytes(&mut payload, 2, &item.bytes));
                wrap(&mut payload, start, 2);
            }
            wrap(&mut payload, start, 1);
        }
        self.written += payload.len();
        if self.written > MAX_DECOMPRESSED_BYTES {
            return Err(Refusal::too_large(
                "repeating the resource for every trace makes the request too large; send it in smaller batches",
            ));
        }
        self.split.messages.push(message(self.shape, key, Bytes::from(payload)));
        Ok(())
    }
}

#[cfg(test)]
mod tests;
