//! The worker: the loop that feeds the pure stages and performs what they decide.
//!
//! ```text
//! source -> lane threads -> (barrier every epoch) -> coordinator -> committer -> commit log
//!           decode, stages,                         one unit of     files, then      |
//!           columns                                 all lanes       COMMIT           v
//!                                         table actors (Delta commits) <------- publisher
//! ```
//!
//! Lanes go on with the next unit while the former is written. One unit may be in the committer
//! and one wait for it; then the lanes fill up and stop receiving, and the broker holds the rest.
//! A storage failure is waited out that way. Only what needs a person's decision ends the worker,
//! and says which.
//!
//! Several workers share the topics as members of a group ([`Sharing`]). The group says who is to read what;
//! the commit log alone says whose units count. One of them, by a lease, publishes for all.

mod committer;
mod continuity;
mod coordinator;
mod error;
mod lane_thread;
mod marks;
mod publisher;
mod recovery;
mod reload;
mod status;
mod upkeep;

use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use object_store::ObjectStore;
use schemas::limits::{
    METADATA_REFRESH_SECONDS, PUBLISHER_LEASE_SECONDS, RECLAIM_MILLIS, REVOKE_BUDGET_SECONDS,
};
use schemas::publish::LIVE_PIPELINE;
use schemas::topic::Signal;
use tokio::sync::{Notify, watch};
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy, System};
use crate::commit_log::log::BACKOFF;
use crate::kafka::{self, KafkaSource, Membership};
use crate::lane::KeepRaw;
use crate::lane::quota_book::QuotaBook;
use crate::source::Source;
use stages::input::Input;
use stages::pipeline::Pipeline;
use stages::record::TopicPartition;

pub(crate) use continuity::find_other;
pub use error::Error;
pub use reload::Reloader;
pub use status::{PartitionStatus, QuotaStatus, Status};

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
    /// Whether it is reached over a network: then its creates are raced at every start. Local ones are ours, and atomic.
    pub store_is_remote: bool,
    /// The log pipeline.
    pub pipeline: Arc<Pipeline>,
    /// Longest time between two units.
    pub epoch: Duration,
    /// Threads that decode and run stages.
    pub threads: usize,
    /// How the topics are shared with other workers on the same store; `None`: all partitions are this worker's.
    pub sharing: Option<Sharing>,
    /// What is done with the tables while they grow.
    pub upkeep: crate::upkeep::Settings,
    /// Which messages are kept as they came.
    pub keep_raw: KeepRaw,
    /// A directory of this worker alone that outlives the process: what it reads is noted there, so that
    /// a record which ends the process twice is recognised. `None`: it is not.
    pub notes: Option<std::path::PathBuf>,
}

/// How a worker belongs to the group that shares the topics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sharing {
    /// Name of the group. Default: one that only the workers of this store have.
    pub group: Option<String>,
    /// A name of this worker that stays the same over restarts and no other worker has. `None`: every start is a
    /// new member.
    pub instance: Option<String>,
    /// How long the group waits for a worker it does not hear of before others get its partitions.
    pub session_timeout: Duration,
}

impl Sharing {
    /// The group's name. Two stores on one cluster must not share the partitions of a topic, each needs all of
    /// them: so it carries the beginning of a table's id.
    fn group_of(&self, table_id: Option<&String>) -> String {
        let id = table_id.and_then(|id| id.get(..8)).unwrap_or("store");
        self.group.clone().unwrap_or_else(|| format!("tidemill-{LIVE_PIPELINE}-{id}"))
    }
}

/// A topic and what it carries.
#[derive(Debug, Clone)]
pub struct Topic {
    /// Its name.
    pub name: String,
    /// Its signal.
    pub signal: Signal,
    /// How messages are read that do not say so in a `content-type` header.
    pub input: Input,
}

/// The outside world as the worker sees it, apart from Kafka and the store.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) entropy: Arc<dyn Entropy>,
    pub(crate) backoff: Backoff,
    pub(crate) refresh: Duration,
    /// Length of the publisher's lease.
    pub(crate) lease: Duration,
    /// Until a partition that another worker has claimed is asked for again.
    pub(crate) reclaim: Duration,
    /// For the last unit of revoked partitions.
    pub(crate) revoke_budget: Duration,
}

impl World {
    fn real() -> Self {
        let system = System::shared();
        let refresh = Duration::from_secs(METADATA_REFRESH_SECONDS);
        Self {
            clock: system.clone(),
            entropy: system,
            backoff: BACKOFF,
            refresh,
            lease: Duration::from_secs(PUBLISHER_LEASE_SECONDS),
            reclaim: Duration::from_millis(RECLAIM_MILLIS),
            revoke_budget: Duration::from_secs(REVOKE_BUDGET_SECONDS),
        }
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
    reloader: Reloader,
    _tasks: [AbortOnDropHandle<()>; 2],
}

type Connecting = Pin<Box<dyn Future<Output = Result<Box<dyn Source>, Error>> + Send>>;

/// Connects to the source, given the group's name.
pub(crate) type Connect = Box<dyn FnOnce(String) -> Connecting + Send>;

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
    let membership = config.sharing.as_ref().map(|sharing| Membership {
        instance: sharing.instance.clone(),
        session_timeout: sharing.session_timeout,
    });
    let (brokers, properties) = (config.brokers.clone(), config.properties.clone());
    let connect = move |group: String| -> Connecting {
        let kafka = kafka::Config { brokers, properties, group, membership };
        Box::pin(async move {
            let connect = move || KafkaSource::connect(&kafka, System::shared());
            let source = tokio::task::spawn_blocking(connect).await;
            let source = source.map_err(|error| Error::new(error.to_string()))?;
            let source = source.map_err(|error| Error::new(error.to_string()))?;
            let source: Box<dyn Source> = Box::new(source);
            Ok(source)
        })
    };
    start_connecting(World::real(), config, Box::new(connect)).await
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
    let connect = move |_| -> Connecting { Box::pin(std::future::ready(Ok(source))) };
    start_connecting(world, config, Box::new(connect)).await
}

