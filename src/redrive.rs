//! `tidemill redrive`: sends dead letters through again after a fix, each once.
//!
//! | file | what |
//! |---|---|
//! | [`letter`] | a dead letter, and which of them can be sent again: pure |
//! | [`journal`] | what a run is about to send, written before it sends |
//! | [`kafka`] | original messages, what was sent already, and sending |
//!
//! A run is: choose letters the ledger does not call `redriven`; write the journal with them and where the
//! topics end; send; record it in the commit log with a `redriven` ledger row for each; wait until the ledger
//! shows it; delete the journal. Each new message names its letter in the header
//! [`schemas::topic::REDRIVEN`]. A run that is killed is finished with `--resume`: it reads the topics from
//! where they ended before, sees which letters have arrived, and sends only the others. The original rows stay
//! in `dead_letters`: what happened, happened.

pub mod journal;
pub mod kafka;
pub mod letter;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use query::engine::Engine;
use schemas::ledger::Action;
use schemas::limits::MAX_REDRIVEN_AT_ONCE;
use stream::operator::{self, Decider, OperatorError, Told};
use tokio::time::Instant;

use crate::audit::{AuditError, ask};
use journal::{Journal, JournalError};
use kafka::{Broker, KafkaError};
use letter::{Letter, Unfit};

/// Longest wait until the ledger shows what was recorded.
const PUBLISHED: Duration = Duration::from_secs(120);
/// Pause between two looks at the ledger.
const LOOK: Duration = Duration::from_millis(500);

/// Why letters were not sent, or not recorded.
#[derive(Debug, thiserror::Error)]
pub enum RedriveError {
    /// The letters can not be read.
    #[error(transparent)]
    Read(#[from] AuditError),
    /// The journal.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// Kafka.
    #[error(transparent)]
    Kafka(#[from] KafkaError),
    /// The record.
    #[error(transparent)]
    Operator(#[from] OperatorError),
    /// A run was not finished.
    #[error(
        "a redrive of {letters} letters ({id}) is not finished; if it does not run any more, finish it with `tidemill redrive --resume`"
    )]
    Unfinished {
        /// The run.
        id: String,
        /// Its letters.
        letters: usize,
    },
    /// There is nothing to resume.
    #[error("no redrive is unfinished; leave --resume out")]
    NothingToResume,
    /// Sent and recorded, not yet to be seen.
    #[error(
        "all letters are sent and recorded (record {0}), but the ledger does not show it yet: is a worker running? Afterwards `tidemill redrive --resume` ends this run"
    )]
    NotPublished(u64),
}

/// What to do.
#[derive(Debug, Clone)]
pub struct Request {
    /// SQL condition on `dead_letters`.
    pub filter: String,
    /// Say what would be sent, and send nothing.
    pub is_dry: bool,
    /// Finish the run that was killed.
    pub resume: bool,
    /// Who does it, and why.
    pub decider: Decider,
}

/// What was done.
#[derive(Debug, Default)]
pub struct Outcome {
    /// Letters sent, or that would be sent.
    pub sent: Vec<Letter>,
    /// Letters that can not be sent, and why.
    pub unfit: Vec<(Letter, Unfit)>,
    /// Letters a former run had sent already.
    pub arrived: usize,
    /// Whether more letters match than one run takes.
    pub more: bool,
    /// The record.
    pub seq: Option<u64>,
}

/// Does it.
///
/// # Errors
/// When something could not be read, sent or recorded; `--resume` goes on from there.
pub async fn redrive(
    store: &Arc<dyn ObjectStore>,
    engine: &Engine,
    broker: &Broker,
    request: &Request,
) -> Result<Outcome, RedriveError> {
    let unfinished = Journal::load(store).await?;
    match (unfinished, request.resume) {
        (Some(journal), true) => resume(store, engine, broker, request, journal).await,
        (Some(Journal { id, letters, .. }), false) => {
            Err(RedriveError::Unfinished { id, letters: letters.len() })
        }
        (None, true) => Err(RedriveError::NothingToResume),
        (None, false) => begin(store, engine, broker, request).await,
    }
}

