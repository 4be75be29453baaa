//! Waiting between attempts: exponential, with full jitter, so that writers that failed together
//! do not come back together.

use std::time::Duration;

use crate::clock::Entropy;

/// How long to wait.
#[derive(Debug, Clone, Copy)]
pub struct Backoff {
    /// Upper bound of the first pause.
    pub first: Duration,
    /// Upper bound of every pause.
    pub most: Duration,
}

impl Backoff {
    /// The pause after this many failures: between half the bound and the bound.
    pub fn delay(&self, failures: u32, random: u128) -> Duration {
        let bound = self.first.saturating_mul(1 << failures.min(16)).min(self.most);
        let half = bound / 2;
        let parts = u32::try_from(random & 0xffff).unwrap_or(0);
        half + half.saturating_mul(parts) / 0xffff
    }

    /// Waits that long.
    pub async fn pause(&self, failures: u32, entropy: &dyn Entropy) {
        tokio::time::sleep(self.delay(failures, entropy.bits())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_to_their_bound_and_differ() {
        let backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(5) };
        assert_eq!(backoff.delay(0, 0), Duration::from_millis(25));
        assert_eq!(backoff.delay(0, 0xffff), Duration::from_millis(50));
        assert_eq!(backoff.delay(40, u128::MAX), Duration::from_secs(5));
    }
}
