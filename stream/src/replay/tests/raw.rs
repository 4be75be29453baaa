//! Messages kept as they came: what Kafka has let go of can be replayed and brought back all the same.

use super::super::raw::RawReader;
use super::super::restored::Excluded;
use super::*;

async fn plan_raw(world: &World, work: Work) -> Plan {
    let request =
        Request { origin: Origin::RawMessages, ..request(Asked::default(), work, &fixed()) };
    let plan = plan::of_messages(world, &request).await.expect("plans");
    journal::begin(&world.store, &plan).await.expect("begins");
    plan
}

async fn carry_out(world: &World, plan: &Plan, means: &Means) -> Result<Report, ReplayError> {
    let reader = Box::new(RawReader::new(world, plan, topics()).await?);
    let (staged, report) = run::stage(world, plan, means, reader, &|_| ()).await?;
    run::swap(world, plan, (&staged, &report), CLOSED).await?;
    Ok(report)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_was_kept_is_replayed_without_kafka() {
    let (store, log) = (memory(), MemoryLog::new());
    for (partition, lines) in [(0, 90), (1, 40), (0, 30)] {
        produce(&log, partition, lines);
        live_keeping(&store, &log, broken(), KeepRaw::Everything).await;
    }
    compact(&store).await;
    let kept = messages(&store, Table::RawMessages).await;
    assert_eq!(kept.len(), 160, "tombstones and refused messages, too");
    let world = world(&store);
    let plan = plan_raw(&world, Work::Replace).await;
    let means = Means { pipeline: fixed(), threads: 2, matches: None };
    carry_out(&world, &plan, &means).await.expect("replays");
    let logs = messages(&store, Table::Logs).await;
    let fixed = fixed();
    assert!(logs.values().all(|rows| rows.len() == 1 && rows[0].0 == fixed.version()));
    let balance = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!((balance.received, balance.messages), (160, 160));
    assert_eq!(balance.indexed, logs.len() as i64);
    assert_eq!(balance.indexed + balance.excluded + balance.dead_letters, 160);
    assert_eq!(messages(&store, Table::RawMessages).await, kept, "they stay as they are");
    let checked = fsck::fsck(&store, LIVE_PIPELINE, 0).await.expect("checks");
    assert_eq!(checked.problems.count, 0, "{:?}", checked.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn only_messages_with_excluded_events_are_kept_and_bring_them_back() {
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 110);
    live_keeping(&store, &log, fixed(), KeepRaw::Excluded).await;
    let before = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!(before.excluded, 20);
    let kept = messages(&store, Table::RawMessages).await;
    assert_eq!(kept.len(), 20);
    let logs = messages(&store, Table::Logs).await;
    assert!(kept.keys().all(|place| !logs.contains_key(place)));
    let world = world(&store);
    for (expected, left) in [(10, 10), (0, 10)] {
        let plan = plan_raw(&world, Work::Restore { query: "odd".to_owned() }).await;
        let means = Means { pipeline: fixed(), threads: 2, matches: Some(having("odd")) };
        let report = carry_out(&world, &plan, &means).await.expect("restores");
        assert_eq!(report.tables["logs"].after, expected);
        let excluded = Excluded { counted: 10 + expected, looked_at: 10 + expected };
        assert_eq!(report.excluded, Some(excluded));
        let now = fixture::ledger_balance(&read(&store, Table::Ledger).await);
        assert_eq!((now.excluded, now.indexed), (left, before.indexed + 10));
    }
    let checked = fsck::fsck(&store, LIVE_PIPELINE, 0).await.expect("checks");
    assert_eq!(checked.problems.count, 0, "{:?}", checked.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restore_says_how_many_excluded_events_it_could_not_search() {
    let (store, log) = (memory(), MemoryLog::new());
    for keep in [KeepRaw::Nothing, KeepRaw::Excluded] {
        produce(&log, 0, 110);
        live_keeping(&store, &log, fixed(), keep).await;
    }
    let before = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    let kept = messages(&store, Table::RawMessages).await.len() as i64;
    assert!(kept > 0 && kept < before.excluded, "{kept} of {before:?}");
    let world = world(&store);
    let plan = plan_raw(&world, Work::Restore { query: "odd".to_owned() }).await;
    let means = Means { pipeline: fixed(), threads: 2, matches: Some(having("odd")) };
    let report = carry_out(&world, &plan, &means).await.expect("restores");
    let excluded = Excluded { counted: before.excluded, looked_at: kept };
    assert_eq!(report.excluded, Some(excluded));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replay_of_messages_that_were_not_kept_is_refused() {
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 50);
    live_keeping(&store, &log, broken(), KeepRaw::Excluded).await;
    let world = world(&store);
    let plan = plan_raw(&world, Work::Replace).await;
    let means = Means { pipeline: fixed(), threads: 2, matches: None };
    let refused = carry_out(&world, &plan, &means).await.expect_err("refused");
    assert!(matches!(refused, ReplayError::OtherMessages { expected: 50, .. }), "{refused}");
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 50);
    live(&store, &log, broken()).await;
    let world = self::world(&store);
    let plan = plan_raw(&world, Work::Restore { query: "odd".to_owned() }).await;
    let refused = carry_out(&world, &plan, &means).await.expect_err("refused");
    assert!(matches!(refused, ReplayError::NotKept), "{refused}");
}
