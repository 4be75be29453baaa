//! A seeded simulation of the commit protocol: the real log, fold, snapshots, garbage collection and
//! Delta publication, run by several workers in one thread against stores that fail. A seed is a
//! schedule: who does what next, and which writes go wrong how.
//!
//! The oracle knows what each file contains. At the end, when the faults have stopped and one
//! worker has finished the work, every offset must be in exactly one file of the table, and no
//! file of a unit that the protocol must refuse may be there. A [`witness`] adds the log up by rules
//! of its own: after every step it judges the worker's head, after every publication the table; and
//! `fsck` looks at the end. What they check has the numbers of `docs/adr/0014-proof.md`.
//!
//! `TIDEMILL_SEEDS=n` runs more schedules, `TIDEMILL_SEED=s` runs one; a failure prints that line.
//! Seeds that once failed are in `simulation/seeds.txt` and run first. Every bug of
//! the protocol in [`crate::mutant`] must be noticed. [`rows`] is the same with messages, rows and the second pipeline.

pub(crate) mod chance;
mod oracle;
mod rogue;
mod rows;
mod witness;
mod worker;

use std::collections::BTreeSet;
use std::sync::Arc;

use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use schemas::table::Table;

use crate::commit_log::{Layout, snapshot};
use crate::fault_store::{Fault, FaultStore, Faults};
use crate::fsck::fsck;
use crate::mutant::{Mutant, plant};
use crate::table::inspect::inspect;
use crate::upkeep::log_gc;
use chance::{Chance, SeededEntropy, ToldClock};
use oracle::{Oracle, Range};
use witness::{Witness, Wrong};
use worker::Worker;

/// Partitions of the topic.
const PARTITIONS: i32 = 3;
/// Workers at once.
const WORKERS: usize = 3;
/// Steps of a schedule.
const STEPS: usize = 90;
/// Writes of a life that may go wrong.
const WRITES: u64 = 25;
/// Schedules of an ordinary run.
const SEEDS: u64 = 60;
/// Schedules within which every planted bug must be noticed.
const SEEDS_PER_MUTANT: u64 = 400;
/// Schedules that noticed a planted bug before: tried first, for most bugs are noticed by one of them.
const SHARP: [u64; 10] = [0, 1, 22, 47, 73, 115, 178, 181, 195, 240];
/// Failed once; one decimal number per line.
const KEPT: &str = include_str!("simulation/seeds.txt");

/// Everything outside the workers.
struct World {
    chance: Chance,
    store: Arc<InMemory>,
    clock: Arc<ToldClock>,
    entropy: Arc<SeededEntropy>,
    oracle: Oracle,
    witness: Witness,
    /// One past the last offset of each partition.
    produced: Vec<i64>,
    /// Stores of all lives so far: what one delayed may land when it is gone.
    stores: Vec<Arc<FaultStore>>,
    /// What happened besides.
    tally: Tally,
}

/// What happened in a schedule: one in which nothing went wrong proves nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Tally {
    faults: Faults,
    /// Lives of workers that began.
    lives: u64,
    /// Starts refused, because the store overwrites what it should create.
    refused: u64,
    /// Times the wall clock was set forth or back.
    jumps: u64,
    /// Log objects deleted.
    collected: u64,
    /// Lives of the second pipeline that began.
    clerks: u64,
    /// Units of the first pipeline that were committed while there were faults.
    units: u64,
    /// The same of the second.
    counted: u64,
    /// Messages of the second pipeline that came again.
    repeated: u64,
    /// Files of tables deleted.
    deleted: u64,
    /// Times that more time passed than files are kept.
    weeks: u64,
}

impl Tally {
    fn add(&mut self, other: &Self) {
        for (fault, times) in &other.faults {
            *self.faults.entry(*fault).or_default() += times;
        }
        self.lives += other.lives;
        self.refused += other.refused;
        self.jumps += other.jumps;
        self.collected += other.collected;
        self.clerks += other.clerks;
        self.units += other.units;
        self.counted += other.counted;
        self.repeated += other.repeated;
        self.deleted += other.deleted;
        self.weeks += other.weeks;
    }
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            chance: Chance::new(seed),
            store: Arc::new(InMemory::new()),
            clock: Arc::new(ToldClock::default()),
            entropy: Arc::new(SeededEntropy::new(seed)),
            oracle: Oracle::default(),
            witness: Witness::default(),
            produced: vec![0; PARTITIONS as usize],
            stores: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// A new file with the rows of these ranges, stored whole; returns its path.
    async fn file(&mut self, ranges: Vec<Range>) -> String {
        let path = self.oracle.file(ranges);
        let key = Path::from(format!("{}/{path}", Table::Logs.path()));
        let bytes = vec![0; worker::FILE_BYTES];
        self.store.put(&key, bytes.into()).await.expect("memory");
        path
    }

