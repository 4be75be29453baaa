//! The walk over ranges made by hand, and whole audits of tables a real worker wrote: green as they are, red
//! with every fault planted, and exactly where.

mod planted;

use super::range::{Finding, Range, Walk, What};
use super::{Report, Scope, Verdict};
use planted::{Planted, partition};
use schemas::table::Table;
use schemas::topic::Signal;
use stream::operator::{self, Decider, OperatorError};

/// A sound range of ten messages.
fn range(partition: i32, from: i64, to: i64) -> Range {
    let events = to - from;
    Range {
        topic: "t".into(),
        partition,
        from,
        to,
        signal: "logs".to_owned(),
        units: 1,
        gaps: 0,
        received: events,
        indexed: events - 3,
        excluded: 2,
        dead_letters: 1,
        messages: events,
    }
}

fn walk(ranges: &[Range]) -> Report {
    let mut walk = Walk::default();
    ranges.iter().for_each(|range| walk.step(range));
    walk.finish()
}

/// What was found, and where.
fn places(report: &Report) -> Vec<(What, i64, i64)> {
    report.findings.iter().map(|f| (f.what, f.from_offset, f.to_offset)).collect()
}

#[test]
fn ranges_that_follow_one_another_are_proven() {
    let report = walk(&[range(0, 5, 15), range(0, 15, 30), range(1, 0, 10), range(2, 7, 10)]);
    assert_eq!((report.verdict(), report.partitions.len()), (Verdict::Proven, 3));
    let first = report.partitions.first().expect("partition 0");
    assert_eq!((first.from_offset, first.to_offset, first.units), (5, 30, 2));
    assert_eq!((first.received, first.indexed, first.excluded, first.dead_letters), (25, 19, 4, 2));
    assert!(report.sentence().starts_with("proven: 3 partitions"), "{}", report.sentence());
}

#[test]
fn every_fault_of_a_ledger_is_found_where_it_is() {
    let gap = [range(0, 0, 10), range(0, 12, 20)];
    assert_eq!(places(&walk(&gap)), [(What::Gap, 10, 12)]);
    let overlap = [range(0, 0, 10), range(0, 8, 20)];
    assert_eq!(places(&walk(&overlap)), [(What::Overlap, 8, 10)]);
    let inner = [range(0, 0, 20), range(0, 5, 15), range(0, 20, 30)];
    assert_eq!(places(&walk(&inner)), [(What::Overlap, 5, 15)]);
    let twice = [Range { units: 2, ..range(0, 0, 10) }];
    assert_eq!(places(&walk(&twice)), [(What::RangeTwice, 0, 10)]);
    let orphan = [Range { units: 0, received: 10, ..range(0, 0, 10) }];
    assert_eq!(places(&walk(&orphan)), [(What::NoReceived, 0, 10)]);
    let lost = [Range { indexed: 6, ..range(0, 0, 10) }];
    assert_eq!(places(&walk(&lost)), [(What::Unbalanced, 0, 10)]);
    let many = [Range { messages: 11, ..range(0, 0, 10) }];
    assert_eq!(places(&walk(&many)), [(What::Impossible, 0, 10)]);
}

#[test]
fn an_accepted_gap_is_shown_and_is_no_violation() {
    let none =
        Range { units: 0, gaps: 1, received: 0, indexed: 0, excluded: 0, ..range(0, 10, 40) };
    let lost = Range { dead_letters: 0, messages: 0, ..none };
    let report = walk(&[range(0, 0, 10), lost, range(0, 40, 50)]);
    assert_eq!(report.verdict(), Verdict::Proven, "{:?}", report.findings);
    assert_eq!(report.partitions.first().map(|p| (p.accepted_gap, p.absent)), Some((30, 0)));
    assert!(report.notes().iter().any(|note| note.starts_with("30 offsets were lost")));
}

#[test]
fn holes_that_compaction_leaves_are_told_and_are_no_violation() {
    let range = Range { messages: 4, ..range(0, 0, 10) };
    let report = walk(&[range]);
    assert_eq!(report.verdict(), Verdict::Proven);
    assert_eq!(report.partitions.first().map(|p| p.absent), Some(6));
}

