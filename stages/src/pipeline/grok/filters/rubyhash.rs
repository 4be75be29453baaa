//! `rubyhash`: `{name => "John", :id => 7, "job" => {"title" => "CTO"}, tags: ["a", nil]}`.

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use schemas::limits::MAX_DEPTH;

use super::members::{flatten, gather};
use super::{Filtered, Object, number};
use crate::value::Value;

/// Reads a hash; nothing where the text is none.
pub(super) fn apply<'b>(arena: &'b Bump, text: &'b str) -> Filtered<'b> {
    let mut reader = Reader { arena, text, at: 0 };
    reader.space();
    if reader.peek() != Some('{') {
        return Filtered::Nothing;
    }
    let Some(hash) = reader.value(0) else { return Filtered::Nothing };
    reader.space();
    if reader.at < text.len() {
        return Filtered::Nothing;
    }
    let mut fields = BumpVec::new_in(arena);
    flatten(arena, "", hash, &mut fields);
    Filtered::Object(Object { keeps_empty: true, ..gather(arena, fields) })
}

struct Reader<'b> {
    arena: &'b Bump,
    text: &'b str,
    at: usize,
}

impl<'b> Reader<'b> {
    fn rest(&self) -> &'b str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<char> {
        self.rest().chars().next()
    }

    fn eat(&mut self, token: &str) -> bool {
        let found = self.rest().starts_with(token);
        self.at += if found { token.len() } else { 0 };
        found
    }

    fn space(&mut self) {
        self.at += self.rest().len() - self.rest().trim_start().len();
    }

    fn take(&mut self, is_in: impl Fn(char) -> bool) -> &'b str {
        let rest = self.rest();
        let length = rest.find(|character| !is_in(character)).unwrap_or(rest.len());
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    fn value(&mut self, depth: usize) -> Option<Value<'b>> {
        if depth > MAX_DEPTH {
            return None;
        }
        self.space();
        match self.peek()? {
            '{' => self.hash(depth),
            '[' => self.array(depth),
            quote @ ('"' | '\'') => self.quoted(quote).map(Value::Str),
            ':' => {
                self.at += 1;
                self.name().map(Value::Str)
            }
            _ => {
                let word = self.take(|c| c.is_alphanumeric() || "_.+-".contains(c));
                Some(match word {
                    "" => return None,
                    "nil" => Value::Null,
                    "true" => Value::Bool(true),
                    "false" => Value::Bool(false),
                    word => number(word)?,
                })
            }
        }
    }

    fn hash(&mut self, depth: usize) -> Option<Value<'b>> {
        let mut members = BumpVec::new_in(self.arena);
        self.at += 1;
        loop {
            self.space();
            if self.eat("}") {
                return Some(Value::Object(members.into_bump_slice()));
            }
            let symbol = self.eat(":");
            let key = self.name()?;
            // `key: value` is another way to write `:key => value`.
            self.space();
            if !(self.eat("=>") || (!symbol && self.eat(":"))) {
                return None;
            }
            let value = self.value(depth + 1)?;
            members.push((key, value));
            self.space();
            if !self.eat(",") && self.peek() != Some('}') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value<'b>> {
        let mut items = BumpVec::new_in(self.arena);
        self.at += 1;
        loop {
            self.space();
            if self.eat("]") {
                return Some(Value::Array(items.into_bump_slice()));
            }
            items.push(self.value(depth + 1)?);
            self.space();
            if !self.eat(",") && self.peek() != Some(']') {
                return None;
            }
        }
    }

    fn name(&mut self) -> Option<&'b str> {
        match self.peek()? {
            quote @ ('"' | '\'') => self.quoted(quote),
            _ => {
                let name = self.take(|c| c.is_alphanumeric() || "_.-?!@".contains(c));
                (!name.is_empty()).then_some(name)
            }
        }
    }

    fn quoted(&mut self, quote: char) -> Option<&'b str> {
        self.at += quote.len_utf8();
        let inside = self.take(|c| c != quote && c != '\\');
        if self.peek() == Some(quote) {
            self.at += quote.len_utf8();
            return Some(inside);
        }
        let mut text = BumpString::from_str_in(inside, self.arena);
        loop {
            let character = self.peek()?;
            self.at += character.len_utf8();
            match character {
                _ if character == quote => return Some(text.into_bump_str()),
                '\\' => {
                    let escaped = self.peek()?;
                    self.at += escaped.len_utf8();
                    text.push(match escaped {
                        'n' if quote == '"' => '\n',
                        't' if quote == '"' => '\t',
                        'r' if quote == '"' => '\r',
                        other => other,
                    });
                }
                _ => text.push(character),
            }
        }
    }
}
