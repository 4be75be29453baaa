//! `keyvalue([separator[, value characters[, quotes[, delimiter]]]])`: `a=1 b="two words"`.
//!
//! A pair starts at the text's start or after a delimiter or opening bracket and ends at one; a
//! value with a character outside its set makes the pair no pair (documented: with the defaults
//! `connect_date=11/08/2017` is not extracted). Time is linear: a failed pair goes on behind the
//! next delimiter.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::members::gather;
use super::{Fields, Object, number};
use crate::pipeline::grok::class::Class;
use crate::pipeline::grok::token::Call;
use crate::value::Value;

/// The compiled arguments.
#[derive(Debug)]
pub(crate) struct KeyValue {
    separator: Box<str>,
    /// Characters of a value without quotes.
    value: Class,
    quotes: Vec<(char, char)>,
    delimiter: Option<char>,
}

impl KeyValue {
    /// From the call's arguments.
    pub(super) fn compile(call: &Call) -> Result<Self, String> {
        let separator = call.text(0)?.unwrap_or("=");
        if separator.is_empty() {
            return Err("the separator of keyvalue is empty: write keyvalue(\"=\")".to_owned());
        }
        let mut value = Class::word();
        value.add(&Class::of(|byte| matches!(byte, b'.' | b'-' | b'_' | b'@')));
        extend(&mut value, call.text(1)?.unwrap_or(""))?;
        let quotes = match call.text(2)?.unwrap_or("") {
            "" => vec![('"', '"'), ('\'', '\''), ('<', '>')],
            text => {
                let characters: Vec<char> = text.chars().collect();
                match characters.as_slice() {
                    [open, close] => vec![(*open, *close)],
                    _ => return Err("the quotes of keyvalue are two characters: \"()\"".to_owned()),
                }
            }
        };
        let delimiter = match call.text(3)?.unwrap_or("") {
            "" => None,
            text => match (text.chars().next(), text.chars().count()) {
                (Some(character), 1) => Some(character),
                _ => return Err("the delimiter of keyvalue is one character".to_owned()),
            },
        };
        Ok(Self { separator: separator.into(), value, quotes, delimiter })
    }

    fn starts_pair(&self, character: char) -> bool {
        match self.delimiter {
            Some(delimiter) => character == delimiter,
            None => character.is_whitespace() || matches!(character, ',' | ';' | '(' | '[' | '{'),
        }
    }

    fn ends_pair(&self, character: char) -> bool {
        match self.delimiter {
            Some(delimiter) => character == delimiter,
            None => character.is_whitespace() || matches!(character, ',' | ';' | ')' | ']' | '}'),
        }
    }

