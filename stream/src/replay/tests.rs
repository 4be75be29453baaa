//! Whole replays beside a live pipeline: what a real worker wrote is replaced exactly, whatever dies when.

mod another_topic;
mod archive;
mod checked;
mod rate;
mod raw;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{AsArray as _, RecordBatch};
use arrow::datatypes::{Int32Type, Int64Type};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use schemas::publish::LIVE_PIPELINE;
use schemas::table::{self, Table};
use schemas::time::{EventHour, EventTime};
use schemas::topic::{Format, Signal};
use stages::pipeline::{Pipeline, config};
use stages::record::Record;
use tokio_util::sync::CancellationToken;

use super::choose::Asked;
use super::plan::{self, Origin, Plan, Request, Work};
use super::reader::SourceReader;
use super::report::Report;
use super::run::{self, Means};
use super::*;
use crate::clock::System;
use crate::commit_log::log::TEST_BACKOFF;
use crate::fault_store::{FaultStore, Rule};
use crate::fixture;
use crate::fsck;
use crate::lane::KeepRaw;
use crate::source::memory::MemoryLog;
use crate::table::delta::PublishedTable;
use crate::unit::HourBatch;
use crate::upkeep::pass::{Keeper, Scope, World};
use crate::worker::{self, Topic};

const DEADLINE: Duration = Duration::from_secs(60);
/// 2024-04-27 12:00: hours long closed.
const NOON: i64 = 1_714_219_200_000_000_000;
const HOUR: i64 = 3_600_000_000_000;
const CLOSED: Duration = Duration::from_secs(600);

/// Reads `word`, and excludes what says noise.
fn pipeline(rule: &str) -> Arc<Pipeline> {
    let text = serde_json::json!({
        "pipelines": [{"filter": "*", "processors": [
            {"type": "grok-parser", "grok": {"match_rules": rule}},
        ]}],
        "metrics": [{
            "name": "lines.took",
            "compute": {"aggregation_type": "distribution", "path": "@ms"},
            "group_by": [{"path": "@word"}],
        }],
        "indexes": [{"name": "main", "exclusion_filters": [
            {"name": "noise", "filter": {"query": "@word:noise"}},
        ]}],
    });
    let config: config::Config = serde_json::from_value(text).expect("a configuration");
    Arc::new(Pipeline::compile(&config).expect("compiles"))
}

/// The rule that reads only half of the lines.
fn broken() -> Arc<Pipeline> {
    pipeline("r even %{word:word} %{integer:ms}")
}

fn fixed() -> Arc<Pipeline> {
    pipeline("r %{word:parity} %{word:word} %{integer:ms}")
}

/// Lines of three hours; every fifth is noise, every eleventh a tombstone.
fn produce(log: &MemoryLog, partition: i32, lines: i64) {
    let record = |line: i64| {
        let word = if line % 5 == 0 { "noise" } else { "signal" };
        let parity = if line % 2 == 0 { "even" } else { "odd" };
        let text = format!("{parity} {word} {line}");
        Record {
            timestamp: EventTime::from_nanos(NOON + (line % 3) * HOUR),
            payload: if line % 11 == 10 { Vec::new() } else { text.into_bytes() },
            ..Record::default()
        }
    };
    log.append(&fixture::partition(partition), (0..lines).map(record).collect());
}

fn topics() -> Vec<Topic> {
    let name = schemas::topic::LOGS.to_owned();
    vec![Topic { name, signal: Signal::Logs, input: Format::Raw.into() }]
}

/// A live worker reads everything there is.
async fn live(store: &Arc<dyn ObjectStore>, log: &MemoryLog, pipeline: Arc<Pipeline>) {
    live_keeping(store, log, pipeline, KeepRaw::Nothing).await;
}

