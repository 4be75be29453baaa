//! The only module of this crate that names rdkafka: a [`Source`] on a Kafka consumer.
//!
//! One consumer, one OS thread that polls it ([`Poller`]), bounded queues to the workers. Partitions are
//! assigned by hand, or shared with the other members of a group ([`group`]); either way with explicit offsets:
//! the group's committed offsets serve only as hints. A full queue pauses its partition, and the poll thread
//! itself never waits for a worker, so callbacks and the other partitions go on.
//!
//! Nothing is taken on trust: the next offset of every partition is known, repeated records are dropped,
//! jumps are reported, and an offset outside the partition is compared with the watermarks before it is
//! assigned (the embedded broker never refuses such a fetch) and again when the broker refuses it.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{Offset, TopicPartitionList};
use schemas::limits;

use crate::clock::Clock;
use crate::source::{
    Changes, Lane, Look, MAX_WAITING_CHANGES, PartitionInfo, Router, Source, SourceError, Start,
};
use stages::record::TopicPartition;

mod group;
mod look;
mod poll;

pub use group::Membership;

use group::Callbacks;
use look::Looker;
use poll::Poller;

/// How to reach Kafka.
#[derive(Debug, Clone)]
pub struct Config {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka properties from the user (TLS, SASL).
    pub properties: Vec<(String, String)>,
    /// Group that offset hints are stored under: what lag dashboards show.
    pub group: String,
    /// Shares the topics with the other members of the group; `None`: reads what it is told to.
    pub membership: Option<Membership>,
}

/// Properties that carry a promise of the product, and the value that keeps it.
const SAFETY: [(&str, &str); 5] = [
    ("enable.auto.commit", "false"),
    ("enable.auto.offset.store", "false"),
    ("auto.offset.reset", "error"),
    ("isolation.level", "read_committed"),
    ("enable.partition.eof", "false"),
];

/// Properties that belong to another setting.
const ADDRESS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];

/// Longest wait for one answer about watermarks or the cluster's id.
const ANSWER: Duration = Duration::from_secs(10);
/// Pause between two looks at metadata while a topic is missing.
const LOOK_AGAIN: Duration = Duration::from_millis(100);
/// Events of the asking consumer that are looked at before each question.
const MAX_EVENTS_AT_ONCE: usize = 1_000;
/// Longest wait for the poll thread's end. Closing a consumer can hang while no broker answers.
const STOP: Duration = Duration::from_secs(5);

type Consumer = BaseConsumer<Callbacks>;

/// Ours first, then the user's, which win except where refused.
fn client_config(config: &Config) -> Result<ClientConfig, SourceError> {
    let mut native = ClientConfig::new();
    native.set_log_level(RDKafkaLogLevel::Warning);
    let receive = limits::MAX_CONSUMED_MESSAGE_BYTES + (1 << 20);
    for (key, value) in SAFETY {
        native.set(key, value);
    }
    for (key, value) in [
        ("bootstrap.servers", config.brokers.as_str()),
        ("group.id", &config.group),
        ("client.id", "tidemill-worker"),
        ("allow.auto.create.topics", "false"),
        ("check.crcs", "true"),
        // librdkafka's own read-ahead: a fraction of a second per partition, bounded in bytes.
        ("queued.min.messages", "10000"),
        ("queued.max.messages.kbytes", "32768"),
        ("fetch.message.max.bytes", "4194304"),
        ("fetch.max.bytes", "16777216"),
        ("receive.message.max.bytes", &receive.to_string()),
        // A fetch waits this long for new records; bounds the delay the embedded broker adds.
        ("fetch.wait.max.ms", "100"),
        // The default of a second would stall a partition whenever its read-ahead is full.
        ("fetch.queue.backoff.ms", "10"),
        ("reconnect.backoff.max.ms", "2000"),
        ("socket.keepalive.enable", "true"),
    ] {
        native.set(key, value);
    }
    if let Some(membership) = &config.membership {
        group::configure(&mut native, membership);
    }
    for (key, value) in &config.properties {
        check_property(key, value)?;
        native.set(key, value);
    }
    Ok(native)
}