async fn start_connecting(
    world: World,
    config: Config,
    connect: Connect,
) -> Result<Running, Error> {
    let mut recovered = recovery::recover(&world, &config, connect).await?;
    let board = Arc::new(status::Board::new(&recovered));
    let (work, waiting) = tokio::sync::mpsc::channel(1);
    let (rejected, appended) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    let (published, publishing) = watch::channel(0);
    let quotas = Arc::new(QuotaBook::default());
    quotas.reset(&recovered.log.head().kept);
    let (reload, reloads) = tokio::sync::mpsc::channel(1);
    let next = |partition: &TopicPartition| {
        recovered.log.head().partitions.get(partition).map(|known| known.next_offset)
    };
    let marks = marks::Marks::open(config.notes.as_deref(), next);
    let coordinator = coordinator::Coordinator::start(
        &world,
        &config,
        coordinator::Links {
            source: Arc::clone(&recovered.source),
            changes: recovered.changes.take(),
            work,
            rejected: Arc::clone(&rejected),
            board: Arc::clone(&board),
            quotas: Arc::clone(&quotas),
            reloads,
        },
        &marks,
        recovered.held(),
    )?;
    let lease_name = recovered.shares.then(|| {
        let instance = config.sharing.as_ref().and_then(|sharing| sharing.instance.clone());
        instance.unwrap_or_else(|| recovered.claimant.owner.clone())
    });
    let (from, source) = (recovered.publisher.take(), Arc::clone(&recovered.source));
    let links = publisher::Links { board: board.clone(), appended: appended.clone(), published };
    let publisher = publisher::Publisher::new(&world, &config, from, links);
    let links = committer::Links {
        source,
        board: board.clone(),
        rejected,
        appended,
        published: publishing,
        quotas,
    };
    let committer = committer::Committer::new(&world, &config, recovered, links);
    let committed = CancellationToken::new();
    let publishing = tokio::spawn(publisher.run(lease_name, committed.clone()));
    let committing = tokio::spawn(committer.run(waiting));
    let (report, reported) = tokio::sync::oneshot::channel();
    let (end, ended) = watch::channel(None);
    let tasks = Tasks {
        committing: AbortOnDropHandle::new(committing),
        publishing: AbortOnDropHandle::new(publishing),
        committed,
        reported,
    };
    let supervisor = tokio::spawn(async move { drop(end.send_replace(Some(tasks.end().await))) });
    let drain = CancellationToken::new();
    let token = drain.clone();
    let coordinating = tokio::spawn(async move {
        // The receiver is gone only when the worker was dropped.
        drop(report.send(coordinator.run(token).await));
    });
    let tasks = [AbortOnDropHandle::new(supervisor), AbortOnDropHandle::new(coordinating)];
    Ok(Running { drain, ended, status: board, reloader: Reloader(reload), _tasks: tasks })
}

/// What the supervisor waits for.
struct Tasks {
    committing: AbortOnDropHandle<Result<(), Error>>,
    publishing: AbortOnDropHandle<Result<(), Error>>,
    /// Tells the publisher that nothing more is committed.
    committed: CancellationToken,
    reported: tokio::sync::oneshot::Receiver<Result<(), Error>>,
}

impl Tasks {
    /// In the order of a drain: the coordinator's end closes the committer's queue; when the committer has
    /// finished, the publisher publishes the rest. Any failure ends all.
    async fn end(mut self) -> Result<(), Error> {
        tokio::select! {
            biased;
            committed = &mut self.committing => {
                committed.map_err(|error| Error::new(format!("committer: {error}")))??;
                self.committed.cancel();
                let published = (&mut self.publishing).await;
                let published = published.map_err(|error| Error::new(format!("publisher: {error}")))?;
                let coordinated = self.reported.await;
                let ended = || Err(Error::new("the coordinator has ended".to_owned()));
                published.and(coordinated.unwrap_or_else(|_| ended()))
            }
            // Before the committer it ends only by a failure.
            published = &mut self.publishing => {
                published.map_err(|error| Error::new(format!("publisher: {error}")))??;
                Err(Error::new("the publisher has ended".to_owned()))
            }
        }
    }
}

impl Running {
    /// Resolves only when the worker can not go on.
    pub async fn failed(&mut self) -> Error {
        match self.ended.wait_for(|end| matches!(end, Some(Err(_)))).await {
            Ok(end) => match &*end {
                Some(Err(error)) => error.clone(),
                _ => Error::new("ended".to_owned()),
            },
            Err(_) if self.drain.is_cancelled() => std::future::pending().await,
            Err(_) => Error::new("the supervisor has ended".to_owned()),
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
            Ok(Err(_)) => Err(Error::new("the supervisor has ended".to_owned())),
            Err(_) => Err(Error::new(format!(
                "not drained within {} s; what was not committed is read again at the next start",
                deadline.as_secs()
            ))),
        }
    }
}

#[cfg(test)]
mod tests;
