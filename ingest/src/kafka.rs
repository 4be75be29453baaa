//! The only file of this crate that names rdkafka: the producer.
//!
//! One call of [`Sink::send`] is one unit of acknowledgement: every message of it is queued, then
//! one shared counter waits for the delivery reports. No task and no allocation per message
//! besides librdkafka's own copy. A call reserves its bytes in a [`Budget`] before the first message is
//! queued, so "busy" means that nothing of the request was taken.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use futures::future::BoxFuture;
use rdkafka::ClientContext;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{
    BaseRecord, DeliveryResult, Producer as _, ProducerContext, ThreadedProducer,
};
use rdkafka::util::Timeout;
use schemas::limits;
use schemas::topic::{CONTENT_TYPE, PARTITIONER, Signal};
use tokio::sync::oneshot;

use crate::sink::{Message, SendError, Sink};

/// How to reach Kafka.
#[derive(Debug, Clone)]
pub struct Config {
    /// `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka properties from the user (TLS, SASL).
    pub properties: Vec<(String, String)>,
    /// Topic of log payloads.
    pub logs_topic: String,
    /// Topic of span payloads.
    pub spans_topic: String,
    /// Topic of metric payloads.
    pub metrics_topic: String,
}

impl Config {
    /// The topic this signal is written to.
    pub fn topic(&self, signal: Signal) -> &str {
        match signal {
            Signal::Logs => &self.logs_topic,
            Signal::Spans => &self.spans_topic,
            Signal::Metrics => &self.metrics_topic,
        }
    }
}

/// Why Kafka could not be reached or refused.
#[derive(Debug, thiserror::Error)]
#[error("kafka: {0}")]
pub struct Error(pub String);

/// Properties that carry a promise of the product, and the only values that keep it.
const SAFETY: [(&str, &[&str]); 3] = [
    ("enable.idempotence", &["true"]),
    ("acks", &["all", "-1"]),
    ("request.required.acks", &["all", "-1"]),
];

/// Properties that belong to another setting.
const ADDRESS: [&str; 2] = ["bootstrap.servers", "metadata.broker.list"];

/// A client's properties: address, ours, then the user's, which win except where refused.
fn client_config(config: &Config, ours: &[(&str, String)]) -> Result<ClientConfig, Error> {
    let mut native = ClientConfig::new();
    native.set_log_level(RDKafkaLogLevel::Warning);
    native.set("bootstrap.servers", &config.brokers);
    native.set("client.id", "tidemill-intake");
    native.set("socket.keepalive.enable", "true");
    // librdkafka's ten seconds would outlast a broker's restart.
    native.set("reconnect.backoff.max.ms", "2000");
    for (key, value) in ours {
        native.set(*key, value);
    }
    for (key, value) in &config.properties {
        check_property(key, value)?;
        native.set(key, value);
    }
    Ok(native)
}

fn check_property(key: &str, value: &str) -> Result<(), Error> {
    if ADDRESS.contains(&key) {
        return Err(Error(format!(
            "kafka.properties.{key} is not allowed; set kafka.brokers instead"
        )));
    }
    match SAFETY.iter().find(|(name, _)| *name == key) {
        Some((_, kept)) if !kept.contains(&value) => Err(Error(format!(
            "kafka.properties.{key} = {value} would lose or double records; remove it (it is always {})",
            kept.join(" or ")
        ))),
        _ => Ok(()),
    }
}

fn producer_config(config: &Config) -> Result<ClientConfig, Error> {
    let ours = [
        ("enable.idempotence", "true".to_owned()),
        ("acks", "all".to_owned()),
        ("partitioner", PARTITIONER.to_owned()),
        ("compression.type", "lz4".to_owned()),
        ("linger.ms", "5".to_owned()),
        ("message.timeout.ms", limits::PRODUCE_TIMEOUT_MILLIS.to_string()),
        // Half of the above, so that a lost answer is asked for again within it.
        ("request.timeout.ms", (limits::PRODUCE_TIMEOUT_MILLIS / 2).to_string()),
        ("message.max.bytes", (LARGEST + 4_000).to_string()),
        // Our own budget is the bound; librdkafka's stand above it so that they never cut a call in two.
        ("queue.buffering.max.kbytes", (2 * limits::MAX_PRODUCER_QUEUE_BYTES / 1024).to_string()),
        ("queue.buffering.max.messages", (2 * limits::MAX_PRODUCER_QUEUE_MESSAGES).to_string()),
    ];
    client_config(config, &ours)
}

