//! `trace-id-remapper`: the trace id from an attribute, which moves.

use bumpalo::Bump;

use crate::event::LogEvent;
use crate::pipeline::{ids, source};
use crate::value::Value;

/// Sources in order.
#[derive(Debug)]
pub(in crate::pipeline) struct TraceIdRemapper {
    pub(super) sources: Vec<Box<str>>,
}

impl TraceIdRemapper {
    /// Sets the trace id; an attribute that is no id stays.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        for name in &self.sources {
            let found = source::read(arena, event, name);
            if found == Some(Value::Str("")) {
                event.attributes.remove(name);
                continue;
            }
            let id = found.and_then(|value| ids::trace(&value));
            if id.is_some() {
                event.trace_id = id;
                event.attributes.remove(name);
                return;
            }
        }
    }
}
