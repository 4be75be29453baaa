//! Log-based metrics: partial aggregates per series and bucket, one set per topic partition.
//!
//! Every processed log feeds them, also one no index keeps. Buckets are of event time, so a late
//! log adds to its own bucket however late it is; the rows of all units together are the metric.

use std::sync::Arc;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use hashbrown::HashTable;
use schemas::limits::{MAX_SERIES_PER_METRIC, OVERFLOW_VALUE};
use schemas::metric::{BUCKET_NS, Kind};
use schemas::sketch::Sketch;
use schemas::time::EventTime;
use search::Query;
use xxhash_rust::xxh3::xxh3_64;

use super::config::{Aggregation, ConfigError, MetricConfig};
use super::{Pipeline, compile_query};
use crate::event::LogEvent;
use crate::point::Point;
use crate::value::Value;

/// A compiled metric.
#[derive(Debug)]
pub(super) struct Metric {
    name: Box<str>,
    filter: Query,
    /// What a distribution measures; a count measures nothing.
    measure: Option<Path>,
    /// Positions in [`Metrics::paths`], and names of tags.
    group_by: Vec<(usize, Box<str>)>,
    /// Series beyond which measurements go to the overflow series.
    max_series: usize,
}

/// All metrics.
#[derive(Debug)]
pub(super) struct Metrics {
    list: Vec<Metric>,
    /// What they group by, each once: many metrics group by the same.
    paths: Vec<Path>,
}

/// A value that is grouped by, and its hash.
#[derive(Debug, Clone, Copy)]
struct Group<'b> {
    text: &'b str,
    hash: u64,
}

/// `@attribute`, or a reserved attribute or tag.
#[derive(Debug, PartialEq)]
enum Path {
    Attribute(Box<str>),
    Other(Box<str>),
}

impl Path {
    fn new(text: &str) -> Self {
        match text.strip_prefix('@') {
            Some(path) => Path::Attribute(path.into()),
            None => Path::Other(text.into()),
        }
    }

    fn name(&self) -> &str {
        match self {
            Path::Attribute(name) | Path::Other(name) => name,
        }
    }

    fn value<'b>(&self, arena: &'b Bump, event: &LogEvent<'b>) -> Value<'b> {
        match self {
            Path::Attribute(path) => event.attributes.get(path).unwrap_or(Value::Null),
            Path::Other(name) => Value::Str(match &**name {
                "service" => event.service,
                "env" => event.env,
                "version" => event.version,
                "host" => event.host,
                "source" => event.source,
                "status" => event.status.map_or("", |status| status.as_str()),
                "trace_id" => event.trace_id.map_or("", |id| arena.alloc_str(id.hex().as_str())),
                key => event.tag(key).unwrap_or(""),
            }),
        }
    }
}

/// Compiles all metrics.
pub(super) fn compile(configs: &[MetricConfig], errors: &mut Vec<ConfigError>) -> Arc<Metrics> {
    let mut metrics: Vec<Metric> = Vec::new();
    let mut paths: Vec<Path> = Vec::new();
    for (number, config) in configs.iter().enumerate() {
        let path = format!("metrics[{number}]");
        let mut refuse = |field: &str, reason: &str| {
            errors.push(ConfigError { path: format!("{path}.{field}"), reason: reason.to_owned() });
        };
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.');
        let starts = config.name.starts_with(|c: char| c.is_ascii_alphabetic());
        if !starts || config.name.len() > 200 || !config.name.chars().all(legal) {
            refuse(
                "name",
                "a metric name has letters, digits, `_` and `.`, starts with a letter, up to 200",
            );
        }
        if metrics.iter().any(|metric| *metric.name == *config.name) {
            refuse("name", "used by a metric above: names are unique");
        }
        let max_series = config.max_series.unwrap_or(MAX_SERIES_PER_METRIC);
        if !(1..=MAX_SERIES_PER_METRIC).contains(&max_series) {
            refuse("max_series", &format!("must be 1 to {MAX_SERIES_PER_METRIC}"));
        }
        let measure = match (config.compute.aggregation_type, &config.compute.path) {
            (Aggregation::Count, None) => None,
            (Aggregation::Distribution, Some(path)) => Some(Path::new(path)),
            (Aggregation::Count, Some(_)) => {
                refuse(
                    "compute.path",
                    "a count measures nothing: remove it, or make it a distribution",
                );
                None
            }
            (Aggregation::Distribution, None) => {
                refuse(
                    "compute.path",
                    "a distribution needs the attribute it measures, as `@duration`",
                );
                None
            }
        };
        let group_by = config.group_by.iter().map(|group| {
            let path = Path::new(&group.path);
            let tag = group.tag_name.as_deref().unwrap_or(path.name()).into();
            let known = paths.iter().position(|own| *own == path).unwrap_or_else(|| {
                paths.push(path);
                paths.len() - 1
            });
            (known, tag)
        });
        let group_by = group_by.collect();
        if let Some(filter) = compile_query(&config.filter.query, &path, errors) {
            let name = config.name.as_str().into();
            metrics.push(Metric { name, filter, measure, group_by, max_series });
        }
    }
    Arc::new(Metrics { list: metrics, paths })
}

