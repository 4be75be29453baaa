//! The publisher's lease: which of several workers publishes to the tables. Advisory: two publishers at once are
//! safe, because a table's transaction cursor lets each record in only once; they are merely wasteful. So no
//! compare-and-swap is needed, and wrong clocks cost no more than a needless change of holder.
//!
//! A holder writes the object again well before `expires`. Others take it over when it has expired by their wall
//! clock, or has not changed for a whole lease by their own monotonic clock, whichever is first.

use std::sync::Arc;
use std::time::Duration;

use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};

use crate::clock::Clock;

/// What the lease object says.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Content {
    /// Who holds it.
    pub owner: String,
    /// Until when, Unix milliseconds by the holder's clock.
    pub expires: i64,
}

/// Takes, renews and gives up one lease.
#[derive(Debug)]
pub struct Lease {
    store: Arc<dyn ObjectStore>,
    key: Path,
    owner: String,
    length: Duration,
    clock: Arc<dyn Clock>,
    /// What was seen last, and when by our clock it was first seen so.
    seen: Option<(Content, Duration)>,
}

impl Lease {
    /// Asks nothing of the store yet.
    pub fn new(
        store: Arc<dyn ObjectStore>,
        key: Path,
        owner: String,
        length: Duration,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self { store, key, owner, length, clock, seen: None }
    }

    /// Takes or renews the lease if it is ours, free or lapsed; says who holds it then.
    ///
    /// # Errors
    /// The store failed: nobody knows who holds it, so the caller does not.
    pub async fn hold(&mut self) -> Result<String, StoreError> {
        let now = self.clock.monotonic();
        if let Some(found) = self.read().await? {
            let since = match &self.seen {
                Some((content, since)) if *content == found => *since,
                _ => now,
            };
            let unchanged = now.saturating_sub(since);
            let holder = found.owner.clone();
            let is_theirs = holder != self.owner
                && found.expires > self.clock.unix_millis()
                && unchanged < self.length;
            self.seen = Some((found, since));
            if is_theirs {
                return Ok(holder);
            }
        }
        self.write(self.length).await?;
        // Of two that took it together the last one has it; both look.
        let found = self.read().await?;
        Ok(found.map_or_else(|| self.owner.clone(), |found| found.owner))
    }

    /// Lets the next one have it at once, if it is ours.
    ///
    /// # Errors
    /// The store failed; the lease then lapses by itself.
    pub async fn give_up(&mut self) -> Result<(), StoreError> {
        match self.read().await? {
            Some(found) if found.owner == self.owner => self.write(Duration::ZERO).await,
            _ => Ok(()),
        }
    }

    async fn write(&self, length: Duration) -> Result<(), StoreError> {
        let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
        let expires = self.clock.unix_millis().saturating_add(length);
        let content = Content { owner: self.owner.clone(), expires };
        // Two plain fields always have a JSON form.
        let bytes = serde_json::to_vec(&content).unwrap_or_default();
        self.store.put(&self.key, bytes.into()).await.map(|_| ())
    }

    /// An unreadable lease counts as free: it is only advice.
    async fn read(&self) -> Result<Option<Content>, StoreError> {
        match self.store.get(&self.key).await {
            Ok(found) => Ok(serde_json::from_slice(&found.bytes().await?).ok()),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use object_store::memory::InMemory;

    use super::*;
    use crate::commit_log::Layout;
    use crate::fixture::Hands;

    fn two() -> (Arc<Hands>, Arc<Hands>, Lease, Lease) {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let key = Layout::new("live").publisher_lease();
        let (a, b) = (Arc::new(Hands::default()), Arc::new(Hands::default()));
        let second = Duration::from_secs(1);
        let lease = |owner: &str, clock: &Arc<Hands>| {
            Lease::new(store.clone(), key.clone(), owner.to_owned(), second, clock.clone())
        };
        let leases = (lease("a", &a), lease("b", &b));
        (a, b, leases.0, leases.1)
    }

    #[tokio::test]
    async fn a_renewed_lease_stays_and_a_lapsed_one_is_taken_over() {
        let (a_clock, b_clock, mut a, mut b) = two();
        assert_eq!(a.hold().await.expect("store"), "a");
        for _ in 0..5 {
            a_clock.pass(500);
            b_clock.pass(500);
            assert_eq!(a.hold().await.expect("store"), "a");
            assert_eq!(b.hold().await.expect("store"), "a");
        }
        b_clock.pass(1_000);
        assert_eq!(b.hold().await.expect("store"), "b");
        assert_eq!(a.hold().await.expect("store"), "b", "the former holder learns of it");
    }

    #[tokio::test]
    async fn a_holder_whose_clock_is_ahead_does_not_keep_a_lease_it_no_longer_renews() {
        let (a_clock, b_clock, mut a, mut b) = two();
        a_clock.pass(1_000_000);
        assert_eq!(a.hold().await.expect("store"), "a");
        assert_eq!(b.hold().await.expect("store"), "a");
        b_clock.pass(999);
        assert_eq!(b.hold().await.expect("store"), "a");
        b_clock.pass(1);
        assert_eq!(b.hold().await.expect("store"), "b");
    }

    #[tokio::test]
    async fn a_lease_given_up_is_free_at_once() {
        let (_, b_clock, mut a, mut b) = two();
        b_clock.pass(1);
        assert_eq!(a.hold().await.expect("store"), "a");
        b.give_up().await.expect("store");
        assert_eq!(b.hold().await.expect("store"), "a", "only the holder can give it up");
        a.give_up().await.expect("store");
        assert_eq!(b.hold().await.expect("store"), "b");
    }
}