fn check_property(key: &str, value: &str) -> Result<(), SourceError> {
    if ADDRESS.contains(&key) {
        return Err(SourceError::Config(format!(
            "kafka.properties.{key} is not allowed; set kafka.brokers instead"
        )));
    }
    if let Some((_, fix)) = group::OWNED.iter().find(|(name, _)| *name == key) {
        return Err(SourceError::Config(format!("kafka.properties.{key} is not allowed; {fix}")));
    }
    match SAFETY.iter().find(|(name, _)| *name == key) {
        Some((_, kept)) if *kept != value => Err(SourceError::Config(format!(
            "kafka.properties.{key} = {value} would lose or double records; remove it (it is always {kept})"
        ))),
        _ => Ok(()),
    }
}

/// What the poll thread is asked to do.
enum Command {
    /// Replace the assignment; the answer goes back.
    Assign(Vec<Start>, SyncSender<Result<(), SourceError>>),
    /// Read these too, or from another offset.
    Add(Vec<Start>, SyncSender<Result<(), SourceError>>),
    /// Read these no longer.
    Remove(Vec<TopicPartition>, SyncSender<Result<(), SourceError>>),
    Stop,
}

/// A consumer of Kafka.
pub struct KafkaSource {
    // First: the poll thread must hold the last reference, for it alone may close the consumer.
    consumer: Arc<Consumer>,
    /// Asks about topics and offsets over connections of its own: on the reading consumer's, each
    /// question would wait for the fetch before it.
    asking: Consumer,
    router: Arc<Router>,
    commands: SyncSender<Command>,
    ended: Receiver<()>,
    /// The group's decisions, until joined.
    changes: Option<Changes>,
    looker: Looker,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for KafkaSource {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KafkaSource").finish_non_exhaustive()
    }
}

impl KafkaSource {
    /// Makes the consumer and starts its thread. Does not wait for a broker.
    ///
    /// # Errors
    /// A property that librdkafka or our promises refuse; no thread to be had.
    pub fn connect(config: &Config, clock: Arc<dyn Clock>) -> Result<Self, SourceError> {
        let native = client_config(config)?;
        let create = |native: &ClientConfig, callbacks| -> Result<Consumer, SourceError> {
            native
                .create_with_context(callbacks)
                .map_err(|error| SourceError::Config(format!("{error}; check kafka.properties")))
        };
        let (told, changes) = tokio::sync::mpsc::channel(MAX_WAITING_CHANGES);
        let (callbacks, changes) = match config.membership {
            Some(_) => (Callbacks::of_member(told), Some(changes)),
            None => (Callbacks::default(), None),
        };
        let consumer = Arc::new(create(&native, callbacks)?);
        let mut asking = native.clone();
        asking.set("client.id", "tidemill-worker-asking");
        // In no group, so that closing it waits for nobody.
        asking.remove("group.id");
        asking.remove("group.instance.id");
        let asking = create(&asking, Callbacks::default())?;
        let router = Arc::new(Router::default());
        let (commands, inbox) = sync_channel(1);
        let (end, ended) = sync_channel(1);
        let looker = Looker::new(config, Arc::clone(&clock));
        let poller = Poller::new(Arc::clone(&consumer), Arc::clone(&router), looker.clone());
        let run = move || {
            poller.run(&inbox);
            // Nobody waits when the source was dropped.
            end.send(()).ok();
        };
        thread::Builder::new()
            .name("kafka-poll".to_owned())
            .spawn(run)
            .map_err(|error| SourceError::Config(format!("can not start a thread: {error}")))?;
        Ok(Self { consumer, asking, router, commands, ended, changes, looker, clock })
    }

