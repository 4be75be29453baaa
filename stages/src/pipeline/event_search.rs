//! A log as the search syntax sees it.

use schemas::status::Status;
use search::{Record, Reserved, Scalar, same};

use bumpalo::Bump;

use crate::event::LogEvent;
use crate::json;
use crate::value::Value;

impl Record for LogEvent<'_> {
    #[inline]
    fn message(&self) -> &str {
        self.message
    }

    #[inline]
    fn reserved(&self, field: Reserved, test: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            Reserved::Service => one(self.service, test),
            // Any tag of that name, as of others: a record can have several.
            Reserved::Env => one(self.env, test) || Record::tag(self, "env", test),
            Reserved::Version => one(self.version, test) || Record::tag(self, "version", test),
            Reserved::Host => one(self.host, test),
            Reserved::Source => one(self.source, test),
            // As the table has it.
            Reserved::Status => test(self.status.unwrap_or(Status::Info).as_str()),
            Reserved::TraceId => self.trace_id.is_some_and(|id| test(id.hex().as_str())),
            Reserved::SpanId => self.span_id.is_some_and(|id| test(id.hex().as_str())),
        }
    }

    #[inline]
    fn attribute(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        if self.attributes.get(path).is_some_and(|value| visit_whole(&value, test)) {
            return true;
        }
        self.attributes.may_hold_lists() && self.in_lists(path, test)
    }

    fn has_attribute(&self, path: &str) -> bool {
        self.attributes.iter().any(|(key, value)| match key.strip_prefix(path) {
            Some(rest) => (rest.is_empty() || rest.starts_with('.')) && value != Value::Null,
            None => false,
        }) || self.attribute(path, &mut |_| true)
    }

    #[inline]
    fn tag(&self, key: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.tags.iter().any(|tag| {
            // Most tags are of another key, which the length of it tells.
            let is_key = || tag.get(..key.len()).is_some_and(|own| same(own, key));
            match tag.as_bytes().get(key.len()) {
                None => tag.len() == key.len() && is_key() && test(""),
                Some(b':') => is_key() && test(tag.get(key.len() + 1..).unwrap_or_default()),
                Some(_) => false,
            }
        })
    }

    fn tags(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.tags.iter().any(|tag| test(tag))
    }

    fn everything(&self, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.attributes.iter().any(|(_, value)| visit_whole(&value, test))
    }
}

impl LogEvent<'_> {
    /// Members of the objects in a list that stands at a shorter path.
    fn in_lists(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        let mut dots = memchr::memchr_iter(b'.', path.as_bytes());
        dots.any(|dot| match self.attributes.get(&path[..dot]) {
            Some(Value::Str(text)) => {
                with_array(text, |array| visit_at(array, &path[dot + 1..], test)).unwrap_or(false)
            }
            Some(array @ Value::Array(_)) => visit_at(&array, &path[dot + 1..], test),
            _ => false,
        })
    }
}

fn one(text: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
    !text.is_empty() && test(text)
}

/// An attribute as the tables have it, where everything is text: a text that is a JSON array stands
/// for the array, a number that is none for its JSON text.
#[inline]
fn visit_whole(value: &Value<'_>, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    match value {
        Value::Str(text) if text.as_bytes().first() != Some(&b'[') => test(Scalar::Text(text)),
        Value::Int(number) => test(Scalar::Int(*number)),
        Value::Str(text) => match with_array(text, |array| visit(array, test)) {
            Some(found) => found,
            None => test(Scalar::Text(text)),
        },
        Value::Float(number) if !number.is_finite() => test(Scalar::Text(&value.to_string())),
        other => visit(other, test),
    }
}

/// Reads a text that looks like an array; `None` if it is none.
fn with_array<T>(text: &str, look: impl FnOnce(&Value<'_>) -> T) -> Option<T> {
    if !(text.starts_with('[') && text.ends_with(']')) {
        return None;
    }
    let arena = Bump::new();
    let value = json::read_value(&arena, text.as_bytes()).ok()?;
    Some(look(&value))
}

/// Every scalar in `value`; nesting is bounded by the JSON reader.
pub(super) fn visit(value: &Value<'_>, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
    match value {
        Value::Null => false,
        Value::Bool(flag) => test(Scalar::Bool(*flag)),
        Value::Int(number) => test(Scalar::Int(*number)),
        Value::Float(number) => test(Scalar::Float(*number)),
        Value::Str(text) => test(Scalar::Text(text)),
        Value::Array(items) => items.iter().any(|item| visit(item, test)),
        Value::Object(fields) => fields.iter().any(|(_, item)| visit(item, test)),
    }
}

/// The scalars at a dotted path inside the objects of an array.
pub(super) fn visit_at(
    value: &Value<'_>,
    path: &str,
    test: &mut dyn FnMut(Scalar<'_>) -> bool,
) -> bool {
    match value {
        Value::Array(items) => items.iter().any(|item| visit_at(item, path, test)),
        Value::Object(fields) => fields.iter().any(|(key, item)| match path.strip_prefix(key) {
            Some("") => visit(item, test),
            Some(rest) => rest.strip_prefix('.').is_some_and(|rest| visit_at(item, rest, test)),
            None => false,
        }),
        _ => false,
    }
}
