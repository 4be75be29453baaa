//! A worker of the simulation: the real log and table, and as little around them as possible.

use std::collections::BTreeMap;
use std::sync::Arc;

use object_store::ObjectStore;
use schemas::table::Table;

use super::oracle::Range;
use super::{PARTITIONS, WRITES, World};
use crate::commit_log::Layout;
use crate::commit_log::head::Head;
use crate::commit_log::head::tests::topic_partition;
use crate::commit_log::log::{CommitLog, Entry, LogError, TEST_BACKOFF};
use crate::commit_log::probe::{self, ProbeError};
use crate::commit_log::record::{
    Body, Claim, ClaimedPartition, Commit, FileAdd, FileRemove, Maintenance, MaintenanceKind,
    TableChange, Unit, UnitPartition,
};
use crate::fault_store::{FaultStore, Rule};
use crate::table::delta::PublishedTable;
use crate::table::publication::Publication;

/// Bytes of every file.
pub(super) const FILE_BYTES: usize = 10;

/// Where this life of a worker stands in a partition it has claimed.
#[derive(Debug, Clone, Copy)]
struct Position {
    generation: u64,
    last_seq: u64,
    next: i64,
}

/// One life.
pub(super) struct Worker {
    owner: String,
    log: CommitLog,
    table: PublishedTable,
    /// What the table has not been told yet.
    waiting: Vec<Publication>,
    held: BTreeMap<i32, Position>,
    /// A compaction that was planned, and not yet appended.
    plan: Option<Maintenance>,
}

impl Worker {
    /// Recovers, as a process that starts does; says why the store did not let it.
    pub(super) async fn start(world: &mut World, faulty: bool) -> Result<Self, String> {
        let rules: Vec<Rule> = if faulty { world.chance.faults(WRITES) } else { Vec::new() };
        let store = Arc::new(FaultStore::new(world.store.clone(), rules));
        world.stores.push(store.clone());
        let shared: Arc<dyn ObjectStore> = store;
        let layout = Layout::new("live");
        let probed =
            probe::probe(shared.as_ref(), &layout, world.entropy.as_ref(), TEST_BACKOFF).await;
        if let Err(error) = probed {
            world.tally.refused += u64::from(matches!(error, ProbeError::IgnoresCreate(_)));
            return Err(error.to_string());
        }
        let open = PublishedTable::open(
            shared.clone(),
            Table::Logs,
            "live",
            world.clock.clone(),
            world.entropy.clone(),
            TEST_BACKOFF,
        );
        let table = open.await.map_err(|error| error.to_string())?;
        let cursors = BTreeMap::from([(Table::Logs, table.cursor())]);
        let recovered = CommitLog::recover(
            shared,
            layout,
            world.clock.clone(),
            world.entropy.clone(),
            TEST_BACKOFF,
            |head| head.is_published_at(&cursors),
        );
        let (log, entries) = recovered.await.map_err(|error| error.to_string())?;
        if let Some((_, seq)) = log.head().is_behind(&cursors) {
            return Err(format!("the log ends before seq {seq}, which the table contains"));
        }
        world.tally.lives += 1;
        let owner = format!("{:016x}", world.chance.bits());
        let (waiting, held) = (Vec::new(), BTreeMap::new());
        let mut worker = Self { owner, log, table, waiting, held, plan: None };
        worker.take(&entries);
        Ok(worker)
    }

    pub(super) fn head(&self) -> &Head {
        self.log.head()
    }

    pub(super) fn cursors(&self) -> BTreeMap<Table, Option<u64>> {
        BTreeMap::from([(Table::Logs, self.table.cursor())])
    }

    pub(super) fn files(&self) -> Result<Vec<String>, String> {
        self.table.files().map_err(|error| error.to_string())
    }

    fn take(&mut self, entries: &[Entry]) {
        let publications = entries.iter().filter_map(|entry| {
            let mut tables = Publication::of(entry);
            tables.remove(&Table::Logs)
        });
        self.waiting.extend(publications);
    }

    /// Appends; `false` when this life is over.
    async fn append(&mut self, mut make: impl FnMut(&Head) -> Body) -> Option<u64> {
        match self.log.append(&mut make).await {
            Ok(entries) => {
                self.take(&entries);
                entries.last().map(|entry| entry.record.seq)
            }
            Err(LogError::Rejected(_) | _) => None,
        }
    }

    /// Takes some partitions, whoever has them.
    pub(super) async fn claim(&mut self, world: &mut World) -> bool {
        let wanted: Vec<i32> = (0..PARTITIONS).filter(|_| world.chance.below(2) == 0).collect();
        wanted.is_empty() || self.claim_these(&wanted).await
    }

    pub(super) async fn claim_all(&mut self, _: &World) -> bool {
        self.claim_these(&(0..PARTITIONS).collect::<Vec<_>>()).await
    }

    async fn claim_these(&mut self, wanted: &[i32]) -> bool {
        let (owner, id) = (self.owner.clone(), self.table.id().to_owned());
        let make = |head: &Head| {
            Body::Claim(Claim {
                owner: owner.clone(),
                cluster_id: None,
                tables: BTreeMap::from([(Table::Logs, id.clone())]),
                partitions: wanted.iter().map(|number| claimed(head, *number)).collect(),
                group: None,
            })
        };
        if self.append(make).await.is_none() {
            return false;
        }
        for number in wanted {
            if let Some(known) = self.log.head().partitions.get(&topic_partition(*number)) {
                let position = Position {
                    generation: known.generation,
                    last_seq: known.last_seq,
                    next: known.next_offset,
                };
                self.held.insert(*number, position);
            }
        }
        true
    }

