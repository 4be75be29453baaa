//! Buckets of OTLP histograms, checked, and exponential ones as explicit bounds.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::MAX_HISTOGRAM_BUCKETS;

use super::protobuf::Field;
use super::wire::WireError;

/// Largest count that a double holds exactly.
const MAX_COUNT: u64 = 1 << 53;

/// Why the buckets are refused.
type Bad = (&'static str, &'static str);
/// Bounds, and one more count than bounds; or neither.
type Explicit<'b> = (&'b [f64], &'b [i64]);

const TOO_MANY: Bad = ("too_many_buckets", "it has more than 4096 buckets");

/// Explicit buckets as sent. One more than the limit is kept: the sign that there were too many.
#[derive(Debug)]
pub(super) struct Buckets<'b> {
    counts: BumpVec<'b, u64>,
    bounds: BumpVec<'b, f64>,
}

impl<'b> Buckets<'b> {
    pub(super) fn new_in(arena: &'b Bump) -> Self {
        Self { counts: BumpVec::new_in(arena), bounds: BumpVec::new_in(arena) }
    }

    pub(super) fn count(&mut self, count: u64) {
        if self.counts.len() <= MAX_HISTOGRAM_BUCKETS {
            self.counts.push(count);
        }
    }

    pub(super) fn bound(&mut self, bound: f64) {
        if self.bounds.len() <= MAX_HISTOGRAM_BUCKETS {
            self.bounds.push(bound);
        }
    }

    /// The buckets, if they make sense.
    pub(super) fn explicit(&self, arena: &'b Bump) -> Result<Explicit<'b>, Bad> {
        if self.counts.len() > MAX_HISTOGRAM_BUCKETS || self.bounds.len() > MAX_HISTOGRAM_BUCKETS {
            return Err(TOO_MANY);
        }
        // A histogram may be sent as count and sum alone.
        if self.counts.is_empty() {
            return Ok((&[], &[]));
        }
        if self.counts.len() != self.bounds.len() + 1 {
            return Err(("invalid_buckets", "it needs one more bucket count than bounds"));
        }
        if !self.bounds.is_sorted_by(|a, b| a < b) || self.bounds.iter().any(|b| b.is_nan()) {
            return Err(("invalid_buckets", "its bounds do not increase"));
        }
        let counts = checked(arena, self.counts.iter().copied())?;
        Ok((arena.alloc_slice_copy(&self.bounds), counts))
    }
}

/// Counts as signed numbers whose sum is exact.
fn checked(arena: &Bump, counts: impl Iterator<Item = u64>) -> Result<&[i64], Bad> {
    let mut sum = 0u64;
    let mut signed = BumpVec::new_in(arena);
    for count in counts {
        sum = sum.saturating_add(count);
        signed.push(count as i64);
    }
    if sum > MAX_COUNT {
        return Err(("invalid_count", "its bucket counts add up to more than 2^53"));
    }
    Ok(signed.into_bump_slice())
}

/// Exponential buckets as sent: bucket `i` holds what lies in `(base^i, base^(i+1)]` with
/// `base = 2^(2^-scale)` (OpenTelemetry metrics data model, "ExponentialHistogram").
#[derive(Debug)]
pub(super) struct Exponential<'b> {
    pub(super) scale: i32,
    pub(super) zero_count: u64,
    pub(super) zero_threshold: f64,
    pub(super) positive: Side<'b>,
    pub(super) negative: Side<'b>,
}

/// The buckets of one sign.
#[derive(Debug)]
pub(super) struct Side<'b> {
    offset: i32,
    counts: BumpVec<'b, u64>,
}

