//! Table `metrics`: mergeable points. A row is what one unit saw of one series in one bucket, so
//! a late event adds a row and never changes one: `sum(count)`, `sum(sum)`, `min(min)`, `max(max)`
//! and `p99(sketch)` over the rows of a bucket are its value, however late its events came.

use arrow::datatypes::{DataType, Field};

use crate::table::{lineage, list_item, map, required_text, text, text_list, timestamp};

/// Width of a bucket of a log-based metric, nanoseconds.
pub const BUCKET_NS: i64 = 10_000_000_000;

/// Start of the bucket (log-based metrics), or the point's own time (OTLP).
pub const TIMESTAMP: &str = "timestamp";
/// Metric name.
pub const NAME: &str = "name";
/// One of the [`Kind`] names.
pub const TYPE: &str = "type";
/// `delta`, `cumulative` or empty (gauges).
pub const TEMPORALITY: &str = "temporality";
/// Whether a sum only grows.
pub const MONOTONIC: &str = "monotonic";
/// UCUM unit.
pub const UNIT: &str = "unit";
/// Unified service tag.
pub const SERVICE: &str = "service";
/// Unified service tag.
pub const ENV: &str = "env";
/// Unified service tag.
pub const VERSION: &str = "version";
/// Host name.
pub const HOST: &str = "host";
/// Further tags of the series.
pub const TAGS: &str = "tags";
/// Number of measurements.
pub const COUNT: &str = "count";
/// Their sum; null where the source gives none.
pub const SUM: &str = "sum";
/// Their minimum.
pub const MIN: &str = "min";
/// Their maximum.
pub const MAX: &str = "max";
/// The latest value: gauges, cumulative sums.
pub const LAST: &str = "last";
/// DDSketch of the measurements ([`crate::sketch`]).
pub const SKETCH: &str = "sketch";
/// Explicit histogram bounds as sent; of an exponential histogram those its buckets stand for.
pub const BOUNDS: &str = "bounds";
/// Counts of the buckets between them: one more than bounds.
pub const BUCKET_COUNTS: &str = "bucket_counts";
/// Summary quantiles as sent: quantile as text to value.
pub const QUANTILES: &str = "quantiles";
/// When a cumulative or delta interval began, nanoseconds.
pub const START_NS: &str = "start_ns";
/// Trace ids of exemplars, at most [`crate::limits::MAX_EXEMPLARS_PER_POINT`].
pub const EXEMPLAR_TRACE_IDS: &str = "exemplar_trace_ids";

/// What a point measures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Log-based count.
    Count,
    /// Log-based distribution.
    Distribution,
    /// OTLP gauge.
    Gauge,
    /// OTLP sum.
    Sum,
    /// OTLP explicit histogram.
    Histogram,
    /// OTLP exponential histogram.
    ExponentialHistogram,
    /// OTLP summary.
    Summary,
}

impl Kind {
    /// The stored name.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Count => "count",
            Kind::Distribution => "distribution",
            Kind::Gauge => "gauge",
            Kind::Sum => "sum",
            Kind::Histogram => "histogram",
            Kind::ExponentialHistogram => "exponential_histogram",
            Kind::Summary => "summary",
        }
    }
}

/// The columns, in file order.
pub fn fields() -> Vec<Field> {
    let mut fields = vec![
        timestamp(TIMESTAMP, false),
        required_text(NAME),
        required_text(TYPE),
        required_text(TEMPORALITY),
        Field::new(MONOTONIC, DataType::Boolean, false),
        required_text(UNIT),
        required_text(SERVICE),
        required_text(ENV),
        required_text(VERSION),
        required_text(HOST),
        map(TAGS, DataType::Utf8),
        Field::new(COUNT, DataType::Int64, false),
        Field::new(SUM, DataType::Float64, true),
        Field::new(MIN, DataType::Float64, true),
        Field::new(MAX, DataType::Float64, true),
        Field::new(LAST, DataType::Float64, true),
        Field::new(SKETCH, DataType::Binary, true),
        Field::new(BOUNDS, DataType::List(list_item(DataType::Float64)), true),
        Field::new(BUCKET_COUNTS, DataType::List(list_item(DataType::Int64)), true),
        map(QUANTILES, DataType::Float64),
        Field::new(START_NS, DataType::Int64, true),
        text_list(EXEMPLAR_TRACE_IDS),
        text("description"),
    ];
    fields.extend(lineage());
    fields
}
