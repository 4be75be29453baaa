//! Which days and hours a filter on `timestamp` can touch.
//!
//! Tables are partitioned by `date` and `hour` of event time, but people filter by `timestamp`.
//! From their filters this derives plain bounds in microseconds, looking through casts (a
//! comparison with `now()` casts the column to nanoseconds), and from the bounds predicates on the
//! partition columns. Derived predicates only ever allow more rows than the filter they come from,
//! and the filter itself is still applied, so a doubt is always answered with "no bound".

use datafusion::arrow::datatypes::{DataType, TimeUnit};
use datafusion::common::ScalarValue;
use datafusion::logical_expr::{BinaryExpr, Expr, Operator, col, lit};

/// Microseconds of a day.
const DAY: i64 = 86_400_000_000;
/// Microseconds of an hour.
const HOUR: i64 = 3_600_000_000;

/// Event times a filter can accept, both ends inclusive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Bounds {
    /// Earliest, microseconds since the epoch; `i64::MIN` when open.
    pub(crate) low: i64,
    /// Latest, microseconds since the epoch; `i64::MAX` when open.
    pub(crate) high: i64,
}

impl Bounds {
    const OPEN: Self = Self { low: i64::MIN, high: i64::MAX };

    fn and(self, other: Self) -> Self {
        Self { low: self.low.max(other.low), high: self.high.min(other.high) }
    }

    fn or(self, other: Self) -> Self {
        Self { low: self.low.min(other.low), high: self.high.max(other.high) }
    }

    /// Bounds of one filter; `None` when it says nothing about the event time.
    pub(crate) fn of(filter: &Expr) -> Option<Self> {
        let bounds = walk(filter, 0);
        (bounds != Self::OPEN).then_some(bounds)
    }

    /// Predicates on `timestamp`, `date` and `hour` that every accepted row fulfils.
    pub(crate) fn predicates(self) -> Vec<Expr> {
        let mut predicates = Vec::with_capacity(5);
        let micros =
            |value| lit(ScalarValue::TimestampMicrosecond(Some(value), Some("UTC".into())));
        let day = |value: i64| i32::try_from(value.div_euclid(DAY)).ok();
        if self.low != i64::MIN {
            predicates.push(col(schemas::log::TIMESTAMP).gt_eq(micros(self.low)));
            predicates.extend(day(self.low).map(|day| col(schemas::table::DATE).gt_eq(date(day))));
        }
        if self.high != i64::MAX {
            predicates.push(col(schemas::log::TIMESTAMP).lt_eq(micros(self.high)));
            predicates.extend(day(self.high).map(|day| col(schemas::table::DATE).lt_eq(date(day))));
        }
        if self.low.div_euclid(DAY) == self.high.div_euclid(DAY) {
            let hour = |value: i64| i32::try_from(value.rem_euclid(DAY) / HOUR).ok();
            predicates
                .extend(hour(self.low).map(|hour| col(schemas::table::HOUR).gt_eq(lit(hour))));
            predicates
                .extend(hour(self.high).map(|hour| col(schemas::table::HOUR).lt_eq(lit(hour))));
        }
        predicates
    }
}

fn date(day: i32) -> Expr {
    lit(ScalarValue::Date32(Some(day)))
}

/// Depth is bounded by the SQL parser's recursion limit; the counter is a second belt.
fn walk(filter: &Expr, depth: usize) -> Bounds {
    if depth > schemas::limits::MAX_DEPTH {
        return Bounds::OPEN;
    }
    match filter {
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
            walk(left, depth + 1).and(walk(right, depth + 1))
        }
        Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
            walk(left, depth + 1).or(walk(right, depth + 1))
        }
        Expr::BinaryExpr(BinaryExpr { left, op, right }) => {
            match (is_event_time(left), literal(right)) {
                (true, Some(value)) => compare(*op, value),
                _ => match (is_event_time(right), literal(left)) {
                    (true, Some(value)) => op.swap().map_or(Bounds::OPEN, |op| compare(op, value)),
                    _ => Bounds::OPEN,
                },
            }
        }
        Expr::Between(between) if !between.negated && is_event_time(&between.expr) => {
            let low = literal(&between.low).map_or(i64::MIN, |(floor, _)| floor);
            let high = literal(&between.high).map_or(i64::MAX, |(_, ceiling)| ceiling);
            Bounds { low, high }
        }
        _ => Bounds::OPEN,
    }
}

