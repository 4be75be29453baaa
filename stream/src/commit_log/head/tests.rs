//! Properties of the fold.

use super::super::record::{
    Anchor, ClaimedPartition, Decision, FileRemove, Maintenance, Operator, Schema, TableColumns,
    encode, hash,
};
use super::*;
use proptest::prelude::*;
use stages::pipeline::quota::Kept;

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
        group: None,
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
            anchor: None,
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
        kept: Vec::new(),
        pipeline: None,
        state: None,
    }
}

/// Each table loses these files and gets one that holds their rows.
pub(crate) fn maintenance(
    kind: MaintenanceKind,
    tables: &[Table],
    parent_seq: Option<u64>,
    removes: &[&str],
) -> Body {
    let (date, hour) = ("2024-04-27".to_owned(), 1);
    let remove = |path: &&str| FileRemove {
        path: (*path).to_owned(),
        date: date.clone(),
        hour,
        size: 10,
        rows: 1,
    };
    let change = |table: &Table| TableChange {
        table: *table,
        parent_seq,
        removes: removes.iter().map(remove).collect(),
        adds: vec![FileAdd {
            table: *table,
            path: format!("compacted-{parent_seq:?}-{removes:?}"),
            date: date.clone(),
            hour,
            size: 10,
            rows: i64::try_from(removes.len()).expect("few"),
            stats: "{}".to_owned(),
            modified_millis: 0,
        }],
    };
    let changes = tables.iter().map(change).collect();
    Body::Maintenance(Maintenance { author: "test".to_owned(), kind, changes })
}

pub(crate) fn gap(partition: i32, from_offset: i64, to_offset: i64) -> Body {
    let partition = topic_partition(partition);
    Body::Operator(Operator {
        by: "me".to_owned(),
        reason: "lost".to_owned(),
        decision: Decision::AcceptGap { partition, from_offset, to_offset },
        adds: Vec::new(),
    })
}

