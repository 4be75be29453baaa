//! Where the second pipeline begins to read the first one's log, of which the oldest records are deleted after a
//! while. A pipeline that is new counts the rows of `error_events` in the place of records that are gone; one
//! that was away for longer than they are kept goes on after them, and says how many it did not read.

use std::collections::VecDeque;
use std::sync::Arc;

use issues::Micros;
use object_store::ObjectStore;
use schemas::publish::{ISSUES_PIPELINE, LIVE_PIPELINE};
use schemas::table::Table;

use super::partition;
use super::runner::{Config, World};
use super::session::Error;
use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy};
use crate::commit_log::Layout;
use crate::commit_log::head::Head;
use crate::commit_log::log::{CommitLog, Entry, LogError};
use crate::table::inspect::inspect;

/// What there is to read.
pub(super) struct Beginning {
    /// The first pipeline's log.
    pub(super) live: CommitLog,
    /// Its records not taken in, from the first there is.
    pub(super) queue: VecDeque<Entry>,
    /// What stands in the place of earlier ones.
    pub(super) before: Before,
}

/// What is in the place of records that are gone.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Before {
    /// None is gone.
    Nothing,
    /// The pipeline is new: these files of `error_events` have all errors of the records before `to`.
    Files { paths: Vec<String>, to: u64, clock: Micros },
    /// Records were deleted before this pipeline read them: those before `to`.
    Gap { to: u64 },
}

impl Beginning {
    /// Where to begin. `next` is the first record not taken in; `None`: the pipeline is new.
    pub(super) async fn find(
        world: &World,
        config: &Config,
        next: Option<u64>,
    ) -> Result<Self, Error> {
        let usable = |head: &Head| match next {
            Some(next) => head.next_seq <= next,
            None => last_errors(head).is_none(),
        };
        let (live, entries) = what_is_left(world, config, LIVE_PIPELINE, usable).await?;
        let first = entries.first().map_or(live.head().next_seq, |entry| entry.record.seq);
        let before = match next {
            Some(next) if next < first => Before::Gap { to: first },
            // There may have been errors before the first record there is: the table has them all.
            None if first > 0 => files(config, &live, first).await?,
            _ => Before::Nothing,
        };
        let from = match before {
            Before::Files { to, .. } => to,
            _ => next.unwrap_or(first),
        };
        let queue = entries.into_iter().filter(|entry| entry.record.seq >= from).collect();
        Ok(Self { live, queue, before })
    }

    /// The offset a new pipeline claims to begin at.
    pub(super) fn offset(&self) -> u64 {
        match self.before {
            Before::Files { .. } => 0,
            _ => self.queue.front().map_or(self.live.head().next_seq, |entry| entry.record.seq),
        }
    }
}

fn last_errors(head: &Head) -> Option<u64> {
    head.tables.get(&Table::ErrorEvents)?.last_add_seq
}

/// The table's files: all errors up to the record its cursor names. What is gone of the log was published.
async fn files(config: &Config, live: &CommitLog, first: u64) -> Result<Before, Error> {
    if last_errors(live.head()).is_none() {
        return Ok(Before::Nothing);
    }
    let table = inspect(&config.store, Table::ErrorEvents, LIVE_PIPELINE).await?;
    let Some(table) = table else { return Ok(Before::Nothing) };
    let to = table.cursor.map_or(first, |cursor| first.max(cursor.saturating_add(1)));
    let clocks = live.head().partitions.values().filter_map(|head| head.clock_ns);
    let clock = clocks.max().unwrap_or_default() / 1_000;
    let paths = table.files.into_keys().collect();
    Ok(Before::Files { paths, to, clock })
}

/// The log from the newest snapshot that `usable` takes; where its records are deleted, what is left of it.
pub(super) async fn what_is_left(
    world: &World,
    config: &Config,
    pipeline: &str,
    usable: impl Fn(&Head) -> bool,
) -> Result<(CommitLog, Vec<Entry>), Error> {
    let (store, layout) = (&config.store, Layout::new(pipeline));
    let (clock, entropy) = (&world.clock, &world.entropy);
    Ok(CommitLog::recover_what_is_left(store, layout, clock, entropy, world.backoff, usable)
        .await?)
}

/// First record of the first pipeline that the second one has not read; `None` where there is no second.
/// What is collected of the first one's log asks for it.
pub(crate) async fn position(
    store: &Arc<dyn ObjectStore>,
    clock: &Arc<dyn Clock>,
    entropy: &Arc<dyn Entropy>,
    backoff: Backoff,
) -> Result<Option<u64>, LogError> {
    let (clock, entropy) = (Arc::clone(clock), Arc::clone(entropy));
    let layout = Layout::new(ISSUES_PIPELINE);
    let log = CommitLog::recover(Arc::clone(store), layout, clock, entropy, backoff, |_| true);
    let (log, _) = log.await?;
    let known = log.head().partitions.get(&partition());
    Ok(known.and_then(|known| u64::try_from(known.next_offset).ok()))
}
