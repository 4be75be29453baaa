//! JSON objects -> flat attributes, in one pass, borrowing every string that has no escape.

mod scan;

use std::fmt;

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use serde::de::{DeserializeSeed, Error, MapAccess, SeqAccess, Visitor};

use crate::value::{Attributes, Value};

/// Reads one JSON object into `attributes`; members of nested objects get dotted paths.
///
/// Refuses what is no JSON object, trailing bytes, and nesting beyond
/// [`schemas::limits::MAX_DEPTH`].
pub fn read_object<'b>(
    arena: &'b Bump,
    bytes: &'b [u8],
    attributes: &mut Attributes<'b>,
) -> Result<(), serde_json::Error> {
    if attributes.is_empty()
        && let Ok(text) = std::str::from_utf8(bytes)
    {
        if scan::object(arena, text, attributes).is_some() {
            return Ok(());
        }
        *attributes = Attributes::new_in(arena);
    }
    read_object_slowly(arena, bytes, attributes)
}

/// The same with the reader that says what is wrong.
fn read_object_slowly<'b>(
    arena: &'b Bump,
    bytes: &'b [u8],
    attributes: &mut Attributes<'b>,
) -> Result<(), serde_json::Error> {
    let seed = ObjectSeed { arena, prefix: "", attributes, depth: 0 };
    // Text checked once as a whole is cheaper than string by string; bytes that are no UTF-8 go
    // the other way only to learn where.
    match std::str::from_utf8(bytes) {
        Ok(text) => read_whole(seed, serde_json::Deserializer::from_str(text)),
        Err(_) => read_whole(seed, serde_json::Deserializer::from_slice(bytes)),
    }
}

/// Reads one object and nothing after it.
fn read_whole<'b, R: serde_json::de::Read<'b>>(
    seed: ObjectSeed<'_, 'b>,
    mut reader: serde_json::Deserializer<R>,
) -> Result<(), serde_json::Error> {
    seed.deserialize(&mut reader)?;
    reader.end()
}

/// Reads any JSON value; objects keep their shape.
pub fn read_value<'b>(arena: &'b Bump, bytes: &'b [u8]) -> Result<Value<'b>, serde_json::Error> {
    let mut reader = serde_json::Deserializer::from_slice(bytes);
    let value = ValueSeed { arena, depth: 0 }.deserialize(&mut reader)?;
    reader.end()?;
    Ok(value)
}

/// An object whose members become attributes below `prefix`.
pub(crate) struct ObjectSeed<'a, 'b> {
    pub(crate) arena: &'b Bump,
    pub(crate) prefix: &'b str,
    pub(crate) attributes: &'a mut Attributes<'b>,
    pub(crate) depth: usize,
}

impl<'b> DeserializeSeed<'b> for ObjectSeed<'_, 'b> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'b>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_map(self)
    }
}

impl<'b> Visitor<'b> for ObjectSeed<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON object")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<(), A::Error> {
        check_depth(self.depth)?;
        while let Some(key) = map.next_key_seed(TextSeed(self.arena))? {
            let path = join(self.arena, self.prefix, key);
            map.next_value_seed(MemberSeed {
                arena: self.arena,
                path,
                attributes: &mut *self.attributes,
                depth: self.depth,
            })?;
        }
        Ok(())
    }
}

/// A member: an object goes on flattening, everything else is set at `path`.
struct MemberSeed<'a, 'b> {
    arena: &'b Bump,
    path: &'b str,
    attributes: &'a mut Attributes<'b>,
    depth: usize,
}

impl<'b> DeserializeSeed<'b> for MemberSeed<'_, 'b> {
    type Value = ();

    fn deserialize<D: serde::Deserializer<'b>>(self, reader: D) -> Result<(), D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for MemberSeed<'_, 'b> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'b>>(self, map: A) -> Result<(), A::Error> {
        let Self { arena, path, attributes, depth } = self;
        ObjectSeed { arena, prefix: path, attributes, depth: depth + 1 }.visit_map(map)
    }

