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
    /// Before and after a pair; the default ones are several.
    delimiters: Option<(char, char)>,
}

/// A run of the value's characters, found once: pairs that fail inside it do not read it again.
#[derive(Debug, Default)]
struct Run {
    start: usize,
    end: usize,
    /// The last place in it where a pair may end.
    last: Option<usize>,
}

/// One character that stands for two, or two.
fn pair(text: &str) -> Option<(char, char)> {
    let mut characters = text.chars();
    let first = characters.next()?;
    let second = characters.next().unwrap_or(first);
    characters.next().is_none().then_some((first, second))
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
            text => vec![pair(text).ok_or("the quotes of keyvalue are two characters: \"()\"")?],
        };
        let delimiters = match call.text(3)?.unwrap_or("") {
            "" => None,
            text => Some(pair(text).ok_or(
                "the delimiter of keyvalue is one character, or two: before and after a pair",
            )?),
        };
        Ok(Self { separator: separator.into(), value, quotes, delimiters })
    }

    fn starts_pair(&self, character: char) -> bool {
        match self.delimiters {
            Some((before, _)) => character == before,
            None => character.is_whitespace() || matches!(character, ',' | ';' | '(' | '[' | '{'),
        }
    }

    fn ends_pair(&self, character: char) -> bool {
        match self.delimiters {
            Some((_, after)) => character == after,
            None => character.is_whitespace() || matches!(character, ',' | ';' | ')' | ']' | '}'),
        }
    }

    /// All pairs of the text; none gives no fields.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, text: &'b str) -> Object<'b> {
        let mut fields: Fields<'b> = BumpVec::new_in(arena);
        let mut rest = text;
        let mut run = Run::default();
        // Whether text that is no pair stands before this place, and nothing but what a value can hold from its
        // end on: it is part of the key then, which makes it none (published pipelines count on it).
        let mut is_glued = false;
        loop {
            let begins = rest.trim_start_matches(|character| self.starts_pair(character));
            let between = rest.get(..rest.len() - begins.len()).unwrap_or_default();
            is_glued = is_glued && between.chars().all(|character| self.value.contains(character));
            rest = begins;
            if rest.is_empty() {
                return Object { keeps_empty: true, ..gather(arena, fields) };
            }
            match self.pair(text, rest, &mut run) {
                Some((key, value, after)) => {
                    if let Some(value) = value.filter(|_| !is_glued) {
                        fields.push((key, value));
                    }
                    (rest, is_glued) = (after, false);
                }
                None => {
                    let next = rest.find(|character| self.starts_pair(character));
                    let (skipped, after) = rest.split_at(next.unwrap_or(rest.len()));
                    let last = skipped.chars().next_back();
                    is_glued = last.is_some_and(|character| self.value.contains(character));
                    rest = after;
                }
            }
        }
    }

    /// A pair at the start of `rest`, the end of `text`: key, value unless it is empty or null, what follows.
    fn pair<'b>(
        &self,
        text: &'b str,
        rest: &'b str,
        run: &mut Run,
    ) -> Option<(&'b str, Option<Value<'b>>, &'b str)> {
        let (key, after_key) = self.key(rest)?;
        let after_key = after_key.strip_prefix(&*self.separator)?;
        if let Some((value, after)) = self.quoted(after_key) {
            return Some((key, value, after));
        }
        let start = text.len() - after_key.len();
        let end = self.end(text, start, run).filter(|end| *end > start)?;
        let value = text.get(start..end)?.trim().trim_end_matches(',');
        Some((key, typed(value), text.get(end..)?))
    }

    /// A value in quotes that ends where a pair may end, and what follows.
    fn quoted<'b>(&self, text: &'b str) -> Option<(Option<Value<'b>>, &'b str)> {
        self.quotes.iter().find_map(|(open, close)| {
            let (value, after) = split_quoted(text.strip_prefix(*open)?, *close)?;
            let ends = after.chars().next().is_none_or(|next| self.ends_pair(next));
            let value = (!value.is_empty()).then_some(Value::Str(value.trim()));
            ends.then_some((value, after))
        })
    }

    /// Where the value without quotes that starts at `start` ends: as late as it may. Its characters can be
    /// delimiters too, as published pipelines have them: then it reaches to the last one before a
    /// character it can not hold, which is the separator of the next pair.
    fn end(&self, text: &str, start: usize, run: &mut Run) -> Option<usize> {
        if !(run.start..run.end).contains(&start) {
            let end = self.value.run(text, start);
            let held = text.get(start..end)?;
            let cut = held.rfind(|character| self.ends_pair(character)).map(|at| start + at);
            let may_end = text.get(end..)?.chars().next().is_none_or(|next| self.ends_pair(next));
            *run = Run { start, end, last: if may_end { Some(end) } else { cut } };
        }
        run.last
    }

    /// A key: bare, or in quotes.
    fn key<'b>(&self, text: &'b str) -> Option<(&'b str, &'b str)> {
        // Where a value can hold blanks a key can too, and those around it are not its own.
        let blanks = self.value.contains(' ');
        let text = if blanks { text.trim_start_matches(' ') } else { text };
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
        (!key.is_empty()).then_some((key, text.get(end..)?))
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

/// `null` and empty are absent; numbers with a leading zero that are no octal ones are codes and stay text.
/// Seconds and milliseconds are whole milliseconds, as published pipelines have them: `263ms`, `0s`.
fn typed(value: &str) -> Option<Value<'_>> {
    let digits = value.trim_start_matches(['-', '+']);
    let code = digits.len() > 1
        && digits.starts_with('0')
        && digits.as_bytes().get(1).is_some_and(u8::is_ascii_digit)
        && digits.contains(['8', '9']);
    let numeric = digits.bytes().next().is_some_and(|byte| byte.is_ascii_digit() || byte == b'.');
    match value {
        "" | "null" => None,
        "true" => Some(Value::Bool(true)),
        "false" => Some(Value::Bool(false)),
        _ if numeric && !code && !value.starts_with('+') => {
            Some(exact(value).or_else(|| duration(value)).unwrap_or(Value::Str(value)))
        }
        _ => Some(Value::Str(value)),
    }
}

/// A number; a whole one that is too large for one is an id, and stays as it is written.
fn exact(text: &str) -> Option<Value<'_>> {
    let huge = text.parse::<i64>().is_err() && text.parse::<u64>().is_ok();
    if huge { Some(Value::Str(text)) } else { number(text) }
}

/// `12.5s`, `263ms`: whole milliseconds.
fn duration(text: &str) -> Option<Value<'_>> {
    let (digits, factor) = match text.strip_suffix("ms") {
        Some(digits) => (digits, 1.0),
        None => (text.strip_suffix('s')?, 1_000.0),
    };
    let plain = digits.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let millis = digits.parse::<f64>().ok().filter(|_| plain)? * factor;
    (millis < 9e15).then_some(Value::Int(millis as i64))
}