async fn live_keeping(
    store: &Arc<dyn ObjectStore>,
    log: &MemoryLog,
    pipeline: Arc<Pipeline>,
    keep_raw: KeepRaw,
) {
    let config = worker::Config {
        brokers: String::new(),
        properties: Vec::new(),
        topics: topics(),
        store: Arc::clone(store),
        store_name: "test store".to_owned(),
        store_is_remote: false,
        pipeline,
        epoch: Duration::from_millis(10),
        threads: 2,
        sharing: None,
        upkeep: crate::upkeep::Settings { enabled: false, ..Default::default() },
        keep_raw,
        notes: None,
    };
    let running = worker::start_from(config, Box::new(log.open())).await.expect("starts");
    let wait = async {
        while running.status().lag > 0 || running.status().units == 0 {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    assert!(tokio::time::timeout(DEADLINE, wait).await.is_ok(), "the worker reads");
    running.drain(DEADLINE).await.expect("drains");
}

fn world(store: &Arc<dyn ObjectStore>) -> World {
    let system = System::shared();
    World {
        store: Arc::clone(store),
        clock: system.clone(),
        entropy: system,
        backoff: TEST_BACKOFF,
        stop: CancellationToken::new(),
    }
}

fn request(asked: Asked, work: Work, pipeline: &Pipeline) -> Request {
    Request {
        asked,
        topics: topics(),
        partition: None,
        origin: Origin::Kafka,
        compares: work == Work::Replace,
        work,
        pipeline_version: pipeline.version().to_owned(),
        pipeline: None,
        closed_after: CLOSED,
    }
}

async fn begin(
    world: &World,
    log: &MemoryLog,
    asked: Asked,
    pipeline: &Pipeline,
) -> Result<Plan, ReplayError> {
    let plan = plan::of_messages(world, &request(asked, Work::Replace, pipeline)).await?;
    reader(world, log).check(&plan.replaces).await?;
    reader(world, log).check_topics(world, &plan.replaces).await?;
    journal::begin(&world.store, &plan).await?;
    Ok(plan)
}

fn reader(world: &World, log: &MemoryLog) -> SourceReader {
    SourceReader::new(Box::new(log.open()), topics(), Arc::clone(&world.clock))
}

/// Stages and swaps, from wherever a former life has come to.
async fn finish(
    world: &World,
    log: &MemoryLog,
    plan: &Plan,
    pipeline: &Arc<Pipeline>,
) -> Result<Report, ReplayError> {
    let means = Means { pipeline: Arc::clone(pipeline), threads: 2, matches: None };
    let reader = Box::new(reader(world, log));
    let (staged, report) = run::stage(world, plan, &means, reader, &|_| ()).await?;
    run::swap(world, plan, (&staged, &report), CLOSED).await?;
    Ok(report)
}

/// The rows of a table as any reader finds them.
async fn read(store: &Arc<dyn ObjectStore>, table: Table) -> Vec<HourBatch> {
    let system = System::shared();
    let open = PublishedTable::open(
        Arc::clone(store),
        table,
        LIVE_PIPELINE,
        system.clone(),
        system,
        TEST_BACKOFF,
    );
    let mut rows = Vec::new();
    for file in open.await.expect("opens").contents().expect("files") {
        let key = Path::from(format!("{}/{}", table.path(), file.path));
        let bytes = store.get(&key).await.expect("referenced file").bytes().await.expect("bytes");
        let reader = ParquetRecordBatchReaderBuilder::try_new(bytes).expect("Parquet");
        for batch in reader.build().expect("reads") {
            rows.push(HourBatch { table, hour: file.hour, rows: batch.expect("rows") });
        }
    }
    rows
}

/// How often each message is in a table, and by which pipeline version.
async fn messages(
    store: &Arc<dyn ObjectStore>,
    table: Table,
) -> BTreeMap<(i32, i64), Vec<(String, EventHour)>> {
    let mut seen: BTreeMap<_, Vec<_>> = BTreeMap::new();
    for batch in read(store, table).await {
        let column = |name| batch.rows.column_by_name(name).expect("lineage").clone();
        let (partitions, offsets) =
            (column(table::LINEAGE_PARTITION), column(table::LINEAGE_OFFSET));
        let versions = column(table::LINEAGE_PIPELINE_VERSION);
        for row in 0..batch.rows.num_rows() {
            let partition = partitions.as_primitive::<Int32Type>().value(row);
            let offset = offsets.as_primitive::<Int64Type>().value(row);
            let version = versions.as_string::<i32>().value(row).to_owned();
            seen.entry((partition, offset)).or_default().push((version, batch.hour));
        }
    }
    seen
}

/// Every message of the topic has the one fate the pipeline at its offset gives it, the ledger says the same,
/// and log and tables fit. Returns the rows of `logs`.
async fn assert_exact(
    store: &Arc<dyn ObjectStore>,
    ends: &[i64],
    version: impl Fn(i32, i64) -> (Arc<Pipeline>, bool),
    context: &str,
) -> usize {
    let logs = messages(store, Table::Logs).await;
    let letters = messages(store, Table::DeadLetters).await;
    let mut excluded = 0;
    for (partition, end) in (0..).zip(ends) {
        for offset in 0..*end {
            let (pipeline, reads_odd) = version(partition, offset);
            let place = (partition, offset);
            let found = (logs.get(&place), letters.get(&place));
            let is_noise = offset % 5 == 0 && (offset % 2 == 0 || reads_odd);
            let mine = |found: &Vec<(String, EventHour)>| {
                found.len() == 1 && found[0].0 == pipeline.version()
            };
            let right = match (offset % 11 == 10, is_noise) {
                (true, _) => found.0.is_none() && found.1.is_some_and(mine),
                (false, true) => found == (None, None),
                (false, false) => found.1.is_none() && found.0.is_some_and(mine),
            };
            excluded += i64::from(found == (None, None));
            assert!(right, "{context}: {place:?} {found:?}");
        }
    }
    let total: i64 = ends.iter().sum();
    let balance = fixture::ledger_balance(&read(store, Table::Ledger).await);
    assert_eq!((balance.received, balance.messages), (total, total), "{context}");
    assert_eq!(balance.excluded, excluded, "{context}");
    assert_eq!(balance.indexed, logs.len() as i64, "{context}");
    assert_eq!(balance.dead_letters, letters.len() as i64, "{context}");
    let checked = fsck::fsck(store, LIVE_PIPELINE, 0).await.expect("checks");
    assert_eq!(checked.problems.count, 0, "{context}: {:?}", checked.problems);
    logs.len()
}

/// Count and sum of the metric over all rows.
async fn measured(store: &Arc<dyn ObjectStore>) -> (i64, f64) {
    let rows: Vec<RecordBatch> =
        read(store, Table::Metrics).await.into_iter().map(|batch| batch.rows).collect();
    let mut sums = (0, 0.0);
    for rows in rows {
        let column = |name| rows.column_by_name(name).expect("metric column").clone();
        sums.0 += column("count").as_primitive::<Int64Type>().values().iter().sum::<i64>();
        let sum = column("sum");
        let sum = sum.as_primitive::<arrow::datatypes::Float64Type>();
        sums.1 += sum.iter().flatten().sum::<f64>();
    }
    sums
}

/// What the metric must be when the lines of these partitions are all read.
fn expected(ends: &[i64], reads_odd: bool) -> (i64, f64) {
    let lines = ends.iter().flat_map(|end| 0..*end);
    let read = lines.filter(|line| line % 11 != 10 && (line % 2 == 0 || reads_odd));
    read.fold((0, 0.0), |(count, sum), line| (count + 1, sum + line as f64))
}

async fn compact(store: &Arc<dyn ObjectStore>) {
    let settings = crate::upkeep::Settings::default();
    let mut keeper =
        Keeper::new(world(store), schemas::publish::LIVE_PIPELINE, settings, "test".to_owned());
    let tables = Table::ALL.to_vec();
    let scope = Scope { tables, dry_run: false, publish: true, delete: None, by_hand: true };
    keeper.pass(&scope, &|_| ()).await.expect("compacts");
}

fn memory() -> Arc<dyn ObjectStore> {
    Arc::new(InMemory::new())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_corrected_pipeline_replaces_exactly_the_rows_it_was_asked_for() {
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 100);
    produce(&log, 1, 70);
    live(&store, &log, broken()).await;
    let ends = [100, 70];
    assert_exact(&store, &ends, |_, _| (broken(), false), "as read").await;
    assert_eq!(measured(&store).await, expected(&ends, false));
    // Large files that mix everything.
    compact(&store).await;
    let world = world(&store);
    let plan = begin(&world, &log, Asked::default(), &fixed()).await.expect("begins");
    let report = finish(&world, &log, &plan, &fixed()).await.expect("replays");
    let rows = assert_exact(&store, &ends, |_, _| (fixed(), true), "replayed").await;
    assert_eq!(measured(&store).await, expected(&ends, true));
    let logs = report.tables["logs"];
    assert_eq!((logs.after, logs.new), (rows as i64, 0), "{logs:?}");
    assert_eq!(logs.before - logs.gone, logs.after, "odd noise is excluded now");
    assert_eq!(logs.same + logs.changed + logs.gone, logs.before);
    let parsed = report.parsed.expect("compared");
    assert_eq!((parsed.after, parsed.unparsed_after), (logs.after, 0));
    assert_eq!(parsed.before + parsed.unparsed_before, logs.before);
    assert!(report.fields["logs"]["@word"].added > 0, "{:?}", report.fields);
    assert_eq!(
        (report.series.count_before, report.series.count_after),
        (expected(&ends, false).0, expected(&ends, true).0)
    );
    assert!(report.series.moved > 0, "{:?}", report.series);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_other_offsets_in_the_same_files_stay_as_they_are() {
    let (store, log) = (memory(), MemoryLog::new());
    // Four units of partition 0, with units of partition 1 in the same files.
    for _ in 0..4 {
        produce(&log, 0, 30);
        produce(&log, 1, 30);
        live(&store, &log, broken()).await;
    }
    compact(&store).await;
    let world = world(&store);
    let asked = Asked { from_offset: Some(35), to_offset: Some(61), ..Asked::default() };
    let plan = begin(&world, &log, asked, &fixed()).await.expect("begins");
    for stretch in &plan.replaces {
        assert_eq!((stretch.from % 30, stretch.to % 30), (0, 0), "whole units: {stretch:?}");
    }
    finish(&world, &log, &plan, &fixed()).await.expect("replays");
    // Lines begin anew in each round: what is noise goes by the line, not by the offset.
    let logs = messages(&store, Table::Logs).await;
    let (old, new) = (broken(), fixed());
    for ((partition, offset), rows) in &logs {
        let inside = plan.replaces.iter().any(|stretch| {
            stretch.partition == fixture::partition(*partition)
                && (stretch.from..stretch.to).contains(offset)
        });
        let expected = if inside { new.version() } else { old.version() };
        assert_eq!(rows.len(), 1, "{partition} {offset}");
        assert_eq!(rows[0].0, expected, "{partition} {offset}");
    }
    let balance = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!(balance.received, 240);
    assert_eq!(balance.indexed + balance.excluded + balance.dead_letters, 240);
    assert_eq!(balance.indexed, logs.len() as i64);
    let checked = fsck::fsck(&store, LIVE_PIPELINE, 0).await.expect("checks");
    assert_eq!(checked.problems.count, 0, "{:?}", checked.problems);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_kill_at_any_write_of_a_replay_loses_and_doubles_nothing() {
    let mut deaths = 0;
    for write in 0.. {
        let mut died = false;
        for rule in [Rule::DieAt(write), Rule::DieAfter(write)] {
            let context = format!("{rule:?}");
            let (inner, log) = (memory(), MemoryLog::new());
            produce(&log, 0, 40);
            live(&inner, &log, broken()).await;
            produce(&log, 0, 40);
            live(&inner, &log, broken()).await;
            compact(&inner).await;
            let world = world(&inner);
            let asked = Asked { to_offset: Some(40), ..Asked::default() };
            let plan = begin(&world, &log, asked, &fixed()).await.expect("begins");
            let faulty = Arc::new(FaultStore::new(inner.clone(), vec![rule]));
            let store: Arc<dyn ObjectStore> = faulty.clone();
            let mortal = self::world(&store);
            let pipeline = fixed();
            tokio::select! {
                biased;
                done = finish(&mortal, &log, &plan, &pipeline) => drop(done),
                // Dropping it is the kill.
                () = death(&faulty) => {}
            }
            if faulty.dead() {
                died = true;
                deaths += 1;
            }
            // Nothing in between: all of it, or nothing.
            let versions: std::collections::BTreeSet<String> = messages(&inner, Table::Logs)
                .await
                .into_iter()
                .filter(|((_, offset), _)| *offset < 40)
                .flat_map(|(_, rows)| rows.into_iter().map(|row| row.0))
                .collect();
            assert_eq!(versions.len(), 1, "{context}");
            finish(&world, &log, &plan, &fixed()).await.expect("is resumed");
            let rows = messages(&inner, Table::Logs).await;
            for ((_, offset), rows) in &rows {
                let version = if *offset < 40 { fixed() } else { broken() };
                assert_eq!(rows.len(), 1, "{context}: {offset}");
                assert_eq!(rows[0].0, version.version(), "{context}: {offset}");
            }
            let balance = fixture::ledger_balance(&read(&inner, Table::Ledger).await);
            let fates = balance.indexed + balance.excluded + balance.dead_letters;
            assert_eq!((balance.received, fates), (80, 80), "{context}");
            assert_eq!(balance.indexed, rows.len() as i64, "{context}");
            let checked = fsck::fsck(&inner, LIVE_PIPELINE, 0).await.expect("checks");
            assert_eq!(checked.problems.count, 0, "{context}: {:?}", checked.problems);
        }
        if !died {
            break;
        }
    }
    assert!(deaths > 15, "only {deaths} kills: a replay has more writes than that");
    eprintln!("{deaths} kills of a replay and its swap survived, every row once");
}

async fn death(store: &FaultStore) {
    while !store.dead() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_swap_beside_upkeep_is_planned_again_and_loses_nothing() {
    let (store, log) = (memory(), MemoryLog::new());
    for _ in 0..3 {
        produce(&log, 0, 55);
        live(&store, &log, broken()).await;
    }
    let world = world(&store);
    let asked = Asked { from_offset: Some(55), to_offset: Some(110), ..Asked::default() };
    let plan = begin(&world, &log, asked, &fixed()).await.expect("begins");
    let means = Means { pipeline: fixed(), threads: 1, matches: None };
    let reader = Box::new(reader(&world, &log));
    let (staged, report) =
        run::stage(&world, &plan, &means, reader, &|_| ()).await.expect("stages");
    // The files the comparison read are compacted away before the swap, and while it goes on.
    compact(&store).await;
    let (swapped, ()) =
        tokio::join!(run::swap(&world, &plan, (&staged, &report), CLOSED), compact(&store));
    swapped.expect("swaps");
    let logs = messages(&store, Table::Logs).await;
    for ((_, offset), rows) in &logs {
        let version = if (55..110).contains(offset) { fixed() } else { broken() };
        assert_eq!((rows.len(), rows[0].0.as_str()), (1, version.version()), "{offset}");
    }
    let balance = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!((balance.received, balance.indexed), (165, logs.len() as i64));
    let again = run::swap(&world, &plan, (&staged, &report), CLOSED).await;
    again.expect("is done already, and done once");
    assert_eq!(messages(&store, Table::Logs).await, logs);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_can_not_be_replayed_is_refused_with_what_to_do() {
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 30);
    live(&store, &log, broken()).await;
    produce(&log, 0, 30);
    live(&store, &log, broken()).await;
    let world = world(&store);
    let refusal = async |asked: Asked| {
        begin(&world, &log, asked, &fixed()).await.expect_err("refused").to_string()
    };
    let late = Asked { from_micros: Some(i64::MAX), ..Asked::default() };
    assert!(refusal(late).await.contains("nothing was received then"));
    log.truncate(&fixture::partition(0), 10);
    let gone = refusal(Asked::default()).await;
    assert!(gone.contains("Kafka has offsets 10 to 60") && gone.contains("--from"), "{gone}");
    // Two replays of one range: whoever comes second would replace what is not there any more.
    let asked = Asked { from_offset: Some(30), ..Asked::default() };
    let first = begin(&world, &log, asked, &fixed()).await.expect("begins");
    let second = begin(&world, &log, asked, &broken()).await.expect("begins");
    finish(&world, &log, &first, &fixed()).await.expect("replays");
    let wrong = finish(&world, &log, &second, &fixed()).await.expect_err("another pipeline");
    assert!(wrong.to_string().contains("pipeline version"), "{wrong}");
    run::drop(&world, &second.id).await.expect("drops");
    assert!(matches!(journal::load(&store, &second.id).await, Err(ReplayError::Unknown(_))));
    assert!(matches!(journal::load(&store, "../live").await, Err(ReplayError::Unknown(_))));
    // Dropping one that is swapped in keeps its rows.
    let logs = messages(&store, Table::Logs).await;
    run::drop(&world, &first.id).await.expect("drops");
    assert_eq!(messages(&store, Table::Logs).await, logs);
    // An hour that rows still come to.
    let now = EventTime::from_millis(crate::clock::Clock::unix_millis(System::shared().as_ref()))
        .expect("in range");
    let record = Record { timestamp: now, payload: b"odd now 1".to_vec(), ..Record::default() };
    log.append(&fixture::partition(0), vec![record]);
    live(&store, &log, broken()).await;
    let open = refusal(Asked { from_offset: Some(60), ..Asked::default() }).await;
    assert!(open.contains("an open hour") && open.contains("--to"), "{open}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn many_hours_become_few_files_and_old_events_keep_their_time() {
    let (store, log) = (memory(), MemoryLog::new());
    // Two years of hours, in no order.
    let record = |line: i64| Record {
        timestamp: EventTime::from_nanos(NOON - (line * 7_919 % 300) * 61 * HOUR),
        payload: format!("even signal {line}").into_bytes(),
        ..Record::default()
    };
    log.append(&fixture::partition(0), (0..3_000).map(record).collect());
    live(&store, &log, broken()).await;
    let world = world(&store);
    let before = read(&store, Table::Logs).await.len();
    let plan = begin(&world, &log, Asked::default(), &fixed()).await.expect("begins");
    let report = finish(&world, &log, &plan, &fixed()).await.expect("replays");
    let after = read(&store, Table::Logs).await;
    let hours: std::collections::BTreeSet<EventHour> =
        after.iter().map(|batch| batch.hour).collect();
    assert_eq!((hours.len(), after.len()), (300, 300), "a file an hour; {before} before");
    assert_eq!(report.tables["logs"].after, 3_000);
    for batch in &after {
        let hours = crate::upkeep::merge::hours(&batch.rows).expect("times");
        assert!(hours.values().iter().all(|hour| *hour == batch.hour.number()));
    }
    let left: Vec<_> =
        futures::TryStreamExt::try_collect(store.list(Some(&Path::from("tables/logs/_replay"))))
            .await
            .map(|left: Vec<object_store::ObjectMeta>| left)
            .expect("lists");
    assert!(left.is_empty(), "{left:?}");
}

fn having(parity: &'static str) -> super::restore::Matches {
    Arc::new(move |event: &stages::event::LogEvent<'_>| {
        event.attributes.get_str("parity") == Some(parity)
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn excluded_events_come_back_once_and_the_ledger_says_so() {
    let (store, log) = (memory(), MemoryLog::new());
    for _ in 0..3 {
        produce(&log, 0, 55);
        live(&store, &log, fixed()).await;
    }
    compact(&store).await;
    let world = world(&store);
    let before = messages(&store, Table::Logs).await;
    let balance = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    let measured_before = measured(&store).await;
    assert_eq!(balance.excluded, 30);
    let restore = async |parity: &'static str, from: i64| {
        let asked = Asked { from_offset: Some(from), ..Asked::default() };
        let request = request(asked, Work::Restore { query: parity.to_owned() }, &fixed());
        let plan = plan::of_messages(&world, &request).await.expect("plans");
        journal::begin(&store, &plan).await.expect("begins");
        let means = Means { pipeline: fixed(), threads: 2, matches: Some(having(parity)) };
        let reader = Box::new(reader(&world, &log));
        let (staged, report) =
            run::stage(&world, &plan, &means, reader, &|_| ()).await.expect("stages");
        run::swap(&world, &plan, (&staged, &report), CLOSED).await.expect("swaps");
        report.tables["logs"].after
    };
    // Of each round of 55 lines ten are excluded noise, five of them odd.
    assert_eq!(restore("odd", 55).await, 10);
    let after = messages(&store, Table::Logs).await;
    assert_eq!(after.len(), before.len() + 10);
    assert!(after.values().all(|rows| rows.len() == 1), "once");
    for ((_, offset), _) in after.iter().filter(|(place, _)| !before.contains_key(place)) {
        let line = offset % 55;
        assert!(*offset >= 55 && line % 5 == 0 && line % 2 == 1, "{offset}");
    }
    let now = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!((now.received, now.messages), (balance.received, balance.messages));
    assert_eq!((now.indexed, now.excluded), (balance.indexed + 10, balance.excluded - 10));
    assert_eq!(measured(&store).await, measured_before, "metrics have counted them already");
    // What is back does not come back again; the rest does.
    assert_eq!(restore("odd", 0).await, 5);
    assert_eq!(restore("odd", 0).await, 0);
    assert_eq!(restore("even", 0).await, 15);
    let all = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!((all.indexed, all.excluded), (balance.indexed + 30, 0));
    assert_eq!(messages(&store, Table::Logs).await.len() as i64, all.indexed);
    let checked = fsck::fsck(&store, LIVE_PIPELINE, 0).await.expect("checks");
    assert_eq!(checked.problems.count, 0, "{:?}", checked.problems);
}
