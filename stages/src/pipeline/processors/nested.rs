//! `pipeline`: processors behind a filter, at the top or nested one level.

use bumpalo::Bump;
use search::Query;

use super::{Applied, Processor};
use crate::event::LogEvent;
use crate::pipeline::config::{ConfigError, PipelineConfig};

/// A compiled pipeline.
#[derive(Debug)]
pub(in crate::pipeline) struct Nested {
    filter: Query,
    processors: Vec<Processor>,
}

/// Datadog allows one level of nesting.
const MAX_DEPTH: usize = 1;

impl Nested {
    /// Compiles a pipeline; `depth` is 0 at the top.
    pub(in crate::pipeline) fn compile(
        config: &PipelineConfig,
        path: &str,
        depth: usize,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Self> {
        let mut refuse = |field: &str, reason: String| {
            errors.push(ConfigError { path: format!("{path}{field}"), reason });
        };
        if depth > MAX_DEPTH {
            refuse(
                "",
                "a nested pipeline can not hold another one: move it up one level".to_owned(),
            );
            return None;
        }
        if config.kind.as_deref().is_some_and(|kind| kind != "pipeline") {
            refuse(".type", "must be `pipeline` or absent here".to_owned());
        }
        let filter = crate::pipeline::compile_query(&config.filter.query, path, errors);
        let processors = super::compile(&config.processors, path, depth, errors);
        Some(Self { filter: filter?, processors })
    }

    /// Lines on which a grok rule ran out of steps.
    pub(in crate::pipeline) fn gave_up(&self) -> u64 {
        let counts = self.processors.iter().map(|processor| match processor {
            Processor::Grok(parser) => parser.gave_up(),
            Processor::Nested(inner) => inner.gave_up(),
            _ => 0,
        });
        counts.sum()
    }

    /// Whether the log passes the filter as it is now.
    pub(in crate::pipeline) fn takes(&self, event: &LogEvent<'_>) -> bool {
        self.filter.matches(event)
    }

    /// Runs the processors if the log passes the filter as it is now.
    pub(in crate::pipeline) fn apply<'b>(
        &self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        applied: &mut Applied,
    ) {
        if self.takes(event) {
            for processor in &self.processors {
                processor.apply(arena, event, applied);
            }
        }
    }
}
