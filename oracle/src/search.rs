//! Records and queries: which of them either side finds. Vector's tree and parser are its own; how a
//! matcher looks at a record follows its `match_datadog_query`, which is part of a feature with
//! hundreds of functions more.

use bumpalo::Bump;
use schemas::status::Status;
use schemas::time::EventTime;
use stages::event::LogEvent;
use stages::value;
use std::borrow::Cow;
use std::cmp::Ordering;
use std::str::FromStr;
use vrl::datadog_filter::regex::{wildcard_regex, word_regex};
use vrl::datadog_filter::{Filter, Matcher, Resolver, Run, build_matcher};
use vrl::datadog_search_syntax::{Comparison, ComparisonValue, Field, QueryNode};
use vrl::path::{OwnedValuePath, PathParseError, parse_value_path};
use vrl::value::{ObjectMap, Value};

/// An attribute's value.
#[derive(Debug, Clone, PartialEq)]
pub enum Scalar {
    Int(i64),
    Float(f64),
    Bool(bool),
    Text(String),
    Texts(Vec<String>),
}

/// A log.
#[derive(Debug, Clone, Default)]
pub struct Log {
    pub message: String,
    pub service: String,
    pub host: String,
    pub source: String,
    /// One of the nine.
    pub status: String,
    pub tags: Vec<String>,
    /// Dotted paths.
    pub attributes: Vec<(String, Scalar)>,
}

impl Log {
    /// As the pipeline has it.
    pub fn ours<'b>(&'b self, arena: &'b Bump) -> LogEvent<'b> {
        let mut event = LogEvent::new_in(arena, EventTime::default());
        event.message = &self.message;
        event.service = &self.service;
        event.host = &self.host;
        event.source = &self.source;
        event.status = Some(Status::from_text(&self.status));
        event.tags.extend(self.tags.iter().map(String::as_str));
        for (path, scalar) in &self.attributes {
            event.attributes.set(
                path,
                match scalar {
                    Scalar::Int(number) => value::Value::Int(*number),
                    Scalar::Float(number) => value::Value::Float(*number),
                    Scalar::Bool(flag) => value::Value::Bool(*flag),
                    Scalar::Text(text) => value::Value::Str(text),
                    Scalar::Texts(texts) => {
                        value::Value::Array(arena.alloc_slice_fill_iter(
                            texts.iter().map(|text| value::Value::Str(text)),
                        ))
                    }
                },
            );
        }
        event
    }

    /// As Vector has it: attributes beside the reserved fields.
    pub fn theirs(&self) -> Value {
        let mut root = Value::Object(ObjectMap::new());
        let texts = [
            ("message", &self.message),
            ("service", &self.service),
            ("host", &self.host),
            ("source", &self.source),
            ("status", &self.status),
        ];
        for (name, text) in texts.into_iter().filter(|(_, text)| !text.is_empty()) {
            root.insert(&path(name), text.as_str());
        }
        if !self.tags.is_empty() {
            let tags: Vec<Value> = self.tags.iter().map(|tag| Value::from(tag.as_str())).collect();
            root.insert(&path("tags"), tags);
        }
        for (name, scalar) in &self.attributes {
            let value = match scalar {
                Scalar::Int(number) => Value::from(*number),
                Scalar::Float(number) => Value::from_f64_or_zero(*number),
                Scalar::Bool(flag) => Value::from(*flag),
                Scalar::Text(text) => Value::from(text.as_str()),
                Scalar::Texts(texts) => {
                    Value::Array(texts.iter().map(|text| Value::from(text.as_str())).collect())
                }
            };
            root.insert(&path(name), value);
        }
        root
    }
}

fn path(name: &str) -> OwnedValuePath {
    parse_value_path(name).expect("a path")
}

/// Ours, compiled.
///
/// # Panics
/// On a query that is none.
pub fn ours(query: &str) -> search::Query {
    search::Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"))
}

/// Vector's, compiled.
///
/// # Errors
/// Vector's own.
pub fn theirs(query: &str) -> Result<Box<dyn Matcher<Value>>, String> {
    let node = QueryNode::from_str(query).map_err(|error| error.to_string())?;
    build_matcher(&node, &Records).map_err(|error| error.to_string())
}

#[derive(Debug, Clone)]
struct Records;

impl Resolver for Records {}

type Found = Result<Box<dyn Matcher<Value>>, PathParseError>;

