//! Processors: one file each. An enum dispatches, so that a chain is a flat list without pointers
//! to functions.

pub(super) mod arithmetic_processor;
pub(super) mod array_map_processor;
pub(super) mod array_processor;
pub(super) mod attribute_remapper;
pub(super) mod category_processor;
pub(super) mod date_remapper;
pub(super) mod decoder_processor;
pub(super) mod exclude_attribute;
pub(super) mod geo_ip_parser;
pub(super) mod grok_parser;
pub(super) mod lookup_processor;
pub(super) mod message_remapper;
pub(super) mod nested;
pub(super) mod schema_processor;
pub(super) mod service_remapper;
pub(super) mod span_id_remapper;
pub(super) mod status_remapper;
pub(super) mod string_builder_processor;
pub(super) mod trace_id_remapper;
pub(super) mod url_parser;
pub(super) mod user_agent_parser;

use bumpalo::Bump;

use super::compiler::Compiler;
use super::config::{ProcessorConfig, RemapperConfig};
use crate::event::LogEvent;

/// Done, or why not: a sentence for the log's `pipeline_errors`. What merely does not apply to a
/// log is done.
pub(super) type Outcome = Result<(), &'static str>;

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
    Url(url_parser::UrlParser),
    UserAgent(user_agent_parser::UserAgentParser),
    Category(category_processor::CategoryProcessor),
    Arithmetic(arithmetic_processor::ArithmeticProcessor),
    StringBuilder(string_builder_processor::StringBuilderProcessor),
    GeoIp(geo_ip_parser::GeoIpParser),
    Lookup(lookup_processor::LookupProcessor),
    Array(array_processor::ArrayProcessor),
    ArrayMap(array_map_processor::ArrayMapProcessor),
    Decoder(decoder_processor::DecoderProcessor),
    Schema(schema_processor::SchemaProcessor),
    Exclude(exclude_attribute::ExcludeAttribute),
    Nested(nested::Nested),
}

/// A processor and how users know it.
#[derive(Debug)]
pub(super) struct Step {
    /// Type and name, or type and place where it has no name.
    label: Box<str>,
    processor: Processor,
}

/// Remappers of which only the first that applies takes effect on a log.
#[derive(Debug, Default)]
pub(super) struct Applied {
    status: bool,
    service: bool,
    message: bool,
}

impl Applied {
    /// Whether a remapper has set the status.
    pub(super) fn status(&self) -> bool {
        self.status
    }
}

impl Step {
    /// Does its work on one log; what it could not do is noted there.
    pub(super) fn apply<'b>(
        &self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        applied: &mut Applied,
    ) {
        let outcome = match &self.processor {
            Processor::Url(processor) => processor.apply(arena, event),
            Processor::UserAgent(processor) => processor.apply(arena, event),
            Processor::Arithmetic(processor) => processor.apply(event, arena),
            Processor::StringBuilder(processor) => processor.apply(arena, event),
            Processor::GeoIp(processor) => processor.apply(arena, event),
            Processor::Decoder(processor) => processor.apply(arena, event),
            Processor::Grok(processor) => processor.apply(arena, event),
            Processor::Date(processor) => return processor.apply(arena, event),
            Processor::Status(processor) => {
                return processor.apply(arena, event, &mut applied.status);
            }
            Processor::Service(processor) => {
                return processor.apply(arena, event, &mut applied.service);
            }
            Processor::Message(processor) => {
                return processor.apply(arena, event, &mut applied.message);
            }
            Processor::TraceId(processor) => return processor.apply(arena, event),
            Processor::SpanId(processor) => return processor.apply(arena, event),
            Processor::Attribute(processor) => return processor.apply(arena, event),
            Processor::Category(processor) => return processor.apply(arena, event),
            Processor::Lookup(processor) => return processor.apply(arena, event),
            Processor::Array(processor) => return processor.apply(arena, event),
            Processor::ArrayMap(processor) => return processor.apply(arena, event, applied),
            Processor::Schema(processor) => return processor.apply(arena, event),
            Processor::Exclude(processor) => return processor.apply(event),
            Processor::Nested(pipeline) => return pipeline.apply(arena, event, applied),
        };
        if let Err(reason) = outcome {
            event.fail(arena, &self.label, reason);
        }
    }

    /// Lines on which a grok rule ran out of steps.
    pub(super) fn gave_up(&self) -> u64 {
        match &self.processor {
            Processor::Grok(parser) => parser.gave_up(),
            Processor::Nested(inner) => inner.gave_up(),
            _ => 0,
        }
    }
}

/// Compiles a list of processors; disabled ones are checked and left out. `depth` is that of the
/// pipeline they stand in.
pub(super) fn compile(
    configs: &[ProcessorConfig],
    path: &str,
    depth: usize,
    compiler: &mut Compiler<'_>,
) -> Vec<Step> {
    let mut steps = Vec::new();
    for (index, config) in configs.iter().enumerate() {
        let path = format!("{path}.processors[{index}]");
        let (kind, name, enabled) = config.head();
        let compiled = compile_one(config, &path, depth, compiler);
        if let Some(processor) = compiled.filter(|_| enabled) {
            let name = if name.is_empty() { &path } else { name };
            steps.push(Step { label: format!("{kind} `{name}`").into(), processor });
        }
    }
    steps
}

