//! The embedded broker: Kafka's protocol in the same process, durable in the data directory.
//!
//! A convenience for one-machine use: nisshi 0.6 on SQLite, without a group of ours, without transactions.
//! It runs on threads and a runtime of its own, because SQLite's calls block, and because dropping
//! that runtime is the only way to stop every connection of it.
//!
//! What it does, as the tests of this file and of its users show:
//!
//! * Keys, headers, `CreateTime` timestamps and explicit offsets survive; lz4 and zstd batches are read
//!   and stored record by record.
//! * An acknowledged record survives `kill -9`. SQLite runs in WAL mode with `synchronous = normal`, set
//!   by nisshi: a power cut may take the last acknowledged records with it. Production means a real cluster.
//! * A fetch beyond either end of a partition is never refused: above the end it is empty, below the
//!   start it begins at the first record. Consumers compare with the watermarks themselves.
//! * A message larger than the fetch size never comes out, and its partition stands still: with
//!   [`CONSUMER_PROPERTIES`] that is 2 MiB, twice what producers send unless told otherwise.
//! * A fetch that is not full when its wait is over goes on record by record, slowly, until it is:
//!   hence the small fetches and the long wait of [`CONSUMER_PROPERTIES`].
//! * `offsets_for_times` can not be trusted; nothing is deleted by age.
//! * Its `header` table has no index, so that every fetched record would scan all headers ever
//!   written (5 ms per record at 100,000 headers, 3 us with the index that [`start`] adds).

use std::fs::{File, TryLockError};
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nisshi_broker::broker::Broker as Nisshi;
use nisshi_broker::coordinator::group::administrator::Controller;
use nisshi_storage::ArcDynStorage;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use tokio::sync::oneshot;
use url::Url;
use uuid::Uuid;

/// Directives of a log filter that keep nisshi to warnings. They matter for speed too: it opens a span per
/// SQL statement at level info.
pub const LOG_DIRECTIVES: [&str; 5] = [
    "nisshi_broker=warn",
    "nisshi_storage=warn",
    "nisshi_service=warn",
    "nisshi_sans_io=warn",
    "rama=warn",
];

/// librdkafka properties for consumers of this broker, before the user's own. An empty fetch is looked at
/// again after half its wait, so a record may come up to 250 ms late.
pub const CONSUMER_PROPERTIES: [(&str, &str); 2] =
    [("fetch.max.bytes", "2097152"), ("fetch.wait.max.ms", "500")];

/// Threads of its runtime. More than two, so that one waiting for SQLite's write lock does not stop
/// the one that holds it.
const THREADS: usize = 4;
/// How long a stop waits for requests in progress.
const STOP: Duration = Duration::from_secs(5);

/// Where it listens and keeps its data.
#[derive(Debug, Clone)]
pub struct Config {
    /// Default 127.0.0.1:9092.
    pub listen: SocketAddr,
    /// Directory of `kafka.db`.
    pub dir: PathBuf,
    /// How long it may take until it answers.
    pub start_within: Duration,
}

/// Why it did not start.
#[derive(Debug, thiserror::Error)]
#[error("embedded Kafka (setting kafka.embedded.listen): {0}")]
pub struct Error(pub String);

/// A running broker.
#[derive(Debug)]
pub struct Broker {
    address: SocketAddr,
    /// `None` once stopped.
    runtime: Option<tokio::runtime::Runtime>,
    ended: oneshot::Receiver<String>,
    /// Held for as long as it runs; the system frees it even after `kill -9`.
    lock: File,
}

/// Starts it and waits until it answers. Port 0 takes a free one.
///
/// # Errors
/// The port is in use, the directory is in use or can not be written, or it does not answer in time.
pub async fn start(config: Config) -> Result<Broker, Error> {
    let started = tokio::task::spawn_blocking(move || start_blocking(&config));
    started.await.unwrap_or_else(|error| Err(Error(format!("did not start: {error}"))))
}

fn start_blocking(config: &Config) -> Result<Broker, Error> {
    let lock = lock(&config.dir)?;
    let address = free(config.listen)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("embedded-kafka")
        .enable_all()
        .build()
        .map_err(|error| Error(format!("can not start threads: {error}")))?;
    let nisshi = runtime.block_on(build(&config.dir, address));
    let mut nisshi = nisshi.inspect_err(|_| tracing::debug!("embedded kafka was not built"))?;
    let (end, ended) = oneshot::channel();
    runtime.spawn(async move {
        let reason = match nisshi.serve(tokio::time::Instant::now()).await {
            Ok(()) => "stopped by itself".to_owned(),
            Err(error) => error.to_string(),
        };
        // Nobody listens any more when the broker was dropped.
        end.send(reason).ok();
    });
    let mut broker = Broker { address, runtime: Some(runtime), ended, lock };
    wait_until_it_answers(&mut broker, config.start_within)?;
    Ok(broker)
}

fn wait_until_it_answers(broker: &mut Broker, within: Duration) -> Result<(), Error> {
    let deadline = Instant::now() + within;
    let bootstrap = broker.bootstrap();
    loop {
        if let Ok(reason) = broker.ended.try_recv() {
            return Err(Error(format!("{bootstrap}: {reason}")));
        }
        if answers(&bootstrap, Duration::from_secs(1)) {
            return Ok(());
        }
        if Instant::now() >= deadline {
            return Err(Error(format!(
                "{bootstrap} does not answer after {} s; is the disk of kafka.db very slow?",
                within.as_secs()
            )));
        }
    }
}

