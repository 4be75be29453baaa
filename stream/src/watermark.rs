//! Up to which event time everything that has come is in the tables.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;

use crate::clock::System;
use crate::commit_log::Layout;
use crate::commit_log::log::{BACKOFF, CommitLog, LogError};
use crate::worker::Status;

/// How old the worker's last look at the broker may be, and some more: microseconds.
const LOOKED: i64 = 60_000_000;

/// What the log says at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Look {
    /// Everything received before this time is committed, Unix microseconds; `None`: not known, because a partition
    /// was never read, or is read by somebody else who is behind.
    pub committed_to: Option<i64>,
    /// The record a table must contain to show all of it, for tables that have any.
    pub needs: BTreeMap<Table, u64>,
}

/// Follows the first pipeline's log.
#[derive(Debug)]
pub struct Watermark {
    log: CommitLog,
}

impl Watermark {
    /// Reads the log.
    ///
    /// # Errors
    /// When it can not be read.
    pub async fn open(store: &Arc<dyn ObjectStore>) -> Result<Self, LogError> {
        let system = System::shared();
        let layout = Layout::new(LIVE_PIPELINE);
        let log =
            CommitLog::recover(Arc::clone(store), layout, system.clone(), system, BACKOFF, |_| {
                true
            });
        Ok(Self { log: log.await?.0 })
    }

    /// Looks again. A partition of which the worker has read all there was shows no more than its last message's
    /// time, however long ago that was: nothing before the worker's last look at the broker is missing from it.
    ///
    /// # Errors
    /// When the log can not be read.
    pub async fn look(&mut self, status: &Status, now: i64) -> Result<Look, LogError> {
        self.log.catch_up().await?;
        let head = self.log.head();
        let mut committed_to: Option<Option<i64>> = None;
        for (partition, known) in &head.partitions {
            let ours = status.partitions.iter().find(|ours| {
                *ours.topic == *partition.topic && ours.partition == partition.partition
            });
            let clock = known.clock_ns.map(|clock| clock.div_euclid(1_000));
            let clock = match ours {
                Some(ours) if ours.lag == 0 && ours.next_offset == known.next_offset => {
                    Some(clock.unwrap_or(i64::MIN).max(now.saturating_sub(LOOKED)))
                }
                _ => clock,
            };
            committed_to = Some(match committed_to {
                None => clock,
                Some(before) => before.zip(clock).map(|(before, clock)| before.min(clock)),
            });
        }
        let tables = head.tables.iter();
        let needs =
            tables.filter_map(|(table, known)| Some((*table, known.last_add_seq?))).collect();
        Ok(Look { committed_to: committed_to.flatten(), needs })
    }
}
