//! Where processors read: attributes first, then the reserved ones the log carries elsewhere.

use bumpalo::Bump;

use crate::event::LogEvent;
use crate::value::Value;

/// The value a processor's source names. A reserved name means the log's own field where no
/// attribute of that name is left.
pub(super) fn read<'b>(arena: &'b Bump, event: &LogEvent<'b>, name: &str) -> Option<Value<'b>> {
    let found = event.attributes.get(name).filter(|value| *value != Value::Null);
    found.or_else(|| reserved(arena, event, name))
}

fn reserved<'b>(arena: &'b Bump, event: &LogEvent<'b>, name: &str) -> Option<Value<'b>> {
    let text = match name {
        "message" => event.message,
        "service" => event.service,
        "host" => event.host,
        "source" | "ddsource" => event.source,
        "env" => event.env,
        "version" => event.version,
        "status" => event.status?.as_str(),
        "trace_id" => arena.alloc_str(event.trace_id?.hex().as_str()),
        "span_id" => arena.alloc_str(event.span_id?.hex().as_str()),
        _ => return None,
    };
    (!text.is_empty()).then_some(Value::Str(text))
}
