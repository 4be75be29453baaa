//! `xml`: elements become members, attributes too; the text of an element that has either is its
//! `value`; an element that occurs again becomes an array. Every leaf is text. Entities other than
//! those of XML itself are not resolved, so that no text grows.

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use quick_xml::Reader;
use quick_xml::escape::resolve_predefined_entity;
use quick_xml::events::{BytesStart, Event};
use schemas::limits::MAX_DEPTH;

use super::members::{flatten, gather};
use super::{Fields, Filtered, Object};
use crate::value::Value;

/// An element being read.
struct Element<'b> {
    name: &'b str,
    members: Fields<'b>,
    text: BumpString<'b>,
}

/// Reads a document; nothing where the text is none.
pub(super) fn apply<'b>(arena: &'b Bump, text: &'b str) -> Filtered<'b> {
    let Some(root) = document(arena, text) else { return Filtered::Nothing };
    let mut fields = BumpVec::new_in(arena);
    for (name, value) in root {
        flatten(arena, name, value, &mut fields);
    }
    Filtered::Object(Object { keeps_empty: true, ..gather(arena, fields) })
}

fn document<'b>(arena: &'b Bump, text: &'b str) -> Option<Fields<'b>> {
    let mut reader = Reader::from_str(text.trim());
    let mut open: Vec<Element<'b>> = vec![Element::new(arena, "")];
    loop {
        match reader.read_event().ok()? {
            Event::Start(tag) => {
                if open.len() > MAX_DEPTH {
                    return None;
                }
                open.push(Element::start(arena, &tag)?);
            }
            Event::Empty(tag) => {
                let element = Element::start(arena, &tag)?;
                open.last_mut()?.close(arena, element);
            }
            Event::End(_) => {
                let element = open.pop()?;
                open.last_mut()?.close(arena, element);
            }
            Event::Text(content) => open.last_mut()?.text.push_str(&content.decode().ok()?),
            Event::CData(content) => open.last_mut()?.text.push_str(&content.decode().ok()?),
            Event::GeneralRef(reference) => {
                let text = &mut open.last_mut()?.text;
                match reference.resolve_char_ref().ok()? {
                    Some(character) => text.push(character),
                    None => text.push_str(resolve_predefined_entity(&reference.decode().ok()?)?),
                }
            }
            Event::Eof => break,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => {}
        }
    }
    let root = open.pop().filter(|root| open.is_empty() && root.text.trim().is_empty())?;
    (root.members.len() == 1).then_some(root.members)
}

impl<'b> Element<'b> {
    fn new(arena: &'b Bump, name: &'b str) -> Self {
        Self { name, members: BumpVec::new_in(arena), text: BumpString::new_in(arena) }
    }

    fn start(arena: &'b Bump, tag: &BytesStart<'_>) -> Option<Self> {
        let name = std::str::from_utf8(tag.name().into_inner()).ok()?;
        let mut element = Self::new(arena, arena.alloc_str(name));
        for attribute in tag.attributes() {
            let attribute = attribute.ok()?;
            let key = std::str::from_utf8(attribute.key.into_inner()).ok()?;
            let value = attribute.unescape_value().ok()?;
            element.members.push((arena.alloc_str(key), Value::Str(arena.alloc_str(&value))));
        }
        Some(element)
    }

    /// Takes a finished element in.
    fn close(&mut self, arena: &'b Bump, element: Element<'b>) {
        let Element { name, mut members, text } = element;
        let text: &'b str = text.into_bump_str().trim();
        let value = if members.is_empty() {
            Value::Str(text)
        } else {
            if !text.is_empty() {
                members.push(("value", Value::Str(text)));
            }
            Value::Object(gather(arena, members).fields.into_bump_slice())
        };
        self.members.push((name, value));
    }
}
