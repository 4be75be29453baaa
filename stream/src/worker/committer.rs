//! The committer: one task that makes units durable, in order. Files first, then the record that
//! names them: the only commit point. Then the tables, the status, and a hint to Kafka.

use std::sync::{Arc, PoisonError};
use std::time::Duration;

use schemas::limits::MAX_UNPUBLISHED_COMMITS;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::MissedTickBehavior;

use super::continuity::Anchors;
use super::coordinator::{Standing, Work};
use super::recovery::{Claimant, Held, Positions, Recovered, ask_partitions, held};
use super::status::Board;
use super::{Config, Error, SharedSource, World};
use crate::commit_log::head::{PartitionHead, Rejection};
use crate::commit_log::log::{CommitLog, LogError};
use crate::commit_log::record::{self, Body, Commit, FileAdd, UnitPartition};
use crate::crash_point::{CrashPoint, pass};
use crate::files::FileWriter;
use crate::lane::quota_book::QuotaBook;
use crate::source::PartitionInfo;
use crate::unit::Unit;
use stages::pipeline::quota::Kept;
use stages::record::TopicPartition;

/// Shortest time between two looks at what other workers have appended.
const LOOK: Duration = Duration::from_millis(100);

pub(super) struct Committer {
    claimant: Claimant,
    log: CommitLog,
    files: FileWriter,
    positions: Positions,
    anchors: Anchors,
    /// Shares partitions with others: losing one is not the end.
    shares: bool,
    /// A unit was refused; what follows it is void until the lanes have started again.
    void: bool,
    links: Links,
    topics: Vec<String>,
    look: Duration,
    /// Between two looks at the anchors.
    refresh: Duration,
    units: u64,
}

/// What a committer is connected to.
pub(super) struct Links {
    pub(super) source: SharedSource,
    pub(super) board: Arc<Board>,
    /// Rung when the log says that a partition is not ours.
    pub(super) rejected: Arc<Notify>,
    /// Rung when there is something to publish.
    pub(super) appended: Arc<Notify>,
    /// The first seq the publisher here has not handed to the tables; the largest number while another one
    /// publishes.
    pub(super) published: watch::Receiver<u64>,
    /// Daily limits of indexes, shared with the lanes.
    pub(super) quotas: Arc<QuotaBook>,
}

impl Committer {
    /// With what the recovery found; the publisher has its own part of it.
    pub(super) fn new(world: &World, config: &Config, recovered: Recovered, links: Links) -> Self {
        let Recovered { claimant, log, positions, shares, .. } = recovered;
        let files = FileWriter {
            store: Arc::clone(&config.store),
            clock: Arc::clone(&world.clock),
            entropy: Arc::clone(&world.entropy),
            backoff: world.backoff,
        };
        let mut anchors = Anchors::new(Arc::clone(&claimant.look));
        anchors.claimed(log.head(), positions.keys());
        Self {
            claimant,
            // An outage of the store is waited out; the lanes fill up meanwhile, and the broker holds the rest.
            log: log.patiently(),
            files,
            positions,
            anchors,
            shares,
            void: false,
            links,
            topics: config.topics.iter().map(|topic| topic.name.clone()).collect(),
            look: config.epoch.max(LOOK),
            refresh: world.refresh,
            units: 0,
        }
    }

