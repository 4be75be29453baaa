//! The loop of a replay: reads the stretches one after another, has several units worked on at once, commits them
//! in order to the replay's own log. Whoever kills it loses the units under way; resuming reads on behind the
//! last one committed. Two that resume the same replay at once fence one another as live workers do.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use futures::StreamExt as _;
use schemas::limits::{REPLAY_FILE_ROWS, REPLAY_UNIT_BYTES, REPLAY_UNIT_MESSAGES};
use schemas::table::Table;
use schemas::topic::{Format, Signal};
use stages::input::Input;
use stages::pipeline::Pipeline;
use stages::record::{Record, TopicPartition};
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;
use xxhash_rust::xxh3::xxh3_64;

use super::choose::ReadRange;
use super::old::OldRows;
use super::plan::Plan;
use super::reader::Reader;
use super::restore::Restore;
use super::restored;
use super::runs::{self, Settler};
use super::staged::{self, Staged};
use super::unit::{self, Portion, Processed};
use super::{ReplayError, archived, journal};
use crate::archive::Position;
use crate::commit_log::log::CommitLog;
use crate::commit_log::record::{
    Body, Claim, ClaimedPartition, Commit, FileAdd, Maintenance, MaintenanceKind, TableChange,
    Unit, UnitPartition,
};
use crate::files::{FilePlan, FileWriter};
use crate::unit::Part;
use crate::upkeep::pass::World;
use crate::upkeep::rewrite::Rewriter;

/// How far it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Messages done.
    pub messages: i64,
    /// Those of them that a former life has done.
    pub before: i64,
    /// Of so many, where it is known.
    pub of: Option<i64>,
}

/// Where the replay's own work on a partition stands.
#[derive(Debug, Clone, Copy)]
struct Standing {
    generation: u64,
    last_seq: u64,
    next: i64,
}

/// A replay being staged.
pub struct Stage<'a> {
    /// Storage, clocks, and the signal to stop.
    pub world: &'a World,
    /// What it does.
    pub plan: &'a Plan,
    /// The pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Which excluded events come back, where that is what it does.
    pub restore: Option<Arc<Restore>>,
    /// Units worked on at once.
    pub threads: usize,
    /// A name nobody else who works on it has.
    pub owner: String,
    /// Told after every unit.
    pub progress: &'a (dyn Fn(Progress) + Send + Sync),
}

impl std::fmt::Debug for Stage<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stage").field("plan", self.plan).finish_non_exhaustive()
    }
}

/// One unit, written and not committed.
struct Written {
    part: Part,
    adds: Vec<FileAdd>,
}

