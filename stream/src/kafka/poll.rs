//! The poll thread: takes records off the consumer, puts them into the partitions' queues.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::limits::MAX_BATCH_MESSAGES;
use schemas::time::EventTime;

use super::look::Looker;
use super::{Command, Consumer, SourceError, ranges, watermarks};
use crate::source::{Change, Event, Look as _, Replaced, Router, Start};
use stages::record::{Record, TopicPartition};

/// Wait for a record while nothing is paused; bounds how long a command waits.
const IDLE: Duration = Duration::from_millis(50);
/// The same while a partition waits to be resumed.
const PAUSED: Duration = Duration::from_millis(5);
/// Longest wait for librdkafka's own thread to begin a seek; it does not wait for a broker.
const SEEK: Duration = Duration::from_secs(1);

/// What is known about one assigned partition.
struct Position {
    partition: TopicPartition,
    /// Number of its queue.
    slot: usize,
    /// Offset of the next record in sequence.
    next: i64,
    /// Timestamp of the record before it, once one was read.
    last: Option<EventTime>,
    /// Records of this round, not yet handed over.
    pending: Vec<Record>,
    paused: bool,
    /// Out of range: nothing more is expected.
    ended: bool,
    /// The consumer is to go back to `next` first; what it delivers until then is not ours.
    rewind: bool,
}

/// The state of the poll thread.
pub(super) struct Poller {
    consumer: Arc<Consumer>,
    router: Arc<Router>,
    looker: Looker,
    positions: Vec<Position>,
    /// Topic, then partition number, to the index in `positions`.
    index: BTreeMap<Arc<str>, BTreeMap<i32, usize>>,
    /// As a member of a group: what the consumer was given.
    assigned: BTreeSet<TopicPartition>,
    /// The failure last told, so that a repeated one is told once.
    told: Option<RDKafkaErrorCode>,
    /// A fatal error: the thread ends.
    over: bool,
}

impl Poller {
    pub(super) fn new(consumer: Arc<Consumer>, router: Arc<Router>, looker: Looker) -> Self {
        let positions = Vec::new();
        let (index, assigned) = (BTreeMap::new(), BTreeSet::new());
        Self { consumer, router, looker, positions, index, assigned, told: None, over: false }
    }

