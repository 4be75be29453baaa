//! The poll thread: takes records off the consumer, puts them into the partitions' queues.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, TryRecvError};
use std::time::Duration;

use rdkafka::consumer::Consumer as _;
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Headers, Message};
use rdkafka::{Offset, TopicPartitionList};
use schemas::limits::MAX_BATCH_MESSAGES;
use schemas::time::EventTime;

use super::{Command, Consumer, SourceError, ranges, watermarks};
use crate::record::{Record, TopicPartition};
use crate::source::{Event, Router, Start};

/// Wait for a record while nothing is paused; bounds how long a command waits.
const IDLE: Duration = Duration::from_millis(50);
/// The same while a partition waits to be resumed.
const PAUSED: Duration = Duration::from_millis(5);

/// What is known about one assigned partition.
struct Position {
    partition: TopicPartition,
    /// Number of its queue.
    slot: usize,
    /// Offset of the next record in sequence.
    next: i64,
    /// Records of this round, not yet handed over.
    pending: Vec<Record>,
    paused: bool,
    /// Out of range: nothing more is expected.
    ended: bool,
}

/// The state of the poll thread.
pub(super) struct Poller {
    consumer: Arc<Consumer>,
    router: Arc<Router>,
    positions: Vec<Position>,
    /// Topic, then partition number, to the index in `positions`.
    index: BTreeMap<Arc<str>, BTreeMap<i32, usize>>,
    /// The failure last told, so that a repeated one is told once.
    told: Option<RDKafkaErrorCode>,
    /// A fatal error: the thread ends.
    over: bool,
}

impl Poller {
    pub(super) fn new(consumer: Arc<Consumer>, router: Arc<Router>) -> Self {
        let positions = Vec::new();
        Self { consumer, router, positions, index: BTreeMap::new(), told: None, over: false }
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
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => break,
                Err(TryRecvError::Empty) => {}
            }
            self.round(&consumer);
            self.hand_over();
            self.resume();
        }
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
        if position.ended || offset < position.next {
            tracing::debug!(offset, next = position.next, "repeated record dropped");
            return;
        }
        if offset > position.next {
            let expected = position.next;
            flush(&self.router, position);
            let partition = position.partition.clone();
            self.router.tell(position.slot, Event::Gap { partition, expected, found: offset });
        }
        position.next = offset + 1;
        position.pending.push(detach(message));
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
        let partitions: Vec<_> = starts.iter().map(|start| start.partition.clone()).collect();
        let ranges = ranges(&self.consumer, &partitions)?;
        self.positions.clear();
        self.index.clear();
        for (Start { partition, offset }, (low, high)) in starts.into_iter().zip(ranges) {
            let slot = self.router.open(&partition);
            let ended = offset < low || offset > high;
            if ended {
                let partition = partition.clone();
                self.router.tell(slot, Event::OutOfRange { partition, asked: offset, low, high });
            }
            let topic = self.index.entry(Arc::clone(&partition.topic)).or_default();
            topic.insert(partition.partition, self.positions.len());
            let pending = Vec::new();
            self.positions.push(Position {
                partition,
                slot,
                next: offset,
                pending,
                paused: false,
                ended,
            });
        }
        self.apply().map_err(|error| SourceError::Unavailable(format!("assign: {error}")))
    }

    /// Gives the consumer every partition that has not ended, from its next offset.
    fn apply(&mut self) -> Result<(), KafkaError> {
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
            self.fail(format!("kafka consumer: {error}; restart the worker"));
            return;
        }
        match code {
            Some(Code::AutoOffsetReset | Code::OffsetOutOfRange) => self.find_out_of_range(),
            Some(
                code @ (Code::UnknownTopic
                | Code::UnknownPartition
                | Code::UnknownTopicOrPartition
                | Code::TopicAuthorizationFailed
                | Code::BadMessage),
            ) if self.told != Some(code) => {
                self.told = Some(code);
                self.router.tell_all(&Event::Failed(format!("kafka consumer: {error}")));
            }
            _ => tracing::warn!(%error, "kafka consumer; it goes on by itself"),
        }
    }

    fn fail(&mut self, reason: String) {
        self.over = true;
        self.router.tell_all(&Event::Failed(reason));
    }

    /// The broker refused an offset, and librdkafka does not say of which partition: ask for all.
    fn find_out_of_range(&mut self) {
        for position in self.positions.iter_mut().filter(|position| !position.ended) {
            let (low, high) = match watermarks(&self.consumer, &position.partition) {
                Ok(range) => range,
                Err(error) => {
                    self.router
                        .tell_all(&Event::Failed(format!("an offset is out of range: {error}")));
                    return;
                }
            };
            if position.next < low || position.next > high {
                flush(&self.router, position);
                position.ended = true;
                let (partition, asked) = (position.partition.clone(), position.next);
                self.router.tell(position.slot, Event::OutOfRange { partition, asked, low, high });
            }
        }
        // librdkafka has stopped reading the partition it means: give it those that are in range again.
        if let Err(error) = self.apply() {
            self.fail(format!("can not assign partitions again: {error}; restart the worker"));
        }
    }
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