    /// Works until the queue is closed and empty.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Work>) -> Result<(), Error> {
        let mut look = tokio::time::interval(self.look);
        look.set_missed_tick_behavior(MissedTickBehavior::Delay);
        look.reset();
        let mut refresh = tokio::time::interval(self.refresh);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        refresh.reset();
        loop {
            let work = tokio::select! {
                biased;
                work = waiting.recv() => work,
                _ = look.tick() => {
                    self.look().await?;
                    continue;
                }
                _ = refresh.tick() => {
                    self.anchors.begin();
                    continue;
                }
                looked = self.anchors.looked() => {
                    looked?;
                    continue;
                }
            };
            match work {
                None => return Ok(()),
                Some(Work::Commit(unit, done)) => {
                    self.commit(unit).await?;
                    // Nobody waits any more when the budget of a revocation is used up.
                    let _ = done.map(|done| done.send(()));
                }
                Some(Work::Claim(infos, reply)) => {
                    let held = self.claim(infos).await?;
                    // The coordinator is gone only when the worker was dropped.
                    drop(reply.send(held));
                }
                Some(Work::Release(partitions, done)) => {
                    self.positions.retain(|partition, _| !partitions.contains(partition));
                    self.anchors.released(partitions.iter());
                    self.show();
                    let _ = done.map(|done| done.send(()));
                }
                Some(Work::Reset(reply)) => drop(reply.send(self.reset().await?)),
            }
        }
    }

    /// Keeps the head near the log's end while there is nothing to append, and notices when a partition was
    /// taken meanwhile.
    async fn look(&mut self) -> Result<(), Error> {
        match self.log.catch_up().await {
            Ok(entries) if entries.is_empty() => return Ok(()),
            Ok(_) => {
                self.links.board.seen(self.log.head().next_seq);
                self.links.quotas.settle(&self.log.head().kept, &[]);
            }
            Err(error @ LogError::Read { .. }) => {
                tracing::warn!(%error, "looked in vain; the next append reads again");
                return Ok(());
            }
            Err(error) => return Err(halt(error)),
        }
        if self.shares && !self.void && self.positions.keys().any(|p| self.standing(p).is_none()) {
            self.refuse("another worker has claimed a partition");
        }
        Ok(())
    }

    /// The head of a partition, if our claim of it still stands.
    fn standing(&self, partition: &TopicPartition) -> Option<&PartitionHead> {
        let position = self.positions.get(partition)?;
        let head = self.log.head().partitions.get(partition)?;
        let ours = head.generation == position.generation && head.owner == self.claimant.owner;
        ours.then_some(head)
    }

    /// Nothing is committed until the lanes have started again from what the log says.
    fn refuse(&mut self, reason: &str) {
        tracing::warn!(reason, "what is not committed is thrown away and read again");
        self.void = true;
        self.links.rejected.notify_one();
    }

    async fn commit(&mut self, unit: Unit) -> Result<(), Error> {
        if self.void {
            return Ok(());
        }
        self.wait_for_publisher().await;
        self.units += 1;
        let short = self.claimant.owner.get(..8).unwrap_or_default();
        let name = format!("{short}-{}", self.units);
        pass(CrashPoint::FilesBefore);
        let adds = self.files.write(&name, unit.plans.clone()).await;
        let adds = adds.map_err(|error| Error::new(error.to_string()))?;
        pass(CrashPoint::FilesWritten);
        let body = Body::Commit(Commit { units: vec![self.record(&unit, adds)?] });
        match self.log.append(|_| body.clone()).await {
            Ok(_) => {}
            Err(LogError::Rejected(
                reason @ (Rejection::Generation { .. } | Rejection::NotNext { .. }),
            )) if self.shares => {
                // Its files are in no record: garbage that is collected with the other.
                self.links.board.rejected();
                self.refuse(&reason.to_string());
                return Ok(());
            }
            Err(error) => return Err(halt(error)),
        }
        let Some(seq) = self.log.head().next_seq.checked_sub(1) else { return Ok(()) };
        for range in &unit.ranges {
            if let Some(position) = self.positions.get_mut(&range.partition) {
                (position.next_offset, position.last_seq) = (range.to, seq);
                self.anchors.committed(range);
            }
        }
        self.settle(&unit);
        self.links.board.committed(seq, &unit);
        self.links.appended.notify_one();
        pass(CrashPoint::HintBefore);
        self.hint(&unit);
        Ok(())
    }

    /// The unit's share of the daily limits is committed; says so once when one is nearly or all used up.
    fn settle(&self, unit: &Unit) {
        let kept = &self.log.head().kept;
        self.links.quotas.settle(kept, &unit.kept);
        for Kept { index, day, events } in &unit.kept {
            let Some(limit) = unit.limits.iter().find(|limit| limit.index() == index) else {
                continue;
            };
            let now = kept.get(&(index.clone(), *day)).copied().unwrap_or(0);
            let reached = |mark: u64| now >= mark && now.saturating_sub(*events) < mark;
            if reached(limit.events()) {
                tracing::warn!(
                    index,
                    limit = limit.events(),
                    "the daily limit is reached: further logs of today are excluded"
                );
            } else if limit.warn_at().is_some_and(reached) {
                tracing::warn!(
                    index,
                    kept = now,
                    limit = limit.events(),
                    "the daily limit is nearly reached"
                );
            }
        }
        self.links.board.quotas(&unit.limits, kept);
    }

    /// Holds intake back while the tables here are far behind the log.
    async fn wait_for_publisher(&mut self) {
        let limit = self.log.head().next_seq.saturating_sub(MAX_UNPUBLISHED_COMMITS as u64);
        // Closed when the publisher has ended; it says why.
        drop(self.links.published.wait_for(|published| *published >= limit).await);
    }

    /// The unit as the log names it. Generation and parent come from our own work, never from
    /// the head: the head's are what they are checked against.
    fn record(&self, unit: &Unit, adds: Vec<FileAdd>) -> Result<record::Unit, Error> {
        let mut partitions = Vec::with_capacity(unit.ranges.len());
        for range in &unit.ranges {
            let position = self.positions.get(&range.partition).ok_or_else(|| {
                Error::new(format!("{:?} was processed without a claim", range.partition))
            })?;
            partitions.push(UnitPartition {
                partition: range.partition.clone(),
                generation: position.generation,
                parent_seq: position.last_seq,
                from_offset: range.from,
                to_offset: range.to,
                messages: range.messages,
                clock_ns: range.clock.nanos(),
                anchor: self.anchors.of(range),
            });
        }
        let (owner, kept) = (self.claimant.owner.clone(), unit.kept.clone());
        let pipeline = Some(unit.pipeline.clone());
        Ok(record::Unit { owner, partitions, adds, kept, pipeline, state: None })
    }

    async fn claim(&mut self, mut infos: Vec<PartitionInfo>) -> Result<Vec<Held>, Error> {
        self.log.catch_up().await.map_err(halt)?;
        let head = self.log.head();
        let ahead = |info: &PartitionInfo| {
            head.partitions.get(&info.partition).is_some_and(|known| known.next_offset > info.high)
        };
        if self.shares && infos.iter().any(ahead) {
            // The former owner went on after we asked the broker.
            let wanted: Vec<_> = infos.iter().map(|info| info.partition.clone()).collect();
            infos = ask_partitions(&self.links.source, self.topics.clone()).await?;
            infos.retain(|info| wanted.contains(&info.partition));
        }
        let positions = self.claimant.claim(&mut self.log, &infos).await?;
        let head = self.log.head();
        let held = positions.keys().filter_map(|partition| held(head, partition)).collect();
        self.anchors.claimed(head, positions.keys());
        self.positions.extend(positions);
        self.links.board.watermarks(&infos);
        self.show();
        Ok(held)
    }

    /// What is left to us after a refusal, or after a loss.
    async fn reset(&mut self) -> Result<Standing, Error> {
        self.log.catch_up().await.map_err(halt)?;
        self.void = false;
        self.links.quotas.reset(&self.log.head().kept);
        let mut standing = Standing::default();
        let partitions: Vec<TopicPartition> = self.positions.keys().cloned().collect();
        for partition in partitions {
            let stands = self.standing(&partition).map(|head| (head.next_offset, head.last_seq));
            match (stands, self.positions.get_mut(&partition)) {
                (Some((next_offset, last_seq)), Some(position)) => {
                    (position.next_offset, position.last_seq) = (next_offset, last_seq);
                    standing.held.extend(held(self.log.head(), &partition));
                }
                _ => {
                    self.positions.remove(&partition);
                    self.anchors.released(std::iter::once(&partition));
                    standing.taken.push(partition);
                }
            }
        }
        self.show();
        Ok(standing)
    }

    fn show(&self) {
        self.links.board.hold(self.log.head().next_seq, &self.positions);
    }

    fn hint(&self, unit: &Unit) {
        let offsets: Vec<_> =
            unit.ranges.iter().map(|range| (range.partition.clone(), range.to)).collect();
        // Never waits: a hint is worth nothing while metadata is being asked for.
        let source = match self.links.source.try_lock() {
            Ok(source) => source,
            Err(std::sync::TryLockError::Poisoned(poisoned)) => PoisonError::into_inner(poisoned),
            Err(std::sync::TryLockError::WouldBlock) => return,
        };
        if let Some(source) = source.as_ref() {
            source.store_hint(&offsets);
        }
    }
}

/// What an append that can not succeed means for the operator.
fn halt(error: LogError) -> Error {
    match error {
        LogError::Rejected(
            rejection @ (Rejection::Generation { .. } | Rejection::NotNext { .. }),
        ) => Error::new(format!(
            "{rejection}; this worker stops, its last unit was not committed and is read again by the owner"
        )),
        other => other.into(),
    }
}