/// The open buckets of one topic partition since the last unit.
#[derive(Debug)]
pub struct MetricWindows {
    metrics: Arc<Metrics>,
    open: Open,
}

#[derive(Debug, Default)]
struct Open {
    /// Positions in `series`, by hash of metric and values.
    by_values: HashTable<usize>,
    series: Vec<Series>,
    /// Series of each metric.
    counts: Vec<usize>,
    /// Positions in `partials`, by series and bucket.
    by_bucket: HashTable<usize>,
    partials: Vec<Partial>,
}

#[derive(Debug)]
struct Series {
    metric: usize,
    hash: u64,
    values: Box<[Box<str>]>,
    /// The bucket it was last counted in and its partial: the next log is mostly of the same.
    last: Option<(EventTime, usize)>,
}

#[derive(Debug)]
struct Partial {
    series: usize,
    bucket: EventTime,
    /// The message that first touched it.
    offset: i64,
    count: i64,
    sum: f64,
    min: f64,
    max: f64,
    sketch: Option<Sketch>,
}

impl MetricWindows {
    /// None open yet.
    pub fn new(pipeline: &Pipeline) -> Self {
        let counts = vec![0; pipeline.metrics.list.len()];
        let open = Open { counts, ..Open::default() };
        Self { metrics: Arc::clone(&pipeline.metrics), open }
    }

    /// Number of open partials: what [`MetricWindows::drain`] would emit.
    pub fn len(&self) -> usize {
        self.open.partials.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.open.partials.is_empty()
    }

    /// Adds a processed log to every metric whose filter it passes.
    pub(super) fn record(&mut self, arena: &Bump, event: &LogEvent<'_>, offset: i64) {
        let Self { metrics, open } = self;
        if metrics.list.is_empty() {
            return;
        }
        let bucket = event.time().bucket(BUCKET_NS);
        let mut groups = BumpVec::with_capacity_in(metrics.paths.len(), arena);
        groups.resize(metrics.paths.len(), None);
        let mut values = BumpVec::new_in(arena);
        for (index, metric) in metrics.list.iter().enumerate() {
            if !metric.filter.matches(event) {
                continue;
            }
            let measured = match &metric.measure {
                None => None,
                Some(path) => match number(path.value(arena, event)) {
                    Some(number) => Some(number),
                    // Documented: a log without the number is not measured.
                    None => continue,
                },
            };
            values.clear();
            for (number, _) in &metric.group_by {
                let (Some(known), Some(path)) =
                    (groups.get_mut(*number), metrics.paths.get(*number))
                else {
                    continue;
                };
                let group =
                    known.get_or_insert_with(|| Group::new(path.value(arena, event).text(arena)));
                values.push(*group);
            }
            let series = open.series(index, metric.max_series, &values);
            let at = open.partial(series, bucket, offset, measured.is_some());
            if let Some(partial) = open.partials.get_mut(at) {
                partial.add(measured);
            }
        }
    }

