//! Both pipelines on one store: what comes in is counted once, told once, and decided by people, whatever dies.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use futures::TryStreamExt as _;
use issues::decision::Decision;
use issues::issue::State;
use issues::message::Format;
use issues::outbox::{Attempt, Message};
use issues::settings::{Recipient, Settings};
use issues::tracker::Tracker;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use schemas::publish::{ISSUES_PIPELINE, LIVE_PIPELINE};
use schemas::table::Table;
use schemas::time::EventTime;
use schemas::topic::{Format as PayloadFormat, Signal};

use super::runner::{self, World};
use super::{Config, Postman, desk};
use crate::clock::{Clock, Entropy, System};
use crate::commit_log::log::{CommitLog, TEST_BACKOFF};
use crate::commit_log::record::{self, Body, Operator};
use crate::commit_log::{Layout, snapshot};
use crate::fault_store::{FaultStore, Rule};
use crate::fixture;
use crate::fsck::Fault;
use crate::operator::Decider;
use crate::source::memory::MemoryLog;
use crate::table::delta::PublishedTable;
use crate::worker;
use stages::record::Record;

/// Longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// Remembers what it was given, by idempotency key.
#[derive(Debug, Default)]
struct Heard(Mutex<BTreeMap<String, Message>>);

impl Heard {
    fn kinds(&self) -> Vec<String> {
        let heard = self.0.lock().expect("unpoisoned");
        let mut kinds: Vec<String> = heard.values().map(|message| message.kind.clone()).collect();
        kinds.sort();
        kinds
    }
}

#[async_trait]
impl Postman for Heard {
    async fn send(&self, message: &Message) -> Attempt {
        self.0.lock().expect("unpoisoned").insert(message.id.clone(), message.clone());
        Attempt::Sent(200)
    }
}

fn settings() -> Settings {
    let recipients = vec![Recipient::of_all("hook", Format::Webhook)];
    Settings { recipients, ..Settings::default() }
}

fn start(store: &Arc<dyn ObjectStore>, heard: &Arc<Heard>) -> super::Running {
    let system = System::shared();
    let world = World {
        clock: system.clone(),
        entropy: system,
        backoff: TEST_BACKOFF,
        lease: Duration::from_millis(300),
    };
    let config = Config {
        store: Arc::clone(store),
        settings: settings(),
        postman: heard.clone(),
        lease: None,
        epoch: Duration::from_millis(20),
        upkeep: crate::upkeep::Settings::default(),
    };
    runner::start_in(world, config)
}

async fn worker(store: &Arc<dyn ObjectStore>, log: &MemoryLog) -> worker::Running {
    let config = worker::Config {
        brokers: String::new(),
        properties: Vec::new(),
        topics: vec![worker::Topic {
            name: schemas::topic::LOGS.to_owned(),
            signal: Signal::Logs,
            input: PayloadFormat::Json.into(),
        }],
        store: Arc::clone(store),
        store_name: "test store".to_owned(),
        store_is_remote: false,
        pipeline: fixture::pipeline(),
        epoch: Duration::from_millis(20),
        threads: 2,
        sharing: None,
        upkeep: crate::upkeep::Settings::default(),
        keep_raw: crate::lane::KeepRaw::Nothing,
        notes: None,
    };
    worker::start_from(config, Box::new(log.open())).await.expect("the worker starts")
}

/// So many errors of a kind, now.
fn produce(log: &MemoryLog, partition: i32, kind: &str, version: &str, count: usize) {
    let now = System::shared().unix_millis();
    let payload = format!(
        r#"{{"service":"job","dd.version":"{version}","status":"error","message":"{kind} happened","error.kind":"{kind}","error.message":"{kind} happened"}}"#
    );
    let record = || Record {
        timestamp: EventTime::from_millis(now).expect("a time"),
        payload: payload.clone().into_bytes(),
        ..Record::default()
    };
    let records = (0..count).map(|_| record()).collect();
    log.append(&fixture::partition(partition), records);
}

/// Counts by type of error.
fn counts(tracker: &Tracker) -> BTreeMap<String, u64> {
    tracker.issues().map(|issue| (issue.kind.clone(), issue.seen.count)).collect()
}

async fn until(
    what: &str,
    store: &Arc<dyn ObjectStore>,
    done: impl Fn(&Tracker) -> bool,
) -> Tracker {
    let wait = async {
        loop {
            match desk::read(store).await {
                Ok(tracker) if done(&tracker) => return tracker,
                _ => tokio::time::sleep(Duration::from_millis(10)).await,
            }
        }
    };
    tokio::time::timeout(DEADLINE, wait).await.unwrap_or_else(|_| panic!("still waiting: {what}"))
}

