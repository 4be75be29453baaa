//! OTLP metrics -> points. Every attribute of resource, scope and point that is no unified tag
//! becomes a tag of the point; on conflict the point's own wins.
//!
//! * gauge: one measurement; sum, min, max and last are its value.
//! * sum: delta in `sum`, cumulative in `last`, for cumulative values must never be added up.
//! * histograms: buckets as sent, exponential ones as the explicit bounds they stand for; the
//!   sketch is made of them when the point becomes a row.
//! * a point without a recorded value marks the end of a series: count 0, no value.
//! * NaN and infinities are no measurements: the value is left out, the tag `_non_finite` says so.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::id::TraceId;
use schemas::limits::{MAX_EXEMPLARS_PER_POINT, MAX_HISTOGRAM_BUCKETS};
use schemas::metric::Kind;
use schemas::time::EventTime;

use super::batch::Batch;
use super::otlp::{Context, Stop, attribute, time};
use super::otlp_buckets::{Buckets, Exponential};
use super::protobuf::{Field, Reader};
use super::wire::WireError;
use crate::point::Point;
use crate::value::{Attributes, Value};

/// `DataPointFlags.NO_RECORDED_VALUE`.
const NO_RECORDED_VALUE: u64 = 1;
/// Largest count that a double holds exactly; more measurements were never made.
const MAX_COUNT: u64 = 1 << 53;

/// Why one point is refused.
type Bad = (&'static str, &'static str);

/// Adds the points of one `Metric{name 1, description 2, unit 3, gauge 5, sum 7, histogram 9,
/// exponential_histogram 10, summary 11}`.
pub(super) fn push<'b>(
    batch: &mut Batch<'b, Point<'b>>,
    context: &Context<'b>,
    received: EventTime,
    mut metric: Reader<'b>,
) -> Result<(), Stop<'b>> {
    let arena = batch.arena;
    let mut data = None;
    let mut series = empty(context);
    while let Some(field) = metric.field()? {
        match field.number {
            1 => series.name = field.text(arena)?,
            2 => series.description = field.text(arena)?,
            3 => series.unit = field.text(arena)?,
            5 | 7 | 9 | 10 | 11 => data = Some(field),
            _ => {}
        }
    }
    let Some(data) = data else { return Ok(()) };
    series.kind = match data.number {
        5 => Kind::Gauge,
        7 => Kind::Sum,
        9 => Kind::Histogram,
        10 => Kind::ExponentialHistogram,
        _ => Kind::Summary,
    };
    // Temporality stands behind the points, so it is looked for first.
    let mut fields = data.message()?;
    while let Some(field) = fields.field()? {
        match (field.number, series.kind) {
            (2, Kind::Sum | Kind::Histogram | Kind::ExponentialHistogram) => {
                series.temporality = temporality(field.int()?);
            }
            (3, Kind::Sum) => series.monotonic = field.varint()? != 0,
            _ => {}
        }
    }
    let mut points = data.message()?;
    while let Some(field) = points.field()? {
        if field.number == 1 {
            point(batch, context, received, &series, &field)?;
        }
    }
    Ok(())
}

fn temporality(number: i64) -> &'static str {
    match number {
        1 => "delta",
        2 => "cumulative",
        _ => "",
    }
}

/// A point of which only the context is known.
fn empty<'b>(context: &Context<'b>) -> Point<'b> {
    Point {
        index: 0,
        bytes: 0,
        timestamp: EventTime::default(),
        name: "",
        kind: Kind::Gauge,
        temporality: "",
        monotonic: false,
        unit: "",
        description: "",
        service: context.service,
        env: context.env,
        version: context.version,
        host: context.host,
        tags: &[],
        count: 0,
        sum: None,
        min: None,
        max: None,
        last: None,
        sketch: None,
        bounds: &[],
        bucket_counts: &[],
        quantiles: &[],
        start: None,
        exemplars: &[],
    }
}

/// What the fields of any data point say.
struct Sent<'b> {
    start: u64,
    time: u64,
    value: Option<f64>,
    count: u64,
    sum: Option<f64>,
    min: Option<f64>,
    max: Option<f64>,
    flags: u64,
    buckets: Buckets<'b>,
    exponential: Exponential<'b>,
    quantiles: BumpVec<'b, (f64, f64)>,
    exemplars: BumpVec<'b, TraceId>,
    attributes: Attributes<'b>,
}