    /// Works on some records of what it holds, and commits them.
    pub(super) async fn commit(&mut self, world: &mut World) -> bool {
        let ends: BTreeMap<i32, i64> = self
            .held
            .iter()
            .map(|(number, position)| (*number, position.next + world.chance.below(4) as i64))
            .collect();
        self.commit_up_to(world, &ends).await
    }

    pub(super) async fn commit_rest(&mut self, world: &mut World) -> bool {
        let ends = (0i32..).zip(world.produced.iter().copied()).collect();
        self.commit_up_to(world, &ends).await
    }

    async fn commit_up_to(&mut self, world: &mut World, ends: &BTreeMap<i32, i64>) -> bool {
        let mut ranges = Vec::new();
        for (number, position) in &self.held {
            let high = world.produced.get(*number as usize).copied().unwrap_or(0);
            let to = ends.get(number).copied().unwrap_or(0).min(high);
            if to > position.next {
                ranges.push(Range { partition: *number, from: position.next, to });
            }
        }
        if ranges.is_empty() {
            return true;
        }
        let path = world.file(ranges.clone()).await;
        let partitions = ranges.iter().filter_map(|range| {
            let position = self.held.get(&range.partition)?;
            Some(unit_partition(range, position.generation, position.last_seq))
        });
        let unit = Unit {
            owner: self.owner.clone(),
            partitions: partitions.collect(),
            adds: vec![add(&path, world.oracle.rows(&path))],
            kept: Vec::new(),
            pipeline: None,
            state: None,
        };
        let body = Body::Commit(Commit { units: vec![unit] });
        let Some(seq) = self.append(|_| body.clone()).await else { return false };
        for range in ranges {
            if let Some(position) = self.held.get_mut(&range.partition) {
                (position.next, position.last_seq) = (range.to, seq);
            }
        }
        true
    }

    /// Tells the table.
    pub(super) async fn publish(&mut self, _: &World) -> bool {
        let done = self.table.publish(&self.waiting).await.is_ok();
        // Some are kept: a repeated call must be harmless.
        let keep = self.waiting.len().saturating_sub(2);
        self.waiting.drain(..keep);
        done
    }

    /// Chooses files of the table as it is now, to become one.
    pub(super) async fn plan_compaction(&mut self, world: &mut World) -> bool {
        if self.table.reload().await.is_err() {
            return false;
        }
        let known = self.log.head().tables.get(&Table::Logs);
        let parent_seq = known.and_then(|known| known.last_maintenance_seq);
        // A table behind the last maintenance still shows files that are gone.
        if parent_seq > self.table.cursor() {
            return true;
        }
        let Ok(mut files) = self.files() else { return false };
        files.sort_unstable();
        files.truncate(2 + world.chance.below(3) as usize);
        if files.len() < 2 {
            return true;
        }
        let ranges = files.iter().flat_map(|path| world.oracle.contents(path)).collect();
        let path = world.file(ranges).await;
        let remove = |path: &String| FileRemove {
            path: path.clone(),
            date: "2024-04-27".to_owned(),
            hour: 1,
            size: FILE_BYTES as i64,
            rows: world.oracle.rows(path),
        };
        let change = TableChange {
            table: Table::Logs,
            parent_seq,
            removes: files.iter().map(remove).collect(),
            adds: vec![add(&path, world.oracle.rows(&path))],
        };
        self.plan = Some(Maintenance {
            author: self.owner.clone(),
            kind: MaintenanceKind::Compact,
            changes: vec![change],
        });
        true
    }

    /// Appends the compaction planned before, maybe long before.
    pub(super) async fn compact(&mut self, _: &World) -> bool {
        let Some(plan) = self.plan.take() else { return true };
        match self.log.append(|_| Body::Maintenance(plan.clone())).await {
            Ok(entries) => {
                self.take(&entries);
                true
            }
            // Others' records may have been folded on the way: this life has not published them.
            Err(_) => false,
        }
    }
}

/// A partition as the next claim of it names it.
pub(super) fn claimed(head: &Head, number: i32) -> ClaimedPartition {
    let partition = topic_partition(number);
    let known = head.partitions.get(&partition);
    ClaimedPartition {
        generation: known.map_or(1, |known| known.generation + 1),
        start_offset: known.map_or(0, |known| known.next_offset),
        partition,
    }
}

pub(super) fn unit_partition(range: &Range, generation: u64, parent_seq: u64) -> UnitPartition {
    UnitPartition {
        partition: topic_partition(range.partition),
        generation,
        parent_seq,
        from_offset: range.from,
        to_offset: range.to,
        messages: range.to - range.from,
        clock_ns: 0,
        anchor: None,
    }
}

pub(super) fn add(path: &str, rows: i64) -> FileAdd {
    FileAdd {
        table: Table::Logs,
        path: path.to_owned(),
        date: "2024-04-27".to_owned(),
        hour: 1,
        size: FILE_BYTES as i64,
        rows,
        stats: format!("{{\"numRecords\":{rows}}}"),
        modified_millis: 0,
    }
}
