//! Bounded queues between the poll thread and the workers: one per partition, grouped in lanes.
//!
//! The poll thread never waits here. It learns from [`Router::push`] that a partition is full and
//! pauses it; [`Router::drained`] tells it which ones to resume.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use schemas::limits::{MAX_PARTITION_QUEUE_BYTES, MAX_PARTITION_QUEUE_MESSAGES};

use super::{Batch, Event};
use stages::record::{Record, TopicPartition};

/// All queues of a source.
#[derive(Debug, Default)]
pub(crate) struct Router {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    slots: Vec<Slot>,
    by_partition: BTreeMap<TopicPartition, usize>,
    /// One bell per lane, all under this one lock: it is taken once per batch, not per record.
    bells: Vec<Arc<Condvar>>,
    /// Lanes that were dropped; their numbers are given out again.
    free: Vec<usize>,
    /// The source has ended; nothing more will come.
    closed: bool,
}

/// The queue of one partition.
#[derive(Debug)]
struct Slot {
    partition: TopicPartition,
    events: VecDeque<Event>,
    messages: usize,
    bytes: usize,
    lane: Option<usize>,
}

impl Slot {
    /// At half a limit or above, on a scale where 2 is the limit.
    fn fullness(&self) -> usize {
        let messages = 2 * self.messages / MAX_PARTITION_QUEUE_MESSAGES;
        messages.max(2 * self.bytes / MAX_PARTITION_QUEUE_BYTES)
    }

    fn take(&mut self) -> Option<Event> {
        let event = self.events.pop_front()?;
        if let Event::Batch(batch) = &event {
            self.messages -= batch.records.len();
            self.bytes -= weight(&batch.records);
        }
        Some(event)
    }
}

/// Bytes that records keep in memory.
fn weight(records: &[Record]) -> usize {
    records.iter().map(record_weight).sum()
}

/// Bytes one record keeps in memory.
fn record_weight(record: &Record) -> usize {
    let headers: usize = record.headers.iter().map(|(key, value)| key.len() + value.len()).sum();
    size_of::<Record>() + record.payload.len() + headers
}

impl State {
    fn slot(&mut self, partition: &TopicPartition) -> usize {
        if let Some(index) = self.by_partition.get(partition) {
            return *index;
        }
        let index = self.slots.len();
        self.slots.push(Slot {
            partition: partition.clone(),
            events: VecDeque::new(),
            messages: 0,
            bytes: 0,
            lane: None,
        });
        self.by_partition.insert(partition.clone(), index);
        index
    }

    fn give(&mut self, partitions: &[TopicPartition], lane: usize) {
        for partition in partitions {
            let index = self.slot(partition);
            if let Some(slot) = self.slots.get_mut(index) {
                slot.lane = Some(lane);
            }
        }
    }

    fn ring(&self, lane: Option<usize>) {
        if let Some(bell) = lane.and_then(|lane| self.bells.get(lane)) {
            bell.notify_all();
        }
    }

    fn put(&mut self, index: usize, event: Event) {
        let Some(slot) = self.slots.get_mut(index) else { return };
        if let Event::Batch(batch) = &event {
            slot.messages += batch.records.len();
            slot.bytes += weight(&batch.records);
        }
        slot.events.push_back(event);
        let lane = slot.lane;
        self.ring(lane);
    }
}

impl Router {
    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves the queues whole: every step is one push or pop.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number of a partition's queue; made empty if `partition` had one.
    pub(crate) fn open(&self, partition: &TopicPartition) -> usize {
        let mut state = self.lock();
        let index = state.slot(partition);
        if let Some(slot) = state.slots.get_mut(index) {
            slot.events.clear();
            slot.messages = 0;
            slot.bytes = 0;
        }
        index
    }

    /// Puts records into a queue; true if the partition is to be paused.
    pub(crate) fn push(
        &self,
        slot: usize,
        partition: &TopicPartition,
        records: Vec<Record>,
    ) -> bool {
        let mut state = self.lock();
        state.put(slot, Event::Batch(Batch { partition: partition.clone(), records }));
        state.slots.get(slot).is_some_and(|slot| slot.fullness() >= 2)
    }

    /// Puts something else into a queue, behind the records already there.
    pub(crate) fn tell(&self, slot: usize, event: Event) {
        self.lock().put(slot, event);
    }

