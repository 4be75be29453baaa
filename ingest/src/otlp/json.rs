//! OTLP JSON written as protobuf in one pass over the text, by the tables of `schema`.
//!
//! As liberal as the Collector: camelCase and snake_case, enums by number or name, numbers as text.
//! Unknown fields are ignored. An id that is not hex becomes an invalid id, so that its span alone is
//! rejected and not the request.

use std::fmt;

use bytes::Bytes;
use schemas::limits::MAX_DEPTH;
use serde::de::{
    DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Unexpected, Visitor,
};

use super::base64;
use super::schema::{Field, Kind, Message};
use crate::protobuf::{put_bytes, put_tag, put_varint, wrap};
use crate::refusal::Refusal;

/// Transcodes `body`, a JSON `message`.
///
/// # Errors
/// Malformed when it is not JSON, or a value does not fit its field.
pub(super) fn to_protobuf(message: &'static Message, body: &[u8]) -> Result<Bytes, Refusal> {
    let mut out = Vec::with_capacity(body.len() / 2);
    if body.iter().all(u8::is_ascii_whitespace) {
        return Ok(Bytes::new());
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    MessageSeed { message, out: &mut out, depth: MAX_DEPTH }
        .deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| Refusal::malformed(format!("invalid OTLP JSON: {error}")))?;
    Ok(Bytes::from(out))
}

/// Reads an object as the fields of a message.
struct MessageSeed<'o> {
    message: &'static Message,
    out: &'o mut Vec<u8>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for MessageSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MessageSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        if self.depth == 0 {
            return Err(A::Error::custom(format!("nested deeper than {MAX_DEPTH} messages")));
        }
        while let Some(known) = map.next_key_seed(Name(self.message))? {
            match known {
                Some(field) => map.next_value_seed(FieldSeed {
                    field,
                    out: self.out,
                    depth: self.depth,
                    place: Place::Field,
                })?,
                None => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(())
    }
}

/// Looks a key up without keeping it.
struct Name(&'static Message);

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Option<&'static Field>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Name {
    type Value = Option<&'static Field>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a field name")
    }

    fn visit_str<E: Error>(self, name: &str) -> Result<Self::Value, E> {
        Ok(self.0.by_name(name))
    }
}

/// Where a value stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// The value of a field, perhaps an array of values.
    Field,
    /// An element that has its own tag.
    Element,
    /// A number among packed ones, without a tag.
    Packed,
}

/// Reads the value of one field.
struct FieldSeed<'o> {
    field: &'static Field,
    out: &'o mut Vec<u8>,
    depth: usize,
    place: Place,
}

impl<'de> DeserializeSeed<'de> for FieldSeed<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl FieldSeed<'_> {
    fn tag(&mut self, wire: u8) {
        if self.place != Place::Packed {
            put_tag(self.out, self.field.number, wire);
        }
    }

    /// An integer into whatever number the field holds.
    fn integer<E: Error>(mut self, value: i128) -> Result<(), E> {
        let wrong = || E::invalid_value(Unexpected::Other("number out of range"), &self.field.name);
        let unsigned =
            |max: u64| u64::try_from(value).ok().filter(|value| *value <= max).ok_or_else(wrong);
        let signed = || i64::try_from(value).map_err(|_| wrong());
        let small = || i32::try_from(value).map_err(|_| wrong());
        match self.field.kind {
            Kind::Uint32 => {
                let value = unsigned(u64::from(u32::MAX))?;
                self.varint(value);
            }
            Kind::Uint64 => {
                let value = unsigned(u64::MAX)?;
                self.varint(value);
            }
            Kind::Enum(_) => {
                let value = i64::from(small()?) as u64;
                self.varint(value);
            }
            Kind::Int64 => {
                let value = signed()? as u64;
                self.varint(value);
            }
            Kind::Sint32 => {
                let value = small()?;
                self.varint(u64::from((value << 1 ^ value >> 31) as u32));
            }
            Kind::Fixed32 => {
                let value = unsigned(u64::from(u32::MAX))? as u32;
                self.tag(5);
                self.out.extend_from_slice(&value.to_le_bytes());
            }
            Kind::Fixed64 => {
                let value = unsigned(u64::MAX)?;
                self.fixed64(value);
            }
            Kind::Sfixed64 => {
                let value = signed()? as u64;
                self.fixed64(value);
            }
            Kind::Double => self.fixed64((value as f64).to_bits()),
            Kind::Bool | Kind::Text | Kind::Bytes | Kind::Id | Kind::Message(_) => {
                return Err(E::invalid_type(Unexpected::Other("a number"), &self.field.name));
            }
        }
        Ok(())
    }

    fn varint(&mut self, value: u64) {
        self.tag(0);
        put_varint(self.out, value);
    }

    fn fixed64(&mut self, value: u64) {
        self.tag(1);
        self.out.extend_from_slice(&value.to_le_bytes());
    }

    /// A number written as text.
    fn numeral<E: Error>(mut self, text: &str) -> Result<(), E> {
        if let Ok(value) = text.parse::<i128>() {
            return self.integer(value);
        }
        // Rust reads NaN, Infinity and -Infinity as protobuf's JSON writes them.
        match (self.field.kind, text.parse::<f64>()) {
            (Kind::Double, Ok(value)) => {
                self.fixed64(value.to_bits());
                Ok(())
            }
            _ => Err(E::invalid_value(Unexpected::Str(text), &self.field.name)),
        }
    }
}

