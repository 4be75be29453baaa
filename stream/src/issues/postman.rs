//! Sending what the outbox holds: the seam to whoever speaks HTTP, and the attempts under way.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use issues::outbox::{Attempt, Message, Outbox};
use schemas::limits::MAX_CONCURRENT_NOTIFICATIONS;
use tokio::task::{AbortHandle, JoinSet};

/// Delivers messages. An attempt ends within [`schemas::limits::NOTIFY_TIMEOUT_SECONDS`].
#[async_trait]
pub trait Postman: fmt::Debug + Send + Sync {
    /// One attempt at one message.
    async fn send(&self, message: &Message) -> Attempt;
}

/// Attempts under way. Each message is tried by one at a time.
#[derive(Debug)]
pub(super) struct Attempts {
    postman: Arc<dyn Postman>,
    tasks: JoinSet<(String, Attempt)>,
    /// By message. The handle says whether an attempt has ended before anybody asks, which tests wait for.
    under_way: BTreeMap<String, AbortHandle>,
}

impl Attempts {
    pub(super) fn new(postman: Arc<dyn Postman>) -> Self {
        Self { postman, tasks: JoinSet::new(), under_way: BTreeMap::new() }
    }

    /// Begins attempts at committed messages that are due.
    pub(super) fn begin(&mut self, outbox: &Outbox, now: i64) {
        for message in outbox.due(now) {
            if self.tasks.len() >= MAX_CONCURRENT_NOTIFICATIONS {
                return;
            }
            let Entry::Vacant(place) = self.under_way.entry(message.id.clone()) else { continue };
            let (postman, message) = (Arc::clone(&self.postman), message.clone());
            place.insert(self.tasks.spawn(async move {
                let attempt = postman.send(&message).await;
                (message.id, attempt)
            }));
        }
    }

    /// Attempts that have ended. One that panicked is made again.
    pub(super) fn ended(&mut self) -> Vec<(String, Attempt)> {
        let mut ended = Vec::new();
        while let Some(done) = self.tasks.try_join_next() {
            match done {
                Ok((id, attempt)) => {
                    self.under_way.remove(&id);
                    ended.push((id, attempt));
                }
                Err(error) => {
                    tracing::error!(%error, "an attempt to send a message ended without a result");
                    self.under_way.clear();
                }
            }
        }
        ended
    }

    /// Waits until all attempts under way have an end, which [`Self::ended`] then tells of.
    #[cfg(test)]
    pub(super) async fn rest(&self) {
        while !self.under_way.values().all(AbortHandle::is_finished) {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }

    /// Whether nothing is under way.
    pub(super) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }
}