    /// Tells every lane, through the first queue of each.
    pub(crate) fn tell_all(&self, event: &Event) {
        let mut state = self.lock();
        for lane in 0..state.bells.len() {
            let first = state.slots.iter().position(|slot| slot.lane == Some(lane));
            if let Some(index) = first {
                state.put(index, event.clone());
            }
        }
    }

    /// Whether a paused partition is to be resumed: below half of both limits.
    pub(crate) fn drained(&self, slot: usize) -> bool {
        self.lock().slots.get(slot).is_none_or(|slot| slot.fullness() == 0)
    }

    /// Nothing more will come: waiting lanes wake up.
    pub(crate) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        state.bells.iter().for_each(|bell| bell.notify_all());
    }

    /// A lane over these partitions.
    pub(crate) fn lane(self: &Arc<Self>, partitions: &[TopicPartition]) -> Lane {
        let mut state = self.lock();
        let bell = Arc::new(Condvar::new());
        let lane = state.free.pop().unwrap_or(state.bells.len());
        match state.bells.get_mut(lane) {
            Some(place) => *place = Arc::clone(&bell),
            None => state.bells.push(Arc::clone(&bell)),
        }
        state.give(partitions, lane);
        Lane { router: Arc::clone(self), bell, lane, next: Mutex::new(0) }
    }
}

/// The receiving side of a group of partitions, for one worker thread. Taking an event frees its
/// share of the queue.
#[derive(Debug)]
pub struct Lane {
    router: Arc<Router>,
    bell: Arc<Condvar>,
    lane: usize,
    /// Where the search for the next event begins, so that a busy partition does not starve others.
    next: Mutex<usize>,
}

impl Lane {
    /// The next event; waits at most this long. `None` at once when the source has stopped and the queues
    /// are empty.
    pub fn recv_timeout(&self, timeout: Duration) -> Option<Event> {
        let state = self.router.lock();
        let waiting = |state: &mut State| !state.closed && !self.ready(state);
        let waited = self.bell.wait_timeout_while(state, timeout, waiting);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        self.take(&mut state)
    }

    /// The next event, if one is there.
    pub fn try_recv(&self) -> Option<Event> {
        self.take(&mut self.router.lock())
    }

    /// Takes on more partitions; what waits in their queues is delivered.
    pub fn take_on(&self, partitions: &[TopicPartition]) {
        self.router.lock().give(partitions, self.lane);
    }

    /// Receives nothing more of these partitions.
    pub fn let_go(&self, partitions: &[TopicPartition]) {
        for slot in &mut self.router.lock().slots {
            if slot.lane == Some(self.lane) && partitions.contains(&slot.partition) {
                slot.lane = None;
            }
        }
    }

    /// Receives nothing more of any partition.
    pub fn let_go_of_all(&self) {
        for slot in &mut self.router.lock().slots {
            if slot.lane == Some(self.lane) {
                slot.lane = None;
            }
        }
    }

    /// Partitions of this lane, sorted.
    pub fn partitions(&self) -> Vec<TopicPartition> {
        let state = self.router.lock();
        let mine = state.slots.iter().filter(|slot| slot.lane == Some(self.lane));
        let mut mine: Vec<TopicPartition> = mine.map(|slot| slot.partition.clone()).collect();
        mine.sort();
        mine
    }

    /// Messages waiting in the queues of this lane.
    pub fn messages(&self) -> usize {
        let state = self.router.lock();
        state
            .slots
            .iter()
            .filter(|slot| slot.lane == Some(self.lane))
            .map(|slot| slot.messages)
            .sum()
    }

    fn ready(&self, state: &State) -> bool {
        state.slots.iter().any(|slot| slot.lane == Some(self.lane) && !slot.events.is_empty())
    }

    fn take(&self, state: &mut State) -> Option<Event> {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let count = state.slots.len();
        let first = *next;
        let order = (0..count).map(|step| (first + step) % count);
        for index in order {
            let slot = state.slots.get_mut(index)?;
            if slot.lane == Some(self.lane)
                && let Some(event) = slot.take()
            {
                *next = index + 1;
                return Some(event);
            }
        }
        None
    }
}

impl Drop for Lane {
    fn drop(&mut self) {
        self.let_go_of_all();
        self.router.lock().free.push(self.lane);
    }
}

#[cfg(test)]
mod tests;