#[test]
fn findings_beyond_the_limit_are_counted() {
    let ranges: Vec<Range> = (0..500).map(|n| range(0, n * 20, n * 20 + 10)).collect();
    let report = walk(&ranges);
    assert_eq!((report.finding_count, report.findings.len()), (499, 100));
    assert!(report.notes().iter().any(|note| note.starts_with("399 further")));
}

#[test]
fn what_is_not_published_yet_is_no_violation_but_no_proof_either() {
    let told = |what, table: Option<i64>, is_last| {
        let mut report = walk(&[range(0, 0, 10)]);
        report.published.insert(Table::Ledger.name(), Some(9));
        report.published.insert(Table::Logs.name(), table);
        let table = Some(Table::Logs.name());
        let finding = range(0, 0, 10).finding(what, 7, 0);
        report.findings.push(Finding { table, is_last, ..finding });
        report.finding_count = 1;
        report.verdict()
    };
    assert_eq!(told(What::RowsMissing, Some(8), true), Verdict::Unsettled);
    assert_eq!(told(What::RowsMissing, None, true), Verdict::Unsettled);
    assert_eq!(told(What::RowOutside, Some(10), true), Verdict::Unsettled);
    for (what, table, is_last) in [
        (What::RowsMissing, Some(9), true),
        (What::RowsMissing, Some(8), false),
        (What::RowOutside, Some(9), true),
        (What::RowTwice, Some(8), true),
    ] {
        assert_eq!(told(what, table, is_last), Verdict::Violated, "{what:?} {table:?} {is_last}");
    }
}

