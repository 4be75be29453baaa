//! Histogram buckets -> sketch.
//!
//! A histogram says only how many measurements fell into a bucket. They are spread evenly over it,
//! as Datadog's own conversion does; the outermost buckets end at the minimum and maximum where
//! the source gives them. The result is as exact as the buckets are narrow.

use schemas::sketch::Sketch;

/// Values one bucket is spread over, at most: the error of a quantile is below a sixteenth of its
/// bucket, and a histogram of thousands of buckets stays cheap.
const MAX_STEPS: i64 = 16;

/// The sketch of a histogram; `None` where it has no buckets or no measurements.
pub(super) fn from_buckets(
    bounds: &[f64],
    counts: &[i64],
    min: Option<f64>,
    max: Option<f64>,
) -> Option<Sketch> {
    if counts.len() != bounds.len() + 1 || bounds.is_empty() {
        return None;
    }
    let mut sketch = Sketch::new();
    let mut any = false;
    for (bucket, count) in counts.iter().enumerate().filter(|(_, count)| **count > 0) {
        let below = bucket.checked_sub(1).and_then(|index| bounds.get(index)).copied();
        let above = bounds.get(bucket).copied();
        // Where one end is open and unknown, all sit on the other: never beyond what is known.
        let low = below.or(min).or(above)?;
        let high = above.or(max).or(below)?;
        let low = min.map_or(low, |min| low.max(min)).min(high);
        let high = max.map_or(high, |max| high.min(max)).max(low);
        spread(&mut sketch, low, high, *count);
        any = true;
    }
    any.then_some(sketch)
}

/// Adds `count` measurements evenly over the interval.
fn spread(sketch: &mut Sketch, low: f64, high: f64, count: i64) {
    let steps = if low == high { 1 } else { count.min(MAX_STEPS) };
    for step in 0..steps {
        let share = count / steps + i64::from(step < count % steps);
        let place = low + (high - low) * ((step as f64 + 0.5) / steps as f64);
        let value = if steps == 1 && low == high { low } else { place };
        sketch.add(value, share.unsigned_abs());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_lies_in_its_bucket_and_nothing_beyond_the_extremes() {
        let sketch = from_buckets(&[10.0, 100.0], &[10, 80, 10], Some(5.0), Some(130.0));
        let sketch = sketch.expect("it has measurements");
        assert_eq!(sketch.count(), 100);
        let p50 = sketch.quantile(0.5).expect("not empty");
        assert!((45.0..65.0).contains(&p50), "{p50}");
        assert!(sketch.quantile(1.0).is_some_and(|max| max <= 130.0));
        assert!(sketch.quantile(0.0).is_some_and(|min| min >= 5.0));
    }

    #[test]
    fn open_buckets_without_extremes_sit_on_their_bound() {
        let sketch = from_buckets(&[1.0], &[3, 4], None, None).expect("it has measurements");
        assert_eq!((sketch.count(), sketch.quantile(1.0)), (7, Some(1.0)));
        assert!(from_buckets(&[1.0], &[0, 0], None, None).is_none());
        assert!(from_buckets(&[], &[9], None, None).is_none());
        assert!(from_buckets(&[1.0], &[9], None, None).is_none(), "counts do not match");
    }
}
