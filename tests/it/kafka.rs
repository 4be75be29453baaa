//! The intake's producer and the worker's consumer over one broker: what one acknowledges the other
//! reads, once and in order. Runs against the embedded broker, librdkafka's mock cluster, and a real cluster when
//! `TIDEMILL_KAFKA` names one (`host:port`).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use ingest::kafka as intake;
use ingest::sink::{Message, Sink as _};
use rdkafka::mocking::MockCluster;
use schemas::id::TraceId;
use schemas::topic::{Format, Signal};
use stages::record::{Record, TopicPartition};
use stream::clock::System;
use stream::kafka::{Config, KafkaSource};
use stream::source::{Event, Lane, Source as _, Start};

const SOON: Duration = Duration::from_secs(60);
const PARTITIONS: i32 = 3;

fn producer_config(brokers: &str, topic: &str) -> intake::Config {
    intake::Config {
        brokers: brokers.to_owned(),
        properties: Vec::new(),
        logs_topic: topic.to_owned(),
        spans_topic: format!("{topic}.spans"),
        metrics_topic: format!("{topic}.metrics"),
    }
}

fn consumer(brokers: &str) -> Box<KafkaSource> {
    let owned = |(key, value): (&str, &str)| (key.to_owned(), value.to_owned());
    let config = Config {
        brokers: brokers.to_owned(),
        properties: broker::CONSUMER_PROPERTIES.map(owned).to_vec(),
        group: "contract".to_owned(),
        membership: None,
    };
    Box::new(KafkaSource::connect(&config, System::shared()).unwrap())
}

fn message(id: u64) -> Message {
    Message {
        topic: Signal::Logs,
        format: Some(Format::DatadogLogs),
        key: TraceId::from_halves(7, id % 50 + 1),
        headers: vec![(schemas::topic::DD_TAGS, format!("n:{id}"))],
        payload: format!("{id} {}", "x".repeat(100)).into(),
    }
}

