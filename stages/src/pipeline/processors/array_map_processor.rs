//! `array-map-processor`: processors applied to each element of an array.
//!
//! The element stands at `$sourceElem` and the one that is made at `$targetElem` while the processors
//! run, so that they are the ordinary ones and the log's other attributes are at hand. Where source and
//! target are one attribute, both names mean the element itself.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::MAX_MAPPED_ELEMENTS;

use super::{Applied, Step};
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{ArrayMapProcessorConfig, Place, ProcessorConfig};
use crate::pipeline::source;
use crate::value::{Value, is_within};

const SOURCE: &str = "$sourceElem";
const TARGET: &str = "$targetElem";

/// The compiled processors.
#[derive(Debug)]
pub(in crate::pipeline) struct ArrayMapProcessor {
    source: Box<str>,
    target: Box<str>,
    keep: bool,
    steps: Vec<Step>,
}

impl ArrayMapProcessor {
    /// Compiles the processors.
    pub(super) fn compile(
        config: &ArrayMapProcessorConfig,
        path: &str,
        depth: usize,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let source = super::name(&config.source, "source", path, compiler);
        let target = super::name(&config.target, "target", path, compiler);
        if config.processors.is_empty() {
            compiler.refuse(format!("{path}.processors"), "empty: write at least one processor");
        }
        let in_place = source == target;
        let mut processors = config.processors.clone();
        for (index, processor) in processors.iter_mut().enumerate() {
            if let Err(reason) = check(processor) {
                compiler.refuse(format!("{path}.processors[{index}]"), reason);
                return None;
            }
            if in_place {
                name_target(processor);
            }
        }
        let steps = super::compile(&processors, path, depth, compiler);
        Some(Self { source: source?, target: target?, keep: config.preserve_source, steps })
    }

    /// Maps the array.
    pub(super) fn apply<'b>(
        &self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        applied: &mut Applied,
    ) {
        let Some(Value::Array(items)) = event.attributes.get(&self.source) else { return };
        let in_place = self.source == self.target;
        let old: &[Value<'b>] = match event.attributes.get(&self.target) {
            Some(Value::Array(old)) => old,
            _ => &[],
        };
        let mut left = BumpVec::with_capacity_in(items.len(), arena);
        let mut made = BumpVec::with_capacity_in(items.len().max(old.len()), arena);
        for (index, item) in items.iter().take(MAX_MAPPED_ELEMENTS).enumerate() {
            if !in_place {
                source::spread(arena, &mut event.attributes, SOURCE, *item);
            }
            if let Some(old) = old.get(index) {
                source::spread(arena, &mut event.attributes, TARGET, *old);
            }
            for step in &self.steps {
                step.apply(arena, event, applied);
            }
            let mut take = |name: &str| {
                let value = source::whole(arena, &event.attributes, name);
                event.attributes.remove_all(name);
                value.unwrap_or(Value::Null)
            };
            left.push(take(SOURCE));
            made.push(take(TARGET));
        }
        made.extend(old.iter().skip(made.len()).copied());
        left.extend(items.iter().skip(left.len()).copied());
        if !in_place {
            if self.keep {
                event
                    .attributes
                    .set(arena.alloc_str(&self.source), Value::Array(left.into_bump_slice()));
            } else {
                event.attributes.remove(&self.source);
            }
        }
        source::replace(arena, event, &self.target, Value::Array(made.into_bump_slice()));
    }
}

/// Only four kinds of processor, and each writes to the element.
fn check(processor: &ProcessorConfig) -> Result<(), String> {
    let target = match processor {
        ProcessorConfig::AttributeRemapper(config) => {
            if config.target_type == Place::Tag || config.source_type == Place::Tag {
                return Err(
                    "an element has no tags: leave source_type and target_type out".to_owned()
                );
            }
            &config.target
        }
        ProcessorConfig::StringBuilderProcessor(config) => &config.target,
        ProcessorConfig::ArithmeticProcessor(config) => &config.target,
        ProcessorConfig::CategoryProcessor(config) => &config.target,
        other => {
            let (kind, _, _) = other.head();
            return Err(format!(
                "`{kind}` can not be used on elements: attribute-remapper, string-builder-processor, \
                 arithmetic-processor and category-processor can"
            ));
        }
    };
    if is_within(target, TARGET) {
        Ok(())
    } else {
        Err(format!("target `{target}` must be `{TARGET}` or begin with `{TARGET}.`"))
    }
}

/// In place: the source element is the target element.
fn name_target(processor: &mut ProcessorConfig) {
    let rename = |text: &mut String| *text = text.replace(SOURCE, TARGET);
    match processor {
        ProcessorConfig::AttributeRemapper(config) => config.sources.iter_mut().for_each(rename),
        ProcessorConfig::StringBuilderProcessor(config) => rename(&mut config.template),
        ProcessorConfig::ArithmeticProcessor(config) => rename(&mut config.expression),
        ProcessorConfig::CategoryProcessor(config) => {
            config.categories.iter_mut().for_each(|one| rename(&mut one.filter.query));
        }
        _ => {}
    }
}
