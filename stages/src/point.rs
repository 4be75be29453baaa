//! A metric point on its way to the `metrics` table: OTLP points and log-based metrics alike.

use schemas::id::TraceId;
use schemas::metric::Kind;
use schemas::sketch::Sketch;
use schemas::time::EventTime;

/// One mergeable point. Column meanings: `schemas::metric`.
#[derive(Debug, Clone)]
pub struct Point<'b> {
    /// Number within its message, counting refused ones, from 0.
    pub index: i32,
    /// Bytes of the payload this point accounts for.
    pub bytes: usize,
    /// Bucket start, or the point's own time.
    pub timestamp: EventTime,
    /// Metric name.
    pub name: &'b str,
    /// What it measures.
    pub kind: Kind,
    /// `delta`, `cumulative` or empty.
    pub temporality: &'static str,
    /// Whether a sum only grows.
    pub monotonic: bool,
    /// UCUM unit.
    pub unit: &'b str,
    /// Description as sent, possibly empty.
    pub description: &'b str,
    /// Unified service tag.
    pub service: &'b str,
    /// Unified service tag.
    pub env: &'b str,
    /// Unified service tag.
    pub version: &'b str,
    /// Host name.
    pub host: &'b str,
    /// Further tags: key to text.
    pub tags: &'b [(&'b str, &'b str)],
    /// Number of measurements.
    pub count: i64,
    /// Their sum.
    pub sum: Option<f64>,
    /// Their minimum.
    pub min: Option<f64>,
    /// Their maximum.
    pub max: Option<f64>,
    /// The latest value.
    pub last: Option<f64>,
    /// Sketch of the measurements. A point with buckets needs none: its row gets the sketch its
    /// buckets stand for (a sketch owns memory, which an arena would never give back).
    pub sketch: Option<&'b Sketch>,
    /// Histogram bounds.
    pub bounds: &'b [f64],
    /// Histogram counts: one more than bounds, or none.
    pub bucket_counts: &'b [i64],
    /// Summary quantiles.
    pub quantiles: &'b [(f64, f64)],
    /// When the interval began.
    pub start: Option<EventTime>,
    /// Trace ids of exemplars.
    pub exemplars: &'b [TraceId],
}
