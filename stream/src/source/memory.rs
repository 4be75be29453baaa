//! A source in memory, for tests of what stands behind a [`Source`]: a [`MemoryLog`] plays the
//! cluster and outlives the sources opened on it, so that a test can stop a worker and start another.
//!
//! Simpler than Kafka in one point: queues are not bounded, the test decides how much there is.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use schemas::limits::MAX_BATCH_MESSAGES;
use schemas::time::EventTime;

use super::{Changes, Event, Lane, Look, PartitionInfo, Router, Source, SourceError, Start};
use stages::record::{Record, TopicPartition};

mod group;

pub use group::MemoryGroup;

/// Topics in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemoryLog {
    shared: Arc<Mutex<Shared>>,
}

#[derive(Debug, Default)]
struct Shared {
    partitions: BTreeMap<TopicPartition, Kept>,
    readers: Vec<Weak<Reader>>,
    hints: BTreeMap<TopicPartition, i64>,
}

/// One partition's records; offsets ascend, with holes where the test made them.
#[derive(Debug, Default)]
struct Kept {
    low: i64,
    high: i64,
    records: Vec<Record>,
}

/// One open source.
#[derive(Debug, Default)]
struct Reader {
    router: Arc<Router>,
    /// Queue number and next offset of each assigned partition.
    positions: Mutex<BTreeMap<TopicPartition, (usize, i64)>>,
}

impl MemoryLog {
    /// No topics.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a topic with empty partitions; an existing one is left as it is.
    pub fn create_topic(&self, topic: &str, partitions: i32) {
        let topic: Arc<str> = topic.into();
        let mut shared = self.lock();
        for partition in 0..partitions {
            let partition = TopicPartition { topic: Arc::clone(&topic), partition };
            shared.partitions.entry(partition).or_default();
        }
    }

    /// Appends records, giving them the next offsets, and delivers them as one batch to the sources that read
    /// the partition. Returns the offset of the first. Creates the partition if it is missing.
    pub fn append(&self, partition: &TopicPartition, records: Vec<Record>) -> i64 {
        let mut shared = self.lock();
        let kept = shared.partitions.entry(partition.clone()).or_default();
        let first = kept.high;
        for mut record in records {
            record.offset = kept.high;
            kept.high += 1;
            kept.records.push(record);
        }
        shared.deliver(partition);
        first
    }

    /// Leaves out `count` offsets, as compaction and transactions do.
    pub fn skip(&self, partition: &TopicPartition, count: i64) {
        let mut shared = self.lock();
        shared.partitions.entry(partition.clone()).or_default().high += count;
    }

    /// Drops everything before `low`, as retention does.
    pub fn truncate(&self, partition: &TopicPartition, low: i64) {
        let mut shared = self.lock();
        if let Some(kept) = shared.partitions.get_mut(partition) {
            kept.low = low;
            kept.records.retain(|record| record.offset >= low);
        }
    }

    /// Empties a partition and begins it again at offset 0, as deleting and creating its topic does.
    pub fn make_anew(&self, partition: &TopicPartition) {
        self.lock().partitions.insert(partition.clone(), Kept::default());
    }

    /// Makes every open source say that it failed.
    pub fn fail(&self, reason: &str) {
        let shared = self.lock();
        for reader in shared.readers.iter().filter_map(Weak::upgrade) {
            reader.router.tell_all(&Event::Failed(reason.to_owned()));
        }
    }

    /// The last offset hinted for a partition.
    pub fn hint(&self, partition: &TopicPartition) -> Option<i64> {
        self.lock().hints.get(partition).copied()
    }

    /// Opens a source on this log.
    pub fn open(&self) -> MemorySource {
        let reader = Arc::new(Reader::default());
        self.lock().readers.push(Arc::downgrade(&reader));
        MemorySource { log: self.clone(), reader, group: None, member: None }
    }