    /// Judges the log, and what this worker has read of it.
    async fn judge(&mut self, worker: Option<&Worker>) {
        self.witness.look(self.store.as_ref(), &Layout::new("live")).await;
        if let Some(worker) = worker {
            self.witness.head(worker.head());
        }
    }

    /// Judges the table; returns how far it is published.
    async fn judge_table(&mut self) -> Option<u64> {
        self.judge(None).await;
        let shared: Arc<dyn ObjectStore> = self.store.clone();
        match inspect(&shared, Table::Logs, "live").await {
            Ok(None) => None,
            Ok(Some(table)) => {
                self.witness.table(table.cursor, &table.files.into_keys().collect::<BTreeSet<_>>());
                table.cursor
            }
            Err(error) => {
                self.witness.found("I2", format!("the table can not be read: {error}"));
                None
            }
        }
    }
}

/// Runs one schedule; says what is wrong, or what happened.
async fn run(seed: u64) -> Result<Tally, Wrong> {
    let mut world = World::new(seed);
    let mut workers: Vec<Option<Worker>> = (0..WORKERS).map(|_| None).collect();
    for _ in 0..STEPS {
        if world.chance.below(10) == 0 {
            let number = world.chance.below(world.stores.len() as u64) as usize;
            if let Some(store) = world.stores.get(number).cloned() {
                store.land().await;
            }
        }
        let number = world.chance.below(WORKERS as u64) as usize;
        let Some(slot) = workers.get_mut(number) else { continue };
        match slot.take() {
            // A worker that failed is gone; another life of it comes.
            None => *slot = Worker::start(&mut world, true).await.ok(),
            Some(worker) => *slot = step(&mut world, worker).await,
        }
        world.judge(slot.as_ref()).await;
    }
    drop(workers);
    finish(&mut world).await;
    if !world.witness.wrong.is_empty() {
        return Err(world.witness.wrong);
    }
    for store in &world.stores {
        world.tally.add(&Tally { faults: store.faults(), ..Tally::default() });
    }
    Ok(world.tally)
}

/// One step of a worker, or of the world around it. `None` when the worker did not survive it.
async fn step(world: &mut World, mut worker: Worker) -> Option<Worker> {
    let lives = match world.chance.below(23) {
        0 | 1 => {
            for high in &mut world.produced {
                *high += world.chance.below(5) as i64;
            }
            true
        }
        2 | 3 => worker.claim(world).await,
        4..=6 => worker.commit(world).await,
        7..=9 => {
            let lives = worker.publish(world).await;
            world.judge_table().await;
            lives
        }
        10 | 16 | 17 => worker.plan_compaction(world).await,
        11 | 18 => worker.compact(world).await,
        12 | 19 => {
            rogue::append(world).await;
            true
        }
        13 | 15 => {
            // Written by whoever is at it, also when tables are behind.
            drop(snapshot::save(world.store.as_ref(), &Layout::new("live"), worker.head()).await);
            true
        }
        14 => collect_garbage(world, &worker).await,
        22 => {
            let hours = world.chance.below(5) as i64 - 2;
            world.clock.jump(hours * 3_600_000);
            world.tally.jumps += 1;
            true
        }
        // kill -9
        _ => false,
    };
    lives.then_some(worker)
}

/// Deletes what no reader needs. Whoever has been away looks at the log's end first: the clock says
/// that everybody has.
async fn collect_garbage(world: &mut World, worker: &Worker) -> bool {
    let layout = Layout::new("live");
    // No request is on its way for as long as records are kept.
    for store in world.stores.clone() {
        store.land().await;
    }
    let cursors = worker.cursors();
    let usable = |head: &crate::commit_log::head::Head| head.is_published_at(&cursors);
    let none = std::time::Duration::ZERO;
    world.clock.pass(std::time::Duration::from_secs(3_600));
    if let Ok(keys) =
        log_gc::find(world.store.as_ref(), &layout, i64::MAX, none, None, usable).await
    {
        world.tally.collected += keys.len() as u64;
        drop(log_gc::delete(world.store.as_ref(), &keys).await);
    }
    true
}

