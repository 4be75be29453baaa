//! What every listener shares: the sink, the byte budget, the counters.

use std::sync::Arc;

use schemas::limits::MAX_BYTES_IN_FLIGHT;
use tokio::time::{Instant, timeout_at};

use crate::admission::Admission;
use crate::counters::{Counters, Endpoint, Outcome};
use crate::refusal::Refusal;
use crate::sink::{Message, Sink};

/// The shared part; cheap to clone.
#[derive(Clone)]
pub(crate) struct Intake {
    sink: Arc<dyn Sink>,
    pub(crate) admission: Admission,
    pub(crate) counters: Arc<Counters>,
}

/// What a request became.
#[derive(Debug, Default)]
pub(crate) struct Split {
    /// For Kafka.
    pub(crate) messages: Vec<Message>,
    /// Records in them.
    pub(crate) records: usize,
    /// Records whose long values were cut so that they fit a message.
    pub(crate) cut: usize,
    /// Records that are refused while the rest is taken.
    pub(crate) rejected: usize,
    /// Why the first of them was refused.
    pub(crate) reason: Option<String>,
}

impl Intake {
    /// An intake that writes to `sink`.
    pub(crate) fn new(sink: Arc<dyn Sink>) -> Self {
        Self {
            sink,
            admission: Admission::new(MAX_BYTES_IN_FLIGHT),
            counters: Arc::new(Counters::default()),
        }
    }

    /// Writes the messages; resolves when Kafka has every one of them.
    pub(crate) async fn deliver(
        &self,
        endpoint: Endpoint,
        split: &mut Split,
        deadline: Instant,
    ) -> Result<(), Refusal> {
        let messages = std::mem::take(&mut split.messages);
        let count = messages.len();
        let bytes = messages.iter().map(|message| message.payload.len()).sum();
        if count > 0 {
            timeout_at(deadline, self.sink.send(messages))
                .await
                .map_err(|_| Refusal::unavailable("kafka did not acknowledge in time"))??;
        }
        for (outcome, count) in [
            (Outcome::Accepted, 1),
            (Outcome::Records, split.records),
            (Outcome::RecordsRejected, split.rejected),
            (Outcome::RecordsCut, split.cut),
            (Outcome::Messages, count),
            (Outcome::Bytes, bytes),
        ] {
            self.counters.add(endpoint, outcome, count);
        }
        Ok(())
    }

    /// Counts a refusal and leaves a line in the log.
    pub(crate) fn refused(&self, endpoint: Endpoint, refusal: &Refusal) {
        self.counters.add(endpoint, Outcome::Refused(refusal.kind), 1);
        tracing::debug!(?endpoint, reason = refusal.kind.as_str(), "{refusal}");
    }
}

impl std::fmt::Debug for Intake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Intake").field("admission", &self.admission).finish_non_exhaustive()
    }
}