impl Stage<'_> {
    /// Reads what was not read yet, and merges what is small. Everything is staged when it returns.
    ///
    /// # Errors
    /// A source, storage, or somebody else who resumed the same replay.
    pub async fn run(
        &self,
        reader: Box<dyn Reader>,
        old: Option<OldRows>,
    ) -> Result<Staged, ReplayError> {
        let (mut log, mut staged) = staged::read(&self.world.store, self.plan).await?;
        let mut positions = self.claim(&mut log, &mut staged).await?;
        let todo = self.todo(&positions);
        if !todo.is_empty() {
            self.read(reader, old, todo, (&mut log, &mut staged, &mut positions)).await?;
        }
        self.check(&staged)?;
        if self.restore.is_some() {
            let adds = restored::count(self.world, self.plan, &staged).await?;
            if !adds.is_empty() {
                let body = restored::counted(self.plan, &log, adds);
                self.append(&mut log, &mut staged, body).await?;
            }
        }
        self.settle(&mut log, &mut staged).await?;
        Ok(staged)
    }

    /// Takes all partitions, so that whoever else works on this replay is refused from here on.
    async fn claim(
        &self,
        log: &mut CommitLog,
        staged: &mut Staged,
    ) -> Result<BTreeMap<TopicPartition, Standing>, ReplayError> {
        let mut firsts: BTreeMap<&TopicPartition, i64> = BTreeMap::new();
        for read in &self.plan.reads {
            firsts.entry(&read.stretch.partition).or_insert(read.stretch.from);
        }
        let claim = |head: &crate::commit_log::head::Head| {
            let partition = |(partition, first): (&&TopicPartition, &i64)| {
                let known = head.partitions.get(*partition);
                ClaimedPartition {
                    partition: (*partition).clone(),
                    generation: known.map_or(0, |known| known.generation) + 1,
                    start_offset: known.map_or(*first, |known| known.next_offset),
                }
            };
            Body::Claim(Claim {
                owner: self.owner.clone(),
                cluster_id: None,
                tables: BTreeMap::new(),
                partitions: firsts.iter().map(partition).collect(),
                group: None,
            })
        };
        let entries = log.append(claim).await?;
        staged.fold(&entries);
        let stands =
            |(partition, head): (&TopicPartition, &crate::commit_log::head::PartitionHead)| {
                let (generation, last_seq) = (head.generation, head.last_seq);
                (partition.clone(), Standing { generation, last_seq, next: head.next_offset })
            };
        Ok(log.head().partitions.iter().map(stands).collect())
    }

    /// What is left to read, each with its first offset.
    fn todo(&self, positions: &BTreeMap<TopicPartition, Standing>) -> VecDeque<(ReadRange, i64)> {
        let left = |read: &ReadRange| {
            let next = positions.get(&read.stretch.partition).map_or(0, |known| known.next);
            let from = next.max(read.stretch.from);
            (from < read.stretch.to).then(|| (read.clone(), from))
        };
        self.plan.reads.iter().filter_map(left).collect()
    }

    async fn read(
        &self,
        reader: Box<dyn Reader>,
        old: Option<OldRows>,
        todo: VecDeque<(ReadRange, i64)>,
        (log, staged, positions): (
            &mut CommitLog,
            &mut Staged,
            &mut BTreeMap<TopicPartition, Standing>,
        ),
    ) -> Result<(), ReplayError> {
        let (sender, portions) = mpsc::channel(1);
        let cutting = Cutter { reader, old, sender };
        let _reading = AbortOnDropHandle::new(tokio::spawn(cutting.run(todo)));
        let portions = futures::stream::unfold(portions, |mut portions| async {
            portions.recv().await.map(|portion| (portion, portions))
        });
        let mut units = std::pin::pin!(
            portions.map(|portion| self.work(portion)).buffered(self.threads.max(1))
        );
        let before: i64 = staged.units.iter().map(|unit| unit.messages).sum();
        let mut messages = before;
        while let Some(unit) = units.next().await {
            let written = unit??;
            if self.world.stop.is_cancelled() {
                return Err(ReplayError::Stopped);
            }
            messages += written.part.ranges.iter().map(|range| range.messages).sum::<i64>();
            self.commit(written, log, staged, positions).await?;
            (self.progress)(Progress { messages, before, of: self.plan.messages() });
        }
        Ok(())
    }

    /// Begins to work on a portion.
    fn work(
        &self,
        portion: Result<Portion, ReplayError>,
    ) -> AbortOnDropHandle<Result<Written, ReplayError>> {
        let (pipeline, restore) = (Arc::clone(&self.pipeline), self.restore.clone());
        let World { store, clock, entropy, backoff, .. } = self.world.clone();
        let writer = FileWriter { store, clock, entropy, backoff };
        let replay = self.plan.id.clone();
        AbortOnDropHandle::new(tokio::spawn(async move {
            let portion = portion?;
            let name = diff_name(&portion.partition, portion.from);
            if let Some(behind) = &portion.behind {
                // Before the unit: whoever goes on behind it knows where.
                archived::keep_position(&writer.store, &replay, portion.to, behind).await?;
            }
            let process = move || match restore {
                Some(restore) => restore.process(&pipeline, portion),
                None => unit::process(&pipeline, portion),
            };
            let Processed { mut part, diff } = tokio::task::spawn_blocking(process).await??;
            if let Some(diff) = diff {
                // Before the unit: a unit that is committed has its difference.
                journal::put(&writer.store, &journal::key(&replay, &name), &diff).await?;
            }
            let adds = write(&writer, &replay, &mut part).await?;
            Ok(Written { part, adds })
        }))
    }

    async fn commit(
        &self,
        written: Written,
        log: &mut CommitLog,
        staged: &mut Staged,
        positions: &mut BTreeMap<TopicPartition, Standing>,
    ) -> Result<(), ReplayError> {
        let Written { part, adds } = written;
        for range in &part.ranges {
            let Some(position) = positions.get(&range.partition).copied() else { continue };
            // An accepted gap between two stretches is passed without a file.
            let gap = (position.next < range.from).then_some((position.next, range.from, 0));
            let mut last_seq = position.last_seq;
            for (from, to, messages) in
                gap.into_iter().chain([(range.from, range.to, range.messages)])
            {
                let adds = if from == range.from { adds.clone() } else { Vec::new() };
                let partitions = vec![UnitPartition {
                    partition: range.partition.clone(),
                    generation: position.generation,
                    parent_seq: last_seq,
                    from_offset: from,
                    to_offset: to,
                    messages,
                    clock_ns: range.clock.nanos(),
                    anchor: None,
                }];
                let unit = Unit {
                    owner: self.owner.clone(),
                    partitions,
                    adds,
                    kept: Vec::new(),
                    pipeline: None,
                    state: None,
                };
                last_seq =
                    self.append(log, staged, Body::Commit(Commit { units: vec![unit] })).await?;
            }
            let moved = Standing { last_seq, next: range.to, ..position };
            positions.insert(range.partition.clone(), moved);
        }
        Ok(())
    }

    async fn append(
        &self,
        log: &mut CommitLog,
        staged: &mut Staged,
        body: Body,
    ) -> Result<u64, ReplayError> {
        let entries = log.append(|_| body.clone()).await?;
        staged.fold(&entries);
        Ok(entries.last().map_or(0, |entry| entry.record.seq))
    }

    /// The source must have given every message the worker once read.
    fn check(&self, staged: &Staged) -> Result<(), ReplayError> {
        for read in &self.plan.reads {
            let found = staged.messages(read);
            if let Some(expected) = read.messages.filter(|expected| *expected != found) {
                let TopicPartition { topic, partition } = &read.stretch.partition;
                return Err(ReplayError::OtherMessages {
                    topic: topic.to_string(),
                    partition: *partition,
                    from: read.stretch.from,
                    to: read.stretch.to,
                    expected,
                    found,
                });
            }
        }
        Ok(())
    }

    /// Merges the runs of every table, and records it: from then on nothing small is left.
    async fn settle(&self, log: &mut CommitLog, staged: &mut Staged) -> Result<(), ReplayError> {
        let World { store, clock, entropy, stop, .. } = self.world.clone();
        let rewriter = Rewriter { store, clock, entropy, stop };
        for table in super::covered::tables() {
            let runs = staged.runs(table);
            if runs.is_empty() {
                continue;
            }
            let settler = Settler { rewriter: &rewriter, replay: &self.plan.id, table };
            let adds = settler.settle(runs.clone()).await?;
            let removes = runs.iter().map(remove).collect();
            let maintenance = log.head().tables.get(&table);
            let parent_seq = maintenance.and_then(|head| head.last_maintenance_seq);
            let author = format!("replay-{}", self.plan.id);
            let changes = vec![TableChange { table, parent_seq, removes, adds }];
            let kind = MaintenanceKind::Compact;
            let body = Body::Maintenance(Maintenance { author, kind, changes });
            self.append(log, staged, body).await?;
        }
        runs::clear(&rewriter, &self.plan.id).await
    }
}

