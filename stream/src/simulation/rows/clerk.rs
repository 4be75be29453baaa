//! A life of the second pipeline, and those who hear its messages.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use issues::message::Format;
use issues::outbox::{AlertKind, Attempt, Message};
use issues::settings::{Recipient, Settings};
use issues::tracker::Tracker;
use object_store::ObjectStore;
use schemas::publish::ISSUES_PIPELINE;
use tokio_util::sync::CancellationToken;

use super::super::chance::{Chance, SeededEntropy};
use super::{Gone, World, death};
use crate::clock::Clock as _;
use crate::commit_log::log::TEST_BACKOFF;
use crate::fault_store::FaultStore;
use crate::issues::runner::World as Surroundings;
use crate::issues::session::{Session, Step};
use crate::issues::{Config, Postman};
use crate::upkeep::pass::{self, Keeper};

/// Steps within which a pipeline has nothing left to do.
const PATIENCE: usize = 60;

/// Who hears messages: a receiver that fails, and forgets nothing.
#[derive(Debug, Default)]
pub(super) struct Heard {
    seed: u64,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// Whether it fails no more.
    calm: bool,
    /// Attempts at each key.
    attempts: BTreeMap<String, u64>,
    /// Issues told, and the body, by key.
    told: BTreeMap<String, (Vec<String>, String)>,
    /// Messages that came more than once.
    repeated: u64,
    /// Keys that came with another body.
    wrong: BTreeSet<String>,
}

impl Heard {
    pub(super) fn new(seed: u64) -> Self {
        Self { seed, inner: Mutex::default() }
    }

    pub(super) fn calm(&self) {
        self.inner.lock().expect("not poisoned").calm = true;
    }

    /// Messages that came more than once.
    pub(super) fn repeated(&self) -> u64 {
        self.inner.lock().expect("not poisoned").repeated
    }

    /// Who told what: keys by issue.
    pub(super) fn keys(&self) -> BTreeMap<String, BTreeSet<String>> {
        let mut keys: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        for (key, (issues, _)) in &self.inner.lock().expect("not poisoned").told {
            for issue in issues {
                keys.entry(issue.clone()).or_default().insert(key.clone());
            }
        }
        keys
    }

    /// Keys that came with different bodies.
    pub(super) fn wrong(&self) -> BTreeSet<String> {
        self.inner.lock().expect("not poisoned").wrong.clone()
    }
}

#[async_trait]
impl Postman for Heard {
    /// Every third attempt fails: half of those after the message came.
    async fn send(&self, message: &Message) -> Attempt {
        let mut inner = self.inner.lock().expect("not poisoned");
        let attempt = inner.attempts.entry(message.id.clone()).or_default();
        *attempt += 1;
        let bytes = message
            .id
            .bytes()
            .fold(self.seed ^ *attempt, |seed, byte| Chance::new(seed ^ u64::from(byte)).bits());
        let luck = if inner.calm { 5 } else { Chance::new(bytes).below(6) };
        if luck == 0 {
            return Attempt::Failed(None, "it did not arrive".to_owned());
        }
        let told = (message.issue_ids.clone(), message.body.clone());
        match inner.told.get(&message.id).map(|before| *before == told) {
            None => drop(inner.told.insert(message.id.clone(), told)),
            Some(true) => inner.repeated += 1,
            Some(false) => drop(inner.wrong.insert(message.id.clone())),
        }
        if luck == 1 {
            return Attempt::Failed(Some(504), "the answer was lost".to_owned());
        }
        Attempt::Sent(200)
    }
}

/// One life.
pub(super) struct Clerk {
    store: Arc<FaultStore>,
    session: Session,
    keeper: Keeper,
}

impl Clerk {
    /// Claims the pipeline, whoever has it.
    pub(super) async fn start(world: &mut World, faulty: bool) -> Result<Self, String> {
        let store = world.faulty_store(faulty);
        let shared: Arc<dyn ObjectStore> = store.clone();
        let entropy = Arc::new(SeededEntropy::new(world.chance.bits()));
        let around = Surroundings {
            clock: world.clock.clone(),
            entropy: entropy.clone(),
            backoff: TEST_BACKOFF,
            lease: Duration::ZERO,
        };
        let config = Config {
            store: shared.clone(),
            settings: settings(),
            postman: world.heard.clone(),
            lease: None,
            epoch: Duration::ZERO,
            upkeep: super::upkeep(),
        };
        let opened = tokio::select! {
            biased;
            opened = Session::open(&around, &config) => opened,
            () = death(&store) => return Err("the store is dead".to_owned()),
        };
        let session = opened.map_err(|error| error.to_string())?;
        world.tally.clerks += 1;
        let around = pass::World {
            store: shared,
            clock: world.clock.clone(),
            entropy,
            backoff: TEST_BACKOFF,
            stop: CancellationToken::new(),
        };
        let keeper = Keeper::new(around, ISSUES_PIPELINE, super::upkeep(), "clerk".to_owned());
        Ok(Self { store, session, keeper })
    }

    pub(super) fn tracker(&self) -> &Tracker {
        &self.session.tracker
    }

    /// Records whose errors it did not count.
    pub(super) fn missed(&self) -> u64 {
        self.session.missed()
    }

    /// One step; `None`: this life is over.
    pub(super) async fn step(&mut self, world: &World) -> Option<Step> {
        let now = world.clock.unix_millis() * 1_000;
        let step = tokio::select! {
            biased;
            step = self.session.step(now, &[]) => step.ok()?,
            () = death(&self.store) => return None,
        };
        self.session.rest().await;
        Some(step)
    }

    /// Everything there is: counted, told, and committed. False: this life is over.
    pub(super) async fn catch_up(&mut self, world: &World) -> bool {
        for _ in 0..PATIENCE {
            self.session.settle();
            match self.step(world).await {
                Some(Step::Idle) if self.session.lag() == 0 && self.has_told_all() => return true,
                Some(Step::Idle | Step::Did) => world.clock.pass(Duration::from_mins(5)),
                Some(Step::Lost) | None => return false,
            }
        }
        false
    }

    fn has_told_all(&self) -> bool {
        let outbox = &self.session.tracker.outbox;
        outbox.pending().next().is_none() && outbox.held() == 0
    }

    /// A pass of upkeep over the tables of issues.
    pub(super) async fn upkeep(&mut self, delete: Option<Duration>) -> Option<Gone> {
        super::pass(&mut self.keeper, ISSUES_PIPELINE, false, delete).await
    }
}

/// Only what is new is told, however late it comes: nothing else is new exactly once.
fn settings() -> Settings {
    let hook = Recipient::of_all("hook", Format::Webhook);
    let recipients = vec![Recipient { kinds: vec![AlertKind::NewIssue], ..hook }];
    Settings { recipients, late_after: i64::MAX, auto_resolve: None, ..Settings::default() }
}
