//! The log pipeline: preprocess -> processors -> sensitive-data scanner -> log-based metrics ->
//! exclusion -> index.

mod compiler;
pub mod config;
mod dates;
mod element_search;
mod event_search;
mod exclusion;
mod files;
mod grok;
mod ids;
mod metrics;
mod preprocess;
mod processors;
mod scanner;
mod source;
mod user_agent;

pub use files::{Files, NoFiles};
pub use metrics::MetricWindows;

use std::sync::Arc;

use bumpalo::Bump;
use schemas::limits::MAX_PROCESSORS;
use schemas::status::Status;
use search::Query;

use crate::event::LogEvent;
use crate::value::Value;
use compiler::Compiler;
use config::{ConfigError, PipelineConfig, ProcessorConfig};
use processors::nested::Nested;

/// A compiled pipeline configuration: immutable, shared by every lane.
#[derive(Debug)]
pub struct Pipeline {
    version: String,
    notes: Vec<ConfigError>,
    preprocess: preprocess::Preprocess,
    pipelines: Vec<Nested>,
    scanner: scanner::Scanner,
    metrics: Arc<[metrics::Metric]>,
    indexes: Vec<exclusion::Index>,
}

/// What becomes of a log at the end of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'p> {
    /// Kept, in this index.
    Indexed {
        /// Name of the index.
        index: &'p str,
    },
    /// Dropped. It has fed the metrics all the same.
    Excluded {
        /// Name of the exclusion filter, as `index/filter`; `no_index` where no index took it.
        rule: &'p str,
    },
}

impl Pipeline {
    /// Compiles a configuration that names no files, or says everything that is wrong with it.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn compile(config: &config::Config) -> Result<Self, Vec<ConfigError>> {
        Self::compile_with(config, &NoFiles)
    }

    /// Compiles a configuration with the files it names, or says everything that is wrong with it.
    ///
    /// # Errors
    /// Every problem, with its place.
    pub fn compile_with(
        config: &config::Config,
        files: &dyn Files,
    ) -> Result<Self, Vec<ConfigError>> {
        let count: usize = config.pipelines.iter().map(count).sum();
        if count > MAX_PROCESSORS {
            let reason = format!("{count} processors are more than {MAX_PROCESSORS}: remove some");
            return Err(vec![ConfigError { path: "pipelines".to_owned(), reason }]);
        }
        let mut compiler = Compiler::new(config, files);
        let preprocess =
            preprocess::Preprocess::compile(&config.preprocessing, &mut compiler.errors);
        let mut pipelines = Vec::new();
        for (index, pipeline) in config.pipelines.iter().enumerate() {
            let path = format!("pipelines[{index}]");
            let compiled = Nested::compile(pipeline, &path, 0, &mut compiler);
            pipelines.extend(compiled.filter(|_| pipeline.is_enabled));
        }
        let scanner = scanner::Scanner::compile(&config.sensitive_data_scanner, &mut compiler);
        let metrics = metrics::compile(&config.metrics, &mut compiler.errors);
        let indexes = exclusion::compile(&config.indexes, &mut compiler.errors);
        let (errors, notes, files) = compiler.finish();
        if !errors.is_empty() {
            return Err(errors);
        }
        let version = match serde_json::to_vec(config) {
            Ok(bytes) => {
                format!("{:016x}", xxhash_rust::xxh3::xxh3_64_with_seed(&bytes, files))
            }
            Err(error) => {
                let reason = format!("the configuration has no content hash: {error}");
                return Err(vec![ConfigError { path: "pipelines".to_owned(), reason }]);
            }
        };
        Ok(Self { version, notes, preprocess, pipelines, scanner, metrics, indexes })
    }

    /// What is accepted and has no effect, with its place.
    pub fn notes(&self) -> &[ConfigError] {
        &self.notes
    }

    /// Names of the scanner rules that found something in a processed log, as `group/rule`.
    pub fn sensitive<'a>(&'a self, event: &'a LogEvent<'_>) -> impl Iterator<Item = &'a str> {
        event.sensitive.iter().filter_map(|number| self.scanner.name(*number))
    }

    /// Content hash of the configuration and the files it names, 16 hex characters.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Lines since the start on which a grok rule ran out of steps and counted as no match.
    pub fn grok_gave_up(&self) -> u64 {
        self.pipelines.iter().map(Nested::gave_up).sum()
    }

    /// Takes one log through every stage. `windows` is the state of the log's topic partition;
    /// `offset` is its message's.
    pub fn process<'b>(
        &self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        offset: i64,
        windows: &mut MetricWindows,
    ) -> Fate<'_> {
        self.preprocess.run(arena, event);
        // Every log has a status from here on; remappers may still change it.
        event.status.get_or_insert(Status::Info);
        let mut applied = processors::Applied::default();
        for pipeline in &self.pipelines {
            pipeline.apply(arena, event, &mut applied);
        }
        self.scanner.run(arena, event);
        note_errors(arena, event);
        windows.record(arena, event, offset);
        exclusion::decide(&self.indexes, event)
    }
}

/// Attribute with what stages could not do on a log.
const PIPELINE_ERRORS: &str = "pipeline_errors";

fn note_errors<'b>(arena: &'b Bump, event: &mut LogEvent<'b>) {
    if event.errors.is_empty() {
        return;
    }
    let texts = event.errors.iter().map(|error| {
        let text = bumpalo::format!(in arena, "{}: {}", error.processor, error.reason);
        Value::Str(text.into_bump_str())
    });
    let texts = bumpalo::collections::Vec::from_iter_in(texts, arena);
    event.attributes.set(PIPELINE_ERRORS, Value::Array(texts.into_bump_slice()));
}

/// Processors of a pipeline, those they hold included.
fn count(pipeline: &PipelineConfig) -> usize {
    let nested = pipeline.processors.iter().map(|processor| match processor {
        ProcessorConfig::Pipeline(inner) => 1 + count(inner),
        ProcessorConfig::ArrayMapProcessor(map) => 1 + map.processors.len(),
        ProcessorConfig::SchemaProcessor(schema) => 1 + schema.mappers.len(),
        _ => 1,
    });
    nested.sum()
}

/// Parses a filter's query, or says where it is wrong.
fn compile_query(query: &str, path: &str, errors: &mut Vec<ConfigError>) -> Option<Query> {
    match Query::parse(query) {
        Ok(query) => Some(query),
        Err(error) => {
            let reason = format!("`{query}`: {error}");
            errors.push(ConfigError { path: format!("{path}.filter.query"), reason });
            None
        }
    }
}

#[cfg(test)]
mod tests;
