//! Kills a worker process at every step of the protocol and at random moments; after each kill the
//! store is checked, the tables are audited, and another life goes on.
//!
//! The process is this test binary itself ([`child`]): a real worker on a real directory with fsync,
//! whose records come from a log that survives it, so that a life takes a second or a few. Each
//! death is told by its exit status; one that did not happen fails the test. Each audit must be green:
//! where a kill came between a record and its publication, a copy of the store is brought to rest
//! ([`rest`]) and audited again. In the end nothing is lost and nothing is there twice, by the audit
//! and by counting; then a loss is planted, and the audit must see it.
//!
//! `TIDEMILL_KILLS=n` kills more often, `TIDEMILL_SEED=s` repeats a run's choices.

mod child;
mod plant;
mod poison;
mod rest;

use std::collections::BTreeMap;
use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use object_store::ObjectStore;
use query::engine::{Engine, Limits, Options};
use stream::crash_point::CrashPoint;
use stream::fsck::fsck;
use tidemill::audit::{self, Verdict};

/// Kills of an ordinary run: each step once, and some at random moments.
const KILLS: usize = 25;
/// Every how manyth kill is at a random moment.
const RANDOM: usize = 8;
/// Every how manyth round dies at the steps that come late.
const SELDOM: usize = 4;
/// When a random one comes, milliseconds after the start: a life commits its first unit in one or two seconds.
const RANDOM_MILLIS: std::ops::Range<u64> = 20..4_000;
/// Random kills that say whether they come late enough; audits that had to wait, of which one must meet a loss.
const ENOUGH: u64 = 16;
/// Lives of one store: what it holds is read as a whole after each, so it should not grow for ever,
const DEATHS_PER_STORE: usize = 3;
/// nor through a long life.
const LONG_LIFE: Duration = Duration::from_secs(3);
/// Until a step must have been reached, on a busy machine.
const DEADLINE: Duration = Duration::from_secs(60);
const SIGABRT: i32 = 6;
const SIGKILL: i32 = 9;

/// How a life ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Death {
    /// At this step, at the n-th passage.
    At(CrashPoint, u32),
    /// This many milliseconds after its start.
    Killed(u64),
}

impl Death {
    /// The step, or that there was none.
    fn name(self) -> &'static str {
        match self {
            Self::At(point, _) => point.name(),
            Self::Killed(_) => "random",
        }
    }
}

/// A small generator: the same choices for the same seed.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 20) % sides
    }
}

/// Steps that come seldom, or once in a life: they die at the first passage.
fn is_rare(point: CrashPoint) -> bool {
    use CrashPoint as P;
    !matches!(
        point,
        P::FilesBefore
            | P::FileWritten
            | P::FilesWritten
            | P::RecordBefore
            | P::RecordAppended
            | P::PublishBefore
            | P::Published
            | P::HintBefore
    )
}

/// The steps to die at: all but the one that thins files out by index, which takes rows away that the audit
/// would miss (`stream/src/upkeep/pass/tests/by_index.rs` dies there).
fn steps() -> Vec<CrashPoint> {
    let all = CrashPoint::ALL.into_iter();
    all.filter(|point| *point != CrashPoint::RetentionWritten).collect()
}

/// Steps that come after a hundred commits: a life of ten seconds each, and a store that takes as long to look at.
/// Every [`SELDOM`]th round over the steps has them.
fn is_late(point: CrashPoint) -> bool {
    use CrashPoint as P;
    matches!(
        point,
        P::SnapshotWritten
            | P::CheckpointBefore
            | P::CheckpointWritten
            | P::CollectionBefore
            | P::CollectionHalf
    )
}

/// The steps of one round after the other; the first has all.
fn rounds() -> impl Iterator<Item = CrashPoint> {
    let round = |number: usize| {
        let is_due = move |point: &CrashPoint| number.is_multiple_of(SELDOM) || !is_late(*point);
        steps().into_iter().filter(is_due)
    };
    (0..).flat_map(round)
}