    /// Opens a source that reads what the group gives it.
    pub fn open_in(&self, group: &MemoryGroup) -> MemorySource {
        MemorySource { group: Some(group.clone()), ..self.open() }
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shared {
    fn deliver(&mut self, partition: &TopicPartition) {
        self.readers.retain(|reader| reader.strong_count() > 0);
        let Some(kept) = self.partitions.get(partition) else { return };
        for reader in self.readers.iter().filter_map(Weak::upgrade) {
            reader.deliver(partition, kept);
        }
    }
}

impl Reader {
    fn deliver(&self, partition: &TopicPartition, kept: &Kept) {
        let mut positions = self.positions.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((slot, next)) = positions.get_mut(partition) else { return };
        let from = kept.records.partition_point(|record| record.offset < *next);
        let mut rest = kept.records.get(from..).unwrap_or_default();
        while let Some(first) = rest.first() {
            if first.offset > *next {
                let (expected, found) = (*next, first.offset);
                self.router
                    .tell(*slot, Event::Gap { partition: partition.clone(), expected, found });
                *next = found;
            }
            let run =
                rest.iter().zip(*next..).take_while(|(record, offset)| record.offset == *offset);
            let (batch, after) = rest.split_at(run.take(MAX_BATCH_MESSAGES).count());
            *next += batch.len() as i64;
            rest = after;
            self.router.push(*slot, partition, batch.to_vec());
        }
    }
}

impl Look for MemoryLog {
    fn timestamps(
        &self,
        messages: &[(TopicPartition, i64)],
    ) -> Result<Vec<Option<EventTime>>, SourceError> {
        let shared = self.lock();
        let timestamp = |(partition, offset): &(TopicPartition, i64)| {
            let records = &shared.partitions.get(partition)?.records;
            Some(records.iter().find(|record| record.offset == *offset)?.timestamp)
        };
        Ok(messages.iter().map(timestamp).collect())
    }
}

/// A source on a [`MemoryLog`].
#[derive(Debug)]
pub struct MemorySource {
    log: MemoryLog,
    reader: Arc<Reader>,
    group: Option<MemoryGroup>,
    /// Its number in the group, once joined.
    member: Option<usize>,
}

impl Source for MemorySource {
    fn partitions(
        &self,
        topics: &[String],
        _: Duration,
    ) -> Result<Vec<PartitionInfo>, SourceError> {
        let shared = self.log.lock();
        let mut found = Vec::new();
        for topic in topics {
            let before = found.len();
            let of_topic =
                shared.partitions.iter().filter(|(partition, _)| *partition.topic == **topic);
            found.extend(of_topic.map(|(partition, kept)| PartitionInfo {
                partition: partition.clone(),
                low: kept.low,
                high: kept.high,
            }));
            if found.len() == before {
                return Err(SourceError::UnknownTopic(topic.clone()));
            }
        }
        found.sort_by(|a, b| a.partition.cmp(&b.partition));
        Ok(found)
    }

    fn look(&self) -> Arc<dyn Look> {
        Arc::new(self.log.clone())
    }

    fn assign(&mut self, starts: Vec<Start>) -> Result<(), SourceError> {
        self.reader.positions.lock().unwrap_or_else(PoisonError::into_inner).clear();
        self.add(starts)
    }

    fn join(&mut self, _: &[String]) -> Result<Option<Changes>, SourceError> {
        let Some(group) = &self.group else { return Ok(None) };
        let (member, changes) = group.join();
        self.member = Some(member);
        Ok(Some(changes))
    }

    fn add(&mut self, starts: Vec<Start>) -> Result<(), SourceError> {
        let shared = self.log.lock();
        let mut positions = self.reader.positions.lock().unwrap_or_else(PoisonError::into_inner);
        for Start { partition, offset } in &starts {
            let slot = self.reader.router.open(partition);
            let kept = shared.partitions.get(partition);
            let (low, high) = kept.map_or((0, 0), |kept| (kept.low, kept.high));
            if *offset < low || *offset > high {
                let partition = partition.clone();
                self.reader
                    .router
                    .tell(slot, Event::OutOfRange { partition, asked: *offset, low, high });
            } else {
                positions.insert(partition.clone(), (slot, *offset));
            }
        }
        drop(positions);
        for (partition, kept) in &shared.partitions {
            self.reader.deliver(partition, kept);
        }
        Ok(())
    }

    fn remove(&mut self, partitions: &[TopicPartition]) -> Result<(), SourceError> {
        {
            // In the order of a delivery: the log, then the positions.
            let _shared = self.log.lock();
            let mut positions =
                self.reader.positions.lock().unwrap_or_else(PoisonError::into_inner);
            for partition in partitions {
                positions.remove(partition);
                self.reader.router.open(partition);
            }
        }
        if let (Some(group), Some(member)) = (&self.group, self.member) {
            group.removed(member, partitions);
        }
        Ok(())
    }

    fn lane(&mut self, partitions: &[TopicPartition]) -> Lane {
        self.reader.router.lane(partitions)
    }

    fn store_hint(&self, offsets: &[(TopicPartition, i64)]) {
        self.log.lock().hints.extend(offsets.iter().cloned());
    }

    fn cluster_id(&self) -> Option<String> {
        Some("memory".to_owned())
    }

    fn stop(self: Box<Self>) {
        if let (Some(group), Some(member)) = (&self.group, self.member) {
            group.leave(member);
        }
        self.reader.router.close();
    }
}

#[cfg(test)]
mod tests;
