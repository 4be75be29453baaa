//! Bounded counters: per time, per value, and of distinct values.

use std::collections::{BTreeMap, BTreeSet};

use schemas::limits::{MAX_EXACT_AFFECTED, MAX_ISSUE_VALUES, OVERFLOW_VALUE};
use xxhash_rust::xxh3::xxh3_64;

/// Counts per bucket of time, the newest so many buckets.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Ring {
    buckets: BTreeMap<i64, u64>,
    /// What fell out at the old end, or came too late for it.
    older: u64,
}

impl Ring {
    /// Adds to a bucket; buckets `keep` or more before the newest are added up as one.
    pub fn add(&mut self, bucket: i64, count: u64, keep: usize) {
        *self.buckets.entry(bucket).or_default() += count;
        let Some((newest, _)) = self.buckets.last_key_value() else { return };
        let oldest = newest.saturating_sub(i64::try_from(keep).unwrap_or(i64::MAX));
        while let Some(entry) = self.buckets.first_entry().filter(|entry| *entry.key() <= oldest) {
            self.older += entry.remove();
        }
    }

    /// Takes from a bucket what turned out to belong elsewhere.
    pub fn take(&mut self, bucket: i64, count: u64) {
        let Some(found) = self.buckets.get_mut(&bucket) else {
            self.older = self.older.saturating_sub(count);
            return;
        };
        *found = found.saturating_sub(count);
        if *found == 0 {
            self.buckets.remove(&bucket);
        }
    }

    /// The count of one bucket.
    pub fn at(&self, bucket: i64) -> u64 {
        self.buckets.get(&bucket).copied().unwrap_or_default()
    }

    /// The counts of buckets from `from` on, before `to`.
    pub fn sum(&self, from: i64, to: i64) -> u64 {
        if from >= to {
            return 0;
        }
        self.buckets.range(from..to).map(|(_, count)| count).sum()
    }

    /// The newest so many buckets that have a count, oldest first.
    pub fn newest(&self, most: usize) -> impl Iterator<Item = (i64, u64)> {
        let skip = self.buckets.len().saturating_sub(most);
        self.buckets.iter().skip(skip).map(|(bucket, count)| (*bucket, *count))
    }

    /// Adds another ring's counts.
    pub fn join(&mut self, other: &Self, keep: usize) {
        other.buckets.iter().for_each(|(bucket, count)| self.add(*bucket, *count, keep));
        self.older += other.older;
    }
}

/// Counts per value; what is over [`MAX_ISSUE_VALUES`] values is one count that says so.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Values(BTreeMap<String, u64>);

impl Values {
    /// Counts a value.
    pub fn add(&mut self, value: &str, count: u64) {
        if let Some(known) = self.0.get_mut(value) {
            *known += count;
        } else if self.0.len() < MAX_ISSUE_VALUES {
            self.0.insert(value.to_owned(), count);
        } else {
            *self.0.entry(OVERFLOW_VALUE.to_owned()).or_default() += count;
        }
    }

    /// Takes a count back.
    pub fn take(&mut self, value: &str, count: u64) {
        let value = if self.0.contains_key(value) { value } else { OVERFLOW_VALUE };
        if let Some(known) = self.0.get_mut(value) {
            *known = known.saturating_sub(count);
        }
        self.0.retain(|_, count| *count > 0);
    }

    /// The values and their counts.
    pub fn iter(&self) -> impl Iterator<Item = (&str, u64)> {
        self.0.iter().map(|(value, count)| (value.as_str(), *count))
    }

    /// Adds another's counts.
    pub fn join(&mut self, other: &Self) {
        other.iter().for_each(|(value, count)| self.add(value, count));
    }
}

/// How many distinct values: exact up to [`MAX_EXACT_AFFECTED`], then estimated from the smallest of their
/// hashes (k minimum values, Bar-Yossef et al. 2002; about 6 % off with 256).
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Distinct {
    smallest: BTreeSet<u64>,
    /// Whether some were left out.
    over: bool,
}

impl Distinct {
    /// Counts a value, once however often it comes. Empty means unknown.
    pub fn add(&mut self, value: &str) {
        if !value.is_empty() {
            self.add_hash(xxh3_64(value.as_bytes()));
        }
    }

    fn add_hash(&mut self, hash: u64) {
        self.smallest.insert(hash);
        if self.smallest.len() > MAX_EXACT_AFFECTED {
            self.smallest.pop_last();
            self.over = true;
        }
    }

    /// Adds another's values.
    pub fn join(&mut self, other: &Self) {
        other.smallest.iter().for_each(|hash| self.add_hash(*hash));
        self.over |= other.over;
    }

    /// How many there are, about.
    pub fn estimate(&self) -> u64 {
        let known = self.smallest.len() as u64;
        match self.smallest.last() {
            Some(largest) if self.over => {
                let share = *largest as f64 / u64::MAX as f64;
                ((known - 1) as f64 / share) as u64
            }
            _ => known,
        }
    }

    /// Whether [`Self::estimate`] is exact.
    pub fn is_exact(&self) -> bool {
        !self.over
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distinct_values_are_exact_while_few_and_close_when_many() {
        let mut few = Distinct::default();
        (0..200).for_each(|n| few.add(&format!("user-{}", n % 100)));
        assert_eq!((few.estimate(), few.is_exact()), (100, true));
        let mut many = Distinct::default();
        (0..50_000).for_each(|n| many.add(&format!("user-{n}")));
        let error = many.estimate().abs_diff(50_000);
        assert!(error < 10_000 && !many.is_exact(), "{}", many.estimate());
    }

    #[test]
    fn a_ring_forgets_the_oldest_and_keeps_their_sum() {
        let mut ring = Ring::default();
        for bucket in [5, 3, 4, 9, 1] {
            ring.add(bucket, 2, 5);
        }
        assert_eq!(ring.newest(9).collect::<Vec<_>>(), [(5, 2), (9, 2)]);
        assert_eq!((ring.older, ring.sum(0, 9)), (6, 2));
        ring.take(9, 2);
        assert_eq!(ring.at(9), 0);
    }

    #[test]
    fn too_many_values_are_counted_as_one_that_says_so() {
        let mut values = Values::default();
        (0..MAX_ISSUE_VALUES + 10).for_each(|n| values.add(&format!("host-{n:03}"), 1));
        assert_eq!(values.0.len(), MAX_ISSUE_VALUES + 1);
        assert_eq!(values.0[OVERFLOW_VALUE], 10);
    }
}
