//! `tidemill redrive`: dead letters through again.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Value, json};
use stream::operator::Decider;

use super::draw;
use crate::api::{Column, Rows};
use crate::audit::ask::quoted;
use crate::cli::{RedriveArgs, ReportFormat};
use crate::config::{self, Brokers, Config, Overrides};
use crate::exit;
use crate::redrive::kafka::Broker;
use crate::redrive::{Outcome, Request, redrive};

/// Sends and prints.
pub(super) async fn run(args: &RedriveArgs) -> u8 {
    let decide = &args.decide;
    let overrides = Overrides { data_dir: decide.data_dir.clone(), kafka: args.kafka.clone() };
    let config = match config::load(decide.config.as_deref(), &overrides) {
        Ok(config) => config,
        Err(problems) => {
            eprintln!("{problems}");
            return exit::USAGE;
        }
    };
    let request = Request {
        filter: filter(args),
        is_dry: args.dry_run,
        resume: args.resume,
        decider: Decider { by: decide.by.clone(), reason: decide.reason.clone() },
    };
    match work(&config, &request).await {
        Ok(outcome) => {
            match args.format {
                ReportFormat::Json => println!("{}", as_json(&outcome, &request)),
                ReportFormat::Table => print(&outcome, &request),
            }
            exit::OK
        }
        Err(error) => {
            eprintln!("tidemill: {error}");
            exit::FAILED
        }
    }
}

async fn work(config: &Config, request: &Request) -> Result<Outcome, String> {
    let store = stream::store::open(&config.storage).map_err(|error| error.to_string())?;
    let engine = super::audit::engine(config, Arc::clone(&store));
    let engine = engine.map_err(|error| error.to_string())?;
    let brokers = match &config.kafka.brokers {
        Brokers::Cluster(brokers) => brokers.clone(),
        Brokers::Embedded { listen } => listen.to_string(),
    };
    let source = stream::kafka::Config {
        brokers: brokers.clone(),
        properties: crate::engine::consumer_properties(config),
        group: "tidemill-redrive".to_owned(),
        membership: None,
    };
    let broker = Broker { source, producer: config.producer(brokers) };
    redrive(&store, &engine, &broker, request).await.map_err(|error| error.to_string())
}

fn filter(args: &RedriveArgs) -> String {
    let mut parts = vec!["true".to_owned()];
    parts.extend(args.topic.iter().map(|topic| format!("_topic = {}", quoted(topic))));
    parts.extend(args.letter_reason.iter().map(|reason| format!("reason = {}", quoted(reason))));
    parts.extend(args.filter.iter().map(|filter| format!("({filter})")));
    parts.join(" AND ")
}

/// Letters by topic, reason and fate.
fn counts(outcome: &Outcome, fate: &str) -> BTreeMap<(String, String, String), u64> {
    let mut counts = BTreeMap::new();
    let sent = outcome.sent.iter().map(|letter| (letter, fate.to_owned()));
    let unfit = outcome.unfit.iter().map(|(letter, why)| (letter, format!("kept: {why}")));
    for (letter, fate) in sent.chain(unfit) {
        let key = letter.key();
        *counts.entry((key.topic, key.reason, fate)).or_default() += 1;
    }
    counts
}

fn fate(request: &Request) -> &'static str {
    if request.is_dry { "would be sent" } else { "sent" }
}

fn as_json(outcome: &Outcome, request: &Request) -> Value {
    let counts: Vec<Value> = counts(outcome, fate(request))
        .into_iter()
        .map(|((topic, reason, fate), letters)| {
            json!({"topic": topic, "reason": reason, "fate": fate, "letters": letters})
        })
        .collect();
    json!({
        "dry_run": request.is_dry,
        "sent": outcome.sent.len(),
        "unfit": outcome.unfit.len(),
        "arrived_before": outcome.arrived,
        "more": outcome.more,
        "seq": outcome.seq,
        "letters": counts,
    })
}

fn print(outcome: &Outcome, request: &Request) {
    let counts = counts(outcome, fate(request));
    if !counts.is_empty() {
        let row = |((topic, reason, fate), letters): ((String, String, String), u64)| {
            vec![json!(topic), json!(reason), json!(letters), json!(fate)]
        };
        let column = |name: &str| Column { name: name.to_owned(), kind: "text".to_owned() };
        let columns = ["topic", "reason", "letters", "fate"].map(column).to_vec();
        let rows = counts.into_iter().map(row).collect();
        println!("{}", draw(&Rows { columns, rows, meta: Value::Null }));
    }
    if outcome.arrived > 0 {
        println!("{} letters had arrived before", outcome.arrived);
    }
    let (sent, kept) = (outcome.sent.len(), outcome.unfit.len());
    let record = outcome.seq.map_or_else(String::new, |seq| format!(" (record {seq})"));
    println!("{sent} letters {}{record}, {kept} kept", fate(request));
    if outcome.more {
        println!("more letters match: run it again");
    }
}
