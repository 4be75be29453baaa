//! The publisher: one task that follows the commit log and hands every record's changes to the table actors, ours and
//! those of other workers and commands alike.
//!
//! Of several workers the one that holds the lease publishes; the others stand by. Two at once are safe: a table's
//! cursor lets each record in only once. Whoever publishes also does the upkeep of the tables. A worker that drains publishes all that is committed, lease or not, so that
//! nothing stays invisible when all workers end together.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;
use tokio::sync::{Notify, watch};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use super::recovery::{open_tables, recover_log};
use super::status::Board;
use super::upkeep::Upkeep;
use super::{Config, Error, World};
use crate::commit_log::Layout;
use crate::commit_log::lease::Lease;
use crate::commit_log::log::{CommitLog, Entry, LogError};
use crate::table::actor;
use crate::table::delta::PublishedTable;
use crate::table::publication::Publication;

/// Shortest time between two looks at the log's tail.
const LOOK: Duration = Duration::from_millis(100);
/// Renewals of the lease within its length: one may fail.
const RENEWALS: u32 = 3;
/// Attempts to open the tables at the end of a worker that did not publish before.
const LAST_ATTEMPTS: u32 = 5;

/// What publishing starts from: the tables, and the log's records they may not contain yet.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) log: CommitLog,
    pub(super) tables: Vec<PublishedTable>,
    pub(super) backlog: Vec<Entry>,
}

/// What a publisher is connected to.
pub(super) struct Links {
    pub(super) board: Arc<Board>,
    /// Rung by the committer.
    pub(super) appended: Arc<Notify>,
    /// Told what is handed over; see [`super::committer::Links`].
    pub(super) published: watch::Sender<u64>,
}

/// The task's state.
pub(super) struct Publisher {
    world: World,
    config: Config,
    links: Links,
    /// Found by the recovery; used the first time.
    start: Option<Start>,
    /// While it publishes.
    active: Option<Active>,
}

struct Active {
    log: CommitLog,
    actors: BTreeMap<Table, actor::Handle>,
}

impl Publisher {
    pub(super) fn new(world: &World, config: &Config, start: Option<Start>, links: Links) -> Self {
        let (world, config) = (world.clone(), config.clone());
        Self { world, config, links, start, active: None }
    }

    /// Runs until told to finish; then publishes all that is committed. `name` is who holds the lease; without
    /// one it always publishes.
    pub(super) async fn run(
        mut self,
        name: Option<String>,
        finish: CancellationToken,
    ) -> Result<(), Error> {
        let (keeper, mut holder) = match &name {
            Some(name) => keep_lease(&self.world, &self.config, name.clone()),
            None => (None, watch::channel(None).1),
        };
        let mut look = tokio::time::interval(self.config.epoch.max(LOOK));
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let appended = Arc::clone(&self.links.appended);
        let upkeep = self.upkeep(finish.child_token());
        while !finish.is_cancelled() {
            let publishes = name.is_none() || *holder.borrow_and_update() == name;
            self.links.board.publisher(holder.borrow().clone(), publishes);
            self.play(publishes).await?;
            tokio::select! {
                () = finish.cancelled() => break,
                Ok(()) = holder.changed() => {}
                () = appended.notified() => {}
                _ = look.tick() => {}
            }
        }
        // Wherever it is: what it has recorded is published now, the rest is garbage for the next one.
        drop(upkeep);
        self.publish_the_rest().await?;
        if let Some(Keeper { stop, task }) = keeper {
            stop.cancel();
            // A lease that was not given up lapses.
            drop(task.await);
        }
        Ok(())
    }

    fn upkeep(&self, stop: CancellationToken) -> AbortOnDropHandle<()> {
        let links = (Arc::clone(&self.links.board), Arc::clone(&self.links.appended));
        let author = self.links.board.read().owner;
        let upkeep = Upkeep::new(&self.world, &self.config, author, links, stop);
        AbortOnDropHandle::new(tokio::spawn(upkeep.run()))
    }

    /// Takes up or lays down publishing, and publishes what is new.
    async fn play(&mut self, publishes: bool) -> Result<(), Error> {
        if !publishes {
            if self.active.take().is_some() {
                tracing::info!("another worker publishes to the tables now");
            }
            self.links.published.send_replace(u64::MAX);
            return Ok(());
        }
        if self.active.is_none() {
            let opened = self.open().await;
            match opened {
                Ok(start) => self.activate(start).await?,
                Err(error) if error.needs_decision() => return Err(error),
                Err(error) => {
                    tracing::warn!(%error, "publishing can not begin; tried again");
                    return Ok(());
                }
            }
        }
        self.publish_tail().await
    }