/// Whether a broker at this address answers a metadata request within the timeout. Blocks.
fn answers(bootstrap: &str, timeout: Duration) -> bool {
    let mut native = ClientConfig::new();
    native.set("bootstrap.servers", bootstrap).set_log_level(RDKafkaLogLevel::Emerg);
    native.create::<BaseConsumer>().is_ok_and(|probe| probe.fetch_metadata(None, timeout).is_ok())
}

/// The address, with its port settled and known to be free.
fn free(listen: SocketAddr) -> Result<SocketAddr, Error> {
    let in_use = |error: std::io::Error| {
        Error(format!(
            "can not listen on {listen}: {error}; stop what uses the port or choose another"
        ))
    };
    TcpListener::bind(listen).and_then(|probe| probe.local_addr()).map_err(in_use)
}

/// Makes the directory and takes it for this process: two brokers on one file would mix their offsets.
fn lock(dir: &Path) -> Result<File, Error> {
    let unusable = |error: std::io::Error| Error(format!("directory {}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(unusable)?;
    let file = File::create(dir.join("kafka.lock")).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error(format!(
            "directory {} is used by another running process; stop it or set another --data-dir",
            dir.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

async fn build(
    dir: &Path,
    address: SocketAddr,
) -> Result<Nisshi<Controller<ArcDynStorage>, ArcDynStorage>, Error> {
    let path = dir.join("kafka.db");
    let failed = |error: &dyn std::fmt::Display| Error(format!("{}: {error}", path.display()));
    let cluster = match path.exists() {
        true => stored_cluster(&path).await.map_err(|e| failed(&e))?,
        false => None,
    };
    // A name of its own per directory, so that a consumer notices when the directory was replaced.
    let cluster = cluster.unwrap_or_else(|| format!("tidemill-{}", Uuid::new_v4().simple()));
    let listener = Url::parse(&format!("tcp://{address}")).map_err(|e| failed(&e))?;
    let nisshi = Nisshi::<Controller<ArcDynStorage>, ArcDynStorage>::builder()
        .node_id(1)
        .cluster_id(cluster)
        .incarnation_id(Uuid::new_v4())
        .listener(listener.clone())
        .advertised_listener(listener)
        .storage(storage_url(&path)?)
        // Otherwise it draws progress bars.
        .silent(true)
        .build()
        .await
        .map_err(|e| failed(&e))?;
    add_index(&path).await.map_err(|e| failed(&e))?;
    Ok(nisshi)
}

/// `sqlite://` and an absolute path after one more slash: nisshi strips the first and joins the rest to the
/// working directory, which an absolute path replaces. It does not undo percent encoding either, so a
/// path that needs it would silently become another.
fn storage_url(path: &Path) -> Result<Url, Error> {
    let path =
        std::path::absolute(path).map_err(|error| Error(format!("{}: {error}", path.display())))?;
    let text = format!("/{}", path.display());
    match Url::parse(&format!("sqlite://{text}")) {
        Ok(url) if url.path() == text && url.query().is_none() => Ok(url),
        _ => Err(Error(format!(
            "the path {} has characters the embedded broker can not take (spaces, %, ?, #, non-ASCII); \
             set another --data-dir",
            path.display()
        ))),
    }
}

async fn connect(path: &Path) -> Result<libsql::Connection, libsql::Error> {
    libsql::Builder::new_local(path).build().await?.connect()
}

/// The cluster this file was made for; `None` in a file that never got so far.
async fn stored_cluster(path: &Path) -> Result<Option<String>, libsql::Error> {
    let connection = connect(path).await?;
    let tables = "select count(*) from sqlite_master where type = 'table' and name = 'cluster'";
    let mut rows = connection.query(tables, ()).await?;
    let exists = rows.next().await?.map(|row| row.get::<i64>(0)).transpose()?;
    if exists != Some(1) {
        return Ok(None);
    }
    let mut rows = connection.query("select name from cluster order by id limit 1", ()).await?;
    rows.next().await?.map(|row| row.get::<String>(0)).transpose()
}

async fn add_index(path: &Path) -> Result<(), libsql::Error> {
    let index = "create index if not exists tidemill_header on header (topition, offset_id)";
    connect(path).await?.execute(index, ()).await.map(drop)
}

impl Broker {
    /// `host:port` for clients.
    pub fn bootstrap(&self) -> String {
        self.address.to_string()
    }

    /// Resolves only when it can not go on.
    pub async fn failed(&mut self) -> Error {
        match (&mut self.ended).await {
            Ok(reason) => Error(reason),
            // A panic inside nisshi.
            Err(_) => Error("ended without a reason".to_owned()),
        }
    }

    /// Stops it: no new requests, those in progress get a few seconds.
    pub async fn stop(mut self) {
        if let Some(runtime) = self.runtime.take() {
            let stopped = tokio::task::spawn_blocking(move || runtime.shutdown_timeout(STOP));
            if let Err(error) = stopped.await {
                tracing::warn!(%error, "embedded kafka did not stop cleanly");
            }
        }
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        // A runtime must not be dropped inside another.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
        // Closing the file is not enough: a child process that is just being started shares it
        // until its program begins, and the lock with it.
        if let Err(error) = self.lock.unlock() {
            tracing::warn!(%error, "the lock on embedded kafka's directory was not released");
        }
    }
}

#[cfg(test)]
mod tests;
