//! What exactly once costs, how long a worker takes to come back, and whether its memory stays flat:
//! `cargo bench --bench protocol`, one of them with `-- overhead`, `-- recovery` or `-- soak`.
//!
//! `overhead`: the same rows as the same Parquet files, written by the protocol (files with fsync,
//! commit record, Delta commits) and plainly (encoded, written, with and without fsync). The sides run
//! interleaved, A B C C B A, first round dropped. `recovery`: a worker that was killed, with so many commits
//! in its log and as many versions in its tables, until it reads again. `soak`: a worker under a steady
//! load; its resident memory over time (`TIDEMILL_SOAK_SECONDS`).

#[path = "payloads/lines.rs"]
mod lines;

#[expect(dead_code, reason = "this bench measures by the clock on the wall")]
mod harness;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use harness::{Size, wanted};
use object_store::ObjectStore;
use schemas::table::Table;
use schemas::topic::{Format, Signal};
use stages::record::{Record, TopicPartition};
use stream::backoff::Backoff;
use stream::clock::System;
use stream::commit_log::Layout;
use stream::commit_log::log::CommitLog;
use stream::commit_log::record::{
    Body, Claim, ClaimedPartition, Commit, Unit as RecordUnit, UnitPartition,
};
use stream::files::{FilePlan, FileWriter, encode};
use stream::lane::{Assigned, Lane, Share};
use stream::source::Batch;
use stream::source::memory::MemoryLog;
use stream::table::delta::PublishedTable;
use stream::table::publication::Publication;
use stream::unit::Unit;
use stream::{store, worker};

const BACKOFF: Backoff = Backoff { first: Duration::from_millis(50), most: Duration::from_secs(1) };
/// Longest wait for anything.
const DEADLINE: Duration = Duration::from_secs(3_600);

fn partition() -> TopicPartition {
    TopicPartition { topic: "bench".into(), partition: 0 }
}

fn open(directory: &Path) -> Arc<dyn ObjectStore> {
    let url = directory.to_str().expect("text").to_owned();
    store::open(&store::Config { url, options: BTreeMap::new() }).expect("opens")
}

/// The files of one unit of so many logs.
fn plans(records: usize) -> Vec<FilePlan> {
    let mut lane = Lane::new(Arc::new(lines::pipeline()), Share::of(1));
    lane.assign(Assigned {
        partition: partition(),
        signal: Signal::Logs,
        input: Format::Json.into(),
        next_offset: 0,
        clock: None,
    });
    lane.process(&Batch { partition: partition(), records: lines::records(records, 0) });
    let part = lane.cut().expect("columns");
    Unit::assemble(vec![part]).expect("a unit").plans
}

/// The protocol around the files.
struct Protocol {
    runtime: tokio::runtime::Runtime,
    files: FileWriter,
    log: CommitLog,
    tables: Vec<PublishedTable>,
    unpublished: BTreeMap<Table, Vec<Publication>>,
    offset: i64,
}

impl Protocol {
    fn new(directory: &Path) -> Self {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        let (store, system) = (open(directory), System::shared());
        let (log, tables) = runtime.block_on(async {
            let layout = Layout::new("live");
            let log = CommitLog::recover(
                store.clone(),
                layout,
                system.clone(),
                system.clone(),
                BACKOFF,
                |_| true,
            );
            let mut log = log.await.expect("reads").0;
            let partition = partition();
            let claimed = ClaimedPartition { partition, generation: 1, start_offset: 0 };
            let claim = Claim {
                owner: "bench".to_owned(),
                cluster_id: None,
                tables: BTreeMap::new(),
                partitions: vec![claimed],
                group: None,
            };
            log.append(|_| Body::Claim(claim.clone())).await.expect("claims");
            let mut tables = Vec::new();
            for table in Table::ALL {
                let (clock, entropy) = (system.clone(), system.clone());
                let open =
                    PublishedTable::open(store.clone(), table, "live", clock, entropy, BACKOFF);
                tables.push(open.await.expect("opens"));
            }
            (log, tables)
        });
        let files = FileWriter { store, clock: system.clone(), entropy: system, backoff: BACKOFF };
        Self { runtime, files, log, tables, unpublished: BTreeMap::new(), offset: 0 }
    }

    /// A unit: files, record, tables.
    fn unit(&mut self, plans: &[FilePlan]) {
        self.commit(plans);
        self.publish();
    }

