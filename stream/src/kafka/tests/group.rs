//! Membership in a group, against librdkafka's mock cluster.

use rdkafka::mocking::MockCoordinator;

use super::*;
use crate::source::{Change, Changes};

fn member(mock: &Mock) -> (Box<KafkaSource>, Changes) {
    member_for(mock, &["t"])
}

fn member_for(mock: &Mock, topics: &[&str]) -> (Box<KafkaSource>, Changes) {
    let config = Config {
        brokers: mock.bootstrap_servers(),
        properties: Vec::new(),
        group: "g".to_owned(),
        membership: Some(Membership { instance: None, session_timeout: Duration::from_secs(6) }),
    };
    let mut source = Box::new(KafkaSource::connect(&config, System::shared()).unwrap());
    let topics: Vec<String> = topics.iter().map(|topic| (*topic).to_owned()).collect();
    let changes = source.join(&topics).unwrap().expect("a group");
    (source, changes)
}

/// The next decision, within the time limit.
fn next(changes: &mut Changes) -> Change {
    let clock = System::shared();
    let end = clock.monotonic() + SOON;
    loop {
        match changes.try_recv() {
            Ok(change) => return change,
            Err(_) => thread::sleep(Duration::from_millis(5)),
        }
        assert!(clock.monotonic() < end, "the group does not decide");
    }
}

/// Takes what the group gives until it is that many partitions, from this offset on.
fn accept(source: &mut KafkaSource, changes: &mut Changes, lane: &Lane, count: usize, offset: i64) {
    while lane.partitions().len() < count {
        let change = next(changes);
        answer(source, lane, change, &[offset; 4]);
    }
    assert_eq!(lane.partitions().len(), count);
}

/// Does what the group says; partitions begin at these offsets.
fn answer(source: &mut KafkaSource, lane: &Lane, change: Change, offsets: &[i64; 4]) {
    match change {
        Change::Assigned(given) => {
            let start = |partition: &TopicPartition| Start {
                partition: partition.clone(),
                offset: offsets[partition.partition as usize],
            };
            source.add(given.iter().map(start).collect()).unwrap();
            lane.take_on(&given);
        }
        Change::Revoked(taken) | Change::Lost(taken) => {
            lane.let_go(&taken);
            source.remove(&taken).unwrap();
        }
        other => panic!("unexpected {other:?}"),
    }
}

type Joined = (Box<KafkaSource>, Changes, Lane);

/// A new member, and the one lane it reads with.
fn join(mock: &Mock) -> Joined {
    join_for(mock, &["t"])
}

fn join_for(mock: &Mock, topics: &[&str]) -> Joined {
    let (mut source, changes) = member_for(mock, topics);
    let lane = source.lane(&[]);
    (source, changes, lane)
}