/// Largest message on the wire: value, key and headers.
const LARGEST: usize = limits::MAX_MESSAGE_BYTES + limits::MAX_MESSAGE_HEADER_BYTES;

/// What calls hold in the queue, in bytes and messages.
#[derive(Debug, Default)]
struct Budget {
    bytes: AtomicUsize,
    messages: AtomicUsize,
}

/// A call's share of the budget, given back when the last report is in.
#[derive(Debug)]
struct Reservation {
    budget: Arc<Budget>,
    bytes: usize,
    messages: usize,
}

impl Budget {
    fn reserve(self: &Arc<Self>, bytes: usize, messages: usize) -> Result<Reservation, SendError> {
        let limit = limits::MAX_PRODUCER_QUEUE_BYTES;
        if bytes > limit {
            return Err(SendError::TooLarge { bytes, limit });
        }
        let used = self.bytes.fetch_add(bytes, Ordering::AcqRel);
        let queued = self.messages.fetch_add(messages, Ordering::AcqRel);
        // Made before the check: an early return gives the share back.
        let share = Reservation { budget: Arc::clone(self), bytes, messages };
        // One call with very many messages is let through alone; it would never fit otherwise.
        let crowded = queued > 0 && queued + messages > limits::MAX_PRODUCER_QUEUE_MESSAGES;
        if used + bytes > limit || crowded {
            return Err(SendError::Busy);
        }
        Ok(share)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.bytes.fetch_sub(self.bytes, Ordering::AcqRel);
        self.budget.messages.fetch_sub(self.messages, Ordering::AcqRel);
    }
}

/// One call of `send`, shared by its delivery reports.
#[derive(Debug)]
struct Call {
    /// Reports still to come, plus one while messages are being queued.
    left: AtomicUsize,
    /// The first failure.
    failure: Mutex<Option<SendError>>,
    done: Mutex<Option<oneshot::Sender<()>>>,
    _share: Reservation,
}

impl Call {
    fn fail(&self, error: SendError) {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.get_or_insert(error);
    }

    /// Counts `n` messages as settled; wakes the caller with the last.
    fn settle(&self, n: usize) {
        if self.left.fetch_sub(n, Ordering::AcqRel) == n {
            let done = self.done.lock().unwrap_or_else(PoisonError::into_inner).take();
            // The caller may be gone: its client hung up.
            done.map(|done| done.send(()).ok());
        }
    }

    fn result(&self) -> Result<(), SendError> {
        let mut failure = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        failure.take().map_or(Ok(()), Err)
    }
}

/// What librdkafka calls back: delivery reports, errors, log lines.
#[derive(Debug)]
struct Reports;

impl ClientContext for Reports {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        log(level, facility, message);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka producer");
    }
}

/// librdkafka's lines at our levels; a lost connection is retried, so nothing here is an error.
fn log(level: RDKafkaLogLevel, facility: &str, message: &str) {
    match level {
        RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Debug => {
            tracing::debug!(facility, "librdkafka: {message}");
        }
        _ => tracing::warn!(facility, "librdkafka: {message}"),
    }
}

impl ProducerContext for Reports {
    type DeliveryOpaque = Arc<Call>;

    fn delivery(&self, result: &DeliveryResult<'_>, call: Arc<Call>) {
        if let Err((error, message)) = result {
            let topic = rdkafka::Message::topic(message);
            let bytes = rdkafka::Message::payload(message).map_or(0, <[u8]>::len);
            call.fail(refusal(error, topic, bytes));
        }
        call.settle(1);
    }
}

/// A producer error in the terms of the sink.
fn refusal(error: &KafkaError, topic: &str, bytes: usize) -> SendError {
    match error.rdkafka_error_code() {
        Some(RDKafkaErrorCode::QueueFull) => SendError::Busy,
        Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
            SendError::TooLarge { bytes, limit: limits::MAX_MESSAGE_BYTES }
        }
        Some(RDKafkaErrorCode::MessageTimedOut) => SendError::Unavailable(format!(
            "no acknowledgement for topic {topic} in time; check that kafka.brokers are up"
        )),
        Some(RDKafkaErrorCode::UnknownTopic | RDKafkaErrorCode::UnknownTopicOrPartition) => {
            SendError::Unavailable(format!("topic {topic} does not exist; create it"))
        }
        _ => SendError::Unavailable(format!("topic {topic}: {error}")),
    }
}