fn compare(op: Operator, (floor, ceiling): (i64, i64)) -> Bounds {
    match op {
        Operator::Gt | Operator::GtEq => Bounds { low: floor, high: i64::MAX },
        Operator::Lt | Operator::LtEq => Bounds { low: i64::MIN, high: ceiling },
        Operator::Eq => Bounds { low: floor, high: ceiling },
        _ => Bounds::OPEN,
    }
}

/// `timestamp`, also under a cast to a timestamp that keeps at least its microseconds.
fn is_event_time(expr: &Expr) -> bool {
    match expr {
        Expr::Column(column) => column.name == schemas::log::TIMESTAMP,
        Expr::Cast(cast) => {
            matches!(
                cast.field.data_type(),
                DataType::Timestamp(TimeUnit::Microsecond | TimeUnit::Nanosecond, _)
            ) && is_event_time(&cast.expr)
        }
        _ => false,
    }
}

/// A literal instant as microseconds, rounded down and rounded up. Arrow keeps zoned instants in UTC,
/// and the session's own zone is UTC too, so the zone says nothing here.
fn literal(expr: &Expr) -> Option<(i64, i64)> {
    let Expr::Literal(value, _) = expr else { return None };
    let whole =
        |value: Option<i64>, factor: i64| value?.checked_mul(factor).map(|value| (value, value));
    match value {
        ScalarValue::TimestampSecond(value, _) => whole(*value, 1_000_000),
        ScalarValue::TimestampMillisecond(value, _) => whole(*value, 1_000),
        ScalarValue::TimestampMicrosecond(value, _) => whole(*value, 1),
        ScalarValue::TimestampNanosecond(Some(value), _) => {
            let floor = value.div_euclid(1_000);
            Some((floor, floor + i64::from(value.rem_euclid(1_000) != 0)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(micros: i64) -> Expr {
        lit(ScalarValue::TimestampMicrosecond(Some(micros), Some("UTC".into())))
    }

    #[test]
    fn comparisons_give_inclusive_bounds() {
        let bounds = Bounds::of(&col("timestamp").gt_eq(at(5)).and(col("timestamp").lt(at(9))));
        assert_eq!(bounds, Some(Bounds { low: 5, high: 9 }));
        assert_eq!(
            Bounds::of(&at(7).lt(col("timestamp"))),
            Some(Bounds { low: 7, high: i64::MAX })
        );
        assert_eq!(
            Bounds::of(&col("timestamp").between(at(1), at(2))),
            Some(Bounds { low: 1, high: 2 })
        );
    }

    #[test]
    fn either_side_of_or_widens() {
        let either = col("timestamp").eq(at(5)).or(col("timestamp").eq(at(9)));
        assert_eq!(Bounds::of(&either), Some(Bounds { low: 5, high: 9 }));
        assert_eq!(Bounds::of(&col("timestamp").eq(at(5)).or(col("service").eq(lit("a")))), None);
        assert_eq!(Bounds::of(&col("timestamp").not_eq(at(5))), None);
        assert_eq!(Bounds::of(&col("observed_timestamp").gt(at(5))), None);
    }

    #[test]
    fn nanoseconds_round_outwards() {
        let nanos = lit(ScalarValue::TimestampNanosecond(Some(1_500), None));
        assert_eq!(Bounds::of(&col("timestamp").eq(nanos)), Some(Bounds { low: 1, high: 2 }));
    }

    #[test]
    fn one_day_is_narrowed_to_hours() {
        let names = |bounds: Bounds| -> Vec<String> {
            bounds
                .predicates()
                .iter()
                .map(ToString::to_string)
                .filter(|text| text.starts_with("hour"))
                .collect()
        };
        assert_eq!(
            names(Bounds { low: 3 * HOUR, high: 5 * HOUR }),
            ["hour >= Int32(3)", "hour <= Int32(5)"]
        );
        assert!(names(Bounds { low: 3 * HOUR, high: DAY }).is_empty());
        assert!(names(Bounds { low: 3 * HOUR, high: i64::MAX }).is_empty());
    }
}