    /// Polls until told to stop, until the source is dropped, or after a fatal error. Closes the consumer.
    pub(super) fn run(mut self, inbox: &Receiver<Command>) {
        let consumer = Arc::clone(&self.consumer);
        while !self.over {
            match inbox.try_recv() {
                Ok(Command::Assign(starts, reply)) => {
                    // The caller waits for this answer; it can not be gone.
                    reply.send(self.assign(starts)).ok();
                }
                Ok(Command::Add(starts, reply)) => {
                    reply.send(self.add(starts)).ok();
                }
                Ok(Command::Remove(partitions, reply)) => {
                    reply.send(self.remove(&partitions)).ok();
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {}
            }
            self.rewind();
            self.round(&consumer);
            self.hand_over();
            self.resume();
        }
        // From here on closing the consumer answers the group.
        consumer.context().close();
        self.router.close();
    }

    /// Takes what is there, at most one batch's worth.
    fn round(&mut self, consumer: &Consumer) {
        let mut wait =
            if self.positions.iter().any(|position| position.paused) { PAUSED } else { IDLE };
        for _ in 0..MAX_BATCH_MESSAGES {
            match consumer.poll(wait) {
                Some(Ok(message)) => self.accept(&message),
                Some(Err(error)) => self.on_error(&error),
                None => break,
            }
            wait = Duration::ZERO;
        }
    }

    fn accept(&mut self, message: &BorrowedMessage<'_>) {
        let found =
            self.index.get(message.topic()).and_then(|topic| topic.get(&message.partition()));
        let Some(position) = found.and_then(|index| self.positions.get_mut(*index)) else {
            // librdkafka can deliver from a partition that was just given up (librdkafka#1359).
            return;
        };
        let offset = message.offset();
        if position.ended || position.rewind || offset < position.next {
            tracing::debug!(offset, next = position.next, "repeated record dropped");
            return;
        }
        if offset > position.next {
            let expected = position.next;
            flush(&self.router, position);
            let partition = position.partition.clone();
            self.router.tell(position.slot, Event::Gap { partition, expected, found: offset });
        }
        let record = detach(message);
        (position.next, position.last) = (offset + 1, Some(record.timestamp));
        position.pending.push(record);
        self.told = None;
    }

    /// Puts the round's records into the queues; pauses partitions whose queue is full.
    fn hand_over(&mut self) {
        let mut full = TopicPartitionList::new();
        for position in self.positions.iter_mut().filter(|position| !position.pending.is_empty()) {
            if flush(&self.router, position) && !position.paused {
                position.paused = true;
                full.add_partition(&position.partition.topic, position.partition.partition);
            }
        }
        if full.count() > 0
            && let Err(error) = self.consumer.pause(&full)
        {
            // The queues may then grow past their limit until the workers catch up.
            tracing::warn!(%error, "can not pause partitions");
        }
    }

    fn resume(&mut self) {
        let mut drained = TopicPartitionList::new();
        for position in self.positions.iter_mut().filter(|position| position.paused) {
            if self.router.drained(position.slot) {
                position.paused = false;
                drained.add_partition(&position.partition.topic, position.partition.partition);
            }
        }
        if drained.count() > 0
            && let Err(error) = self.consumer.resume(&drained)
        {
            self.fail(format!("can not resume partitions: {error}; restart the worker"));
        }
    }

    /// Replaces the assignment. Nothing changes when a watermark can not be had.
    fn assign(&mut self, starts: Vec<Start>) -> Result<(), SourceError> {
        let found = self.ranges(&starts)?;
        self.positions.clear();
        self.index.clear();
        starts.into_iter().zip(found).for_each(|(start, range)| self.place(start, range));
        self.apply().map_err(|error| SourceError::Unavailable(format!("assign: {error}")))
    }

    /// Adds partitions, or moves those it has. A group waits for this even when there is nothing to add.
    fn add(&mut self, starts: Vec<Start>) -> Result<(), SourceError> {
        let failed = |error| SourceError::Unavailable(format!("assign: {error}"));
        if !self.consumer.context().is_member() {
            let found = self.ranges(&starts)?;
            self.forget(starts.iter().map(|start| &start.partition));
            starts.into_iter().zip(found).for_each(|(start, range)| self.place(start, range));
            return self.apply().map_err(failed);
        }
        // The claim has compared the offset with the watermarks; asking again would hold up the others.
        self.forget(starts.iter().map(|start| &start.partition));
        let mut new = TopicPartitionList::new();
        for start in starts {
            let TopicPartition { topic, partition } = &start.partition;
            let known = self.assigned.contains(&start.partition);
            if !known {
                new.add_partition_offset(topic, *partition, Offset::Offset(start.offset))
                    .map_err(failed)?;
            }
            let offset = start.offset;
            self.place(start, (offset, offset));
            if let Some(position) = self.positions.last_mut() {
                position.rewind = known;
            }
        }
        self.consumer.incremental_assign(&new).map_err(failed)?;
        self.assigned.extend(super::group::partitions(&new));
        Ok(())
    }

    /// Drops partitions. A group waits for this even when there is nothing to drop.
    fn remove(&mut self, partitions: &[TopicPartition]) -> Result<(), SourceError> {
        let failed = |error| SourceError::Unavailable(format!("unassign: {error}"));
        self.forget(partitions.iter());
        partitions.iter().for_each(|partition| _ = self.router.open(partition));
        if !self.consumer.context().is_member() {
            return self.apply().map_err(failed);
        }
        let mut gone = TopicPartitionList::new();
        for partition in partitions {
            if self.assigned.remove(partition) {
                gone.add_partition(&partition.topic, partition.partition);
            }
        }
        self.consumer.incremental_unassign(&gone).map_err(|error| {
            // All or nothing: the consumer has them still.
            self.assigned.extend(super::group::partitions(&gone));
            failed(error)
        })
    }

    fn ranges(&self, starts: &[Start]) -> Result<Vec<(i64, i64)>, SourceError> {
        let partitions: Vec<_> = starts.iter().map(|start| start.partition.clone()).collect();
        ranges(&self.consumer, &partitions)
    }

    /// A new position, at the end of the list, with an empty queue.
    fn place(&mut self, start: Start, (low, high): (i64, i64)) {
        let Start { partition, offset } = start;
        let slot = self.router.open(&partition);
        let ended = offset < low || offset > high;
        if ended {
            let partition = partition.clone();
            self.router.tell(slot, Event::OutOfRange { partition, asked: offset, low, high });
        }
        let topic = self.index.entry(Arc::clone(&partition.topic)).or_default();
        topic.insert(partition.partition, self.positions.len());
        self.positions.push(Position {
            partition,
            slot,
            next: offset,
            last: None,
            pending: Vec::new(),
            paused: false,
            ended,
            rewind: false,
        });
    }

    /// Drops positions, and with them what they have not handed over.
    fn forget<'p>(&mut self, partitions: impl Iterator<Item = &'p TopicPartition>) {
        let gone: BTreeSet<&TopicPartition> = partitions.collect();
        let mut paused = TopicPartitionList::new();
        for position in &self.positions {
            if position.paused && gone.contains(&position.partition) {
                paused.add_partition(&position.partition.topic, position.partition.partition);
            }
        }
        if let Err(error) = self.consumer.resume(&paused) {
            tracing::warn!(%error, "can not resume partitions that are given up");
        }
        self.positions.retain(|position| !gone.contains(&position.partition));
        self.index.clear();
        for (number, position) in self.positions.iter().enumerate() {
            let topic = self.index.entry(Arc::clone(&position.partition.topic)).or_default();
            topic.insert(position.partition.partition, number);
        }
    }

