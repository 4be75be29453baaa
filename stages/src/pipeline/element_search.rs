//! An element of an array as the search syntax sees it: `name:Referrer` asks for the element's member
//! `name`, as it asks for a log's tag; `@name` means the same.

use bumpalo::Bump;
use search::{Record, Reserved, Scalar};

use super::event_search::{visit, visit_at};
use super::source;
use crate::value::Value;

/// One element.
pub(super) struct Element<'a, 'b> {
    /// The element.
    pub(super) value: &'a Value<'b>,
    /// Where numbers become text.
    pub(super) arena: &'b Bump,
}

impl Element<'_, '_> {
    /// The values of a member as text.
    fn texts(&self, path: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
        visit_at(self.value, path, &mut |scalar| match scalar {
            Scalar::Text(text) => test(text),
            Scalar::Bool(flag) => test(if flag { "true" } else { "false" }),
            Scalar::Int(number) => test(&bumpalo::format!(in self.arena, "{}", number)),
            Scalar::Float(number) => test(&bumpalo::format!(in self.arena, "{}", number)),
        })
    }
}

impl Record for Element<'_, '_> {
    /// Free text looks into an element that is a text.
    fn message(&self) -> &str {
        self.value.as_str().unwrap_or_default()
    }

    fn reserved(&self, field: Reserved, test: &mut dyn FnMut(&str) -> bool) -> bool {
        let name = match field {
            Reserved::Service => "service",
            Reserved::Env => "env",
            Reserved::Version => "version",
            Reserved::Host => "host",
            Reserved::Source => "source",
            Reserved::Status => "status",
            Reserved::TraceId => "trace_id",
            Reserved::SpanId => "span_id",
        };
        self.texts(name, test)
    }

    fn attribute(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        visit_at(self.value, path, test)
    }

    fn has_attribute(&self, path: &str) -> bool {
        source::member(self.value, path).is_some()
    }

    fn tag(&self, key: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.texts(key, test)
    }

    fn tags(&self, _test: &mut dyn FnMut(&str) -> bool) -> bool {
        false
    }

    fn everything(&self, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        visit(self.value, test)
    }
}
