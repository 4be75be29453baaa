//! What all lanes of a worker know of the daily limits of indexes: what the commit log says everybody
//! has kept, and what the lanes here have handed over since.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use stages::pipeline::quota::{Kept, KeptByDay, add_kept};

/// Shared by the lanes, which add to it at each barrier, and the committer, which settles.
#[derive(Debug, Default)]
pub struct QuotaBook {
    counts: Mutex<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// As of the head of the log.
    committed: KeptByDay,
    /// In units that are not in the log yet.
    pending: KeptByDay,
    /// The sum.
    kept: Arc<KeptByDay>,
}

impl Counts {
    fn add_up(&mut self) {
        let mut kept = self.committed.clone();
        for ((index, day), events) in &self.pending {
            *kept.entry((index.clone(), *day)).or_default() += events;
        }
        self.kept = Arc::new(kept);
    }
}

impl QuotaBook {
    fn lock(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Kept by everybody so far, as far as this worker knows.
    pub fn kept(&self) -> Arc<KeptByDay> {
        Arc::clone(&self.lock().kept)
    }

    /// A lane has kept these in the unit it hands over.
    pub fn hand_over(&self, kept: &[Kept]) {
        if kept.is_empty() {
            return;
        }
        let mut counts = self.lock();
        add_kept(&mut counts.pending, kept);
        counts.add_up();
    }

    /// A unit with these is in the log, whose head now says `head`.
    pub fn settle(&self, head: &KeptByDay, unit: &[Kept]) {
        let mut counts = self.lock();
        for Kept { index, day, events } in unit {
            if let Some(pending) = counts.pending.get_mut(&(index.clone(), *day)) {
                *pending = pending.saturating_sub(*events);
            }
        }
        counts.pending.retain(|_, events| *events > 0);
        if counts.committed != *head || !unit.is_empty() {
            counts.committed.clone_from(head);
            counts.add_up();
        }
    }

    /// What was not committed is thrown away: only the log's counts hold.
    pub fn reset(&self, head: &KeptByDay) {
        let mut counts = self.lock();
        counts.pending.clear();
        counts.committed.clone_from(head);
        counts.add_up();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_pending_then_committed_and_never_both() {
        let book = QuotaBook::default();
        let key = |day| ("main".to_owned(), day);
        let kept = |day, events| vec![Kept { index: "main".to_owned(), day, events }];
        book.reset(&KeptByDay::from([(key(1), 10)]));
        book.hand_over(&kept(1, 5));
        book.hand_over(&kept(1, 2));
        assert_eq!(book.kept().get(&key(1)), Some(&17));
        // Another worker has kept 3 meanwhile.
        book.settle(&KeptByDay::from([(key(1), 18)]), &kept(1, 5));
        assert_eq!(book.kept().get(&key(1)), Some(&20));
        book.reset(&KeptByDay::from([(key(1), 18)]));
        assert_eq!(
            book.kept().get(&key(1)),
            Some(&18),
            "a unit that was thrown away counts no more"
        );
    }
}