/// A staged file as a record lets go of it.
fn remove(add: &FileAdd) -> crate::commit_log::record::FileRemove {
    crate::commit_log::record::FileRemove {
        path: add.path.clone(),
        date: add.date.clone(),
        hour: add.hour,
        size: add.size,
        rows: add.rows,
    }
}

/// Where the difference a unit makes is kept.
pub(super) fn diff_name(partition: &TopicPartition, from: i64) -> String {
    let TopicPartition { topic, partition } = partition;
    format!("diff/{:016x}-{partition}-{from:020}.json", xxh3_64(topic.as_bytes()))
}

/// Writes the files of a unit: those with enough rows where they will stay, the rest into runs.
async fn write(
    writer: &FileWriter,
    replay: &str,
    part: &mut Part,
) -> Result<Vec<FileAdd>, ReplayError> {
    let mut large = Vec::new();
    let mut small: BTreeMap<Table, Vec<_>> = BTreeMap::new();
    for batch in std::mem::take(&mut part.batches) {
        if batch.rows.num_rows() >= REPLAY_FILE_ROWS {
            let (table, hour) = (batch.table, batch.hour);
            large.push(FilePlan { table, hour, batches: vec![batch.rows] });
        } else if batch.rows.num_rows() > 0 {
            small.entry(batch.table).or_default().push(batch);
        }
    }
    let mut adds = writer.write("replay", large).await?;
    for (table, batches) in small {
        adds.push(runs::write(writer, replay, table, batches).await?);
    }
    Ok(adds)
}

