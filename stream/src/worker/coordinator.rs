//! The coordinator: decides when a unit ends, runs the barrier over the lanes, and looks for new
//! partitions.

use std::collections::BTreeMap;
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

use super::lane_thread::{self, Command, Notice};
use super::recovery::ask_partitions;
use super::status::Board;
use super::{Config, Error, SharedSource, Topic, World};
use crate::lane::{Assigned, Lane, Share};
use crate::record::TopicPartition;
use crate::source::{PartitionInfo, Start};
use crate::unit::Unit;

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
    /// Write and commit.
    Commit(Unit),
    /// Claim new partitions; answers where each partition held is to be read from now.
    Claim(Vec<PartitionInfo>, oneshot::Sender<Vec<Start>>),
}

pub(super) struct Coordinator {
    topics: Vec<Topic>,
    epoch: Duration,
    refresh: Duration,
    source: SharedSource,
    lanes: Vec<SyncSender<Command>>,
    held: BTreeMap<TopicPartition, usize>,
    /// First offset of each partition that no unit has.
    next: BTreeMap<TopicPartition, i64>,
    notices: mpsc::Receiver<Notice>,
    work: mpsc::Sender<Work>,
    board: Arc<Board>,
}

impl Coordinator {
    /// Starts the lanes and assigns the partitions to them.
    pub(super) fn start(
        world: &World,
        config: &Config,
        source: SharedSource,
        work: mpsc::Sender<Work>,
        board: Arc<Board>,
        starts: Vec<Start>,
    ) -> Result<Self, Error> {
        let threads = config.threads.max(1);
        let (sender, notices) = mpsc::channel(NOTICES);
        let mut lanes = Vec::with_capacity(threads);
        for number in 0..threads {
            let lane = Lane::new(Arc::clone(&config.pipeline), Share::of(threads));
            let lane = lane_thread::spawn(number, lane, sender.clone());
            lanes.push(lane.map_err(|error| Error(format!("cannot start a thread: {error}")))?);
        }
        let mut coordinator = Self {
            topics: config.topics.clone(),
            epoch: config.epoch,
            refresh: world.refresh,
            source,
            lanes,
            held: BTreeMap::new(),
            next: BTreeMap::new(),
            notices,
            work,
            board,
        };
        coordinator.assign(starts)?;
        Ok(coordinator)
    }

    /// Runs until drained or until a decision is needed.
    pub(super) async fn run(mut self, drain: CancellationToken) -> Result<(), Error> {
        let mut epoch = tokio::time::interval(self.epoch.max(Duration::from_millis(1)));
        epoch.set_missed_tick_behavior(MissedTickBehavior::Delay);
        epoch.reset();
        let mut refresh = tokio::time::interval(self.refresh);
        refresh.set_missed_tick_behavior(MissedTickBehavior::Delay);
        refresh.reset();
        let work = self.work.clone();
        loop {
            tokio::select! {
                biased;
                () = drain.cancelled() => {
                    self.catch_up().await?;
                    return self.finish().await;
                }
                // The committer reports why.
                () = work.closed() => return Ok(()),
                notice = self.notices.recv() => match notice {
                    Some(Notice::Full) => {
                        self.cut().await?;
                        epoch.reset();
                    }
                    Some(Notice::Halt(reason)) => {
                        // What was read before is good: commit it, then end.
                        self.finish().await?;
                        return Err(Error(reason));
                    }
                    None => return Err(Error("all lanes have ended".to_owned())),
                },
                _ = epoch.tick() => self.cut().await?,
                _ = refresh.tick() => self.look_for_partitions().await?,
            }
        }
    }