pub(crate) fn schema(table: Table, name: &str, data_type: &str) -> Body {
    let field = format!(
        "{{\"name\":\"{name}\",\"type\":\"{data_type}\",\"nullable\":true,\"metadata\":{{}}}}"
    );
    let columns = vec![Column { name: name.to_owned(), field }];
    Body::Schema(Schema { author: "a".to_owned(), tables: vec![TableColumns { table, columns }] })
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
fn a_claim_of_another_group_is_refused_until_a_person_adopts_the_group() {
    let of = |group: Option<&str>, generation| {
        let group = group.map(str::to_owned);
        Body::Claim(Claim { group, ..claim("a", 0, generation, 0) })
    };
    let adopt = |group: &str| {
        let decision = Decision::AdoptGroup { group: group.to_owned() };
        let (by, reason) = ("me".to_owned(), "a new name".to_owned());
        Body::Operator(Operator { by, reason, decision, adds: Vec::new() })
    };
    let mut head = Head::default();
    // As before claims told it.
    push(&mut head, of(None, 1));
    push(&mut head, of(Some("one"), 2));
    assert_eq!(head.group.as_deref(), Some("one"));
    let refused = head.check(&of(Some("two"), 3)).expect_err("refused").to_string();
    for word in ["group one", "group two", "worker.group", "operator adopt-group --group two"] {
        assert!(refused.contains(word), "{refused}");
    }
    push(&mut head, of(None, 3));
    assert_eq!(head.group.as_deref(), Some("one"), "who is in no group says nothing of it");
    assert!(head.check(&adopt("")).is_err());
    push(&mut head, adopt("two"));
    assert!(head.check(&of(Some("one"), 4)).is_err());
    assert_eq!(head.check(&of(Some("two"), 4)), Ok(()));
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

#[test]
fn a_maintenance_holds_for_all_its_tables_or_for_none() {
    let compact = |tables: &[Table], parent| {
        maintenance(MaintenanceKind::Compact, tables, parent, &["a", "b"])
    };
    let mut head = Head::default();
    assert_eq!(push(&mut head, compact(&[Table::Logs], None)), Folded::default());
    let before = head.tables.clone();
    // Spans were never maintained, logs were: planned too early.
    let late = push(&mut head, compact(&[Table::Spans, Table::Logs], None));
    assert!(matches!(late.rejected[..], [(0, Rejection::Maintained { table: "logs", .. })]));
    assert_eq!(head.tables, before);
    let after = push(&mut head, compact(&[Table::Logs], Some(0)));
    assert!(after.rejected.is_empty());
    assert_eq!(head.tables[&Table::Logs].last_maintenance_seq, Some(2));
    assert_eq!(head.tables[&Table::Logs].last_add_seq, Some(2));
}

#[test]
fn a_maintenance_that_cannot_be_right_is_refused() {
    let head = Head::default();
    let good = maintenance(MaintenanceKind::Compact, &[Table::Logs], None, &["a", "b"]);
    assert_eq!(head.check(&good), Ok(()));
    let damage = |damage: &dyn Fn(&mut Maintenance)| {
        let Body::Maintenance(mut body) = good.clone() else { panic!("maintenance") };
        damage(&mut body);
        head.check(&Body::Maintenance(body))
    };
    for refused in [
        damage(&|body| body.changes.clear()),
        damage(&|body| body.changes.push(body.changes[0].clone())),
        damage(&|body| body.changes[0].adds[0].rows += 1),
        damage(&|body| body.changes[0].adds[0].table = Table::Spans),
        damage(&|body| body.changes[0].adds[0].path = "a".to_owned()),
        damage(&|body| body.changes[0].removes[0].path = "b".to_owned()),
        damage(&|body| {
            body.changes[0].removes.clear();
            body.changes[0].adds.clear();
        }),
        damage(&|body| {
            body.kind = MaintenanceKind::Retain;
            body.changes[0].removes.clear();
        }),
    ] {
        assert!(matches!(refused, Err(Rejection::Malformed(_))), "{refused:?}");
    }
}

#[test]
fn an_accepted_gap_moves_its_partition_and_nothing_else() {
    let mut head = Head::default();
    push(&mut head, Body::Claim(claim("a", 0, 1, 5)));
    for wrong in [gap(0, 4, 9), gap(0, 5, 5), gap(1, 5, 9)] {
        assert!(head.check(&wrong).is_err(), "{wrong:?}");
    }
    assert_eq!(push(&mut head, gap(0, 5, 9)), Folded::default());
    let partition = &head.partitions[&topic_partition(0)];
    let stands = (partition.next_offset, partition.last_seq, partition.generation);
    assert_eq!(stands, (9, 1, 1));
    // The worker that did not see it does not go on where it was.
    assert!(head.check(&commit(unit("a", 0, 1, 0, 5, 7))).is_err());
    assert!(head.check(&commit(unit("a", 0, 1, 0, 9, 11))).is_err());
}

#[test]
fn a_snapshot_of_a_version_without_maintenance_is_still_read() {
    let head = r#"{"id":null,"last_add_seq":7}"#;
    let head: TableHead = serde_json::from_str(head).expect("reads");
    assert_eq!((head.last_add_seq, head.last_maintenance_seq), (Some(7), None));
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
    let tables = prop::sample::subsequence(vec![Table::Logs, Table::Spans], 0..=2);
    let paths = (0..4i64).prop_map(|from| format!("date=2024-04-27/hour=1/part-{from}.parquet"));
    let maintenances =
        (tables, prop::option::of(0..6u64), paths).prop_map(|(tables, parent, path)| {
            maintenance(MaintenanceKind::Compact, &tables, parent, &[&path])
        });
    let gaps = (0..2i32, 0..6i64, 0..3i64).prop_map(|(p, from, n)| gap(p, from, from + n));
    prop_oneof![claims, commits, maintenances, gaps]
}

/// What a table contains: adds minus removes of the valid parts, in order.
type Contents = BTreeMap<Table, BTreeSet<String>>;

fn follow(contents: &mut Contents, folded: &Folded, record: &Record) {
    for (table, change) in folded.changes(record) {
        let files = contents.entry(table).or_default();
        match change {
            FilesChange::Append(adds) => files.extend(adds.iter().map(|add| add.path.clone())),
            FilesChange::Replace(_, change) => {
                for remove in &change.removes {
                    files.remove(&remove.path);
                }
                files.extend(change.adds.iter().map(|add| add.path.clone()));
            }
            FilesChange::Columns(_) => {}
        }
    }
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
            } else if let Body::Operator(Operator { decision, .. }) = &body
                && let Decision::AcceptGap { partition, from_offset, to_offset } = decision
            {
                committed.entry(partition.clone()).or_default().push((*from_offset, *to_offset));
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

    /// One reader saw every record, the other starts from a snapshot taken anywhere.
    #[test]
    fn every_reader_agrees_what_is_valid_and_what_tables_contain(
        bodies in prop::collection::vec(any_body(), 0..60),
        cut: prop::sample::Index,
    ) {
        let (mut head, mut contents) = (Head::default(), Contents::new());
        let mut records = Vec::new();
        let cut = cut.index(bodies.len() + 1);
        let mut saved = (head.clone(), contents.clone());
        for body in bodies {
            if records.len() == cut {
                let json = serde_json::to_vec(&head).expect("encodes");
                saved = (serde_json::from_slice(&json).expect("decodes"), contents.clone());
            }
            let record = Record {
                seq: head.next_seq,
                nonce: Bits(1),
                previous: head.last_hash,
                written_millis: 0,
                body,
            };
            let stored = hash(&encode(&record).expect("encodes"));
            let folded = head.fold(&record, stored).expect("in the chain");
            follow(&mut contents, &folded, &record);
            records.push((record, stored, folded));
        }
        let (mut late, mut late_contents) = saved;
        for (record, stored, folded) in records.iter().skip(usize::try_from(late.next_seq).expect("few")) {
            let again = late.fold(record, *stored).expect("in the chain");
            prop_assert_eq!(&again, folded);
            follow(&mut late_contents, &again, record);
        }
        prop_assert_eq!(late, head);
        prop_assert_eq!(late_contents, contents);
    }
}

#[test]
fn the_logical_clock_of_a_partition_goes_forward_its_anchor_is_the_last_and_both_outlive_a_claim() {
    let mut head = Head::default();
    let mut body = vec![Body::Claim(claim("a", 0, 1, 0))];
    let anchor = Anchor { offset: 9, timestamp_ns: 3 };
    for (seq, clock_ns) in [(0, 7), (1, 5)] {
        let mut unit = unit("a", 0, 1, seq, seq as i64 * 10, seq as i64 * 10 + 10);
        unit.partitions[0].clock_ns = clock_ns;
        unit.partitions[0].anchor = (seq == 0).then_some(anchor);
        unit.adds.clear();
        body.push(commit(unit));
    }
    body.push(Body::Claim(claim("b", 0, 2, 20)));
    for body in body {
        head.check(&body).expect("valid");
        match &body {
            Body::Claim(claim) => drop(head.fold_claim(head.next_seq, claim)),
            Body::Commit(commit) => drop(head.fold_commit(head.next_seq, commit)),
            other => panic!("{other:?}"),
        }
        head.next_seq += 1;
    }
    let known = &head.partitions[&topic_partition(0)];
    assert_eq!((known.clock_ns, known.anchor), (Some(7), Some(anchor)));
}

#[test]
fn counts_of_daily_limits_add_up_and_old_days_go() {
    let mut head = Head::default();
    push(&mut head, Body::Claim(claim("a", 0, 1, 0)));
    let kept = |day, events| Kept { index: "main".to_owned(), day, events };
    for (parent, from, counts) in [
        (0, 0, vec![kept(100, 3)]),
        (1, 1, vec![kept(100, 4), kept(101, 1)]),
        (2, 2, vec![kept(108, 2)]),
    ] {
        push(&mut head, commit(Unit { kept: counts, ..unit("a", 0, 1, parent, from, from + 1) }));
    }
    let counts: Vec<_> = head.kept.iter().map(|((_, day), events)| (*day, *events)).collect();
    assert_eq!(counts, [(101, 1), (108, 2)]);
    let json = serde_json::to_string(&head).expect("writes");
    assert_eq!(serde_json::from_str::<Head>(&json).expect("reads"), head);
}

#[test]
fn a_column_is_gained_once_and_keeps_its_type() {
    let mut head = Head::default();
    assert_eq!(push(&mut head, schema(Table::Logs, "colour", "string")).rejected, []);
    assert!(head.tables[&Table::Logs].columns.contains_key("colour"));
    assert_eq!(head.tables[&Table::Logs].last_add_seq, Some(0));
    // Two workers of a new version start at once.
    assert_eq!(push(&mut head, schema(Table::Logs, "colour", "string")).rejected, []);
    let before = head.tables.clone();
    let refused = push(&mut head, schema(Table::Logs, "colour", "long"));
    assert!(matches!(refused.rejected[..], [(0, Rejection::Column { .. })]), "{refused:?}");
    let body = Body::Schema(Schema { author: "a".to_owned(), tables: Vec::new() });
    assert!(matches!(head.check(&body), Err(Rejection::Malformed(_))));
    assert_eq!(head.tables, before);
}