    /// Has the poll thread do something, and waits for the answer.
    fn ask(
        &self,
        command: impl FnOnce(SyncSender<Result<(), SourceError>>) -> Command,
    ) -> Result<(), SourceError> {
        let (reply, answer) = sync_channel(1);
        self.commands.send(command(reply)).map_err(|_| SourceError::Stopped)?;
        answer.recv().unwrap_or(Err(SourceError::Stopped))
    }

    /// The partitions of one topic; `None` while it is missing or has no leader.
    fn topic(&self, topic: &str) -> Result<Option<Vec<TopicPartition>>, KafkaError> {
        let metadata = self.asking.fetch_metadata(Some(topic), ANSWER)?;
        let Some(found) = metadata.topics().iter().find(|found| found.name() == topic) else {
            return Ok(None);
        };
        let ready = found.partitions().iter().all(|partition| partition.leader() >= 0);
        if found.error().is_some() || found.partitions().is_empty() || !ready {
            return Ok(None);
        }
        let name: Arc<str> = topic.into();
        let partition = |id| TopicPartition { topic: Arc::clone(&name), partition: id };
        let mut ids: Vec<i32> = found.partitions().iter().map(|partition| partition.id()).collect();
        ids.sort_unstable();
        Ok(Some(ids.into_iter().map(partition).collect()))
    }

    fn wait_for_topic(
        &self,
        topic: &str,
        end: Duration,
    ) -> Result<Vec<TopicPartition>, SourceError> {
        loop {
            let failure = match self.topic(topic) {
                Ok(Some(partitions)) => return Ok(partitions),
                Ok(None) => SourceError::UnknownTopic(topic.to_owned()),
                Err(error) => SourceError::Unavailable(error.to_string()),
            };
            if self.clock.monotonic() >= end {
                return Err(failure);
            }
            thread::sleep(LOOK_AGAIN);
        }
    }

    /// The metadata of a topic made a moment ago names leaders that do not lead yet, and leaders
    /// change: both pass.
    fn wait_for_ranges(
        &self,
        partitions: &[TopicPartition],
        end: Duration,
    ) -> Result<Vec<(i64, i64)>, SourceError> {
        loop {
            match ranges(&self.asking, partitions) {
                Err(error) if self.clock.monotonic() >= end => return Err(error),
                Err(error) => tracing::debug!(%error, "asking again"),
                found => return found,
            }
            thread::sleep(LOOK_AGAIN);
        }
    }
}

/// [`watermarks`] of many partitions in two requests per broker. A broker answers what comes over one
/// connection in turn, after the fetch that waits there for new records: one request per partition
/// would take that wait for each of them.
fn ranges(
    consumer: &Consumer,
    partitions: &[TopicPartition],
) -> Result<Vec<(i64, i64)>, SourceError> {
    let failed = |error: KafkaError| SourceError::Unavailable(format!("offsets: {error}"));
    let ask = |edge: Offset| -> Result<TopicPartitionList, KafkaError> {
        let mut list = TopicPartitionList::with_capacity(partitions.len());
        for TopicPartition { topic, partition } in partitions {
            list.add_partition_offset(topic, *partition, edge)?;
        }
        // The protocol has one request for both: the beginning and the end are special times.
        let list = consumer.offsets_for_times(list, ANSWER)?;
        list.elements().iter().try_for_each(TopicPartitionListElem::error)?;
        Ok(list)
    };
    if partitions.is_empty() {
        return Ok(Vec::new());
    }
    let low = ask(Offset::Beginning).map_err(failed)?;
    let high = ask(Offset::End).map_err(failed)?;
    let (low, high) = (low.elements(), high.elements());
    let mut found = Vec::with_capacity(partitions.len());
    for (partition, (low, high)) in partitions.iter().zip(low.iter().zip(&high)) {
        let is_this = |answer: &TopicPartitionListElem<'_>| {
            answer.topic() == &*partition.topic && answer.partition() == partition.partition
        };
        match (low.offset(), high.offset()) {
            (Offset::Offset(low_offset), Offset::Offset(high_offset))
                if is_this(low) && is_this(high) =>
            {
                found.push((low_offset, high_offset));
            }
            // Not told in this form: one by one then.
            _ => found.push(watermarks(consumer, partition)?),
        }
    }
    Ok(found)
}

