//! The thread that drives one lane: it receives, processes, and hands over at barriers.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use arrow::error::ArrowError;
use tokio::sync::{mpsc, oneshot};

use super::recovery::out_of_range;
use crate::lane::{Assigned, Lane};
use crate::source::{self, Event};
use crate::unit::Part;

/// Commands that may wait for a lane. Few are ever under way: a barrier, a new partition.
const COMMANDS: usize = 16;
/// How long a lane waits for records before it looks for commands.
const POLL: Duration = Duration::from_millis(5);
/// How long a lane that must not receive waits for commands.
const IDLE: Duration = Duration::from_millis(20);

/// What the coordinator asks of a lane.
pub(super) enum Command {
    /// Hand over everything since the last barrier.
    Cut(oneshot::Sender<Result<Part, ArrowError>>),
    /// Take on partitions.
    Attach(source::Lane, Vec<Assigned>),
    /// Receive nothing more.
    Stop,
}

/// What a lane tells the coordinator.
#[derive(Debug)]
pub(super) enum Notice {
    /// The lane's share of the unit is used up.
    Full,
    /// The lane can not go on without a decision.
    Halt(String),
}

/// Starts a lane; it ends when the returned sender is dropped.
pub(super) fn spawn(
    number: usize,
    lane: Lane,
    notices: mpsc::Sender<Notice>,
) -> std::io::Result<SyncSender<Command>> {
    let (sender, commands) = sync_channel(COMMANDS);
    let thread = std::thread::Builder::new().name(format!("lane-{number}"));
    thread.spawn(move || {
        Thread { lane, inputs: Vec::new(), receiving: true, told: false, notices }.run(&commands);
    })?;
    Ok(sender)
}

struct Thread {
    lane: Lane,
    inputs: Vec<source::Lane>,
    receiving: bool,
    /// Whether the coordinator knows that the lane is full.
    told: bool,
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
            Command::Cut(reply) => {
                self.told = false;
                // The coordinator is gone only when the worker was dropped.
                drop(reply.send(self.lane.cut()));
            }
            Command::Attach(input, assigned) => {
                assigned.into_iter().for_each(|partition| self.lane.assign(partition));
                self.inputs.push(input);
            }
            Command::Stop => self.receiving = false,
        }
    }

    /// Processes what is there; says how long to wait for a command before the next look.
    fn work(&mut self) -> Duration {
        if !self.receiving || self.inputs.is_empty() {
            return IDLE;
        }
        if self.lane.is_full() {
            self.told = self.told || self.notices.try_send(Notice::Full).is_ok();
            return IDLE;
        }
        match self.receive() {
            Some(event) => {
                self.handle(event);
                Duration::ZERO
            }
            // Not zero: a stopped source answers at once, and this must not spin.
            None => Duration::from_millis(1),
        }
    }

    fn receive(&mut self) -> Option<Event> {
        match &mut self.inputs[..] {
            [only] => only.recv_timeout(POLL),
            several => {
                // Whoever was served last is asked last.
                several.rotate_left(1);
                let ready = several.iter().find_map(source::Lane::try_recv);
                ready.or_else(|| several.first().and_then(|first| first.recv_timeout(POLL)))
            }
        }
    }

    fn handle(&mut self, event: Event) {
        let reason = match event {
            Event::Batch(batch) => return self.lane.process(&batch),
            Event::Gap { partition, expected, found } => {
                // The lane counts the jump when the next record comes.
                tracing::warn!(?partition, expected, found, "offsets are missing in the topic");
                return;
            }
            Event::OutOfRange { partition, asked, low, high } => {
                out_of_range(&partition, asked, low, high)
            }
            Event::Failed(reason) => reason,
        };
        self.receiving = false;
        drop(self.notices.blocking_send(Notice::Halt(reason)));
    }
}