    /// All pairs of the text; none gives no fields.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, text: &'b str) -> Object<'b> {
        let mut fields: Fields<'b> = BumpVec::new_in(arena);
        let mut rest = text;
        loop {
            rest = rest.trim_start_matches(|character| self.starts_pair(character));
            if rest.is_empty() {
                return gather(arena, fields);
            }
            match self.pair(rest) {
                Some((key, value, after)) => {
                    if let Some(value) = value {
                        fields.push((key, value));
                    }
                    rest = after;
                }
                None => {
                    let next = rest.find(|character| self.starts_pair(character));
                    rest = next.and_then(|next| rest.get(next..)).unwrap_or_default();
                }
            }
        }
    }

    /// A pair at the start: key, value unless it is empty or null, what follows.
    fn pair<'b>(&self, text: &'b str) -> Option<(&'b str, Option<Value<'b>>, &'b str)> {
        let (key, after_key) = self.key(text)?;
        let after_key = after_key.strip_prefix(&*self.separator)?;
        let after_key = match self.delimiter {
            None => after_key.trim_start_matches(' '),
            Some(_) => after_key,
        };
        let boundary = |rest: &str| rest.chars().next().is_none_or(|next| self.ends_pair(next));
        for (open, close) in &self.quotes {
            let Some(inside) = after_key.strip_prefix(*open) else { continue };
            let (value, after) = split_quoted(inside, *close)?;
            let value = (!value.is_empty()).then_some(Value::Str(value));
            return boundary(after).then_some((key, value, after));
        }
        let mut end = self.value.run(after_key, 0);
        let mut value = after_key.get(..end)?;
        // The value's characters may include the delimiter's.
        if let Some(cut) = self.delimiter.and_then(|delimiter| value.find(delimiter)) {
            end = cut;
            value = after_key.get(..end)?;
        }
        let after = after_key.get(end..)?;
        if !boundary(after) {
            return None;
        }
        Some((key, typed(value.trim_end_matches(',')), after))
    }

    /// A key: bare, or in quotes.
    fn key<'b>(&self, text: &'b str) -> Option<(&'b str, &'b str)> {
        for (open, close) in &self.quotes {
            if let Some((key, after)) =
                text.strip_prefix(*open).and_then(|t| split_quoted(t, *close))
            {
                return (!key.is_empty() && !key.contains(' ')).then_some((key, after));
            }
        }
        let odd = |character: char| {
            !(character.is_alphanumeric() || matches!(character, '_' | '.' | '-' | '@' | '/' | '$'))
        };
        // The key ends where its characters end, so that a text without pairs stays linear.
        let run = text.find(odd).unwrap_or(text.len());
        let head = text.get(..run)?;
        let end = head.find(&*self.separator).unwrap_or(run);
        let key = head.get(..end)?;
        (!key.is_empty()).then_some((key, text.get(end..)?.trim_start_matches(' ')))
    }
}

/// Text in quotes and what follows; the closing quote is looked for no further than a value reaches.
fn split_quoted(text: &str, close: char) -> Option<(&str, &str)> {
    let limit = text.len().min(schemas::limits::MAX_ATTRIBUTE_VALUE_BYTES);
    let limit = (0..=limit).rev().find(|index| text.is_char_boundary(*index))?;
    let end = text.get(..limit)?.find(close)?;
    Some((text.get(..end)?, text.get(end + close.len_utf8()..)?))
}

/// Adds the characters of a regular expression's set, as users write them: `/:`, `\\s`, `a-z`.
fn extend(class: &mut Class, text: &str) -> Result<(), String> {
    let mut characters = text.chars().peekable();
    while let Some(character) = characters.next() {
        match character {
            '\\' => match characters.next() {
                Some('s') => class.add(&Class::space()),
                Some('w') => class.add(&Class::word()),
                Some('d') => class.add(&Class::digit()),
                Some(other) if other.is_ascii() => class.add_ascii(other as u8),
                _ => return Err("a backslash at the end of keyvalue's characters".to_owned()),
            },
            low if low.is_ascii() => {
                let mut ahead = characters.clone();
                let high = (ahead.next() == Some('-')).then(|| ahead.next()).flatten();
                match high
                    .filter(|high| low.is_ascii_alphanumeric() && high.is_ascii_alphanumeric())
                {
                    Some(high) => {
                        (low as u8..=high as u8).for_each(|byte| class.add_ascii(byte));
                        characters = ahead;
                    }
                    None => class.add_ascii(low as u8),
                }
            }
            _ => return Err("keyvalue's characters must be ASCII".to_owned()),
        }
    }
    Ok(())
}

/// `null` and empty are absent; numbers with a leading zero are codes and stay text.
fn typed(value: &str) -> Option<Value<'_>> {
    let digits = value.trim_start_matches(['-', '+']);
    let code = digits.len() > 1
        && digits.starts_with('0')
        && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
    let numeric = digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    match value {
        "" | "null" => None,
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if numeric && !code && !value.starts_with('+') => {
            Some(number(value).unwrap_or(Value::Str(value)))
        }
        _ => Some(Value::Str(value)),
    }
}
