//! The source in memory keeps the same promises as the one on Kafka.

use super::*;

fn partition(id: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: id }
}

fn records(count: usize) -> Vec<Record> {
    vec![Record::default(); count]
}

fn from(id: i32, offset: i64) -> Start {
    Start { partition: partition(id), offset }
}

fn batch(lane: &Lane) -> (i64, usize) {
    match lane.try_recv() {
        Some(Event::Batch(batch)) => (batch.records[0].offset, batch.records.len()),
        other => panic!("no batch: {other:?}"),
    }
}

#[test]
fn a_second_source_reads_again_from_where_it_is_told() {
    let log = MemoryLog::new();
    log.create_topic("t", 2);
    assert_eq!(log.append(&partition(0), records(3)), 0);
    let mut first = log.open();
    let lane = first.lane(&[partition(0), partition(1)]);
    first.assign(vec![from(0, 1), from(1, 0)]).unwrap();
    assert_eq!(batch(&lane), (1, 2));
    assert_eq!(log.append(&partition(0), records(2)), 3);
    assert_eq!(batch(&lane), (3, 2));
    first.store_hint(&[(partition(0), 5)]);
    Box::new(first).stop();
    assert!(lane.recv_timeout(Duration::from_secs(60)).is_none());

    let mut second = log.open();
    second.assign(vec![from(0, 4)]).unwrap();
    assert_eq!(batch(&second.lane(&[partition(0)])), (4, 1));
    assert_eq!(log.hint(&partition(0)), Some(5));
    let infos = second.partitions(&["t".to_owned()], Duration::ZERO).unwrap();
    assert_eq!((infos.len(), infos[0].low, infos[0].high), (2, 0, 5));
    assert!(second.partitions(&["x".to_owned()], Duration::ZERO).is_err());
}

#[test]
fn holes_and_lost_starts_are_told() {
    let log = MemoryLog::new();
    log.append(&partition(0), records(2));
    log.skip(&partition(0), 3);
    log.append(&partition(0), records(1));
    let mut source = log.open();
    let lane = source.lane(&[partition(0)]);
    source.assign(vec![from(0, 0)]).unwrap();
    assert_eq!(batch(&lane), (0, 2));
    assert!(matches!(lane.try_recv(), Some(Event::Gap { expected: 2, found: 5, .. })));
    assert_eq!(batch(&lane), (5, 1));
    log.truncate(&partition(0), 4);
    source.assign(vec![from(0, 1)]).unwrap();
    let told = lane.try_recv();
    assert!(matches!(told, Some(Event::OutOfRange { asked: 1, low: 4, high: 6, .. })), "{told:?}");
    log.fail("disk");
    assert!(matches!(lane.try_recv(), Some(Event::Failed(_))));
}

#[test]
fn long_backlogs_come_in_bounded_batches() {
    let log = MemoryLog::new();
    log.append(&partition(0), records(MAX_BATCH_MESSAGES + 1));
    let mut source = log.open();
    let lane = source.lane(&[partition(0)]);
    source.assign(vec![from(0, 0)]).unwrap();
    assert_eq!(batch(&lane), (0, MAX_BATCH_MESSAGES));
    assert_eq!(batch(&lane), (MAX_BATCH_MESSAGES as i64, 1));
}
