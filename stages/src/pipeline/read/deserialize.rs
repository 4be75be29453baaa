//! A tree as a source for `serde`, so that a configuration's own types say what is legal in it, and what
//! they refuse is known with its place.

use std::fmt;

use serde::de::value::StrDeserializer;
use serde::de::{self, DeserializeSeed, IntoDeserializer, MapAccess, SeqAccess, Visitor};

use super::node::{Content, Key, Mark, Node};

/// What a type refused.
#[derive(Debug)]
pub(super) struct Refused {
    /// Innermost place known.
    pub(super) at: Option<Mark>,
    pub(super) reason: String,
}

impl Refused {
    fn or_at(self, at: Mark) -> Self {
        Self { at: self.at.or(Some(at)), ..self }
    }

    /// The field a type does not have.
    pub(super) fn unknown_field(&self) -> Option<&str> {
        self.quoted("unknown field `")
    }

    /// The text in backquotes or quotes after `start`.
    fn quoted(&self, start: &str) -> Option<&str> {
        let rest = self.reason.split_once(start)?.1;
        rest.split_once('`').map(|(text, _)| text)
    }

    /// The innermost place of what is complained about, below `node`: buffered parts of the tree have
    /// lost theirs, so what the reason quotes is looked up.
    pub(super) fn place(&self, node: &Node) -> Mark {
        let known = self.at.unwrap_or(node.at);
        if let Some(field) = self.unknown_field() {
            return find(node, &|key, _| key.is_some_and(|key| key.text == field))
                .map_or(known, |(key, _)| key);
        }
        let value = |text: &str| {
            let same = |_: Option<&Key>, value: &Node| match &value.content {
                Content::Text { text: own, .. } => own == text,
                Content::Int(own) => own.to_string() == text,
                Content::Float(own) => own.to_string() == text,
                Content::Bool(own) => own.to_string() == text,
                _ => false,
            };
            find(node, &same).map(|(_, value)| value)
        };
        if let Some(text) = self.quoted("unknown variant `") {
            return value(text).unwrap_or(known);
        }
        // `invalid type: string "x", expected a boolean`, `invalid type: integer `5`, ...`
        let found = self.quoted("integer `").or_else(|| self.quoted("boolean `"));
        let found = found.or_else(|| self.quoted("floating point `"));
        let text =
            self.reason.split_once("string \"").and_then(|(_, rest)| rest.split_once("\", e"));
        found.or(text.map(|(text, _)| text)).and_then(value).unwrap_or(known)
    }
}

/// The place of the first member for which `is` holds, outermost first: of its key, and of its value.
fn find(node: &Node, is: &dyn Fn(Option<&Key>, &Node) -> bool) -> Option<(Mark, Mark)> {
    let mut level = vec![node];
    while !level.is_empty() {
        let mut next = Vec::new();
        for node in level {
            for (key, value) in node.members() {
                if is(Some(key), value) {
                    return Some((key.at, value.at));
                }
                next.push(value);
            }
            for item in node.items().into_iter().flatten() {
                if is(None, item) {
                    return Some((item.at, item.at));
                }
                next.push(item);
            }
        }
        level = next;
    }
    None
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.reason)
    }
}

impl std::error::Error for Refused {}

impl de::Error for Refused {
    fn custom<T: fmt::Display>(reason: T) -> Self {
        Self { at: None, reason: reason.to_string() }
    }
}

impl<'de> de::Deserializer<'de> for &'de Node {
    type Error = Refused;

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        let result = match &self.content {
            Content::Null => visitor.visit_unit(),
            Content::Bool(flag) => visitor.visit_bool(*flag),
            Content::Int(number) => visitor.visit_i64(*number),
            Content::Float(number) => visitor.visit_f64(*number),
            Content::Text { text, .. } => visitor.visit_borrowed_str(text),
            Content::List(items) => visitor.visit_seq(Items { rest: items.iter() }),
            Content::Map(members) => {
                let mut access = Members { rest: members.iter(), value: None, last: None };
                visitor.visit_map(&mut access).map_err(|refused| match access.last {
                    Some(last) if refused.unknown_field().is_some() => refused.or_at(last),
                    _ => refused,
                })
            }
        };
        result.map_err(|refused| refused.or_at(self.at))
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Refused> {
        if self.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refused> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refused> {
        let result = match &self.content {
            Content::Text { text, .. } => {
                visitor.visit_enum(IntoDeserializer::<Refused>::into_deserializer(text.as_str()))
            }
            Content::Map(_) => {
                let access = Members { rest: self.members().iter(), value: None, last: None };
                visitor.visit_enum(de::value::MapAccessDeserializer::new(access))
            }
            _ => {
                let expected = format!("one of {}", variants.join(", "));
                let reason = format!("{name}: found {}, expected {expected}", self.kind());
                Err(de::Error::custom(reason))
            }
        };
        result.map_err(|refused: Refused| refused.or_at(self.at))
    }

    serde::forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf unit
        unit_struct seq tuple tuple_struct map struct identifier ignored_any
    }
}

struct Items<'n> {
    rest: std::slice::Iter<'n, Node>,
}

impl<'n> SeqAccess<'n> for Items<'n> {
    type Error = Refused;

    fn next_element_seed<T: DeserializeSeed<'n>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refused> {
        let Some(node) = self.rest.next() else { return Ok(None) };
        seed.deserialize(node).map(Some).map_err(|refused| refused.or_at(node.at))
    }
}

struct Members<'n> {
    rest: std::slice::Iter<'n, (Key, Node)>,
    value: Option<&'n Node>,
    last: Option<Mark>,
}

impl<'n> MapAccess<'n> for Members<'n> {
    type Error = Refused;

    fn next_key_seed<K: DeserializeSeed<'n>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refused> {
        let Some((key, value)) = self.rest.next() else { return Ok(None) };
        (self.value, self.last) = (Some(value), Some(key.at));
        let text: StrDeserializer<'_, Refused> = key.text.as_str().into_deserializer();
        seed.deserialize(text).map(Some).map_err(|refused| refused.or_at(key.at))
    }

    fn next_value_seed<V: DeserializeSeed<'n>>(&mut self, seed: V) -> Result<V::Value, Refused> {
        let ended = || Refused { at: self.last, reason: "a key without a value".to_owned() };
        let node = self.value.take().ok_or_else(ended)?;
        seed.deserialize(node).map_err(|refused| refused.or_at(node.at))
    }
}
