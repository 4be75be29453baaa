//! A processed log as people and scripts read it: one JSON object, attributes nested as they were sent, the
//! reserved fields beside them. The slow way on purpose: the hot path writes columns.
//!
//! | field | is |
//! |---|---|
//! | `timestamp` | event time, Unix milliseconds |
//! | `message`, `status` | text; always there |
//! | `service`, `env`, `version`, `host`, `source` | text; absent while unknown |
//! | `trace_id`, `span_id` | lower-case hex; absent while unknown |
//! | `tags` | list of `key:value`; absent when there is none |
//! | everything else | an attribute: `http.status_code` is `{"http": {"status_code": ...}}` |
//!
//! An attribute with a reserved name that still stands beside its field is under `attributes`.

use serde_json::{Map, Value as Json};

use crate::event::LogEvent;
use crate::point::Point;
use crate::value::{Attributes, Value};

/// The log as an object.
pub fn event(event: &LogEvent<'_>) -> Map<String, Json> {
    let mut object = attributes(&event.attributes);
    let mut aside = Map::new();
    let mut put = |name: &str, value: Json| {
        if let Some(attribute) = object.insert(name.to_owned(), value) {
            aside.insert(name.to_owned(), attribute);
        }
    };
    put("timestamp", Json::from(event.time().nanos().div_euclid(1_000_000)));
    put("message", Json::from(event.message));
    put("status", Json::from(event.status.unwrap_or(schemas::status::Status::Info).as_str()));
    for (name, text) in [
        ("service", event.service),
        ("env", event.env),
        ("version", event.version),
        ("host", event.host),
        ("source", event.source),
    ] {
        if !text.is_empty() {
            put(name, Json::from(text));
        }
    }
    if let Some(id) = event.trace_id {
        put("trace_id", Json::from(id.hex().as_str()));
    }
    if let Some(id) = event.span_id {
        put("span_id", Json::from(id.hex().as_str()));
    }
    if !event.tags.is_empty() {
        put("tags", Json::from(event.tags.as_slice()));
    }
    if !aside.is_empty() {
        match object.get_mut("attributes").and_then(Json::as_object_mut) {
            Some(own) => own.extend(aside),
            None => drop(object.insert("attributes".to_owned(), Json::Object(aside))),
        }
    }
    object
}

/// Attributes as nested objects. A path that can not be nested, since a value stands in its way, keeps its dots.
pub fn attributes(attributes: &Attributes<'_>) -> Map<String, Json> {
    let mut object = Map::new();
    for (path, value) in attributes.iter() {
        nest(&mut object, path, json(&value));
    }
    object
}

/// Puts a value at a dotted path.
fn nest(object: &mut Map<String, Json>, path: &str, value: Json) {
    if let Some((head, rest)) = path.split_once('.')
        && !head.is_empty()
        && !rest.is_empty()
        && !rest.starts_with('.')
        && !rest.ends_with('.')
        && object.get(head).is_none_or(Json::is_object)
    {
        let inner = object.entry(head).or_insert_with(|| Json::Object(Map::new()));
        if let Json::Object(inner) = inner {
            nest(inner, rest, value);
        }
        return;
    }
    insert(object, path, value);
}

/// A value on an object's place keeps to itself: the object's members go beside it.
fn insert(object: &mut Map<String, Json>, key: &str, value: Json) {
    if let Some(Json::Object(inner)) = object.get_mut(key)
        && !value.is_object()
    {
        let inner = std::mem::take(inner);
        for (name, member) in inner {
            object.insert(format!("{key}.{name}"), member);
        }
    }
    object.insert(key.to_owned(), value);
}

/// One attribute value. Numbers JSON has no words for are text.
pub fn json(value: &Value<'_>) -> Json {
    match value {
        Value::Null => Json::Null,
        Value::Bool(flag) => Json::Bool(*flag),
        Value::Int(number) => Json::from(*number),
        Value::Float(number) if number.is_finite() => Json::from(*number),
        Value::Float(number) => Json::String(number.to_string()),
        Value::Str(text) => Json::String((*text).to_owned()),
        Value::Array(items) => Json::Array(items.iter().map(json).collect()),
        Value::Object(fields) => {
            Json::Object(fields.iter().map(|(key, item)| ((*key).to_owned(), json(item))).collect())
        }
    }
}

/// What a log gave to a metric: `{name, type, value, tags, timestamp}`, the timestamp in Unix seconds as
/// Datadog's own points have it, the value 1 for a count and the measurement for a distribution.
pub fn metric(point: &Point<'_>) -> Json {
    let tags = point.tags.iter().map(|(key, value)| Json::String(format!("{key}:{value}")));
    serde_json::json!({
        "name": point.name,
        "type": point.kind.as_str(),
        "value": point.sum.map_or_else(|| Json::from(point.count), Json::from),
        "tags": tags.collect::<Vec<_>>(),
        "timestamp": point.timestamp.nanos().div_euclid(1_000_000_000),
    })
}

#[cfg(test)]
mod tests {
    use bumpalo::Bump;
    use schemas::time::EventTime;
    use serde_json::json;

    use super::*;

    #[test]
    fn attributes_are_nested_and_none_is_lost_to_another() {
        let arena = Bump::new();
        let mut pairs = Attributes::new_in(&arena);
        for (path, number) in [
            ("http.a", 1),
            ("http.b.c", 2),
            ("x", 3),
            ("x.y", 4),
            ("p.q", 5),
            ("p", 6),
            (".odd.", 7),
        ] {
            pairs.set(path, Value::Int(number));
        }
        let expected = json!({
            "http": {"a": 1, "b": {"c": 2}}, "x": 3, "x.y": 4, "p": 6, "p.q": 5, ".odd.": 7,
        });
        assert_eq!(Json::Object(attributes(&pairs)), expected);
    }

    #[test]
    fn an_attribute_beside_its_reserved_field_is_kept_aside() {
        let arena = Bump::new();
        let received = EventTime::from_nanos(1_500_000_000);
        let mut log = LogEvent::new_in(&arena, received);
        (log.message, log.service) = ("hello", "shop");
        log.tags.push("a:b");
        log.attributes.set("service", Value::Str("other"));
        log.attributes.set("level", Value::Str("warn"));
        let expected = json!({
            "timestamp": 1_500, "message": "hello", "status": "info", "service": "shop", "tags": ["a:b"],
            "level": "warn", "attributes": {"service": "other"},
        });
        assert_eq!(Json::Object(event(&log)), expected);
    }
}
