//! The committer: one task that makes units durable, in order. Files first, then the record that
//! names them: the only commit point. Then the tables, the status, and a hint to Kafka.

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError};

use schemas::table::Table;
use tokio::sync::mpsc;

use super::coordinator::Work;
use super::recovery::{Claimant, Position, Recovered};
use super::status::Board;
use super::{Config, Error, SharedSource, World};
use crate::commit_log::log::{CommitLog, Entry, LogError};
use crate::commit_log::record::{self, Body, Commit, FileAdd, UnitPartition};
use crate::crash_point::{CrashPoint, pass};
use crate::files::FileWriter;
use crate::record::TopicPartition;
use crate::source::{PartitionInfo, Start};
use crate::table::actor;
use crate::table::delta::Publication;
use crate::unit::Unit;

pub(super) struct Committer {
    claimant: Claimant,
    log: CommitLog,
    files: FileWriter,
    actors: BTreeMap<Table, actor::Handle>,
    positions: BTreeMap<TopicPartition, Position>,
    backlog: Vec<Entry>,
    source: SharedSource,
    board: Arc<Board>,
    units: u64,
}

impl Committer {
    pub(super) fn new(
        world: &World,
        config: &Config,
        recovered: Recovered,
        source: SharedSource,
        board: Arc<Board>,
    ) -> Self {
        let Recovered { owner, log, tables, backlog, positions, .. } = recovered;
        let ids = tables.iter().map(|table| (table.table(), table.id().to_owned())).collect();
        let cluster_id = log.head().cluster_id.clone();
        let mut actors = BTreeMap::new();
        for table in tables {
            let name = table.table();
            let handle = actor::spawn(table);
            board.follow(name, handle.cursor.clone());
            actors.insert(name, handle);
        }
        let files = FileWriter {
            store: Arc::clone(&config.store),
            clock: Arc::clone(&world.clock),
            entropy: Arc::clone(&world.entropy),
            backoff: world.backoff,
        };
        let claimant = Claimant { owner, cluster_id, tables: ids };
        Self { claimant, log, files, actors, positions, backlog, source, board, units: 0 }
    }

    /// Works until the queue is closed and empty, then waits until the tables have everything.
    pub(super) async fn run(mut self, mut waiting: mpsc::Receiver<Work>) -> Result<(), Error> {
        let backlog = std::mem::take(&mut self.backlog);
        self.publish(&backlog).await?;
        while let Some(work) = waiting.recv().await {
            match work {
                Work::Commit(unit) => self.commit(unit).await?,
                Work::Claim(infos, reply) => {
                    let starts = self.claim(&infos).await?;
                    // The coordinator is gone only when the worker was dropped.
                    drop(reply.send(starts));
                }
            }
        }
        for (_, actor::Handle { queue, task, .. }) in std::mem::take(&mut self.actors) {
            drop(queue);
            let ended = task.await.map_err(|error| Error(format!("table actor: {error}")))?;
            ended.map_err(|error| Error(error.to_string()))?;
        }
        Ok(())
    }

    async fn commit(&mut self, unit: Unit) -> Result<(), Error> {
        self.units += 1;
        let short = self.claimant.owner.get(..8).unwrap_or_default();
        let name = format!("{short}-{}", self.units);
        pass(CrashPoint::FilesBefore);
        let adds = self.files.write(&name, unit.plans.clone()).await;
        let adds = adds.map_err(|error| Error(error.to_string()))?;
        pass(CrashPoint::FilesWritten);
        let body = Body::Commit(Commit { units: vec![self.record(&unit, adds)?] });
        let entries = self.log.append(|_| body.clone()).await.map_err(|error| halt(&error))?;
        let Some(seq) = entries.last().map(|entry| entry.record.seq) else { return Ok(()) };
        for range in &unit.ranges {
            if let Some(position) = self.positions.get_mut(&range.partition) {
                (position.next_offset, position.last_seq) = (range.to, seq);
            }
        }
        self.board.committed(seq, &unit);
        self.publish(&entries).await?;
        pass(CrashPoint::HintBefore);
        self.hint(&unit);
        Ok(())
    }

    /// The unit as the log names it. Generation and parent come from our own work, never from
    /// the head: the head's are what they are checked against.
    fn record(&self, unit: &Unit, adds: Vec<FileAdd>) -> Result<record::Unit, Error> {
        let mut partitions = Vec::with_capacity(unit.ranges.len());
        for range in &unit.ranges {
            let position = self.positions.get(&range.partition).ok_or_else(|| {
                Error(format!("{:?} was processed without a claim", range.partition))
            })?;
            partitions.push(UnitPartition {
                partition: range.partition.clone(),
                generation: position.generation,
                parent_seq: position.last_seq,
                from_offset: range.from,
                to_offset: range.to,
                messages: range.messages,
                clock_ns: range.clock.nanos(),
            });
        }
        Ok(record::Unit { owner: self.claimant.owner.clone(), partitions, adds })
    }

    async fn claim(&mut self, infos: &[PartitionInfo]) -> Result<Vec<Start>, Error> {
        let (positions, entries) = self.claimant.claim(&mut self.log, infos).await?;
        self.positions.extend(positions);
        self.publish(&entries).await?;
        let start = |(partition, position): (&TopicPartition, &Position)| Start {
            partition: partition.clone(),
            offset: position.next_offset,
        };
        Ok(self.positions.iter().map(start).collect())
    }

    /// Hands the files of these records to the table actors. Every record of the log passes here
    /// in order, other workers' too: a cursor that moves past a record has its files.
    async fn publish(&mut self, entries: &[Entry]) -> Result<(), Error> {
        for entry in entries {
            let mut tables: BTreeMap<Table, Vec<FileAdd>> = BTreeMap::new();
            for add in entry.folded.adds(&entry.record) {
                tables.entry(add.table).or_default().push(add.clone());
            }
            for (table, adds) in tables {
                let Some(actor) = self.actors.get(&table) else { continue };
                let publication = Publication { seq: entry.record.seq, adds };
                if actor.queue.send(publication).await.is_err() {
                    return Err(self.actor_ended(table).await);
                }
            }
        }
        Ok(())
    }

    async fn actor_ended(&mut self, table: Table) -> Error {
        let Some(handle) = self.actors.remove(&table) else { return Error("no actor".to_owned()) };
        match handle.task.await {
            Ok(Err(error)) => Error(error.to_string()),
            Ok(Ok(())) => Error(format!("table {}: its actor has ended", table.name())),
            Err(error) => Error(format!("table {}: its actor failed: {error}", table.name())),
        }
    }

    fn hint(&self, unit: &Unit) {
        let offsets: Vec<_> =
            unit.ranges.iter().map(|range| (range.partition.clone(), range.to)).collect();
        // Never waits: a hint is worth nothing while metadata is being asked for.
        let source = match self.source.try_lock() {
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
fn halt(error: &LogError) -> Error {
    match error {
        LogError::Rejected(rejection) => Error(format!(
            "{rejection}; this worker stops, its last unit was not committed and is read again by the owner"
        )),
        other => Error(other.to_string()),
    }
}
