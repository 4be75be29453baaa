//! `tidemill operator ...`: records what a person decides. A running `tidemill up` goes on by itself.

use std::sync::Arc;
use std::time::Duration;

use chrono::Utc;
use object_store::ObjectStore;
use schemas::publish::ISSUES_PIPELINE;
use stages::record::TopicPartition;
use stream::clock::System;
use stream::kafka::KafkaSource;
use stream::operator::{self, Decider, OperatorError};
use stream::source::{PartitionInfo, Source as _, SourceError};

use crate::audit::{self, AuditError, Scope, Verdict};
use crate::cli::{DecideArgs, GapArgs, GroupArgs, OperatorCommand};
use crate::config::{self, Brokers, Config, Overrides, Problems};
use crate::exit;

/// Longest wait for Kafka to say which offsets it has.
const KAFKA: Duration = Duration::from_secs(10);

/// Why a decision was not recorded.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Config(Problems),
    #[error(transparent)]
    Store(#[from] stream::store::Error),
    #[error(transparent)]
    Operator(#[from] OperatorError),
    #[error(transparent)]
    Audit(#[from] AuditError),
    #[error("topic {0} is not in the configuration; name it with --config, or check --topic")]
    UnknownTopic(String),
    #[error("cannot ask Kafka at {0} which offsets it has: {1}; start it, or give --to OFFSET")]
    Kafka(String, SourceError),
    #[error("{0}-{1} is not in Kafka; check --topic and --partition")]
    NoPartition(String, i32),
    #[error(
        "{topic}-{partition} stands at offset {next} and Kafka has {low} to {high}: nothing is lost, nothing is to be accepted"
    )]
    NothingLost { topic: String, partition: i32, next: i64, low: i64, high: i64 },
    #[error(
        "{topic}-{partition} stands at offset {next}, but Kafka ends at {high}: the topic was emptied or made anew. \
         Its offsets begin again and can not be told from the old ones: read it under a new name"
    )]
    MadeAnew { topic: String, partition: i32, next: i64, high: i64 },
    #[error(
        "the tables do not agree with the ledger, so where they stand is unclear ({0}); look at `tidemill audit`, and restore _sys/live or the tables from a backup"
    )]
    Unproven(String),
}

impl Refusal {
    fn exit_code(&self) -> u8 {
        match self {
            Refusal::Config(_) | Refusal::UnknownTopic(_) => exit::USAGE,
            Refusal::Store(_) | Refusal::Kafka(..) => exit::UNAVAILABLE,
            _ => exit::FAILED,
        }
    }
}

/// Decides and says what came of it.
pub(super) async fn run(command: &OperatorCommand) -> u8 {
    let done = match command {
        OperatorCommand::AcceptGap(args) => accept_gap(args).await,
        OperatorCommand::Adopt(args) => adopt(args).await,
        OperatorCommand::AdoptGroup(args) => adopt_group(args).await,
    };
    match done {
        Ok(said) => {
            println!("{said}");
            exit::OK
        }
        Err(refusal) => {
            eprintln!("tidemill: {refusal}");
            refusal.exit_code()
        }
    }
}

fn open(
    args: &DecideArgs,
    kafka: Option<String>,
) -> Result<(Config, Arc<dyn ObjectStore>, Decider), Refusal> {
    let overrides = Overrides { data_dir: args.data_dir.clone(), kafka };
    let config = config::load(args.config.as_deref(), &overrides).map_err(Refusal::Config)?;
    let store = stream::store::open(&config.storage)?;
    let decider = Decider { by: args.by.clone(), reason: args.reason.clone() };
    Ok((config, store, decider))
}

async fn accept_gap(args: &GapArgs) -> Result<String, Refusal> {
    let (config, store, decider) = open(&args.decide, args.kafka.clone())?;
    let topics = config.worker_topics();
    let topic = topics.iter().find(|topic| topic.name == args.topic);
    let signal = topic.ok_or_else(|| Refusal::UnknownTopic(args.topic.clone()))?.signal;
    let place = TopicPartition { topic: args.topic.as_str().into(), partition: args.partition };
    let next = operator::next_offset(&store, &place).await?;
    let to = match (watermarks(&config, &place).await, args.to) {
        (Ok(info), to) => end_of_gap(&place, next, &info, to)?,
        (Err(Refusal::Kafka(..)), Some(to)) => to,
        (Err(refusal), _) => return Err(refusal),
    };
    let done = operator::accept_gap(&store, &place, signal, to, &decider).await?;
    Ok(format!(
        "{}-{}: offsets {} to {} are accepted as lost (record {}); reading goes on at {}",
        place.topic, place.partition, done.from_offset, done.to_offset, done.seq, done.to_offset
    ))
}

