//! The process that dies: one worker, or three that share the partitions and give them back and forth.
//!
//! Its Kafka is a log in memory whose records follow from partition and offset alone; how far each
//! partition goes is written to a file before the worker can see it, so that the next life has the
//! same log. Tables are compacted and garbage is deleted all the time.

use std::collections::BTreeMap;
use std::os::unix::fs::FileExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use schemas::table::Table;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};
use stages::pipeline::{Pipeline, config};
use stages::record::{Record, TopicPartition};
use stream::source::memory::{MemoryGroup, MemoryLog};
use stream::upkeep::Settings;
use stream::worker::{self, Running};

use super::{Dice, setting};

/// The test that is the process.
pub(super) const NAME: &str = "kills::child::a_worker_that_dies";
pub(super) const DIRECTORY: &str = "TIDEMILL_CHILD_DIRECTORY";
pub(super) const WORKERS: &str = "TIDEMILL_CHILD_WORKERS";
pub(super) const SEED: &str = "TIDEMILL_CHILD_SEED";
/// Commit all, publish all, end.
pub(super) const DRAIN: &str = "TIDEMILL_CHILD_DRAIN";

const PARTITIONS: usize = 3;
/// 2024-04-27 12:00: every hour of it is closed.
const NOON: i64 = 1_714_219_200_000_000_000;
const HOUR: i64 = 3_600_000_000_000;
const DEADLINE: Duration = Duration::from_secs(60);

/// How far each partition goes.
fn ends(directory: &Path) -> [i64; PARTITIONS] {
    let bytes = std::fs::read(directory.join("kafka")).unwrap_or_default();
    let mut ends = [0; PARTITIONS];
    for (end, bytes) in ends.iter_mut().zip(bytes.chunks_exact(8)) {
        *end = i64::from_le_bytes(bytes.try_into().unwrap());
    }
    ends
}

/// Records there are.
pub(super) fn produced(directory: &Path) -> i64 {
    ends(directory).iter().sum()
}

/// The topic.
struct Kafka {
    log: MemoryLog,
    file: std::fs::File,
    ends: [i64; PARTITIONS],
}

fn partition(number: usize) -> TopicPartition {
    TopicPartition { topic: schemas::topic::LOGS.into(), partition: number as i32 }
}

impl Kafka {
    fn open(directory: &Path) -> Self {
        let log = MemoryLog::new();
        log.create_topic(schemas::topic::LOGS, PARTITIONS as i32);
        let ends = ends(directory);
        let file = std::fs::File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .open(directory.join("kafka"))
            .unwrap();
        let kafka = Self { log, file, ends };
        for (number, end) in ends.into_iter().enumerate() {
            kafka.append(number, 0, end);
        }
        kafka
    }

    /// Records follow from partition and offset alone: a tombstone now and then, three event hours.
    fn append(&self, number: usize, from: i64, to: i64) {
        let record = |offset: i64| Record {
            timestamp: EventTime::from_nanos(NOON + (offset % 3) * HOUR),
            payload: match offset % 40 {
                39 => Vec::new(),
                _ => format!("record {offset} of partition {number}").into_bytes(),
            },
            ..Record::default()
        };
        self.log.append(&partition(number), (from..to).map(record).collect());
    }

    /// More records; the file first.
    fn produce(&mut self, number: usize, records: i64) {
        let from = self.ends[number];
        self.ends[number] += records;
        let bytes: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        self.file.write_all_at(&bytes, 0).unwrap();
        self.append(number, from, from + records);
    }
}

/// Everything counted; two log-based metrics, so that a table has rows that may go.
fn pipeline() -> Arc<Pipeline> {
    let text = "metrics: [{name: records, compute: {aggregation_type: count}}]";
    let config: config::Config = serde_yaml_ng::from_str(text).unwrap();
    Arc::new(Pipeline::compile(&config).unwrap())
}

fn worker_config(directory: &Path) -> worker::Config {
    let url = directory.join("store").to_str().unwrap().to_owned();
    let store = stream::store::open(&stream::store::Config { url, options: BTreeMap::new() });
    let upkeep = Settings {
        interval: Duration::from_millis(30),
        compact_after: Duration::ZERO,
        retention: BTreeMap::from([(Table::Metrics, Duration::from_secs(3_600))]),
        horizon: Duration::from_secs(2),
        log_horizon: Duration::from_secs(5),
        delete_interval: Duration::from_millis(100),
        ..Settings::default()
    };
    worker::Config {
        brokers: String::new(),
        properties: Vec::new(),
        topics: vec![worker::Topic {
            name: schemas::topic::LOGS.to_owned(),
            signal: Signal::Logs,
            input: Format::Raw.into(),
        }],
        store: store.unwrap(),
        store_name: "store".to_owned(),
        store_is_remote: false,
        pipeline: pipeline(),
        epoch: Duration::from_millis(80),
        threads: 2,
        sharing: None,
        upkeep,
        keep_raw: stream::lane::KeepRaw::Nothing,
        notes: Some(directory.join("notes")),
    }
}

async fn start(directory: &Path, kafka: &Kafka, workers: u64) -> (Vec<Running>, MemoryGroup) {
    let (group, mut running) = (MemoryGroup::new(), Vec::new());
    let config = worker_config(directory);
    for _ in 0..workers {
        let source = match workers {
            1 => kafka.log.open(),
            _ => kafka.log.open_in(&group),
        };
        running.push(worker::start_from(config.clone(), Box::new(source)).await.unwrap());
    }
    if workers > 1 {
        for number in 0..PARTITIONS {
            group.give(&partition(number), number % workers as usize);
        }
    }
    (running, group)
}

async fn live(directory: &Path, workers: u64, seed: u64) {
    let mut dice = Dice(seed | 1);
    let mut kafka = Kafka::open(directory);
    let (running, group) = start(directory, &kafka, workers).await;
    // A life that no step ends is ended from outside.
    loop {
        kafka.produce(dice.roll(PARTITIONS as u64) as usize, 1 + dice.roll(4) as i64);
        if workers > 1 && dice.roll(8) == 0 {
            let (number, worker) = (dice.roll(PARTITIONS as u64), dice.roll(workers));
            group.give(&partition(number as usize), worker as usize);
        }
        assert!(running.iter().all(|worker| worker.status().units < 1_000_000));
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

async fn drain(directory: &Path) {
    let kafka = Kafka::open(directory);
    let (running, _) = start(directory, &kafka, 1).await;
    for worker in running {
        worker.drain(DEADLINE).await.unwrap();
    }
}

#[test]
#[ignore = "the process that the tests of `kills` start and kill: alone it does nothing"]
fn a_worker_that_dies() {
    let Ok(directory) = std::env::var(DIRECTORY) else { return };
    let directory = Path::new(&directory);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.unwrap().block_on(async {
        match std::env::var(DRAIN) {
            Ok(_) => drain(directory).await,
            Err(_) => live(directory, setting(WORKERS).unwrap(), setting(SEED).unwrap()).await,
        }
    });
}
