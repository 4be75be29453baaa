//! The thread that drives one lane: it receives, processes, and hands over at barriers.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use arrow::error::ArrowError;
use tokio::sync::{mpsc, oneshot};

use super::Error;
use super::continuity::{out_of_range, replaced};
use super::marks::Note;
use crate::lane::suspects::Crash;
use crate::lane::{Assigned, Lane};
use crate::source::{self, Batch, Event};
use crate::unit::Part;
use stages::pipeline::Pipeline;
use stages::record::TopicPartition;

/// Commands that may wait for a lane. Few are ever under way: a barrier, a new partition.
const COMMANDS: usize = 16;
/// How long a lane waits for records before it looks for commands.
const POLL: Duration = Duration::from_millis(5);
/// How long a lane that must not receive waits for commands.
const IDLE: Duration = Duration::from_millis(20);

/// What the coordinator asks of a lane.
pub(super) enum Command {
    /// Hand over everything since the last barrier, and process nothing more of these partitions; go on with this
    /// pipeline, where there is one.
    Cut(Arc<[TopicPartition]>, Option<Arc<Pipeline>>, oneshot::Sender<Result<Part, ArrowError>>),
    /// Take on partitions. The source already reads them from these offsets.
    Attach(Vec<Assigned>),
    /// Throw everything since the last barrier away, and hold no partition; answered when that is done, so that
    /// what the queues get afterwards is not thrown away with it.
    Reset(oneshot::Sender<()>),
    /// Receive nothing more.
    Stop,
}

/// What a lane tells the coordinator.
#[derive(Debug)]
pub(super) enum Notice {
    /// The lane's share of the unit is used up.
    Full,
    /// A record crashed the lane: nothing since the last barrier can be handed over.
    Crashed(Crash),
    /// The lane can not go on without a decision.
    Halt(Error),
}

/// Starts a lane; it ends when the returned sender is dropped.
pub(super) fn spawn(
    number: usize,
    lane: Lane,
    input: source::Lane,
    note: Note,
    notices: mpsc::Sender<Notice>,
) -> std::io::Result<SyncSender<Command>> {
    let (sender, commands) = sync_channel(COMMANDS);
    let thread = std::thread::Builder::new().name(format!("lane-{number}"));
    thread.spawn(move || {
        let announced = BTreeMap::new();
        let thread = Thread { lane, input, receiving: true, told: false, announced, note, notices };
        thread.run(&commands);
    })?;
    Ok(sender)
}

struct Thread {
    lane: Lane,
    input: source::Lane,
    receiving: bool,
    /// Whether the coordinator knows that the lane is full.
    told: bool,
    /// Where the source said that a partition goes on after a gap.
    announced: BTreeMap<TopicPartition, i64>,
    /// What it reads, for the next life of a process that ends over it.
    note: Note,
    notices: mpsc::Sender<Notice>,
}

impl Thread {
    fn run(mut self, commands: &Receiver<Command>) {
        let mut wait = IDLE;
        loop {
            match commands.recv_timeout(wait) {
                Ok(command) => self.obey(command),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            wait = self.work();
        }
    }

    fn obey(&mut self, command: Command) {
        match command {
            Command::Cut(released, pipeline, reply) => {
                self.told = false;
                let part = self.lane.cut();
                if let Some(pipeline) = pipeline {
                    self.lane.switch(&pipeline);
                }
                self.input.let_go(&released);
                self.lane.release(&released);
                // The coordinator is gone only when the worker was dropped.
                drop(reply.send(part));
            }
            Command::Attach(assigned) => {
                let partitions: Vec<_> = assigned.iter().map(|a| a.partition.clone()).collect();
                // First the state, then the queues: a record without state would be thrown away.
                assigned.into_iter().for_each(|partition| self.lane.assign(partition));
                self.input.take_on(&partitions);
            }
            Command::Reset(done) => {
                self.told = false;
                self.announced.clear();
                self.input.let_go_of_all();
                self.lane.reset();
                let _ = done.send(());
            }
            Command::Stop => self.receiving = false,
        }
    }

    /// Processes what is there; says how long to wait for a command before the next look.
    fn work(&mut self) -> Duration {
        if !self.receiving {
            return IDLE;
        }
        if let Some(crash) = self.lane.crash() {
            let crash = crash.clone();
            self.told = self.told || self.notices.try_send(Notice::Crashed(crash)).is_ok();
            return IDLE;
        }
        if self.lane.is_full() {
            self.told = self.told || self.notices.try_send(Notice::Full).is_ok();
            return IDLE;
        }
        match self.input.recv_timeout(POLL) {
            Some(event) => {
                self.handle(event);
                Duration::ZERO
            }
            // Not zero: a stopped source answers at once, and this must not spin.
            None => Duration::from_millis(1),
        }
    }

    fn handle(&mut self, event: Event) {
        let reason = match event {
            Event::Batch(batch) => match self.unannounced_gap(&batch) {
                None => return self.process(&batch),
                Some(reason) => Error::new(reason),
            },
            Event::Gap { partition, expected, found } => {
                // The lane counts the jump when the next record comes.
                tracing::warn!(?partition, expected, found, "offsets are missing in the topic");
                self.announced.insert(partition, found);
                return;
            }
            Event::OutOfRange { partition, asked, low, high } => {
                out_of_range(&partition, asked, low, high)
            }
            Event::Replaced(found) => replaced(&found),
            Event::Failed(reason) => Error::new(reason),
        };
        self.halt(reason);
    }

    /// A few records at a time, each few noted before they are read.
    fn process(&mut self, batch: &Batch) {
        let mut rest = &batch.records[..];
        while !rest.is_empty() && self.lane.crash().is_none() {
            let (some, after) = rest.split_at(self.note.granule(&batch.partition, rest).max(1));
            self.note.reading(&batch.partition, some);
            self.lane.process_some(&batch.partition, some);
            rest = after;
        }
        self.note.done();
        self.lane.measure();
    }

    /// A jump the source has not told of is a batch lost on the way: an error of ours, and no gap of the topic's.
    fn unannounced_gap(&mut self, batch: &Batch) -> Option<String> {
        let found = batch.records.first()?.offset;
        let next = self.lane.next_offset(&batch.partition)?;
        let announced = self.announced.remove(&batch.partition);
        let TopicPartition { topic, partition } = &batch.partition;
        (found > next && announced != Some(found)).then(|| {
            format!(
                "{topic}-{partition}: offset {found} came where {next} was due, and nobody said why; restart the worker, it reads them again, and report this"
            )
        })
    }

    fn halt(&mut self, reason: Error) {
        self.receiving = false;
        drop(self.notices.blocking_send(Notice::Halt(reason)));
    }
}
