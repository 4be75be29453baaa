//! Metric series before and after. A series' rows are partial aggregates cut by units, so rows can not be
//! compared; what adds up can: a series is the same if its counts in every bucket are, and its sums.

use std::collections::HashMap;

use arrow::array::{Array as _, AsArray as _, RecordBatch};
use arrow::datatypes::{Float64Type, Int64Type, TimestampMicrosecondType};
use arrow::error::ArrowError;
use schemas::limits::{MAX_COMPARED_SERIES, MAX_FIELD_SAMPLES};
use schemas::metric;
use serde::{Deserialize, Serialize};
use xxhash_rust::xxh3::xxh3_64_with_seed;

use crate::upkeep::fingerprint::values;

/// Columns that name a series.
const KEY: [&str; 7] = [
    metric::NAME,
    metric::TYPE,
    metric::SERVICE,
    metric::ENV,
    metric::VERSION,
    metric::HOST,
    metric::TAGS,
];

/// Sums differ by the order of addition; more than this share is a difference.
const ROUNDING: f64 = 1e-9;

/// What becomes of metric series.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct SeriesDiff {
    /// Series before.
    pub before: i64,
    /// Series after.
    pub after: i64,
    /// Series that are there before and after with other values.
    pub moved: i64,
    /// Series that were not there.
    pub new: i64,
    /// Series that are not there afterwards.
    pub gone: i64,
    /// Measurements before.
    pub count_before: i64,
    /// Measurements after.
    pub count_after: i64,
    /// Rows of series beyond the limit, not compared.
    pub untold: i64,
    /// The first that differ, by name.
    pub samples: Vec<SeriesSample>,
}

/// A series that differs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SeriesSample {
    /// Metric name.
    pub name: String,
    /// Its service.
    pub service: String,
    /// Measurements before and after.
    pub count: (i64, i64),
    /// Sums before and after.
    pub sum: (f64, f64),
}

/// Before, or after.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// The rows that go.
    Before,
    /// The rows that come.
    After,
}

#[derive(Debug, Clone, Copy, Default)]
struct Total {
    rows: i64,
    count: i64,
    sum: f64,
    /// Sum of `count * hash(bucket)`: equal if the counts of all buckets are, however rows are cut.
    buckets: u64,
}

#[derive(Debug)]
struct Series {
    name: String,
    service: String,
    before: Total,
    after: Total,
}

/// All series of a replay.
#[derive(Debug, Default)]
pub struct AllSeries {
    series: HashMap<u64, Series>,
    untold: i64,
}

impl AllSeries {
    /// Adds rows of table `metrics`.
    ///
    /// # Errors
    /// The rows have other columns.
    pub fn add(&mut self, rows: &RecordBatch, when: When) -> Result<(), ArrowError> {
        let column = |name: &str| {
            let found = rows.column_by_name(name);
            found.ok_or_else(|| ArrowError::SchemaError(format!("no column {name}")))
        };
        let mut keys = vec![0_u64; rows.num_rows()];
        for name in KEY {
            for (key, value) in keys.iter_mut().zip(values(column(name)?)?) {
                *key = xxh3_64_with_seed(&value.to_le_bytes(), *key);
            }
        }
        let times = column(metric::TIMESTAMP)?.as_primitive::<TimestampMicrosecondType>();
        let counts = column(metric::COUNT)?.as_primitive::<Int64Type>();
        let sums = column(metric::SUM)?.as_primitive::<Float64Type>();
        let lasts = column(metric::LAST)?.as_primitive::<Float64Type>();
        let names = column(metric::NAME)?.as_string::<i32>();
        let services = column(metric::SERVICE)?.as_string::<i32>();
        for (row, key) in keys.into_iter().enumerate() {
            if self.series.len() >= MAX_COMPARED_SERIES && !self.series.contains_key(&key) {
                self.untold += 1;
                continue;
            }
            let series = self.series.entry(key).or_insert_with(|| Series {
                name: names.value(row).to_owned(),
                service: services.value(row).to_owned(),
                before: Total::default(),
                after: Total::default(),
            });
            let total = match when {
                When::Before => &mut series.before,
                When::After => &mut series.after,
            };
            let count = counts.value(row);
            let bucket = xxh3_64_with_seed(&times.value(row).to_le_bytes(), 0);
            total.rows += 1;
            total.count += count;
            total.buckets = total.buckets.wrapping_add(bucket.wrapping_mul(count.cast_unsigned()));
            if sums.is_valid(row) {
                total.sum += sums.value(row);
            }
            if lasts.is_valid(row) {
                let last = xxh3_64_with_seed(&lasts.value(row).to_bits().to_le_bytes(), bucket);
                total.buckets = total.buckets.wrapping_add(last);
            }
        }
        Ok(())
    }

