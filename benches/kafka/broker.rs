//! The topic both sides read.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::config::ClientConfig;
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use crate::lines;

/// Partitions of the topic, as the intake creates them.
pub(crate) const PARTITIONS: i32 = 4;
/// Longest wait for the broker.
const DEADLINE: Duration = Duration::from_secs(60);

/// A topic and what was put into it.
pub(crate) struct Topic {
    pub(crate) name: String,
    /// Bytes of all payloads.
    pub(crate) bytes: usize,
    /// The same through zstd, level 3, as one stream.
    pub(crate) packed: usize,
}

impl Topic {
    /// A new topic with this many logs.
    pub(crate) fn fill(address: &str, records: usize, size: usize) -> Self {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
        let name = format!("tidemill-bench-{size}-{now}");
        let topic = NewTopic::new(&name, PARTITIONS, TopicReplication::Fixed(1));
        let created = wait(client(address).create_topics([&topic], &options()));
        created.expect("the topic is created");
        let (bytes, packed) = produce(address, &name, records, size);
        Self { name, bytes, packed }
    }
}

/// Removes a topic; failures leave it to whoever started the broker.
pub(crate) fn delete(address: &str, name: &str) {
    if let Err(error) = wait(client(address).delete_topics(&[name], &options())) {
        eprintln!("kafka: topic {name} stays: {error}");
    }
}

fn client(address: &str) -> AdminClient<DefaultClientContext> {
    ClientConfig::new().set("bootstrap.servers", address).create().expect("a client")
}

fn options() -> AdminOptions {
    AdminOptions::new().operation_timeout(Some(DEADLINE))
}

fn wait<T>(answer: impl Future<Output = T>) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(answer)
}

fn produce(address: &str, topic: &str, records: usize, size: usize) -> (usize, usize) {
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("compression.type", "lz4")
        .set("linger.ms", "20")
        .set("batch.size", "262144")
        .set("queue.buffering.max.kbytes", "262144")
        .create()
        .expect("a producer");
    let mut packer = zstd::Encoder::new(Counter(0), 3).expect("an encoder");
    let mut bytes = 0;
    for (n, record) in lines::records(records, size).into_iter().enumerate() {
        let line = record.payload;
        bytes += line.len();
        std::io::Write::write_all(&mut packer, &line).expect("packs");
        std::io::Write::write_all(&mut packer, b"\n").expect("packs");
        let partition = (n / 500) as i32 % PARTITIONS;
        let mut record = BaseRecord::<(), _>::to(topic).payload(&line).partition(partition);
        // Until there is room in the producer's queue.
        while let Err((error, again)) = producer.send(record) {
            assert_eq!(error.rdkafka_error_code(), Some(RDKafkaErrorCode::QueueFull), "{error}");
            producer.poll(Duration::from_millis(10));
            record = again;
        }
    }
    producer.flush(DEADLINE).expect("every record is acknowledged");
    (bytes, packer.finish().expect("packs").0)
}

/// Counts bytes and forgets them.
struct Counter(usize);

impl std::io::Write for Counter {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len();
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