type Native = ThreadedProducer<Reports>;

/// Writes messages to Kafka: idempotent, acknowledged by all replicas in sync.
pub struct Producer {
    config: Config,
    native: ClientConfig,
    current: RwLock<Arc<Native>>,
    budget: Arc<Budget>,
}

impl std::fmt::Debug for Producer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Producer").field("brokers", &self.config.brokers).finish_non_exhaustive()
    }
}

impl Producer {
    /// Makes the producer. Does not wait for a broker: see [`ensure_topics`].
    ///
    /// # Errors
    /// A property that librdkafka or our promises refuse.
    pub fn connect(config: &Config) -> Result<Self, Error> {
        let native = producer_config(config)?;
        let current = RwLock::new(Arc::new(create(&native)?));
        Ok(Self { config: config.clone(), native, current, budget: Arc::default() })
    }

    /// Waits until every queued message is acknowledged or has failed.
    ///
    /// # Errors
    /// Messages still in the queue at the deadline.
    pub async fn flush(&self, deadline: Duration) -> Result<(), Error> {
        let producer = self.current();
        let flushed = tokio::task::spawn_blocking(move || producer.flush(Timeout::After(deadline)));
        match flushed.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => Err(Error(format!(
                "{} messages not acknowledged within {deadline:?}: {error}",
                self.budget.messages.load(Ordering::Acquire)
            ))),
            Err(error) => Err(Error(format!("flush: {error}"))),
        }
    }

    fn current(&self) -> Arc<Native> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The producer to use: a new one if the last met a fatal error, after which an idempotent producer
    /// refuses everything. What the old one had in flight is
    /// reported failed; its clients send again.
    fn usable(&self) -> Result<Arc<Native>, SendError> {
        let producer = self.current();
        if producer.client().fatal_error().is_none() {
            return Ok(producer);
        }
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&current, &producer) {
            tracing::warn!("kafka producer met a fatal error; making a new one");
            let fresh = create(&self.native).map_err(|e| SendError::Unavailable(e.to_string()))?;
            let old = std::mem::replace(&mut *current, Arc::new(fresh));
            // Dropping purges, flushes and joins a thread: not here.
            std::thread::spawn(move || drop(old));
        }
        Ok(Arc::clone(&current))
    }

    /// Queues every message; the receiver resolves after the last report.
    fn enqueue(
        &self,
        messages: &[Message],
    ) -> Result<(Arc<Call>, oneshot::Receiver<()>), SendError> {
        let mut bytes = 0;
        for message in messages {
            bytes += wire_size(message)?;
        }
        let share = self.budget.reserve(bytes, messages.len())?;
        let producer = self.usable()?;
        let (done, receiver) = oneshot::channel();
        let call = Arc::new(Call {
            left: AtomicUsize::new(messages.len() + 1),
            failure: Mutex::new(None),
            done: Mutex::new(Some(done)),
            _share: share,
        });
        for (index, message) in messages.iter().enumerate() {
            let topic = self.config.topic(message.topic);
            if let Err(error) = queue(&producer, topic, message, &call) {
                call.fail(refusal(&error, topic, message.payload.len()));
                call.settle(messages.len() - index);
                break;
            }
        }
        call.settle(1);
        Ok((call, receiver))
    }
}

fn create(native: &ClientConfig) -> Result<Native, Error> {
    native.create_with_context(Reports).map_err(|error| {
        Error(format!("can not make a producer: {error}; check kafka.brokers and kafka.properties"))
    })
}

/// Bytes of value, key and headers.
fn wire_size(message: &Message) -> Result<usize, SendError> {
    let headers: usize = message.headers.iter().map(|(k, v)| k.len() + v.len()).sum();
    let value = message.payload.len();
    if value > limits::MAX_MESSAGE_BYTES {
        return Err(SendError::TooLarge { bytes: value, limit: limits::MAX_MESSAGE_BYTES });
    }
    let bytes = value + headers + 64;
    if bytes > LARGEST {
        return Err(SendError::TooLarge { bytes, limit: LARGEST });
    }
    Ok(bytes)
}