/// Steps that only several workers pass.
fn needs_group(point: CrashPoint) -> bool {
    matches!(point, CrashPoint::RevokeBefore | CrashPoint::Revoked)
}

fn deaths(kills: usize, dice: &mut Dice) -> Vec<Death> {
    let mut steps = rounds();
    let mut deaths = Vec::new();
    for number in 0..kills {
        let point = if number % RANDOM == RANDOM - 1 { None } else { steps.next() };
        deaths.push(match point {
            Some(point) if is_rare(point) => Death::At(point, 1),
            Some(point) => Death::At(point, 1 + dice.roll(6) as u32),
            None => {
                let range = RANDOM_MILLIS.end - RANDOM_MILLIS.start;
                Death::Killed(RANDOM_MILLIS.start + dice.roll(range))
            }
        });
    }
    // Not in the order of the protocol.
    for place in (1..deaths.len()).rev() {
        deaths.swap(place, dice.roll(place as u64 + 1) as usize);
    }
    deaths
}

fn command(directory: &Path, workers: u64, seed: u64) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", child::NAME, "--ignored", "--nocapture", "--test-threads=1"]);
    command.env(child::DIRECTORY, directory).env(child::WORKERS, workers.to_string());
    command.env(child::SEED, seed.to_string());
    command.env_remove("TIDEMILL_DIE_AT").env_remove("TIDEMILL_DIE_ON").env_remove(child::DRAIN);
    let said = std::fs::File::options().create(true).append(true).open(directory.join("said"));
    let said = said.unwrap();
    command.stdin(Stdio::null()).stdout(said.try_clone().unwrap()).stderr(said);
    command
}

fn spawn(directory: &Path, death: Option<Death>, workers: u64, seed: u64) -> Child {
    let mut command = command(directory, workers, seed);
    match death {
        Some(Death::At(point, passage)) => {
            command.env("TIDEMILL_DIE_AT", format!("{}:{passage}", point.name()));
        }
        Some(Death::Killed(_)) => {}
        None => {
            command.env(child::DRAIN, "1");
        }
    }
    command.spawn().unwrap()
}

/// The last of what the lives have said.
fn tail(directory: &Path) -> String {
    let said = std::fs::read(directory.join("said")).unwrap_or_default();
    String::from_utf8_lossy(&said[said.len().saturating_sub(3_000)..]).into_owned()
}

