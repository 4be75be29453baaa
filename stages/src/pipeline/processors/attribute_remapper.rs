//! `attribute-remapper`: moves or copies the first source that exists to a target, attributes and
//! tags both ways.
//!
//! Without `override_on_conflict` an existing target is kept; without `preserve_source` the source
//! leaves even then. A cast that is not possible leaves the value as it is; where source and target are
//! one attribute it is cast in place. Of several sources all leave. Tags are in lower case. An object moves with all its members; it can not become a tag. A
//! tag with several values becomes as many tags, or an attribute of the first.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use crate::event::LogEvent;
use crate::pipeline::config::{AttributeRemapperConfig, ConfigError, Place, TargetFormat};
use crate::pipeline::{grok, source};
use crate::value::Value;

/// The compiled configuration.
#[derive(Debug)]
pub(in crate::pipeline) struct AttributeRemapper {
    config: AttributeRemapperConfig,
}

impl AttributeRemapper {
    /// Checks the configuration.
    pub(super) fn compile(
        config: &AttributeRemapperConfig,
        path: &str,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Self> {
        let before = errors.len();
        let mut refuse = |field: &str, reason: &str| {
            errors.push(ConfigError { path: format!("{path}.{field}"), reason: reason.to_owned() });
        };
        if config.sources.is_empty() {
            refuse("sources", "empty: name the attributes or tags to read, in order");
        }
        if config.target.is_empty() || config.target.contains([':', ',']) {
            refuse("target", "must be a name without `:` and `,`");
        }
        if config.target_type == Place::Tag && config.target_format != TargetFormat::Auto {
            refuse("target_format", "a tag is text: remove target_format or set it to auto");
        }
        (errors.len() == before).then(|| Self { config: config.clone() })
    }

    /// Moves or copies.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        match self.config.source_type {
            Place::Tag => self.move_tag(arena, event),
            Place::Attribute => self.move_attribute(arena, event),
        }
    }

    fn move_tag<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let Some(key) = self.config.sources.iter().find(|key| event.tag(key).is_some()) else {
            return;
        };
        let text = |tag: &&'b str| Some(Value::Str(tag.get(key.len() + 1..)?));
        let tags = event.tags.iter().filter(|tag| is_tag(tag, key)).filter_map(text);
        let texts = BumpVec::from_iter_in(tags, arena);
        let is_target = self.config.target_type == Place::Tag && self.config.target == *key;
        if is_target {
            return;
        }
        if !self.config.preserve_source {
            event.tags.retain(|tag| !is_tag(tag, key));
        }
        match (self.config.target_type, texts.as_slice()) {
            (Place::Attribute, [first, ..]) => self.write(arena, event, *first),
            _ => self.write(arena, event, Value::Array(texts.into_bump_slice())),
        }
    }

    fn move_attribute<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        for name in &self.config.sources {
            let in_place =
                self.config.target_type == Place::Attribute && self.config.target == *name;
            if in_place && let Some(value) = event.attributes.get(name) {
                if value != Value::Null {
                    let value = cast(arena, value, self.config.target_format);
                    return event.attributes.set(arena.alloc_str(name), value);
                }
            } else if let Some(value) = source::read(arena, event, name) {
                self.remove_sources(event);
                return self.write(arena, event, value);
            }
            if event.attributes.below(name).next().is_some() {
                return self.move_object(arena, event, name);
            }
        }
    }

    /// Every source leaves, those that were not used too.
    fn remove_sources(&self, event: &mut LogEvent<'_>) {
        let config = &self.config;
        if config.preserve_source {
            return;
        }
        let is_target =
            |name: &str| config.target_type == Place::Attribute && config.target == name;
        for name in config.sources.iter().filter(|name| !is_target(name)) {
            event.attributes.remove(name);
        }
    }

    fn move_object<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, name: &str) {
        if self.config.target_type == Place::Tag {
            return;
        }
        let members = BumpVec::from_iter_in(event.attributes.below(name), arena);
        let taken = self.has_target(event) && self.config.target != name;
        if !self.config.preserve_source {
            members.iter().for_each(|(path, _)| {
                event.attributes.remove(path);
            });
        }
        if taken && !self.config.override_on_conflict {
            return;
        }
        if taken {
            self.remove_target(event);
        }
        for (path, value) in &members {
            let rest = path.get(name.len()..).unwrap_or_default();
            let target = bumpalo::format!(in arena, "{}{}", self.config.target, rest);
            event.attributes.set(target.into_bump_str(), *value);
        }
    }

    fn has_target(&self, event: &LogEvent<'_>) -> bool {
        let target = self.config.target.as_str();
        match self.config.target_type {
            Place::Tag => event.tag(target).is_some(),
            Place::Attribute => {
                event.attributes.get(target).is_some_and(|value| value != Value::Null)
                    || event.attributes.below(target).next().is_some()
            }
        }
    }

    fn remove_target(&self, event: &mut LogEvent<'_>) {
        let target = self.config.target.as_str();
        match self.config.target_type {
            Place::Tag => event.tags.retain(|tag| !is_tag(tag, target)),
            Place::Attribute => event.attributes.remove_all(target),
        }
    }

    fn write<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, value: Value<'b>) {
        if self.has_target(event) {
            if !self.config.override_on_conflict {
                return;
            }
            self.remove_target(event);
        }
        match self.config.target_type {
            Place::Attribute => {
                let value = cast(arena, value, self.config.target_format);
                event.attributes.set(arena.alloc_str(&self.config.target), value);
            }
            Place::Tag => match value {
                Value::Array(items) => {
                    items.iter().for_each(|item| self.add_tag(arena, event, item))
                }
                value => self.add_tag(arena, event, &value),
            },
        }
    }

    fn add_tag<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, value: &Value<'b>) {
        let target = self.config.target.as_str();
        let mut tag = bumpalo::format!(in arena, "{}:{}", target, value);
        tag.make_ascii_lowercase();
        let tag = tag.into_bump_str();
        let full = event.tags.len() >= schemas::limits::MAX_TAGS;
        if !matches!(value, Value::Null | Value::Object(_)) && !full && !event.tags.contains(&tag) {
            event.tags.push(tag);
            // The unified service tags are columns too.
            let text = tag.get(target.len() + 1..).unwrap_or_default();
            match target {
                "env" => event.env = text,
                "version" => event.version = text,
                _ => {}
            }
        }
    }
}

fn is_tag(tag: &str, key: &str) -> bool {
    tag.strip_prefix(key).is_some_and(|rest| rest.starts_with(':'))
}

fn cast<'b>(arena: &'b Bump, value: Value<'b>, format: TargetFormat) -> Value<'b> {
    let text = || match value {
        Value::Str(text) => Some(text.trim()),
        _ => None,
    };
    let cast = match format {
        TargetFormat::Auto => None,
        TargetFormat::String if matches!(value, Value::Object(_) | Value::Array(_)) => None,
        TargetFormat::String => Some(Value::Str(value.text(arena))),
        TargetFormat::Integer => match value {
            Value::Float(number) if number.abs() < 9e18 => Some(Value::Int(number as i64)),
            _ => text().and_then(grok::filters::integer),
        },
        TargetFormat::Double => match value {
            Value::Int(number) => Some(Value::Float(number as f64)),
            _ => text()
                .and_then(|text| text.parse::<f64>().ok())
                .filter(|number| number.is_finite())
                .map(Value::Float),
        },
    };
    cast.unwrap_or(value)
}
