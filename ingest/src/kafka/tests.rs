//! The producer against librdkafka's mock cluster.

use bytes::Bytes;
use proptest::prelude::*;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use schemas::id::TraceId;
use schemas::topic::Format;

use super::*;

type Mock = MockCluster<'static, DefaultProducerContext>;

const PARTITIONS: i32 = 4;
const SOON: Duration = Duration::from_secs(20);

fn config(brokers: String, properties: &[(&str, &str)]) -> Config {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    Config {
        brokers,
        properties: properties.iter().map(owned).collect(),
        logs_topic: "t.logs".to_owned(),
        spans_topic: "t.spans".to_owned(),
        metrics_topic: "t.metrics".to_owned(),
    }
}

fn mock() -> Mock {
    let mock = MockCluster::new(1).unwrap();
    for topic in ["t.logs", "t.spans", "t.metrics"] {
        mock.create_topic(topic, PARTITIONS, 1).unwrap();
    }
    mock
}

fn message(payload: &str) -> Message {
    Message {
        topic: Signal::Logs,
        format: Some(Format::Raw),
        key: None,
        headers: Vec::new(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    }
}

struct Read {
    partition: i32,
    key: Option<String>,
    payload: String,
    headers: Vec<(String, String)>,
}

/// The first `count` records of a topic, in no order across partitions.
fn read(brokers: &str, topic: &str, count: usize) -> Vec<Read> {
    let mut native = ClientConfig::new();
    native.set("bootstrap.servers", brokers).set("group.id", "read");
    let consumer: BaseConsumer = native.create().unwrap();
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).unwrap();
    }
    consumer.assign(&list).unwrap();
    let deadline = Instant::now() + SOON;
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let mut found = Vec::new();
    while found.len() < count && Instant::now() < deadline {
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        found.push(Read {
            partition: message.partition(),
            key: message.key().map(text),
            payload: text(message.payload().unwrap()),
            headers: headers.map(|h| (h.key.to_owned(), text(h.value.unwrap()))).collect(),
        });
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn an_acknowledged_message_is_in_its_topic_with_key_headers_and_format() {
    let mock = mock();
    let producer = Producer::connect(&config(mock.bootstrap_servers(), &[])).unwrap();
    let span = Message {
        topic: Signal::Spans,
        format: Some(Format::DatadogV04),
        key: TraceId::from_halves(1, 0xabc),
        headers: vec![(schemas::topic::DD_LANG, "python".to_owned())],
        payload: Bytes::from_static(b"spans"),
    };
    producer.send(vec![span, message("line")]).await.unwrap();
    let spans = read(&mock.bootstrap_servers(), "t.spans", 1);
    assert_eq!(spans[0].payload, "spans");
    assert_eq!(spans[0].key.as_deref(), Some("00000000000000010000000000000abc"));
    let header = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let expected = [header("content-type", "datadog_v04"), header("datadog-meta-lang", "python")];
    assert_eq!(spans[0].headers, expected);
    let logs = read(&mock.bootstrap_servers(), "t.logs", 1);
    assert_eq!((logs[0].payload.as_str(), logs[0].key.as_deref()), ("line", None));
    producer.flush(SOON).await.unwrap();
}

/// Kafka's `Utils.murmur2`, the function every Java producer uses.
fn murmur2(data: &[u8]) -> u32 {
    let mix = |k: u32| {
        let k = k.wrapping_mul(0x5bd1_e995);
        (k ^ (k >> 24)).wrapping_mul(0x5bd1_e995)
    };
    let mut hash = 0x9747_b28c ^ data.len() as u32;
    let chunks = data.chunks_exact(4);
    let rest = chunks.remainder();
    for chunk in chunks {
        let word = u32::from_le_bytes(chunk.try_into().unwrap());
        hash = hash.wrapping_mul(0x5bd1_e995) ^ mix(word);
    }
    assert!(rest.is_empty(), "trace ids have 32 characters");
    hash = (hash ^ (hash >> 13)).wrapping_mul(0x5bd1_e995);
    hash ^ (hash >> 15)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_goes_to_the_partition_that_murmur2_names() {
    let mock = mock();
    let producer = Producer::connect(&config(mock.bootstrap_servers(), &[])).unwrap();
    let keyed = |id: u64| Message { key: TraceId::from_halves(id, id), ..message("x") };
    producer.send((1..=64).map(keyed).collect()).await.unwrap();
    let records = read(&mock.bootstrap_servers(), "t.logs", 64);
    assert_eq!(records.len(), 64);
    for record in records {
        let hash = murmur2(record.key.as_ref().unwrap().as_bytes()) & 0x7fff_ffff;
        assert_eq!(record.partition, (hash % PARTITIONS as u32) as i32, "{:?}", record.key);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_down_is_unavailable_in_time_and_usable_again_afterwards() {
    let mock = mock();
    let quick = [("message.timeout.ms", "1500")];
    let producer = Producer::connect(&config(mock.bootstrap_servers(), &quick)).unwrap();
    producer.send(vec![message("before")]).await.unwrap();
    mock.broker_down(-1).unwrap();
    let started = Instant::now();
    let refused = producer.send(vec![message("lost")]).await;
    assert!(matches!(refused, Err(SendError::Unavailable(_))), "{refused:?}");
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    mock.broker_up(-1).unwrap();
    let deadline = Instant::now() + SOON;
    while producer.send(vec![message("after")]).await.is_err() {
        assert!(Instant::now() < deadline, "does not recover");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_queue_is_busy_and_takes_nothing() {
    let mock = mock();
    let producer = Producer::connect(&config(mock.bootstrap_servers(), &[])).unwrap();
    let share = producer.budget.reserve(limits::MAX_PRODUCER_QUEUE_BYTES - 10, 1).unwrap();
    assert_eq!(producer.send(vec![message("one"), message("two")]).await, Err(SendError::Busy));
    drop(share);
    producer.send(vec![message("three")]).await.unwrap();
    let payloads: Vec<String> =
        read(&mock.bootstrap_servers(), "t.logs", 1).into_iter().map(|read| read.payload).collect();
    assert_eq!(payloads, ["three"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_call_held_is_free_after_its_last_report_even_if_nobody_waits() {
    let mock = mock();
    let producer = Producer::connect(&config(mock.bootstrap_servers(), &[])).unwrap();
    let (call, done) = producer.enqueue(&[message("a"), message("b")]).unwrap();
    drop((call, done));
    let deadline = Instant::now() + SOON;
    while producer.budget.messages.load(Ordering::Acquire) > 0 {
        assert!(Instant::now() < deadline, "the share was not given back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(producer.budget.bytes.load(Ordering::Acquire), 0);
    assert_eq!(read(&mock.bootstrap_servers(), "t.logs", 2).len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_fatal_error_a_new_producer_takes_over() {
    let mock = mock();
    let producer = Producer::connect(&config(mock.bootstrap_servers(), &[])).unwrap();
    producer.send(vec![message("before")]).await.unwrap();
    let error = RDKafkaRespErr::RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER;
    mock.request_errors(RDKafkaApiKey::Produce, &[error]);
    let refused = producer.send(vec![message("poisoned")]).await;
    assert!(matches!(refused, Err(SendError::Unavailable(_))), "{refused:?}");
    let old = producer.current();
    producer.send(vec![message("after")]).await.unwrap();
    assert!(!Arc::ptr_eq(&old, &producer.current()), "the error was not fatal; the test is void");
}

#[tokio::test(flavor = "multi_thread")]
async fn one_message_too_large_refuses_the_call_before_anything_is_queued() {
    let mock = mock();
    let producer = Producer::connect(&config(mock.bootstrap_servers(), &[])).unwrap();
    let large = message(&"x".repeat(limits::MAX_MESSAGE_BYTES + 1));
    let refused = producer.send(vec![message("small"), large]).await;
    let bytes = limits::MAX_MESSAGE_BYTES + 1;
    assert_eq!(refused, Err(SendError::TooLarge { bytes, limit: limits::MAX_MESSAGE_BYTES }));
    let headers = vec![("ddtags", "x".repeat(limits::MAX_MESSAGE_HEADER_BYTES))];
    let wide = Message { headers, ..message(&"y".repeat(limits::MAX_MESSAGE_BYTES)) };
    assert!(matches!(producer.send(vec![wide]).await, Err(SendError::TooLarge { .. })));
    // The largest that is allowed does arrive, and nothing before it.
    let most = "z".repeat(limits::MAX_MESSAGE_BYTES);
    producer.send(vec![message(&most)]).await.unwrap();
    assert_eq!(read(&mock.bootstrap_servers(), "t.logs", 1)[0].payload.len(), most.len());
}

#[test]
fn properties_that_break_promises_are_refused_and_others_win_over_ours() {
    for (key, value) in
        [("enable.idempotence", "false"), ("acks", "1"), ("request.required.acks", "0")]
    {
        let error = Producer::connect(&config("h:1".to_owned(), &[(key, value)])).unwrap_err();
        assert!(error.to_string().contains(key), "{error}");
    }
    let error = Producer::connect(&config("h:1".to_owned(), &[("bootstrap.servers", "x:1")]));
    assert!(error.unwrap_err().to_string().contains("kafka.brokers"));
    let error = Producer::connect(&config("h:1".to_owned(), &[("lingerms", "1")])).unwrap_err();
    assert!(error.to_string().contains("lingerms"), "{error}");
    let user = config("h:1".to_owned(), &[("linger.ms", "50"), ("acks", "-1")]);
    assert_eq!(producer_config(&user).unwrap().get("linger.ms"), Some("50"));
    Producer::connect(&user).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn topics_that_exist_are_left_alone_and_a_dead_address_names_the_setting() {
    let mock = mock();
    let topics = ["t.logs".to_owned(), "t.spans".to_owned()];
    ensure_topics(&config(mock.bootstrap_servers(), &[]), &topics, 9).await.unwrap();
    let dead = config("127.0.0.1:1".to_owned(), &[]);
    let error = ensure_topics_within(&dead, &topics, 1, Duration::ZERO).await.unwrap_err();
    assert!(error.to_string().contains("kafka.brokers = 127.0.0.1:1"), "{error}");
}

proptest! {
    #[test]
    fn a_budget_never_exceeds_its_limits_and_ends_empty(sizes in prop::collection::vec(0usize..100_000_000, 1..40)) {
        let budget = Arc::<Budget>::default();
        let mut held = Vec::new();
        for bytes in sizes {
            let before = budget.bytes.load(Ordering::Acquire);
            match budget.reserve(bytes, 1) {
                Ok(share) => held.push(share),
                Err(_) => prop_assert_eq!(budget.bytes.load(Ordering::Acquire), before),
            }
            prop_assert!(budget.bytes.load(Ordering::Acquire) <= limits::MAX_PRODUCER_QUEUE_BYTES);
        }
        drop(held);
        prop_assert_eq!(budget.bytes.load(Ordering::Acquire), 0);
        prop_assert_eq!(budget.messages.load(Ordering::Acquire), 0);
    }
}