/// Waits for the end of a life; the signal that ended it.
fn wait(child: &mut Child, directory: &Path, death: Option<Death>) -> Option<i32> {
    let end = Instant::now() + DEADLINE;
    loop {
        if let Some(status) = child.try_wait().unwrap() {
            assert!(
                status.signal().is_some() || death.is_none() && status.success(),
                "{death:?}: ended with {status}\n{}",
                tail(directory)
            );
            return status.signal();
        }
        if Instant::now() > end {
            child.kill().unwrap();
            child.wait().unwrap();
            panic!("{death:?} did not happen\n{}", tail(directory));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A life that ends as it should.
fn die(directory: &Path, death: Death, workers: u64, seed: u64) {
    let mut child = spawn(directory, Some(death), workers, seed);
    let expected = match death {
        Death::At(..) => SIGABRT,
        Death::Killed(millis) => {
            std::thread::sleep(Duration::from_millis(millis));
            child.kill().unwrap();
            SIGKILL
        }
    };
    let signal = wait(&mut child, directory, Some(death));
    assert_eq!(signal, Some(expected), "{death:?}\n{}", tail(directory));
}

fn open(directory: &Path) -> Arc<dyn ObjectStore> {
    let url = directory.join("store").to_str().unwrap().to_owned();
    let config = stream::store::Config { url, options: BTreeMap::new() };
    stream::store::open(&config).unwrap()
}

fn engine(store: &Arc<dyn ObjectStore>) -> Engine {
    let options = Options { max_rows: usize::MAX, ..Options::default() };
    Engine::open(Arc::clone(store), options).unwrap()
}

async fn verdict(store: &Arc<dyn ObjectStore>) -> audit::Report {
    audit::look(&engine(store), &audit::Scope::default()).await.unwrap()
}

/// Log, tables and files hold together.
async fn check(store: &Arc<dyn ObjectStore>, context: &str) {
    match fsck(store, "live", 0).await {
        Ok(report) => assert_eq!(report.problems.kept, [], "{context}"),
        // Killed before it made anything.
        Err(stream::fsck::FsckError::Nothing) => {}
        Err(error) => panic!("{context}: {error}"),
    }
}

/// The one number a query answers.
async fn number(store: &Arc<dyn ObjectStore>, sql: &str) -> i64 {
    use arrow::array::AsArray as _;
    let mut answer = engine(store).query(sql, Limits::default()).await.unwrap();
    let batch = answer.next().await.expect("an answer").unwrap();
    batch.column(0).as_primitive::<arrow::datatypes::Int64Type>().value(0)
}

fn setting(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// What was seen over all stores.
#[derive(Default)]
struct Seen {
    deaths: BTreeMap<&'static str, u64>,
    /// Audits that were green as the kill had left the store,
    proven: u64,
    /// and once what was committed was published.
    settled: u64,
    /// Whether a loss was planted before that, and seen.
    seen_loss: bool,
    /// Random kills of a life that had committed something.
    late: u64,
    records: i64,
    letters: i64,
}

/// Audits the store as the kill has left it; where that is not settled, a copy of it at rest. Either
/// must be proven.
async fn audit_after(
    directory: &Path,
    store: &Arc<dyn ObjectStore>,
    seen: &mut Seen,
    context: &str,
) {
    let report = verdict(store).await;
    match report.verdict() {
        Verdict::Proven => seen.proven += 1,
        Verdict::Violated => panic!("{context}: {:?}", report.findings),
        Verdict::Unsettled => {
            let copy = tempfile::tempdir().unwrap();
            let rested = rest::copy(directory, copy.path());
            rest::publish(&rested).await;
            let report = verdict(&rested).await;
            assert_eq!(report.verdict(), Verdict::Proven, "{context}: {:?}", report.findings);
            check(&rested, context).await;
            seen.settled += 1;
            seen.seen_loss = seen.seen_loss || sees_loss(directory, &rested, context).await;
        }
    }
}

/// Whether a loss could be planted in a store that is not settled: then it must not pass for what is not published
/// yet. `rested` is the same store at rest, without the loss.
async fn sees_loss(directory: &Path, rested: &Arc<dyn ObjectStore>, context: &str) -> bool {
    const ROWS: &str = "SELECT count(*) FROM logs";
    let copy = tempfile::tempdir().unwrap();
    let store = rest::copy(directory, copy.path());
    if number(&store, ROWS).await == 0 {
        return false;
    }
    plant::loss(&copy.path().join("store"));
    rest::publish(&store).await;
    let lost = number(rested, ROWS).await - number(&store, ROWS).await;
    if lost == 0 {
        // The file was to go by a compaction: its rows came back in another.
        return false;
    }
    let verdict = verdict(&store).await.verdict();
    assert_eq!(verdict, Verdict::Violated, "{context}: {lost} rows are lost, and it passes");
    true
}

/// Some lives and deaths on one store, each followed by a look at it; then the work is finished and counted.
/// How many there were.
async fn lives(directory: &Path, deaths: &[Death], seed: u64, seen: &mut Seen) -> usize {
    let (store, mut done, mut committed) = (open(directory), 0, 0);
    for (number, death) in deaths.iter().copied().take(DEATHS_PER_STORE).enumerate() {
        let several = match death {
            Death::At(point, _) => needs_group(point),
            Death::Killed(_) => seed.wrapping_add(number as u64).is_multiple_of(3),
        };
        let workers = if several { 3 } else { 1 };
        let begun = Instant::now();
        die(directory, death, workers, seed.wrapping_add(number as u64));
        let lived = begun.elapsed();
        *seen.deaths.entry(death.name()).or_default() += 1;
        let context = format!("seed {seed}: kill {number}, {death:?}, {workers} workers");
        check(&store, &context).await;
        audit_after(directory, &store, seen, &context).await;
        let before = std::mem::replace(&mut committed, rest::committed(&store).await);
        seen.late += u64::from(matches!(death, Death::Killed(_)) && committed > before);
        let looked = (begun.elapsed() - lived).as_secs_f64();
        println!(
            "{}: lived {:.1} s, looked at for {looked:.1} s",
            death.name(),
            lived.as_secs_f64()
        );
        done += 1;
        if lived > LONG_LIFE {
            break;
        }
    }
    let mut last = spawn(directory, None, 1, seed);
    assert_eq!(wait(&mut last, directory, None), None, "{}", tail(directory));
    let records = child::produced(directory);
    check(&store, "in the end").await;
    let report = verdict(&store).await;
    assert_eq!(report.verdict(), Verdict::Proven, "{:?}", report.findings);
    let received: i64 = report.partitions.iter().map(|partition| partition.received).sum();
    assert_eq!(received, records);
    let rows = number(&store, "SELECT count(*) FROM logs").await;
    let distinct =
        number(&store, "SELECT count(*) FROM (SELECT DISTINCT message, _partition FROM logs)");
    let letters = number(&store, "SELECT count(*) FROM dead_letters").await;
    assert_eq!((rows + letters, distinct.await), (records, rows), "lost or doubled");
    seen.records += records;
    seen.letters += letters;
    done
}

/// What a run has shown, in one sentence; and that its random kills were not all kills of a start, and its audits
/// not blind where they had to wait.
fn say(seen: &Seen, took: Duration) {
    let Seen { deaths, proven, settled, late, records, letters, .. } = seen;
    let random = deaths.get("random").copied().unwrap_or(0);
    println!(
        "{} kills in {:.0} s: {deaths:?}; {late} of {random} random ones after a commit of their life; audits \
         after a kill: {proven} proven at once, {settled} after publishing what was committed, 0 violated; \
         {records} records, {letters} of them dead letters, 0 lost, 0 doubled",
        deaths.values().sum::<u64>(),
        took.as_secs_f64()
    );
    assert!(
        seen.seen_loss || *settled < ENOUGH,
        "no loss was planted in a store that was not settled"
    );
    assert!(random < ENOUGH || 2 * late >= random, "{late} of {random} had begun to work");
}

#[test]
fn a_kill_at_every_step_and_at_random_loses_and_doubles_nothing() {
    if !cfg!(debug_assertions) {
        println!("SKIPPED: builds without debug assertions have no crash points");
        return;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let kills = setting("TIDEMILL_KILLS").map_or(KILLS, |kills| kills as usize);
    let seed = setting("TIDEMILL_SEED").unwrap_or_else(|| u64::from(std::process::id()));
    println!("TIDEMILL_SEED={seed} TIDEMILL_KILLS={kills}");
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let (begun, mut seen) = (Instant::now(), Seen::default());
    let deaths = deaths(kills, &mut dice);
    let mut directory = tempfile::tempdir().unwrap();
    let mut left = &deaths[..];
    while !left.is_empty() {
        directory = tempfile::tempdir().unwrap();
        let seed = seed.wrapping_add(1_000 * left.len() as u64);
        let done = runtime.block_on(lives(directory.path(), left, seed, &mut seen));
        left = &left[done..];
        let kills = deaths.len() - left.len();
        println!("{kills} kills in {:.0} s", begun.elapsed().as_secs_f64());
    }
    say(&seen, begun.elapsed());
    let lost = plant::loss(&directory.path().join("store"));
    let report = runtime.block_on(verdict(&open(directory.path())));
    assert_eq!(report.verdict(), Verdict::Violated, "{lost} rows are lost, and the audit is green");
    println!("a planted loss of {lost} rows: {}", report.sentence());
}
