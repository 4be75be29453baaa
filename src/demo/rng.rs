//! Seeded random numbers: the same seed tells the same story on every machine and in every version.
//!
//! SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014). A library's
//! generators may change between versions, and the story with them.

/// A stream of numbers.
#[derive(Debug, Clone)]
pub(super) struct Rng(u64);

impl Rng {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// 0 to 1, without 1.
    pub(super) fn unit(&mut self) -> f64 {
        (self.bits() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// True in this share of cases.
    pub(super) fn chance(&mut self, share: f64) -> bool {
        self.unit() < share
    }

    /// 0 to `end`, without `end`; 0 when `end` is 0.
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.bits().checked_rem(end).unwrap_or(0)
    }

    /// One of these; the empty text of none.
    pub(super) fn pick<'a>(&mut self, choices: &[&'a str]) -> &'a str {
        let at = usize::try_from(self.below(choices.len() as u64)).unwrap_or(0);
        choices.get(at).copied().unwrap_or_default()
    }

    /// A positive duration in nanoseconds around `typical` microseconds, with the long tail that
    /// latencies have (log-normal, sigma one half).
    pub(super) fn latency(&mut self, typical_us: f64) -> i64 {
        // Sum of twelve uniforms: normal enough, and free of logarithms whose last bit may differ.
        let normal: f64 = (0..12).map(|_| self.unit()).sum::<f64>() - 6.0;
        let factor = (normal * 0.5).exp();
        ((typical_us * 1_000.0 * factor) as i64).max(1_000)
    }
}
