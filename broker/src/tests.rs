//! The embedded broker through librdkafka: what survives, what is refused.

use std::collections::BTreeMap;
use std::process::{Child, Command};

use ingest::kafka::{Config as KafkaConfig, Producer, ensure_topics};
use ingest::sink::{Message, Sink as _};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use schemas::topic::{Format, Signal};

use super::*;

const SOON: Duration = Duration::from_secs(60);
const ANY: &str = "127.0.0.1:0";

fn at(listen: &str, dir: &Path) -> Config {
    Config { listen: listen.parse().unwrap(), dir: dir.to_owned(), start_within: SOON }
}

fn kafka(brokers: String) -> KafkaConfig {
    KafkaConfig {
        brokers,
        properties: Vec::new(),
        logs_topic: "logs".to_owned(),
        spans_topic: "spans".to_owned(),
        metrics_topic: "metrics".to_owned(),
    }
}

fn line(text: String) -> Message {
    let (topic, format) = (Signal::Logs, Some(Format::Raw));
    Message { topic, format, key: None, headers: Vec::new(), payload: text.into() }
}

#[derive(Debug, PartialEq)]
struct Read {
    offset: i64,
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    payload: Vec<u8>,
    headers: Vec<(String, Vec<u8>)>,
}

/// Everything in partition 0 of a topic, up to its end when the reading began.
fn read(brokers: &str, topic: &str, from: i64) -> Vec<Read> {
    let mut native = ClientConfig::new();
    native.set("bootstrap.servers", brokers).set("group.id", "read");
    native.extend(CONSUMER_PROPERTIES.map(|(key, value)| (key.to_owned(), value.to_owned())));
    let consumer: BaseConsumer = native.create().unwrap();
    let (_, high) = consumer.fetch_watermarks(topic, 0, SOON).unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, 0, Offset::Offset(from)).unwrap();
    consumer.assign(&list).unwrap();
    let deadline = Instant::now() + SOON;
    let mut found: Vec<Read> = Vec::new();
    while found.last().map_or(from, |last| last.offset + 1) < high {
        assert!(Instant::now() < deadline, "only {} of {high} records came", found.len());
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let message = message.unwrap();
        let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
        found.push(Read {
            offset: message.offset(),
            timestamp: message.timestamp().to_millis(),
            key: message.key().map(<[u8]>::to_vec),
            payload: message.payload().unwrap().to_vec(),
            headers: headers.map(|h| (h.key.to_owned(), h.value.unwrap().to_vec())).collect(),
        });
    }
    found
}

