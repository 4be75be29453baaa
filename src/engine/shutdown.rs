//! The drain: in the order of the data, each part with what is left of one deadline. A part that
//! does not finish is named and left behind; the parts after it still get their turn.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use super::Engine;
use crate::admin::Phase;

/// What every part gets even when the ones before it used up the deadline.
const LEAST: Duration = Duration::from_millis(500);

/// Parts that did not drain cleanly.
#[derive(Debug, Default, thiserror::Error)]
pub struct Incomplete(pub Vec<Trouble>);

/// One part that did not drain cleanly.
#[derive(Debug, thiserror::Error)]
#[error("{part}: {reason}")]
pub struct Trouble {
    /// `intake`, `worker`, `issues`, `query` or `embedded Kafka`.
    pub part: &'static str,
    /// What happened.
    pub reason: String,
}

impl fmt::Display for Incomplete {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the drain was incomplete (the next start recovers)")?;
        self.0.iter().try_for_each(|trouble| write!(f, "; {trouble}"))
    }
}

impl Engine {
    /// Drains every role within the configured deadline.
    ///
    /// # Errors
    /// The parts that did not finish; nothing acknowledged is lost, the next start recovers it.
    pub async fn shutdown(mut self) -> Result<(), Incomplete> {
        self.phase(Phase::Draining);
        let end = Instant::now() + self.deadline;
        let mut troubles = Vec::new();
        if let Some(intake) = self.intake.take() {
            troubles.extend(part("intake", end, |left| intake.drain(left)).await);
        }
        if let Some(worker) = self.worker.take() {
            troubles.extend(part("worker", end, |left| worker.drain(left)).await);
        }
        if let Some(issues) = self.issues.take() {
            troubles.extend(part("issues", end, |left| issues.drain(left)).await);
        }
        if let Some(query) = self.query.take() {
            troubles.extend(part("query", end, |left| query.drain(left)).await);
        }
        #[cfg(feature = "embedded-broker")]
        if let Some(broker) = self.broker.take() {
            let stop = |_| async {
                broker.stop().await;
                Ok::<(), std::convert::Infallible>(())
            };
            troubles.extend(part("embedded Kafka", end, stop).await);
        }
        if let Some(admin) = self.admin.take() {
            admin.stop().await;
        }
        if troubles.is_empty() { Ok(()) } else { Err(Incomplete(troubles)) }
    }
}

async fn part<F, E>(
    name: &'static str,
    end: Instant,
    drain: impl FnOnce(Duration) -> F,
) -> Option<Trouble>
where
    F: Future<Output = Result<(), E>>,
    E: fmt::Display,
{
    let left = end.saturating_duration_since(Instant::now()).max(LEAST);
    let begun = Instant::now();
    // The part keeps its own deadline; this one is for a part that does not.
    let reason = match timeout(left + LEAST, drain(left)).await {
        Ok(Ok(())) => {
            tracing::info!(took = ?begun.elapsed(), "{name} drained");
            return None;
        }
        Ok(Err(error)) => error.to_string(),
        Err(_) => format!("not done after {left:?}; raise shutdown_deadline if that is too short"),
    };
    tracing::warn!("{name}: {reason}");
    Some(Trouble { part: name, reason })
}