/// The oldest offset of a partition, and one past its newest.
fn watermarks(consumer: &Consumer, partition: &TopicPartition) -> Result<(i64, i64), SourceError> {
    consumer.fetch_watermarks(&partition.topic, partition.partition, ANSWER).map_err(|error| {
        let TopicPartition { topic, partition } = partition;
        SourceError::Unavailable(format!("offsets of {topic} partition {partition}: {error}"))
    })
}

impl Source for KafkaSource {
    fn partitions(
        &self,
        topics: &[String],
        deadline: Duration,
    ) -> Result<Vec<PartitionInfo>, SourceError> {
        // It reads nothing, but its events (lost connections) would pile up.
        let quiet = |_: &usize| self.asking.poll(Duration::ZERO).is_none();
        (0..MAX_EVENTS_AT_ONCE).find(quiet);
        let end = self.clock.monotonic() + deadline;
        let mut found = Vec::new();
        for topic in topics {
            found.extend(self.wait_for_topic(topic, end)?);
        }
        found.sort();
        let ranges = self.wait_for_ranges(&found, end)?;
        let info = |(partition, (low, high))| PartitionInfo { partition, low, high };
        Ok(found.into_iter().zip(ranges).map(info).collect())
    }

    fn look(&self) -> Arc<dyn Look> {
        Arc::new(self.looker.clone())
    }

    fn assign(&mut self, starts: Vec<Start>) -> Result<(), SourceError> {
        self.ask(|reply| Command::Assign(starts, reply))
    }

    fn join(&mut self, topics: &[String]) -> Result<Option<Changes>, SourceError> {
        let Some(changes) = self.changes.take() else { return Ok(None) };
        let names: Vec<&str> = topics.iter().map(String::as_str).collect();
        self.consumer
            .subscribe(&names)
            .map_err(|error| SourceError::Config(format!("can not join the group: {error}")))?;
        Ok(Some(changes))
    }

    fn add(&mut self, starts: Vec<Start>) -> Result<(), SourceError> {
        self.ask(|reply| Command::Add(starts, reply))
    }

    fn remove(&mut self, partitions: &[TopicPartition]) -> Result<(), SourceError> {
        self.ask(|reply| Command::Remove(partitions.to_vec(), reply))
    }

    fn lane(&mut self, partitions: &[TopicPartition]) -> Lane {
        self.router.lane(partitions)
    }

    fn store_hint(&self, offsets: &[(TopicPartition, i64)]) {
        let mut list = TopicPartitionList::with_capacity(offsets.len());
        for (partition, offset) in offsets {
            let added = list.add_partition_offset(
                &partition.topic,
                partition.partition,
                Offset::Offset(*offset),
            );
            if let Err(error) = added {
                tracing::debug!(%error, "offset hint left out");
            }
        }
        if let Err(error) = self.consumer.commit(&list, CommitMode::Async) {
            tracing::debug!(%error, "offset hints not stored");
        }
    }

    fn cluster_id(&self) -> Option<String> {
        self.asking.client().fetch_cluster_id(ANSWER)
    }

    fn stop(self: Box<Self>) {
        let Self { consumer, asking, router, commands, ended, .. } = *self;
        drop(consumer);
        drop(asking);
        // Fails only when the thread is gone or about to be: the channel then closes as well.
        commands.try_send(Command::Stop).ok();
        drop(commands);
        if ended.recv_timeout(STOP).is_err() {
            tracing::warn!("the kafka consumer did not close in {} s; left behind", STOP.as_secs());
        }
        router.close();
    }
}

#[cfg(test)]
mod tests;
