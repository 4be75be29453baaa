//! `tidemill replay`: history through the pipeline again.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use schemas::topic::Signal;
use stages::event::LogEvent;
use stages::pipeline::Pipeline;
use stream::clock::{Clock as _, System};
use stream::commit_log::log::BACKOFF;
use stream::kafka::KafkaSource;
use stream::replay::archived::{self, ArchiveReader};
use stream::replay::choose::Asked;
use stream::replay::plan::{self, Files, Origin, Plan, Request, Work};
use stream::replay::raw::RawReader;
use stream::replay::reader::{Reader, SourceReader};
use stream::replay::report::Report;
use stream::replay::restore::Matches;
use stream::replay::run::{self, Means};
use stream::replay::stage::Progress;
use stream::replay::{ReplayError, journal};
use stream::upkeep::pass::World;
use tokio_util::sync::CancellationToken;

use crate::cli::{ReplayArgs, ReplayCommand, ReplayPlace, RestoreArgs};
use crate::config::{self, Brokers, Config, Overrides, Problem, Problems};
use crate::engine::Signals;
use crate::{exit, pipeline};

mod archive;
mod print;

/// Shortest time between two lines of progress.
const TELL: Duration = Duration::from_secs(1);

/// Why it did not come to its end.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Config(Problems),
    #[error("{0}")]
    Usage(String),
    #[error(transparent)]
    Store(#[from] stream::store::Error),
    #[error(transparent)]
    Replay(#[from] ReplayError),
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

impl Refusal {
    fn exit_code(&self) -> u8 {
        match self {
            Refusal::Config(_) | Refusal::Usage(_) => exit::USAGE,
            Refusal::Store(_) | Refusal::Replay(ReplayError::Source(_)) => exit::UNAVAILABLE,
            _ => exit::FAILED,
        }
    }
}

/// What is asked of a new replay, or which one goes on.
struct Asking<'a> {
    resume: Option<&'a str>,
    archive: Option<Files>,
    raw: bool,
    topics: &'a [String],
    partition: Option<i32>,
    asked: Asked,
    pipeline: Option<&'a Path>,
    work: Work,
    compares: bool,
    dry_run: bool,
    threads: Option<usize>,
    kafka: Option<String>,
    place: &'a ReplayPlace,
}

/// Does what was asked and prints.
pub(super) async fn run(args: &ReplayArgs) -> u8 {
    let done = match &args.command {
        None => replay(args).await,
        Some(ReplayCommand::List(place)) => list(place).await,
        Some(ReplayCommand::Drop { id, place }) => forget(id, place).await,
    };
    end(done)
}

/// Brings excluded events back and prints.
pub(super) async fn restore(args: &RestoreArgs) -> u8 {
    let work = async {
        let asking = Asking {
            resume: None,
            archive: None,
            raw: args.raw,
            topics: &args.topics,
            partition: args.partition,
            asked: Asked {
                from_micros: micros("from", args.from.as_ref(), Utc::now())?,
                to_micros: micros("to", args.to.as_ref(), Utc::now())?,
                ..Asked::default()
            },
            pipeline: None,
            work: Work::Restore { query: args.query.clone() },
            compares: false,
            dry_run: args.dry_run,
            threads: args.threads,
            kafka: args.kafka.clone(),
            place: &args.place,
        };
        carry_out(&asking).await
    };
    end(work.await)
}

fn end(done: Result<(), Refusal>) -> u8 {
    match done {
        Ok(()) => exit::OK,
        Err(refusal) => {
            eprintln!("tidemill: {refusal}");
            refusal.exit_code()
        }
    }
}

fn open(place: &ReplayPlace, kafka: Option<String>) -> Result<(Config, World), Refusal> {
    let overrides = Overrides { data_dir: place.data_dir.clone(), kafka };
    let config = config::load(place.config.as_deref(), &overrides).map_err(Refusal::Config)?;
    // Opening a local store would make its directory.
    if config.local_store().is_some_and(|dir| !dir.is_dir()) {
        return Err(Refusal::Usage(format!(
            "{}: nothing was ever written here; check --data-dir or storage.url",
            config.storage.url
        )));
    }
    let system = System::shared();
    let world = World {
        store: stream::store::open(&config.storage)?,
        clock: system.clone(),
        entropy: system,
        backoff: BACKOFF,
        stop: CancellationToken::new(),
    };
    Ok((config, world))
}

async fn list(place: &ReplayPlace) -> Result<(), Refusal> {
    let (_, world) = open(place, None)?;
    let mut known = Vec::new();
    for plan in journal::list(&world.store).await? {
        let report = Report::load(&world.store, &plan.id).await?.is_some();
        let swapped = journal::swapped(&world.store, &plan.id).await?;
        known.push((plan, report, swapped));
    }
    print::list(&known, place.format);
    Ok(())
}

async fn forget(id: &str, place: &ReplayPlace) -> Result<(), Refusal> {
    let (_, world) = open(place, None)?;
    run::drop(&world, id).await?;
    eprintln!("replay {id} is dropped");
    Ok(())
}

async fn replay(args: &ReplayArgs) -> Result<(), Refusal> {
    let asking = Asking {
        resume: args.resume.as_deref(),
        archive: files(args)?,
        raw: args.raw,
        topics: &args.topics,
        partition: args.partition,
        asked: asked(args, Utc::now())?,
        pipeline: args.pipeline.as_deref(),
        work: Work::Replace,
        compares: !args.no_diff,
        dry_run: args.dry_run,
        threads: args.threads,
        kafka: args.kafka.clone(),
        place: &args.place,
    };
    carry_out(&asking).await
}

async fn carry_out(asking: &Asking<'_>) -> Result<(), Refusal> {
    let (config, world) = open(asking.place, asking.kafka.clone())?;
    let mut signals = Signals::listen().map_err(Refusal::Signals)?;
    let stopping = world.stop.clone();
    tokio::spawn(async move {
        signals.next().await;
        stopping.cancel();
    });
    let (plan, pipeline, is_new) = plan(asking, &config, &world).await?;
    if !is_new && let Some(seq) = journal::swapped(&world.store, &plan.id).await? {
        return Err(ReplayError::Done(plan.id, seq).into());
    }
    let reader: Box<dyn Reader> = match &plan.origin {
        Origin::Archive(files) => {
            let archive = archive::open(files, &config).await?;
            let tell = |finding: &stream::archive::Finding| eprintln!("{}", finding.detail);
            Box::new(ArchiveReader::new(&world, &plan, archive, tell)?)
        }
        Origin::RawMessages => {
            Box::new(RawReader::new(&world, &plan, config.worker_topics()).await?)
        }
        Origin::Kafka => {
            let reader = reader(&config, &world).await?;
            let needed: Vec<_> = plan.reads.iter().map(|read| read.stretch.clone()).collect();
            if is_new {
                reader.check(&needed).await?;
            }
            reader.check_topics(&world, &needed).await?;
            Box::new(reader)
        }
    };
    if is_new {
        journal::begin(&world.store, &plan).await?;
        eprintln!("{}", print::begins(&plan));
    }
    let threads = asking.threads.unwrap_or(config.worker.threads);
    let means = Means { pipeline, threads, matches: matches(&plan.work)? };
    let teller = Teller::new(&plan);
    let tell = |progress: Progress| teller.tell(progress);
    let staged = run::stage(&world, &plan, &means, reader, &tell).await;
    let (staged, report) = staged.inspect_err(|_error| {
        eprintln!("tidemill: go on with `tidemill replay --resume {}`", plan.id);
    })?;
    teller.done();
    let seq = match asking.dry_run {
        true => None,
        false => {
            let closed_after = config.upkeep.compact_after;
            Some(run::swap(&world, &plan, (&staged, &report), closed_after).await?)
        }
    };
    print::report(&report, seq, asking.place.format);
    if seq.is_none() {
        eprintln!(
            "nothing is changed; `tidemill replay --resume {0}` swaps in exactly this, `tidemill replay drop {0}` forgets it",
            plan.id
        );
    }
    Ok(())
}

/// The files that were named.
fn files(args: &ReplayArgs) -> Result<Option<Files>, Refusal> {
    let (Some(url), Some(name)) = (&args.archive, &args.name) else { return Ok(None) };
    let legal = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if name.is_empty() || name.len() > 200 || !name.bytes().all(legal) {
        let hint = "1 to 200 letters, digits, dots, underscores or dashes";
        return Err(Refusal::Usage(format!("--name {name:?} is no name of an archive: {hint}")));
    }
    Ok(Some(Files {
        name: name.clone(),
        url: url.clone(),
        content: args.content.clone(),
        envelope: args.envelope.clone(),
        fingerprint: String::new(),
    }))
}

/// Whether an event is wanted back.
fn matches(work: &Work) -> Result<Option<Matches>, Refusal> {
    let Work::Restore { query } = work else { return Ok(None) };
    let parsed = search::Query::parse(query);
    let parsed = parsed.map_err(|error| Refusal::Usage(format!("--query `{query}`: {error}")))?;
    Ok(Some(Arc::new(move |event: &LogEvent<'_>| parsed.matches(event))))
}

/// What to do: as recorded, or as asked.
async fn plan(
    asking: &Asking<'_>,
    config: &Config,
    world: &World,
) -> Result<(Plan, Arc<Pipeline>, bool), Refusal> {
    if let Some(id) = asking.resume {
        let plan = journal::load(&world.store, id).await?;
        let pipeline = match &plan.pipeline {
            None => Arc::clone(&config.pipeline),
            Some(text) => {
                let loaded = pipeline::compile(&[(Path::new(""), text)]);
                Arc::new(loaded.map_err(Refusal::Config)?.pipeline)
            }
        };
        return Ok((plan, pipeline, false));
    }
    matches(&asking.work)?;
    let (pipeline, text) = match asking.pipeline {
        None => (Arc::clone(&config.pipeline), None),
        Some(version) if !version.exists() && is_version(version) => {
            let kept = stream::versions::load(&world.store, &version.to_string_lossy()).await;
            let kept = kept.map_err(|error| Refusal::Config(unkept(&error)))?;
            let text = serde_json::to_string(&kept).unwrap_or_default();
            let loaded = pipeline::compile(&[(Path::new(""), &text)]);
            let pipeline = Arc::new(loaded.map_err(Refusal::Config)?.pipeline);
            (pipeline, Some(text))
        }
        Some(file) => {
            let loaded = pipeline::load_following(&[file.to_owned()]);
            let pipeline = Arc::new(loaded.map_err(Refusal::Config)?.pipeline);
            let text = pipeline.text().to_owned();
            (pipeline, Some(text))
        }
    };
    if let Some(files) = &asking.archive {
        let archive = archive::open(files, config).await?;
        let version = pipeline.version().to_owned();
        let plan = archived::plan(world, (files.clone(), &archive), (version, text)).await?;
        return Ok((plan, pipeline, true));
    }
    let request = Request {
        asked: asking.asked,
        topics: topics(asking.topics, config)?,
        partition: asking.partition,
        work: asking.work.clone(),
        origin: if asking.raw { Origin::RawMessages } else { Origin::Kafka },
        pipeline_version: pipeline.version().to_owned(),
        pipeline: text,
        compares: asking.compares,
        closed_after: config.upkeep.compact_after,
    };
    Ok((plan::of_messages(world, &request).await?, pipeline, true))
}

/// Whether this reads like a version rather than like a file: 16 hex characters.
fn is_version(path: &Path) -> bool {
    path.to_str()
        .is_some_and(|text| text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// A version that can not be had, as a problem of the command line.
fn unkept(error: &stream::versions::VersionError) -> Problems {
    Problems(vec![Problem {
        file: None,
        line: None,
        column: None,
        rule: "--pipeline".to_owned(),
        reason: error.to_string(),
        hint: String::new(),
    }])
}

/// The topics named, else those with logs: only these have a pipeline.
fn topics(named: &[String], config: &Config) -> Result<Vec<stream::worker::Topic>, Refusal> {
    let all = config.worker_topics();
    if let Some(name) = named.iter().find(|name| !all.iter().any(|t| t.name == **name)) {
        return Err(Refusal::Usage(format!(
            "topic {name} is not in the configuration; name it with --config, or check --topic"
        )));
    }
    let wanted = |topic: &stream::worker::Topic| match named.is_empty() {
        true => topic.signal == Signal::Logs,
        false => named.contains(&topic.name),
    };
    Ok(all.into_iter().filter(wanted).collect())
}

fn micros(name: &str, text: Option<&String>, now: DateTime<Utc>) -> Result<Option<i64>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let time = super::audit::moment(text, now);
    let time = time.and_then(|time| DateTime::parse_from_rfc3339(&time).ok());
    time.map(|time| Some(time.timestamp_micros())).ok_or_else(|| {
        Refusal::Usage(format!(
            "--{name} {text:?} is no time; write 2026-03-02T00:00:00Z, 2026-03-02, or 6h for six hours ago"
        ))
    })
}

fn asked(args: &ReplayArgs, now: DateTime<Utc>) -> Result<Asked, Refusal> {
    let asked = Asked {
        from_micros: micros("from", args.from.as_ref(), now)?,
        to_micros: micros("to", args.to.as_ref(), now)?,
        from_offset: args.from_offset,
        to_offset: args.to_offset,
    };
    let backwards = |from: Option<i64>, to: Option<i64>| from.zip(to).is_some_and(|(f, t)| f >= t);
    if backwards(asked.from_micros, asked.to_micros)
        || backwards(asked.from_offset, asked.to_offset)
    {
        return Err(Refusal::Usage("the range ends before it begins".to_owned()));
    }
    Ok(asked)
}

async fn reader(config: &Config, world: &World) -> Result<SourceReader, Refusal> {
    let brokers = match &config.kafka.brokers {
        Brokers::Cluster(brokers) => brokers.clone(),
        Brokers::Embedded { listen } => listen.to_string(),
    };
    let kafka = stream::kafka::Config {
        brokers,
        properties: crate::engine::consumer_properties(config),
        group: "tidemill-replay".to_owned(),
        membership: None,
    };
    let connect = move || KafkaSource::connect(&kafka, System::shared());
    let source = tokio::task::spawn_blocking(connect).await.map_err(ReplayError::from)?;
    let source = source.map_err(ReplayError::from)?;
    Ok(SourceReader::new(Box::new(source), config.worker_topics(), Arc::clone(&world.clock)))
}

/// Tells how far it is, on standard error.
struct Teller {
    id: String,
    clock: Arc<System>,
    /// When it last told.
    last: Mutex<Duration>,
}

impl Teller {
    fn new(plan: &Plan) -> Self {
        Self { id: plan.id.clone(), clock: System::shared(), last: Mutex::default() }
    }

    fn tell(&self, progress: Progress) {
        let now = self.clock.monotonic();
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        let is_end = progress.of == Some(progress.messages);
        if now.saturating_sub(*last) >= TELL || is_end {
            *last = now;
            eprintln!("{}", print::progress(&self.id, progress, now));
        }
    }

    fn done(&self) {
        let took = self.clock.monotonic().as_secs_f64();
        eprintln!("replay {}: everything is staged, after {took:.1} s", self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    fn args(line: &str) -> ReplayArgs {
        let cli = crate::cli::Cli::try_parse_from(line.split(' ')).expect("parses");
        let crate::cli::Command::Replay(args) = cli.command else { panic!("not replay") };
        *args
    }

    #[test]
    fn times_and_offsets_are_read_and_a_range_backwards_is_refused() {
        let now = DateTime::parse_from_rfc3339("2026-03-02T12:00:00Z").expect("time").to_utc();
        let read = |line: &str| asked(&args(line), now).map_err(|refusal| refusal.to_string());
        let day = read("tidemill replay --from 2026-03-01 --to 1h").expect("times");
        assert_eq!(day.from_micros, Some(1_772_323_200_000_000));
        assert_eq!(day.to_micros, Some(1_772_449_200_000_000));
        let offsets = read("tidemill replay --from-offset 3 --to-offset 9").expect("offsets");
        assert_eq!((offsets.from_offset, offsets.to_offset), (Some(3), Some(9)));
        assert!(read("tidemill replay --from 1h --to 2h").is_err_and(|e| e.contains("before")));
        assert!(read("tidemill replay --from never").is_err_and(|e| e.contains("no time")));
    }
}
