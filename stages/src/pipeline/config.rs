//! The pipeline section of the configuration, as written by the user: Datadog's names and
//! spellings (API `v1/logs/config/pipelines`, `.../indexes`, `v2/logs/config/metrics`), so that what
//! people know from there reads the same here. One deviation: `is_enabled` is true unless written.

mod indexes;
mod preprocessing;
mod prices;
mod processors;
mod scanner;
mod schema;

pub use indexes::*;
pub use preprocessing::*;
pub use prices::*;
pub use processors::*;
pub use scanner::*;
pub use schema::*;

use serde::{Deserialize, Deserializer, Serialize};

/// Pipelines, sensitive-data scanner, log-based metrics, indexes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the reserved attributes of a JSON log are looked for, before any pipeline.
    pub preprocessing: PreprocessingConfig,
    /// MaxMind-format database of `geo-ip-parser`, relative to the configuration's file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub geo_ip_database: Option<String>,
    /// What `lookup_enrichment_table` of a `lookup-processor` names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub reference_tables: Vec<ReferenceTableConfig>,
    /// A log goes through every pipeline whose filter matches, in order.
    pub pipelines: Vec<PipelineConfig>,
    /// Finds and hides sensitive data after the pipelines, before metrics and indexes.
    #[serde(skip_serializing_if = "ScannerConfig::is_empty")]
    pub sensitive_data_scanner: ScannerConfig,
    /// Metrics computed from all processed logs, also from those no index keeps.
    pub metrics: Vec<MetricConfig>,
    /// Which logs and spans are errors, and which issue they belong to.
    #[serde(skip_serializing_if = "is_default")]
    pub error_tracking: grouping::RulesConfig,
    /// The first index whose filter matches takes the log.
    pub indexes: Vec<IndexConfig>,
    /// What keeping costs, for the ledger.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prices: Option<PriceConfig>,
}

/// No pipelines, no metrics, one index `main` that takes everything.
impl Default for Config {
    fn default() -> Self {
        let main = IndexConfig { name: "main".to_owned(), ..IndexConfig::default() };
        Self {
            preprocessing: PreprocessingConfig::default(),
            geo_ip_database: None,
            reference_tables: Vec::new(),
            pipelines: Vec::new(),
            sensitive_data_scanner: ScannerConfig::default(),
            metrics: Vec::new(),
            error_tracking: grouping::RulesConfig::default(),
            indexes: vec![main],
            prices: None,
        }
    }
}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ConfigError {
    /// Path within the section: `pipelines[0].processors[2].grok.match_rules:3`.
    pub path: String,
    /// What is wrong, and the fix.
    pub reason: String,
}

/// A filter: `{query: "..."}` as in Datadog, or the query alone.
#[derive(Debug, Clone, Serialize, PartialEq)]
pub struct Filter {
    /// A search query; empty and `*` match everything.
    pub query: String,
}

impl Default for Filter {
    fn default() -> Self {
        Self { query: "*".to_owned() }
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Object {
            #[serde(default)]
            query: String,
        }
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "a filter is `{query: \"...\"}` or the query as text")]
        enum Form {
            Text(String),
            Object(Object),
        }
        Ok(match Form::deserialize(reader)? {
            Form::Text(query) | Form::Object(Object { query }) => Self { query },
        })
    }
}

fn is_default(rules: &grouping::RulesConfig) -> bool {
    *rules == grouping::RulesConfig::default()
}

fn yes() -> bool {
    true
}

/// A pipeline, at the top or nested in another one.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PipelineConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Datadog's id; without meaning here.
    #[serde(default)]
    pub id: Option<String>,
    /// `pipeline`, where the API writes it.
    #[serde(default, rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Datadog's mark of integration pipelines; without meaning here.
    #[serde(default)]
    pub is_read_only: bool,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// For people.
    #[serde(default)]
    pub tags: Vec<String>,
    /// Which logs enter.
    #[serde(default)]
    pub filter: Filter,
    /// What is done to them, in order.
    #[serde(default)]
    pub processors: Vec<ProcessorConfig>,
}

/// A log-based metric.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MetricConfig {
    /// Name of the metric (`id` in the API).
    #[serde(alias = "id")]
    pub name: String,
    /// Which logs count.
    #[serde(default)]
    pub filter: Filter,
    /// What is computed.
    pub compute: ComputeConfig,
    /// By what it is split.
    #[serde(default)]
    pub group_by: Vec<GroupByConfig>,
    /// Series per unit and topic partition, beyond which measurements go to the overflow series
    /// `__overflow__`. [`schemas::limits::MAX_SERIES_PER_METRIC`] without, and at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_series: Option<usize>,
}

/// What a metric computes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ComputeConfig {
    /// `count` or `distribution`.
    pub aggregation_type: Aggregation,
    /// The measured attribute of a distribution, with `@`.
    #[serde(default)]
    pub path: Option<String>,
    /// Datadog's switch; percentiles are always there.
    #[serde(default)]
    pub include_percentiles: Option<bool>,
}

/// How measurements are added up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Aggregation {
    /// Number of logs.
    Count,
    /// Distribution of an attribute's numbers.
    Distribution,
}

/// One key of a metric's series.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GroupByConfig {
    /// Attribute with `@`; a tag or reserved attribute without.
    pub path: String,
    /// Name of the metric's tag; the path without `@` if absent.
    #[serde(default)]
    pub tag_name: Option<String>,
}