    fn visit_seq<A: SeqAccess<'b>>(self, seq: A) -> Result<(), A::Error> {
        let value = ValueSeed { arena: self.arena, depth: self.depth + 1 }.visit_seq(seq)?;
        self.attributes.set(self.path, value);
        Ok(())
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.attributes.set(self.path, Value::Null);
        Ok(())
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<(), E> {
        self.attributes.set(self.path, Value::Bool(flag));
        Ok(())
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<(), E> {
        self.attributes.set(self.path, Value::Int(number));
        Ok(())
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<(), E> {
        self.attributes.set(self.path, unsigned(self.arena, number));
        Ok(())
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<(), E> {
        self.attributes.set(self.path, Value::Float(number));
        Ok(())
    }

    fn visit_borrowed_str<E: Error>(self, text: &'b str) -> Result<(), E> {
        self.attributes.set(self.path, Value::Str(text));
        Ok(())
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<(), E> {
        self.attributes.set(self.path, Value::Str(self.arena.alloc_str(text)));
        Ok(())
    }
}

/// Any value, objects kept as objects.
pub(crate) struct ValueSeed<'b> {
    pub(crate) arena: &'b Bump,
    pub(crate) depth: usize,
}

impl<'b> DeserializeSeed<'b> for ValueSeed<'b> {
    type Value = Value<'b>;

    fn deserialize<D: serde::Deserializer<'b>>(self, reader: D) -> Result<Value<'b>, D::Error> {
        reader.deserialize_any(self)
    }
}

impl<'b> Visitor<'b> for ValueSeed<'b> {
    type Value = Value<'b>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_map<A: MapAccess<'b>>(self, mut map: A) -> Result<Value<'b>, A::Error> {
        check_depth(self.depth)?;
        let mut fields = BumpVec::new_in(self.arena);
        while let Some(key) = map.next_key_seed(TextSeed(self.arena))? {
            let seed = ValueSeed { arena: self.arena, depth: self.depth + 1 };
            fields.push((key, map.next_value_seed(seed)?));
        }
        Ok(Value::Object(fields.into_bump_slice()))
    }

    fn visit_seq<A: SeqAccess<'b>>(self, mut seq: A) -> Result<Value<'b>, A::Error> {
        check_depth(self.depth)?;
        let mut items = BumpVec::new_in(self.arena);
        let (arena, depth) = (self.arena, self.depth + 1);
        while let Some(item) = seq.next_element_seed(ValueSeed { arena, depth })? {
            items.push(item);
        }
        Ok(Value::Array(items.into_bump_slice()))
    }

    fn visit_unit<E: Error>(self) -> Result<Value<'b>, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E: Error>(self, flag: bool) -> Result<Value<'b>, E> {
        Ok(Value::Bool(flag))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Value<'b>, E> {
        Ok(Value::Int(number))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Value<'b>, E> {
        Ok(unsigned(self.arena, number))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Value<'b>, E> {
        Ok(Value::Float(number))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'b str) -> Result<Value<'b>, E> {
        Ok(Value::Str(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Value<'b>, E> {
        Ok(Value::Str(self.arena.alloc_str(text)))
    }
}

/// A string, borrowed where it has no escape.
pub(crate) struct TextSeed<'b>(pub(crate) &'b Bump);

impl<'b> DeserializeSeed<'b> for TextSeed<'b> {
    type Value = &'b str;

    fn deserialize<D: serde::Deserializer<'b>>(self, reader: D) -> Result<&'b str, D::Error> {
        reader.deserialize_str(self)
    }
}

impl<'b> Visitor<'b> for TextSeed<'b> {
    type Value = &'b str;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'b str) -> Result<&'b str, E> {
        Ok(text)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<&'b str, E> {
        Ok(self.0.alloc_str(text))
    }
}

/// Numbers over `i64::MAX` are ids more often than amounts: kept exactly, as text.
fn unsigned(arena: &Bump, number: u64) -> Value<'_> {
    match i64::try_from(number) {
        Ok(number) => Value::Int(number),
        Err(_) => Value::Str(bumpalo::format!(in arena, "{}", number).into_bump_str()),
    }
}

fn check_depth<E: Error>(depth: usize) -> Result<(), E> {
    if depth >= schemas::limits::MAX_DEPTH {
        return Err(E::custom(format_args!("nested deeper than {}", schemas::limits::MAX_DEPTH)));
    }
    Ok(())
}

/// `prefix.key`, in the arena only where there is a prefix.
pub(crate) fn join<'b>(arena: &'b Bump, prefix: &'b str, key: &'b str) -> &'b str {
    if prefix.is_empty() {
        return key;
    }
    let mut path = BumpString::with_capacity_in(prefix.len() + key.len() + 1, arena);
    path.push_str(prefix);
    path.push('.');
    path.push_str(key);
    path.into_bump_str()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nested_objects_become_dotted_paths_and_arrays_stay() {
        let arena = Bump::new();
        let mut attributes = Attributes::new_in(&arena);
        let json =
            br#"{"a":{"b":1,"c":"x\ny"},"d":[1,{"e":null}],"a.b":2,"big":18446744073709551615}"#;
        read_object(&arena, json, &mut attributes).expect("valid JSON");
        let pairs: Vec<String> =
            attributes.iter().map(|(key, value)| format!("{key}={value}")).collect();
        assert_eq!(pairs, ["a.b=2", "a.c=x\ny", r#"d=[1,{"e":null}]"#, "big=18446744073709551615"]);
    }

    #[test]
    fn what_is_no_object_is_refused() {
        let arena = Bump::new();
        let deep = format!("{}1{}", "{\"a\":".repeat(100), "}".repeat(100));
        for text in ["", "[]", "1", "{\"a\":1", "{} x", &deep] {
            let mut attributes = Attributes::new_in(&arena);
            let bytes = arena.alloc_slice_copy(text.as_bytes());
            assert!(read_object(&arena, bytes, &mut attributes).is_err(), "{text}");
        }
    }
}