    /// Sends the consumer back where a position says so; tries again while the partition is only being started.
    fn rewind(&mut self) {
        for position in self.positions.iter_mut().filter(|position| position.rewind) {
            let TopicPartition { topic, partition } = &position.partition;
            match self.consumer.seek(topic, *partition, Offset::Offset(position.next), SEEK) {
                Ok(()) => position.rewind = false,
                Err(error) => tracing::debug!(%error, topic = &**topic, partition, "seeking again"),
            }
        }
    }

    /// Gives the consumer every partition that has not ended, from its next offset.
    fn apply(&mut self) -> Result<(), KafkaError> {
        if self.consumer.context().is_member() {
            // What is assigned is the group's decision; where to read from is ours.
            self.positions.iter_mut().for_each(|position| position.rewind = !position.ended);
            return Ok(());
        }
        let mut list = TopicPartitionList::new();
        for position in self.positions.iter_mut().filter(|position| !position.ended) {
            let TopicPartition { topic, partition } = &position.partition;
            list.add_partition_offset(topic, *partition, Offset::Offset(position.next))?;
            // An assignment starts unpaused.
            position.paused = false;
        }
        self.consumer.assign(&list)
    }

    fn on_error(&mut self, error: &KafkaError) {
        use RDKafkaErrorCode as Code;
        let code = error.rdkafka_error_code();
        if matches!(error, KafkaError::MessageConsumptionFatal(_)) || code == Some(Code::Fatal) {
            let fatal = self.consumer.client().fatal_error();
            self.fail(fatal.map_or_else(
                || format!("kafka consumer: {error}; restart the worker"),
                |(code, reason)| fatal_reason(code, &reason),
            ));
            return;
        }
        match code {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => self.on_refused_offset(),
            Some(
                code @ (Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicOrPartition
                | Code::TopicAuthorizationFailed
                | Code::BadMessage),
            ) if self.told != Some(code) => {
                self.told = Some(code);
                self.tell(format!("kafka consumer: {error}"));
            }
            _ => tracing::warn!(%error, "kafka consumer; it goes on by itself"),
        }
    }

