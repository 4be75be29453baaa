//! Table `metrics`.

use arrow::array::{
    BinaryBuilder, BooleanBuilder, Float64Builder, Int64Builder, RecordBatch, StringBuilder,
    TimestampMicrosecondBuilder,
};
use arrow::error::ArrowError;
use schemas::table::Table;

use super::lineage::LineageColumns;
use super::parts::{self, Held, NumberMap, Offsets, TextList, TextMap, array, last_of_key, list};
use super::{Lineage, TableColumns, sketch};
use crate::point::Point;
use crate::value::Value;

/// Builder of table `metrics`.
#[derive(Debug, Default)]
pub struct MetricColumns {
    timestamp: TimestampMicrosecondBuilder,
    name: StringBuilder,
    kind: StringBuilder,
    temporality: StringBuilder,
    monotonic: BooleanBuilder,
    unit: StringBuilder,
    service: StringBuilder,
    env: StringBuilder,
    version: StringBuilder,
    host: StringBuilder,
    tags: TextMap,
    count: Int64Builder,
    sum: Float64Builder,
    min: Float64Builder,
    max: Float64Builder,
    last: Float64Builder,
    sketch: BinaryBuilder,
    bound_rows: Offsets,
    bounds: Float64Builder,
    bucket_rows: Offsets,
    bucket_counts: Int64Builder,
    quantiles: NumberMap,
    start: Int64Builder,
    exemplars: TextList,
    description: StringBuilder,
    lineage: LineageColumns,
}

impl MetricColumns {
    /// Adds a row. A point with buckets and no sketch gets the sketch its buckets stand for.
    pub fn push(&mut self, point: &Point<'_>, lineage: &Lineage<'_>) {
        self.timestamp.append_value(point.timestamp.micros());
        self.name.append_value(point.name);
        self.kind.append_value(point.kind.as_str());
        self.temporality.append_value(point.temporality);
        self.monotonic.append_value(point.monotonic);
        self.unit.append_value(point.unit);
        self.service.append_value(point.service);
        self.env.append_value(point.env);
        self.version.append_value(point.version);
        self.host.append_value(point.host);
        for (key, text) in last_of_key(point.tags) {
            self.tags.pair(key, &Value::Str(text));
        }
        self.tags.end_row(0);
        self.count.append_value(point.count);
        self.sum.append_option(point.sum);
        self.min.append_option(point.min);
        self.max.append_option(point.max);
        self.last.append_option(point.last);
        self.push_sketch(point);
        self.bounds.append_slice(point.bounds);
        self.bound_rows.end_row(self.bounds.values_slice().len());
        self.bucket_counts.append_slice(point.bucket_counts);
        self.bucket_rows.end_row(self.bucket_counts.values_slice().len());
        self.push_quantiles(point.quantiles);
        self.start.append_option(point.start.map(|start| start.nanos()));
        for trace in point.exemplars.iter().take(schemas::limits::MAX_EXEMPLARS_PER_POINT) {
            self.exemplars.item(trace.hex().as_str());
        }
        self.exemplars.end_row();
        parts::text_or_null(&mut self.description, point.description);
        self.lineage.push(lineage, point.index);
    }

    fn push_sketch(&mut self, point: &Point<'_>) {
        let made = match point.sketch {
            Some(_) => None,
            None => sketch::from_buckets(point.bounds, point.bucket_counts, point.min, point.max),
        };
        match point.sketch.or(made.as_ref()) {
            Some(sketch) => self.sketch.append_value(sketch.to_bytes()),
            None => self.sketch.append_null(),
        }
    }

    fn push_quantiles(&mut self, quantiles: &[(f64, f64)]) {
        for (index, (quantile, value)) in quantiles.iter().enumerate() {
            let later = quantiles.get(index + 1..).unwrap_or_default();
            if !later.iter().any(|(other, _)| other.to_bits() == quantile.to_bits()) {
                self.quantiles.number(format_args!("{quantile}"), *value);
            }
        }
        self.quantiles.end_row();
    }
}

impl TableColumns for MetricColumns {
    const TABLE: Table = Table::Metrics;

    fn rows(&self) -> usize {
        self.count.values_slice().len()
    }

    fn bytes(&self) -> usize {
        let texts = [
            &self.name,
            &self.kind,
            &self.temporality,
            &self.unit,
            &self.service,
            &self.env,
            &self.version,
            &self.host,
            &self.description,
        ];
        texts.into_iter().map(Held::held).sum::<usize>()
            + self.tags.held()
            + self.sketch.held()
            + (self.bounds.values_slice().len() + self.bucket_counts.values_slice().len()) * 8
            + self.quantiles.held()
            + self.exemplars.held()
            + self.lineage.held()
            + self.rows() * 65
    }

    fn finish(&mut self) -> Result<RecordBatch, ArrowError> {
        let mut columns = vec![
            array(self.timestamp.finish().with_timezone("UTC")),
            array(self.name.finish()),
            array(self.kind.finish()),
            array(self.temporality.finish()),
            array(self.monotonic.finish()),
            array(self.unit.finish()),
            array(self.service.finish()),
            array(self.env.finish()),
            array(self.version.finish()),
            array(self.host.finish()),
            self.tags.finish()?,
            array(self.count.finish()),
            array(self.sum.finish()),
            array(self.min.finish()),
            array(self.max.finish()),
            array(self.last.finish()),
            array(self.sketch.finish()),
            list(&mut self.bound_rows, array(self.bounds.finish()))?,
            list(&mut self.bucket_rows, array(self.bucket_counts.finish()))?,
            self.quantiles.finish()?,
            array(self.start.finish()),
            self.exemplars.finish()?,
            array(self.description.finish()),
        ];
        columns.extend(self.lineage.finish()?);
        parts::batch(Self::TABLE, columns)
    }
}
