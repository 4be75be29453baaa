//! A worker of the first pipeline: real stages, files, log, tables and upkeep; what to do next comes from the
//! schedule.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;
use schemas::time::EventTime;
use schemas::topic::{Format, Signal};
use tokio_util::sync::CancellationToken;

use super::super::chance::SeededEntropy;
use super::super::worker::claimed;
use super::{Gone, World, death};
use crate::commit_log::head::Head;
use crate::commit_log::log::{CommitLog, Entry, TEST_BACKOFF};
use crate::commit_log::probe::{self, ProbeError};
use crate::commit_log::record::{self, Body, Claim, Commit, UnitPartition};
use crate::commit_log::{Layout, snapshot};
use crate::fault_store::FaultStore;
use crate::files::FileWriter;
use crate::fixture;
use crate::lane::{Assigned, Lane, Share};
use crate::source::Batch;
use crate::table::delta::PublishedTable;
use crate::table::publication::Publication;
use crate::unit::{OffsetRange, Unit};
use crate::upkeep::pass::{self, Keeper};

/// Where this life stands in a partition it has claimed.
#[derive(Debug, Clone, Copy)]
struct Position {
    generation: u64,
    last_seq: u64,
    next: i64,
    clock_ns: Option<i64>,
}

/// One life.
pub(super) struct Worker {
    store: Arc<FaultStore>,
    owner: String,
    log: CommitLog,
    tables: BTreeMap<Table, PublishedTable>,
    /// What the tables have not been told yet.
    waiting: BTreeMap<Table, Vec<Publication>>,
    held: BTreeMap<i32, Position>,
    lane: Lane,
    files: FileWriter,
    /// A unit whose files are written, and that no record names yet.
    ready: Option<record::Unit>,
    units: u64,
    keeper: Keeper,
}

impl Worker {
    /// Recovers, as a process that starts does; says why the store did not let it.
    pub(super) async fn start(world: &mut World, faulty: bool) -> Result<Self, String> {
        let store = world.faulty_store(faulty);
        let shared: Arc<dyn ObjectStore> = store.clone();
        // Its own: how often a dead store is asked again must not change what others draw.
        let entropy = Arc::new(SeededEntropy::new(world.chance.bits()));
        let (clock, layout) = (world.clock.clone(), Layout::new(LIVE_PIPELINE));
        let probed = probe::probe(shared.as_ref(), &layout, entropy.as_ref(), TEST_BACKOFF).await;
        if let Err(error) = probed {
            world.tally.refused += u64::from(matches!(error, ProbeError::IgnoresCreate(_)));
            return Err(error.to_string());
        }
        let mut tables = BTreeMap::new();
        for table in Table::of(LIVE_PIPELINE) {
            let (clock, entropy) = (clock.clone(), entropy.clone());
            let store = shared.clone();
            let open =
                PublishedTable::open(store, table, LIVE_PIPELINE, clock, entropy, TEST_BACKOFF);
            tables.insert(table, open.await.map_err(|error| error.to_string())?);
        }
        let cursors = tables.iter().map(|(table, open)| (*table, open.cursor())).collect();
        let recovered = CommitLog::recover(
            shared.clone(),
            layout,
            clock.clone(),
            entropy.clone(),
            TEST_BACKOFF,
            |head| head.is_published_at(&cursors),
        );
        let (log, entries) = recovered.await.map_err(|error| error.to_string())?;
        if let Some((_, seq)) = log.head().is_behind(&cursors) {
            return Err(format!("the log ends before seq {seq}, which a table contains"));
        }
        world.tally.lives += 1;
        let keeper = pass::World {
            store: shared.clone(),
            clock: clock.clone(),
            entropy: entropy.clone(),
            backoff: TEST_BACKOFF,
            stop: CancellationToken::new(),
        };
        let owner = format!("{:016x}", world.chance.bits());
        let keeper = Keeper::new(keeper, LIVE_PIPELINE, super::upkeep(), owner.clone());
        let mut worker = Self {
            store,
            owner,
            log,
            tables,
            waiting: BTreeMap::new(),
            held: BTreeMap::new(),
            lane: Lane::new(world.pipeline.clone(), Share::of(1)),
            files: FileWriter { store: shared, clock, entropy, backoff: TEST_BACKOFF },
            ready: None,
            units: 0,
            keeper,
        };
        worker.take(&entries);
        Ok(worker)
    }

    pub(super) fn head(&self) -> &Head {
        self.log.head()
    }

    fn take(&mut self, entries: &[Entry]) {
        for (table, publication) in entries.iter().flat_map(Publication::of) {
            self.waiting.entry(table).or_default().push(publication);
        }
    }

    /// Appends; the seq, or `None` when this life is over.
    async fn append(&mut self, mut make: impl FnMut(&Head) -> Body) -> Option<u64> {
        let entries = self.log.append(&mut make).await.ok()?;
        self.take(&entries);
        entries.last().map(|entry| entry.record.seq)
    }