    /// A unit's files and its record.
    fn commit(&mut self, plans: &[FilePlan]) {
        let Self { runtime, files, log, offset, unpublished, .. } = self;
        runtime.block_on(async {
            let adds = files.write("bench", plans.to_vec()).await.expect("writes");
            let from = *offset;
            *offset += 1;
            let to = *offset;
            let make = |head: &stream::commit_log::head::Head| {
                let known = &head.partitions[&partition()];
                let range = UnitPartition {
                    partition: partition(),
                    generation: known.generation,
                    parent_seq: known.last_seq,
                    from_offset: from,
                    to_offset: to,
                    messages: 1,
                    clock_ns: 0,
                    anchor: None,
                };
                let unit = RecordUnit {
                    owner: "bench".to_owned(),
                    partitions: vec![range],
                    adds: adds.clone(),
                    kept: Vec::new(),
                    pipeline: None,
                    state: None,
                };
                Body::Commit(Commit { units: vec![unit] })
            };
            let entries = log.append(make).await.expect("commits");
            for (table, change) in entries.last().map(Publication::of).unwrap_or_default() {
                unpublished.entry(table).or_default().push(change);
            }
        });
    }

    /// Every table takes what was committed, in one version each.
    fn publish(&mut self) {
        let Self { runtime, tables, unpublished, .. } = self;
        runtime.block_on(async {
            for table in tables {
                if let Some(changes) = unpublished.remove(&table.table()) {
                    table.publish(&changes).await.expect("publishes");
                }
            }
        });
    }
}

/// The same files, and nothing else.
fn plain(directory: &Path, number: usize, plans: &[FilePlan], durable: bool) {
    use std::io::Write as _;
    for (place, plan) in plans.iter().enumerate() {
        let encoded = encode(plan).expect("encodes");
        let path = directory.join(format!("{number}-{place}.parquet"));
        let mut file = std::fs::File::create(path).expect("created");
        file.write_all(&encoded.bytes).expect("written");
        if durable {
            file.sync_all().expect("synced");
        }
    }
}

fn overhead(size: Size) {
    let records = [(2_000, "2,000"), (20_000, "20,000"), (100_000, "100,000")];
    for (records, name) in records.into_iter().take(if size.scale > 1 { 3 } else { 1 }) {
        let plans = plans(records);
        let bytes: usize = plans.iter().map(|p| encode(p).expect("encodes").bytes.len()).sum();
        let (ours, theirs) = (tempfile::tempdir().expect("a directory"), tempfile::tempdir());
        let theirs = theirs.expect("a directory");
        let mut protocol = Protocol::new(ours.path());
        let mut number = 0;
        let mut seconds = [(); 3].map(|()| Vec::new());
        for round in 0..=2 * size.rounds {
            let mut took = [0.0; 3];
            for side in [0, 1, 2, 2, 1, 0] {
                number += 1;
                let begun = Instant::now();
                match side {
                    0 => protocol.unit(&plans),
                    1 => plain(theirs.path(), number, &plans, true),
                    _ => plain(theirs.path(), number, &plans, false),
                }
                took[side] += begun.elapsed().as_secs_f64() / 2.0;
            }
            if round > 0 {
                seconds.iter_mut().zip(took).for_each(|(all, took)| all.push(took));
            }
        }
        let [protocol, synced, plain] = seconds.map(|mut all| {
            all.sort_by(f64::total_cmp);
            all[all.len() / 2]
        });
        println!(
            "overhead, units of {name:>7} logs, {} files, {:.0} kB: protocol {:.1} ms, plain with fsync {:.1} ms, plain {:.1} ms; \
             {:.2}x and {:.2}x; {:.1} ms a unit beyond fsynced files",
            plans.len(),
            bytes as f64 / 1e3,
            protocol * 1e3,
            synced * 1e3,
            plain * 1e3,
            protocol / synced,
            protocol / plain,
            (protocol - synced) * 1e3,
        );
    }
}

fn config(directory: &Path, epoch: Duration, upkeep: bool) -> worker::Config {
    worker::Config {
        brokers: String::new(),
        properties: Vec::new(),
        topics: vec![worker::Topic {
            name: "bench".to_owned(),
            signal: Signal::Logs,
            input: Format::Json.into(),
        }],
        store: open(directory),
        store_name: "bench".to_owned(),
        store_is_remote: false,
        pipeline: Arc::new(lines::pipeline()),
        epoch,
        threads: 1,
        sharing: None,
        upkeep: stream::upkeep::Settings { enabled: upkeep, ..Default::default() },
        keep_raw: stream::lane::KeepRaw::Nothing,
        notes: Some(directory.join("notes")),
    }
}

