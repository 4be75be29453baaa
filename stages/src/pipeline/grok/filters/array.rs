//! `array([["open close",] "separator"][, filter])`: a list in brackets.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::{Filter, Filtered, compile};
use crate::pipeline::grok::token::{Arg, Call};
use crate::value::Value;

/// Brackets, separator, what is done with each element.
#[derive(Debug)]
pub(crate) struct Array {
    brackets: Option<(char, char)>,
    separator: Box<str>,
    element: Option<Filter>,
}

impl Array {
    /// From the call's arguments.
    pub(super) fn compile(call: &Call) -> Result<Self, String> {
        let mut texts = Vec::new();
        let mut element = None;
        for arg in &call.args {
            match arg {
                Arg::Text(text) => texts.push(text.as_str()),
                Arg::Call(call) => element = Some(compile(call)?),
                _ => return Err("array takes texts in double quotes and a filter".to_owned()),
            }
        }
        let (brackets, separator) = match texts.as_slice() {
            [] => ("[]", ","),
            [separator] => ("[]", *separator),
            [brackets, separator] => (*brackets, *separator),
            _ => return Err("array takes brackets, a separator and a filter".to_owned()),
        };
        let mut pair = brackets.chars();
        let brackets = match (pair.next(), pair.next(), pair.next()) {
            (None, ..) => None,
            (Some(open), Some(close), None) => Some((open, close)),
            _ => return Err("the brackets of array are two characters: \"[]\"".to_owned()),
        };
        // YAML block texts can not hold a line break inside a rule.
        let separator = match separator {
            "" => return Err("the separator of array is empty".to_owned()),
            "\\n" => "\n",
            "\\t" => "\t",
            other => other,
        };
        Ok(Self { brackets, separator: separator.into(), element })
    }

    /// Splits, with brackets or without.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, text: &'b str) -> Filtered<'b> {
        let inside = match self.brackets {
            None => text,
            Some((open, close)) => {
                let inside = text.trim().strip_prefix(open);
                let inside = inside.and_then(|text| text.strip_suffix(close));
                // A text without brackets is split too, as published pipelines count on.
                inside.unwrap_or(text)
            }
        };
        let mut items = BumpVec::new_in(arena);
        let keeps_nulls = matches!(self.element, Some(Filter::NullIf(_)));
        let items_of = inside.split(&*self.separator);
        for item in items_of.filter(|item| keeps_nulls || !item.is_empty()) {
            match self.element.as_ref().map(|filter| filter.apply(arena, Value::Str(item))) {
                None => items.push(Value::Str(item)),
                Some(Filtered::Value(value)) => items.push(value),
                Some(Filtered::Object(object)) => {
                    items.push(Value::Object(object.fields.into_bump_slice()))
                }
                // A null keeps its place.
                Some(Filtered::Nothing) if keeps_nulls => items.push(Value::Null),
                Some(Filtered::Nothing) => {}
            }
        }
        Filtered::Value(Value::Array(items.into_bump_slice()))
    }
}
