//! Where people read what is known of issues and decide about them, beside a running pipeline or without one.
//! A decision is a record of the pipeline's log; the pipeline follows it with its next step.

use std::sync::Arc;

use issues::decision::{Decided, Decision, Undecidable};
use issues::settings::Settings;
use issues::tracker::Tracker;
use object_store::ObjectStore;
use schemas::publish::ISSUES_PIPELINE;

use super::session::Error;
use super::state;
use crate::clock::{Clock, Entropy, System};
use crate::commit_log::Layout;
use crate::commit_log::head::Head;
use crate::commit_log::log::{BACKOFF, CommitLog, Entry, LogError};
use crate::commit_log::record::{self, Body, Operator};
use crate::operator::Decider;

/// Why a decision was not recorded, or the state not read.
#[derive(Debug, thiserror::Error)]
pub enum DeskError {
    /// The log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// The state.
    #[error(transparent)]
    State(#[from] Error),
    /// It means nothing.
    #[error(transparent)]
    Undecidable(#[from] Undecidable),
}

/// What is known of all issues, decisions that the pipeline has not followed yet included.
///
/// # Errors
/// When storage can not be read.
pub async fn read(store: &Arc<dyn ObjectStore>) -> Result<Tracker, DeskError> {
    Ok(open(store).await?.1)
}

async fn open(store: &Arc<dyn ObjectStore>) -> Result<(CommitLog, Tracker), DeskError> {
    let mut last = None;
    // The pipeline deletes parts of a state when it has written the next: then that is read.
    for _ in 0..3 {
        match try_open(store).await {
            Err(DeskError::State(error)) => last = Some(error),
            other => return other,
        }
    }
    Err(DeskError::State(last.unwrap_or_else(|| Error("not read".to_owned()))))
}

async fn try_open(store: &Arc<dyn ObjectStore>) -> Result<(CommitLog, Tracker), DeskError> {
    let (log, _) = recover(store, u64::MAX).await?;
    let from = log.head().state.as_ref().map_or(0, |state| state.decisions_from);
    let (log, entries) = recover(store, from).await?;
    let state = log.head().state.clone();
    let from = state.as_ref().map_or(0, |state| state.decisions_from);
    let mut tracker = state::load(store, state.as_ref(), Settings::default()).await?;
    for entry in entries.iter().filter(|entry| entry.record.seq >= from) {
        let Body::Operator(operator) = &entry.record.body else { continue };
        let record::Decision::Issues { decision, at_micros } = &operator.decision else { continue };
        let Operator { by, reason, .. } = operator;
        // One that means nothing any more is nothing here, too.
        let _ = tracker.decide(&Decided { decision, at: *at_micros, by, reason });
    }
    Ok((log, tracker))
}

async fn recover(
    store: &Arc<dyn ObjectStore>,
    since: u64,
) -> Result<(CommitLog, Vec<Entry>), LogError> {
    let system = System::shared();
    let layout = Layout::new(ISSUES_PIPELINE);
    let covers = |head: &Head| head.next_seq <= since;
    let (clock, entropy): (Arc<dyn Clock>, Arc<dyn Entropy>) = (system.clone(), system);
    CommitLog::recover_what_is_left(store, layout, &clock, &entropy, BACKOFF, covers).await
}

/// Records a decision; answers what is known after it.
///
/// # Errors
/// It means nothing, or could not be recorded.
pub async fn decide(
    store: &Arc<dyn ObjectStore>,
    decision: Decision,
    decider: &Decider,
) -> Result<Tracker, DeskError> {
    let (mut log, mut tracker) = open(store).await?;
    let at = System::shared().unix_millis().saturating_mul(1_000);
    let Decider { by, reason } = decider.clone();
    tracker.decide(&Decided { decision: &decision, at, by: &by, reason: &reason })?;
    let decision = record::Decision::Issues { decision, at_micros: at };
    let body = Body::Operator(Operator { by, reason, decision, adds: Vec::new() });
    log.append(|_| body.clone()).await?;
    Ok(tracker)
}