/// Whether records of both may be in one unit. What an input is, is all in its text.
fn is_same(a: &Arc<Input>, b: &Arc<Input>) -> bool {
    Arc::ptr_eq(a, b) || format!("{a:?}") == format!("{b:?}")
}

/// Cuts what a reader gives into portions, each with the old rows of its offsets.
struct Cutter {
    reader: Box<dyn Reader>,
    old: Option<OldRows>,
    sender: mpsc::Sender<Result<Portion, ReplayError>>,
}

impl Cutter {
    async fn run(mut self, todo: VecDeque<(ReadRange, i64)>) {
        for (range, from) in todo {
            if let Err(error) = self.range(&range, from).await {
                // Nobody waits when the replay has ended.
                self.sender.send(Err(error)).await.ok();
                return;
            }
        }
    }

    async fn range(&mut self, range: &ReadRange, mut from: i64) -> Result<(), ReplayError> {
        self.reader.open(range, from).await?;
        let (mut records, mut bytes): (Vec<Record>, usize) = (Vec::new(), 0);
        let mut kind = (Signal::Logs, Arc::new(Input::from(Format::Json)));
        let mut behind = None;
        while let Some(more) = self.reader.next().await? {
            let first = more.records.first().map_or(from, |record| record.offset);
            let full = records.len() >= REPLAY_UNIT_MESSAGES || bytes >= REPLAY_UNIT_BYTES;
            let other = kind.0 != more.signal || !is_same(&kind.1, &more.input);
            if !records.is_empty() && (full || other) {
                let records = std::mem::take(&mut records);
                self.hand_over(range, (from, first), &kind, (records, behind)).await?;
                (from, bytes) = (first, 0);
            }
            (kind, behind) = ((more.signal, more.input), more.behind);
            bytes += more.records.iter().map(|record| record.payload.len()).sum::<usize>();
            records.extend(more.records);
        }
        // Whatever offsets are missing at the end belong to the last unit; an archive ends where it ends.
        let last = records.last().map_or(from, |record| record.offset + 1);
        let to = if range.messages.is_some() { range.stretch.to } else { last };
        if to == from {
            return Ok(());
        }
        self.hand_over(range, (from, to), &kind, (records, behind)).await
    }

    async fn hand_over(
        &mut self,
        range: &ReadRange,
        (from, to): (i64, i64),
        (signal, input): &(Signal, Arc<Input>),
        (records, behind): (Vec<Record>, Option<Position>),
    ) -> Result<(), ReplayError> {
        let partition = range.stretch.partition.clone();
        let old = match &mut self.old {
            Some(old) => Some(old.of(&partition, from, to).await?),
            None => None,
        };
        let (signal, input) = (*signal, Input::clone(input));
        let portion = Portion { partition, signal, input, from, to, records, behind, old };
        // Nobody receives when the replay has ended.
        self.sender.send(Ok(portion)).await.map_err(|_| ReplayError::Stopped)
    }
}