fn expected(counts: &[(&str, u64)]) -> BTreeMap<String, u64> {
    counts.iter().map(|(kind, count)| ((*kind).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn errors_of_all_partitions_are_counted_and_told_once_and_a_resolved_one_comes_back_once() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let (log, heard) = (MemoryLog::new(), Arc::new(Heard::default()));
    for partition in 0..3 {
        produce(&log, partition, "A", "1", 50);
        produce(&log, partition, "B", "1", 7);
    }
    let (worker, running) = (worker(&store, &log).await, start(&store, &heard));
    let all = expected(&[("A", 150), ("B", 21)]);
    let tracker = until("the counts", &store, |tracker| counts(tracker) == all).await;
    let id = tracker.issues().find(|issue| issue.kind == "A").expect("there").id.clone();
    let decider = Decider { by: "ann".to_owned(), reason: "fixed".to_owned() };
    let resolve = Decision::State { issue: id.clone(), state: State::Resolved };
    let after = desk::decide(&store, resolve, &decider).await.expect("recorded");
    assert_eq!(after.get(&id).map(|issue| issue.state), Some(State::Resolved));
    produce(&log, 0, "A", "1", 5);
    until("five more", &store, |tracker| counts(tracker)["A"] == 155).await;
    assert_eq!(
        desk::read(&store).await.expect("reads").get(&id).map(|i| i.state),
        Some(State::Resolved)
    );
    for partition in 0..3 {
        produce(&log, partition, "A", "2", 5);
    }
    let back = |tracker: &Tracker| counts(tracker)["A"] == 170;
    let tracker = until("the newer version", &store, back).await;
    let issue = tracker.get(&id).expect("there");
    assert_eq!(issue.state, State::ForReview);
    assert_eq!(issue.regression.as_ref().map(|found| found.version.as_str()), Some("2"));
    worker.drain(DEADLINE).await.expect("drains");
    running.drain(DEADLINE).await.expect("drains");
    assert_eq!(heard.kinds(), ["new_issue", "new_issue", "regression"]);
    let system = System::shared();
    let table = Table::ErrorIssueHistory;
    let table =
        PublishedTable::open(store, table, ISSUES_PIPELINE, system.clone(), system, TEST_BACKOFF);
    assert!(!table.await.expect("opens").files().expect("lists").is_empty());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_death_at_any_write_counts_and_tells_nothing_twice() {
    let (inner, log): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), MemoryLog::new());
    produce(&log, 0, "A", "1", 40);
    produce(&log, 1, "B", "1", 3);
    let worker = worker(&inner, &log).await;
    let heard = Arc::new(Heard::default());
    let (mut total, mut deaths) = (40, 0);
    for write in 0..24 {
        let rule = if write % 2 == 0 { Rule::DieAt(write) } else { Rule::DieAfter(write) };
        let store = Arc::new(FaultStore::new(inner.clone(), vec![rule]));
        let running = start(&(store.clone() as Arc<dyn ObjectStore>), &heard);
        produce(&log, 0, "A", "1", 10);
        total += 10;
        let life = async {
            while !store.dead() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        // One with few writes to make outlives the rule: then it is dropped as it is.
        deaths += usize::from(tokio::time::timeout(Duration::from_secs(2), life).await.is_ok());
        drop(running);
    }
    assert!(deaths > 4, "only {deaths} deaths");
    let running = start(&inner, &heard);
    let all = expected(&[("A", total), ("B", 3)]);
    until("the counts", &inner, |tracker| counts(tracker) == all).await;
    worker.drain(DEADLINE).await.expect("drains");
    running.drain(DEADLINE).await.expect("drains");
    assert_eq!(counts(&desk::read(&inner).await.expect("reads")), all);
    assert_eq!(heard.kinds(), ["new_issue", "new_issue"]);
    let problems = crate::fsck::fsck(&inner, ISSUES_PIPELINE, 0).await.expect("checks").problems;
    assert_eq!(problems.kept, [], "the log and the tables of the issues agree");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_at_once_count_nothing_twice() {
    let (store, log): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), MemoryLog::new());
    produce(&log, 0, "A", "1", 10);
    let worker = worker(&store, &log).await;
    let heard = Arc::new(Heard::default());
    let (one, other) = (start(&store, &heard), start(&store, &heard));
    for step in 0..20 {
        produce(&log, step % 2, "A", "1", 10);
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    until("the counts", &store, |tracker| counts(tracker) == expected(&[("A", 210)])).await;
    worker.drain(DEADLINE).await.expect("drains");
    drop(one);
    other.drain(DEADLINE).await.expect("drains");
    assert_eq!(counts(&desk::read(&store).await.expect("reads")), expected(&[("A", 210)]));
    assert_eq!(heard.kinds(), ["new_issue"]);
    let keys: BTreeSet<String> = heard.0.lock().expect("unpoisoned").keys().cloned().collect();
    assert_eq!(keys.len(), 1);
}

/// Drains the worker when it has so many messages.
async fn drain(worker: worker::Running, messages: i64) {
    let has_all = async {
        let next = |status: worker::Status| {
            status.partitions.iter().map(|held| held.next_offset).sum::<i64>()
        };
        while next(worker.status()) < messages {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(DEADLINE, has_all).await.expect("reads what came");
    worker.drain(DEADLINE).await.expect("drains");
}

/// Cuts the first pipeline's log where it ends: what is kept for that long is over.
async fn collect(store: &Arc<dyn ObjectStore>) -> u64 {
    let system = System::shared();
    let layout = Layout::new(LIVE_PIPELINE);
    let log = CommitLog::recover(
        Arc::clone(store),
        layout.clone(),
        system.clone(),
        system,
        TEST_BACKOFF,
        |_| true,
    );
    let head = log.await.expect("reads").0.head().clone();
    snapshot::save(store.as_ref(), &layout, &head).await.expect("saves");
    let records: Vec<_> = store.list(Some(&layout.records())).try_collect().await.expect("lists");
    for record in records {
        store.delete(&record.location).await.expect("deletes");
    }
    head.next_seq
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_new_pipeline_counts_the_table_where_the_records_are_gone() {
    let (store, log): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), MemoryLog::new());
    let heard = Arc::new(Heard::default());
    produce(&log, 0, "A", "1", 50);
    produce(&log, 1, "B", "1", 7);
    drain(worker(&store, &log).await, 57).await;
    collect(&store).await;
    let (worker, running) = (worker(&store, &log).await, start(&store, &heard));
    until("the table", &store, |t| counts(t) == expected(&[("A", 50), ("B", 7)])).await;
    produce(&log, 2, "A", "1", 5);
    until("what comes", &store, |t| counts(t) == expected(&[("A", 55), ("B", 7)])).await;
    drop(running);
    let running = start(&store, &heard);
    produce(&log, 2, "B", "1", 1);
    until("no row twice", &store, |t| counts(t) == expected(&[("A", 55), ("B", 8)])).await;
    worker.drain(DEADLINE).await.expect("drains");
    running.drain(DEADLINE).await.expect("drains");
    let system: Arc<System> = System::shared();
    let (clock, entropy) = (system.clone() as Arc<dyn Clock>, system as Arc<dyn Entropy>);
    let read = super::position(&store, &clock, &entropy, TEST_BACKOFF).await.expect("reads");
    assert_eq!(read, Some(collect(&store).await), "a drain says all it has seen");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_and_files_that_are_gone_are_a_gap_that_is_written_down() {
    let (store, log): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), MemoryLog::new());
    let heard = Arc::new(Heard::default());
    produce(&log, 0, "A", "1", 50);
    let (one, running) = (worker(&store, &log).await, start(&store, &heard));
    until("the first", &store, |t| counts(t) == expected(&[("A", 50)])).await;
    running.drain(DEADLINE).await.expect("drains");
    produce(&log, 0, "A", "1", 7);
    drain(one, 57).await;
    collect(&store).await;
    let (two, running) = (worker(&store, &log).await, start(&store, &heard));
    produce(&log, 1, "A", "1", 4);
    until("what comes", &store, |t| counts(t) == expected(&[("A", 54)])).await;
    let missed = running.status_reader().read().missed;
    assert!(missed > 0, "the seven are not counted, and that is said");
    running.drain(DEADLINE).await.expect("drains");

    let files = async || -> BTreeSet<Path> {
        let below = Path::from(Table::ErrorEvents.path());
        let all: Vec<_> = store.list(Some(&below)).try_collect().await.expect("lists");
        let paths = all.into_iter().map(|meta| meta.location);
        paths.filter(|path| path.as_ref().ends_with(".parquet")).collect()
    };
    let before = files().await;
    produce(&log, 1, "A", "1", 20);
    drain(two, 81).await;
    for file in files().await.difference(&before) {
        store.delete(file).await.expect("deletes");
    }
    let (three, running) = (worker(&store, &log).await, start(&store, &heard));
    produce(&log, 1, "A", "1", 3);
    until("and goes on", &store, |t| counts(t) == expected(&[("A", 57)])).await;
    assert!(running.status_reader().read().missed > 0);
    three.drain(DEADLINE).await.expect("drains");
    running.drain(DEADLINE).await.expect("drains");
    let system = System::shared();
    let own = CommitLog::recover(
        Arc::clone(&store),
        Layout::new(ISSUES_PIPELINE),
        system.clone(),
        system,
        TEST_BACKOFF,
        |_| false,
    );
    let entries = own.await.expect("reads").1;
    let gaps = entries.iter().filter(|entry| {
        matches!(
            &entry.record.body,
            Body::Operator(Operator { decision: record::Decision::AcceptGap { .. }, .. })
        )
    });
    assert!(gaps.count() >= 2, "each is a record");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_log_of_the_issues_that_was_lost_is_begun_anew_by_a_decision() {
    let (store, log): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), MemoryLog::new());
    let heard = Arc::new(Heard::default());
    produce(&log, 0, "A", "1", 50);
    let (worker, running) = (worker(&store, &log).await, start(&store, &heard));
    until("the first", &store, |t| counts(t) == expected(&[("A", 50)])).await;
    running.drain(DEADLINE).await.expect("drains");
    let below = Path::from(format!("_sys/{ISSUES_PIPELINE}"));
    let all: Vec<_> = store.list(Some(&below)).try_collect().await.expect("lists");
    for object in all {
        store.delete(&object.location).await.expect("deletes");
    }
    let running = start(&store, &heard);
    let refused = async {
        loop {
            if let Some(error) = running.status_reader().read().error {
                return error;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    let error = tokio::time::timeout(DEADLINE, refused).await.expect("it says so");
    assert!(error.contains("tidemill operator adopt"), "{error}");
    drop(running);
    let decider = Decider { by: "ann".to_owned(), reason: "lost".to_owned() };
    let begun = crate::operator::adopt(&store, &[], &decider).await.expect("begins");
    assert_eq!(begun.len(), 1, "the other log is there: {begun:?}");
    assert!(counts(&desk::read(&store).await.expect("reads")).is_empty(), "nothing is counted yet");
    let running = start(&store, &heard);
    produce(&log, 0, "A", "1", 5);
    until("counted anew", &store, |t| counts(t) == expected(&[("A", 55)])).await;
    worker.drain(DEADLINE).await.expect("drains");
    running.drain(DEADLINE).await.expect("drains");
    let problems = crate::fsck::fsck(&store, ISSUES_PIPELINE, 0).await.expect("checks").problems;
    assert_eq!(problems.kept, [], "the log and the tables of the issues agree");
}

/// Parts of the state that the newest record refers to.
async fn parts(store: &Arc<dyn ObjectStore>) -> Vec<Path> {
    let layout = Layout::new(ISSUES_PIPELINE);
    let system = System::shared();
    let log =
        CommitLog::recover(Arc::clone(store), layout, system.clone(), system, TEST_BACKOFF, |_| {
            true
        });
    let head = log.await.expect("reads").0.head().clone();
    let parts = head.state.expect("a state").parts;
    parts.into_iter().map(|part| Path::from(part.path)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_part_of_the_state_that_is_gone_or_damaged_is_found_by_fsck() {
    let (store, log): (Arc<dyn ObjectStore>, _) = (Arc::new(InMemory::new()), MemoryLog::new());
    produce(&log, 0, "A", "1", 10);
    let worker = worker(&store, &log).await;
    let running = start(&store, &Arc::new(Heard::default()));
    until("the counts", &store, |tracker| counts(tracker) == expected(&[("A", 10)])).await;
    worker.drain(DEADLINE).await.expect("drains");
    running.drain(DEADLINE).await.expect("drains");
    let problems = async || {
        let report = crate::fsck::fsck(&store, ISSUES_PIPELINE, 0).await.expect("checks");
        let problems = report.problems.kept.into_iter();
        problems.map(|problem| (problem.fault, problem.place)).collect::<Vec<_>>()
    };
    assert_eq!(problems().await, []);
    let key = parts(&store).await.pop().expect("a part");
    let whole = store.get(&key).await.expect("there").bytes().await.expect("bytes");
    let mut damaged = whole.to_vec();
    damaged[whole.len() / 2] ^= 1;
    for (bytes, fault) in [
        (Some(whole.slice(..whole.len() - 1)), Fault::StateDamaged),
        (Some(damaged.into()), Fault::StateDamaged),
        (None, Fault::StateMissing),
    ] {
        match bytes {
            Some(bytes) => drop(store.put(&key, bytes.into()).await.expect("put")),
            None => store.delete(&key).await.expect("deleted"),
        }
        assert_eq!(problems().await, [(fault, key.to_string())]);
    }
    store.put(&key, whole.into()).await.expect("restored");
    assert_eq!(problems().await, []);
}
