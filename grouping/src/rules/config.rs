//! The section as written by the user.

use serde::{Deserialize, Deserializer, Serialize};

/// Section `error_tracking`. Without it every default holds: nothing has to be set up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RulesConfig {
    /// Off: no log and no span becomes an error event.
    pub is_enabled: bool,
    /// The mildest status that makes a log an error: `error` unless written.
    pub min_status: String,
    /// Frames of the user's own code in a fingerprint, 1 to 16. Datadog takes one.
    pub frames: usize,
    /// Attribute that names who met an error: issues count distinct ones.
    pub user_attribute: String,
    /// Attribute that names the batch an error happened in.
    pub batch_attribute: String,
    /// Patterns of modules and files that are, or are not, the user's own code.
    pub in_app: InAppConfig,
    /// Which frames count, in order: `module:com.acme.util.* -app`.
    pub stack_rules: Lines,
    /// Which fingerprint errors get; the first that matches decides: `error.type:X -> x`.
    pub fingerprint_rules: Lines,
    /// Issues that are one.
    pub merge: Vec<MergeConfig>,
    /// Issues that are several.
    pub split: Vec<SplitConfig>,
}

impl Default for RulesConfig {
    fn default() -> Self {
        Self {
            is_enabled: true,
            min_status: "error".to_owned(),
            frames: 1,
            user_attribute: "usr.id".to_owned(),
            batch_attribute: "batch.id".to_owned(),
            in_app: InAppConfig::default(),
            stack_rules: Lines::default(),
            fingerprint_rules: Lines::default(),
            merge: Vec::new(),
            split: Vec::new(),
        }
    }
}

/// Patterns over modules (`com.acme.*`) and files (`/app/src/*`).
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct InAppConfig {
    /// The user's own code. Wins over `exclude`.
    pub include: Vec<String>,
    /// Not the user's own.
    pub exclude: Vec<String>,
}

/// Rules as a list, or as one text with a rule a line; `#` begins a comment.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Lines(pub Vec<String>);

impl<'de> Deserialize<'de> for Lines {
    fn deserialize<D: Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged, expecting = "rules are a list of lines, or one text with a rule a line")]
        enum Form {
            Text(String),
            List(Vec<String>),
        }
        Ok(match Form::deserialize(reader)? {
            Form::Text(text) => Self(text.lines().map(str::to_owned).collect()),
            Form::List(lines) => Self(lines),
        })
    }
}

/// Several issues become one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MergeConfig {
    /// Id of the issue that stands for all.
    pub into: String,
    /// Ids of those that go into it.
    pub from: Vec<String>,
}

/// One issue becomes several.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitConfig {
    /// Id of the issue.
    pub issue: String,
    /// What tells the new ones apart: `version`, `@customer`, `function`, ...
    pub by: Vec<String>,
}
