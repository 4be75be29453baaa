//! Records again: a [`Reader`] gives those of one stretch of offsets after another.

use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use schemas::limits::{METADATA_DEADLINE_SECONDS, REPLAY_SILENCE_SECONDS};
use schemas::publish::LIVE_PIPELINE;
use schemas::topic::{Format, Signal};
use tokio::sync::mpsc;

use super::ReplayError;
use super::choose::ReadRange;
use super::covered::Stretch;
use crate::archive::Position;
use crate::clock::Clock;
use crate::commit_log::Layout;
use crate::commit_log::log::CommitLog;
use crate::source::{Event, Lane, Source, SourceError, Start};
use crate::upkeep::pass::World;
use crate::worker::{Topic, find_other};
use stages::input::Input;
use stages::record::{Record, TopicPartition};

/// Batches read ahead.
const READ_AHEAD: usize = 16;
/// How long the reading thread waits for records before it looks at the clock.
const POLL: Duration = Duration::from_millis(100);

/// Consecutive records, and how they are to be read.
#[derive(Debug)]
pub struct Records {
    /// Ascending by offset; never empty.
    pub records: Vec<Record>,
    /// What they carry.
    pub signal: Signal,
    /// How those are read that do not say so in a `content-type` header; the same for all from one file or topic.
    pub input: Arc<Input>,
    /// Where in an archive reading goes on behind them.
    pub behind: Option<Position>,
}

/// Gives the records of stretches.
#[async_trait]
pub trait Reader: Send {
    /// Begins with the record at `from`, or the first after it.
    async fn open(&mut self, range: &ReadRange, from: i64) -> Result<(), ReplayError>;

    /// The next records of the stretch, ascending by offset; `None` at its end.
    async fn next(&mut self) -> Result<Option<Records>, ReplayError>;
}

type Shared = Arc<Mutex<Box<dyn Source>>>;

/// Reads from the topics the worker once read.
pub struct SourceReader {
    source: Shared,
    topics: Vec<Topic>,
    /// How the records of the open stretch are read.
    kind: (Signal, Arc<Input>),
    clock: Arc<dyn Clock>,
    batches: Option<mpsc::Receiver<Result<Vec<Record>, ReplayError>>>,
    /// The reading thread's end.
    ended: Option<std_mpsc::Receiver<()>>,
}

impl std::fmt::Debug for SourceReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SourceReader").finish_non_exhaustive()
    }
}

impl SourceReader {
    /// Reads these topics from this source, which nobody else uses.
    pub fn new(source: Box<dyn Source>, topics: Vec<Topic>, clock: Arc<dyn Clock>) -> Self {
        let source = Arc::new(Mutex::new(source));
        let kind = (Signal::Logs, Arc::new(Input::from(Format::Json)));
        Self { source, topics, kind, clock, batches: None, ended: None }
    }

    /// Whether the source still has all of these offsets.
    ///
    /// # Errors
    /// It has not, or does not answer.
    pub async fn check(&self, stretches: &[Stretch]) -> Result<(), ReplayError> {
        let mut topics: Vec<String> =
            stretches.iter().map(|s| s.partition.topic.to_string()).collect();
        topics.dedup();
        let source = Arc::clone(&self.source);
        let ask = move || {
            let source = source.lock().unwrap_or_else(PoisonError::into_inner);
            source.partitions(&topics, Duration::from_secs(METADATA_DEADLINE_SECONDS))
        };
        let infos = tokio::task::spawn_blocking(ask).await??;
        for Stretch { partition, from, to } in stretches {
            let found = infos.iter().find(|info| info.partition == *partition);
            let (low, high) = found.map_or((0, 0), |info| (info.low, info.high));
            if *from < low || *to > high {
                return Err(ReplayError::NotInKafka {
                    topic: partition.topic.to_string(),
                    partition: partition.partition,
                    from: *from,
                    to: *to,
                    low,
                    high,
                });
            }
        }
        Ok(())
    }

    /// Whether the topics are the ones the worker read, and no others under their names.
    ///
    /// # Errors
    /// They are not, or the live log can not be read.
    pub async fn check_topics(
        &self,
        world: &World,
        stretches: &[Stretch],
    ) -> Result<(), ReplayError> {
        let look = self.source.lock().unwrap_or_else(PoisonError::into_inner).look();
        let layout = Layout::new(LIVE_PIPELINE);
        let World { store, clock, entropy, backoff, .. } = world.clone();
        let (log, _) = CommitLog::recover(store, layout, clock, entropy, backoff, |_| true).await?;
        let partitions = stretches.iter().map(|stretch| &stretch.partition);
        match find_other(&look, log.head(), partitions).await {
            None => Ok(()),
            Some(found) => Err(SourceError::Replaced(found).into()),
        }
    }
}