impl<'b> Side<'b> {
    /// `Buckets{offset 1 sint32, bucket_counts 2 repeated uint64}`.
    pub(super) fn read(&mut self, field: &Field<'b>) -> Result<(), WireError> {
        let mut buckets = field.message()?;
        while let Some(field) = buckets.field()? {
            match field.number {
                1 => self.offset = field.zigzag()?,
                2 => field.each_varint(|count| {
                    if self.counts.len() <= MAX_HISTOGRAM_BUCKETS {
                        self.counts.push(count);
                    }
                })?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The bounds of its buckets, one more than buckets; none without buckets.
    fn bounds(&self, scale: i32) -> impl DoubleEndedIterator<Item = f64> {
        let count = if self.counts.is_empty() { 0 } else { self.counts.len() as i64 + 1 };
        let first = i64::from(self.offset);
        (0..count).map(move |index| {
            let exponent = (first + index) as f64 * (-f64::from(scale)).exp2();
            // Scales no exporter uses give exponents no double has; the ends are near enough.
            let exponent = if exponent.is_nan() { 0.0 } else { exponent };
            exponent.exp2().clamp(f64::MIN_POSITIVE, f64::MAX)
        })
    }
}

impl<'b> Exponential<'b> {
    pub(super) fn new_in(arena: &'b Bump) -> Self {
        let side = || Side { offset: 0, counts: BumpVec::new_in(arena) };
        Self { scale: 0, zero_count: 0, zero_threshold: 0.0, positive: side(), negative: side() }
    }

    /// The same as explicit buckets, from the lowest negative to the highest positive, with a
    /// bucket for zero and empty ones where there is a gap.
    pub(super) fn explicit(&self, arena: &'b Bump) -> Result<Explicit<'b>, Bad> {
        let (negative, positive) = (&self.negative, &self.positive);
        if negative.counts.len().max(positive.counts.len()) > MAX_HISTOGRAM_BUCKETS {
            return Err(TOO_MANY);
        }
        let threshold = if self.zero_threshold > 0.0 { self.zero_threshold } else { 0.0 };
        let mut bounds = BumpVec::new_in(arena);
        let mut counts = BumpVec::new_in(arena);
        if !negative.counts.is_empty() {
            bounds.extend(negative.bounds(self.scale).rev().map(|bound| -bound));
            bounds.push(-threshold);
            counts.push(0);
            counts.extend(negative.counts.iter().rev().copied());
            counts.push(0);
        }
        bounds.push(threshold);
        counts.push(self.zero_count);
        if !positive.counts.is_empty() {
            bounds.extend(positive.bounds(self.scale));
            counts.push(0);
            counts.extend(positive.counts.iter().copied());
        }
        counts.push(0);
        Ok((bounds.into_bump_slice(), checked(arena, counts.into_iter())?))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exponential_buckets_stand_for_their_explicit_bounds() {
        let arena = Bump::new();
        let mut sent = Exponential::new_in(&arena);
        sent.zero_count = 5;
        sent.positive.offset = 1;
        sent.positive.counts.extend([3, 4]);
        let (bounds, counts) = sent.explicit(&arena).expect("valid");
        assert_eq!(bounds, [0.0, 2.0, 4.0, 8.0]);
        assert_eq!(counts, [5, 0, 3, 4, 0]);
        sent.negative.counts.extend([7]);
        let (bounds, counts) = sent.explicit(&arena).expect("valid");
        assert_eq!(bounds, [-2.0, -1.0, 0.0, 0.0, 2.0, 4.0, 8.0]);
        assert_eq!(counts, [0, 7, 0, 5, 0, 3, 4, 0]);
    }

    #[test]
    fn absurd_scales_and_counts_end_in_numbers_or_a_refusal() {
        let arena = Bump::new();
        for scale in [i32::MIN, -1_000, 1_000, i32::MAX] {
            let mut sent = Exponential::new_in(&arena);
            sent.scale = scale;
            sent.positive.offset = i32::MAX;
            sent.positive.counts.extend([1, 1]);
            let (bounds, _) = sent.explicit(&arena).expect("clamped");
            assert!(bounds.iter().all(|bound| bound.is_finite()));
            sent.positive.counts.push(u64::MAX);
            assert!(sent.explicit(&arena).is_err());
        }
        let mut sent = Buckets::new_in(&arena);
        [2, 3].into_iter().for_each(|count| sent.count(count));
        assert!(sent.explicit(&arena).is_err(), "a bound is missing");
        sent.bound(1.0);
        assert!(sent.explicit(&arena).is_ok());
    }
}