    fn fail(&mut self, reason: String) {
        self.over = true;
        self.tell(reason);
    }

    /// A member may hold no partition, so no lane would hear of a failure.
    fn tell(&self, reason: String) {
        if !self.consumer.context().tell(Change::Failed(reason.clone())) {
            self.router.tell_all(&Event::Failed(reason));
        }
    }

    /// The broker refused an offset, and librdkafka does not say of which partition: ask for all.
    fn on_refused_offset(&mut self) {
        let found = self.find_out_of_range().and_then(|()| self.find_replaced());
        if let Err(error) = found {
            self.tell(format!("an offset is out of range: {error}"));
            return;
        }
        // librdkafka has stopped reading the partition it means: give it those that are in range again.
        if let Err(error) = self.apply() {
            self.fail(format!("can not assign partitions again: {error}; restart the worker"));
        }
    }

    fn find_out_of_range(&mut self) -> Result<(), SourceError> {
        for position in self.positions.iter_mut().filter(|position| !position.ended) {
            let (low, high) = watermarks(&self.consumer, &position.partition)?;
            if position.next < low || position.next > high {
                let (partition, asked) = (position.partition.clone(), position.next);
                end(&self.router, position, Event::OutOfRange { partition, asked, low, high });
            }
        }
        Ok(())
    }

    /// A topic that lost its end may have grown past what was read by now.
    fn find_replaced(&mut self) -> Result<(), SourceError> {
        let read = |position: &&mut Position| !position.ended && position.last.is_some();
        let mut read: Vec<&mut Position> = self.positions.iter_mut().filter(read).collect();
        let last = |position: &&mut Position| (position.partition.clone(), position.next - 1);
        let messages: Vec<(TopicPartition, i64)> = read.iter().map(last).collect();
        let found = self.looker.timestamps(&messages)?;
        for ((position, found), (partition, offset)) in read.iter_mut().zip(found).zip(messages) {
            if let (Some(read), Some(found)) = (position.last, found)
                && read != found
            {
                let other = Replaced { partition, offset, read, found };
                end(&self.router, position, Event::Replaced(other));
            }
        }
        Ok(())
    }
}

/// Nothing more is expected from this partition; what was read goes first.
fn end(router: &Router, position: &mut Position, why: Event) {
    flush(router, position);
    position.ended = true;
    router.tell(position.slot, why);
}

/// What a fatal error of librdkafka means for a person.
fn fatal_reason(code: RDKafkaErrorCode, reason: &str) -> String {
    if code == RDKafkaErrorCode::FencedInstanceId {
        return "the group takes another worker for this one: two have the same name (give each its own \
                worker.instance), or the broker was away for longer than worker.session_timeout; start it again"
            .to_owned();
    }
    format!("kafka consumer: {reason}; restart the worker")
}

/// Hands a partition's pending records over; true if its queue is full.
fn flush(router: &Router, position: &mut Position) -> bool {
    let records = std::mem::take(&mut position.pending);
    !records.is_empty() && router.push(position.slot, &position.partition, records)
}

/// A copy that outlives librdkafka's buffers.
fn detach(message: &BorrowedMessage<'_>) -> Record {
    let text = |bytes: Option<&[u8]>| std::str::from_utf8(bytes?).ok().map(Box::<str>::from);
    let headers = message.headers().map(|headers| {
        let pairs =
            headers.iter().filter_map(|header| Some((header.key.into(), text(header.value)?)));
        pairs.collect()
    });
    let millis = message.timestamp().to_millis();
    Record {
        offset: message.offset(),
        timestamp: millis.and_then(EventTime::from_millis).unwrap_or_default(),
        payload: message.payload().unwrap_or_default().to_vec(),
        headers: headers.unwrap_or_default(),
    }
}