/// Answers for all members until they hold so many partitions each.
fn settle(members: &mut [&mut Joined], counts: &[usize], offsets: &[i64; 4]) {
    let clock = System::shared();
    let end = clock.monotonic() + SOON;
    while members.iter().map(|(.., lane)| lane.partitions().len()).ne(counts.iter().copied()) {
        assert!(clock.monotonic() < end, "the group does not settle");
        for (source, changes, lane) in &mut *members {
            if let Ok(change) = changes.try_recv() {
                answer(source, lane, change, offsets);
            }
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Answers for all members and takes what comes, from `offsets` on in order, until every partition is read up to
/// `end`: on a busy machine partitions may move once more meanwhile. How many records each member had.
fn read(members: &mut [&mut Joined], offsets: &mut [i64; 4], end: i64) -> Vec<usize> {
    let clock = System::shared();
    let begun = clock.monotonic();
    let mut counts = vec![0; members.len()];
    while offsets.iter().any(|offset| *offset < end) {
        assert!(clock.monotonic() < begun + SOON, "read up to {offsets:?} only");
        for ((source, changes, lane), count) in members.iter_mut().zip(&mut counts) {
            if let Ok(change) = changes.try_recv() {
                answer(source, lane, change, offsets);
            }
            let Some(event) = lane.recv_timeout(Duration::from_millis(10)) else { continue };
            let Event::Batch(batch) = event else { panic!("unexpected {event:?}") };
            let next = &mut offsets[batch.partition.partition as usize];
            for record in batch.records {
                assert_eq!(record.offset, *next, "{:?}", batch.partition);
                (*next, *count) = (*next + 1, *count + 1);
            }
        }
    }
    counts
}

#[test]
fn partitions_move_to_a_new_member_and_back_and_every_record_comes_once() {
    let mock = mock(4);
    let fill = |range: std::ops::Range<i64>| {
        (0..4).for_each(|id| produce(&mock, id, range.clone().map(|n| n.to_string())));
    };
    let join = || join(&mock);
    let mut offsets = [0; 4];
    fill(0..10);
    let mut first = join();
    settle(&mut [&mut first], &[4], &offsets);
    assert_eq!(read(&mut [&mut first], &mut offsets, 10), [40]);

    let mut second = join();
    settle(&mut [&mut first, &mut second], &[2, 2], &offsets);
    fill(10..15);
    let counts = read(&mut [&mut first, &mut second], &mut offsets, 15);
    assert_eq!(counts.iter().sum::<usize>(), 20);

    second.0.stop();
    settle(&mut [&mut first], &[4], &offsets);
    fill(15..17);
    assert_eq!(read(&mut [&mut first], &mut offsets, 17), [8]);
    first.0.stop();
}

#[test]
fn who_goes_back_gets_every_record_from_there_in_order() {
    let mock = mock(1);
    let total: i64 = 5 * MAX_PARTITION_QUEUE_MESSAGES as i64;
    produce(&mock, 0, (0..total).map(|n| n.to_string()));
    let (mut source, mut changes) = member(&mock);
    let lane = source.lane(&[]);
    accept(&mut source, &mut changes, &lane, 1, 0);
    go_back(source, &lane);
    // The same without a group.
    let mut source = connect(&mock, &[]).unwrap();
    let lane = source.lane(&[partition(0)]);
    source.add(vec![start(0, 0)]).unwrap();
    go_back(source, &lane);
}

fn go_back(mut source: Box<KafkaSource>, lane: &Lane) {
    for back_to in [100, 3_000, 0] {
        // In the middle of a flow, queue full or not.
        take(lane, 5_000);
        lane.let_go_of_all();
        source.add(vec![start(0, back_to)]).unwrap();
        lane.take_on(&[partition(0)]);
        let offsets: Vec<i64> = take(lane, 4_000).iter().map(|(_, record)| record.offset).collect();
        assert_eq!(offsets[..4_000], (back_to..back_to + 4_000).collect::<Vec<_>>());
    }
    source.stop();
}

#[test]
fn members_go_over_to_a_coordinator_that_moved_and_a_broker_that_comes_back_costs_no_record() {
    let group = || MockCoordinator::Group("g".to_owned());
    let mock = MockCluster::new(3).unwrap();
    mock.create_topic("t", 2, 3).unwrap();
    // The broker that goes down leads one partition; the other must be writable meanwhile.
    mock.partition_leader("t", 0, Some(1)).unwrap();
    mock.partition_leader("t", 1, Some(2)).unwrap();
    mock.coordinator(group(), 1).unwrap();
    // Two partitions only.
    let mut offsets = [0, 0, i64::MAX, i64::MAX];
    let mut first = join(&mock);
    settle(&mut [&mut first], &[2], &offsets);
    (0..2).for_each(|id| produce(&mock, id, (0..50).map(|n| n.to_string())));
    assert_eq!(read(&mut [&mut first], &mut offsets, 50), [100]);

    mock.coordinator(group(), 2).unwrap();
    mock.broker_down(1).unwrap();
    // The old coordinator answers nobody: only the new one can share the partitions among two, and it has to have
    // heard of both.
    let mut second = join(&mock);
    settle(&mut [&mut first, &mut second], &[1, 1], &offsets);
    produce(&mock, 1, (50..100).map(|n| n.to_string()));
    mock.broker_up(1).unwrap();
    produce(&mock, 0, (50..100).map(|n| n.to_string()));
    let counts = read(&mut [&mut first, &mut second], &mut offsets, 100);
    assert_eq!(counts.iter().sum::<usize>(), 100);
    first.0.stop();
    second.0.stop();
}

#[test]
fn settings_of_the_group_are_not_taken_from_properties() {
    let mock = mock(1);
    for key in
        ["group.id", "group.instance.id", "session.timeout.ms", "partition.assignment.strategy"]
    {
        let error = connect(&mock, &[(key, "x")]).unwrap_err().to_string();
        assert!(error.contains(key), "{error}");
    }
}

/// Topics need not be the same for all: who reads fewer takes nothing that only others read, and settles.
#[test]
fn members_whose_topics_differ_share_what_both_read() {
    let mock = mock(2);
    mock.create_topic("u", 1, 1).unwrap();
    let offsets = [0; 4];
    let mut first = join_for(&mock, &["t", "u"]);
    settle(&mut [&mut first], &[3], &offsets);
    let mut second = join_for(&mock, &["t"]);
    settle(&mut [&mut first, &mut second], &[2, 1], &offsets);
    assert!(second.2.partitions().iter().all(|partition| &*partition.topic == "t"));
    first.0.stop();
    second.0.stop();
}
