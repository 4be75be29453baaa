//! `sensitive_data_scanner`: groups and rules with the names of Datadog's API
//! (`v2/sensitive-data-scanner/config`), each group holding its rules.

use serde::{Deserialize, Serialize};

use super::{Filter, yes};

/// All groups.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerConfig {
    /// Applied in order, each to what the ones before left.
    #[serde(default)]
    pub groups: Vec<ScannerGroupConfig>,
}

impl ScannerConfig {
    /// Whether there is no group.
    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }
}

/// Rules behind a filter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerGroupConfig {
    /// Its name, first part of the rule's name in the ledger.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// Which logs are scanned.
    #[serde(default)]
    pub filter: Filter,
    /// What is scanned: `logs`; groups for other products are kept and have no effect.
    #[serde(default = "logs")]
    pub product_list: Vec<String>,
    /// The share of logs that is scanned; all where nothing is written.
    #[serde(default)]
    pub samplings: Vec<ScannerSamplingConfig>,
    /// On overlapping matches the rule of the better priority wins, then the earlier one.
    #[serde(default)]
    pub rules: Vec<ScannerRuleConfig>,
}

fn logs() -> Vec<String> {
    vec!["logs".to_owned()]
}

/// How much of a product's data is scanned.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerSamplingConfig {
    /// `logs`.
    pub product: String,
    /// 0 to 100 per cent.
    pub rate: f64,
}

/// One rule: `pattern` or `standard_pattern`, and what is done with what it finds.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ScannerRuleConfig {
    /// Its name, second part of its name in the ledger.
    pub name: String,
    /// For people.
    #[serde(default)]
    pub description: Option<String>,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// A regular expression; linear time, without look-around.
    #[serde(default)]
    pub pattern: Option<String>,
    /// Name of a rule of the library, as the documentation lists them.
    #[serde(default)]
    pub standard_pattern: Option<String>,
    /// Attributes that are scanned, each with all below it; everything where nothing is written.
    #[serde(default)]
    pub namespaces: Vec<String>,
    /// Attributes that are not scanned, each with all below it.
    #[serde(default)]
    pub excluded_namespaces: Vec<String>,
    /// What becomes of a match.
    #[serde(default)]
    pub text_replacement: ReplacementConfig,
    /// Words one of which must stand before a match.
    #[serde(default)]
    pub included_keyword_configuration: Option<KeywordConfig>,
    /// Matches that are left alone.
    #[serde(default)]
    pub suppressions: SuppressionConfig,
    /// 1 (first) to 5.
    #[serde(default = "lowest")]
    pub priority: u8,
    /// Added to logs with a match.
    #[serde(default)]
    pub tags: Vec<String>,
}

fn lowest() -> u8 {
    5
}

/// What becomes of a match.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReplacementConfig {
    /// What is done.
    #[serde(rename = "type")]
    pub kind: ReplacementKind,
    /// The text of `replacement_string`.
    #[serde(default)]
    pub replacement_string: Option<String>,
    /// How many characters the partial ones hide.
    #[serde(default)]
    pub number_of_chars: Option<u32>,
    /// Datadog's switch to keep the match for people with a permission; refused when true.
    #[serde(default)]
    pub should_save_match: bool,
}

/// What is done with a match.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplacementKind {
    /// Nothing: it is counted and the log is tagged.
    #[default]
    None,
    /// FarmHash fingerprint, in hex, as Datadog writes it.
    Hash,
    /// The text of `replacement_string`.
    ReplacementString,
    /// Asterisks for the first characters.
    PartialReplacementFromBeginning,
    /// Asterisks for the last characters.
    PartialReplacementFromEnd,
}

/// Words one of which must stand before a match.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeywordConfig {
    /// At most 30.
    #[serde(default)]
    pub keywords: Vec<String>,
    /// Within how many characters before the match.
    #[serde(default = "thirty")]
    pub character_count: u32,
    /// The library rule's own words in addition.
    #[serde(default)]
    pub use_recommended_keywords: bool,
}

fn thirty() -> u32 {
    30
}

/// Matches that are left alone, by their text.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct SuppressionConfig {
    /// Beginnings.
    pub starts_with: Vec<String>,
    /// Ends.
    pub ends_with: Vec<String>,
    /// Whole matches.
    pub exact_match: Vec<String>,
}
