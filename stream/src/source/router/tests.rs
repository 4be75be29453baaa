//! Order, bounds and fairness of the queues.

use proptest::prelude::*;

use super::*;

fn partition(id: i32) -> TopicPartition {
    TopicPartition { topic: "t".into(), partition: id }
}

fn records(from: i64, count: usize, bytes: usize) -> Vec<Record> {
    let record = |offset| Record { offset, payload: vec![0; bytes], ..Record::default() };
    (from..).take(count).map(record).collect()
}

fn offsets(event: Option<Event>) -> Vec<i64> {
    match event {
        Some(Event::Batch(batch)) => batch.records.iter().map(|record| record.offset).collect(),
        other => panic!("no batch: {other:?}"),
    }
}

#[test]
fn a_queue_is_full_at_its_limit_and_drained_below_half() {
    let router = Arc::new(Router::default());
    let lane = router.lane(&[partition(0)]);
    let slot = router.open(&partition(0));
    let half = MAX_PARTITION_QUEUE_MESSAGES / 2;
    assert!(!router.push(slot, &partition(0), records(0, half, 1)));
    assert!(!router.drained(slot));
    assert!(router.push(slot, &partition(0), records(0, half, 1)));
    lane.try_recv().unwrap();
    assert!(!router.drained(slot));
    lane.try_recv().unwrap();
    assert!(router.drained(slot));
    assert!(router.push(slot, &partition(0), records(0, 1, MAX_PARTITION_QUEUE_BYTES)));
    lane.try_recv().unwrap();
    assert!(router.drained(slot));
}

#[test]
fn a_busy_partition_does_not_starve_another() {
    let router = Arc::new(Router::default());
    let slots = [router.open(&partition(0)), router.open(&partition(1))];
    let lane = router.lane(&[partition(0), partition(1)]);
    for from in 0..3 {
        router.push(slots[0], &partition(0), records(from, 1, 1));
    }
    router.push(slots[1], &partition(1), records(100, 1, 1));
    let order: Vec<i64> = (0..4).flat_map(|_| offsets(lane.try_recv())).collect();
    assert_eq!(order, [0, 100, 1, 2]);
    assert!(lane.try_recv().is_none());
    assert_eq!(lane.partitions(), [partition(0), partition(1)]);
}

#[test]
fn a_waiting_lane_wakes_for_its_own_records_and_at_the_end() {
    let router = Arc::new(Router::default());
    let (mine, other) = (router.open(&partition(0)), router.open(&partition(1)));
    let lane = router.lane(&[partition(0)]);
    let _others = router.lane(&[partition(1)]);
    assert!(lane.recv_timeout(Duration::from_millis(1)).is_none());
    let long = Duration::from_secs(60);
    let waiting =
        std::thread::spawn(move || (offsets(lane.recv_timeout(long)), lane.recv_timeout(long)));
    router.push(other, &partition(1), records(9, 1, 1));
    router.push(mine, &partition(0), records(5, 1, 1));
    router.close();
    let (first, second) = waiting.join().unwrap();
    assert_eq!(first, [5]);
    assert!(second.is_none());
}

#[test]
fn a_failure_reaches_every_lane_once() {
    let router = Arc::new(Router::default());
    let lanes = [router.lane(&[partition(0), partition(1)]), router.lane(&[partition(2)])];
    router.tell_all(&Event::Failed("gone".to_owned()));
    for lane in lanes {
        assert!(matches!(lane.try_recv(), Some(Event::Failed(reason)) if reason == "gone"));
        assert!(lane.try_recv().is_none());
    }
}

proptest! {
    #[test]
    fn every_record_comes_out_once_in_its_partitions_order(pushes in prop::collection::vec((0i32..4, 1usize..20), 0..60)) {
        let router = Arc::new(Router::default());
        let all: Vec<TopicPartition> = (0..4).map(partition).collect();
        let lane = router.lane(&all);
        let mut next = [0i64; 4];
        for (id, count) in pushes {
            let slot = router.open_if_new(&partition(id));
            router.push(slot, &partition(id), records(next[id as usize], count, 3));
            next[id as usize] += count as i64;
        }
        let mut seen = [0i64; 4];
        while let Some(event) = lane.try_recv() {
            let Event::Batch(batch) = event else { panic!("only batches were pushed") };
            for record in batch.records {
                prop_assert_eq!(record.offset, seen[batch.partition.partition as usize]);
                seen[batch.partition.partition as usize] += 1;
            }
        }
        prop_assert_eq!(seen, next);
        prop_assert!(router.lock().slots.iter().all(|slot| slot.messages == 0 && slot.bytes == 0));
    }
}

impl Router {
    /// The number of a queue, without emptying it.
    fn open_if_new(&self, partition: &TopicPartition) -> usize {
        self.lock().slot(partition)
    }
}
