//! The worker: the loop that feeds the pure stages and performs what they decide.
//!
//! ```text
//! source -> lane threads -> (barrier every epoch) -> coordinator -> committer -> table actors
//!           decode, stages,                         one unit of     files, then  Delta commits,
//!           columns                                 all lanes       COMMIT       behind the log
//! ```
//!
//! Lanes go on with the next unit while the former is written. One unit may be in the committer
//! and one wait for it; then the lanes fill up and stop receiving, and the broker holds the rest.
//! A storage failure is waited out that way. Only what needs a person's decision ends the worker,
//! and says which.

mod committer;
mod coordinator;
mod lane_thread;
mod recovery;
mod status;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use schemas::limits::METADATA_REFRESH_SECONDS;
use schemas::publish::LIVE_PIPELINE;
use schemas::topic::{Format, Signal};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy, System};
use crate::commit_log::log::BACKOFF;
use crate::kafka::{self, KafkaSource};
use crate::pipeline::Pipeline;
use crate::source::Source;

pub use status::{PartitionStatus, Status};

/// What to read, how to process it, where to write.
#[derive(Debug, Clone)]
pub struct Config {
    /// Kafka `host:port`, comma separated.
    pub brokers: String,
    /// Further librdkafka properties from the user.
    pub properties: Vec<(String, String)>,
    /// Topics to read.
    pub topics: Vec<Topic>,
    /// Root of tables and commit log.
    pub store: Arc<dyn ObjectStore>,
    /// What the user calls the store, for messages: a path or a URL.
    pub store_name: String,
    /// The log pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Longest time between two units.
    pub epoch: Duration,
    /// Threads that decode and run stages.
    pub threads: usize,
}

/// A topic and what it carries.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its signal.
    pub signal: Signal,
    /// Format of messages without a `content-type` header.
    pub format: Format,
}

/// Why the worker did not start or stopped by itself.
#[derive(Debug, Clone, thiserror::Error)]
#[error("worker: {0}")]
pub struct Error(pub String);

/// Begins every command that a person decides with when the worker can not go on by itself.
pub(crate) const DECIDE: &str = "tidemill operator ";

impl Error {
    /// Whether a person has to decide before the worker can go on; the text then names the command. Intake
    /// and query go on meanwhile: Kafka keeps what comes.
    pub fn needs_decision(&self) -> bool {
        self.0.contains(DECIDE)
    }
}

/// The outside world as the worker sees it, apart from Kafka and the store.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) backoff: Backoff,
    pub(crate) refresh: Duration,
}

impl World {
    fn real() -> Self {
        let system = System::shared();
        let refresh = Duration::from_secs(METADATA_REFRESH_SECONDS);
        Self { clock: system.clone(), entropy: system, backoff: BACKOFF, refresh }
    }
}

/// The source, shared by the tasks that ask it something; `None` once stopped.
pub(crate) type SharedSource = Arc<Mutex<Option<Box<dyn Source>>>>;

/// A running worker. Dropping it stops everything at once, as a crash would; what is committed
/// stays committed.
#[derive(Debug)]
pub struct Running {
    drain: CancellationToken,
    ended: watch::Receiver<Option<Result<(), Error>>>,
    status: Arc<status::Board>,
    _tasks: [AbortOnDropHandle<()>; 2],
}

/// Goes on reading the status while the worker runs or drains; cheap to clone.
#[derive(Debug, Clone)]
pub struct StatusReader(Arc<status::Board>);

impl StatusReader {
    /// Where the worker stands now.
    pub fn read(&self) -> Status {
        self.0.read()
    }
}

/// Probes the store, recovers from the commit log, takes the partitions and starts; ready when it
/// returns.
pub async fn start(config: Config) -> Result<Running, Error> {
    let kafka = kafka::Config {
        brokers: config.brokers.clone(),
        properties: config.properties.clone(),
        group: format!("tidemill-{LIVE_PIPELINE}"),
    };
    let connect = move || KafkaSource::connect(&kafka, System::shared());
    let source = tokio::task::spawn_blocking(connect).await;
    let source = source.map_err(|error| Error(error.to_string()))?;
    start_from(config, Box::new(source.map_err(|error| Error(error.to_string()))?)).await
}

/// Like [`start`], reading from this source.
pub async fn start_from(config: Config, source: Box<dyn Source>) -> Result<Running, Error> {
    start_in(World::real(), config, source).await
}

pub(crate) async fn start_in(
    world: World,
    config: Config,
    source: Box<dyn Source>,
) -> Result<Running, Error> {
    let source: SharedSource = Arc::new(Mutex::new(Some(source)));
    let recovered = recovery::recover(&world, &config, &source).await?;
    let board = Arc::new(status::Board::new(&recovered));
    let (work, waiting) = tokio::sync::mpsc::channel(1);
    let drain = CancellationToken::new();
    let starts = recovered.starts();
    let committer =
        committer::Committer::new(&world, &config, recovered, Arc::clone(&source), board.clone());
    let coordinator =
        coordinator::Coordinator::start(&world, &config, source, work, board.clone(), starts)?;
    let (end, ended) = watch::channel(None);
    let committing = tokio::spawn(committer.run(waiting));
    let committing = AbortOnDropHandle::new(committing);
    let (report, reported) = tokio::sync::oneshot::channel();
    let supervisor = tokio::spawn(async move {
        // The coordinator's end closes the committer's queue; it then finishes and reports.
        let committed = committing.await.map_err(|error| Error(format!("committer: {error}")));
        let coordinated: Result<(), Error> =
            reported.await.unwrap_or_else(|_| Err(Error("the coordinator has ended".to_owned())));
        end.send_replace(Some(committed.and_then(|done| done).and(coordinated)));
    });
    let token = drain.clone();
    let coordinating = tokio::spawn(async move {
        // The receiver is gone only when the worker was dropped.
        drop(report.send(coordinator.run(token).await));
    });
    let tasks = [AbortOnDropHandle::new(supervisor), AbortOnDropHandle::new(coordinating)];
    Ok(Running { drain, ended, status: board, _tasks: tasks })
}

impl Running {
    /// Resolves only when the worker can not go on.
    pub async fn failed(&mut self) -> Error {
        match self.ended.wait_for(|end| matches!(end, Some(Err(_)))).await {
            Ok(end) => match &*end {
                Some(Err(error)) => error.clone(),
                _ => Error("ended".to_owned()),
            },
            Err(_) if self.drain.is_cancelled() => std::future::pending().await,
            Err(_) => Error("the supervisor has ended".to_owned()),
        }
    }

    /// Where it stands now.
    pub fn status(&self) -> Status {
        self.status.read()
    }

    /// A reader of the same status that may outlive this handle.
    pub fn status_reader(&self) -> StatusReader {
        StatusReader(Arc::clone(&self.status))
    }

    /// Stops consuming, commits one last unit, publishes it.
    pub async fn drain(mut self, deadline: Duration) -> Result<(), Error> {
        self.drain.cancel();
        let ended = self.ended.wait_for(Option::is_some);
        match tokio::time::timeout(deadline, ended).await {
            Ok(Ok(end)) => end.clone().unwrap_or(Ok(())),
            Ok(Err(_)) => Err(Error("the supervisor has ended".to_owned())),
            Err(_) => Err(Error(format!(
                "not drained within {} s; what was not committed is read again at the next start",
                deadline.as_secs()
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