    /// The tables, and what they lack.
    async fn open(&mut self) -> Result<Start, Error> {
        if let Some(start) = self.start.take() {
            return Ok(start);
        }
        let tables = open_tables(&self.world, &self.config).await?;
        let (log, backlog) = recover_log(&self.world, &self.config, &tables).await?;
        Ok(Start { log, tables, backlog })
    }

    async fn activate(&mut self, start: Start) -> Result<(), Error> {
        let Start { log, tables, backlog } = start;
        let mut actors = BTreeMap::new();
        for table in tables {
            let name = table.table();
            let handle = actor::spawn(table);
            self.links.board.follow(name, handle.cursor.clone());
            actors.insert(name, handle);
        }
        tracing::info!(records = backlog.len(), "publishing to the tables");
        self.active = Some(Active { log, actors });
        self.publish(&backlog).await
    }

    async fn publish_tail(&mut self) -> Result<(), Error> {
        let Some(active) = &mut self.active else { return Ok(()) };
        // An actor that can not go on is told of now, not with the next record for its table.
        let ended = active.actors.iter().find(|(_, handle)| handle.task.is_finished());
        if let Some(table) = ended.map(|(table, _)| *table) {
            return Err(actor_ended(&mut active.actors, table).await);
        }
        match active.log.catch_up().await {
            Ok(entries) => self.publish(&entries).await,
            Err(error @ LogError::Read { .. }) => {
                tracing::warn!(%error, "the log can not be read; publishing goes on later");
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Hands the changes of these records to the table actors. Every record of the log passes here in order: a cursor
    /// that moves past a record has its changes.
    async fn publish(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let Some(active) = &mut self.active else { return Ok(()) };
        for entry in entries {
            for (table, publication) in Publication::of(entry) {
                let Some(actor) = active.actors.get(&table) else { continue };
                if actor.queue.send(publication).await.is_err() {
                    return Err(actor_ended(&mut active.actors, table).await);
                }
            }
            self.links.published.send_replace(entry.record.seq.saturating_add(1));
        }
        self.links.published.send_replace(active.log.head().next_seq);
        Ok(())
    }

    /// The end of a drain: whoever publishes usually, all that is committed is in the tables afterwards.
    async fn publish_the_rest(&mut self) -> Result<(), Error> {
        for attempt in 0..LAST_ATTEMPTS {
            self.play(true).await?;
            if self.active.is_some() {
                break;
            }
            self.world.backoff.pause(attempt, self.world.entropy.as_ref()).await;
        }
        let Some(Active { actors, .. }) = self.active.take() else {
            return Err(Error::new(
                "the tables can not be opened; what is committed is published at the next start"
                    .to_owned(),
            ));
        };
        for (_, actor::Handle { queue, task, .. }) in actors {
            drop(queue);
            let ended = task.await.map_err(|error| Error::new(format!("table actor: {error}")))?;
            ended.map_err(Error::from)?;
        }
        Ok(())
    }
}

async fn actor_ended(actors: &mut BTreeMap<Table, actor::Handle>, table: Table) -> Error {
    let Some(handle) = actors.remove(&table) else { return Error::new("no actor".to_owned()) };
    match handle.task.await {
        Ok(Err(error)) => error.into(),
        Ok(Ok(())) => Error::new(format!("table {}: its actor has ended", table.name())),
        Err(error) => Error::new(format!("table {}: its actor failed: {error}", table.name())),
    }
}

/// The task that takes, renews and in the end gives up the lease.
struct Keeper {
    stop: CancellationToken,
    task: AbortOnDropHandle<()>,
}

/// A task of its own: handing a long backlog over must not cost the lease.
fn keep_lease(
    world: &World,
    config: &Config,
    name: String,
) -> (Option<Keeper>, watch::Receiver<Option<String>>) {
    let key = Layout::new(LIVE_PIPELINE).publisher_lease();
    let clock = Arc::clone(&world.clock);
    let mut lease = Lease::new(Arc::clone(&config.store), key, name, world.lease, clock);
    let (tell, holder) = watch::channel(None);
    let stop = CancellationToken::new();
    let stopped = stop.clone();
    let mut renew = tokio::time::interval(world.lease / RENEWALS);
    renew.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let task = tokio::spawn(async move {
        loop {
            tokio::select! {
                () = stopped.cancelled() => break,
                _ = renew.tick() => {}
            }
            match lease.hold().await {
                Ok(found) => drop(tell.send_replace(Some(found))),
                // Whoever published goes on: two at once are safe.
                Err(error) => tracing::warn!(%error, "the publisher's lease can not be renewed"),
            }
        }
        if let Err(error) = lease.give_up().await {
            tracing::debug!(%error, "the publisher's lease lapses by itself");
        }
    });
    (Some(Keeper { stop, task: AbortOnDropHandle::new(task) }), holder)
}
