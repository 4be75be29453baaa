//! The consumer against librdkafka's mock cluster.

mod group;

use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer as _};
use schemas::limits::{MAX_BATCH_MESSAGES, MAX_PARTITION_QUEUE_MESSAGES};
use schemas::time::EventTime;

use super::*;
use crate::clock::System;
use crate::source::Event;
use stages::record::Record;

type Mock = MockCluster<'static, DefaultProducerContext>;

const SOON: Duration = Duration::from_secs(30);

fn mock(partitions: i32) -> Mock {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("t", partitions, 1).unwrap();
    mock
}

fn connect(mock: &Mock, properties: &[(&str, &str)]) -> Result<Box<KafkaSource>, SourceError> {
    let owned = |(key, value): &(&str, &str)| ((*key).to_owned(), (*value).to_owned());
    let config = Config {
        brokers: mock.bootstrap_servers(),
        properties: properties.iter().map(owned).collect(),
        group: "g".to_owned(),
        membership: None,
    };
    KafkaSource::connect(&config, System::shared()).map(Box::new)
}

fn partition(id: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: id }
}

fn start(id: i32, offset: i64) -> Start {
    Start { partition: partition(id), offset }
}

fn produce(mock: &Mock, id: i32, payloads: impl Iterator<Item = String>) {
    let mut native = ClientConfig::new();
    native.set("bootstrap.servers", mock.bootstrap_servers()).set("linger.ms", "20");
    let producer: BaseProducer = native.create().unwrap();
    for payload in payloads {
        let headers =
            OwnedHeaders::new().insert(Header { key: "content-type", value: Some("raw") });
        let record: BaseRecord<'_, str, str> =
            BaseRecord::to("t").payload(payload.as_str()).partition(id);
        let record = record.headers(headers).timestamp(1_700_000_000_123);
        producer.send(record).map_err(|(error, _)| error).unwrap();
    }
    producer.flush(SOON).unwrap();
}

/// Takes events until `count` records have come.
fn take(lane: &Lane, count: usize) -> Vec<(i32, Record)> {
    let clock = System::shared();
    let end = clock.monotonic() + SOON;
    let mut found = Vec::new();
    while found.len() < count {
        assert!(clock.monotonic() < end, "only {} of {count} records came", found.len());
        match lane.recv_timeout(Duration::from_millis(100)) {
            Some(Event::Batch(batch)) => {
                let id = batch.partition.partition;
                found.extend(batch.records.into_iter().map(|record| (id, record)));
            }
            None => {}
            other => panic!("unexpected {other:?}"),
        }
    }
    found
}

#[test]
fn reading_begins_at_the_offset_named_and_keeps_headers_and_timestamps() {
    let mock = mock(2);
    produce(&mock, 0, (0..10).map(|n| n.to_string()));
    produce(&mock, 1, (0..4).map(|n| n.to_string()));
    let mut source = connect(&mock, &[]).unwrap();
    let infos = source.partitions(&["t".to_owned()], SOON).unwrap();
    let seen: Vec<(i32, i64, i64)> =
        infos.iter().map(|i| (i.partition.partition, i.low, i.high)).collect();
    assert_eq!(seen, [(0, 0, 10), (1, 0, 4)]);
    source.assign(vec![start(0, 7), start(1, 4)]).unwrap();
    let lane = source.lane(&[partition(0), partition(1)]);
    let records = take(&lane, 3);
    let offsets: Vec<(i32, i64)> =
        records.iter().map(|(id, record)| (*id, record.offset)).collect();
    assert_eq!(offsets, [(0, 7), (0, 8), (0, 9)]);
    assert_eq!(records[0].1.payload, b"7");
    assert_eq!(records[0].1.header("Content-Type"), Some("raw"));
    assert_eq!(records[0].1.timestamp.nanos(), 1_700_000_000_123_000_000);
    produce(&mock, 1, std::iter::once("later".to_owned()));
    assert_eq!(take(&lane, 1)[0].1.offset, 4);
    assert!(source.cluster_id().is_some());
    source.store_hint(&[(partition(0), 10)]);
    source.stop();
    assert!(lane.recv_timeout(SOON).is_none());
}

