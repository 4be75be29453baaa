//! Everything a schedule draws, from one seed; and a clock that goes when it is told.

use std::sync::Mutex;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Entropy};
use crate::fault_store::Rule;

/// SplitMix64 (Steele, Lea, Flood 2014): small, and the same on every machine.
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    pub(crate) fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number below `limit`.
    pub(crate) fn below(&mut self, limit: u64) -> u64 {
        self.bits() % limit.max(1)
    }

    /// Which of so many writes of one life go wrong, and how.
    pub(crate) fn faults(&mut self, writes: u64) -> Vec<Rule> {
        let mut rules = Vec::new();
        for _ in 0..self.below(6) {
            let write = self.below(writes);
            rules.push(match self.below(12) {
                0 | 1 => Rule::FailBefore(write),
                2 | 3 => Rule::FailAfter(write),
                // Early: what comes before it may end the life.
                4 | 11 => Rule::FalseExists(write / 2),
                5 => Rule::Delay(write, u64::MAX),
                6 => Rule::Delay(write, write + 1 + self.below(3)),
                7 => Rule::Full(write, 1 + self.below(4)),
                8 => Rule::FailRead(self.below(writes * 12 / 5)),
                _ => Rule::StaleList(self.below(writes / 2), 1 + self.below(3) as usize),
            });
        }
        match self.below(6) {
            0 => rules.push(Rule::DieAt(self.below(writes * 6 / 5))),
            1 => rules.push(Rule::DieAfter(self.below(writes * 6 / 5))),
            2 => rules.push(Rule::Precondition),
            3 if self.below(3) == 0 => rules.push(Rule::IgnoreCreate),
            _ => {}
        }
        rules
    }
}

/// Names and nonces of a schedule.
#[derive(Debug)]
pub(crate) struct SeededEntropy(Mutex<Chance>);

impl SeededEntropy {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Mutex::new(Chance::new(!seed)))
    }
}

impl Entropy for SeededEntropy {
    fn bits(&self) -> u128 {
        let mut chance = self.0.lock().expect("not poisoned");
        u128::from(chance.bits()) << 64 | u128::from(chance.bits())
    }
}

/// Stands still until told otherwise.
#[derive(Debug, Default)]
pub(crate) struct ToldClock {
    passed: Mutex<Duration>,
    /// How far the wall clock is off, milliseconds.
    wrong: AtomicI64,
}

impl ToldClock {
    /// Lets time pass.
    pub(crate) fn pass(&self, time: Duration) {
        *self.passed.lock().expect("not poisoned") += time;
    }

    /// Sets the wall clock forth or back.
    pub(crate) fn jump(&self, millis: i64) {
        self.wrong.fetch_add(millis, Ordering::SeqCst);
    }
}

impl Clock for ToldClock {
    fn monotonic(&self) -> Duration {
        *self.passed.lock().expect("not poisoned")
    }

    fn unix_millis(&self) -> i64 {
        let wrong = self.wrong.load(Ordering::SeqCst);
        1_714_219_200_000 + self.monotonic().as_millis() as i64 + wrong
    }
}