impl<'de> Visitor<'de> for FieldSeed<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a value of {}", self.field.name)
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        match self.place {
            // Absent, as protobuf's JSON has it. A null element stands for an empty one.
            Place::Field => Ok(()),
            Place::Element => {
                put_bytes(self.out, self.field.number, &[]);
                Ok(())
            }
            Place::Packed => Err(E::invalid_type(Unexpected::Unit, &self.field.name)),
        }
    }

    fn visit_bool<E: Error>(mut self, value: bool) -> Result<(), E> {
        if !matches!(self.field.kind, Kind::Bool) {
            return Err(E::invalid_type(Unexpected::Bool(value), &self.field.name));
        }
        self.varint(u64::from(value));
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.integer(i128::from(value))
    }

    fn visit_f64<E: Error>(mut self, value: f64) -> Result<(), E> {
        if matches!(self.field.kind, Kind::Double) {
            self.fixed64(value.to_bits());
            return Ok(());
        }
        // Languages with one number type write large integers as 1.7e18.
        if value.fract() == 0.0 && value.abs() < 2f64.powi(64) {
            return self.integer(value as i128);
        }
        Err(E::invalid_type(Unexpected::Float(value), &self.field.name))
    }

    fn visit_str<E: Error>(mut self, text: &str) -> Result<(), E> {
        let number = self.field.number;
        match self.field.kind {
            Kind::Text => put_bytes(self.out, number, text.as_bytes()),
            Kind::Bytes => {
                let bytes = base64::decode(text).ok_or_else(|| {
                    E::invalid_value(Unexpected::Other("text that is not base64"), &self.field.name)
                })?;
                put_bytes(self.out, number, &bytes);
            }
            // One byte is an id of no valid length.
            Kind::Id => put_bytes(self.out, number, &hex(text).unwrap_or_else(|| vec![0])),
            Kind::Bool => {
                let value = text
                    .parse::<bool>()
                    .map_err(|_| E::invalid_value(Unexpected::Str(text), &self.field.name))?;
                self.varint(u64::from(value));
            }
            Kind::Enum(names) => match names.iter().find(|(name, _)| *name == text) {
                Some((_, value)) => return self.integer(i128::from(*value)),
                None => return self.numeral(text),
            },
            Kind::Message(_) => {
                return Err(E::invalid_type(Unexpected::Str(text), &self.field.name));
            }
            _ => return self.numeral(text),
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut array: A) -> Result<(), A::Error> {
        if !self.field.repeated || self.place != Place::Field {
            return Err(A::Error::invalid_type(Unexpected::Seq, &self.field.name));
        }
        let delimited =
            matches!(self.field.kind, Kind::Text | Kind::Bytes | Kind::Id | Kind::Message(_));
        let place = if delimited { Place::Element } else { Place::Packed };
        let start = self.out.len();
        loop {
            let seed =
                FieldSeed { field: self.field, out: &mut *self.out, depth: self.depth, place };
            if array.next_element_seed(seed)?.is_none() {
                break;
            }
        }
        if place == Place::Packed && self.out.len() > start {
            wrap(self.out, start, self.field.number);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<(), A::Error> {
        let Kind::Message(message) = self.field.kind else {
            return Err(A::Error::invalid_type(Unexpected::Map, &self.field.name));
        };
        let start = self.out.len();
        let inner = MessageSeed { message, out: &mut *self.out, depth: self.depth - 1 };
        inner.visit_map(map)?;
        wrap(self.out, start, self.field.number);
        Ok(())
    }
}

fn hex(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let (pairs, rest) = text.as_bytes().as_chunks::<2>();
    if !rest.is_empty() {
        return None;
    }
    pairs.iter().map(|[high, low]| Some((digit(high)? << 4 | digit(low)?) as u8)).collect()
}

#[cfg(test)]
mod tests;