#[tokio::test(flavor = "multi_thread")]
async fn a_restart_keeps_topics_records_offsets_keys_headers_and_timestamps() {
    let dir = tempfile::tempdir().unwrap();
    let broker = start(at(ANY, dir.path())).await.unwrap();
    ensure_topics(&kafka(broker.bootstrap()), &["logs".to_owned()], 1).await.unwrap();
    for (index, codec) in ["none", "lz4", "zstd", "gzip", "snappy"].into_iter().enumerate() {
        let mut native = ClientConfig::new();
        native.set("bootstrap.servers", broker.bootstrap()).set("compression.type", codec);
        native.set("linger.ms", "50");
        let producer: BaseProducer = native.create().unwrap();
        for part in 0..3 {
            let headers = OwnedHeaders::new().insert(Header { key: "n", value: Some(codec) });
            let (key, payload) = (format!("k{part}"), codec.repeat(100));
            let record = BaseRecord::to("logs").key(&key).payload(&payload).headers(headers);
            let record = record.timestamp(1_700_000_000_000 + 10 * index as i64 - part);
            producer.send(record).map_err(|(error, _)| error).unwrap();
        }
        producer.flush(SOON).unwrap();
    }
    let before = read(&broker.bootstrap(), "logs", 0);
    assert_eq!(before.len(), 15);
    assert_eq!(before[4].payload, "lz4".repeat(100).as_bytes());
    assert_eq!(before[4].key.as_deref(), Some(&b"k1"[..]));
    assert_eq!(before[4].timestamp, Some(1_700_000_000_009));
    assert_eq!(before[4].headers, [("n".to_owned(), b"lz4".to_vec())]);
    broker.stop().await;

    let broker = start(at(ANY, dir.path())).await.unwrap();
    assert_eq!(read(&broker.bootstrap(), "logs", 0), before);
    assert_eq!(read(&broker.bootstrap(), "logs", 12), before[12..]);
    let producer = Producer::connect(&kafka(broker.bootstrap())).unwrap();
    producer.send(vec![line("next".to_owned())]).await.unwrap();
    assert_eq!(read(&broker.bootstrap(), "logs", 15)[0].payload, b"next");
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_port_in_use_is_an_error_that_names_the_setting() {
    let taken = TcpListener::bind(ANY).unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let dir = tempfile::tempdir().unwrap();
    let error = start(at(&address, dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("kafka.embedded.listen") && error.contains(&address), "{error}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_directory_belongs_to_one_broker_and_keeps_its_cluster_id() {
    let dir = tempfile::tempdir().unwrap();
    let first = start(at(ANY, dir.path())).await.unwrap();
    let error = start(at(ANY, dir.path())).await.unwrap_err().to_string();
    assert!(error.contains("used by another running process"), "{error}");
    let id = stored_cluster(&dir.path().join("kafka.db")).await.unwrap().unwrap();
    first.stop().await;
    let second = start(at(ANY, dir.path())).await.unwrap();
    let native: BaseConsumer =
        ClientConfig::new().set("bootstrap.servers", second.bootstrap()).create().unwrap();
    assert_eq!(native.client().fetch_cluster_id(SOON), Some(id));
}

#[test]
fn a_path_the_broker_would_misread_is_refused() {
    let error = storage_url(Path::new("/data/my disk/kafka.db")).unwrap_err().to_string();
    assert!(error.contains("my disk"), "{error}");
    assert_eq!(storage_url(Path::new("/data/kafka.db")).unwrap().path(), "//data/kafka.db");
}

/// Not a test of its own: the process that the next test kills.
#[tokio::test(flavor = "multi_thread")]
async fn victim_of_kill() {
    let Ok(dir) = std::env::var("TIDEMILL_TEST_VICTIM_DIR") else { return };
    let listen = std::env::var("TIDEMILL_TEST_VICTIM_LISTEN").unwrap();
    let _broker = start(at(&listen, Path::new(&dir))).await.unwrap();
    tokio::time::sleep(Duration::from_secs(300)).await;
}

fn victim(dir: &Path, listen: &str) -> Child {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "tests::victim_of_kill"])
        .env("TIDEMILL_TEST_VICTIM_DIR", dir)
        .env("TIDEMILL_TEST_VICTIM_LISTEN", listen)
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let deadline = Instant::now() + SOON;
    while !answers(listen, Duration::from_millis(500)) {
        assert!(Instant::now() < deadline, "the child's broker does not answer");
    }
    child
}

#[tokio::test(flavor = "multi_thread")]
async fn kill_dash_nine_while_producing_loses_and_doubles_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let listen = free(ANY.parse().unwrap()).unwrap().to_string();
    let mut child = victim(dir.path(), &listen);
    ensure_topics(&kafka(listen.clone()), &["logs".to_owned()], 1).await.unwrap();
    let producer = Producer::connect(&kafka(listen.clone())).unwrap();
    let mut calls = 0;
    for kills in 0..3 {
        let until = Instant::now() + Duration::from_millis(700);
        let send = async {
            while Instant::now() < until {
                let lines = (0..50).map(|n| line(format!("{calls}.{n}")));
                // Not answered while the broker is down: librdkafka goes on trying meanwhile.
                producer.send(lines.collect()).await.unwrap();
                calls += 1;
            }
        };
        let kill = async {
            tokio::time::sleep(Duration::from_millis(300 + 50 * kills)).await;
            child.kill().unwrap();
            child.wait().unwrap();
            child = tokio::task::block_in_place(|| victim(dir.path(), &listen));
        };
        tokio::join!(send, kill);
    }
    let mut seen: BTreeMap<Vec<u8>, usize> = BTreeMap::new();
    for record in tokio::task::block_in_place(|| read(&listen, "logs", 0)) {
        *seen.entry(record.payload).or_default() += 1;
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(calls > 0);
    assert_eq!(seen.len(), calls * 50, "lost");
    assert!(seen.values().all(|times| *times == 1), "doubled");
}