fn take(lane: &Lane, count: usize) -> Vec<(TopicPartition, Record)> {
    let end = Instant::now() + SOON;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(Instant::now() < end, "only {} of {count} records came", found.len());
        match lane.recv_timeout(Duration::from_millis(100)) {
            Some(Event::Batch(batch)) => {
                found.extend(
                    batch.records.into_iter().map(|record| (batch.partition.clone(), record)),
                );
            }
            None => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    found
}

/// Makes a topic as the intake does.
async fn make_topic(brokers: &str, topic: &str) {
    let config = producer_config(brokers, topic);
    intake::ensure_topics(&config, &[topic.to_owned()], PARTITIONS).await.unwrap();
}

/// Produces, reads everything, then reads again from the middle of each partition.
async fn acknowledged_is_read_once_in_order_from_any_offset(brokers: &str, topic: &str) {
    let config = producer_config(brokers, topic);
    let producer = intake::Producer::connect(&config).unwrap();
    for call in 0..40 {
        producer.send((call * 50..(call + 1) * 50).map(message).collect()).await.unwrap();
    }
    tokio::task::block_in_place(|| read_all_and_again(brokers, topic));
}

fn read_all_and_again(brokers: &str, topic: &str) {
    let mut source = consumer(brokers);
    let infos = source.partitions(&[topic.to_owned()], SOON).unwrap();
    assert_eq!(infos.len(), PARTITIONS as usize);
    assert_eq!(infos.iter().map(|info| info.high - info.low).sum::<i64>(), 2_000);
    let partitions: Vec<TopicPartition> = infos.iter().map(|info| info.partition.clone()).collect();
    let lane = source.lane(&partitions);
    let start = |partition: &TopicPartition, offset| Start { partition: partition.clone(), offset };
    source.assign(infos.iter().map(|info| start(&info.partition, info.low)).collect()).unwrap();
    let mut by_partition: BTreeMap<TopicPartition, Vec<Record>> = BTreeMap::new();
    for (partition, record) in take(&lane, 2_000) {
        by_partition.entry(partition).or_default().push(record);
    }
    let mut ids = Vec::new();
    for records in by_partition.values() {
        for (index, record) in records.iter().enumerate() {
            assert_eq!(record.offset, index as i64);
            let text = String::from_utf8(record.payload.clone()).unwrap();
            let id: u64 = text.split(' ').next().unwrap().parse().unwrap();
            assert_eq!(record.header("content-type"), Some("datadog_logs"));
            assert_eq!(record.header("ddtags"), Some(format!("n:{id}").as_str()));
            assert!(record.timestamp.nanos() > 1_700_000_000_000_000_000);
            ids.push(id);
        }
    }
    ids.sort_unstable();
    assert_eq!(ids, (0..2_000).collect::<Vec<_>>());
    let middle = |info: &stream::source::PartitionInfo| start(&info.partition, info.high / 2);
    source.assign(infos.iter().map(middle).collect()).unwrap();
    let rest: i64 = infos.iter().map(|info| info.high - info.high / 2).sum();
    for (partition, record) in take(&lane, rest as usize) {
        let known = &by_partition[&partition][record.offset as usize];
        assert_eq!(record.payload, known.payload);
    }
    let last: Vec<_> = infos.iter().map(|info| (info.partition.clone(), info.high - 1)).collect();
    let known = |(partition, offset): &(TopicPartition, i64)| {
        Some(by_partition[partition][*offset as usize].timestamp)
    };
    assert_eq!(
        source.look().timestamps(&last).unwrap(),
        last.iter().map(known).collect::<Vec<_>>()
    );
    let above = infos.iter().map(|info| start(&info.partition, info.high + 1));
    source.assign(above.collect()).unwrap();
    for _ in &infos {
        let told = lane.recv_timeout(SOON);
        assert!(matches!(told, Some(Event::OutOfRange { .. })), "{told:?}");
    }
    source.store_hint(&[(partitions[0].clone(), 1)]);
    source.stop();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_broker_keeps_the_contract_across_a_restart() {
    let dir = tempfile::tempdir().unwrap();
    let listen = "127.0.0.1:0".parse().unwrap();
    let config = broker::Config { listen, dir: dir.path().to_owned(), start_within: SOON };
    let running = broker::start(config.clone()).await.unwrap();
    make_topic(&running.bootstrap(), "contract").await;
    acknowledged_is_read_once_in_order_from_any_offset(&running.bootstrap(), "contract").await;
    let again = broker::Config { listen: running.bootstrap().parse().unwrap(), ..config };

    // A consumer that is connected while the broker restarts goes on by itself.
    let mut source = consumer(&running.bootstrap());
    let partition = TopicPartition { topic: "contract".into(), partition: 0 };
    let infos = source.partitions(&["contract".to_owned()], SOON).unwrap();
    let lane = source.lane(std::slice::from_ref(&partition));
    source.assign(vec![Start { partition, offset: infos[0].high }]).unwrap();
    running.stop().await;
    let running = broker::start(again).await.unwrap();
    let producer =
        intake::Producer::connect(&producer_config(&running.bootstrap(), "contract")).unwrap();
    producer.send((0..300).map(message).collect()).await.unwrap();
    let first = tokio::task::block_in_place(|| take(&lane, 1));
    assert_eq!(first[0].1.offset, infos[0].high);
    source.stop();
    running.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_mock_cluster_keeps_the_contract() {
    let mock = MockCluster::new(3).unwrap();
    // It does not know how to create a topic at a client's request.
    for topic in ["contract", "contract.spans", "contract.metrics"] {
        mock.create_topic(topic, PARTITIONS, 3).unwrap();
    }
    let brokers = mock.bootstrap_servers();
    acknowledged_is_read_once_in_order_from_any_offset(&brokers, "contract").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_cluster_keeps_the_contract() {
    let Ok(brokers) = std::env::var("TIDEMILL_KAFKA") else {
        eprintln!("skipped: TIDEMILL_KAFKA is not set");
        return;
    };
    let topic = format!("contract-{}", uuid::Uuid::new_v4().simple());
    make_topic(&brokers, &topic).await;
    acknowledged_is_read_once_in_order_from_any_offset(&brokers, &topic).await;
}
