//! Records that crashed a lane. Decoder and stages are guarded one by one, and what panics there is a dead
//! letter at once; this is for what panics outside of those guards, where columns may be left half filled. The
//! lane is reset and everything not committed is read again; a record that crashes it twice is quarantined.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use schemas::limits::MAX_SUSPECTS;

use stages::record::TopicPartition;

/// Crashes after which a record is not read any more.
const QUARANTINED_AFTER: u32 = 2;

/// A record crashed a lane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Crash {
    /// Its partition.
    pub partition: TopicPartition,
    /// Its offset.
    pub offset: i64,
    /// How often by now.
    pub times: u32,
    /// What the panic said.
    pub panic: String,
}

impl Crash {
    /// Whether it crashes the lane even unread: reading it again does not help.
    pub fn is_hopeless(&self) -> bool {
        self.times > QUARANTINED_AFTER
    }
}

impl fmt::Display for Crash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let TopicPartition { topic, partition } = &self.partition;
        let Self { offset, times, panic, .. } = self;
        write!(
            f,
            "{topic}-{partition}: the record at offset {offset} crashed its lane, {times} times by now: {panic}"
        )
    }
}

/// All suspects of a worker, shared by its lanes: a partition may move from one to another.
#[derive(Debug, Default)]
pub struct Suspects {
    /// How many; looked at for every record, so that nothing is locked while there is none.
    count: AtomicUsize,
    known: Mutex<BTreeMap<(TopicPartition, i64), (u32, String)>>,
}

impl Suspects {
    /// Notes a crash.
    pub(super) fn crashed(&self, partition: &TopicPartition, offset: i64, panic: &str) -> Crash {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= MAX_SUSPECTS {
            // The oldest offsets of the first partition: committed long ago, most likely.
            known.pop_first();
        }
        let entry = known.entry((partition.clone(), offset)).or_default();
        entry.0 += 1;
        panic.clone_into(&mut entry.1);
        let times = entry.0;
        self.count.store(known.len(), Ordering::Release);
        Crash { partition: partition.clone(), offset, times, panic: panic.to_owned() }
    }

    /// Notes a record that is not to be read any more.
    pub(crate) fn convict(&self, partition: &TopicPartition, offset: i64, why: &str) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.insert((partition.clone(), offset), (QUARANTINED_AFTER, why.to_owned()));
        self.count.store(known.len(), Ordering::Release);
    }

    /// What the panic said, of a record that is not to be read any more.
    pub(crate) fn quarantined(&self, partition: &TopicPartition, offset: i64) -> Option<String> {
        if self.count.load(Ordering::Acquire) == 0 {
            return None;
        }
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let (times, panic) = known.get(&(partition.clone(), offset))?;
        (*times >= QUARANTINED_AFTER).then(|| panic.clone())
    }
}
