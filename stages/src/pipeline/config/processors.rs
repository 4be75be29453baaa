//! The processors of a pipeline: one configuration each, with the names of Datadog's API
//! (`v1`, schemas `Logs*Processor`, `Logs*Remapper`, `Logs*Parser`).

use serde::{Deserialize, Serialize};

use super::{Filter, PipelineConfig, SchemaProcessorConfig, yes};

/// One processor, told apart by `type`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case")]
pub enum ProcessorConfig {
    /// Text to attributes by rules.
    GrokParser(GrokParserConfig),
    /// Event time from an attribute.
    DateRemapper(RemapperConfig),
    /// Status from an attribute.
    StatusRemapper(RemapperConfig),
    /// Service from an attribute.
    ServiceRemapper(RemapperConfig),
    /// Message from an attribute.
    MessageRemapper(RemapperConfig),
    /// Trace id from an attribute.
    TraceIdRemapper(RemapperConfig),
    /// Span id from an attribute.
    SpanIdRemapper(RemapperConfig),
    /// Moves or copies attributes and tags.
    AttributeRemapper(AttributeRemapperConfig),
    /// URL to its parts.
    UrlParser(UrlParserConfig),
    /// User agent to browser, system and device.
    UserAgentParser(UserAgentParserConfig),
    /// A name by the first query that matches.
    CategoryProcessor(CategoryProcessorConfig),
    /// A number computed from attributes.
    ArithmeticProcessor(ArithmeticProcessorConfig),
    /// A text put together from attributes.
    StringBuilderProcessor(StringBuilderProcessorConfig),
    /// Place of an IP address.
    GeoIpParser(GeoIpParserConfig),
    /// A value looked up in a table.
    LookupProcessor(LookupProcessorConfig),
    /// Work on an array.
    ArrayProcessor(ArrayProcessorConfig),
    /// Processors applied to each element of an array.
    ArrayMapProcessor(ArrayMapProcessorConfig),
    /// Base64 or base16 to text or number.
    DecoderProcessor(DecoderProcessorConfig),
    /// Attributes mapped to a schema.
    SchemaProcessor(SchemaProcessorConfig),
    /// Removes an attribute.
    ExcludeAttribute(ExcludeAttributeConfig),
    /// A nested pipeline; one level.
    Pipeline(PipelineConfig),
}

impl ProcessorConfig {
    /// `type`, `name`, `is_enabled`.
    pub fn head(&self) -> (&'static str, &str, bool) {
        match self {
            Self::GrokParser(c) => ("grok-parser", &c.name, c.is_enabled),
            Self::DateRemapper(c) => ("date-remapper", &c.name, c.is_enabled),
            Self::StatusRemapper(c) => ("status-remapper", &c.name, c.is_enabled),
            Self::ServiceRemapper(c) => ("service-remapper", &c.name, c.is_enabled),
            Self::MessageRemapper(c) => ("message-remapper", &c.name, c.is_enabled),
            Self::TraceIdRemapper(c) => ("trace-id-remapper", &c.name, c.is_enabled),
            Self::SpanIdRemapper(c) => ("span-id-remapper", &c.name, c.is_enabled),
            Self::AttributeRemapper(c) => ("attribute-remapper", &c.name, c.is_enabled),
            Self::UrlParser(c) => ("url-parser", &c.name, c.is_enabled),
            Self::UserAgentParser(c) => ("user-agent-parser", &c.name, c.is_enabled),
            Self::CategoryProcessor(c) => ("category-processor", &c.name, c.is_enabled),
            Self::ArithmeticProcessor(c) => ("arithmetic-processor", &c.name, c.is_enabled),
            Self::StringBuilderProcessor(c) => ("string-builder-processor", &c.name, c.is_enabled),
            Self::GeoIpParser(c) => ("geo-ip-parser", &c.name, c.is_enabled),
            Self::LookupProcessor(c) => ("lookup-processor", &c.name, c.is_enabled),
            Self::ArrayProcessor(c) => ("array-processor", &c.name, c.is_enabled),
            Self::ArrayMapProcessor(c) => ("array-map-processor", &c.name, c.is_enabled),
            Self::DecoderProcessor(c) => ("decoder-processor", &c.name, c.is_enabled),
            Self::SchemaProcessor(c) => ("schema-processor", &c.name, c.is_enabled),
            Self::ExcludeAttribute(c) => ("exclude-attribute", &c.name, c.is_enabled),
            Self::Pipeline(c) => ("pipeline", &c.name, c.is_enabled),
        }
    }
}

/// `grok-parser`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrokParserConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attribute whose text is parsed.
    #[serde(default = "message")]
    pub source: String,
    /// Lines the rules were written for; for people.
    #[serde(default)]
    pub samples: Vec<String>,
    /// The rules.
    pub grok: GrokRules,
}

fn message() -> String {
    "message".to_owned()
}

/// Rules, one a line: `name pattern`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GrokRules {
    /// Rules others refer to by `%{name}`; never matched on their own.
    #[serde(default)]
    pub support_rules: String,
    /// Rules tried in order; the first that matches wins.
    pub match_rules: String,
}

/// A remapper of a reserved attribute.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RemapperConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attributes tried in order; without, the processor's documented default where it has one.
    #[serde(default)]
    pub sources: Vec<String>,
}

/// Where an attribute remapper reads or writes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// Attributes.
    #[default]
    Attribute,
    /// Tags.
    Tag,
}

/// Type an attribute remapper casts to where possible.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetFormat {
    /// Left as it is.
    #[default]
    Auto,
    /// Text.
    String,
    /// A whole number.
    Integer,
    /// A number.
    Double,
}

