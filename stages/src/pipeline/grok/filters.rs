//! Filters: what is done with a captured text after its matcher. One file each for those with a
//! language of their own. A filter that fails drops its field, never the match.

mod array;
mod csv;
mod json;
mod keyvalue;
mod members;
mod querystring;
mod rubyhash;
mod uri;
mod url;
mod useragent;
mod xml;

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};

use super::token::{Arg, Call};
use crate::value::Value;

/// A compiled filter.
#[derive(Debug)]
pub(crate) enum Filter {
    Number,
    Integer,
    Boolean,
    NullIf(Box<str>),
    Json,
    KeyValue(Box<keyvalue::KeyValue>),
    QueryString,
    DecodeUriComponent,
    Lowercase,
    Uppercase,
    Scale(f64),
    Array(Box<array::Array>),
    Csv(Box<csv::Csv>),
    RubyHash,
    Xml,
    Url,
    UserAgent(useragent::UserAgent),
}

/// Members of an object: dotted paths and values.
pub(crate) type Fields<'b> = BumpVec<'b, (&'b str, Value<'b>)>;

/// An object's members, each once.
#[derive(Debug)]
pub(crate) struct Object<'b> {
    pub(crate) fields: Fields<'b>,
    /// Members left out because there were too many.
    pub(crate) dropped: u32,
    /// Whether an empty text is a value: in JSON somebody wrote it.
    pub(crate) keeps_empty: bool,
}

/// What a filter gives.
#[derive(Debug)]
pub(crate) enum Filtered<'b> {
    Value(Value<'b>),
    /// Merged below the extract's path, or at the root without one.
    Object(Object<'b>),
    Nothing,
}

impl Filter {
    /// Whether it can give an object, whose members nobody knows at load.
    pub(crate) fn gives_object(&self) -> bool {
        use Filter::{Csv, Json, KeyValue, QueryString, RubyHash, Url, UserAgent, Xml};
        matches!(
            self,
            Csv(_) | Json | KeyValue(_) | QueryString | RubyHash | Url | UserAgent(_) | Xml
        )
    }
}

/// The filter a token names.
pub(crate) fn compile(call: &Call) -> Result<Filter, String> {
    Ok(match call.name.as_str() {
        "number" | "numberExt" => Filter::Number,
        "integer" | "integerExt" => Filter::Integer,
        "boolean" => Filter::Boolean,
        "nullIf" => {
            Filter::NullIf(call.text(0)?.ok_or("nullIf needs a text: nullIf(\"-\")")?.into())
        }
        "json" => Filter::Json,
        "keyvalue" => Filter::KeyValue(Box::new(keyvalue::KeyValue::compile(call)?)),
        "querystring" => Filter::QueryString,
        "decodeuricomponent" => Filter::DecodeUriComponent,
        "lowercase" => Filter::Lowercase,
        "uppercase" => Filter::Uppercase,
        "scale" => match call.args.as_slice() {
            [Arg::Number(factor)] => Filter::Scale(*factor),
            _ => return Err("scale needs a number: scale(1000)".to_owned()),
        },
        "array" => Filter::Array(Box::new(array::Array::compile(call)?)),
        "csv" => Filter::Csv(Box::new(csv::Csv::compile(call)?)),
        "rubyhash" => Filter::RubyHash,
        "xml" => Filter::Xml,
        "url" => Filter::Url,
        "useragent" => Filter::UserAgent(useragent::UserAgent::compile(call)?),
        other => {
            return Err(format!(
                "unknown filter `{other}`: the filters are number, integer, boolean, nullIf, json, \
                 rubyhash, keyvalue, xml, csv, querystring, url, useragent, decodeuricomponent, \
                 lowercase, uppercase, scale, array"
            ));
        }
    })
}

impl Filter {
    /// Applies it to a value; all but `scale` and the number filters take text only.
    pub(crate) fn apply<'b>(&self, arena: &'b Bump, value: Value<'b>) -> Filtered<'b> {
        let text = value.text(arena);
        let some = |value: Option<Value<'b>>| value.map_or(Filtered::Nothing, Filtered::Value);
        match self {
            Filter::Number => some(number(text)),
            Filter::Integer => some(integer(text)),
            Filter::Boolean => Filtered::Value(Value::Bool(text.eq_ignore_ascii_case("true"))),
            Filter::NullIf(null) if **null == *text => Filtered::Nothing,
            Filter::NullIf(_) => Filtered::Value(value),
            Filter::Json => json::apply(arena, text),
            Filter::KeyValue(filter) => Filtered::Object(filter.apply(arena, text)),
            Filter::QueryString => Filtered::Object(querystring::apply(arena, text)),
            Filter::DecodeUriComponent => Filtered::Value(Value::Str(uri::decode(arena, text))),
            Filter::Lowercase => {
                Filtered::Value(Value::Str(mapped(arena, text, char::to_lowercase)))
            }
            Filter::Uppercase => {
                Filtered::Value(Value::Str(mapped(arena, text, char::to_uppercase)))
            }
            Filter::Scale(factor) => some(scale(&value, *factor)),
            Filter::Array(filter) => filter.apply(arena, text),
            Filter::Csv(filter) => {
                let fields = filter.apply(arena, text);
                Filtered::Object(Object { fields, dropped: 0, keeps_empty: false })
            }
            Filter::RubyHash => rubyhash::apply(arena, text),
            Filter::Xml => xml::apply(arena, text),
            Filter::Url => url::apply(arena, text),
            Filter::UserAgent(filter) => filter.apply(arena, text),
        }
    }
}

/// Text to a number; whole ones stay whole.
pub(crate) fn number<'b>(text: &str) -> Option<Value<'b>> {
    if let Ok(number) = text.parse() {
        return Some(Value::Int(number));
    }
    text.parse::<f64>().ok().filter(|number| number.is_finite()).map(simplest)
}

/// Text to a whole number, also with an exponent.
pub(crate) fn integer<'b>(text: &str) -> Option<Value<'b>> {
    if let Ok(number) = text.parse() {
        return Some(Value::Int(number));
    }
    let number = text.parse::<f64>().ok().filter(|number| number.is_finite())?;
    Some(simplest(number.trunc()))
}

/// A whole number as such, where a double holds it exactly.
fn simplest<'b>(number: f64) -> Value<'b> {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT {
        Value::Int(number as i64)
    } else {
        Value::Float(number)
    }
}

fn scale<'b>(value: &Value<'_>, factor: f64) -> Option<Value<'b>> {
    let number = match value {
        Value::Str(text) => text.parse().ok()?,
        other => other.as_f64()?,
    };
    let scaled: f64 = number * factor;
    scaled.is_finite().then(|| simplest(scaled))
}

fn mapped<'b, I: Iterator<Item = char>>(
    arena: &'b Bump,
    text: &str,
    map: fn(char) -> I,
) -> &'b str {
    let mut mapped = BumpString::with_capacity_in(text.len(), arena);
    for character in text.chars() {
        mapped.extend(map(character));
    }
    mapped.into_bump_str()
}
