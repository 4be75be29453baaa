//! How many bytes of requests the process holds at once.
//!
//! Bytes are charged as they really arrive or are really produced, never by what a header declares:
//! a client can neither grow our memory past the budget nor reserve the budget without sending.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::refusal::Refusal;

/// The budget, shared by every listener.
#[derive(Debug, Clone)]
pub(crate) struct Admission {
    bytes: Arc<Semaphore>,
}

/// What one request holds of the budget; given back when dropped.
#[derive(Debug)]
pub(crate) struct Lease {
    budget: Arc<Semaphore>,
    held: Option<OwnedSemaphorePermit>,
}

impl Admission {
    /// A budget of `bytes`.
    pub(crate) fn new(bytes: usize) -> Self {
        Self { bytes: Arc::new(Semaphore::new(bytes.min(Semaphore::MAX_PERMITS))) }
    }

    /// A lease that holds nothing yet.
    pub(crate) fn lease(&self) -> Lease {
        Lease { budget: Arc::clone(&self.bytes), held: None }
    }

    /// Bytes that are free now.
    #[cfg(test)]
    pub(crate) fn free(&self) -> usize {
        self.bytes.available_permits()
    }
}

impl Lease {
    /// Takes `bytes` more.
    ///
    /// # Errors
    /// [`Kind::Busy`](crate::refusal::Kind::Busy) when the budget is used up: the client shall come back.
    pub(crate) fn grow(&mut self, bytes: usize) -> Result<(), Refusal> {
        let permits = u32::try_from(bytes)
            .map_err(|_| Refusal::too_large(format!("a request of {bytes} bytes")))?;
        let more = Arc::clone(&self.budget)
            .try_acquire_many_owned(permits)
            .map_err(|_| Refusal::busy("too many bytes of requests are in flight"))?;
        match &mut self.held {
            Some(held) => held.merge(more),
            None => self.held = Some(more),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::refusal::Kind;

    #[test]
    fn a_lease_gives_back_all_it_took() {
        let admission = Admission::new(100);
        let mut lease = admission.lease();
        lease.grow(60).expect("free");
        lease.grow(40).expect("free");
        let mut other = admission.lease();
        assert_eq!(other.grow(1).expect_err("full").kind, Kind::Busy);
        drop(lease);
        assert_eq!(admission.free(), 100);
        other.grow(100).expect("free again");
    }
}
