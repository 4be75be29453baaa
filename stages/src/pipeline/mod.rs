//! The log pipeline: preprocess -> processors -> sensitive-data scanner -> log-based metrics ->
//! errors -> exclusion -> index.

pub mod cases;
mod compiler;
pub mod config;
pub(crate) mod dates;
mod element_search;
mod event_search;
mod exclusion;
pub mod explain;
mod files;
pub mod grok;
mod ids;
pub mod library;
mod metrics;
mod preprocess;
mod price;
mod processors;
pub mod quota;
pub mod read;
pub mod render;
mod scanner;
mod source;
mod user_agent;

pub use files::{Files, NoFiles};
pub use metrics::MetricWindows;

use std::sync::Arc;

use bumpalo::Bump;
use grouping::Grouper;
use schemas::ledger::Action;
use schemas::limits::MAX_PROCESSORS;
use schemas::status::Status;
use search::Query;

use crate::errors;
use crate::event::LogEvent;
use crate::span::Span;
use crate::tally::Count;
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
    text: String,
    pipelines: Vec<Nested>,
    scanner: scanner::Scanner,
    metrics: Arc<metrics::Metrics>,
    indexes: Vec<exclusion::Index>,
    limits: Arc<[quota::DailyLimit]>,
    prices: Option<price::Prices>,
    grouper: Grouper,
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
        let limits = quota::compile(&config.indexes, &mut compiler.errors);
        let prices = price::compile(config.prices.as_ref(), &config.indexes, &mut compiler.errors);
        let grouper = Grouper::compile(&config.error_tracking).map_err(|wrong| {
            compiler.errors.extend(wrong.into_iter().map(|error| ConfigError {
                path: format!("error_tracking.{}", error.path),
                reason: error.reason,
            }));
        });
        let (errors, notes, files) = compiler.finish();
        let (Ok(grouper), true) = (grouper, errors.is_empty()) else { return Err(errors) };
        let text = match serde_json::to_string(config) {
            Ok(text) => text,
            Err(error) => {
                let reason = format!("the configuration has no content hash: {error}");
                return Err(vec![ConfigError { path: "pipelines".to_owned(), reason }]);
            }
        };
        let hash = xxhash_rust::xxh3::xxh3_64_with_seed(text.as_bytes(), files);
        Ok(Self {
            version: format!("{hash:016x}"),
            text,
            notes,
            preprocess,
            pipelines,
            scanner,
            metrics,
            indexes,
            limits,
            prices,
            grouper,
        })
    }

    /// The configuration in its own form, as one line of JSON: what the version is the hash of, together with the files it names.
    pub fn text(&self) -> &str {
        &self.text
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

    /// Daily limits of the indexes that have one.
    pub fn daily_limits(&self) -> Arc<[quota::DailyLimit]> {
        Arc::clone(&self.limits)
    }

    /// What the configured prices make of these events, `None` without: see [`config::PriceConfig`].
    pub fn cost(&self, action: Action, rule: &str, count: Count) -> Option<f64> {
        self.prices.as_ref()?.cost(action, rule, count)
    }

    /// Takes one log through the first stage alone: reserved fields are filled from what it has by itself.
    pub fn preprocess<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        self.preprocess.run(arena, event);
        note_errors(arena, event);
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
        let says_status = event.status.is_some();
        // Every log has a status from here on; remappers may still change it.
        event.status.get_or_insert(Status::Info);
        let mut applied = processors::Applied::default();
        for pipeline in &self.pipelines {
            pipeline.apply(arena, event, &mut applied);
        }
        self.scanner.run(arena, event);
        note_errors(arena, event);
        windows.record(arena, event, offset);
        self.track(arena, event, says_status || applied.status());
        exclusion::decide(&self.indexes, event)
    }

    /// Looks for the error a processed log reports. `is_stated`: whether its status was given, or is a guess.
    fn track<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, is_stated: bool) {
        if self.grouper.is_enabled() {
            let is_stated = is_stated || event.status != Some(Status::Info);
            let error = errors::of_log(arena, &self.grouper, event, is_stated);
            event.error = error.map(|error| &*arena.alloc(error));
        }
    }

    /// Looks for errors in the spans of one message: fills [`Span::errors`].
    pub fn process_spans<'b>(&self, arena: &'b Bump, spans: &mut [Span<'b>]) {
        if self.grouper.is_enabled() {
            errors::of_spans(arena, &self.grouper, spans);
        }
    }

    /// The rules of error grouping.
    pub fn grouper(&self) -> &Grouper {
        &self.grouper
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