    /// Emits every partial in the order its series and bucket first appeared, with the offset that
    /// first touched it (the lineage of the row), and forgets them.
    pub fn drain(&mut self, emit: &mut dyn FnMut(&Point<'_>, i64)) {
        let Self { metrics, open } = self;
        let mut previous = None;
        let mut index = 0;
        for partial in &open.partials {
            // Several rows may come from one message: they are numbered.
            index = if previous == Some(partial.offset) { index + 1 } else { 0 };
            previous = Some(partial.offset);
            let Some(series) = open.series.get(partial.series) else { continue };
            let Some(metric) = metrics.list.get(series.metric) else { continue };
            let names = metric.group_by.iter().map(|(_, tag)| &**tag);
            let pairs: Vec<(&str, &str)> = names
                .zip(series.values.iter().map(|value| &**value))
                .filter(|(_, value)| !value.is_empty())
                .collect();
            emit(&partial.point(&metric.name, &pairs, index), partial.offset);
        }
        open.partials.clear();
        open.by_bucket.clear();
        open.series.clear();
        open.by_values.clear();
        open.counts.fill(0);
    }
}

impl Open {
    /// The series of these values; the overflow series where the metric has too many.
    fn series(&mut self, metric: usize, max: usize, values: &[Group<'_>]) -> usize {
        let hash = hash_values(metric, values);
        let same = |position: &usize| {
            self.series.get(*position).is_some_and(|series| {
                series.metric == metric
                    && series.values.iter().zip(values).all(|(own, value)| **own == *value.text)
            })
        };
        if let Some(found) = self.by_values.find(hash, same) {
            return *found;
        }
        let full = self.counts.get(metric).is_some_and(|count| *count >= max);
        if full && values.iter().any(|value| value.text != OVERFLOW_VALUE) {
            let overflow = vec![Group::new(OVERFLOW_VALUE); values.len()];
            return self.series(metric, max, &overflow);
        }
        let position = self.series.len();
        let values = values.iter().map(|value| Box::from(value.text)).collect();
        self.series.push(Series { metric, hash, values, last: None });
        if let Some(count) = self.counts.get_mut(metric) {
            *count += 1;
        }
        let all = &self.series;
        self.by_values.insert_unique(hash, position, |position| {
            all.get(*position).map_or(0, |series| series.hash)
        });
        position
    }

    fn partial(&mut self, series: usize, bucket: EventTime, offset: i64, measured: bool) -> usize {
        let last = self.series.get(series).and_then(|series| series.last);
        if let Some((_, position)) = last.filter(|(last, _)| *last == bucket) {
            return position;
        }
        let position = self.partial_of(series, bucket, offset, measured);
        if let Some(series) = self.series.get_mut(series) {
            series.last = Some((bucket, position));
        }
        position
    }

    fn partial_of(
        &mut self,
        series: usize,
        bucket: EventTime,
        offset: i64,
        measured: bool,
    ) -> usize {
        let hash = hash_bucket(series, bucket);
        let same = |position: &usize| {
            self.partials
                .get(*position)
                .is_some_and(|partial| partial.series == series && partial.bucket == bucket)
        };
        if let Some(found) = self.by_bucket.find(hash, same) {
            return *found;
        }
        let position = self.partials.len();
        self.partials.push(Partial {
            series,
            bucket,
            offset,
            count: 0,
            sum: 0.0,
            min: f64::INFINITY,
            max: f64::NEG_INFINITY,
            sketch: measured.then(Sketch::new),
        });
        let all = &self.partials;
        self.by_bucket.insert_unique(hash, position, |position| {
            all.get(*position).map_or(0, |partial| hash_bucket(partial.series, partial.bucket))
        });
        position
    }
}

impl Partial {
    fn add(&mut self, measured: Option<f64>) {
        self.count += 1;
        if let (Some(value), Some(sketch)) = (measured, &mut self.sketch) {
            self.sum += value;
            self.min = self.min.min(value);
            self.max = self.max.max(value);
            sketch.add(value, 1);
        }
    }

    fn point<'a>(
        &'a self,
        name: &'a str,
        pairs: &'a [(&'a str, &'a str)],
        index: i32,
    ) -> Point<'a> {
        let unified =
            |key: &str| pairs.iter().find(|(own, _)| *own == key).map_or("", |(_, value)| *value);
        let measured = |value: f64| self.sketch.as_ref().map(|_| value);
        Point {
            index,
            bytes: 0,
            timestamp: self.bucket,
            name,
            kind: if self.sketch.is_some() { Kind::Distribution } else { Kind::Count },
            temporality: "delta",
            monotonic: self.sketch.is_none(),
            unit: "",
            description: "",
            service: unified("service"),
            env: unified("env"),
            version: unified("version"),
            host: unified("host"),
            tags: pairs,
            count: self.count,
            sum: measured(self.sum),
            min: measured(self.min),
            max: measured(self.max),
            last: None,
            sketch: self.sketch.as_ref(),
            bounds: &[],
            bucket_counts: &[],
            quantiles: &[],
            start: None,
            exemplars: &[],
        }
    }
}

/// A finite number, also as text: the tables keep attributes as text, and a metric has to equal
/// the query over them.
fn number(value: Value<'_>) -> Option<f64> {
    let number = match value {
        Value::Str(text) => text.trim().parse().ok()?,
        other => other.as_f64()?,
    };
    Some(number).filter(|number: &f64| number.is_finite())
}

impl<'b> Group<'b> {
    fn new(text: &'b str) -> Self {
        Self { text, hash: xxh3_64(text.as_bytes()) }
    }
}

fn hash_values(metric: usize, values: &[Group<'_>]) -> u64 {
    /// An odd number without pattern in its bits (2^64 divided by the golden ratio).
    const MIX: u64 = 0x9e37_79b9_7f4a_7c15;
    let start = (metric as u64 + 1).wrapping_mul(MIX);
    values.iter().fold(start, |hash, value| {
        (hash ^ value.hash).wrapping_mul(MIX).rotate_left(29) ^ value.hash
    })
}

fn hash_bucket(series: usize, bucket: EventTime) -> u64 {
    let mut bytes = [0; 16];
    let (head, tail) = bytes.split_at_mut(8);
    head.copy_from_slice(&(series as u64).to_le_bytes());
    tail.copy_from_slice(&bucket.nanos().to_le_bytes());
    xxh3_64(&bytes)
}

#[cfg(test)]
mod tests;
