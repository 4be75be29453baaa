//! The roles of one process, and the order in which they start and drain.
//!
//! Start follows the need: lock -> health (503) -> broker -> topics -> worker -> intake -> query ->
//! health (200). The drain follows the data: intake stops and flushes, the worker commits and
//! publishes, query stops, the broker last. A role that fails by itself ends the process with its
//! error, after the others were drained.

mod issues_role;
mod lock;
mod reload;
mod shutdown;
mod signals;
mod worker_role;

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
#[cfg(feature = "embedded-broker")]
use schemas::limits;

use crate::admin::{self, Admin, Phase};
use crate::config::{Brokers, Config};

pub use lock::{DataDirLock, LockError, Owner};
pub use reload::{Reloaded, Source};
pub use shutdown::{Incomplete, Trouble};
pub use signals::{Asked, Signals};

/// Which roles run in this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Roles {
    /// Everything; with the embedded broker unless a cluster is configured.
    All,
    /// The intake.
    Ingest,
    /// The worker.
    Worker,
    /// The query service.
    Query,
}

impl Roles {
    /// As in the command line.
    pub fn name(self) -> &'static str {
        match self {
            Roles::All => "up",
            Roles::Ingest => "ingest",
            Roles::Worker => "worker",
            Roles::Query => "query",
        }
    }

    fn has(self, role: Roles) -> bool {
        self == Roles::All || self == role
    }

    fn needs_kafka(self) -> bool {
        self != Roles::Query
    }
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// Another process has the data directory, or it can not be used.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The health port.
    #[error(transparent)]
    Admin(#[from] admin::BindError),
    /// A role alone was asked for, without a cluster.
    #[error(
        "`tidemill {0}` needs a Kafka cluster: the embedded one lives inside `tidemill up` (set kafka.brokers or --kafka; a running `tidemill up` is reachable at its kafka.embedded.listen)"
    )]
    NoCluster(&'static str),
    /// This binary was built without the embedded broker.
    #[error(
        "this build has no embedded Kafka: set kafka.brokers or --kafka, or build with the feature `embedded-broker`"
    )]
    NoEmbeddedBroker,
    /// The embedded broker.
    #[cfg(feature = "embedded-broker")]
    #[error(transparent)]
    Broker(#[from] broker::Error),
    /// Kafka's topics.
    #[error(transparent)]
    Topics(#[from] ingest::kafka::Error),
    /// The store.
    #[error(transparent)]
    Store(#[from] stream::store::Error),
    /// The worker.
    #[error(transparent)]
    Worker(#[from] stream::worker::Error),
    /// The intake.
    #[error(transparent)]
    Intake(#[from] ingest::StartError),
    /// The query service.
    #[error(transparent)]
    Query(#[from] query::StartError),
    /// Notifications.
    #[error(transparent)]
    Notify(#[from] crate::notify::SetupError),
    /// Monitors.
    #[error("monitors: {0}")]
    Monitors(String),
}

/// A role stopped by itself.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Failure {
    /// The worker.
    #[error(transparent)]
    Worker(stream::worker::Error),
    /// The intake.
    #[error(transparent)]
    Intake(ingest::RunError),
    /// The query service.
    #[error(transparent)]
    Query(query::RunError),
}

/// A running engine. Dropping it is a crash: recovery will find everything acknowledged.
#[derive(Debug)]
pub struct Engine {
    roles: Roles,
    deadline: Duration,
    admin: Option<Admin>,
    #[cfg(feature = "embedded-broker")]
    broker: Option<broker::Broker>,
    worker: worker_role::WorkerRole,
    issues: issues_role::IssuesRole,
    intake: Option<ingest::Running>,
    query: Option<query::Running>,
    /// Where the pipeline is read from again; none where it can not be.
    source: Option<Source>,
    pipeline: Arc<stages::pipeline::Pipeline>,
    _lock: Option<DataDirLock>,
}

impl Engine {
    /// Starts the roles; health answers 200 when it returns. What had been started is drained when
    /// a later part fails.
    ///
    /// # Errors
    /// The first part that could not start, naming its setting.
    pub async fn start(config: &Config, roles: Roles) -> Result<Self, StartError> {
        if roles != Roles::All && roles.needs_kafka() && is_embedded(config) {
            return Err(StartError::NoCluster(roles.name()));
        }
        let lock = match roles {
            Roles::All => Some(DataDirLock::acquire(&config.data_dir, config.query.http)?),
            _ => None,
        };
        let admin = Admin::start(config.health, roles.name()).await?;
        let mut engine = Self {
            roles,
            deadline: config.shutdown_deadline,
            admin: Some(admin),
            #[cfg(feature = "embedded-broker")]
            broker: None,
            worker: worker_role::WorkerRole::default(),
            issues: issues_role::IssuesRole::default(),
            intake: None,
            query: None,
            source: None,
            pipeline: Arc::clone(&config.pipeline),
            _lock: lock,
        };
        match engine.start_roles(config).await {
            Ok(()) => {
                engine.phase(Phase::Ready);
                Ok(engine)
            }
            Err(error) => {
                if let Err(incomplete) = engine.shutdown().await {
                    tracing::warn!("while giving up: {incomplete}");
                }
                Err(error)
            }
        }
    }

    async fn start_roles(&mut self, config: &Config) -> Result<(), StartError> {
        let brokers =
            if self.roles.needs_kafka() { self.kafka(config).await? } else { String::new() };
        if self.roles.has(Roles::Worker) {
            let settings = worker_settings(config, brokers.clone())?;
            let others = self.roles == Roles::All;
            self.worker.start(settings, others, self.admin.as_ref()).await?;
            if let Some(admin) = &self.admin {
                admin.show_pipeline(config.pipeline.version(), &[]);
            }
            tracing::info!(store = %config.storage.url, "worker started");
            self.issues.start(config, self.admin.as_ref())?;
            remove_leftovers(config.storage.clone());
        }
        if self.roles.has(Roles::Ingest) {
            let settings = ingest::Config {
                datadog: config.intake.datadog,
                otlp_grpc: config.intake.otlp_grpc,
                otlp_http: config.intake.otlp_http,
                kafka: config.producer(brokers),
            };
            let intake = ingest::start(settings).await?;
            if let Some(admin) = &self.admin {
                admin.show_intake(intake.counter_reader());
            }
            self.intake = Some(intake);
            tracing::info!(datadog = %config.intake.datadog, otlp_grpc = %config.intake.otlp_grpc,
                otlp_http = %config.intake.otlp_http, "intake started");
        }
        if self.roles.has(Roles::Query) {
            let mut settings = query_settings(config)?;
            if config.tracking.enabled {
                settings.routes = Some(crate::issue_desk::http::routes(open_store(config)?));
            }
            self.query = Some(query::start(settings).await?);
            tracing::info!(http = %config.query.http, postgres = %config.query.postgres, "query started");
        }
        Ok(())
    }

    /// Starts the embedded broker where it is wanted, makes sure of the topics, and says where
    /// Kafka is.
    async fn kafka(&mut self, config: &Config) -> Result<String, StartError> {
        let brokers = match &config.kafka.brokers {
            Brokers::Cluster(brokers) => brokers.clone(),
            #[cfg(feature = "embedded-broker")]
            Brokers::Embedded { listen } => {
                let dir = config.data_dir.join("kafka");
                let start_within = Duration::from_secs(limits::KAFKA_START_SECONDS);
                let embedded = broker::Config { listen: *listen, dir, start_within };
                let broker = broker::start(embedded).await?;
                let brokers = broker.bootstrap();
                tracing::info!(%brokers, "embedded Kafka started");
                self.broker = Some(broker);
                brokers
            }
            #[cfg(not(feature = "embedded-broker"))]
            Brokers::Embedded { .. } => return Err(StartError::NoEmbeddedBroker),
        };
        let topics: Vec<String> =
            config.worker_topics().into_iter().map(|topic| topic.name).collect();
        let producer = config.producer(brokers.clone());
        ingest::kafka::ensure_topics(&producer, &topics, config.kafka.partitions).await?;
        Ok(brokers)
    }

    /// Resolves only when a role can not go on.
    pub async fn failed(&mut self) -> Failure {
        let Self { worker, intake, query, admin, .. } = self;
        // An absent role is never ready to fail.
        let worker = async { Failure::Worker(worker.failed(admin.as_ref()).await) };
        let intake = async {
            match intake {
                Some(intake) => Failure::Intake(intake.failed().await),
                None => std::future::pending().await,
            }
        };
        let query = async {
            match query {
                Some(query) => Failure::Query(query.failed().await),
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            failure = worker => failure,
            failure = intake => failure,
            failure = query => failure,
        }
    }

    /// Changes what the health endpoint says.
    fn phase(&self, phase: Phase) {
        if let Some(admin) = &self.admin {
            admin.phase(phase);
        }
    }
}

fn is_embedded(config: &Config) -> bool {
    matches!(config.kafka.brokers, Brokers::Embedded { .. })
}

fn open_store(config: &Config) -> Result<Arc<dyn ObjectStore>, stream::store::Error> {
    stream::store::open(&config.storage)
}

/// Files that crashes have left half written in a local store. On a thread of its own, which the end of the
/// process does not wait for: it walks the whole directory.
fn remove_leftovers(storage: stream::store::Config) {
    let age = Duration::from_secs(schemas::limits::LEFTOVER_SECONDS);
    let remove = move || {
        let clock = stream::clock::System::shared();
        match stream::store::remove_leftovers(&storage, clock.as_ref(), age) {
            Ok(stream::store::Leftovers { files: 0, .. }) => {}
            Ok(found) => {
                tracing::info!(files = found.files, bytes = found.bytes, "leftovers removed");
            }
            Err(error) => tracing::warn!(%error, "leftovers of crashes not looked for"),
        }
    };
    if let Err(error) = std::thread::Builder::new().name("leftovers".to_owned()).spawn(remove) {
        tracing::warn!(%error, "leftovers of crashes not looked for");
    }
}

fn worker_settings(config: &Config, brokers: String) -> Result<stream::worker::Config, StartError> {
    Ok(stream::worker::Config {
        brokers,
        properties: consumer_properties(config),
        topics: config.worker_topics(),
        store: open_store(config)?,
        store_name: config.storage.url.clone(),
        store_is_remote: config.storage.is_remote(),
        pipeline: Arc::clone(&config.pipeline),
        epoch: config.worker.epoch,
        threads: config.worker.threads,
        sharing: sharing(config),
        upkeep: config.upkeep.clone(),
        keep_raw: config.worker.keep_raw,
        notes: Some(config.data_dir.join("notes")),
    })
}

/// Workers on a cluster share its topics. The embedded broker is this process's own: it takes all partitions.
fn sharing(config: &Config) -> Option<stream::worker::Sharing> {
    (!is_embedded(config)).then(|| stream::worker::Sharing {
        group: config.worker.group.clone(),
        instance: config.worker.instance.clone(),
        session_timeout: config.worker.session_timeout,
    })
}

/// What the embedded broker needs of its consumers, then the user's properties, which win.
pub(crate) fn consumer_properties(config: &Config) -> Vec<(String, String)> {
    let mut properties = Vec::new();
    #[cfg(feature = "embedded-broker")]
    if is_embedded(config) {
        let needed = broker::CONSUMER_PROPERTIES;
        properties.extend(needed.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }
    properties.extend(config.kafka.properties.iter().cloned());
    properties
}

/// What the query service gets; also used when `tidemill sql` reads the tables by itself.
pub(crate) fn query_settings(config: &Config) -> Result<query::Config, StartError> {
    Ok(query::Config {
        http: config.query.http,
        postgres: config.query.postgres,
        store: open_store(config)?,
        store_name: config.storage.url.clone(),
        memory_bytes: config.query.memory_bytes,
        timeout: config.query.timeout,
        max_rows: config.query.max_rows,
        routes: None,
    })
}
