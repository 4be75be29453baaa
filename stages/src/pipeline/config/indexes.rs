//! Indexes, their daily limits and exclusion filters, in the shape of `v1/logs/config/indexes`.

use serde::{Deserialize, Serialize};

use super::{Filter, yes};

/// An index.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct IndexConfig {
    /// Its name.
    pub name: String,
    /// Which logs it takes.
    #[serde(default)]
    pub filter: Filter,
    /// What it does not keep; the first active one that matches decides.
    #[serde(default)]
    pub exclusion_filters: Vec<ExclusionConfig>,
    /// Days its rows are kept, by event time; for ever without. The table's own retention still
    /// holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_retention_days: Option<u32>,
    /// Days in Datadog's cheaper tier. There is one tier here: the longer of both is what counts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub num_flex_logs_retention_days: Option<u32>,
    /// Logs it keeps a day, after its exclusion filters; no limit without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_limit: Option<u64>,
    /// When a day begins; 14:00 UTC without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_limit_reset: Option<DailyLimitReset>,
    /// Percentage of the limit at which a warning is given, once a day.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub daily_limit_warning_threshold_percentage: Option<f64>,
    /// Switches the limit off.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub disable_daily_limit: bool,
    /// Datadog's answer whether the limit is reached now; without meaning here.
    #[serde(default, skip_serializing)]
    pub is_rate_limited: bool,
    /// For people.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tags: Vec<String>,
}

impl IndexConfig {
    /// Days its rows are kept; `None` is for ever.
    pub fn retention_days(&self) -> Option<u32> {
        self.num_retention_days.max(self.num_flex_logs_retention_days)
    }
}

/// When the day of a daily limit begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DailyLimitReset {
    /// `HH:MM`.
    pub reset_time: String,
    /// `+HH:MM` or `-HH:MM` from UTC; UTC without.
    #[serde(default = "utc")]
    pub reset_utc_offset: String,
}

fn utc() -> String {
    "+00:00".to_owned()
}

/// An exclusion filter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExclusionConfig {
    /// Its name, as the ledger shows it.
    pub name: String,
    /// Skipped when false.
    #[serde(default = "yes")]
    pub is_enabled: bool,
    /// What it excludes, and how much of it.
    pub filter: ExclusionFilterConfig,
}

/// Query and rate of an exclusion filter.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExclusionFilterConfig {
    /// Which logs.
    #[serde(default)]
    pub query: String,
    /// The share that is excluded, 0.0 to 1.0: 1.0 excludes all, 0.9 keeps one in ten.
    #[serde(default = "all")]
    pub sample_rate: f64,
    /// Logs with the same value of this attribute share one fate; logs without it are kept.
    #[serde(default)]
    pub sample_attribute: Option<String>,
}

fn all() -> f64 {
    1.0
}