async fn begin(
    store: &Arc<dyn ObjectStore>,
    engine: &Engine,
    broker: &Broker,
    request: &Request,
) -> Result<Outcome, RedriveError> {
    let mut letters = letter::choose(engine, &request.filter, MAX_REDRIVEN_AT_ONCE + 1).await?;
    let mut outcome = Outcome { more: letters.len() > MAX_REDRIVEN_AT_ONCE, ..Outcome::default() };
    letters.truncate(MAX_REDRIVEN_AT_ONCE);
    let originals = broker.originals(&letters).await?;
    let mut messages = Vec::new();
    for letter in letters {
        let original = originals.get(&letter.place());
        match letter.message(original) {
            Ok(message) => {
                messages.push(message);
                outcome.sent.push(letter);
            }
            Err(unfit) => outcome.unfit.push((letter, unfit)),
        }
    }
    if request.is_dry || messages.is_empty() {
        return Ok(outcome);
    }
    let ends = broker.ends(&outcome.sent).await?;
    let log_end = operator::log_end(store).await?;
    let journal = Journal::begin(store, &outcome.sent, ends, log_end).await?;
    broker.send(&journal, &outcome.sent, messages, &BTreeSet::new()).await?;
    outcome.seq = Some(finish(store, engine, request, &journal).await?);
    Ok(outcome)
}

/// Sends what has not arrived, then goes on as [`begin`].
async fn resume(
    store: &Arc<dyn ObjectStore>,
    engine: &Engine,
    broker: &Broker,
    request: &Request,
    journal: Journal,
) -> Result<Outcome, RedriveError> {
    let arrived = broker.arrived(&journal).await?;
    let mut outcome = Outcome { arrived: arrived.len(), ..Outcome::default() };
    if arrived.len() < journal.letters.len() {
        let mut letters = letter::read(engine, &journal.letters).await?;
        letters.retain(|letter| !arrived.contains(&letter.key()));
        let originals = broker.originals(&letters).await?;
        let mut messages = Vec::new();
        for letter in letters {
            match letter.message(originals.get(&letter.place())) {
                Ok(message) => {
                    messages.push(message);
                    outcome.sent.push(letter);
                }
                Err(unfit) => outcome.unfit.push((letter, unfit)),
            }
        }
        broker.send(&journal, &outcome.sent, messages, &arrived).await?;
    }
    outcome.seq = Some(finish(store, engine, request, &journal).await?);
    Ok(outcome)
}

/// Records the run, waits until the ledger shows it, deletes the journal.
async fn finish(
    store: &Arc<dyn ObjectStore>,
    engine: &Engine,
    request: &Request,
    journal: &Journal,
) -> Result<u64, RedriveError> {
    let places: Vec<_> = journal.letters.iter().map(letter::Key::partition).collect();
    let rules: Vec<String> = journal.letters.iter().map(letter::Key::rule).collect();
    let told = journal.letters.iter().zip(&places).zip(&rules);
    let told: Vec<Told<'_>> = told
        .map(|((key, partition), rule)| Told {
            partition,
            signal: key.signal,
            action: Action::Redriven,
            rule,
            events: 1,
            bytes: key.bytes,
            from_offset: key.offset,
            to_offset: key.offset.saturating_add(1),
        })
        .collect();
    let Journal { id, log_end, .. } = journal;
    let seq = operator::redriven(store, id, *log_end, &told, &request.decider).await?;
    let end = Instant::now() + PUBLISHED;
    while letter::count_redriven(engine, &journal.letters).await? < journal.letters.len() {
        if Instant::now() > end {
            return Err(RedriveError::NotPublished(seq));
        }
        tokio::time::sleep(LOOK).await;
    }
    journal.end(store).await?;
    Ok(seq)
}

/// A question whose answer is one number.
async fn number(engine: &Engine, sql: &str) -> Result<i64, AuditError> {
    let mut answer = ask::ask(engine, sql).await?;
    let mut sum = 0;
    while let Some(batch) = answer.next().await? {
        let column = ask::numbers(&batch, "n")?;
        sum += column.iter().flatten().sum::<i64>();
    }
    Ok(sum)
}