fn queue(
    producer: &Native,
    topic: &str,
    message: &Message,
    call: &Arc<Call>,
) -> Result<(), KafkaError> {
    let mut headers = OwnedHeaders::new_with_capacity(message.headers.len() + 1);
    if let Some(format) = message.format {
        headers = headers.insert(Header { key: CONTENT_TYPE, value: Some(format.as_str()) });
    }
    for (key, value) in &message.headers {
        headers = headers.insert(Header { key, value: Some(value.as_str()) });
    }
    let key = message.key.map(schemas::id::TraceId::hex);
    let mut record: BaseRecord<'_, str, [u8], Arc<Call>> =
        BaseRecord::with_opaque_to(topic, Arc::clone(call))
            .payload(&message.payload[..])
            .headers(headers);
    if let Some(key) = &key {
        record = record.key(key.as_str());
    }
    producer.send(record).map_err(|(error, _)| error)
}

impl Sink for Producer {
    fn send(&self, messages: Vec<Message>) -> BoxFuture<'_, Result<(), SendError>> {
        Box::pin(async move {
            let (call, done) = self.enqueue(&messages)?;
            // librdkafka has its own copy.
            drop(messages);
            match done.await {
                Ok(()) => call.result(),
                Err(_) => Err(SendError::Unavailable("the producer was stopped".to_owned())),
            }
        })
    }
}

/// Creates the topics that are missing, with `partitions` partitions each; waits until the broker
/// knows them. A topic that exists is left as it is.
///
/// # Errors
/// No broker answers, or one refuses, within [`limits::KAFKA_START_SECONDS`].
pub async fn ensure_topics(
    config: &Config,
    topics: &[String],
    partitions: i32,
) -> Result<(), Error> {
    let patience = Duration::from_secs(limits::KAFKA_START_SECONDS);
    ensure_topics_within(config, topics, partitions, patience).await
}

async fn ensure_topics_within(
    config: &Config,
    topics: &[String],
    partitions: i32,
    patience: Duration,
) -> Result<(), Error> {
    let deadline = Instant::now() + patience;
    let admin: AdminClient<DefaultClientContext> = client_config(config, &[])?
        .create()
        .map_err(|error| Error(format!("{error}; check kafka.brokers and kafka.properties")))?;
    let admin = Arc::new(admin);
    let mut asked = false;
    loop {
        let missing = match missing(&admin, topics).await {
            Ok(missing) if missing.is_empty() => return Ok(()),
            Ok(missing) => {
                if !asked {
                    create_topics(&admin, &missing, partitions).await?;
                    asked = true;
                    continue;
                }
                format!("topics {} were created but have no leader yet", missing.join(", "))
            }
            Err(error) => {
                format!("no broker of kafka.brokers = {} answers: {error}", config.brokers)
            }
        };
        if Instant::now() >= deadline {
            return Err(Error(missing));
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Topics that do not exist or have a partition without a leader.
async fn missing(
    admin: &Arc<AdminClient<DefaultClientContext>>,
    topics: &[String],
) -> Result<Vec<String>, KafkaError> {
    let (admin, wanted) = (Arc::clone(admin), topics.to_vec());
    let asked = tokio::task::spawn_blocking(move || {
        // Every topic: asking for one by name could create it with the broker's defaults.
        let metadata = admin.inner().fetch_metadata(None, Duration::from_secs(5))?;
        let ready = |name: &String| {
            metadata.topics().iter().any(|topic| {
                topic.name() == name
                    && !topic.partitions().is_empty()
                    && topic.partitions().iter().all(|partition| partition.leader() >= 0)
            })
        };
        Ok(wanted.into_iter().filter(|name| !ready(name)).collect())
    });
    asked.await.unwrap_or(Err(KafkaError::Canceled))
}

async fn create_topics(
    admin: &AdminClient<DefaultClientContext>,
    topics: &[String],
    partitions: i32,
) -> Result<(), Error> {
    // -1: the broker's default replication (KIP-464, Kafka 2.4 and later).
    let new =
        topics.iter().map(|name| NewTopic::new(name, partitions, TopicReplication::Fixed(-1)));
    let new: Vec<NewTopic<'_>> = new.collect();
    let options = AdminOptions::new().operation_timeout(Some(Duration::from_secs(10)));
    let answers = admin.create_topics(&new, &options).await;
    let refused = |topic: &str, error: &dyn std::fmt::Display| {
        Error(format!("can not create topic {topic}: {error}; create it or grant the right to"))
    };
    for answer in answers.map_err(|error| refused(&topics.join(", "), &error))? {
        match answer {
            Ok(_) | Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((topic, code)) => return Err(refused(&topic, &code)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests;
