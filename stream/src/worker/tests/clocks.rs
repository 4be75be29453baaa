//! Two workers whose wall clocks are wrong, by hours, by a week, by a month, forth and back: no record is lost
//! or doubled, and retention lets go of nothing that the records do not call old.

use std::sync::atomic::{AtomicI64, Ordering};

use super::*;
use crate::source::memory::MemoryGroup;
use crate::upkeep::Settings;

const HOUR_MILLIS: i64 = 3_600_000;
const DAY_MILLIS: i64 = 24 * HOUR_MILLIS;

/// The machine's time, and how far its wall clock is off.
#[derive(Debug)]
struct Wrong {
    real: Arc<System>,
    by_millis: AtomicI64,
}

impl Clock for Wrong {
    fn monotonic(&self) -> Duration {
        self.real.monotonic()
    }

    fn unix_millis(&self) -> i64 {
        self.real.unix_millis() + self.by_millis.load(Ordering::SeqCst)
    }
}

/// Two workers that share two partitions, keep logs for a week, and tidy up all the time.
struct Pair {
    store: Arc<dyn ObjectStore>,
    log: MemoryLog,
    group: MemoryGroup,
    clocks: [Arc<Wrong>; 2],
    workers: Vec<Running>,
}

impl Pair {
    async fn start() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let (log, group) = (MemoryLog::new(), MemoryGroup::new());
        log.create_topic(schemas::topic::LOGS, 2);
        let real = System::shared();
        let clocks =
            [(); 2].map(|()| Arc::new(Wrong { real: real.clone(), by_millis: AtomicI64::new(0) }));
        let mut workers = Vec::new();
        for clock in &clocks {
            let upkeep = Settings {
                interval: Duration::from_millis(15),
                compact_after: Duration::ZERO,
                retention: BTreeMap::from([(Table::Logs, Duration::from_secs(7 * 24 * 3_600))]),
                ..Settings::default()
            };
            let config = Config { upkeep, ..config(store.clone()) };
            let world = World { clock: clock.clone(), ..world() };
            let source = Box::new(log.open_in(&group));
            workers.push(start_in(world, config, source).await.expect("starts"));
        }
        Self { store, log, group, clocks, workers }
    }

    /// Lines of the last three hours, by a clock that is off by so much.
    fn send(&self, partition: i32, lines: i64, by_millis: i64) {
        let now = self.clocks[0].real.unix_millis() + by_millis;
        let record = |line: i64| Record {
            timestamp: EventTime::from_millis(now - (line % 3) * HOUR_MILLIS).expect("in range"),
            payload: format!("line {line}").into_bytes(),
            ..Record::default()
        };
        self.log.append(&fixture::partition(partition), (0..lines).map(record).collect());
    }

    fn ends(&self) -> [i64; 2] {
        let topics = [schemas::topic::LOGS.to_owned()];
        let infos = self.log.open().partitions(&topics, DEADLINE).expect("partitions");
        [0, 1].map(|partition| infos[partition].high)
    }

    fn statuses(&self) -> Vec<Status> {
        self.workers.iter().map(Running::status).collect()
    }

    /// Files that retention has let go of.
    fn expired(&self) -> u64 {
        let of = |status: &Status| {
            status.upkeep.tables.get("logs").map_or(0, |t| t.expired.files_before)
        };
        self.statuses().iter().map(of).sum()
    }

    fn passes(&self) -> u64 {
        self.statuses().iter().map(|status| status.upkeep.passes).sum()
    }

    /// Waits until all is committed, and some passes of upkeep began after that.
    async fn settle(&self, what: &str) {
        let ends = self.ends();
        let reached = |partition: i32, end: i64| {
            let statuses = self.statuses();
            let mut held = statuses.iter().flat_map(|status| &status.partitions);
            held.any(|held| held.partition == partition && held.next_offset == end)
        };
        until(what, || reached(0, ends[0]) && reached(1, ends[1])).await;
        let before = self.passes();
        until(what, || self.passes() > before + 2).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn wall_clocks_that_jump_lose_and_double_nothing_and_let_nothing_go() {
    let pair = Pair::start().await;
    let jumps = [0, HOUR_MILLIS, -HOUR_MILLIS, 8 * DAY_MILLIS, -8 * DAY_MILLIS, 30 * DAY_MILLIS, 0];
    for (round, jump) in jumps.into_iter().enumerate() {
        // One is wrong as the other was before.
        let before = jumps[round.saturating_sub(1)];
        for (clock, by_millis) in pair.clocks.iter().zip([jump, before]) {
            clock.by_millis.store(by_millis, Ordering::SeqCst);
        }
        for partition in 0..2 {
            pair.group.give(&fixture::partition(partition), (round + partition as usize) % 2);
            pair.send(partition, 9, 0);
        }
        pair.settle(&format!("off by {jump} ms")).await;
    }
    assert_eq!(pair.expired(), 0);
    let ends = pair.ends();
    for worker in pair.workers {
        worker.drain(DEADLINE).await.expect("drains");
    }
    assert_exactly_once(&pair.store, &ends, "wrong clocks").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_old_by_the_records_goes_once_the_wall_clock_says_so_too() {
    let pair = Pair::start().await;
    for partition in 0..2 {
        pair.group.give(&fixture::partition(partition), partition as usize);
        pair.send(partition, 9, 0);
    }
    pair.settle("first").await;
    // Eight days later by those who send, not yet by the machine.
    pair.send(0, 6, 8 * DAY_MILLIS);
    pair.settle("records ahead").await;
    assert_eq!(pair.expired(), 0, "the records alone");
    for clock in &pair.clocks {
        clock.by_millis.store(8 * DAY_MILLIS, Ordering::SeqCst);
    }
    until("retention", || pair.expired() > 0).await;
    pair.settle("the rest").await;
    for worker in pair.workers {
        worker.drain(DEADLINE).await.expect("drains");
    }
    let expected: BTreeMap<_, _> = (9..15).map(|offset| ((0, offset), 1)).collect();
    assert_eq!(messages(&pair.store, Table::Logs).await, expected);
}
