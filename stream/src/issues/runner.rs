//! The loop of the second pipeline. Of several workers the one with the lease runs it; two at once are safe.
//! Nothing it fails at stops the first pipeline: it begins again after a pause, where its log stands.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use issues::monitor::{Evaluation, Monitors};
use issues::settings::Settings;
use object_store::ObjectStore;
use schemas::limits::PUBLISHER_LEASE_SECONDS;
use schemas::publish::ISSUES_PIPELINE;
use schemas::table::Table;
use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::postman::Postman;
use super::session::{Error, Session, Step};
use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy, System};
use crate::commit_log::Layout;
use crate::commit_log::lease::Lease;
use crate::commit_log::log::BACKOFF;
use crate::upkeep;
use crate::upkeep::pass::{Keeper, Scope};

/// Shortest and longest time between two steps.
const LOOK: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// Evaluations of monitors that may wait.
const EVALUATIONS: usize = 256;
/// Renewals of the lease within its length.
const RENEWALS: u32 = 3;

/// What to keep the state of, and where.
#[derive(Debug, Clone)]
pub struct Config {
    /// Root of tables and commit logs.
    pub store: Arc<dyn ObjectStore>,
    /// What the user set.
    pub settings: Settings,
    /// Who delivers messages.
    pub postman: Arc<dyn Postman>,
    /// This worker's name for the lease; `None`: no other worker is on this store.
    pub lease: Option<String>,
    /// Time between two units of the first pipeline.
    pub epoch: Duration,
    /// What is done with the tables while they grow.
    pub upkeep: upkeep::Settings,
}

/// The outside world.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) backoff: Backoff,
    pub(crate) lease: Duration,
}

/// Where the pipeline stands.
#[derive(Debug, Clone, Default, serde::Serialize)]
pub struct Status {
    /// Whether it runs here; with several workers it runs at one.
    pub active: bool,
    /// Issues known.
    pub issues: usize,
    /// First record of the first pipeline not taken in.
    pub next_seq: u64,
    /// Records not taken in.
    pub lag: u64,
    /// Records of the first pipeline whose errors are not counted, for they were gone before they were read.
    pub missed: u64,
    /// Records written since the start.
    pub units: u64,
    /// Messages on their way.
    pub pending_messages: usize,
    /// Alerts that wait to be put together.
    pub held_alerts: u64,
    /// Sessions that ended by an error since the start.
    pub failures: u64,
    /// The last of them.
    pub error: Option<String>,
    /// Where monitors stand.
    #[serde(skip)]
    pub monitors: Monitors,
}

/// Reads the status.
#[derive(Debug, Clone)]
pub struct StatusReader(Arc<Mutex<Status>>);