#[async_trait]
impl Reader for SourceReader {
    async fn open(&mut self, range: &ReadRange, from: i64) -> Result<(), ReplayError> {
        self.batches = None;
        let name = &range.stretch.partition.topic;
        let topic = self.topics.iter().find(|topic| *topic.name == **name);
        let topic = topic.ok_or_else(|| SourceError::UnknownTopic(name.to_string()))?;
        self.kind = (topic.signal, Arc::new(topic.input.clone()));
        if let Some(ended) = self.ended.take() {
            // It ends by itself now that nobody receives.
            let wait = move || ended.recv().unwrap_or(());
            tokio::task::spawn_blocking(wait).await?;
        }
        let (sender, batches) = mpsc::channel(READ_AHEAD);
        let (end, ended) = std_mpsc::sync_channel(1);
        let thread = Thread {
            source: Arc::clone(&self.source),
            clock: Arc::clone(&self.clock),
            partition: range.stretch.partition.clone(),
            next: from,
            to: range.stretch.to,
            sender,
        };
        let run = move || {
            thread.run();
            // Nobody waits when the reader was dropped.
            end.send(()).ok();
        };
        std::thread::Builder::new()
            .name("replay-read".to_owned())
            .spawn(run)
            .map_err(|error| SourceError::Config(error.to_string()))?;
        (self.batches, self.ended) = (Some(batches), Some(ended));
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Records>, ReplayError> {
        let Some(batches) = &mut self.batches else { return Ok(None) };
        let records = batches.recv().await.transpose()?;
        let (signal, input) = self.kind.clone();
        Ok(records.map(|records| Records { records, signal, input, behind: None }))
    }
}

/// The thread that reads one stretch.
struct Thread {
    source: Shared,
    clock: Arc<dyn Clock>,
    partition: TopicPartition,
    next: i64,
    to: i64,
    sender: mpsc::Sender<Result<Vec<Record>, ReplayError>>,
}

impl Thread {
    fn run(mut self) {
        if let Err(error) = self.read() {
            // Nobody waits when the reader was dropped.
            self.sender.blocking_send(Err(error)).ok();
        }
    }

    fn read(&mut self) -> Result<(), ReplayError> {
        let lane = {
            let mut source = self.source.lock().unwrap_or_else(PoisonError::into_inner);
            let lane = source.lane(std::slice::from_ref(&self.partition));
            source.assign(vec![Start { partition: self.partition.clone(), offset: self.next }])?;
            lane
        };
        let silence = Duration::from_secs(REPLAY_SILENCE_SECONDS);
        let mut heard = self.clock.monotonic();
        while self.next < self.to && !self.sender.is_closed() {
            if self.event(&lane)? {
                heard = self.clock.monotonic();
            } else if self.clock.monotonic().saturating_sub(heard) > silence {
                return Err(ReplayError::Silent {
                    topic: self.partition.topic.to_string(),
                    partition: self.partition.partition,
                    offset: self.next,
                });
            }
        }
        Ok(())
    }

    /// Whether something came.
    fn event(&mut self, lane: &Lane) -> Result<bool, ReplayError> {
        match lane.recv_timeout(POLL) {
            Some(Event::Batch(batch)) => {
                let mut records = batch.records;
                let end = batch_end(&records, self.next);
                records.retain(|record| (self.next..self.to).contains(&record.offset));
                self.next = self.next.max(end);
                // Fails when nobody receives any more; the loop looks.
                if !records.is_empty() {
                    self.sender.blocking_send(Ok(records)).ok();
                }
            }
            // Holes are never delivered: the stretch may end in one.
            Some(Event::Gap { found, .. }) => self.next = self.next.max(found),
            Some(Event::OutOfRange { asked, low, high, .. }) => {
                return Err(ReplayError::NotInKafka {
                    topic: self.partition.topic.to_string(),
                    partition: self.partition.partition,
                    from: asked,
                    to: self.to,
                    low,
                    high,
                });
            }
            Some(Event::Replaced(found)) => return Err(SourceError::Replaced(found).into()),
            Some(Event::Failed(reason)) => {
                return Err(SourceError::Unavailable(reason).into());
            }
            None => return Ok(false),
        }
        Ok(true)
    }
}

fn batch_end(records: &[Record], next: i64) -> i64 {
    records.last().map_or(next, |record| record.offset.saturating_add(1))
}
