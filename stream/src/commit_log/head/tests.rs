//! Properties of the fold.

use super::super::record::{ClaimedPartition, encode, hash};
use super::*;
use proptest::prelude::*;

pub(crate) fn topic_partition(partition: i32) -> TopicPartition {
    TopicPartition { topic: "tidemill.logs".into(), partition }
}

pub(crate) fn claim(owner: &str, partition: i32, generation: u64, start_offset: i64) -> Claim {
    Claim {
        owner: owner.to_owned(),
        cluster_id: Some("cluster".to_owned()),
        tables: BTreeMap::from([(Table::Logs, "id".to_owned())]),
        partitions: vec![ClaimedPartition {
            partition: topic_partition(partition),
            generation,
            start_offset,
        }],
    }
}

pub(crate) fn unit(
    owner: &str,
    partition: i32,
    generation: u64,
    parent_seq: u64,
    from_offset: i64,
    to_offset: i64,
) -> Unit {
    Unit {
        owner: owner.to_owned(),
        partitions: vec![UnitPartition {
            partition: topic_partition(partition),
            generation,
            parent_seq,
            from_offset,
            to_offset,
            messages: to_offset.saturating_sub(from_offset),
            clock_ns: 0,
        }],
        adds: vec![FileAdd {
            table: Table::Logs,
            path: format!("date=2024-04-27/hour=1/part-{from_offset}.parquet"),
            date: "2024-04-27".to_owned(),
            hour: 1,
            size: 10,
            rows: 1,
            stats: "{}".to_owned(),
            modified_millis: 0,
        }],
    }
}

fn commit(unit: Unit) -> Body {
    Body::Commit(Commit { units: vec![unit] })
}

/// Appends as a writer without any checks would.
fn push(head: &mut Head, body: Body) -> Folded {
    let record = Record {
        seq: head.next_seq,
        nonce: Bits(1),
        previous: head.last_hash,
        written_millis: 0,
        body,
    };
    let stored = hash(&encode(&record).expect("encodes"));
    head.fold(&record, stored).expect("in the chain")
}

#[test]
fn units_chain_and_a_zombies_unit_changes_nothing() {
    let mut head = Head::default();
    push(&mut head, Body::Claim(claim("a", 0, 1, 5)));
    assert_eq!(push(&mut head, commit(unit("a", 0, 1, 0, 5, 9))), Folded::default());
    push(&mut head, Body::Claim(claim("b", 0, 2, 9)));
    let before = head.partitions.clone();
    let late = push(&mut head, commit(unit("a", 0, 1, 1, 9, 12)));
    assert!(matches!(late.rejected[..], [(0, Rejection::Generation { current: 2, .. })]));
    assert_eq!(head.partitions, before);
    push(&mut head, commit(unit("b", 0, 2, 2, 9, 12)));
    let partition = &head.partitions[&topic_partition(0)];
    assert_eq!((partition.next_offset, partition.last_seq), (12, 4));
}

#[test]
fn a_unit_that_repeats_or_skips_offsets_or_forks_is_refused() {
    let mut head = Head::default();
    push(&mut head, Body::Claim(claim("a", 0, 1, 0)));
    push(&mut head, commit(unit("a", 0, 1, 0, 0, 4)));
    for wrong in [
        unit("a", 0, 1, 1, 0, 4),
        unit("a", 0, 1, 1, 5, 6),
        unit("a", 0, 1, 0, 4, 6),
        unit("a", 0, 1, 1, 4, 3),
        unit("a", 1, 1, 1, 0, 1),
        unit("b", 0, 1, 1, 4, 6),
        Unit { partitions: Vec::new(), ..unit("a", 0, 1, 1, 4, 5) },
    ] {
        assert!(head.check(&commit(wrong.clone())).is_err(), "{wrong:?}");
    }
    assert_eq!(head.check(&commit(unit("a", 0, 1, 1, 4, 6))), Ok(()));
}

#[test]
fn another_cluster_or_a_replaced_table_is_a_decision_for_the_operator() {
    let mut head = Head::default();
    push(&mut head, Body::Claim(claim("a", 0, 1, 0)));
    let other = Claim { cluster_id: Some("other".to_owned()), ..claim("a", 0, 2, 0) };
    assert!(matches!(head.check(&Body::Claim(other)), Err(Rejection::Cluster { .. })));
    let tables = BTreeMap::from([(Table::Logs, "new".to_owned())]);
    let replaced = Claim { tables, ..claim("a", 0, 2, 0) };
    assert!(matches!(head.check(&Body::Claim(replaced)), Err(Rejection::Table { .. })));
    let silent = Claim { cluster_id: None, ..claim("a", 0, 2, 0) };
    assert_eq!(head.check(&Body::Claim(silent)), Ok(()));
}

#[test]
fn a_record_out_of_its_chain_is_an_error_and_not_a_no_op() {
    let mut head = Head::default();
    push(&mut head, Body::Claim(claim("a", 0, 1, 0)));
    let mut record = Record {
        seq: 1,
        nonce: Bits(1),
        previous: Bits(42),
        written_millis: 0,
        body: commit(unit("a", 0, 1, 0, 0, 1)),
    };
    assert!(matches!(head.fold(&record, Bits(0)), Err(ChainError::Hash { seq: 1, .. })));
    record.seq = 2;
    assert!(matches!(head.fold(&record, Bits(0)), Err(ChainError::Seq { .. })));
}

/// Any record a confused worker could write, most of them wrong.
fn any_body() -> impl Strategy<Value = Body> {
    let owner = prop::sample::select(vec!["a", "b"]);
    let claims = (owner.clone(), 0..2i32, 1..4u64, 0..4i64).prop_map(
        |(owner, partition, generation, start)| {
            Body::Claim(claim(owner, partition, generation, start))
        },
    );
    let commits = (owner, 0..2i32, 1..4u64, 0..6u64, 0..4i64, 0..3i64).prop_map(
        |(owner, partition, generation, parent, from, length)| {
            commit(unit(owner, partition, generation, parent, from, from + length))
        },
    );
    prop_oneof![claims, commits]
}

proptest! {
    #[test]
    fn offsets_and_generations_only_grow_and_every_offset_is_committed_once(
        bodies in prop::collection::vec(any_body(), 0..60),
    ) {
        let mut head = Head::default();
        let mut committed = BTreeMap::<TopicPartition, Vec<(i64, i64)>>::new();
        for body in bodies {
            let before = head.clone();
            let expected = head.check(&body);
            let folded = push(&mut head, body.clone());
            prop_assert_eq!(expected.is_ok(), folded.rejected.is_empty());
            if !folded.rejected.is_empty() {
                prop_assert_eq!(&before.partitions, &head.partitions);
                prop_assert_eq!(&before.tables, &head.tables);
            } else if let Body::Commit(commit) = &body {
                for part in commit.units.iter().flat_map(|unit| &unit.partitions) {
                    let ranges = committed.entry(part.partition.clone()).or_default();
                    if let Some((_, end)) = ranges.last() {
                        prop_assert_eq!(*end, part.from_offset);
                    }
                    ranges.push((part.from_offset, part.to_offset));
                }
            }
            for (partition, old) in &before.partitions {
                let new = &head.partitions[partition];
                prop_assert!(old.next_offset <= new.next_offset);
                prop_assert!(old.generation <= new.generation);
            }
            let snapshot = serde_json::to_vec(&head).expect("encodes");
            prop_assert_eq!(&serde_json::from_slice::<Head>(&snapshot).expect("decodes"), &head);
        }
    }
}
