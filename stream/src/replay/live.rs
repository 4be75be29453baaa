//! The live pipeline as a replay sees it: its log, and the tables with everything the log says.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::TryStreamExt as _;
use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;

use super::ReplayError;
use crate::commit_log::Layout;
use crate::commit_log::log::{CommitLog, Entry};
use crate::commit_log::record::{Body, MaintenanceKind};
use crate::table::delta::PublishedTable;
use crate::table::publication::Publication;
use crate::upkeep::pass::World;

/// Log and tables.
#[derive(Debug)]
pub struct Live {
    /// The log, up to its end when it was read.
    pub log: CommitLog,
    /// Tables that contain all of it.
    pub tables: BTreeMap<Table, PublishedTable>,
    /// Records since `since`, or more.
    entries: Vec<Entry>,
}

impl Live {
    /// Reads both, and publishes what the tables lack: beside a running worker, which then finds it done.
    /// `since` says from which record on [`Self::swap_of`] looks.
    ///
    /// # Errors
    /// Storage, or nothing was ever written here.
    pub async fn open(world: &World, since: u64) -> Result<Self, ReplayError> {
        let layout = Layout::new(LIVE_PIPELINE);
        // Opening the tables would create them.
        if world.store.list(Some(&layout.records())).try_next().await?.is_none() {
            return Err(ReplayError::Nothing);
        }
        let mut tables = BTreeMap::new();
        for table in Table::of(LIVE_PIPELINE) {
            let World { store, clock, entropy, backoff, .. } = world.clone();
            let open =
                PublishedTable::open(store, table, LIVE_PIPELINE, clock, entropy, backoff).await?;
            tables.insert(table, open);
        }
        let cursors = tables.iter().map(|(table, open)| (*table, open.cursor())).collect();
        let World { store, clock, entropy, backoff, .. } = world.clone();
        let usable = |covers: u64| {
            let cursors: &BTreeMap<Table, Option<u64>> = &cursors;
            move |head: &crate::commit_log::head::Head| {
                head.is_published_at(cursors) && head.next_seq <= covers
            }
        };
        let read = |covers| {
            let (store, clock) = (Arc::clone(&store), Arc::clone(&clock));
            let (entropy, layout) = (Arc::clone(&entropy), layout.clone());
            CommitLog::recover(store, layout, clock, entropy, backoff, usable(covers))
        };
        let (log, entries) = match read(since).await {
            Ok(found) => found,
            // Records of so long ago were collected: what is there then says whether it is done.
            Err(error) => {
                tracing::debug!(%error, since, "the log is read from its newest snapshot");
                read(u64::MAX).await?
            }
        };
        let mut live = Self { log, tables, entries: Vec::new() };
        live.publish(&entries).await?;
        live.entries = entries;
        Ok(live)
    }

    /// Performs the changes of these records on the tables.
    ///
    /// # Errors
    /// A table can not be published to.
    pub async fn publish(&mut self, entries: &[Entry]) -> Result<(), ReplayError> {
        let mut tables: BTreeMap<Table, Vec<Publication>> = BTreeMap::new();
        for (table, publication) in entries.iter().flat_map(Publication::of) {
            tables.entry(table).or_default().push(publication);
        }
        for (table, publications) in tables {
            if let Some(open) = self.tables.get_mut(&table) {
                open.publish(&publications).await?;
            }
        }
        Ok(())
    }

    /// The record that swapped a replay in, among those read.
    pub fn swap_of(&self, id: &str) -> Option<u64> {
        let is_it = |entry: &&Entry| {
            let Body::Maintenance(maintenance) = &entry.record.body else { return false };
            entry.folded.rejected.is_empty()
                && matches!(&maintenance.kind, MaintenanceKind::Swap { replay } if replay == id)
        };
        self.entries.iter().find(is_it).map(|entry| entry.record.seq)
    }

    /// Whether another replay was swapped in by the record `from` or a later one, among those read.
    pub fn other_swap(&self, id: &str, from: u64) -> bool {
        self.entries.iter().filter(|entry| entry.record.seq >= from).any(|entry| {
            let Body::Maintenance(maintenance) = &entry.record.body else { return false };
            entry.folded.rejected.is_empty()
                && matches!(&maintenance.kind, MaintenanceKind::Swap { replay } if replay != id)
        })
    }

    /// A table.
    pub fn table(&self, table: Table) -> Option<&PublishedTable> {
        self.tables.get(&table)
    }
}