    /// What differs.
    pub fn diff(self) -> SeriesDiff {
        let mut diff = SeriesDiff { untold: self.untold, ..SeriesDiff::default() };
        let mut samples = Vec::new();
        for Series { name, service, before, after } in self.series.into_values() {
            diff.count_before += before.count;
            diff.count_after += after.count;
            diff.before += i64::from(before.rows > 0);
            diff.after += i64::from(after.rows > 0);
            match (before.rows > 0, after.rows > 0) {
                (false, _) => diff.new += 1,
                (_, false) => diff.gone += 1,
                _ if is_same(before, after) => continue,
                _ => diff.moved += 1,
            }
            let (count, sum) = ((before.count, after.count), (before.sum, after.sum));
            samples.push(SeriesSample { name, service, count, sum });
        }
        samples.sort_by(|a, b| (&a.name, &a.service, a.count).cmp(&(&b.name, &b.service, b.count)));
        samples.truncate(10 * MAX_FIELD_SAMPLES);
        diff.samples = samples;
        diff
    }
}

fn is_same(before: Total, after: Total) -> bool {
    let scale = before.sum.abs().max(after.sum.abs());
    before.count == after.count
        && before.buckets == after.buckets
        && (before.sum - after.sum).abs() <= scale * ROUNDING
}

#[cfg(test)]
mod tests {
    use super::*;
    use schemas::metric::Kind;
    use schemas::time::EventTime;
    use stages::columns::{Lineage, MetricColumns, TableColumns as _};
    use stages::point::Point;

    fn rows(points: &[(&str, i64, i64, f64)]) -> RecordBatch {
        let mut columns = MetricColumns::default();
        for (service, bucket, count, sum) in points {
            let point = Point {
                index: 0,
                bytes: 0,
                timestamp: EventTime::from_seconds(*bucket).expect("in range"),
                name: "took",
                kind: Kind::Distribution,
                temporality: "delta",
                monotonic: false,
                unit: "",
                description: "",
                service,
                env: "",
                version: "",
                host: "",
                tags: &[],
                count: *count,
                sum: Some(*sum),
                min: None,
                max: None,
                last: None,
                sketch: None,
                bounds: &[],
                bucket_counts: &[],
                quantiles: &[],
                start: None,
                exemplars: &[],
            };
            let lineage = Lineage { topic: "t", partition: 0, offset: 0, pipeline_version: "v" };
            columns.push(&point, &lineage);
        }
        columns.finish().expect("columns")
    }

    #[test]
    fn a_series_moves_when_a_bucket_does_and_not_when_units_are_cut_elsewhere() {
        let mut all = AllSeries::default();
        let before = [
            ("same", 0, 2, 0.1),
            ("same", 0, 1, 0.2),
            ("same", 10, 1, 0.3),
            ("later", 0, 1, 1.0),
            ("other", 0, 1, 1.0),
            ("gone", 0, 1, 1.0),
        ];
        let after = [
            ("same", 10, 1, 0.3),
            ("same", 0, 3, 0.1 + 0.2),
            ("later", 10, 1, 1.0),
            ("other", 0, 1, 2.0),
            ("new", 0, 4, 1.0),
        ];
        all.add(&rows(&before), When::Before).expect("metrics");
        all.add(&rows(&after), When::After).expect("metrics");
        let diff = all.diff();
        assert_eq!((diff.before, diff.after), (4, 4));
        assert_eq!((diff.moved, diff.new, diff.gone), (2, 1, 1), "{diff:?}");
        assert_eq!((diff.count_before, diff.count_after), (7, 10));
        let names: Vec<&str> = diff.samples.iter().map(|s| s.service.as_str()).collect();
        assert_eq!(names, ["gone", "later", "new", "other"]);
    }
}
