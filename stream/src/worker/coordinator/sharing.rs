//! Partitions that come and go: the coordinator's answers to the group's decisions, and to the log's.
//!
//! ```text
//! assigned   claim in the log, then read from where the log stands
//! revoked    one last unit, then give back; over budget: give back anyway
//! lost       throw away what is not committed, read the rest again
//! rejected   (by the log) the same; what another worker has claimed is asked for again a little later,
//!            if the group still gives it to us
//! ```
//!
//! Nothing here is needed for safety: a unit is valid by its generations alone. It decides how little is done
//! twice, and that every partition the group gives us is read by somebody in the end.

use tokio::sync::oneshot;

use super::super::lane_thread::Command;
use super::super::recovery::ask_partitions;
use super::{Coordinator, Error, Standing, Work, command, lane_ended};
use crate::crash_point::{CrashPoint, pass};
use crate::source::{Change, Changes, PartitionInfo};
use stages::record::TopicPartition;

/// The next decision; never without a group, or after the source has stopped.
pub(super) async fn next(changes: &mut Option<Changes>) -> Change {
    if let Some(changes) = changes
        && let Some(change) = changes.recv().await
    {
        return change;
    }
    std::future::pending().await
}

impl Coordinator {
    pub(super) async fn answer(&mut self, change: Change) -> Result<(), Error> {
        self.board.rebalanced();
        match change {
            Change::Assigned(partitions) => {
                let new = partitions.into_iter().filter(|p| !self.held.contains_key(p));
                let new: Vec<TopicPartition> = new.collect();
                self.wanted.extend(new);
                self.take_wanted().await
            }
            Change::Revoked(partitions) => self.give_back(partitions).await,
            Change::Lost(partitions) => self.lose(partitions).await,
            Change::Failed(reason) => {
                self.finish().await?;
                Err(Error::new(reason))
            }
        }
    }

    /// Claims what is ours by the group. Whatever can not be had now is tried again later; the group gets its
    /// answer in any case.
    pub(super) async fn take_wanted(&mut self) -> Result<(), Error> {
        let infos = match ask_partitions(&self.source, self.names()).await {
            Ok(infos) => infos,
            Err(error) => {
                tracing::warn!(%error, "no metadata from the broker; the new partitions wait");
                return self.attach(Vec::new());
            }
        };
        self.board.watermarks(&infos);
        let is_wanted = |info: &PartitionInfo| self.wanted.contains(&info.partition);
        let infos: Vec<PartitionInfo> = infos.into_iter().filter(is_wanted).collect();
        if infos.is_empty() { self.attach(Vec::new()) } else { self.claim(infos).await }
    }

    async fn give_back(&mut self, partitions: Vec<TopicPartition>) -> Result<(), Error> {
        let mut unit = self.barrier(&partitions).await?;
        self.drop_partitions(&partitions);
        pass(CrashPoint::RevokeBefore);
        let flush = async {
            if unit.is_some() {
                // A place first: a unit that waits in `send` would be lost with it.
                let Ok(place) = self.work.reserve().await else { return };
                let Some(unit) = unit.take() else { return };
                place.send(Work::Commit(unit, None));
            }
            // Waits for every unit before it, also for one that was cut earlier and is still being written; and comes
            // before the next owner claims them, which would look like a loss.
            let (done, released) = oneshot::channel();
            drop(self.work.send(Work::Release(partitions.clone(), Some(done))).await);
            // Used or dropped, either way it is over.
            drop(released.await);
        };
        let flushed = tokio::time::timeout(self.revoke_budget, flush).await;
        pass(CrashPoint::Revoked);
        self.remove(&partitions)?;
        if flushed.is_err() {
            tracing::warn!(
                "the last unit of revoked partitions is not committed in time; given back without"
            );
            drop(self.work.send(Work::Release(partitions, None)).await);
        }
        if unit.is_some() {
            // Never handed over: what it held of the other partitions is read again.
            self.rejected.notify_one();
        }
        Ok(())
    }

    async fn lose(&mut self, partitions: Vec<TopicPartition>) -> Result<(), Error> {
        self.drop_partitions(&partitions);
        self.remove(&partitions)?;
        drop(self.work.send(Work::Release(partitions, None)).await);
        self.reset().await
    }

    /// Throws away what is not committed and goes on from where the log stands.
    pub(super) async fn reset(&mut self) -> Result<(), Error> {
        let mut resets = Vec::with_capacity(self.lanes.len());
        for lane in &self.lanes {
            let (done, reset) = oneshot::channel();
            command(lane, Command::Reset(done))?;
            resets.push(reset);
        }
        for reset in resets {
            reset.await.map_err(|_| lane_ended())?;
        }
        self.held.clear();
        self.next.clear();
        let (reply, standing) = oneshot::channel();
        drop(self.work.send(Work::Reset(reply)).await);
        // Dropped only when the committer has failed, which says why itself.
        let Ok(Standing { held, taken }) = standing.await else { return Ok(()) };
        tracing::info!(held = held.len(), ?taken, "reading again from where the log stands");
        self.wanted.extend(taken);
        self.attach(held)
    }

    fn drop_partitions(&mut self, partitions: &[TopicPartition]) {
        for partition in partitions {
            self.held.remove(partition);
            self.next.remove(partition);
            self.wanted.remove(partition);
        }
    }

    fn remove(&self, partitions: &[TopicPartition]) -> Result<(), Error> {
        match self.with_source(|source| source.remove(partitions)) {
            Some(Err(error)) => {
                // The group then waits until it gives us up; nothing is read twice for it.
                tracing::warn!(%error, "partitions can not be given back");
                Ok(())
            }
            _ => Ok(()),
        }
    }
}