#[test]
fn a_full_queue_pauses_its_partition_alone_and_loses_nothing() {
    let mock = mock(2);
    let total = 4 * MAX_PARTITION_QUEUE_MESSAGES;
    produce(&mock, 0, (0..total).map(|n| n.to_string()));
    produce(&mock, 1, (0..500).map(|n| n.to_string()));
    let mut source = connect(&mock, &[]).unwrap();
    let (busy, quick) = (source.lane(&[partition(0)]), source.lane(&[partition(1)]));
    source.assign(vec![start(0, 0), start(1, 0)]).unwrap();
    // Nobody takes from the first lane; the second goes on.
    assert_eq!(take(&quick, 500).len(), 500);
    produce(&mock, 1, (0..500).map(|n| n.to_string()));
    assert_eq!(take(&quick, 500).len(), 500);
    let clock = System::shared();
    let end = clock.monotonic() + SOON;
    while busy.messages() < MAX_PARTITION_QUEUE_MESSAGES {
        assert!(clock.monotonic() < end, "the queue does not fill");
        thread::sleep(Duration::from_millis(5));
    }
    // Full; a poll thread that did not pause would go on filling it during these calls.
    produce(&mock, 1, (0..500).map(|n| n.to_string()));
    assert_eq!(take(&quick, 500).len(), 500);
    let held = busy.messages();
    assert!(held < MAX_PARTITION_QUEUE_MESSAGES + 2 * MAX_BATCH_MESSAGES, "{held}");
    let offsets: Vec<i64> = take(&busy, total).iter().map(|(_, record)| record.offset).collect();
    assert_eq!(offsets, (0..total as i64).collect::<Vec<_>>());
    source.stop();
}

#[test]
fn an_offset_outside_its_partition_is_told_and_not_reset() {
    let mock = mock(2);
    produce(&mock, 0, (0..10).map(|n| n.to_string()));
    produce(&mock, 1, (0..3).map(|n| n.to_string()));
    let mut source = connect(&mock, &[]).unwrap();
    let lane = source.lane(&[partition(0), partition(1)]);
    source.assign(vec![start(0, 11), start(1, 1)]).unwrap();
    let told = lane.recv_timeout(SOON);
    assert!(
        matches!(told, Some(Event::OutOfRange { asked: 11, low: 0, high: 10, .. })),
        "{told:?}"
    );
    // The other partition is read, and this one stays silent even when its offset comes to exist.
    assert_eq!(take(&lane, 2)[0].1.offset, 1);
    produce(&mock, 0, (10..13).map(|n| n.to_string()));
    produce(&mock, 1, (3..4).map(|n| n.to_string()));
    let records = take(&lane, 1);
    assert_eq!((records[0].0, records[0].1.offset), (1, 3));
    // The mock keeps 5 MiB of a partition: its start moves on.
    produce(&mock, 0, (0..10).map(|_| "x".repeat(900_000)));
    source.assign(vec![start(0, 0)]).unwrap();
    let told = lane.recv_timeout(SOON);
    assert!(matches!(told, Some(Event::OutOfRange { asked: 0, low: 1.., .. })), "{told:?}");
    source.stop();
}

#[test]
fn a_refused_offset_that_is_in_range_is_read_again() {
    let mock = mock(1);
    produce(&mock, 0, (0..3).map(|n| n.to_string()));
    let mut source = connect(&mock, &[]).unwrap();
    let lane = source.lane(&[partition(0)]);
    source.assign(vec![start(0, 0)]).unwrap();
    take(&lane, 3);
    mock.request_errors(
        rdkafka::types::RDKafkaApiKey::Fetch,
        &[rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE],
    );
    // As after a change of leader: the refusal is not believed without the watermarks.
    produce(&mock, 0, (3..6).map(|n| n.to_string()));
    let offsets: Vec<i64> = take(&lane, 3).iter().map(|(_, record)| record.offset).collect();
    assert_eq!(offsets, [3, 4, 5]);
    source.stop();
}