    /// Records reach a consumer a moment after their producers were told that they are stored. What was
    /// stored when the drain began shall be in the tables when it ends: waits for it, but not for long.
    async fn catch_up(&mut self) -> Result<(), Error> {
        let names = self.topics.iter().map(|topic| topic.name.clone()).collect();
        let asked =
            tokio::time::timeout(CATCH_UP_ANSWER, ask_partitions(&self.source, names)).await;
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

    /// The last unit; then the source is stopped.
    async fn finish(&mut self) -> Result<(), Error> {
        for lane in &self.lanes {
            command(lane, Command::Stop)?;
        }
        self.cut().await?;
        let source = Arc::clone(&self.source);
        let stop = move || {
            let source = source.lock().unwrap_or_else(PoisonError::into_inner).take();
            source.into_iter().for_each(|source| source.stop());
        };
        drop(tokio::task::spawn_blocking(stop).await);
        Ok(())
    }

    /// The barrier. Lanes go on at once with the next unit; this waits while the committer is two
    /// units behind.
    async fn cut(&mut self) -> Result<(), Error> {
        let mut replies = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            let (reply, part) = oneshot::channel();
            command(lane, Command::Cut(reply))?;
            replies.push(part);
        }
        let mut parts = Vec::with_capacity(replies.len());
        for part in replies {
            let part = part.await.map_err(|_| lane_ended())?;
            parts.push(part.map_err(|error| Error(format!("cannot build columns: {error}")))?);
        }
        if let Some(unit) = Unit::assemble(parts) {
            for range in &unit.ranges {
                self.next.insert(range.partition.clone(), range.to);
            }
            // Closed means the committer has failed, and says why itself.
            drop(self.work.send(Work::Commit(unit)).await);
        }
        Ok(())
    }

    /// Reads watermarks, and takes partitions that were added to a topic. A broker that does not
    /// answer is asked again next time.
    async fn look_for_partitions(&mut self) -> Result<(), Error> {
        let names = self.topics.iter().map(|topic| topic.name.clone()).collect();
        let infos = match ask_partitions(&self.source, names).await {
            Ok(infos) => infos,
            Err(error) => {
                tracing::warn!(%error, "no metadata from the broker");
                return Ok(());
            }
        };
        self.board.watermarks(&infos);
        let new = |info: &PartitionInfo| !self.held.contains_key(&info.partition);
        let new: Vec<PartitionInfo> = infos.into_iter().filter(new).collect();
        if new.is_empty() {
            return Ok(());
        }
        // What the lanes hold goes first, so that the answer covers it.
        self.cut().await?;
        let (reply, starts) = oneshot::channel();
        drop(self.work.send(Work::Claim(new, reply)).await);
        match starts.await {
            Ok(starts) => self.assign(starts),
            Err(_) => Ok(()),
        }
    }

    /// Reads these partitions, which include all held before. The source may deliver again what a
    /// lane has seen; lanes skip that by offset.
    fn assign(&mut self, starts: Vec<Start>) -> Result<(), Error> {
        let new: Vec<Start> = {
            let new = starts.iter().filter(|start| !self.held.contains_key(&start.partition));
            new.cloned().collect()
        };
        let mut shares: Vec<Vec<Assigned>> = vec![Vec::new(); self.lanes.len()];
        for start in new {
            let number = self.held.len() % self.lanes.len();
            let topic = self.topics.iter().find(|topic| *topic.name == *start.partition.topic);
            let (Some(topic), Some(share)) = (topic, shares.get_mut(number)) else { continue };
            self.held.insert(start.partition.clone(), number);
            self.next.insert(start.partition.clone(), start.offset);
            share.push(Assigned {
                partition: start.partition,
                signal: topic.signal,
                format: topic.format,
                next_offset: start.offset,
            });
        }
        let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(source) = source.as_mut() else { return Ok(()) };
        source.assign(starts).map_err(|error| Error(error.to_string()))?;
        for (lane, share) in self.lanes.iter().zip(shares) {
            if !share.is_empty() {
                let partitions: Vec<_> = share.iter().map(|a| a.partition.clone()).collect();
                command(lane, Command::Attach(source.lane(&partitions), share))?;
            }
        }
        Ok(())
    }
}

fn command(lane: &SyncSender<Command>, command: Command) -> Result<(), Error> {
    lane.try_send(command).map_err(|_| lane_ended())
}

fn lane_ended() -> Error {
    Error("a lane has ended or hangs; its panic is in the log above".to_owned())
}
