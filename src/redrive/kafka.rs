//! Original messages, what was sent already, and sending: over the worker's consumer and the intake's producer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use ingest::kafka::Producer;
use ingest::sink::{Message, SendError, Sink as _};
use schemas::topic::REDRIVEN;
use stages::record::{Record, TopicPartition};
use stream::clock::System;
use stream::kafka::KafkaSource;
use stream::source::{Event, PartitionInfo, Source, SourceError, Start};

use super::journal::Journal;
use super::letter::{Key, Letter};

/// Longest wait for an answer about topics.
const ANSWER: Duration = Duration::from_secs(20);
/// Longest wait for the next message of a partition.
const NEXT: Duration = Duration::from_secs(20);
/// Offsets that are read through rather than skipped.
const NEAR: i64 = 1_000;

/// Why Kafka was of no use.
#[derive(Debug, thiserror::Error)]
pub enum KafkaError {
    /// Reading.
    #[error("{0} (is `tidemill up` running?)")]
    Source(#[from] SourceError),
    /// The producer.
    #[error(transparent)]
    Producer(#[from] ingest::kafka::Error),
    /// Sending.
    #[error("{0}; what was sent is known: finish with `tidemill redrive --resume`")]
    Send(#[from] SendError),
    /// A partition said nothing.
    #[error("{topic}-{partition}: no message came from offset {offset} on")]
    Silent {
        /// Topic.
        topic: String,
        /// Partition.
        partition: i32,
        /// The offset wanted.
        offset: i64,
    },
    /// The thread that asks.
    #[error("cannot ask Kafka: {0}")]
    Thread(#[from] tokio::task::JoinError),
}

/// Messages by partition and offset.
pub type Originals = BTreeMap<(TopicPartition, i64), Record>;

/// How to reach Kafka.
#[derive(Debug, Clone)]
pub struct Broker {
    /// For reading.
    pub source: stream::kafka::Config,
    /// For sending; its topics are replaced by each letter's.
    pub producer: ingest::kafka::Config,
}

impl Broker {
    /// The messages of these letters that Kafka still has.
    pub(super) async fn originals(&self, letters: &[Letter]) -> Result<Originals, KafkaError> {
        let mut wanted: BTreeMap<TopicPartition, BTreeSet<i64>> = BTreeMap::new();
        for (partition, offset) in letters.iter().map(Letter::place) {
            wanted.entry(partition).or_default().insert(offset);
        }
        self.ask(move |source| {
            let mut found = Originals::new();
            let infos = watermarks(source, wanted.keys())?;
            for info in infos {
                let Some(offsets) = wanted.get(&info.partition) else { continue };
                let there = offsets.iter().copied().filter(|o| (info.low..info.high).contains(o));
                fetch(source, &info.partition, &there.collect::<Vec<_>>(), &mut found)?;
            }
            Ok(found)
        })
        .await
    }

    /// Where the letters' topics end now.
    pub(super) async fn ends(
        &self,
        letters: &[Letter],
    ) -> Result<Vec<(String, i32, i64)>, KafkaError> {
        let topics: BTreeSet<TopicPartition> = letters.iter().map(|l| l.place().0).collect();
        self.ask(move |source| {
            let end = |info: PartitionInfo| {
                let TopicPartition { topic, partition } = info.partition;
                (topic.to_string(), partition, info.high)
            };
            Ok(watermarks(source, topics.iter())?.into_iter().map(end).collect())
        })
        .await
    }

    /// Which letters of this run the topics have since it began.
    pub(super) async fn arrived(&self, journal: &Journal) -> Result<BTreeSet<Key>, KafkaError> {
        let journal = journal.clone();
        self.ask(move |source| {
            let marks: BTreeMap<String, Key> =
                journal.letters.iter().map(|key| (key.mark(&journal.id), key.clone())).collect();
            let partition = |topic: &String, partition| TopicPartition {
                topic: topic.as_str().into(),
                partition,
            };
            let places: Vec<_> = journal.ends.iter().map(|(t, p, _)| partition(t, *p)).collect();
            let mut arrived = BTreeSet::new();
            for info in watermarks(source, places.iter())? {
                let end = journal.ends.iter().find(|(t, p, _)| partition(t, *p) == info.partition);
                let from = end.map_or(info.low, |(_, _, end)| *end).max(info.low);
                read(source, &info.partition, from, info.high, &mut |record| {
                    let key = record.header(REDRIVEN).and_then(|mark| marks.get(mark));
                    arrived.extend(key.cloned());
                })?;
            }
            Ok(arrived)
        })
        .await
    }

    /// Sends the messages, each with the mark of its letter; returns when Kafka has acknowledged all.
    pub(super) async fn send(
        &self,
        journal: &Journal,
        letters: &[Letter],
        messages: Vec<Message>,
        arrived: &BTreeSet<Key>,
    ) -> Result<(), KafkaError> {
        let mut topics: BTreeMap<String, Vec<Message>> = BTreeMap::new();
        for (letter, mut message) in letters.iter().zip(messages) {
            let key = letter.key();
            if !arrived.contains(&key) {
                message.headers.push((REDRIVEN, key.mark(&journal.id)));
                topics.entry(key.topic).or_default().push(message);
            }
        }
        for (topic, messages) in topics {
            let mut config = self.producer.clone();
            for name in [&mut config.logs_topic, &mut config.spans_topic, &mut config.metrics_topic]
            {
                name.clone_from(&topic);
            }
            Producer::connect(&config)?.send(messages).await?;
        }
        Ok(())
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&mut dyn Source) -> Result<T, KafkaError> + Send + 'static,
    ) -> Result<T, KafkaError> {
        let config = self.source.clone();
        tokio::task::spawn_blocking(move || {
            let mut source = Box::new(KafkaSource::connect(&config, System::shared())?);
            let answer = question(source.as_mut());
            source.stop();
            answer
        })
        .await?
    }
}

fn watermarks<'p>(
    source: &dyn Source,
    partitions: impl Iterator<Item = &'p TopicPartition>,
) -> Result<Vec<PartitionInfo>, KafkaError> {
    let topics: BTreeSet<String> = partitions.map(|p| p.topic.to_string()).collect();
    if topics.is_empty() {
        return Ok(Vec::new());
    }
    Ok(source.partitions(&topics.into_iter().collect::<Vec<_>>(), ANSWER)?)
}

/// Reads the messages at these offsets, ascending; those near one another in one go.
fn fetch(
    source: &mut dyn Source,
    partition: &TopicPartition,
    offsets: &[i64],
    found: &mut Originals,
) -> Result<(), KafkaError> {
    let mut rest = offsets;
    while let Some(first) = rest.first().copied() {
        let near = rest.windows(2).take_while(|pair| matches!(pair, [a, b] if b - a <= NEAR));
        let (run, after) = rest.split_at(near.count() + 1);
        let end = run.last().copied().unwrap_or(first).saturating_add(1);
        read(source, partition, first, end, &mut |record| {
            if run.binary_search(&record.offset).is_ok() {
                found.insert((partition.clone(), record.offset), record);
            }
        })?;
        rest = after;
    }
    Ok(())
}

/// Reads a partition from one offset up to another.
fn read(
    source: &mut dyn Source,
    partition: &TopicPartition,
    from: i64,
    to: i64,
    each: &mut dyn FnMut(Record),
) -> Result<(), KafkaError> {
    if from >= to {
        return Ok(());
    }
    let lane = source.lane(std::slice::from_ref(partition));
    source.assign(vec![Start { partition: partition.clone(), offset: from }])?;
    let mut next = from;
    let mut end = Instant::now() + NEXT;
    while next < to {
        match lane.recv_timeout(Duration::from_millis(100)) {
            Some(Event::Batch(batch)) => {
                for record in batch.records.into_iter().filter(|r| r.offset >= from) {
                    next = record.offset.saturating_add(1);
                    if record.offset < to {
                        each(record);
                    }
                }
                end = Instant::now() + NEXT;
            }
            // Holes at the end of a topic (transaction markers) are never delivered.
            Some(Event::Gap { found, .. }) if found >= to => return Ok(()),
            Some(Event::OutOfRange { .. }) => return Ok(()),
            Some(Event::Replaced(found)) => return Err(SourceError::Replaced(found).into()),
            Some(Event::Gap { .. }) => {}
            Some(Event::Failed(_)) | None if Instant::now() > end => {
                let TopicPartition { topic, partition } = partition;
                let (topic, partition) = (topic.to_string(), *partition);
                return Err(KafkaError::Silent { topic, partition, offset: next });
            }
            Some(Event::Failed(_)) | None => {}
        }
    }
    Ok(())
}
