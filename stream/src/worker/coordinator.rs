//! The coordinator: decides when a unit ends, runs the barrier over the lanes, looks for new partitions, and
//! answers the group's decisions ([`sharing`]).

mod sharing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use schemas::time::EventTime;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use object_store::ObjectStore;
use stages::pipeline::Pipeline;

use super::lane_thread::{self, Command, Notice};
use super::marks::Marks;
use super::recovery::{Held, ask_partitions};
use super::reload::Reload;
use super::status::Board;
use super::{Config, Error, SharedSource, Topic, World};
use crate::lane::quota_book::QuotaBook;
use crate::lane::suspects::{Crash, Suspects};
use crate::lane::{Assigned, Lane, Share};
use crate::source::{Changes, PartitionInfo, Source, SourceError, Start};
use crate::unit::Unit;
use stages::record::TopicPartition;

/// Notices that may wait; lanes repeat what does not fit.
const NOTICES: usize = 64;

/// Longest wait for the broker to say what is stored, when a drain begins.
const CATCH_UP_ANSWER: Duration = Duration::from_secs(2);
/// Pauses between two looks whether that has come, in milliseconds; about three seconds together. Each
/// look may make a unit, so they become longer.
const CATCH_UP_MILLIS: [u64; 6] = [50, 100, 200, 400, 800, 1_600];

/// What the committer is asked to do.
#[derive(Debug)]
pub(super) enum Work {
    /// Write and commit; the sender is used or dropped when that is done with.
    Commit(Unit, Option<oneshot::Sender<()>>),
    /// Claim partitions; answers where each is to be read from.
    Claim(Vec<PartitionInfo>, oneshot::Sender<Vec<Held>>),
    /// These are no longer ours; the sender is used when all units before are done with.
    Release(Vec<TopicPartition>, Option<oneshot::Sender<()>>),
    /// What was not committed has been thrown away; answers where the log stands.
    Reset(oneshot::Sender<Standing>),
}

/// What the log says of the partitions we hold.
#[derive(Debug, Default)]
pub(super) struct Standing {
    /// Ours still.
    pub(super) held: Vec<Held>,
    /// Claimed by another worker.
    pub(super) taken: Vec<TopicPartition>,
}

pub(super) struct Coordinator {
    topics: Vec<Topic>,
    epoch: Duration,
    refresh: Duration,
    reclaim: Duration,
    revoke_budget: Duration,
    source: SharedSource,
    lanes: Vec<SyncSender<Command>>,
    held: BTreeMap<TopicPartition, usize>,
    /// First offset of each partition that no unit has.
    next: BTreeMap<TopicPartition, i64>,
    /// The group's decisions; `None`: all partitions are ours.
    changes: Option<Changes>,
    /// Ours by the group, not yet by the log.
    wanted: BTreeSet<TopicPartition>,
    /// The committer was told by the log that a partition is not ours.
    rejected: Arc<Notify>,
    notices: mpsc::Receiver<Notice>,
    pub(super) work: mpsc::Sender<Work>,
    board: Arc<Board>,
    /// What lanes process with; each unit names its version.
    pub(super) pipeline: Arc<Pipeline>,
    reloads: mpsc::Receiver<Reload>,
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) world: World,
}

/// What a coordinator is connected to.
pub(super) struct Links {
    pub(super) source: SharedSource,
    pub(super) changes: Option<Changes>,
    pub(super) work: mpsc::Sender<Work>,
    pub(super) rejected: Arc<Notify>,
    pub(super) board: Arc<Board>,
    pub(super) quotas: Arc<QuotaBook>,
    pub(super) reloads: mpsc::Receiver<Reload>,
}

impl Coordinator {
    /// Starts the lanes and assigns the partitions to them.
    pub(super) fn start(
        world: &World,
        config: &Config,
        links: Links,
        marks: &Marks,
        held: Vec<Held>,
    ) -> Result<Self, Error> {
        let Links { source, changes, work, rejected, board, quotas, reloads } = links;
        let threads = config.threads.max(1);
        let (sender, notices) = mpsc::channel(NOTICES);
        let mut coordinator = Self {
            topics: config.topics.clone(),
            epoch: config.epoch,
            refresh: world.refresh,
            reclaim: world.reclaim,
            revoke_budget: world.revoke_budget,
            source,
            lanes: Vec::with_capacity(threads),
            held: BTreeMap::new(),
            next: BTreeMap::new(),
            changes,
            wanted: BTreeSet::new(),
            rejected,
            notices,
            work,
            board,
            pipeline: Arc::clone(&config.pipeline),
            reloads,
            store: Arc::clone(&config.store),
            world: world.clone(),
        };
        let suspects = Arc::new(Suspects::default());
        marks.convict(&suspects);
        for number in 0..threads {
            let lane = Lane::new(Arc::clone(&config.pipeline), Share::of(threads));
            let lane = lane
                .with_suspects(Arc::clone(&suspects))
                .with_quota_book(Arc::clone(&quotas))
                .with_raw(config.keep_raw);
            let Some(input) = coordinator.with_source(|source| source.lane(&[])) else { break };
            let lane = lane_thread::spawn(number, lane, input, marks.lane(number), sender.clone());
            let lane =
                lane.map_err(|error| Error::new(format!("cannot start a thread: {error}")))?;
            coordinator.lanes.push(lane);
        }
        coordinator.attach(held)?;
        Ok(coordinator)
    }

