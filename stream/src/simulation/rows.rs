//! A seeded simulation of everything that turns messages into rows: stages, files, commit protocol, upkeep with its
//! deletions, the second pipeline and its messages, all of it real, by several workers and clerks in one thread, against stores
//! that fail. The simulation above it has files without contents and knows the protocol better; this one asks what
//! a user would: is every message one row, do metrics and issues equal the query, was everything told, and told once,
//! is nothing left behind?
//!
//! `TIDEMILL_ROW_SEEDS=n` runs more schedules, `TIDEMILL_SEED=s` one; a failure prints that line. Seeds that once failed
//! are in `rows/seeds.txt` and run first. What is checked has the numbers of `docs/adr/0014-proof.md`.

mod clerk;
mod dated;
mod message;
mod oracle;
mod worker;

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use schemas::publish::{ISSUES_PIPELINE, LIVE_PIPELINE};
use schemas::table::Table;
use stages::pipeline::Pipeline;

use super::chance::{Chance, ToldClock};
use super::witness::{Witness, Wrong};
use super::{Tally, notice, number, seeds_of, simulate};
use crate::clock::Clock as _;
use crate::commit_log::Layout;
use crate::fault_store::FaultStore;
use crate::fsck::fsck;
use crate::issues::session::Step;
use crate::mutant::Mutant;
use crate::upkeep;
use crate::upkeep::pass::{Keeper, Scope};
use clerk::{Clerk, Heard};
use dated::Dated;
use message::Message;
use worker::Worker;

/// Partitions of the topic.
const PARTITIONS: i32 = 3;
/// Workers at once.
const WORKERS: usize = 3;
/// Lives of the second pipeline at once.
const CLERKS: usize = 2;
/// Steps of a schedule.
const STEPS: usize = 250;
/// Writes of a life that may go wrong.
const WRITES: u64 = 60;
/// Schedules of an ordinary run.
const SEEDS: u64 = 4;
/// Schedules within which every planted bug must be noticed.
const SEEDS_PER_MUTANT: u64 = 40;
/// Failed once; one decimal number per line.
const KEPT: &str = include_str!("rows/seeds.txt");
/// How long a file stays after its table let go of it, and a record that nobody needs.
const HORIZON: Duration = Duration::from_hours(7 * 24);
/// From finding that a file is garbage to deleting it.
const SETTLE: Duration = Duration::from_hours(1);

fn upkeep() -> upkeep::Settings {
    upkeep::Settings {
        compact_after: Duration::from_mins(10),
        horizon: HORIZON,
        log_horizon: HORIZON,
        ..upkeep::Settings::default()
    }
}

/// Everything outside workers and clerks.
struct World {
    chance: Chance,
    store: Arc<dyn ObjectStore>,
    clock: Arc<ToldClock>,
    pipeline: Arc<Pipeline>,
    /// The messages of each partition.
    produced: Vec<Vec<Message>>,
    heard: Arc<Heard>,
    witness: Witness,
    /// Stores of all lives so far: what one delayed may land when it is gone.
    stores: Vec<Arc<FaultStore>>,
    tally: Tally,
}

impl World {
    fn new(seed: u64) -> Self {
        let clock = Arc::new(ToldClock::default());
        let config = serde_json::from_str(message::PIPELINE).expect("JSON");
        Self {
            chance: Chance::new(seed),
            store: Arc::new(Dated::new(clock.clone())),
            clock,
            pipeline: Arc::new(Pipeline::compile(&config).expect("compiles")),
            produced: (0..PARTITIONS).map(|_| Vec::new()).collect(),
            heard: Arc::new(Heard::new(seed)),
            witness: Witness::default(),
            stores: Vec::new(),
            tally: Tally::default(),
        }
    }

    /// A life's store.
    fn faulty_store(&mut self, faulty: bool) -> Arc<FaultStore> {
        let rules = if faulty { self.chance.faults(WRITES) } else { Vec::new() };
        let store = Arc::new(FaultStore::new(self.store.clone(), rules));
        self.stores.push(store.clone());
        store
    }

