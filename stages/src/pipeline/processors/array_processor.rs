//! `array-processor`: append to an array, its length, a member of the element that matches, or
//! elements `{key, value}` as attributes. What is no array is left alone.
//!
//! The filter of `select` is documented as `key:value`; integrations write whole queries there
//! (`type:(User OR Group)`, `displayName:*Name*`), so it is one, asked of each element.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use search::Query;

use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{ArrayOperation, ArrayProcessorConfig};
use crate::pipeline::element_search::Element;
use crate::pipeline::source;
use crate::value::Value;

/// The compiled operation.
#[derive(Debug)]
pub(in crate::pipeline) struct ArrayProcessor {
    source: Box<str>,
    operation: Operation,
}

#[derive(Debug)]
enum Operation {
    Append { target: Box<str>, keep: bool },
    Length { target: Box<str> },
    Select { target: Box<str>, filter: Query, extract: Box<str> },
    KeyValue { target: Option<Box<str>>, key: Box<str>, value: Box<str>, replace: bool },
}

impl ArrayProcessor {
    /// Checks the configuration.
    pub(super) fn compile(
        config: &ArrayProcessorConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let path = format!("{path}.operation");
        let mut name = |text: &str, field: &str| super::name(text, field, &path, compiler);
        let (source, operation) = match &config.operation {
            ArrayOperation::Append { source, target, preserve_source } => (
                name(source, "source"),
                Operation::Append { target: name(target, "target")?, keep: *preserve_source },
            ),
            ArrayOperation::Length { source, target } => {
                (name(source, "source"), Operation::Length { target: name(target, "target")? })
            }
            ArrayOperation::Select { source, target, filter, value_to_extract } => {
                let (source, target) = (name(source, "source"), name(target, "target"));
                let extract = name(value_to_extract, "value_to_extract");
                let filter = if filter.trim().is_empty() {
                    Err("empty: write `key:value`".to_owned())
                } else {
                    Query::parse(filter).map_err(|error| format!("`{filter}`: {error}"))
                };
                let filter = filter
                    .map_err(|reason| compiler.refuse(format!("{path}.filter"), reason))
                    .ok()?;
                (source, Operation::Select { target: target?, filter, extract: extract? })
            }
            ArrayOperation::KeyValue {
                source,
                target,
                key_to_extract,
                value_to_extract,
                override_on_conflict,
            } => {
                let source = name(source, "source");
                let key = name(key_to_extract, "key_to_extract");
                let value = name(value_to_extract, "value_to_extract");
                let target = target.as_deref().filter(|target| !target.is_empty());
                let (target, replace) = (target.map(Into::into), *override_on_conflict);
                (source, Operation::KeyValue { target, key: key?, value: value?, replace })
            }
        };
        Some(Self { source: source?, operation })
    }

    /// Does it.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        if let Operation::Append { target, keep } = &self.operation {
            return self.append(arena, event, target, *keep);
        }
        let Some(Value::Array(items)) = event.attributes.get(&self.source) else { return };
        match &self.operation {
            Operation::Append { .. } => {}
            Operation::Length { target } => {
                let length = i64::try_from(items.len()).unwrap_or(i64::MAX);
                source::replace(arena, event, target, Value::Int(length));
            }
            Operation::Select { target, filter, extract } => {
                let is_it = |value: &&Value<'b>| filter.matches(&Element { value, arena });
                let found = items.iter().find(is_it).and_then(|item| source::member(item, extract));
                if let Some(found) = found {
                    source::replace(arena, event, target, found);
                }
            }
            Operation::KeyValue { target, key, value, replace } => {
                for item in items {
                    let pair = (source::member(item, key), source::member(item, value));
                    let (Some(name), Some(value)) = pair else { continue };
                    let name = name.text(arena);
                    let path = match target {
                        Some(target) => source::below(arena, target, name),
                        None => name,
                    };
                    let taken = event.attributes.get(path).is_some()
                        || event.attributes.below(path).next().is_some();
                    if !name.is_empty() && (*replace || !taken) {
                        source::replace(arena, event, path, value);
                    }
                }
            }
        }
    }

    fn append<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, target: &str, keep: bool) {
        let found = source::whole(arena, &event.attributes, &self.source);
        let Some(value) = found.or_else(|| source::read(arena, event, &self.source)) else {
            return;
        };
        let items: &[Value<'b>] = match event.attributes.get(target) {
            Some(Value::Array(items)) => items,
            None | Some(Value::Null) if event.attributes.below(target).next().is_none() => &[],
            _ => return,
        };
        let mut longer = BumpVec::with_capacity_in(items.len() + 1, arena);
        longer.extend_from_slice_copy(items);
        longer.push(value);
        if !keep {
            event.attributes.remove_all(&self.source);
        }
        event.attributes.set(arena.alloc_str(target), Value::Array(longer.into_bump_slice()));
    }
}
