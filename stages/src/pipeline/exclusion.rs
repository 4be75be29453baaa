//! Indexes and exclusion filters: what is kept.
//!
//! The first index whose filter matches takes the log; of its exclusion filters the first active
//! one that matches decides alone. Sampling goes by a hash, never by chance: all logs with one value
//! of `sample_attribute` share one fate, and a log processed again has the fate it had.

use search::Query;
use xxhash_rust::xxh3::{Xxh3, xxh3_64};

use super::config::{ConfigError, ExclusionConfig, IndexConfig};
use super::{Fate, compile_query};
use crate::event::LogEvent;
use crate::value::{Value, write_json};

/// What [`Fate`] names where no index took a log.
const NO_INDEX: &str = "no_index";

/// A compiled index.
#[derive(Debug)]
pub(super) struct Index {
    name: Box<str>,
    filter: Query,
    exclusions: Vec<Exclusion>,
}

#[derive(Debug)]
struct Exclusion {
    /// `index/filter`.
    rule: Box<str>,
    query: Query,
    /// Share that is excluded.
    rate: f64,
    attribute: Option<Box<str>>,
}

/// Compiles all indexes.
pub(super) fn compile(configs: &[IndexConfig], errors: &mut Vec<ConfigError>) -> Vec<Index> {
    let mut indexes: Vec<Index> = Vec::new();
    for (number, config) in configs.iter().enumerate() {
        let path = format!("indexes[{number}]");
        let mut refuse = |reason: &str| {
            errors.push(ConfigError { path: format!("{path}.name"), reason: reason.to_owned() });
        };
        let legal = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        let starts = config.name.starts_with(|c: char| c.is_ascii_lowercase());
        if !starts || !config.name.chars().all(legal) {
            refuse(
                "an index name has lower-case letters, digits and `-`, and starts with a letter",
            );
        }
        if indexes.iter().any(|index| *index.name == *config.name) {
            refuse("used by an index above: names are unique");
        }
        let filter = compile_query(&config.filter.query, &path, errors);
        let exclusions =
            config.exclusion_filters.iter().enumerate().filter_map(|(number, filter)| {
                let path = format!("{path}.exclusion_filters[{number}]");
                exclusion(&config.name, filter, &path, errors).filter(|_| filter.is_enabled)
            });
        let exclusions = exclusions.collect();
        if let Some(filter) = filter {
            indexes.push(Index { name: config.name.as_str().into(), filter, exclusions });
        }
    }
    indexes
}

fn exclusion(
    index: &str,
    config: &ExclusionConfig,
    path: &str,
    errors: &mut Vec<ConfigError>,
) -> Option<Exclusion> {
    if !(0.0..=1.0).contains(&config.filter.sample_rate) {
        errors.push(ConfigError {
            path: format!("{path}.filter.sample_rate"),
            reason: "must be 0.0 to 1.0, the share that is excluded: 0.9 keeps one in ten"
                .to_owned(),
        });
    }
    let query = compile_query(&config.filter.query, path, errors)?;
    Some(Exclusion {
        rule: format!("{index}/{}", config.name).into(),
        query,
        rate: config.filter.sample_rate,
        attribute: config.filter.sample_attribute.as_deref().map(Into::into),
    })
}

/// Decides on a log.
pub(super) fn decide<'p>(indexes: &'p [Index], event: &LogEvent<'_>) -> Fate<'p> {
    let Some(index) = indexes.iter().find(|index| index.filter.matches(event)) else {
        return Fate::Excluded { rule: NO_INDEX };
    };
    match index.exclusions.iter().find(|exclusion| exclusion.query.matches(event)) {
        Some(exclusion) if exclusion.takes(event) => Fate::Excluded { rule: &exclusion.rule },
        _ => Fate::Indexed { index: &index.name },
    }
}

impl Exclusion {
    fn takes(&self, event: &LogEvent<'_>) -> bool {
        if self.rate >= 1.0 && self.attribute.is_none() {
            return true;
        }
        let hash = match &self.attribute {
            None => content_hash(event),
            Some(name) => match attribute_hash(event, name) {
                Some(hash) => hash,
                // Documented: logs without the attribute are not sampled.
                None => return false,
            },
        };
        // 53 bits make a uniform number below one.
        let share = (hash >> 11) as f64 / (1u64 << 53) as f64;
        share < self.rate
    }
}

/// Without an attribute to sample by: the trace if there is one, so that what is kept of it is
/// whole, else the event itself.
fn content_hash(event: &LogEvent<'_>) -> u64 {
    if let Some(id) = event.trace_id {
        return xxh3_64(id.hex().as_str().as_bytes());
    }
    let mut hasher = Xxh3::new();
    hasher.update(&event.time().nanos().to_le_bytes());
    for part in [event.service, event.host, event.message] {
        hasher.update(part.as_bytes());
        hasher.update(&[0]);
    }
    hasher.digest()
}

/// Hash of the text form of a value: the same for `5` and `"5"`, here and in any other process.
fn attribute_hash(event: &LogEvent<'_>, name: &str) -> Option<u64> {
    let path = name.strip_prefix('@').unwrap_or(name);
    let hash = |text: &str| Some(xxh3_64(text.as_bytes())).filter(|_| !text.is_empty());
    if let Some(value) = event.attributes.get(path) {
        return match value {
            Value::Null => None,
            Value::Str(text) => hash(text),
            other => {
                let mut sink = HashSink(Xxh3::new());
                write_json(&other, &mut sink).ok()?;
                Some(sink.0.digest())
            }
        };
    }
    match path {
        "trace_id" | "dd.trace_id" => event.trace_id.and_then(|id| hash(id.hex().as_str())),
        "span_id" | "dd.span_id" => event.span_id.and_then(|id| hash(id.hex().as_str())),
        "service" => hash(event.service),
        "host" => hash(event.host),
        "source" => hash(event.source),
        "env" => hash(event.env),
        "version" => hash(event.version),
        key => event.tag(key).and_then(hash),
    }
}

struct HashSink(Xxh3);

impl std::fmt::Write for HashSink {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        self.0.update(text.as_bytes());
        Ok(())
    }
}
