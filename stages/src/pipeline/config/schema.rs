//! `schema-processor`: attributes mapped to a schema, as security integrations do for OCSF.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Filter, TargetFormat, yes};

/// `schema-processor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// The schema the mappers were written for; for people.
    pub schema: SchemaConfig,
    /// Done in order.
    pub mappers: Vec<SchemaMapperConfig>,
}

/// Which schema, and which class of it.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaConfig {
    /// `ocsf`.
    pub schema_type: String,
    /// Version of the schema.
    pub version: String,
    /// Number of the event class.
    pub class_uid: i64,
    /// Name of the event class.
    pub class_name: String,
    /// Profiles of the schema.
    #[serde(default)]
    pub profiles: Vec<String>,
}

/// One step of a schema processor.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum SchemaMapperConfig {
    /// As an attribute remapper.
    SchemaRemapper(SchemaRemapperConfig),
    /// As a category processor, with a number beside the name.
    SchemaCategoryMapper(SchemaCategoryMapperConfig),
}

/// `schema-remapper`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaRemapperConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Tried in order; the first that exists is taken.
    pub sources: Vec<String>,
    /// Attribute path.
    pub target: String,
    /// Cast.
    #[serde(default)]
    pub target_format: TargetFormat,
    /// Keep the source.
    #[serde(default)]
    pub preserve_source: bool,
    /// Replace an existing target.
    #[serde(default)]
    pub override_on_conflict: bool,
}

/// `schema-category-mapper`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaCategoryMapperConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Tried in order; the first that matches wins.
    pub categories: Vec<SchemaCategoryConfig>,
    /// What gets name and number.
    pub targets: SchemaTargetsConfig,
    /// Where the values come from when the category is the one of `values`.
    #[serde(default)]
    pub fallback: Option<SchemaFallbackConfig>,
}

/// One category of a schema.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaCategoryConfig {
    /// Which logs.
    pub filter: Filter,
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
}

/// Attributes that get a category's name and number.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaTargetsConfig {
    /// Gets the number.
    #[serde(default)]
    pub id: Option<String>,
    /// Gets the name.
    #[serde(default)]
    pub name: Option<String>,
}

/// Overrides a category's values by attributes of the log.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SchemaFallbackConfig {
    /// Target -> attributes tried in order.
    #[serde(default)]
    pub sources: BTreeMap<String, Vec<String>>,
    /// Target -> value; it is the fallback's turn where one of these stands.
    #[serde(default)]
    pub values: BTreeMap<String, String>,
}
