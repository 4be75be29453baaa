//! A log as the search syntax sees it.

use search::{Record, Reserved, Scalar};

use crate::event::LogEvent;
use crate::value::Value;

impl Record for LogEvent<'_> {
    fn message(&self) -> &str {
        self.message
    }

    fn reserved(&self, field: Reserved, test: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            Reserved::Service => one(self.service, test),
            Reserved::Env => one(self.env, test) || self.tag("env").is_some_and(test),
            Reserved::Version => one(self.version, test) || self.tag("version").is_some_and(test),
            Reserved::Host => one(self.host, test),
            Reserved::Source => one(self.source, test),
            Reserved::Status => self.status.is_some_and(|status| test(status.as_str())),
            Reserved::TraceId => self.trace_id.is_some_and(|id| test(id.hex().as_str())),
            Reserved::SpanId => self.span_id.is_some_and(|id| test(id.hex().as_str())),
        }
    }

    fn attribute(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.attributes.iter().any(|(key, value)| match path.strip_prefix(key) {
            Some("") => visit(&value, test),
            Some(rest) => match (rest.strip_prefix('.'), value) {
                (Some(rest), Value::Array(_)) => visit_at(&value, rest, test),
                _ => false,
            },
            None => false,
        })
    }

    fn has_attribute(&self, path: &str) -> bool {
        self.attributes.iter().any(|(key, value)| match key.strip_prefix(path) {
            Some(rest) => (rest.is_empty() || rest.starts_with('.')) && value != Value::Null,
            None => false,
        }) || self.attribute(path, &mut |_| true)
    }

    fn tag(&self, key: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.tags.iter().any(|tag| match tag.strip_prefix(key) {
            Some("") => test(""),
            Some(rest) => rest.strip_prefix(':').is_some_and(&mut *test),
            None => false,
        })
    }

    fn tags(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.tags.iter().any(|tag| test(tag))
    }

    fn everything(&self, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.attributes.iter().any(|(_, value)| visit(&value, test))
    }
}

fn one(text: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
    !text.is_empty() && test(text)
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
