//! `pipeline`: processors behind a filter, at the top or nested one level.

use bumpalo::Bump;
use search::Query;

use super::{Applied, Step};
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::PipelineConfig;

/// A compiled pipeline.
#[derive(Debug)]
pub(in crate::pipeline) struct Nested {
    filter: Query,
    steps: Vec<Step>,
}

/// Datadog allows one level of nesting.
const MAX_DEPTH: usize = 1;

impl Nested {
    /// Compiles a pipeline; `depth` is 0 at the top.
    pub(in crate::pipeline) fn compile(
        config: &PipelineConfig,
        path: &str,
        depth: usize,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        if depth > MAX_DEPTH {
            let reason = "a nested pipeline can not hold another one: move it up one level";
            compiler.refuse(path.to_owned(), reason);
            return None;
        }
        if config.kind.as_deref().is_some_and(|kind| kind != "pipeline") {
            compiler.refuse(format!("{path}.type"), "must be `pipeline` or absent here");
        }
        let query = &config.filter.query;
        let filter = crate::pipeline::compile_query(query, path, &mut compiler.errors);
        let steps = super::compile(&config.processors, path, depth, compiler);
        Some(Self { filter: filter?, steps })
    }

    /// Lines on which a grok rule ran out of steps.
    pub(in crate::pipeline) fn gave_up(&self) -> u64 {
        self.steps.iter().map(Step::gave_up).sum()
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
            for step in &self.steps {
                step.apply(arena, event, applied);
            }
        }
    }
}
