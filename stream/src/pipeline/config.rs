//! The pipeline section of the configuration, as written by the user.

/// Pipelines, log-based metrics, indexes.
#[derive(Debug, Clone, Default, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {}

/// One thing that is wrong, and where.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct ConfigError {
    /// Path within the section: `pipelines[0].processors[2].grok.match_rules`, line 3.
    pub path: String,
    /// What is wrong, and the fix.
    pub reason: String,
}