    fn produce(&mut self) {
        let now = self.clock.unix_millis();
        for messages in &mut self.produced {
            for _ in 0..self.chance.below(5) {
                messages.push(Message::draw(&mut self.chance, now));
            }
        }
    }

    /// What is on its way lands.
    async fn land(&self) {
        for store in &self.stores {
            store.land().await;
        }
    }

    async fn judge(&mut self, worker: Option<&Worker>) {
        self.witness.look(self.store.as_ref(), &Layout::new(LIVE_PIPELINE)).await;
        if let Some(worker) = worker {
            self.witness.head(worker.head());
        }
    }
}

impl Tally {
    fn gone(&mut self, gone: &Gone) {
        self.deleted += gone.files;
        self.collected += gone.records;
    }
}

/// Those who live.
struct Cast {
    workers: Vec<Option<Worker>>,
    clerks: Vec<Option<Clerk>>,
}

/// Ends when the store's process would be dead.
async fn death(store: &FaultStore) {
    while !store.dead() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

/// What a pass deleted.
struct Gone {
    files: u64,
    /// Objects of the commit log.
    records: u64,
}

/// A pass of upkeep. With `delete` it looks for garbage, too. `None`: the store failed.
async fn pass(
    keeper: &mut Keeper,
    pipeline: &str,
    publish: bool,
    delete: Option<Duration>,
) -> Option<Gone> {
    let tables = Table::of(pipeline).collect();
    let scope = Scope { tables, dry_run: false, publish, delete, by_hand: false };
    let report = keeper.pass(&scope, &|_| ()).await.ok()?;
    Some(Gone {
        files: report.tables.values().map(|table| table.deleted_files).sum(),
        records: report.deleted_log_objects,
    })
}

/// Runs one schedule; says what is wrong, or what happened.
async fn run(seed: u64) -> Result<Tally, Wrong> {
    let mut world = World::new(seed);
    let mut cast = Cast {
        workers: (0..WORKERS).map(|_| None).collect(),
        clerks: (0..CLERKS).map(|_| None).collect(),
    };
    for _ in 0..STEPS {
        step(&mut world, &mut cast).await;
    }
    drop(cast);
    finish(&mut world).await;
    if !world.witness.wrong.is_empty() {
        return Err(world.witness.wrong);
    }
    for store in &world.stores {
        world.tally.add(&Tally { faults: store.faults(), ..Tally::default() });
    }
    world.tally.repeated = world.heard.repeated();
    Ok(world.tally)
}

/// What somebody, or the world around them, does next.
async fn step(world: &mut World, cast: &mut Cast) {
    world.clock.pass(Duration::from_secs(world.chance.below(600)));
    match world.chance.below(96) {
        0 => week(world, cast).await,
        1 | 2 => {
            let hours = world.chance.below(5) as i64 - 2;
            world.clock.jump(hours * 3_600_000);
            world.tally.jumps += 1;
        }
        3..=5 => {
            let number = world.chance.below(world.stores.len() as u64) as usize;
            if let Some(store) = world.stores.get(number).cloned() {
                store.land().await;
            }
        }
        6..=20 => world.produce(),
        21..=40 => {
            let number = world.chance.below(CLERKS as u64) as usize;
            let Some(slot) = cast.clerks.get_mut(number) else { return };
            *slot = match slot.take() {
                None => Clerk::start(world, true).await.ok(),
                Some(clerk) => step_of_clerk(world, clerk).await,
            };
        }
        _ => {
            let number = world.chance.below(WORKERS as u64) as usize;
            let Some(slot) = cast.workers.get_mut(number) else { return };
            *slot = match slot.take() {
                // One that failed is gone; another life of it comes.
                None => begin(world, number).await,
                Some(worker) => step_of_worker(world, worker).await,
            };
            world.judge(slot.as_ref()).await;
        }
    }
}

/// A life that begins takes the partition of the one before it.
async fn begin(world: &mut World, number: usize) -> Option<Worker> {
    let mut worker = Worker::start(world, true).await.ok()?;
    worker.claim(&[number as i32]).await.then_some(worker)
}

async fn step_of_worker(world: &mut World, mut worker: Worker) -> Option<Worker> {
    let lives = match world.chance.below(52) {
        0 => {
            // Whoever has it.
            let number = world.chance.below(PARTITIONS as u64) as i32;
            worker.claim(&[number]).await
        }
        1..=8 => {
            worker.read(world);
            true
        }
        9..=14 => worker.write().await,
        15..=20 => commit(world, &mut worker).await,
        21..=40 => {
            worker.read(world);
            worker.write().await && commit(world, &mut worker).await
        }
        41..=45 => {
            // Not all tables: another may die between two, or stand between two.
            let most = world.chance.below(3);
            let chance = &mut world.chance;
            worker.publish(|_| chance.below(2) < most).await
        }
        46 => {
            let publish = world.chance.below(2) == 0;
            worker.upkeep(publish, None).await.is_some()
        }
        47 => delete(world, &mut worker).await,
        48 => {
            worker.begin_again();
            true
        }
        49 | 50 => {
            worker.snapshot().await;
            true
        }
        // kill -9
        _ => false,
    };
    lives.then_some(worker)
}

async fn commit(world: &mut World, worker: &mut Worker) -> bool {
    let committed = worker.commit().await;
    world.tally.units += u64::from(committed.unwrap_or(false));
    committed.is_some()
}

async fn step_of_clerk(world: &mut World, mut clerk: Clerk) -> Option<Clerk> {
    let lives = match world.chance.below(20) {
        0 => clerk.upkeep(None).await.is_some(),
        1 => clerk.upkeep(Some(SETTLE)).await.is_some(),
        2 => false,
        _ => {
            let step = clerk.step(world).await;
            world.tally.counted += u64::from(step == Some(Step::Did));
            step.is_some_and(|step| step != Step::Lost)
        }
    };
    lives.then_some(clerk)
}

/// Two looks, and what was garbage at both goes.
async fn delete(world: &mut World, worker: &mut Worker) -> bool {
    // No request is on its way for as long as a file that nobody names is kept.
    world.land().await;
    let publish = world.chance.below(2) == 0;
    for _ in 0..2 {
        match worker.upkeep(publish, Some(SETTLE)).await {
            Some(gone) => world.tally.gone(&gone),
            None => return false,
        }
        world.clock.pass(SETTLE);
    }
    true
}

/// Longer than anything is kept. Before that nothing is left on its way: who is away for longer reads that what it
/// needs is gone, and other tests are about that.
async fn week(world: &mut World, cast: &mut Cast) {
    world.land().await;
    for worker in cast.workers.iter_mut().flatten() {
        worker.begin_again();
    }
    let Some(slot) = cast.clerks.iter_mut().find(|slot| slot.is_some()) else { return };
    let Some(mut clerk) = slot.take() else { return };
    if clerk.catch_up(world).await {
        *slot = Some(clerk);
        world.clock.pass(HORIZON + SETTLE);
        world.tally.weeks += 1;
    }
    // What was committed before may be in no table yet.
    let slot = cast.workers.iter_mut().find(|slot| slot.is_some());
    if let Some(slot) = slot.filter(|_| world.chance.below(2) == 0)
        && let Some(mut worker) = slot.take()
        && delete(world, &mut worker).await
    {
        *slot = Some(worker);
    }
}

/// No faults any more: one of each does what is left, and everything is looked at.
async fn finish(world: &mut World) {
    world.heard.calm();
    world.land().await;
    let shared = world.store.clone();
    match work_off(world).await {
        Err(what) => world.witness.found("I10", what),
        Ok(clerk) => {
            let produced = world.produced.clone();
            let tracker = clerk.tracker();
            let checks = [
                ("I1", oracle::is_in_one_place(&shared, &produced).await),
                ("I3", oracle::metrics_equal_the_query(&shared, &produced).await),
                ("I4", oracle::issues_equal_the_query(&shared, &produced, tracker).await),
                ("I8", oracle::every_issue_was_told_once(tracker, &world.heard)),
                ("I9", oracle::no_garbage_is_left(&shared).await),
            ];
            for (invariant, checked) in checks {
                if let Err(what) = checked {
                    world.witness.found(invariant, what);
                }
            }
            if clerk.missed() > 0 {
                world.witness.found("I4", "errors were missed, and no record was gone".to_owned());
            }
        }
    }
    for pipeline in [LIVE_PIPELINE, ISSUES_PIPELINE] {
        match fsck(&shared, pipeline, 0).await {
            Ok(report) => {
                for problem in report.problems.kept {
                    world.witness.found("fsck", format!("{pipeline}: {problem:?}"));
                }
            }
            Err(error) => world.witness.found("fsck", format!("{pipeline}: {error}")),
        }
    }
}

async fn work_off(world: &mut World) -> Result<Clerk, String> {
    let mut worker = Worker::start(world, false)
        .await
        .map_err(|error| format!("no worker starts although the faults stopped: {error}"))?;
    if !worker.claim(&(0..PARTITIONS).collect::<Vec<_>>()).await {
        return Err("the last worker can not claim".to_owned());
    }
    for _ in 0..2 {
        if !worker.finish(world).await {
            return Err("the last worker can not finish".to_owned());
        }
    }
    world.judge(Some(&worker)).await;
    let mut clerk = Clerk::start(world, false).await.map_err(|error| {
        format!("error tracking does not start although the faults stopped: {error}")
    })?;
    if !clerk.catch_up(world).await {
        return Err("the last clerk can not finish".to_owned());
    }
    world.clock.pass(HORIZON + SETTLE);
    // What is put together in the second round leaves files that are garbage in the fourth and go in the fifth.
    for publish in [true, true, false, false, false] {
        let went = worker.upkeep(publish, Some(SETTLE)).await;
        let of_issues = clerk.upkeep(Some(SETTLE)).await;
        if !clerk.catch_up(world).await {
            return Err("the last clerk can not publish".to_owned());
        }
        let (Some(went), Some(of_issues)) = (went, of_issues) else {
            return Err("upkeep fails although the faults stopped".to_owned());
        };
        world.tally.gone(&went);
        world.tally.gone(&of_issues);
        world.clock.pass(HORIZON + SETTLE);
    }
    Ok(clerk)
}

#[test]
fn every_message_is_one_row_and_metrics_and_issues_equal_the_query_whatever_fails() {
    let (seeds, mut tally) = (seeds_of(KEPT, "TIDEMILL_ROW_SEEDS", SEEDS), Tally::default());
    for seed in &seeds {
        match simulate(None, run(*seed)) {
            Ok(seen) => tally.add(&seen),
            Err(wrong) => panic!(
                "{wrong:#?}\nTIDEMILL_SEED={seed} cargo test --workspace --lib simulation::rows; keep the seed in simulation/rows/seeds.txt"
            ),
        }
    }
    println!("{} schedules of {STEPS} steps: {tally:?}, 0 violations", seeds.len());
    if number("TIDEMILL_SEED").is_some() {
        return;
    }
    let Tally { lives, clerks, units, counted, repeated, deleted, collected, weeks, .. } = tally;
    let often = 2 * seeds.len() as u64;
    for (what, times, least) in [
        ("workers", lives, often),
        ("clerks", clerks, often),
        ("units committed", units, often),
        ("units of issues", counted, often),
        ("messages that came again", repeated, 1),
        ("files deleted", deleted, 1),
        ("log objects deleted", collected, 1),
        ("weeks", weeks, 1),
    ] {
        assert!(times >= least, "{what}: {times}");
    }
}

#[test]
fn a_seed_is_one_schedule_of_rows() {
    let once = simulate(None, run(7));
    assert_eq!(once, simulate(None, run(7)));
}

#[test]
fn every_planted_bug_of_rows_is_noticed() {
    let noticed = notice(&Mutant::ROWS, 0..SEEDS_PER_MUTANT, run);
    let checks = ["I1", "I3", "I4", "I8", "I9"];
    let silent = checks.into_iter().filter(|check| !noticed.contains(check));
    assert_eq!(silent.collect::<Vec<_>>(), [] as [&str; 0], "these checks noticed nothing");
}