/// Where reading goes on; only what Kafka does not have can be accepted as lost, unless a later offset was
/// named on purpose.
fn end_of_gap(
    place: &TopicPartition,
    next: i64,
    info: &PartitionInfo,
    to: Option<i64>,
) -> Result<i64, Refusal> {
    let (topic, partition) = (place.topic.to_string(), place.partition);
    let PartitionInfo { low, high, .. } = *info;
    if next > high {
        return Err(Refusal::MadeAnew { topic, partition, next, high });
    }
    if next >= low && to.is_none() {
        return Err(Refusal::NothingLost { topic, partition, next, low, high });
    }
    Ok(to.unwrap_or(low).max(low))
}

async fn watermarks(config: &Config, place: &TopicPartition) -> Result<PartitionInfo, Refusal> {
    let brokers = match &config.kafka.brokers {
        Brokers::Cluster(brokers) => brokers.clone(),
        Brokers::Embedded { listen } => listen.to_string(),
    };
    let kafka = stream::kafka::Config {
        brokers: brokers.clone(),
        properties: crate::engine::consumer_properties(config),
        group: "tidemill-operator".to_owned(),
        membership: None,
    };
    let topic = place.topic.to_string();
    let ask = move || {
        let source = KafkaSource::connect(&kafka, System::shared())?;
        let infos = source.partitions(&[topic], KAFKA);
        Box::new(source).stop();
        infos
    };
    let asked = tokio::task::spawn_blocking(ask).await;
    let infos = asked.unwrap_or(Err(SourceError::Stopped));
    let infos = infos.map_err(|error| Refusal::Kafka(brokers, error))?;
    let found = infos.into_iter().find(|info| info.partition == *place);
    found.ok_or_else(|| Refusal::NoPartition(place.topic.to_string(), place.partition))
}

async fn adopt(args: &DecideArgs) -> Result<String, Refusal> {
    let (config, store, decider) = open(args, None)?;
    let engine = super::audit::engine(&config, Arc::clone(&store))?;
    let scope = super::audit::retained(&config, Scope::default(), Utc::now());
    let report = audit::audit(&engine, &scope).await?;
    if report.verdict() != Verdict::Proven {
        return Err(Refusal::Unproven(report.sentence()));
    }
    // All partitions, those too that have been quiet for longer than the audit looks back.
    let stands = |(topic, partition, end)| (TopicPartition { topic, partition }, end);
    let partitions: Vec<_> = audit::ends(&engine).await?.into_iter().map(stands).collect();
    let begun = operator::adopt(&store, &partitions, &decider).await?;
    let said = begun.iter().map(|(pipeline, seq)| match *pipeline {
        ISSUES_PIPELINE => format!(
            "a new log of the issues begins with record {seq}: they are counted anew, what was decided about them is lost"
        ),
        _ => format!(
            "a new commit log begins with record {seq}: {} partitions go on where the tables stand",
            partitions.len()
        ),
    });
    Ok(said.collect::<Vec<_>>().join("\n"))
}

async fn adopt_group(args: &GroupArgs) -> Result<String, Refusal> {
    let (_, store, decider) = open(&args.decide, None)?;
    let seq = operator::adopt_group(&store, &args.group, &decider).await?;
    Ok(format!(
        "the workers of this store are in group {} from record {seq} on; those of another group stop at their next claim",
        args.group
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_kafka_does_not_have_is_a_gap() {
        let partition = TopicPartition { topic: "t".into(), partition: 1 };
        let info = PartitionInfo { partition: partition.clone(), low: 50, high: 90 };
        let end = |next, to| end_of_gap(&partition, next, &info, to).map_err(|e| e.to_string());
        assert_eq!(end(10, None), Ok(50));
        assert_eq!(end(10, Some(70)), Ok(70));
        assert_eq!(end(10, Some(20)), Ok(50), "what Kafka does not have can not be read again");
        assert_eq!(end(60, Some(70)), Ok(70), "skipped on purpose");
        assert!(end(60, None).is_err_and(|text| text.contains("nothing is lost")));
        assert!(end(91, None).is_err_and(|text| text.contains("made anew")));
    }
}