fn point<'b>(
    batch: &mut Batch<'b, Point<'b>>,
    context: &Context<'b>,
    received: EventTime,
    series: &Point<'b>,
    field: &Field<'b>,
) -> Result<(), Stop<'b>> {
    let index = batch.number()?;
    batch.expand(context.shared_bytes + series.description.len() + series.name.len())?;
    let arena = batch.arena;
    let sent = read(arena, context, series.kind, field.message()?)?;
    match finished(arena, received, series, sent) {
        Ok(point) => batch.push(Point { index, ..point }),
        Err((reason, detail)) => {
            let name = super::wire::head(series.name, 200);
            let detail = format_args!("metric {name:?}: {detail}");
            batch.refuse(index, reason, detail, field.bytes()?);
        }
    }
    Ok(())
}

fn read<'b>(
    arena: &'b Bump,
    context: &Context<'b>,
    kind: Kind,
    mut message: Reader<'b>,
) -> Result<Sent<'b>, WireError> {
    let mut sent = Sent {
        start: 0,
        time: 0,
        value: None,
        count: 0,
        sum: None,
        min: None,
        max: None,
        flags: 0,
        buckets: Buckets::new_in(arena),
        exponential: Exponential::new_in(arena),
        quantiles: BumpVec::new_in(arena),
        exemplars: BumpVec::new_in(arena),
        attributes: context.shared.copy_in(arena, 8),
    };
    while let Some(field) = message.field()? {
        match (field.number, kind) {
            (2, _) => sent.start = field.fixed64()?,
            (3, _) => sent.time = field.fixed64()?,
            (_, Kind::Histogram) => histogram(arena, &mut sent, &field)?,
            (_, Kind::ExponentialHistogram) => exponential(arena, &mut sent, &field)?,
            (_, Kind::Summary) => summary(arena, &mut sent, &field)?,
            _ => number(arena, &mut sent, &field)?,
        }
    }
    Ok(sent)
}

/// `NumberDataPoint{as_double 4, exemplars 5, as_int 6, attributes 7, flags 8}`.
fn number<'b>(arena: &'b Bump, sent: &mut Sent<'b>, field: &Field<'b>) -> Result<(), WireError> {
    match field.number {
        4 => sent.value = Some(field.double()?),
        5 => exemplar(&mut sent.exemplars, field)?,
        6 => sent.value = Some(field.fixed64()? as i64 as f64),
        7 => attribute(arena, &mut sent.attributes, "", field, 0)?,
        8 => sent.flags = field.varint()?,
        _ => {}
    }
    Ok(())
}

/// `HistogramDataPoint{count 4, sum 5, bucket_counts 6, explicit_bounds 7, exemplars 8,
/// attributes 9, flags 10, min 11, max 12}`.
fn histogram<'b>(arena: &'b Bump, sent: &mut Sent<'b>, field: &Field<'b>) -> Result<(), WireError> {
    match field.number {
        4 => sent.count = field.fixed64()?,
        5 => sent.sum = Some(field.double()?),
        6 => field.each_fixed64(|count| sent.buckets.count(count))?,
        7 => field.each_fixed64(|bits| sent.buckets.bound(f64::from_bits(bits)))?,
        8 => exemplar(&mut sent.exemplars, field)?,
        9 => attribute(arena, &mut sent.attributes, "", field, 0)?,
        10 => sent.flags = field.varint()?,
        11 => sent.min = Some(field.double()?),
        12 => sent.max = Some(field.double()?),
        _ => {}
    }
    Ok(())
}

/// `ExponentialHistogramDataPoint{attributes 1, count 4, sum 5, scale 6, zero_count 7, positive 8,
/// negative 9, flags 10, exemplars 11, min 12, max 13, zero_threshold 14}`.
fn exponential<'b>(
    arena: &'b Bump,
    sent: &mut Sent<'b>,
    field: &Field<'b>,
) -> Result<(), WireError> {
    match field.number {
        1 => attribute(arena, &mut sent.attributes, "", field, 0)?,
        4 => sent.count = field.fixed64()?,
        5 => sent.sum = Some(field.double()?),
        6 => sent.exponential.scale = field.zigzag()?,
        7 => sent.exponential.zero_count = field.fixed64()?,
        8 => sent.exponential.positive.read(field)?,
        9 => sent.exponential.negative.read(field)?,
        10 => sent.flags = field.varint()?,
        11 => exemplar(&mut sent.exemplars, field)?,
        12 => sent.min = Some(field.double()?),
        13 => sent.max = Some(field.double()?),
        14 => sent.exponential.zero_threshold = field.double()?,
        _ => {}
    }
    Ok(())
}