/// `attribute-remapper`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttributeRemapperConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Tried in order; the first that exists is taken.
    pub sources: Vec<String>,
    /// What `sources` name.
    #[serde(default)]
    pub source_type: Place,
    /// Attribute path or tag key.
    pub target: String,
    /// What `target` names.
    #[serde(default)]
    pub target_type: Place,
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

/// `url-parser`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UrlParserConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attributes tried in order; `http.url` if empty.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Below which the parts are written.
    #[serde(default = "url_details")]
    pub target: String,
    /// Several slashes at the end of the path become one.
    #[serde(default)]
    pub normalize_ending_slashes: bool,
}

fn url_details() -> String {
    "http.url_details".to_owned()
}

/// `user-agent-parser`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UserAgentParserConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attributes tried in order; `http.useragent` if empty.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Below which the parts are written.
    #[serde(default = "useragent_details")]
    pub target: String,
    /// The source is percent-encoded, as IIS writes it.
    #[serde(default)]
    pub is_encoded: bool,
}

fn useragent_details() -> String {
    "http.useragent_details".to_owned()
}

/// `category-processor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attribute that gets the name.
    pub target: String,
    /// Tried in order; the first that matches wins.
    pub categories: Vec<CategoryConfig>,
}

/// One category.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CategoryConfig {
    /// What the target gets; unique.
    pub name: String,
    /// Which logs.
    pub filter: Filter,
}

/// `arithmetic-processor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArithmeticProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attributes, numbers, `+ - * /`, parentheses; spaces around `-`.
    pub expression: String,
    /// Attribute that gets the result.
    pub target: String,
    /// A missing attribute is 0; else it skips the log.
    #[serde(default)]
    pub is_replace_missing: bool,
}

/// `string-builder-processor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StringBuilderProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Text with blocks `%{attribute}`.
    pub template: String,
    /// Attribute that gets the result.
    pub target: String,
    /// A missing attribute is the empty text; else it skips the log.
    #[serde(default)]
    pub is_replace_missing: bool,
}

/// `geo-ip-parser`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GeoIpParserConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attributes tried in order; `network.client.ip` if empty.
    #[serde(default)]
    pub sources: Vec<String>,
    /// Below which the place is written.
    #[serde(default = "geoip")]
    pub target: String,
    /// Datadog's switch of integration pipelines; without meaning here.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ip_processing_behavior: Option<String>,
}

fn geoip() -> String {
    "network.client.geoip".to_owned()
}

/// `lookup-processor`, with one of the three tables.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LookupProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attribute whose value is looked up.
    pub source: String,
    /// Attribute that gets what was found; of a reference table, below which its columns are written.
    pub target: String,
    /// Lines `key,value`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_table: Option<Vec<String>>,
    /// A CSV file of two columns, key and value, relative to the configuration's file. Ours.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_file: Option<String>,
    /// Name of a reference table.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lookup_enrichment_table: Option<String>,
    /// What the target gets when the value is not in the table.
    #[serde(default)]
    pub default_lookup: Option<String>,
}

/// A reference table: a CSV file with a header.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReferenceTableConfig {
    /// The name `lookup_enrichment_table` uses.
    pub table_name: String,
    /// The file, relative to the configuration's file.
    pub file: String,
    /// Column that is looked up; the first if absent.
    #[serde(default)]
    pub primary_key: Option<String>,
}

/// `array-processor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// What is done.
    pub operation: ArrayOperation,
}

/// What an array processor does.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
pub enum ArrayOperation {
    /// The value of `source` is added at the end of the array `target`.
    Append {
        /// Attribute that is added.
        source: String,
        /// The array; made where it is missing.
        target: String,
        /// Keep the source.
        #[serde(default = "yes")]
        preserve_source: bool,
    },
    /// The number of elements of `source`.
    Length {
        /// The array.
        source: String,
        /// Attribute that gets the number.
        target: String,
    },
    /// A member of the first element that matches.
    Select {
        /// An array of objects.
        source: String,
        /// Attribute that gets the member.
        target: String,
        /// What the element must be: `key:value`, or a query over its members.
        filter: String,
        /// The member.
        value_to_extract: String,
    },
    /// Every element `{key, value}` becomes an attribute.
    KeyValue {
        /// An array of objects.
        source: String,
        /// Below which they are written; the root if absent.
        #[serde(default)]
        target: Option<String>,
        /// Member that is the attribute's name.
        key_to_extract: String,
        /// Member that is its value.
        value_to_extract: String,
        /// Replace attributes that exist.
        #[serde(default)]
        override_on_conflict: bool,
    },
}

/// `array-map-processor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ArrayMapProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// The array.
    pub source: String,
    /// The array that is made; `source` itself changes the elements in place.
    pub target: String,
    /// Keep the source.
    #[serde(default = "yes")]
    pub preserve_source: bool,
    /// Attribute remappers, string builders, arithmetic and category processors; `$sourceElem` is read, `$targetElem` written.
    pub processors: Vec<ProcessorConfig>,
}

/// `decoder-processor`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecoderProcessorConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Attribute that is decoded.
    pub source: String,
    /// Attribute that gets the result.
    pub target: String,
    /// How the source is written.
    pub binary_to_text_encoding: TextEncoding,
    /// What its bytes are.
    pub input_representation: Representation,
}

/// How bytes are written as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TextEncoding {
    /// RFC 4648 section 4 or 5, padded or not.
    Base64,
    /// Hex, of either case.
    Base16,
}

/// What decoded bytes are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Representation {
    /// Text.
    #[serde(rename = "utf_8")]
    Utf8,
    /// An unsigned number, highest byte first.
    Integer,
}

/// `exclude-attribute`.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExcludeAttributeConfig {
    /// For people.
    #[serde(default)]
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// The attribute, with all below it; no reserved one.
    pub attribute_to_exclude: String,
}