/// The findings about one table.
fn of<'r>(report: &'r Report, table: Table, what: What) -> Vec<&'r Finding> {
    let of_it = |f: &&Finding| f.table == Some(table.name()) && f.what == what;
    report.findings.iter().filter(of_it).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_worker_wrote_is_proven() {
    let planted = Planted::new().await;
    let report = planted.audit(&Scope::default()).await.expect("audited");
    assert_eq!(report.verdict(), Verdict::Proven, "{:?}", report.findings);
    assert_eq!(report.partitions.len(), 3);
    let sums: Vec<_> =
        report.partitions.iter().map(|p| (p.from_offset, p.to_offset, p.dead_letters)).collect();
    assert_eq!(sums, [(0, 60, 3), (0, 60, 3), (0, 60, 3)]);
    // The messages carry times of 2024: nothing has come since 2025.
    let later = Scope { from: Some("2025-01-01T00:00:00Z".to_owned()), to: None };
    let report = planted.audit(&later).await.expect("audited");
    assert_eq!((report.verdict(), report.partitions.len()), (Verdict::Proven, 0));
    let before = Scope { from: None, to: Some("2025-01-01T00:00:00Z".to_owned()) };
    let report = planted.audit(&before).await.expect("audited");
    assert_eq!((report.verdict(), report.partitions.len()), (Verdict::Proven, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_loss_is_found_at_its_range() {
    let planted = Planted::new().await;
    let rows = planted.remove(Table::Logs, 1);
    let report = planted.audit(&Scope::default()).await.expect("audited");
    assert_eq!(report.verdict(), Verdict::Violated);
    let missing = of(&report, Table::Logs, What::RowsMissing);
    let lost: i64 = missing.iter().map(|f| f.expected - f.found).sum();
    assert_eq!(lost, rows, "{:?}", report.findings);
    assert_eq!(missing.len() as u64, report.finding_count);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_duplicate_is_found_row_by_row() {
    let planted = Planted::new().await;
    let rows = planted.double(Table::Logs, 0);
    let report = planted.audit(&Scope::default()).await.expect("audited");
    let twice = of(&report, Table::Logs, What::RowTwice);
    assert_eq!(twice.len() as i64, rows, "{:?}", report.findings);
    assert!(twice.iter().all(|f| (f.expected, f.found) == (1, 2)));
    assert!(!of(&report, Table::Logs, What::RowsExtra).is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lost_dead_letter_is_found() {
    let planted = Planted::new().await;
    planted.remove(Table::DeadLetters, 0);
    let report = planted.audit(&Scope::default()).await.expect("audited");
    assert!(!of(&report, Table::DeadLetters, What::RowsMissing).is_empty(), "{report:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_gone_is_a_violation_and_no_failure_to_look() {
    for table in [Table::Logs, Table::Ledger] {
        let planted = Planted::new().await;
        planted.delete_file(table, 1);
        let report = planted.audit(&Scope::default()).await.expect("audited");
        assert_eq!(report.verdict(), Verdict::Violated, "{table:?}");
        assert!(!of(&report, table, What::FileMissing).is_empty(), "{report:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lost_ledger_rows_are_a_gap_or_rows_outside() {
    let planted = Planted::new().await;
    planted.remove_ledger(20..40);
    let report = planted.audit(&Scope::default()).await.expect("audited");
    let gaps: Vec<_> = report.findings.iter().filter(|f| f.what == What::Gap).collect();
    assert_eq!(gaps.len(), 3, "{:?}", report.findings);
    assert!(gaps.iter().all(|f| (f.from_offset, f.to_offset) == (20, 40)));

    let planted = Planted::new().await;
    planted.remove_ledger(40..60);
    let report = planted.audit(&Scope::default()).await.expect("audited");
    let outside = of(&report, Table::Logs, What::RowOutside);
    assert_eq!(outside.len(), 3, "{:?}", report.findings);
    assert!(outside.iter().all(|f| f.from_offset == 40));
}

fn decider() -> Decider {
    Decider { by: "me".to_owned(), reason: "retention was too short".to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_that_are_gone_wait_for_a_decision_and_are_a_gap_afterwards() {
    let planted = Planted::new().await;
    planted.produce();
    planted.log.truncate(&partition(1), 70);
    let refusal = planted.run().await.expect_err("offsets 60 to 69 are gone");
    assert!(refusal.needs_decision(), "{refusal}");
    let command = "tidemill operator accept-gap --topic tidemill.logs --partition 1 ";
    assert!(refusal.to_string().contains(command), "{refusal}");

    let (store, place) = (&planted.store, partition(1));
    let accept = |to| async move {
        let decider = decider();
        operator::accept_gap(store, &partition(1), Signal::Logs, to, &decider).await
    };
    assert!(accept(60).await.is_err(), "nothing is missing before 60");
    assert_eq!(operator::next_offset(store, &place).await.expect("known"), 60);
    let accepted = accept(70).await.expect("accepted");
    assert_eq!((accepted.from_offset, accepted.to_offset), (60, 70));
    assert!(accept(70).await.is_err(), "once is enough");

    planted.run().await.expect("goes on after the gap");
    let report = planted.audit(&Scope::default()).await.expect("audited");
    assert_eq!(report.verdict(), Verdict::Proven, "{:?}", report.findings);
    let lost: Vec<_> =
        report.partitions.iter().map(|p| (p.to_offset, p.accepted_gap, p.messages)).collect();
    assert_eq!(lost, [(80, 0, 80), (80, 10, 70), (80, 0, 80)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_emptied_log_is_begun_anew_where_the_tables_stand() {
    let planted = Planted::new().await;
    planted.produce();
    let ends: Vec<_> = (0..3).map(|number| (partition(number), 60)).collect();
    let refused = operator::adopt(&planted.store, &ends, &decider()).await;
    assert!(matches!(refused, Err(OperatorError::LogExists(_))), "the log is there: {refused:?}");

    planted.empty_system();
    let refusal = planted.run().await.expect_err("the log is gone");
    assert!(refusal.needs_decision(), "{refusal}");
    assert!(refusal.to_string().contains("tidemill operator adopt"), "{refusal}");
    operator::adopt(&planted.store, &ends, &decider()).await.expect("adopted");
    for _ in 0..2 {
        planted.run().await.expect("goes on");
        planted.produce();
    }
    let report = planted.audit(&Scope::default()).await.expect("audited");
    assert_eq!(report.verdict(), Verdict::Proven, "{:?}", report.findings);
    assert!(report.partitions.iter().all(|p| (p.from_offset, p.to_offset) == (0, 100)));
    let report = stream::fsck::fsck(&planted.store, "live", 0).await.expect("readable");
    assert_eq!(report.problems, stream::fsck::Problems::default());
}