/// No faults any more: one worker does what is left, and everything is looked at.
async fn finish(world: &mut World) {
    match work_off(world).await {
        Err(what) => world.witness.found("I10", what),
        Ok(worker) => {
            world.judge(Some(&worker)).await;
            let files = worker.files();
            let whole = files.and_then(|files| world.oracle.check(&files, &world.produced));
            if let Err(what) = whole {
                world.witness.found("I1", what);
            }
        }
    }
    let cursor = world.judge_table().await;
    world.witness.rest(cursor, &world.produced);
    let shared: Arc<dyn ObjectStore> = world.store.clone();
    match fsck(&shared, "live", 0).await {
        Ok(report) => {
            for problem in report.problems.kept {
                world.witness.found("fsck", format!("{problem:?}"));
            }
        }
        Err(error) => world.witness.found("fsck", error.to_string()),
    }
}

async fn work_off(world: &mut World) -> Result<Worker, String> {
    let mut worker = Worker::start(world, false)
        .await
        .map_err(|error| format!("no worker starts although the faults stopped: {error}"))?;
    if !worker.claim_all(world).await {
        return Err("the last worker can not claim".to_owned());
    }
    for _ in 0..2 {
        if !worker.commit_rest(world).await || !worker.publish(world).await {
            return Err("the last worker can not finish".to_owned());
        }
    }
    Ok(worker)
}

/// One thread in all, so that a seed is one schedule and a planted bug stays on it.
fn simulate(
    mutant: Option<Mutant>,
    schedule: impl Future<Output = Result<Tally, Wrong>>,
) -> Result<Tally, Wrong> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime");
    plant(mutant);
    let outcome = runtime.block_on(schedule);
    plant(None);
    outcome
}

/// Plants these bugs, one after the other, each until one of its schedules notices it; the checks that noticed any.
fn notice(
    mutants: &[Mutant],
    seeds: impl Iterator<Item = u64> + Clone,
    run: impl AsyncFn(u64) -> Result<Tally, Wrong>,
) -> BTreeSet<&'static str> {
    let (mut missed, mut noticed) = (Vec::new(), BTreeSet::new());
    for mutant in mutants.iter().copied() {
        let wrong = seeds.clone().find_map(|seed| {
            let wrong = simulate(Some(mutant), run(seed)).err()?;
            println!("{mutant:?}: noticed by seed {seed}: {wrong:?}");
            Some(wrong)
        });
        match wrong {
            Some(wrong) => noticed.extend(wrong.into_keys()),
            None => missed.push(mutant),
        }
    }
    assert!(missed.is_empty(), "not noticed within {} schedules: {missed:?}", seeds.count());
    noticed
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// The seeds to run: the one asked for, or the kept ones and then fresh ones: so many as `variable` says, else `usual`.
fn seeds_of(kept: &str, variable: &str, usual: u64) -> Vec<u64> {
    if let Some(seed) = number("TIDEMILL_SEED") {
        return vec![seed];
    }
    let kept = kept.lines().filter_map(|line| line.split('#').next()?.trim().parse().ok());
    kept.chain(0..number(variable).unwrap_or(usual)).collect()
}

#[test]
fn every_offset_is_in_the_table_once_whatever_fails() {
    let (seeds, mut tally) = (seeds_of(KEPT, "TIDEMILL_SEEDS", SEEDS), Tally::default());
    for seed in &seeds {
        match simulate(None, run(*seed)) {
            Ok(seen) => tally.add(&seen),
            Err(wrong) => panic!(
                "{wrong:#?}\nTIDEMILL_SEED={seed} cargo test --workspace --lib simulation; keep the seed in simulation/seeds.txt"
            ),
        }
    }
    let Tally { faults, lives, refused, jumps, collected, .. } = &tally;
    println!(
        "{} schedules of {STEPS} steps, {lives} lives of workers, {refused} starts refused, {jumps} clock jumps, \
         {collected} log objects collected, faults {faults:?}, 0 violations",
        seeds.len()
    );
    if number("TIDEMILL_SEED").is_some() {
        return;
    }
    let missing = Fault::ALL.into_iter().filter(|fault| !faults.contains_key(fault));
    assert_eq!(missing.collect::<Vec<_>>(), [], "these faults did not happen");
    assert!(*refused > 0 && *jumps > 0 && *collected > 0 && *lives > 2 * seeds.len() as u64);
}

#[test]
fn every_planted_bug_is_noticed() {
    let seeds = SHARP.into_iter().chain(0..SEEDS_PER_MUTANT);
    let noticed = notice(&Mutant::PROTOCOL, seeds, run);
    let checks = BTreeSet::from(["I1", "I2", "I6", "I7", "I10", "fsck"]);
    assert_eq!(noticed, checks, "the checks that noticed anything");
}

#[test]
fn a_seed_is_one_schedule() {
    let once = simulate(None, run(7));
    assert_eq!(once, simulate(None, run(7)));
}