    /// Takes these partitions, whoever has them.
    pub(super) async fn claim(&mut self, wanted: &[i32]) -> bool {
        let owner = self.owner.clone();
        let ids: BTreeMap<Table, String> =
            self.tables.iter().map(|(table, open)| (*table, open.id().to_owned())).collect();
        let make = |head: &Head| {
            Body::Claim(Claim {
                owner: owner.clone(),
                cluster_id: None,
                tables: ids.clone(),
                partitions: wanted.iter().map(|number| claimed(head, *number)).collect(),
                group: None,
            })
        };
        if self.append(make).await.is_none() {
            return false;
        }
        for number in wanted {
            if let Some(known) = self.log.head().partitions.get(&fixture::partition(*number)) {
                let position = Position {
                    generation: known.generation,
                    last_seq: known.last_seq,
                    next: known.next_offset,
                    clock_ns: known.clock_ns,
                };
                self.held.insert(*number, position);
            }
        }
        self.begin_again();
        true
    }

    /// What is not committed is thrown away and read again.
    pub(super) fn begin_again(&mut self) {
        self.ready = None;
        self.lane.reset();
        for (number, position) in &self.held {
            self.lane.assign(Assigned {
                partition: fixture::partition(*number),
                signal: Signal::Logs,
                input: Format::Json.into(),
                next_offset: position.next,
                clock: position.clock_ns.map(EventTime::from_nanos),
            });
        }
    }

    /// Takes some messages of what it holds through the stages.
    pub(super) fn read(&mut self, world: &mut World) {
        for number in self.held.keys() {
            let most = world.chance.below(6) as usize;
            read_some(&mut self.lane, world, *number, most);
        }
    }

    /// Ends a unit and writes its files.
    pub(super) async fn write(&mut self) -> bool {
        if self.ready.is_some() {
            return true;
        }
        let part = self.lane.cut().expect("columns");
        let Some(unit) = Unit::assemble(vec![part]) else { return true };
        self.units += 1;
        let name = format!("{}-{}", self.owner.get(..8).unwrap_or_default(), self.units);
        let mut adds = Vec::new();
        for plan in unit.plans {
            // One after the other: which write of a life is which must not depend on threads.
            let written = tokio::select! {
                biased;
                written = self.files.write(&name, vec![plan]) => written.expect("encodes"),
                () = death(&self.store) => return false,
            };
            adds.extend(written);
        }
        let partitions = unit.ranges.iter().filter_map(|range| self.part(range)).collect();
        let (owner, kept) = (self.owner.clone(), Vec::new());
        self.ready =
            Some(record::Unit { owner, partitions, adds, kept, pipeline: None, state: None });
        true
    }

    fn part(&self, range: &OffsetRange) -> Option<UnitPartition> {
        let position = self.held.get(&range.partition.partition)?;
        Some(UnitPartition {
            partition: range.partition.clone(),
            generation: position.generation,
            parent_seq: position.last_seq,
            from_offset: range.from,
            to_offset: range.to,
            messages: range.messages,
            clock_ns: range.clock.nanos(),
            anchor: None,
        })
    }

    /// Commits the unit written before, maybe long before; whether there was one. `None`: this life is over.
    pub(super) async fn commit(&mut self) -> Option<bool> {
        let Some(unit) = self.ready.take() else { return Some(false) };
        let body = Body::Commit(Commit { units: vec![unit.clone()] });
        let seq = self.append(|_| body.clone()).await?;
        for part in unit.partitions {
            if let Some(position) = self.held.get_mut(&part.partition.partition) {
                (position.next, position.last_seq) = (part.to_offset, seq);
                position.clock_ns = Some(part.clock_ns);
            }
        }
        Some(true)
    }

    /// Everything there is, up to the tables.
    pub(super) async fn finish(&mut self, world: &World) -> bool {
        for number in self.held.keys() {
            read_some(&mut self.lane, world, *number, usize::MAX);
        }
        self.write().await && self.commit().await.is_some() && self.publish(|_| true).await
    }

    /// Tells these tables.
    pub(super) async fn publish(&mut self, mut wanted: impl FnMut(Table) -> bool) -> bool {
        for (table, publications) in &mut self.waiting {
            let Some(open) = self.tables.get_mut(table).filter(|_| wanted(*table)) else {
                continue;
            };
            if open.publish(publications).await.is_err() {
                return false;
            }
            // Some are kept: a repeated call must be harmless.
            publications.drain(..publications.len().saturating_sub(2));
        }
        true
    }

    /// Writes down what the log adds up to, so that the records before it can go. A failure costs nothing.
    pub(super) async fn snapshot(&self) {
        drop(snapshot::save(self.store.as_ref(), &Layout::new(LIVE_PIPELINE), self.head()).await);
    }

    /// A pass of upkeep; with a delay after which garbage goes, it looks for garbage, too.
    pub(super) async fn upkeep(&mut self, publish: bool, delete: Option<Duration>) -> Option<Gone> {
        super::pass(&mut self.keeper, LIVE_PIPELINE, publish, delete).await
    }
}

fn read_some(lane: &mut Lane, world: &World, number: i32, most: usize) {
    let partition = fixture::partition(number);
    let Some(next) = lane.next_offset(&partition) else { return };
    let produced = world.produced.get(number as usize).map(Vec::as_slice).unwrap_or_default();
    let records: Vec<_> = (0i64..)
        .zip(produced)
        .filter(|(offset, _)| *offset >= next)
        .take(most)
        .map(|(offset, message)| message.record(offset))
        .collect();
    if !records.is_empty() {
        lane.process(&Batch { partition, records });
    }
}
