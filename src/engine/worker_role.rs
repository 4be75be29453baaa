//! The worker among the roles of one process: when it waits for a person's decision, the others go on.
//!
//! A worker that can not go on by itself (offsets that are gone, a commit log that was emptied) does not take
//! intake and query down: Kafka keeps what comes, the tables answer. Health and the log say what is to be
//! decided, and the worker is tried again every [`TRY_AGAIN`]: after the decision it goes on by itself.
//!
//! A worker that ends for another reason is started again, too, [`MAX_RESTARTS`] times in [`RESTARTS_WITHIN`]: after an
//! outage of the broker the group can refuse what a worker sent before it joined again, which librdkafka takes for
//! fatal. One that ends more often takes the process with it.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use stages::pipeline::Pipeline;
use stream::worker::{Config, Error, Running, start};
use tokio::time::Instant;

use crate::admin::Admin;

/// Pause between two tries of a worker that waits for a decision.
const TRY_AGAIN: Duration = Duration::from_secs(5);

/// Restarts of a worker that ended by itself, within [`RESTARTS_WITHIN`].
const MAX_RESTARTS: usize = 3;
/// As long as an end counts.
const RESTARTS_WITHIN: Duration = Duration::from_secs(600);

/// Pause after a start that the store failed; each one is twice as long,
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// and before this one it is given up: half a minute in all.
const LAST_PAUSE: Duration = Duration::from_secs(30);

/// The worker of this process.
#[derive(Debug, Default)]
pub(super) struct WorkerRole {
    running: Option<Running>,
    /// What a worker that waits for a decision is started with again; `None` where it is not waited for.
    again: Option<Config>,
    /// When it ended by itself, by the monotonic clock.
    ends: VecDeque<Instant>,
}

impl WorkerRole {
    /// Starts it. With `others` a worker that needs a decision is no failure: the others serve meanwhile.
    pub(super) async fn start(
        &mut self,
        config: Config,
        others: bool,
        admin: Option<&Admin>,
    ) -> Result<(), Error> {
        let settings = others.then(|| config.clone());
        match start_patiently(config).await {
            Ok(running) => self.took(running, admin),
            Err(error) if others && error.needs_decision() => halted(&error, admin),
            Err(error) => return Err(error),
        }
        self.again = settings;
        Ok(())
    }

    fn took(&mut self, running: Running, admin: Option<&Admin>) {
        if let Some(admin) = admin {
            admin.show_worker(running.status_reader());
        }
        self.running = Some(running);
    }

    /// Resolves only when the worker can not go on and waiting does not help; never without one.
    pub(super) async fn failed(&mut self, admin: Option<&Admin>) -> Error {
        loop {
            if let Some(running) = &mut self.running {
                let error = running.failed().await;
                if self.again.is_none() || !(error.needs_decision() || self.may_restart()) {
                    return error;
                }
                halted(&error, admin);
                self.running = None;
            }
            let Some(config) = self.again.clone() else { return std::future::pending().await };
            tokio::time::sleep(TRY_AGAIN).await;
            match start_patiently(config).await {
                Ok(running) => {
                    tracing::info!("the worker goes on");
                    self.took(running, admin);
                }
                Err(error) if error.needs_decision() || self.may_restart() => {
                    tracing::debug!("still waiting: {error}");
                }
                Err(error) => return error,
            }
        }
    }

    /// Whether a worker that ended by itself is started again.
    fn may_restart(&mut self) -> bool {
        let now = Instant::now();
        self.ends.retain(|end| now.duration_since(*end) < RESTARTS_WITHIN);
        self.ends.push_back(now);
        self.ends.len() <= MAX_RESTARTS
    }

    /// Goes on with another pipeline; without a running worker, from its next start.
    pub(super) async fn reload(&mut self, pipeline: &Arc<Pipeline>) -> Result<(), Error> {
        if let Some(running) = &self.running {
            running.reloader().reload(Arc::clone(pipeline)).await?;
        }
        if let Some(again) = &mut self.again {
            again.pipeline = Arc::clone(pipeline);
        }
        Ok(())
    }

    /// The running worker, for its drain.
    pub(super) fn take(&mut self) -> Option<Running> {
        self.again = None;
        self.running.take()
    }
}

/// Starts a worker; a store that fails meanwhile is tried again for a while.
async fn start_patiently(config: Config) -> Result<Running, Error> {
    let mut pause = FIRST_PAUSE;
    loop {
        match start(config.clone()).await {
            Err(error) if error.may_pass() && pause < LAST_PAUSE => {
                tracing::warn!("{error}; trying again in {pause:?}");
                tokio::time::sleep(pause).await;
                pause *= 2;
            }
            started => return started,
        }
    }
}

fn halted(error: &Error, admin: Option<&Admin>) {
    tracing::error!("{error}; intake and query go on, Kafka keeps what comes");
    if let Some(admin) = admin {
        admin.show_halted(error.text());
    }
}
