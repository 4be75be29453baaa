//! The log pipeline: preprocess -> processors -> log-based metrics -> exclusion -> index.

pub mod config;
pub(crate) mod dates;
mod event_search;
mod exclusion;
mod grok;
mod ids;
mod metrics;
mod preprocess;
mod processors;
mod source;

pub use metrics::MetricWindows;

use std::sync::Arc;

use bumpalo::Bump;
use schemas::limits::MAX_PROCESSORS;
use schemas::status::Status;
use search::Query;

use crate::event::LogEvent;
use config::{ConfigError, PipelineConfig, ProcessorConfig};
use processors::nested::Nested;

/// A compiled pipeline configuration: immutable, shared by every lane.
#[derive(Debug)]
pub struct Pipeline {
    version: String,
    pipelines: Vec<Nested>,
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
    /// Compiles a configuration, or says everything that is wrong with it.
    pub fn compile(config: &config::Config) -> Result<Self, Vec<ConfigError>> {
        let mut errors = Vec::new();
        let count: usize = config.pipelines.iter().map(count).sum();
        if count > MAX_PROCESSORS {
            errors.push(ConfigError {
                path: "pipelines".to_owned(),
                reason: format!("{count} processors are more than {MAX_PROCESSORS}: remove some"),
            });
            return Err(errors);
        }
        let mut pipelines = Vec::new();
        for (index, pipeline) in config.pipelines.iter().enumerate() {
            let path = format!("pipelines[{index}]");
            let compiled = Nested::compile(pipeline, &path, 0, &mut errors);
            pipelines.extend(compiled.filter(|_| pipeline.is_enabled));
        }
        let metrics = metrics::compile(&config.metrics, &mut errors);
        let indexes = exclusion::compile(&config.indexes, &mut errors);
        if !errors.is_empty() {
            return Err(errors);
        }
        let version = match serde_json::to_vec(config) {
            Ok(bytes) => format!("{:016x}", xxhash_rust::xxh3::xxh3_64(&bytes)),
            Err(error) => {
                let reason = format!("the configuration has no content hash: {error}");
                return Err(vec![ConfigError { path: "pipelines".to_owned(), reason }]);
            }
        };
        Ok(Self { version, pipelines, metrics, indexes })
    }

    /// Content hash of the configuration, 16 hex characters.
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
        preprocess::run(arena, event);
        // Every log has a status from here on; remappers may still change it.
        event.status.get_or_insert(Status::Info);
        let mut applied = processors::Applied::default();
        for pipeline in &self.pipelines {
            pipeline.apply(arena, event, &mut applied);
        }
        windows.record(arena, event, offset);
        exclusion::decide(&self.indexes, event)
    }
}

fn count(pipeline: &PipelineConfig) -> usize {
    let nested = pipeline.processors.iter().map(|processor| match processor {
        ProcessorConfig::Pipeline(inner) => 1 + inner.processors.len(),
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
