//! What a replay was asked to do, recorded once before it reads anything: whoever resumes it does the same.

use std::time::Duration;

use schemas::ledger::Action;
use schemas::table::Table;
use serde::{Deserialize, Serialize};
use stages::record::TopicPartition;

use super::choose::{Asked, ReadRange, choose};
use super::covered::{self, Covered, Stretch};
use super::ledger::LedgerRange;
use super::live::Live;
use super::{ReplayError, ledger, rows, swap};
use crate::upkeep::pass::World;
use crate::worker::Topic;

/// Where records come from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// The topics they once were read from.
    Kafka,
    /// Files.
    Archive(Files),
    /// The table of messages as they came.
    RawMessages,
}

/// Files to read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Files {
    /// What the user calls them.
    pub name: String,
    /// Where they are: a path or a URL.
    pub url: String,
    /// What they hold, where that was said.
    pub content: Option<String>,
    /// What is wrapped around the logs, where that was said.
    pub envelope: Option<String>,
    /// Hash of their paths, sizes and versions.
    pub fingerprint: String,
}

/// What is done with the records.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Work {
    /// Their rows take the place of the old ones.
    Replace,
    /// Those that were excluded and match come back into the index; everything else stays.
    Restore {
        /// A search query.
        query: String,
    },
}

/// A replay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Names it; part of paths.
    pub id: String,
    /// When it was begun, Unix milliseconds.
    pub created_millis: i64,
    /// Where records come from.
    pub origin: Origin,
    /// What is done with them.
    pub work: Work,
    /// Content hash of the pipeline.
    pub pipeline_version: String,
    /// The pipeline's text, where it is another than the configured one.
    pub pipeline: Option<String>,
    /// Where the live log ended.
    pub log_end: u64,
    /// What is read, sorted by partition and offset.
    pub reads: Vec<ReadRange>,
    /// What is replaced.
    pub replaces: Vec<Stretch>,
    /// Whether old and new rows are compared field by field.
    pub compares: bool,
}

impl Plan {
    /// The rows of a table that go, where the ledger's of these stretches are among them.
    pub fn covered(&self, table: Table, touched: &[Stretch]) -> Covered {
        match (&self.work, table) {
            (Work::Replace, _) => Covered::new(&self.replaces),
            // Nothing goes but the ledger's rows that count the events as excluded.
            (Work::Restore { .. }, Table::Ledger) => Covered::new(touched),
            (Work::Restore { .. }, _) => Covered::default(),
        }
    }

    /// Messages that will be read, as far as it is known.
    pub fn messages(&self) -> Option<i64> {
        self.reads.iter().map(|read| read.messages).sum()
    }

    /// The name of its commit log.
    pub fn pipeline_name(&self) -> String {
        super::journal::pipeline_name(&self.id)
    }
}

/// What is asked of a new replay.
#[derive(Debug, Clone)]
pub struct Request {
    /// What to read.
    pub asked: Asked,
    /// The topics, and what they carry.
    pub topics: Vec<Topic>,
    /// Only this partition.
    pub partition: Option<i32>,
    /// What is done.
    pub work: Work,
    /// Where the messages are: in Kafka, or in the table of messages.
    pub origin: Origin,
    /// Content hash of the pipeline.
    pub pipeline_version: String,
    /// The pipeline's text, where it is another than the configured one.
    pub pipeline: Option<String>,
    /// Whether old and new rows are compared field by field.
    pub compares: bool,
    /// How long after its end an hour is open.
    pub closed_after: Duration,
}

/// Fixes what a replay of messages the worker once read does. Nothing is recorded yet.
///
/// # Errors
/// Nothing was received then, rows are in open hours, or the tables can not be read.
pub async fn of_messages(world: &World, request: &Request) -> Result<Plan, ReplayError> {
    let live = Live::open(world, u64::MAX).await?;
    let topic = |name: &str| request.topics.iter().find(|topic| topic.name == name);
    let wanted = |partition: &TopicPartition| {
        topic(&partition.topic).is_some()
            && request.partition.is_none_or(|only| only == partition.partition)
    };
    let ranges = match live.table(Table::Ledger) {
        Some(table) => ledger::ranges(&world.store, table, wanted).await?,
        None => Vec::new(),
    };
    let mut chosen = match request.work {
        Work::Replace => choose(&ranges, &request.asked, |_| true)?,
        Work::Restore { .. } => {
            let has_some = |range: &LedgerRange| range.events(Action::Excluded) > 0;
            choose(&ranges, &request.asked, has_some)?
        }
    };
    if request.work == Work::Replace {
        hours_are_closed(world, &live, &chosen.replaces, request.closed_after).await?;
    } else if request.origin == Origin::RawMessages {
        // The table may have those alone of which something was excluded.
        chosen.reads.iter_mut().for_each(|read| read.messages = None);
    }
    Ok(Plan {
        id: new_id(world),
        created_millis: world.clock.unix_millis(),
        origin: request.origin.clone(),
        work: request.work.clone(),
        pipeline_version: request.pipeline_version.clone(),
        pipeline: request.pipeline.clone(),
        log_end: live.log.head().next_seq,
        reads: chosen.reads,
        replaces: chosen.replaces,
        compares: request.compares,
    })
}

/// Twelve hex characters.
pub(super) fn new_id(world: &World) -> String {
    let mut id = format!("{:032x}", world.entropy.bits());
    id.truncate(12);
    id
}

/// Whether no row that is to be replaced is in an open hour: better said now than when all is read.
async fn hours_are_closed(
    world: &World,
    live: &Live,
    stretches: &[Stretch],
    closed_after: Duration,
) -> Result<(), ReplayError> {
    let covered = Covered::new(stretches);
    let now = world.clock.unix_millis();
    for table in covered::tables() {
        let Some(open) = live.table(table) else { continue };
        for affected in rows::affected(&world.store, open, &covered).await? {
            swap::is_closed(table, affected.file.hour, now, closed_after)?;
        }
    }
    Ok(())
}