#[test]
fn timestamps_of_single_messages_are_told_where_they_are_there() {
    let mock = mock(3);
    produce(&mock, 0, (0..3).map(|n| n.to_string()));
    // The mock keeps 5 MiB of a partition.
    produce(&mock, 1, (0..10).map(|_| "x".repeat(900_000)));
    let source = connect(&mock, &[]).unwrap();
    let asked = [(partition(0), 2), (partition(1), 0), (partition(2), 7)];
    let look = source.look();
    let found = look.timestamps(&asked).unwrap();
    assert_eq!(found, [EventTime::from_millis(1_700_000_000_123), None, None]);
    assert_eq!(look.timestamps(&[]).unwrap(), []);
    mock.broker_down(-1).unwrap();
    let error = look.timestamps(&asked).unwrap_err();
    assert!(matches!(error, SourceError::Unavailable(_)), "{error}");
    source.stop();
}

#[test]
fn a_broker_that_comes_back_is_read_on_without_loss() {
    let mock = mock(1);
    produce(&mock, 0, (0..100).map(|n| n.to_string()));
    let mut source = connect(&mock, &[]).unwrap();
    let lane = source.lane(&[partition(0)]);
    source.assign(vec![start(0, 0)]).unwrap();
    take(&lane, 100);
    mock.broker_down(-1).unwrap();
    assert!(lane.recv_timeout(Duration::from_millis(500)).is_none());
    mock.broker_up(-1).unwrap();
    produce(&mock, 0, (100..200).map(|n| n.to_string()));
    let offsets: Vec<i64> = take(&lane, 100).iter().map(|(_, record)| record.offset).collect();
    assert_eq!(offsets, (100..200).collect::<Vec<_>>());
    source.stop();
}

#[test]
fn a_stop_is_bounded_when_no_broker_answers() {
    let mock = mock(1);
    let mut source = connect(&mock, &[]).unwrap();
    let lane = source.lane(&[partition(0)]);
    source.assign(vec![start(0, 0)]).unwrap();
    mock.broker_down(-1).unwrap();
    let clock = System::shared();
    source.stop();
    assert!(clock.monotonic() < STOP + Duration::from_secs(3));
    assert!(lane.recv_timeout(SOON).is_none());
}

#[test]
fn a_missing_topic_is_named_and_not_created() {
    let mock = mock(1);
    let source = connect(&mock, &[]).unwrap();
    for _ in 0..2 {
        let error =
            source.partitions(&["missing".to_owned()], Duration::from_millis(300)).unwrap_err();
        assert!(
            matches!(&error, SourceError::UnknownTopic(topic) if topic == "missing"),
            "{error}"
        );
    }
}

#[test]
fn properties_that_break_promises_are_refused() {
    let mock = mock(1);
    for (key, value) in [
        ("enable.auto.commit", "true"),
        ("auto.offset.reset", "latest"),
        ("bootstrap.servers", "x:1"),
    ] {
        let error = connect(&mock, &[(key, value)]).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
    let error = connect(&mock, &[("no.such.property", "1")]).unwrap_err().to_string();
    assert!(error.contains("no.such.property"), "{error}");
    connect(&mock, &[("fetch.wait.max.ms", "20"), ("auto.offset.reset", "error")]).unwrap();
}

#[test]
fn a_partition_whose_leader_does_not_lead_yet_is_asked_again() {
    let mock = mock(2);
    produce(&mock, 0, (0..3).map(|n| n.to_string()));
    let not_yet = rdkafka::types::RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION;
    // Each look asks twice, for either end; librdkafka itself asks again but a few times.
    mock.request_errors(rdkafka::types::RDKafkaApiKey::ListOffsets, &[not_yet; 12]);
    let source = connect(&mock, &[]).unwrap();
    let infos = source.partitions(&["t".to_owned()], SOON).unwrap();
    assert_eq!(infos.iter().map(|info| info.high).collect::<Vec<_>>(), [3, 0]);
    source.stop();
}