/// Waits for a condition.
async fn until(mut done: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < DEADLINE, "it does not come");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// Units published together: what a worker does whose tables are slower than its epochs.
const PUBLISHED_TOGETHER: usize = 100;
/// Units at least that a worker leaves unpublished when it is killed.
const UNPUBLISHED: usize = 3;

fn recovery(size: Size) {
    for commits in if size.scale > 1 { &[1_000, 20_000][..] } else { &[20] } {
        let directory = tempfile::tempdir().expect("a directory");
        let log = MemoryLog::new();
        log.create_topic("bench", 1);
        let begun = Instant::now();
        let (mut protocol, plans) = (Protocol::new(directory.path()), plans(1));
        for unit in 1..=*commits {
            log.append(&partition(), lines::records(1, 0));
            protocol.commit(&plans);
            if unit % PUBLISHED_TOGETHER == 0 && unit + UNPUBLISHED <= *commits {
                protocol.publish();
            }
        }
        drop(protocol);
        println!("recovery: {commits} commits made in {:.0} s", begun.elapsed().as_secs_f64());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(recover(&directory, &log, *commits));
    }
}

/// Starts and kills a worker five times.
async fn recover(directory: &tempfile::TempDir, log: &MemoryLog, commits: usize) {
    let config = || config(directory.path(), Duration::from_millis(1), false);
    let mut took = Vec::new();
    for _ in 0..5 {
        let begun = Instant::now();
        let running = worker::start_from(config(), Box::new(log.open())).await;
        let running = running.expect("starts again");
        let ready = begun.elapsed();
        let seen = running.status().units;
        log.append(&partition(), lines::records(4, 0));
        until(|| running.status().units > seen).await;
        took.push((ready, begun.elapsed()));
    }
    took.sort();
    let (ready, committed) = took[took.len() / 2];
    println!(
        "recovery after a kill, {commits} commits: {:.0} ms until it reads, {:.0} ms until its first commit (median of 5)",
        ready.as_secs_f64() * 1e3,
        committed.as_secs_f64() * 1e3
    );
}

/// Resident memory of this process, MiB.
fn resident() -> f64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: f64 = text.split(' ').nth(1).and_then(|pages| pages.parse().ok()).unwrap_or(0.0);
    pages * 4_096.0 / f64::from(1 << 20)
}

fn soak(size: Size) {
    let seconds = std::env::var("TIDEMILL_SOAK_SECONDS").ok().and_then(|text| text.parse().ok());
    let seconds: u64 = seconds.unwrap_or(if size.scale > 1 { 300 } else { 2 });
    let directory = tempfile::tempdir().expect("a directory");
    let log = MemoryLog::new();
    log.create_topic("bench", 1);
    let records: Vec<Record> = lines::records(500, 0);
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        // `TIDEMILL_SOAK_UPKEEP=off`: to tell the worker's own memory from that of putting files together.
        let upkeep = std::env::var("TIDEMILL_SOAK_UPKEEP").map_or(true, |text| text != "off");
        let mut config = config(directory.path(), Duration::from_millis(500), upkeep);
        config.upkeep.interval = Duration::from_secs(5);
        let running = worker::start_from(config, Box::new(log.open())).await.expect("starts");
        let (begun, mut told, mut sent) = (Instant::now(), 0, 0);
        println!(
            "soak: seconds, records, units, records behind, resident MiB: least and most since the last line"
        );
        let (mut least, mut most) = (f64::MAX, 0.0_f64);
        while begun.elapsed().as_secs() < seconds {
            log.append(&partition(), records.clone());
            sent += records.len();
            tokio::time::sleep(Duration::from_millis(50)).await;
            let status = running.status();
            // The log in memory is not what is measured.
            if let Some(next) = status.partitions.first().map(|held| held.next_offset) {
                log.truncate(&partition(), next);
            }
            (least, most) = (least.min(resident()), most.max(resident()));
            if begun.elapsed().as_secs() >= told {
                // What waits is in this process, too.
                let (units, lag) = (status.units, status.lag);
                println!("soak: {told:>4} {sent:>9} {units:>6} {lag:>8} {least:>7.1} {most:>7.1}");
                told += (seconds / 20).max(1);
                (least, most) = (f64::MAX, 0.0);
            }
        }
        running.drain(DEADLINE).await.expect("drains");
    });
}

fn main() {
    let size = Size::from_arguments();
    for (name, run) in [("overhead", overhead as fn(Size)), ("recovery", recovery), ("soak", soak)]
    {
        if wanted(name) {
            run(size);
        }
    }
}
