//! The two sides: librdkafka alone, and the worker.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::config::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Message as _;
use rdkafka::{Offset, TopicPartitionList};
use schemas::topic::{Format, Signal};
use stream::{store, worker};

use crate::broker::PARTITIONS;
use crate::lines;

/// Longest time one run may take.
const DEADLINE: Duration = Duration::from_secs(600);
/// Time between two units: the product's local default is longer, and the wait for the last one
/// would count.
const EPOCH: Duration = Duration::from_secs(1);

/// Reads every record and counts; seconds taken.
pub(crate) fn raw(address: &str, topic: &str, records: usize) -> f64 {
    let start = Instant::now();
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", address)
        .set("group.id", "tidemill-bench")
        .set("enable.auto.commit", "false")
        .set("queued.min.messages", "100000")
        .create()
        .expect("a consumer");
    let mut list = TopicPartitionList::new();
    for partition in 0..PARTITIONS {
        list.add_partition_offset(topic, partition, Offset::Beginning).expect("an offset");
    }
    consumer.assign(&list).expect("assigns");
    let (mut count, mut bytes) = (0, 0);
    while count < records {
        assert!(start.elapsed() < DEADLINE, "{count} of {records} records");
        if let Some(message) = consumer.poll(Duration::from_millis(100)) {
            let message = message.expect("a message");
            count += 1;
            bytes += message.payload().map_or(0, <[u8]>::len);
        }
    }
    assert!(bytes > 0, "payloads");
    start.elapsed().as_secs_f64()
}

/// The worker until the end of the topic is committed; seconds taken, bytes stored.
pub(crate) fn chain(address: &str, topic: &str, records: usize) -> (f64, u64) {
    let directory = tempfile::tempdir().expect("a directory");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let start = Instant::now();
    let seconds = runtime.expect("a runtime").block_on(async {
        let running = worker::start(config(address, topic, directory.path())).await;
        let running = running.expect("the worker starts");
        // The lag is known from the start: the worker has asked for the partitions' ends.
        while running.status().lag > 0 {
            assert!(start.elapsed() < DEADLINE, "{:?}", running.status());
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        let seconds = start.elapsed().as_secs_f64();
        let status = running.status();
        // Every fourth log is excluded.
        assert_eq!(status.rows.get("logs"), Some(&(records as u64 * 3 / 4)), "{status:?}");
        running.drain(DEADLINE).await.expect("drains");
        seconds
    });
    (seconds, bytes_below(directory.path()))
}

fn config(address: &str, topic: &str, directory: &Path) -> worker::Config {
    let url = directory.to_str().expect("text").to_owned();
    let store = store::Config { url: url.clone(), options: Default::default() };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    worker::Config {
        brokers: address.to_owned(),
        properties: Vec::new(),
        topics: vec![worker::Topic {
            name: topic.to_owned(),
            signal: Signal::Logs,
            input: Format::Json.into(),
        }],
        store: store::open(&store).expect("opens"),
        store_name: url,
        store_is_remote: false,
        pipeline: Arc::new(lines::pipeline()),
        epoch: EPOCH,
        sharing: None,
        upkeep: stream::upkeep::Settings::default(),
        keep_raw: stream::lane::KeepRaw::Nothing,
        notes: Some(directory.join("notes")),
        threads,
    }
}

fn bytes_below(directory: &Path) -> u64 {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
