//! `csv("a,b"[, separator[, quote]])`: fields by position; a doubled quote is one quote.

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};

use super::{Fields, number};
use crate::pipeline::grok::token::Call;
use crate::value::Value;

/// Headers and separators.
#[derive(Debug)]
pub(crate) struct Csv {
    headers: Vec<Box<str>>,
    separator: char,
    quote: char,
}

impl Csv {
    /// From the call's arguments.
    pub(super) fn compile(call: &Call) -> Result<Self, String> {
        let headers = call.text(0)?.ok_or("csv needs its headers: csv(\"first,second\")")?;
        let one =
            |text: Option<&str>, default: char| match text {
                None => Ok(default),
                Some("tab") => Ok('\t'),
                Some(text) => match (text.chars().next(), text.chars().count()) {
                    (Some(character), 1) => Ok(character),
                    _ => Err("the separator and the quote of csv are one character, or \"tab\""
                        .to_owned()),
                },
            };
        Ok(Self {
            headers: headers.split(',').map(|name| name.trim().into()).collect(),
            separator: one(call.text(1)?, ',')?,
            quote: one(call.text(2)?, '"')?,
        })
    }

    /// Reads one line. Extra fields are dropped, missing and empty ones are absent.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, text: &'b str) -> Fields<'b> {
        let mut fields = BumpVec::new_in(arena);
        let mut rest = Some(text);
        for header in &self.headers {
            let Some(text) = rest else { break };
            let (value, after) = self.field(arena, text);
            rest = after;
            if !value.is_empty() {
                let value = number(value).unwrap_or(Value::Str(value));
                fields.push((&*arena.alloc_str(header), value));
            }
        }
        fields
    }

    fn field<'b>(&self, arena: &'b Bump, text: &'b str) -> (&'b str, Option<&'b str>) {
        let Some(quoted) = text.trim_start_matches(' ').strip_prefix(self.quote) else {
            return match text.split_once(self.separator) {
                Some((value, after)) => (value.trim(), Some(after)),
                None => (text.trim(), None),
            };
        };
        let mut value = BumpString::new_in(arena);
        let mut characters = quoted.chars();
        while let Some(character) = characters.next() {
            if character != self.quote {
                value.push(character);
            } else if let Some(after) = characters.as_str().strip_prefix(self.quote) {
                value.push(character);
                characters = after.chars();
            } else {
                break;
            }
        }
        let after = characters.as_str().split_once(self.separator).map(|(_, after)| after);
        (value.into_bump_str(), after)
    }
}