    /// Runs until drained or until a decision is needed.
    pub(super) async fn run(mut self, drain: CancellationToken) -> Result<(), Error> {
        let mut epoch = ticks(self.epoch.max(Duration::from_millis(1)));
        let mut refresh = ticks(self.refresh);
        let mut again = ticks(self.reclaim);
        let (work, rejected) = (self.work.clone(), Arc::clone(&self.rejected));
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => {
                    self.catch_up().await?;
                    return self.finish().await;
                }
                // The committer reports why.
                () = work.closed() => return Ok(()),
                change = sharing::next(&mut self.changes) => {
                    self.answer(change).await?;
                    again.reset();
                }
                () = rejected.notified() => {
                    self.reset().await?;
                    again.reset();
                }
                notice = self.notices.recv() => match notice {
                    Some(Notice::Full) => {
                        self.cut().await?;
                        epoch.reset();
                    }
                    Some(Notice::Crashed(crash)) => {
                        self.crashed(&crash).await?;
                        again.reset();
                    }
                    Some(Notice::Halt(reason)) => {
                        // What was read before is good: commit it, then end.
                        self.finish().await?;
                        return Err(reason);
                    }
                    None => return Err(Error::new("all lanes have ended".to_owned())),
                },
                Some(reload) = self.reloads.recv() => {
                    self.reload(reload).await?;
                    epoch.reset();
                }
                _ = epoch.tick() => self.cut().await?,
                _ = refresh.tick() => self.look_for_partitions().await?,
                _ = again.tick(), if !self.wanted.is_empty() => self.take_wanted().await?,
            }
        }
    }

    /// Records reach a consumer a moment after their producers were told that they are stored. What was
    /// stored when the drain began shall be in the tables when it ends: waits for it, but not for long.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let asked =
            tokio::time::timeout(CATCH_UP_ANSWER, ask_partitions(&self.source, self.names())).await;
        // Without a broker nothing comes any more.
        let Ok(Ok(infos)) = asked else { return Ok(()) };
        for pause in CATCH_UP_MILLIS {
            self.cut().await?;
            let is_behind = |info: &PartitionInfo| {
                self.next.get(&info.partition).is_some_and(|next| *next < info.high)
            };
            if self.work.is_closed() || !infos.iter().any(is_behind) {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        Ok(())
    }

    /// The last unit; then the source is stopped. In this order: who leaves a group first finds its partitions
    /// claimed and the unit refused.
    async fn finish(&mut self) -> Result<(), Error> {
        for lane in &self.lanes {
            command(lane, Command::Stop)?;
        }
        if let Some(unit) = self.barrier(&[]).await? {
            let (done, committed) = oneshot::channel();
            drop(self.work.send(Work::Commit(unit, Some(done))).await);
            // Used or dropped, either way it is over.
            drop(committed.await);
        }
        let source = Arc::clone(&self.source);
        let stop = move || {
            let source = source.lock().unwrap_or_else(PoisonError::into_inner).take();
            source.into_iter().for_each(|source| source.stop());
        };
        drop(tokio::task::spawn_blocking(stop).await);
        Ok(())
    }

    /// A record crashed a lane: everything not committed is read again. The second time it is quarantined.
    async fn crashed(&mut self, crash: &Crash) -> Result<(), Error> {
        if crash.is_hopeless() {
            self.finish().await?;
            return Err(Error::new(crash.to_string()));
        }
        tracing::error!("{crash}; what is not committed is read again");
        self.reset().await
    }

    /// Ends the unit. Lanes go on at once with the next one; this waits while the committer is two units behind.
    async fn cut(&mut self) -> Result<(), Error> {
        if let Some(unit) = self.barrier(&[]).await? {
            // Closed means the committer has failed, and says why itself.
            drop(self.work.send(Work::Commit(unit, None)).await);
        }
        Ok(())
    }

    /// The barrier: what all lanes have since the last one. They process nothing more of `released`.
    async fn barrier(&mut self, released: &[TopicPartition]) -> Result<Option<Unit>, Error> {
        self.barrier_to(released, None).await
    }

    /// A barrier after which the lanes go on with another pipeline, where there is one.
    pub(super) async fn barrier_to(
        &mut self,
        released: &[TopicPartition],
        pipeline: Option<&Arc<Pipeline>>,
    ) -> Result<Option<Unit>, Error> {
        let released: Arc<[TopicPartition]> = released.into();
        let mut replies = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            let (reply, part) = oneshot::channel();
            command(lane, Command::Cut(Arc::clone(&released), pipeline.cloned(), reply))?;
            replies.push(part);
        }
        let mut parts = Vec::with_capacity(replies.len());
        for part in replies {
            let part = part.await.map_err(|_| lane_ended())?;
            parts.push(part.map_err(|error| Error::new(format!("cannot build columns: {error}")))?);
        }
        let mut unit = Unit::assemble(parts);
        if let Some(unit) = &mut unit {
            self.pipeline.version().clone_into(&mut unit.pipeline);
            unit.limits = self.pipeline.daily_limits();
        }
        for range in unit.iter().flat_map(|unit| &unit.ranges) {
            self.next.insert(range.partition.clone(), range.to);
        }
        Ok(unit)
    }

    /// Reads watermarks; outside a group, takes partitions that were added to a topic. A broker that does not
    /// answer is asked again next time.
    async fn look_for_partitions(&mut self) -> Result<(), Error> {
        let infos = match ask_partitions(&self.source, self.names()).await {
            Ok(infos) => infos,
            Err(error) => {
                tracing::warn!(%error, "no metadata from the broker");
                return Ok(());
            }
        };
        self.board.watermarks(&infos);
        if self.changes.is_some() {
            return Ok(());
        }
        let new = |info: &PartitionInfo| !self.held.contains_key(&info.partition);
        let new: Vec<PartitionInfo> = infos.into_iter().filter(new).collect();
        if new.is_empty() { Ok(()) } else { self.claim(new).await }
    }

    /// Claims partitions and reads them.
    async fn claim(&mut self, infos: Vec<PartitionInfo>) -> Result<(), Error> {
        let (reply, held) = oneshot::channel();
        drop(self.work.send(Work::Claim(infos, reply)).await);
        match held.await {
            Ok(held) => self.attach(held),
            // The committer has failed, and says why itself.
            Err(_) => Ok(()),
        }
    }

    /// Reads these partitions: the source first, which empties their queues, then the lanes.
    fn attach(&mut self, held: Vec<Held>) -> Result<(), Error> {
        let starts = held
            .iter()
            .map(|held| Start { partition: held.partition.clone(), offset: held.offset });
        let starts: Vec<Start> = starts.collect();
        match self.with_source(|source| source.add(starts)) {
            None => return Ok(()),
            Some(Ok(())) => {}
            Some(Err(error @ SourceError::Unavailable(_))) if self.changes.is_some() => {
                tracing::warn!(%error, "partitions can not be read yet");
                self.wanted.extend(held.into_iter().map(|held| held.partition));
                return Ok(());
            }
            Some(Err(error)) => return Err(Error::new(error.to_string())),
        }
        let mut shares: Vec<Vec<Assigned>> = vec![Vec::new(); self.lanes.len()];
        for Held { partition, offset, clock_ns } in held {
            self.wanted.remove(&partition);
            let number = self.quietest_lane();
            let topic = self.topics.iter().find(|topic| *topic.name == *partition.topic);
            let (Some(topic), Some(share)) = (topic, shares.get_mut(number)) else { continue };
            self.held.insert(partition.clone(), number);
            self.next.insert(partition.clone(), offset);
            share.push(Assigned {
                partition,
                signal: topic.signal,
                input: topic.input.clone(),
                next_offset: offset,
                clock: clock_ns.map(EventTime::from_nanos),
            });
        }
        for (lane, share) in self.lanes.iter().zip(shares) {
            if !share.is_empty() {
                command(lane, Command::Attach(share))?;
            }
        }
        Ok(())
    }

    /// The lane with the fewest partitions.
    fn quietest_lane(&self) -> usize {
        let load = |number: &usize| self.held.values().filter(|lane| *lane == number).count();
        (0..self.lanes.len()).min_by_key(load).unwrap_or(0)
    }

    fn names(&self) -> Vec<String> {
        self.topics.iter().map(|topic| topic.name.clone()).collect()
    }

    /// Does something with the source; `None` once it is stopped.
    fn with_source<T>(&self, act: impl FnOnce(&mut dyn Source) -> T) -> Option<T> {
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let source = source.as_deref_mut()?;
        Some(act(source))
    }
}

fn ticks(every: Duration) -> tokio::time::Interval {
    let mut ticks = tokio::time::interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks.reset();
    ticks
}

fn command(lane: &SyncSender<Command>, command: Command) -> Result<(), Error> {
    lane.try_send(command).map_err(|_| lane_ended())
}

fn lane_ended() -> Error {
    Error::new("a lane has ended or hangs; its panic is in the log above".to_owned())
}