impl Filter<Value> for Records {
    fn exists(&self, field: Field) -> Found {
        match field {
            Field::Tag(tag) => {
                let start = format!("{tag}:");
                any_tag(move |own| own == tag || own.starts_with(&start))
            }
            Field::Reserved(name) if name == "tags" => any_tag(|_| false),
            field => at(&field, |_| true),
        }
    }

    fn equals(&self, field: Field, wanted: &str) -> Found {
        let wanted = wanted.to_owned();
        match field {
            Field::Default(_) => {
                let regex = word_regex(&wanted);
                at(&field, move |value| value.to_str_lossy().is_some_and(|s| regex.is_match(&s)))
            }
            Field::Reserved(name) if name == "tags" => any_tag(move |own| own == wanted),
            Field::Tag(tag) => {
                let wanted = format!("{tag}:{wanted}");
                any_tag(move |own| own == wanted)
            }
            field => at(&field, move |value| text(value) == wanted),
        }
    }

    fn prefix(&self, field: Field, prefix: &str) -> Found {
        let prefix = prefix.to_owned();
        match field {
            Field::Default(_) => {
                let regex = word_regex(&format!("{prefix}*"));
                at(&field, move |value| regex.is_match(&text(value)))
            }
            Field::Tag(tag) => {
                let start = format!("{tag}:{prefix}");
                any_tag(move |own| own.starts_with(&start))
            }
            field => at(&field, move |value| text(value).starts_with(&prefix)),
        }
    }

    fn wildcard(&self, field: Field, wildcard: &str) -> Found {
        match field {
            Field::Default(_) => {
                let regex = word_regex(wildcard);
                at(&field, move |value| regex.is_match(&text(value)))
            }
            Field::Tag(tag) => {
                let regex = wildcard_regex(&format!("{tag}:{wildcard}"));
                any_tag(move |own| regex.is_match(own))
            }
            field => {
                let regex = wildcard_regex(wildcard);
                at(&field, move |value| regex.is_match(&text(value)))
            }
        }
    }

    fn compare(&self, field: Field, comparator: Comparison, bound: ComparisonValue) -> Found {
        let holds = move |order: Option<Ordering>| match comparator {
            Comparison::Lt => order == Some(Ordering::Less),
            Comparison::Lte => order.is_some_and(|order| order != Ordering::Greater),
            Comparison::Gt => order == Some(Ordering::Greater),
            Comparison::Gte => order.is_some_and(|order| order != Ordering::Less),
        };
        let words = bound.to_string();
        match field {
            Field::Attribute(_) => at(&field, move |value| {
                let number = match (value, &bound) {
                    (Value::Integer(own), ComparisonValue::Integer(bound)) => {
                        return holds(Some(own.cmp(bound)));
                    }
                    (Value::Integer(own), ComparisonValue::Float(bound)) => {
                        Some((*own as f64, *bound))
                    }
                    (Value::Float(own), ComparisonValue::Float(bound)) => {
                        Some((own.into_inner(), *bound))
                    }
                    (Value::Float(own), ComparisonValue::Integer(bound)) => {
                        Some((own.into_inner(), *bound as f64))
                    }
                    _ => None,
                };
                match (number, &bound) {
                    (Some((own, bound)), _) => holds(own.partial_cmp(&bound)),
                    (None, ComparisonValue::String(bound)) => {
                        holds(Some(text(value).as_ref().cmp(bound.as_str())))
                    }
                    (None, _) => holds(Some(text(value).as_ref().cmp(words.as_str()))),
                }
            }),
            Field::Tag(_) => any_tag(move |own| {
                own.split_once(':').is_some_and(|(_, own)| holds(Some(own.cmp(words.as_str()))))
            }),
            field => at(&field, move |value| holds(Some(text(value).as_ref().cmp(words.as_str())))),
        }
    }
}

/// A test of the value at a field's path.
fn at(field: &Field, test: impl Fn(&Value) -> bool + Clone + Send + Sync + 'static) -> Found {
    let path = parse_value_path(field.as_str())?;
    Ok(Run::boxed(move |record: &Value| record.get(&path).is_some_and(&test)))
}

/// A test of each tag.
fn any_tag(test: impl Fn(&str) -> bool + Clone + Send + Sync + 'static) -> Found {
    let path = parse_value_path("tags")?;
    Ok(Run::boxed(move |record: &Value| match record.get(&path) {
        Some(Value::Array(tags)) => tags.iter().any(|tag| test(&text(tag))),
        _ => false,
    }))
}

fn text(value: &Value) -> Cow<'_, str> {
    value.to_str_lossy().unwrap_or_else(|| Cow::from(value.to_string()))
}