impl StatusReader {
    /// Where the pipeline stands now.
    pub fn read(&self) -> Status {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, change: impl FnOnce(&mut Status)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// The running pipeline. Dropping it is a crash.
#[derive(Debug)]
pub struct Running {
    drain: CancellationToken,
    task: AbortOnDropHandle<()>,
    status: StatusReader,
    evaluations: mpsc::Sender<Evaluation>,
}

impl Running {
    /// Where it stands.
    pub fn status_reader(&self) -> StatusReader {
        self.status.clone()
    }

    /// Where evaluations of monitors go.
    pub fn evaluations(&self) -> mpsc::Sender<Evaluation> {
        self.evaluations.clone()
    }

    /// Takes in what the first pipeline has committed, then ends. Messages not sent by then are sent after the
    /// next start.
    ///
    /// # Errors
    /// It did not end in time; nothing is lost by that.
    pub async fn drain(self, deadline: Duration) -> Result<(), Error> {
        self.drain.cancel();
        match tokio::time::timeout(deadline, self.task).await {
            Ok(_) => Ok(()),
            Err(_) => Err(Error("not drained in time; the next start goes on there".to_owned())),
        }
    }
}

/// Starts the pipeline.
pub fn start(config: Config) -> Running {
    let system = System::shared();
    let lease = Duration::from_secs(PUBLISHER_LEASE_SECONDS);
    let world = World { clock: system.clone(), entropy: system, backoff: BACKOFF, lease };
    start_in(world, config)
}

pub(super) fn start_in(world: World, config: Config) -> Running {
    let status = StatusReader(Arc::default());
    let drain = CancellationToken::new();
    let (evaluations, waiting) = mpsc::channel(EVALUATIONS);
    let runner = Runner { world, config, status: status.clone(), drain: drain.clone(), waiting };
    let task = AbortOnDropHandle::new(tokio::spawn(runner.run()));
    Running { drain, task, status, evaluations }
}

struct Runner {
    world: World,
    config: Config,
    status: StatusReader,
    drain: CancellationToken,
    waiting: mpsc::Receiver<Evaluation>,
}

impl Runner {
    async fn run(mut self) {
        let mut failures = 0;
        while !self.drain.is_cancelled() {
            match self.session().await {
                Ok(()) => {
                    failures = 0;
                    // Another worker has it: no hurry to take it back.
                    tokio::select! {
                        () = tokio::time::sleep(self.world.lease / RENEWALS) => {}
                        () = self.drain.cancelled() => {}
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "the issues go on after a pause, where their log stands");
                    self.status.set(|status| {
                        status.failures += 1;
                        status.error = Some(error.0);
                    });
                    let pause = self.world.backoff.pause(failures, self.world.entropy.as_ref());
                    tokio::select! {
                        () = pause => {}
                        () = self.drain.cancelled() => {}
                    }
                    failures = failures.saturating_add(1);
                }
            }
            self.status.set(|status| status.active = false);
        }
    }

    /// From getting the lease to losing it, or to the drain.
    async fn session(&mut self) -> Result<(), Error> {
        let mut lease = self.config.lease.clone().map(|name| {
            let key = Layout::new(ISSUES_PIPELINE).publisher_lease();
            let (store, clock) = (Arc::clone(&self.config.store), Arc::clone(&self.world.clock));
            (name.clone(), Lease::new(store, key, name, self.world.lease, clock))
        });
        let mut renew = tokio::time::interval(self.world.lease / RENEWALS);
        renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            if holds(&mut lease).await? {
                break;
            }
            tokio::select! {
                _ = renew.tick() => {}
                () = self.drain.cancelled() => return Ok(()),
            }
        }
        let mut session = Session::open(&self.world, &self.config).await?;
        tracing::info!(issues = session.tracker.issues().count(), "error tracking runs here");
        let mut keeper = self.keeper();
        let mut look = tokio::time::interval(self.config.epoch.clamp(LOOK.0, LOOK.1));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut tidy = tokio::time::interval(self.config.upkeep.interval);
        tidy.set_missed_tick_behavior(MissedTickBehavior::Delay);
        tidy.reset();
        loop {
            tokio::select! {
                biased;
                () = self.drain.cancelled() => {
                    self.finish(&mut session).await?;
                    if let Some((_, lease)) = &mut lease
                        && let Err(error) = lease.give_up().await
                    {
                        tracing::debug!(%error, "the lease of the issues lapses by itself");
                    }
                    return Ok(());
                }
                _ = renew.tick() => if !holds(&mut lease).await? {
                    return Ok(());
                },
                _ = tidy.tick(), if self.config.upkeep.enabled => self.tidy(&mut keeper).await,
                _ = look.tick() => if self.step(&mut session).await? == Step::Lost {
                    return Ok(());
                },
            }
        }
    }

    async fn step(&mut self, session: &mut Session) -> Result<Step, Error> {
        let mut evaluations = Vec::new();
        while let Ok(evaluation) = self.waiting.try_recv() {
            evaluations.push(evaluation);
        }
        let now = self.world.clock.unix_millis().saturating_mul(1_000);
        let step = session.step(now, &evaluations).await?;
        self.status.set(|status| {
            status.active = step != Step::Lost;
            status.units += u64::from(step == Step::Did);
            status.issues = session.tracker.issues().count();
            (status.next_seq, status.lag) = (session.seen(), session.lag());
            status.missed = session.missed();
            status.pending_messages = session.tracker.outbox.pending().count();
            status.held_alerts = session.tracker.outbox.held();
            status.monitors.clone_from(session.tracker.monitors());
            status.error = None;
        });
        Ok(step)
    }

    /// Everything committed by the first pipeline is in, and what is being sent has an end.
    async fn finish(&mut self, session: &mut Session) -> Result<(), Error> {
        loop {
            session.tracker.flush();
            session.settle();
            let step = self.step(session).await?;
            if step == Step::Lost || (step == Step::Idle && session.lag() == 0 && session.is_idle())
            {
                return Ok(());
            }
            if step == Step::Idle {
                tokio::time::sleep(LOOK.0).await;
            }
        }
    }

    fn keeper(&self) -> Keeper {
        let world = upkeep::pass::World {
            store: Arc::clone(&self.config.store),
            clock: Arc::clone(&self.world.clock),
            entropy: Arc::clone(&self.world.entropy),
            backoff: self.world.backoff,
            stop: self.drain.child_token(),
        };
        let author = format!("issues-{:08x}", self.world.entropy.bits() & 0xffff_ffff);
        Keeper::new(world, ISSUES_PIPELINE, self.config.upkeep.clone(), author)
    }

    /// Upkeep of our own tables; the next step publishes what it says.
    async fn tidy(&self, keeper: &mut Keeper) {
        let tables = Table::of(ISSUES_PIPELINE).collect();
        let delete = Some(Duration::from_secs(schemas::limits::DELETE_INTERVAL_SECONDS / 2));
        let scope = Scope { tables, dry_run: false, publish: false, delete, by_hand: false };
        if let Err(error) = keeper.pass(&scope, &|step| tracing::info!("{step}")).await {
            tracing::warn!(%error, "upkeep of the issues goes on at the next pass");
        }
    }
}

/// Whether we hold the lease; always without one.
async fn holds(lease: &mut Option<(String, Lease)>) -> Result<bool, Error> {
    let Some((name, lease)) = lease else { return Ok(true) };
    let holder = lease.hold().await.map_err(|error| Error(error.to_string()))?;
    Ok(holder == *name)
}