/// `SummaryDataPoint{count 4, sum 5, quantile_values 6, attributes 7, flags 8}`.
fn summary<'b>(arena: &'b Bump, sent: &mut Sent<'b>, field: &Field<'b>) -> Result<(), WireError> {
    match field.number {
        4 => sent.count = field.fixed64()?,
        5 => sent.sum = Some(field.double()?),
        6 => {
            let (mut quantile, mut value) = (0.0, 0.0);
            let mut pair = field.message()?;
            while let Some(field) = pair.field()? {
                match field.number {
                    1 => quantile = field.double()?,
                    2 => value = field.double()?,
                    _ => {}
                }
            }
            // One more than the limit is kept: the sign that there were too many.
            if sent.quantiles.len() <= MAX_HISTOGRAM_BUCKETS {
                sent.quantiles.push((quantile, value));
            }
        }
        7 => attribute(arena, &mut sent.attributes, "", field, 0)?,
        8 => sent.flags = field.varint()?,
        _ => {}
    }
    Ok(())
}

/// The trace id (field 5) of an exemplar that has one.
fn exemplar<'b>(into: &mut BumpVec<'b, TraceId>, field: &Field<'b>) -> Result<(), WireError> {
    let mut exemplar = field.message()?;
    while let Some(field) = exemplar.field()? {
        if field.number == 5
            && let Some(id) = TraceId::from_bytes(field.bytes()?)
            && into.len() < MAX_EXEMPLARS_PER_POINT
            && !into.contains(&id)
        {
            into.push(id);
        }
    }
    Ok(())
}

/// The point, or why it can be none.
fn finished<'b>(
    arena: &'b Bump,
    received: EventTime,
    series: &Point<'b>,
    mut sent: Sent<'b>,
) -> Result<Point<'b>, Bad> {
    const LATE: Bad = ("invalid_timestamp", "its time or start time is past the year 2262");
    let timestamp = time(sent.time).map_err(|_| LATE)?.unwrap_or(received);
    let start = time(sent.start).map_err(|_| LATE)?;
    let exemplars = std::mem::replace(&mut sent.exemplars, BumpVec::new_in(arena));
    let mut point =
        Point { timestamp, start, exemplars: exemplars.into_bump_slice(), ..series.clone() };
    if sent.flags & NO_RECORDED_VALUE == 0 {
        values(arena, &mut point, &mut sent)?;
    }
    point.tags = tags(arena, &sent.attributes);
    Ok(point)
}

/// Fills in what was measured.
fn values<'b>(arena: &'b Bump, point: &mut Point<'b>, sent: &mut Sent<'b>) -> Result<(), Bad> {
    if matches!(point.kind, Kind::Gauge | Kind::Sum) {
        point.count = 1;
        let value = sent.value.filter(|value| value.is_finite());
        if let (None, Some(other)) = (value, sent.value) {
            let text = bumpalo::format!(in arena, "{}", other).into_bump_str();
            sent.attributes.set("_non_finite", Value::Str(text));
        }
        match (point.kind, point.temporality) {
            (Kind::Gauge, _) => {
                (point.sum, point.min, point.max, point.last) = (value, value, value, value);
            }
            (_, "delta") => point.sum = value,
            _ => point.last = value,
        }
        return Ok(());
    }
    if sent.count > MAX_COUNT {
        return Err(("invalid_count", "its count is larger than 2^53"));
    }
    point.count = sent.count as i64;
    let finite = |value: Option<f64>| value.filter(|value| value.is_finite());
    (point.sum, point.min, point.max) = (finite(sent.sum), finite(sent.min), finite(sent.max));
    if sent.quantiles.len() > MAX_HISTOGRAM_BUCKETS {
        return Err(("too_many_buckets", "it has more than 4096 quantiles"));
    }
    let (bounds, counts) = match point.kind {
        Kind::Histogram => sent.buckets.explicit(arena)?,
        Kind::ExponentialHistogram => sent.exponential.explicit(arena)?,
        _ => (&[][..], &[][..]),
    };
    (point.bounds, point.bucket_counts) = (bounds, counts);
    sent.quantiles.retain(|(quantile, value)| quantile.is_finite() && value.is_finite());
    point.quantiles = arena.alloc_slice_copy(&sent.quantiles);
    Ok(())
}

fn tags<'b>(arena: &'b Bump, attributes: &Attributes<'b>) -> &'b [(&'b str, &'b str)] {
    let mut tags = BumpVec::with_capacity_in(attributes.len(), arena);
    let known = attributes.iter().filter(|(_, value)| *value != Value::Null);
    tags.extend(known.map(|(key, value)| (key, value.text(arena))));
    tags.into_bump_slice()
}
