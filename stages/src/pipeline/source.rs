//! Where processors read and write: attributes first, then the reserved ones the log carries
//! elsewhere.

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use schemas::limits::MAX_DEPTH;

use crate::event::LogEvent;
use crate::value::{Attributes, Value};

/// The value a processor's source names. A reserved name means the log's own field where no
/// attribute of that name is left; `status` does not, since every log has one and published pipelines
/// map an attribute of that name to `http.status_code`.
pub(super) fn read<'b>(arena: &'b Bump, event: &LogEvent<'b>, name: &str) -> Option<Value<'b>> {
    let found = event.attributes.get(name).filter(|value| *value != Value::Null);
    found.or_else(|| reserved(arena, event, name))
}

/// The text of the first source that has one; numbers and the like as text, no array and no object.
pub(super) fn first_text<'b>(
    arena: &'b Bump,
    event: &LogEvent<'b>,
    names: &[Box<str>],
) -> Option<&'b str> {
    let text = |name: &str| match read(arena, event, name)? {
        Value::Array(_) | Value::Object(_) => None,
        value => Some(value.text(arena).trim()).filter(|text| !text.is_empty()),
    };
    names.iter().find_map(|name| text(name))
}

fn reserved<'b>(arena: &'b Bump, event: &LogEvent<'b>, name: &str) -> Option<Value<'b>> {
    let text = match name {
        "message" => event.message,
        "service" => event.service,
        "host" => event.host,
        "source" | "ddsource" => event.source,
        "env" => event.env,
        "version" => event.version,
        "trace_id" => arena.alloc_str(event.trace_id?.hex().as_str()),
        "span_id" => arena.alloc_str(event.span_id?.hex().as_str()),
        _ => return None,
    };
    (!text.is_empty()).then_some(Value::Str(text))
}

/// What stands at `path`, an object with all its members.
pub(super) fn whole<'b>(
    arena: &'b Bump,
    attributes: &Attributes<'b>,
    path: &str,
) -> Option<Value<'b>> {
    if let Some(value) = attributes.get(path) {
        return Some(value).filter(|value| *value != Value::Null);
    }
    let member = |(key, value): (&'b str, Value<'b>)| Some((key.get(path.len() + 1..)?, value));
    let members = BumpVec::from_iter_in(attributes.below(path).filter_map(member), arena);
    (!members.is_empty()).then(|| nest(arena, &members, 0))
}

/// Dotted paths -> nested objects; deeper than a log may nest, the rest stays one dotted key.
fn nest<'b>(arena: &'b Bump, members: &[(&'b str, Value<'b>)], depth: usize) -> Value<'b> {
    let mut fields: BumpVec<'b, (&'b str, Value<'b>)> = BumpVec::new_in(arena);
    for (key, value) in members {
        let head = key.split_once('.').map(|(head, _)| head).filter(|_| depth < MAX_DEPTH);
        let known = head.and_then(|head| fields.iter().find(|(key, _)| *key == head));
        match (head, known) {
            (Some(head), None) => {
                let inner = |(key, value): &(&'b str, Value<'b>)| {
                    Some((key.strip_prefix(head)?.strip_prefix('.')?, *value))
                };
                let inner = BumpVec::from_iter_in(members.iter().filter_map(inner), arena);
                fields.push((head, nest(arena, &inner, depth + 1)));
            }
            (Some(_), Some((_, Value::Object(_)))) => {}
            _ => fields.push((key, *value)),
        }
    }
    Value::Object(fields.into_bump_slice())
}

/// Sets `path` to `value`; the members of an object become attributes below it.
pub(super) fn spread<'b>(
    arena: &'b Bump,
    attributes: &mut Attributes<'b>,
    path: &'b str,
    value: Value<'b>,
) {
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                spread(arena, attributes, below(arena, path, key), *value);
            }
        }
        value => attributes.set(path, value),
    }
}

/// Where a processor writes `value` on a log: the attribute of that path, whatever stood there before.
pub(super) fn replace<'b>(arena: &'b Bump, event: &mut LogEvent<'b>, path: &str, value: Value<'b>) {
    if event.attributes.below(path).next().is_some() {
        event.attributes.remove_all(path);
    }
    spread(arena, &mut event.attributes, arena.alloc_str(path), value);
}

/// `root.name`.
pub(super) fn below<'b>(arena: &'b Bump, root: &str, name: &str) -> &'b str {
    let mut path = BumpString::with_capacity_in(root.len() + name.len() + 1, arena);
    path.push_str(root);
    path.push('.');
    path.push_str(name);
    path.into_bump_str()
}

/// The member of an object at a dotted path.
pub(super) fn member<'b>(value: &Value<'b>, path: &str) -> Option<Value<'b>> {
    let Value::Object(fields) = value else { return None };
    let inner = |(key, value): &(&'b str, Value<'b>)| match path.strip_prefix(key)? {
        "" => Some(*value),
        rest => member(value, rest.strip_prefix('.')?),
    };
    fields.iter().find_map(inner).filter(|value| *value != Value::Null)
}
