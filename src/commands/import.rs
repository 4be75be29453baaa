//! `tidemill import`: files of logs, new to Tidemill, into Kafka, from where they go the way of all logs.
//!
//! The worker reads a frame as it came: the message says in headers in which envelope. Sent in order, each batch
//! acknowledged before the position behind it is written down: at least once, like every producer.

mod place;
mod progress;

use std::sync::Arc;

use bytes::Bytes;
use ingest::kafka::Producer;
use ingest::sink::{Message, SendError, Sink as _};
use schemas::limits::{MAX_IMPORT_BATCH_BYTES, MAX_MESSAGE_BYTES};
use schemas::time::EventTime;
use schemas::topic::{DD_SERVICE, DD_SOURCE, DD_TAGS, FRAME, Format, OBSERVED};
use stages::input::config::{InputConfig, MultilineConfig, RuleConfig, compile};
use stages::record::Record;
use stream::archive::{Archive, Batch, Options};

use crate::cli::ImportArgs;
use crate::config::{self, Brokers, Overrides};
use crate::exit;
use place::Place;
use progress::Progress;

/// Imports.
pub(super) async fn run(args: &ImportArgs) -> u8 {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka: args.kafka.clone() };
    let config = match config::load(args.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return exit::USAGE;
        }
    };
    let options = match options(args) {
        Ok(options) => options,
        Err(reason) => {
            eprintln!("tidemill: {reason}");
            return exit::USAGE;
        }
    };
    match work(args, &config, options).await {
        Ok(progress) => {
            println!("{}", progress.summary(args.dry_run));
            if progress.troubles == 0 { exit::OK } else { exit::FAILED }
        }
        Err(error) => {
            eprintln!("tidemill: {error:#}");
            exit::FAILED
        }
    }
}

fn options(args: &ImportArgs) -> Result<Options, String> {
    let content = args.content.as_deref().map(str::parse).transpose();
    let content = content.map_err(|error: stream::archive::UnknownContent| error.to_string())?;
    let multiline = match args.multiline.as_str() {
        name @ ("lines" | "auto") => MultilineConfig::Name(name.to_owned()),
        start => {
            let start = Some(start.to_owned());
            MultilineConfig::Rule(RuleConfig { start, ..RuleConfig::default() })
        }
    };
    let written = InputConfig {
        envelope: Some(args.envelope.clone()),
        multiline: Some(multiline),
        ..InputConfig::default()
    };
    let mut errors = Vec::new();
    let input = compile(Format::Raw, &written, &mut errors);
    if let Some(error) = errors.first() {
        return Err(format!("--{}: {}", error.path.replace('.', " "), error.reason));
    }
    let time = |name: &str, text: &Option<String>| {
        let read = |text: &String| {
            let time = chrono::DateTime::parse_from_rfc3339(text)
                .map_err(|error| format!("--{name}: {error}; write 2024-05-01T00:00:00Z"))?;
            let nanos = time.timestamp_nanos_opt().ok_or(format!("--{name}: out of range"))?;
            Ok::<EventTime, String>(EventTime::from_nanos(nanos))
        };
        text.as_ref().map(read).transpose()
    };
    let time = time("from", &args.from)?.zip(time("to", &args.to)?);
    Ok(Options {
        content,
        envelope: input.envelope,
        multiline: input.multiline,
        time,
        ..Options::default()
    })
}

async fn work(
    args: &ImportArgs,
    config: &crate::config::Config,
    options: Options,
) -> anyhow::Result<Progress> {
    let Place { store, path } = place::find(&args.path, config)?;
    let mut archive = Archive::open(store, &path, options).await?;
    let mut progress =
        Progress::load(&config.data_dir, args, &archive.fingerprint(), archive.bytes())?;
    if archive.files().is_empty() || progress.is_done() {
        return Ok(progress);
    }
    let brokers = match &config.kafka.brokers {
        Brokers::Cluster(brokers) => brokers.clone(),
        Brokers::Embedded { listen } => listen.to_string(),
    };
    let producer = match args.dry_run {
        true => None,
        false => Some(Producer::connect(&config.producer(brokers))?),
    };
    let said = Said::of(args);
    loop {
        let batch = archive.read(&progress.position, MAX_IMPORT_BATCH_BYTES).await?;
        for finding in &batch.findings {
            eprintln!("tidemill: {}", finding.detail);
        }
        if let Some(producer) = &producer {
            send(producer, messages(&batch, &said)).await?;
        }
        let cut = batch.records.iter().filter(|one| one.payload.len() > MAX_MESSAGE_BYTES).count();
        if cut > 0 {
            eprintln!(
                "tidemill: {}: {cut} records are over the {MAX_MESSAGE_BYTES} bytes of a message, and were cut",
                batch.path
            );
            progress.troubles += 1;
        }
        let done = batch.done;
        progress.take(batch);
        if !args.dry_run {
            progress.save()?;
        }
        progress.tell();
        if done {
            return Ok(progress);
        }
    }
}

/// Sends and waits for all acknowledgements; a full queue is waited for.
async fn send(producer: &Producer, messages: Vec<Message>) -> anyhow::Result<()> {
    loop {
        match producer.send(messages.clone()).await {
            Err(SendError::Busy) => tokio::time::sleep(progress::PAUSE).await,
            Err(error) => {
                return Err(anyhow::anyhow!("{error}; the same command goes on from here"));
            }
            Ok(()) => return Ok(()),
        }
    }
}

/// Headers every message has.
struct Said(Vec<(&'static str, String)>);

impl Said {
    fn of(args: &ImportArgs) -> Self {
        let mut headers = Vec::new();
        headers.extend(args.source.clone().map(|source| (DD_SOURCE, source)));
        headers.extend(args.service.clone().map(|service| (DD_SERVICE, service)));
        if !args.tags.is_empty() {
            headers.push((DD_TAGS, args.tags.join(",")));
        }
        Self(headers)
    }
}

fn messages(batch: &Batch, said: &Said) -> Vec<Message> {
    let input = Arc::clone(&batch.input);
    let message = |record: &Record| {
        let mut headers = said.0.clone();
        if matches!(input.format, Format::Raw | Format::Json) {
            headers.push((FRAME, input.envelope.as_str().to_owned()));
        }
        headers.push((OBSERVED, record.timestamp.nanos().to_string()));
        // What is cut was over the longest message text; JSON that is cut becomes a dead letter.
        let length = record.payload.len().min(MAX_MESSAGE_BYTES);
        Message {
            topic: batch.signal,
            format: Some(input.format),
            key: None,
            headers,
            payload: Bytes::copy_from_slice(&record.payload[..length]),
        }
    };
    batch.records.iter().map(message).collect()
}
