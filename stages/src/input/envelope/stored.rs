//! A log that has been through a pipeline before: what Datadog's log archives hold, one JSON object a
//! line (documentation, "Log Archives", "Format of the archives"): `_id`, `date`, `host`, `source`,
//! `service`, `status`, `message`, `tags`, and under `attributes` the rest. Rows of Tidemill's own
//! table are brought into the same form.

use bumpalo::Bump;
use schemas::limits::MAX_TAGS;

use super::Opened;
use crate::event::LogEvent;
use crate::pipeline::dates;
use crate::value::{Attributes, Value};

/// Members that are no attributes.
const MEMBERS: [&str; 6] = ["_id", "date", "observed_timestamp", "source", "tags", "message"];

pub(super) fn open<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) -> Option<Opened> {
    let attributes = &event.attributes;
    let Some(Value::Str(id)) = attributes.get("_id") else { return None };
    let date = attributes.get("date")?;
    let time = dates::from_value(&date, event.received)?;
    let is_stored = attributes.below("attributes").next().is_some()
        || ["tags", "status", "message"].iter().any(|name| attributes.get(name).is_some());
    if !is_stored {
        return None;
    }
    event.timestamp = Some(time);
    let text = |name: &str| attributes.get_str(name).unwrap_or("");
    (event.message, event.source) = (text("message"), text("source"));
    let observed = attributes.get("observed_timestamp");
    event.observed = observed.and_then(|value| dates::from_value(&value, event.received));
    if let Some(Value::Array(tags)) = attributes.get("tags") {
        event.tags.extend(tags.iter().filter_map(Value::as_str).take(MAX_TAGS));
    }
    let mut rest = Attributes::new_in(arena);
    if !id.is_empty() {
        rest.push("_id", Value::Str(id));
    }
    for (path, value) in attributes.iter().filter(|(path, _)| !MEMBERS.contains(path)) {
        // `service`, `host` and `status` of the object itself go before attributes of that name.
        match path.strip_prefix("attributes.") {
            Some(path) if attributes.get(path).is_some() && !MEMBERS.contains(&path) => {}
            Some(path) => rest.set(path, value),
            None => rest.set(path, value),
        }
    }
    event.attributes = rest;
    Some(Opened::default())
}
