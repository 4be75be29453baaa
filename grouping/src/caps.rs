//! How many distinct issues a service may have: what keeps an error message that is data, or an
//! attacker, from making every error its own issue.
//!
//! This is state, and it depends on the order of errors: it belongs where issues are kept, behind one
//! ordered log, not where errors are grouped. An id that is not admitted counts for its service's
//! overflow issue, whose title says so.

use hashbrown::{HashMap, HashSet};
use schemas::limits::MAX_ERROR_SERVICES;
use xxhash_rust::xxh3::xxh3_128;

use crate::grouper::ALGORITHM;
use crate::issue_id::IssueId;

/// Title of overflow issues.
pub const OVERFLOW_TITLE: &str = "Too many distinct errors: this issue stands for the rest of them";

/// The id of a service's overflow issue.
pub fn overflow(service: &str) -> IssueId {
    let mut key = Vec::with_capacity(service.len() + 16);
    key.extend_from_slice(b"overflow\0");
    key.extend_from_slice(service.as_bytes());
    IssueId::new(ALGORITHM, xxh3_128(&key))
}

/// Whether an id is an issue of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Known already.
    Known,
    /// Admitted now.
    New,
    /// One too many: counts for this issue.
    Overflow(IssueId),
}

/// The distinct issues of each service, bounded.
#[derive(Debug)]
pub struct Caps {
    per_service: usize,
    services: HashMap<Box<str>, HashSet<IssueId>>,
}

impl Caps {
    /// None yet; at most `per_service` each.
    pub fn new(per_service: usize) -> Self {
        Self { per_service, services: HashMap::new() }
    }

    /// Takes one error's issue. Services beyond [`MAX_ERROR_SERVICES`] have an overflow issue only.
    pub fn admit(&mut self, service: &str, id: IssueId) -> Admission {
        if let Some(known) = self.services.get_mut(service) {
            return if known.contains(&id) {
                Admission::Known
            } else if known.len() < self.per_service {
                known.insert(id);
                Admission::New
            } else {
                Admission::Overflow(overflow(service))
            };
        }
        if self.services.len() >= MAX_ERROR_SERVICES {
            return Admission::Overflow(overflow(service));
        }
        self.services.insert(service.into(), HashSet::from_iter([id]));
        Admission::New
    }

    /// Distinct issues admitted.
    pub fn len(&self) -> usize {
        self.services.values().map(HashSet::len).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.services.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flood_of_issues_becomes_one_per_service_and_the_others_are_unharmed() {
        let mut caps = Caps::new(3);
        let id = |n: u128| IssueId::new(1, n << 8);
        for n in 0..3 {
            assert_eq!(caps.admit("shop", id(n)), Admission::New);
        }
        for n in 3..1_000 {
            assert_eq!(caps.admit("shop", id(n)), Admission::Overflow(overflow("shop")));
        }
        assert_eq!(caps.admit("shop", id(1)), Admission::Known);
        assert_eq!(caps.admit("cart", id(7)), Admission::New);
        assert_ne!(overflow("shop"), overflow("cart"));
        assert_eq!(caps.len(), 4);
    }
}