fn compile_one(
    config: &ProcessorConfig,
    path: &str,
    depth: usize,
    compiler: &mut Compiler<'_>,
) -> Option<Processor> {
    use ProcessorConfig as Config;
    match config {
        Config::GrokParser(config) => {
            grok_parser::GrokParser::compile(config, path, &mut compiler.errors)
                .map(Processor::Grok)
        }
        Config::AttributeRemapper(config) => {
            attribute_remapper::AttributeRemapper::compile(config, path, &mut compiler.errors)
                .map(Processor::Attribute)
        }
        Config::UrlParser(config) => {
            url_parser::UrlParser::compile(config, path, compiler).map(Processor::Url)
        }
        Config::UserAgentParser(config) => {
            user_agent_parser::UserAgentParser::compile(config, path, compiler)
                .map(Processor::UserAgent)
        }
        Config::CategoryProcessor(config) => {
            category_processor::CategoryProcessor::compile(config, path, compiler)
                .map(Processor::Category)
        }
        Config::ArithmeticProcessor(config) => {
            arithmetic_processor::ArithmeticProcessor::compile(config, path, compiler)
                .map(Processor::Arithmetic)
        }
        Config::StringBuilderProcessor(config) => {
            string_builder_processor::StringBuilderProcessor::compile(config, path, compiler)
                .map(Processor::StringBuilder)
        }
        Config::GeoIpParser(config) => {
            geo_ip_parser::GeoIpParser::compile(config, path, compiler).map(Processor::GeoIp)
        }
        Config::LookupProcessor(config) => {
            lookup_processor::LookupProcessor::compile(config, path, compiler)
                .map(Processor::Lookup)
        }
        Config::ArrayProcessor(config) => {
            array_processor::ArrayProcessor::compile(config, path, compiler).map(Processor::Array)
        }
        Config::ArrayMapProcessor(config) => {
            array_map_processor::ArrayMapProcessor::compile(config, path, depth, compiler)
                .map(Processor::ArrayMap)
        }
        Config::DecoderProcessor(config) => {
            decoder_processor::DecoderProcessor::compile(config, path, compiler)
                .map(Processor::Decoder)
        }
        Config::SchemaProcessor(config) => {
            schema_processor::SchemaProcessor::compile(config, path, compiler)
                .map(Processor::Schema)
        }
        Config::ExcludeAttribute(config) => {
            exclude_attribute::ExcludeAttribute::compile(config, path, compiler)
                .map(Processor::Exclude)
        }
        Config::Pipeline(config) => {
            nested::Nested::compile(config, path, depth + 1, compiler).map(Processor::Nested)
        }
        remapper => compile_remapper(remapper, path, compiler),
    }
}

/// The remappers of reserved attributes.
fn compile_remapper(
    config: &ProcessorConfig,
    path: &str,
    compiler: &mut Compiler<'_>,
) -> Option<Processor> {
    let mut of = |config: &RemapperConfig, default: &[&str]| {
        sources(&config.sources, default, path, compiler)
    };
    Some(match config {
        ProcessorConfig::DateRemapper(config) => {
            Processor::Date(date_remapper::DateRemapper { sources: of(config, &[])? })
        }
        ProcessorConfig::StatusRemapper(config) => {
            Processor::Status(status_remapper::StatusRemapper { sources: of(config, &[])? })
        }
        ProcessorConfig::ServiceRemapper(config) => {
            Processor::Service(service_remapper::ServiceRemapper { sources: of(config, &[])? })
        }
        ProcessorConfig::MessageRemapper(config) => {
            Processor::Message(message_remapper::MessageRemapper { sources: of(config, &["msg"])? })
        }
        ProcessorConfig::TraceIdRemapper(config) => {
            let sources = of(config, &["dd.trace_id"])?;
            Processor::TraceId(trace_id_remapper::TraceIdRemapper { sources })
        }
        ProcessorConfig::SpanIdRemapper(config) => {
            let sources = of(config, &["dd.span_id"])?;
            Processor::SpanId(span_id_remapper::SpanIdRemapper { sources })
        }
        _ => return None,
    })
}

/// The sources written, else the processor's default ones; none at all is refused.
fn sources(
    written: &[String],
    default: &[&str],
    path: &str,
    compiler: &mut Compiler<'_>,
) -> Option<Vec<Box<str>>> {
    let mut sources: Vec<Box<str>> = written.iter().map(|name| name.as_str().into()).collect();
    if sources.is_empty() {
        sources = default.iter().map(|name| (*name).into()).collect();
    }
    if sources.is_empty() {
        let reason = "empty: name the attributes to read, in order";
        compiler.refuse(format!("{path}.sources"), reason);
        return None;
    }
    Some(sources)
}

/// A name that is not empty: of a source, or of a target.
fn name(text: &str, field: &str, path: &str, compiler: &mut Compiler<'_>) -> Option<Box<str>> {
    if text.trim().is_empty() {
        compiler.refuse(format!("{path}.{field}"), "empty: name an attribute");
        return None;
    }
    Some(text.trim().into())
}

#[cfg(test)]
mod tests;
