//! `schema-processor`: attributes mapped to a schema (OCSF) by remappers and category mappers. The
//! schema itself is not checked: Datadog does so when the mapping is written, not on logs.
//!
//! Class, category and version of the schema are written too, as the results of published integrations have
//! them. The category is the thousands of the class's number (OCSF, "Category Attributes").

use bumpalo::Bump;
use search::Query;

use super::attribute_remapper::AttributeRemapper;
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{
    AttributeRemapperConfig, Place, SchemaCategoryMapperConfig, SchemaConfig, SchemaMapperConfig,
    SchemaProcessorConfig,
};
use crate::pipeline::{compile_query, source};
use crate::value::Value;

/// Mappers, in order, and what they map to.
#[derive(Debug)]
pub(in crate::pipeline) struct SchemaProcessor {
    schema: SchemaConfig,
    mappers: Vec<Mapper>,
}

/// Categories of OCSF by number.
static CATEGORIES: [&str; 9] = [
    "Uncategorized",
    "System Activity",
    "Findings",
    "Identity & Access Management",
    "Network Activity",
    "Discovery",
    "Application Activity",
    "Remediation",
    "Unmanned Systems",
];

#[derive(Debug)]
enum Mapper {
    Remapper(AttributeRemapper),
    Category(CategoryMapper),
}

impl SchemaProcessor {
    /// Compiles the mappers.
    pub(super) fn compile(
        config: &SchemaProcessorConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let mut mappers = Vec::new();
        for (index, mapper) in config.mappers.iter().enumerate() {
            let path = format!("{path}.mappers[{index}]");
            let compiled = match mapper {
                SchemaMapperConfig::SchemaRemapper(config) => {
                    let config = AttributeRemapperConfig {
                        name: config.name.clone(),
                        is_enabled: true,
                        sources: config.sources.clone(),
                        source_type: Place::Attribute,
                        target: config.target.clone(),
                        target_type: Place::Attribute,
                        target_format: config.target_format,
                        preserve_source: config.preserve_source,
                        override_on_conflict: config.override_on_conflict,
                    };
                    AttributeRemapper::compile(&config, &path, &mut compiler.errors)
                        .map(Mapper::Remapper)
                }
                SchemaMapperConfig::SchemaCategoryMapper(config) => {
                    CategoryMapper::compile(config, &path, compiler).map(Mapper::Category)
                }
            };
            mappers.extend(compiled);
        }
        Some(Self { schema: config.schema.clone(), mappers })
    }

    /// Runs the mappers.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        for mapper in &self.mappers {
            match mapper {
                Mapper::Remapper(remapper) => remapper.apply(arena, event),
                Mapper::Category(mapper) => mapper.apply(arena, event),
            }
        }
        if self.schema.schema_type.eq_ignore_ascii_case("ocsf") {
            self.write_class(arena, event);
        }
    }

    fn write_class<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let mut write = |path: &'static str, value: Value<'b>| event.attributes.set(path, value);
        let category = self.schema.class_uid / 1_000;
        let name = usize::try_from(category).ok();
        let name = name.and_then(|number| CATEGORIES.get(number).copied());
        write("ocsf.class_uid", Value::Int(self.schema.class_uid));
        write("ocsf.class_name", Value::Str(arena.alloc_str(&self.schema.class_name)));
        if let Some(name) = name {
            write("ocsf.category_uid", Value::Int(category));
            write("ocsf.category_name", Value::Str(name));
        }
        write("ocsf.metadata.version", Value::Str(arena.alloc_str(&self.schema.version)));
    }
}

/// Number and name of the first category that matches. Where one of them is a value of the fallback,
/// or no category matches, the fallback's attributes say what it is called.
#[derive(Debug)]
struct CategoryMapper {
    categories: Vec<(Query, i64, Box<str>)>,
    id: Option<Box<str>>,
    name: Option<Box<str>>,
    /// Target and value.
    values: Vec<(Box<str>, Box<str>)>,
    /// Target and attributes tried in order.
    sources: Vec<(Box<str>, Vec<Box<str>>)>,
}

impl CategoryMapper {
    fn compile(
        config: &SchemaCategoryMapperConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let mut categories = Vec::new();
        for (index, category) in config.categories.iter().enumerate() {
            let path = format!("{path}.categories[{index}]");
            let query = compile_query(&category.filter.query, &path, &mut compiler.errors);
            let name = category.name.as_str().into();
            categories.extend(query.map(|query| (query, category.id, name)));
        }
        let (id, name) = (config.targets.id.as_deref(), config.targets.name.as_deref());
        if id.is_none() && name.is_none() {
            compiler.refuse(format!("{path}.targets"), "write id, name or both");
            return None;
        }
        let fallback = config.fallback.clone().unwrap_or_default();
        let boxed = |names: Vec<String>| names.into_iter().map(Into::into).collect();
        Some(Self {
            categories,
            id: id.map(Into::into),
            name: name.map(Into::into),
            values: fallback.values.into_iter().map(|(t, v)| (t.into(), v.into())).collect(),
            sources: fallback
                .sources
                .into_iter()
                .map(|(t, names)| (t.into(), boxed(names)))
                .collect(),
        })
    }

    fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let found = self.categories.iter().find(|(query, _, _)| query.matches(event));
        if let Some((_, id, name)) = found {
            self.write(arena, event, *id, name);
            if !self.values.iter().any(|(target, value)| self.has(target, value, *id, name)) {
                return;
            }
        } else {
            for (target, value) in &self.values {
                let number = value.parse().ok().filter(|_| self.id.as_deref() == Some(&**target));
                let text = || Value::Str(arena.alloc_str(value));
                source::replace(arena, event, target, number.map_or_else(text, Value::Int));
            }
        }
        for (target, names) in &self.sources {
            if let Some(text) = source::first_text(arena, event, names) {
                source::replace(arena, event, target, Value::Str(text));
            }
        }
    }

    fn write<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, id: i64, name: &str) {
        if let Some(target) = &self.id {
            source::replace(arena, event, target, Value::Int(id));
        }
        if let Some(target) = &self.name {
            source::replace(arena, event, target, Value::Str(arena.alloc_str(name)));
        }
    }

    /// Whether the category has the fallback's value at this target.
    fn has(&self, target: &str, value: &str, id: i64, name: &str) -> bool {
        self.id.as_deref() == Some(target) && value.parse() == Ok(id)
            || self.name.as_deref() == Some(target) && value == name
    }
}
