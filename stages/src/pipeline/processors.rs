//! Processors: one file each. An enum dispatches, so that a chain is a flat list without pointers
//! to functions.

pub(super) mod attribute_remapper;
pub(super) mod date_remapper;
pub(super) mod grok_parser;
pub(super) mod message_remapper;
pub(super) mod nested;
pub(super) mod service_remapper;
pub(super) mod span_id_remapper;
pub(super) mod status_remapper;
pub(super) mod trace_id_remapper;

use bumpalo::Bump;

use super::config::{ConfigError, ProcessorConfig, RemapperConfig};
use crate::event::LogEvent;

/// A compiled processor.
#[derive(Debug)]
pub(super) enum Processor {
    Grok(grok_parser::GrokParser),
    Date(date_remapper::DateRemapper),
    Status(status_remapper::StatusRemapper),
    Service(service_remapper::ServiceRemapper),
    Message(message_remapper::MessageRemapper),
    TraceId(trace_id_remapper::TraceIdRemapper),
    SpanId(span_id_remapper::SpanIdRemapper),
    Attribute(attribute_remapper::AttributeRemapper),
    Nested(nested::Nested),
}

/// Remappers of which only the first that applies takes effect on a log.
#[derive(Debug, Default)]
pub(super) struct Applied {
    status: bool,
    service: bool,
    message: bool,
}

impl Processor {
    /// Does its work on one log.
    pub(super) fn apply<'b>(
        &self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        applied: &mut Applied,
    ) {
        match self {
            Processor::Grok(processor) => processor.apply(arena, event),
            Processor::Date(processor) => processor.apply(arena, event),
            Processor::Status(processor) => processor.apply(arena, event, &mut applied.status),
            Processor::Service(processor) => processor.apply(arena, event, &mut applied.service),
            Processor::Message(processor) => processor.apply(arena, event, &mut applied.message),
            Processor::TraceId(processor) => processor.apply(arena, event),
            Processor::SpanId(processor) => processor.apply(arena, event),
            Processor::Attribute(processor) => processor.apply(arena, event),
            Processor::Nested(pipeline) => pipeline.apply(arena, event, applied),
        }
    }
}

/// Compiles a list of processors; disabled ones are checked and left out. `depth` is that of the
/// pipeline they stand in.
pub(super) fn compile(
    configs: &[ProcessorConfig],
    path: &str,
    depth: usize,
    errors: &mut Vec<ConfigError>,
) -> Vec<Processor> {
    let mut processors = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        let path = format!("{path}.processors[{index}]");
        let (enabled, compiled) = compile_one(config, &path, depth, errors);
        processors.extend(compiled.filter(|_| enabled));
    }
    processors
}

fn compile_one(
    config: &ProcessorConfig,
    path: &str,
    depth: usize,
    errors: &mut Vec<ConfigError>,
) -> (bool, Option<Processor>) {
    let (_, _, enabled) = config.head();
    let mut sources =
        |config: &RemapperConfig, default: &[&str]| sources(config, default, path, errors);
    let processor = match config {
        ProcessorConfig::DateRemapper(config) => sources(config, &[])
            .map(|sources| Processor::Date(date_remapper::DateRemapper { sources })),
        ProcessorConfig::StatusRemapper(config) => sources(config, &[])
            .map(|sources| Processor::Status(status_remapper::StatusRemapper { sources })),
        ProcessorConfig::ServiceRemapper(config) => sources(config, &[])
            .map(|sources| Processor::Service(service_remapper::ServiceRemapper { sources })),
        ProcessorConfig::MessageRemapper(config) => sources(config, &["msg"])
            .map(|sources| Processor::Message(message_remapper::MessageRemapper { sources })),
        ProcessorConfig::TraceIdRemapper(config) => sources(config, &["dd.trace_id"])
            .map(|sources| Processor::TraceId(trace_id_remapper::TraceIdRemapper { sources })),
        ProcessorConfig::SpanIdRemapper(config) => sources(config, &["dd.span_id"])
            .map(|sources| Processor::SpanId(span_id_remapper::SpanIdRemapper { sources })),
        ProcessorConfig::GrokParser(config) => {
            grok_parser::GrokParser::compile(config, path, errors).map(Processor::Grok)
        }
        ProcessorConfig::AttributeRemapper(config) => {
            attribute_remapper::AttributeRemapper::compile(config, path, errors)
                .map(Processor::Attribute)
        }
        ProcessorConfig::Pipeline(config) => {
            nested::Nested::compile(config, path, depth + 1, errors).map(Processor::Nested)
        }
        _ => {
            let reason = "not built yet: remove it, or set is_enabled to false".to_owned();
            errors.push(ConfigError { path: format!("{path}.type"), reason });
            None
        }
    };
    (enabled, processor)
}

fn sources(
    config: &RemapperConfig,
    default: &[&str],
    path: &str,
    errors: &mut Vec<ConfigError>,
) -> Option<Vec<Box<str>>> {
    let mut sources: Vec<Box<str>> =
        config.sources.iter().map(|name| name.as_str().into()).collect();
    if sources.is_empty() {
        sources = default.iter().map(|name| (*name).into()).collect();
    }
    if sources.is_empty() {
        errors.push(ConfigError {
            path: format!("{path}.sources"),
            reason: "empty: name the attributes to read, in order".to_owned(),
        });
        return None;
    }
    Some(sources)
}
