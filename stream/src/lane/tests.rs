//! A lane keeps the books: nothing is lost between offsets and ledger, whatever the payloads.

use super::*;
use crate::fixture;
use schemas::table::Table;
use schemas::topic::Format;
use stages::record::Record;

fn lane(share: Share) -> Lane {
    let mut lane = Lane::new(fixture::pipeline(), share);
    lane.assign(Assigned {
        partition: fixture::partition(0),
        signal: Signal::Logs,
        input: Format::Raw.into(),
        next_offset: 10,
        clock: None,
    });
    lane
}

fn batch(offsets: &[i64], payload: &[u8]) -> Batch {
    let record = |offset: &i64| Record {
        offset: *offset,
        timestamp: EventTime::from_nanos(1_714_219_200_000_000_000 + *offset),
        payload: payload.to_vec(),
        headers: Vec::new(),
    };
    Batch { partition: fixture::partition(0), records: offsets.iter().map(record).collect() }
}

#[test]
fn repeated_offsets_are_skipped_and_missing_ones_counted() {
    let mut lane = lane(Share::of(1));
    assert!(lane.is_idle());
    lane.process(&batch(&[8, 9, 10, 11], b"x"));
    lane.process(&batch(&[11, 14], b"x"));
    let part = lane.cut().expect("columns");
    let [range] = &part.ranges[..] else { panic!("one range: {:?}", part.ranges) };
    assert_eq!((range.from, range.to, range.messages, part.missing), (10, 15, 3, 2));
    assert!(lane.is_idle());
    assert!(lane.cut().expect("columns").ranges.is_empty(), "nothing moved");
    lane.process(&batch(&[15], b"x"));
    let next = lane.cut().expect("columns");
    assert_eq!((next.ranges[0].from, next.ranges[0].to), (15, 16), "ranges follow one another");
}

#[test]
fn a_range_may_end_in_offsets_that_are_not_there() {
    let mut lane = lane(Share::of(1));
    lane.process(&batch(&[10, 11], b"x"));
    lane.skip_to(&fixture::partition(0), 20);
    lane.skip_to(&fixture::partition(0), 15);
    let part = lane.cut().expect("columns");
    let [range] = &part.ranges[..] else { panic!("one range: {:?}", part.ranges) };
    assert_eq!((range.from, range.to, range.messages, part.missing), (10, 20, 2, 8));
    let balance = fixture::ledger_balance(&part.batches);
    assert_eq!((balance.received, balance.messages), (2, 2));
}

#[test]
fn every_event_is_received_once_and_has_one_fate() {
    let mut lane = lane(Share::of(1));
    lane.process(&batch(&[10, 11, 12], b"a log line"));
    lane.process(&batch(&[13], b""));
    let part = lane.cut().expect("columns");
    let balance = fixture::ledger_balance(&part.batches);
    assert_eq!((balance.received, balance.messages), (4, 4));
    assert_eq!(balance.indexed + balance.excluded + balance.dead_letters, balance.received);
    assert!(balance.dead_letters >= 1, "the tombstone is kept as a dead letter");
    let rows = |table| {
        let of = part.batches.iter().filter(|batch| batch.table == table);
        of.map(|batch| batch.rows.num_rows() as i64).sum::<i64>()
    };
    assert_eq!(rows(Table::Logs), balance.indexed);
    assert_eq!(rows(Table::DeadLetters), balance.dead_letters);
}

#[test]
fn what_the_scanner_finds_is_in_the_ledger_by_rule_and_not_in_the_rows() {
    let config = r#"{"sensitive_data_scanner": {"groups": [{"name": "pii", "rules": [
        {"name": "mail", "standard_pattern": "email", "text_replacement": {"type": "hash"}}]}]}}"#;
    let config = serde_json::from_str(config).expect("a configuration");
    let pipeline = Arc::new(Pipeline::compile(&config).expect("compiles"));
    let mut lane = Lane::new(pipeline, Share::of(1));
    lane.assign(Assigned {
        partition: fixture::partition(0),
        signal: Signal::Logs,
        input: Format::Raw.into(),
        next_offset: 10,
        clock: None,
    });
    lane.process(&batch(&[10, 11], b"from ann@example.org to bob@example.org"));
    lane.process(&batch(&[12], b"nothing"));
    let part = lane.cut().expect("columns");
    let balance = fixture::ledger_balance(&part.batches);
    assert_eq!((balance.received, balance.indexed), (3, 3));
    let of = |table| {
        let batches = part.batches.iter().filter(move |batch| batch.table == table);
        batches.map(|batch| format!("{:?}", batch.rows)).collect::<String>()
    };
    let ledger = of(Table::Ledger);
    assert!(ledger.contains("sensitive") && ledger.contains("pii/mail"), "{ledger}");
    assert!(!of(Table::Logs).contains("ann@") && !ledger.contains("ann@"), "hidden everywhere");
}

