//! The configuration as written: names and shapes only. Meaning, units and bounds are given in
//! [`super::validate`]; unknown fields are refused here, with their line.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize as Derive;
use serde::de::{self, Deserialize, Deserializer, Visitor};

use super::tracking::{RawMonitor, RawRecipient, RawTracking};

/// The whole file.
#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawConfig {
    pub(super) data_dir: Option<Scalar>,
    pub(super) shutdown_deadline: Option<Scalar>,
    pub(super) storage: Option<RawStorage>,
    #[serde(deserialize_with = "section")]
    pub(super) kafka: RawKafka,
    #[serde(deserialize_with = "section")]
    pub(super) intake: RawIntake,
    #[serde(deserialize_with = "section")]
    pub(super) query: RawQuery,
    #[serde(deserialize_with = "section")]
    pub(super) worker: RawWorker,
    #[serde(deserialize_with = "section")]
    pub(super) upkeep: RawUpkeep,
    #[serde(deserialize_with = "section")]
    pub(super) tables: BTreeMap<String, RawTable>,
    #[serde(deserialize_with = "section")]
    pub(super) issues: RawTracking,
    #[serde(deserialize_with = "section")]
    pub(super) notifications: Vec<RawRecipient>,
    #[serde(deserialize_with = "section")]
    pub(super) monitors: Vec<RawMonitor>,
    #[serde(deserialize_with = "section")]
    pub(super) health: RawHealth,
    /// Read by itself, from the whole text, in any of its forms.
    pub(super) pipeline: Option<de::IgnoredAny>,
    pub(super) pipeline_file: Option<Scalar>,
}

#[derive(Debug, Derive)]
#[serde(deny_unknown_fields, expecting = "a section with fields")]
pub(super) struct RawStorage {
    pub(super) url: Scalar,
    #[serde(default)]
    pub(super) options: BTreeMap<String, Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawKafka {
    pub(super) brokers: Option<Scalar>,
    pub(super) embedded: Option<RawEmbedded>,
    pub(super) properties: BTreeMap<String, Scalar>,
    #[serde(deserialize_with = "section")]
    pub(super) topics: RawTopics,
    pub(super) partitions: Option<Scalar>,
    pub(super) sources: Vec<RawSource>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawEmbedded {
    pub(super) listen: Option<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawTopics {
    pub(super) logs: Option<Scalar>,
    pub(super) spans: Option<Scalar>,
    pub(super) metrics: Option<Scalar>,
}

#[derive(Debug, Derive)]
#[serde(deny_unknown_fields, expecting = "a section with fields")]
pub(super) struct RawSource {
    pub(super) topic: Scalar,
    pub(super) signal: Scalar,
    pub(super) format: Scalar,
    #[serde(default)]
    pub(super) envelope: Option<Scalar>,
    #[serde(default)]
    pub(super) multiline: Option<stages::input::config::MultilineConfig>,
    #[serde(default)]
    pub(super) source: Option<Scalar>,
    #[serde(default)]
    pub(super) service: Option<Scalar>,
    #[serde(default)]
    pub(super) tags: Vec<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawIntake {
    pub(super) datadog: Option<Scalar>,
    pub(super) otlp_grpc: Option<Scalar>,
    pub(super) otlp_http: Option<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawQuery {
    pub(super) http: Option<Scalar>,
    pub(super) postgres: Option<Scalar>,
    pub(super) memory: Option<Scalar>,
    pub(super) timeout: Option<Scalar>,
    pub(super) max_rows: Option<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawWorker {
    pub(super) epoch: Option<Scalar>,
    pub(super) keep_raw: Option<Scalar>,
    pub(super) threads: Option<Scalar>,
    pub(super) group: Option<Scalar>,
    pub(super) instance: Option<Scalar>,
    pub(super) session_timeout: Option<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawUpkeep {
    pub(super) enabled: Option<Scalar>,
    pub(super) interval: Option<Scalar>,
    pub(super) compact_after: Option<Scalar>,
    pub(super) keep_removed: Option<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawTable {
    pub(super) retention: Option<Scalar>,
}

#[derive(Debug, Default, Derive)]
#[serde(deny_unknown_fields, default, expecting = "a section with fields")]
pub(super) struct RawHealth {
    pub(super) listen: Option<Scalar>,
}

/// A section whose every line is commented out is null in YAML: it means the defaults.
pub(super) fn section<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    de: D,
) -> Result<T, D::Error> {
    Ok(Option::<T>::deserialize(de)?.unwrap_or_default())
}

/// Text, or a number or boolean taken as its text: `timeout: 5s`, `partitions: 4`.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Scalar(pub(super) String);

impl fmt::Debug for Scalar {
    /// Never shows what may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Scalar(..)")
    }
}

impl<'de> Deserialize<'de> for Scalar {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Scalar;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text or a number")
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<Scalar, E> {
                Ok(Scalar(text.to_owned()))
            }
            fn visit_i64<E: de::Error>(self, number: i64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_u64<E: de::Error>(self, number: u64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_f64<E: de::Error>(self, number: f64) -> Result<Scalar, E> {
                Ok(Scalar(number.to_string()))
            }
            fn visit_bool<E: de::Error>(self, value: bool) -> Result<Scalar, E> {
                Ok(Scalar(value.to_string()))
            }
        }
        deserializer.deserialize_any(Text)
    }
}
