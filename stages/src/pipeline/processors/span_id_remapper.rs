//! `span-id-remapper`: the span id from an attribute, which moves.

use bumpalo::Bump;

use crate::event::LogEvent;
use crate::pipeline::{ids, source};

/// Sources in order.
#[derive(Debug)]
pub(in crate::pipeline) struct SpanIdRemapper {
    pub(super) sources: Vec<Box<str>>,
}

impl SpanIdRemapper {
    /// Sets the span id; an attribute that is no id stays.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        for name in &self.sources {
            let id = source::read(arena, event, name).and_then(|value| ids::span(&value));
            if id.is_some() {
                event.span_id = id;
                event.attributes.remove(name);
                return;
            }
        }
    }
}