#[test]
fn a_lane_is_full_by_rows() {
    let mut lane = lane(Share { rows: 3, ..Share::of(1) });
    lane.process(&batch(&[10, 11], b"x"));
    assert!(!lane.is_full());
    lane.process(&batch(&[12], b"x"));
    assert!(lane.is_full());
    lane.cut().expect("columns");
    assert!(!lane.is_full());
}

#[test]
fn the_logical_clock_goes_on_from_where_the_former_owner_left_it() {
    let mut lane = Lane::new(fixture::pipeline(), Share::of(1));
    let clock = EventTime::from_nanos(2_000_000_000_000_000_000);
    lane.assign(Assigned {
        partition: fixture::partition(0),
        signal: Signal::Logs,
        input: Format::Raw.into(),
        next_offset: 10,
        clock: Some(clock),
    });
    lane.process(&batch(&[10], b"x"));
    assert_eq!(lane.cut().expect("columns").ranges[0].clock, clock);
}

#[test]
fn what_is_given_up_or_reset_leaves_nothing_behind() {
    let mut lane = lane(Share::of(1));
    lane.process(&batch(&[10, 12], b"x"));
    lane.reset();
    let part = lane.cut().expect("columns");
    assert!(part.ranges.is_empty() && part.batches.is_empty() && part.missing == 0);
    lane.process(&batch(&[13], b"x"));
    assert!(lane.cut().expect("columns").ranges.is_empty(), "no partition is held");
}

#[test]
fn a_record_that_crashes_the_lane_twice_is_quarantined_and_the_others_go_through() {
    let suspects = Arc::new(suspects::Suspects::default());
    let mut lane = Lane::new(crate::fixture::pipeline(), Share::of(1)).with_suspects(suspects);
    let record = |offset, payload: &[u8]| stages::record::Record {
        offset,
        payload: payload.to_vec(),
        ..stages::record::Record::default()
    };
    let batch = Batch {
        partition: crate::fixture::partition(0),
        records: vec![record(0, b"one"), record(1, message::TRAP), record(2, b"three")],
    };
    let assigned = Assigned {
        partition: crate::fixture::partition(0),
        signal: Signal::Logs,
        input: Format::Raw.into(),
        next_offset: 0,
        clock: None,
    };
    for times in 1..=2 {
        lane.assign(assigned.clone());
        lane.process(&batch);
        let crash = lane.crash().expect("crashed").clone();
        assert_eq!((crash.offset, crash.times, crash.is_hopeless()), (1, times, false));
        assert!(crash.to_string().contains("trapped"), "{crash}");
        let nothing = lane.cut().expect("cut");
        assert!(nothing.ranges.is_empty() && nothing.batches.is_empty(), "half a unit");
        lane.reset();
    }
    lane.assign(assigned);
    lane.process(&batch);
    assert!(lane.crash().is_none());
    let part = lane.cut().expect("cut");
    assert_eq!(part.ranges.first().map(|range| (range.from, range.to)), Some((0, 3)));
    let rows = |table: Table| -> usize {
        let of_it = part.batches.iter().filter(|batch| batch.table == table);
        of_it.map(|batch| batch.rows.num_rows()).sum()
    };
    assert_eq!((rows(Table::Logs), rows(Table::DeadLetters)), (2, 1));
    let balance = crate::fixture::ledger_balance(&part.batches);
    assert_eq!((balance.received, balance.indexed, balance.dead_letters), (3, 2, 1));
}
