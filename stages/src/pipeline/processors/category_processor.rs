//! `category-processor`: the name of the first category whose query matches the log.

use bumpalo::Bump;
use search::Query;

use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{CategoryProcessorConfig, ConfigError};
use crate::pipeline::{compile_query, source};
use crate::value::Value;

/// Compiled queries, in order.
#[derive(Debug)]
pub(in crate::pipeline) struct CategoryProcessor {
    target: Box<str>,
    categories: Vec<(Query, Box<str>)>,
}

impl CategoryProcessor {
    /// Compiles the queries.
    pub(super) fn compile(
        config: &CategoryProcessorConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let target = super::name(&config.target, "target", path, compiler);
        let mut categories: Vec<(Query, Box<str>)> = Vec::new();
        for (index, category) in config.categories.iter().enumerate() {
            let path = format!("{path}.categories[{index}]");
            if categories.iter().any(|(_, name)| **name == *category.name) {
                // Published pipelines have them; whichever query matches first, the name is the same.
                let path = format!("{path}.name");
                let reason = "used by a category above; the queries could be joined with OR";
                compiler.notes.push(ConfigError { path, reason: reason.to_owned() });
            }
            let query = compile_query(&category.filter.query, &path, &mut compiler.errors);
            categories.extend(query.map(|query| (query, category.name.as_str().into())));
        }
        Some(Self { target: target?, categories })
    }

    /// Writes the first that matches.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let found = self.categories.iter().find(|(query, _)| query.matches(event));
        if let Some((_, name)) = found {
            source::replace(arena, event, &self.target, Value::Str(arena.alloc_str(name)));
        }
    }
}
