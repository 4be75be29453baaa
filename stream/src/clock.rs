//! The seam for time and randomness: the only file of this crate that reads a clock or draws a
//! random number. Everything else takes a [`Clock`] or an [`Entropy`] as an argument.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Monotonic time for pacing, wall time for information; neither decides what is committed.
pub trait Clock: fmt::Debug + Send + Sync {
    /// Time since some fixed point in the past; never goes back.
    fn monotonic(&self) -> Duration;
    /// Milliseconds since the Unix epoch. Informational only.
    fn unix_millis(&self) -> i64;
}

/// Randomness for names and nonces.
pub trait Entropy: fmt::Debug + Send + Sync {
    /// 128 random bits.
    fn bits(&self) -> u128;
}

/// The machine's clock and random numbers.
#[derive(Debug, Clone)]
pub struct System {
    started: Instant,
}

impl System {
    /// The pair used in production.
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    pub fn shared() -> Arc<Self> {
        Arc::new(Self { started: Instant::now() })
    }
}

impl Clock for System {
    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn unix_millis(&self) -> i64 {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
    }
}

impl Entropy for System {
    #[expect(clippy::disallowed_methods, reason = "this is the seam")]
    fn bits(&self) -> u128 {
        uuid::Uuid::new_v4().as_u128()
    }
}
