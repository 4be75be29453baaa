//! What a consumer that shares its topics with others needs: the group's settings, and the callback that hands
//! the group's decisions over.
//!
//! librdkafka waits for the answer to a decision (an incremental assign or unassign) as long as it takes, up to
//! `max.poll.interval.ms`, and goes on delivering the other partitions meanwhile. So the callback only passes the
//! decision on; the worker claims or commits first and answers through the poll thread.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rdkafka::TopicPartitionList;
use rdkafka::client::ClientContext;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::types::RDKafkaRespErr;
use schemas::limits::METADATA_REFRESH_SECONDS;
use tokio::sync::mpsc;

use crate::source::Change;
use stages::record::TopicPartition;

/// How this consumer belongs to its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Membership {
    /// A name that stays the same over restarts (`group.instance.id`): within the session timeout a restarted
    /// worker gets its partitions back without anybody else stopping. `None`: every start is a new member.
    pub instance: Option<String>,
    /// How long the group waits for a member it does not hear of.
    pub session_timeout: Duration,
}

/// Longest time between two signs of life to the group; a tenth of a short session timeout.
const HEARTBEAT: Duration = Duration::from_secs(3);
/// How long a member may take to answer a decision of the group: longer than a flush on a slow store.
const MAX_POLL_INTERVAL: Duration = Duration::from_secs(300);

/// Properties that belong to a setting of the worker, or to none.
pub(super) const OWNED: [(&str, &str); 7] = [
    ("group.id", "set worker.group instead"),
    ("group.instance.id", "set worker.instance instead"),
    ("session.timeout.ms", "set worker.session_timeout instead"),
    ("heartbeat.interval.ms", "it follows worker.session_timeout"),
    ("max.poll.interval.ms", "it is longer than any flush"),
    ("partition.assignment.strategy", "partitions move by cooperative-sticky only"),
    ("group.protocol", "partitions move by the classic protocol only"),
];

/// Sets what membership needs.
pub(super) fn configure(native: &mut ClientConfig, membership: &Membership) {
    let millis = |duration: Duration| duration.as_millis().to_string();
    let session = membership.session_timeout;
    native
        .set("partition.assignment.strategy", "cooperative-sticky")
        .set("session.timeout.ms", millis(session))
        .set("heartbeat.interval.ms", millis(HEARTBEAT.min(session / 10)))
        .set("max.poll.interval.ms", millis(MAX_POLL_INTERVAL.max(session)))
        // How soon the group sees partitions that were added to a topic.
        .set("topic.metadata.refresh.interval.ms", (METADATA_REFRESH_SECONDS * 1_000).to_string());
    if let Some(instance) = &membership.instance {
        native.set("group.instance.id", instance);
    }
}

/// librdkafka's callbacks: log lines, and the group's decisions.
#[derive(Debug, Default)]
pub(super) struct Callbacks {
    changes: Option<mpsc::Sender<Change>>,
    /// Nobody answers any more: decisions are answered here.
    closing: AtomicBool,
}

impl Callbacks {
    pub(super) fn of_member(changes: mpsc::Sender<Change>) -> Self {
        Self { changes: Some(changes), closing: AtomicBool::new(false) }
    }

    pub(super) fn is_member(&self) -> bool {
        self.changes.is_some()
    }

    pub(super) fn close(&self) {
        self.closing.store(true, Ordering::Release);
    }

    /// Tells whoever answers the group's decisions; false when nobody listens.
    pub(super) fn tell(&self, change: Change) -> bool {
        self.changes.as_ref().is_some_and(|changes| changes.try_send(change).is_ok())
    }
}

impl ClientContext for Callbacks {
    fn log(&self, level: RDKafkaLogLevel, facility: &str, message: &str) {
        match level {
            RDKafkaLogLevel::Info | RDKafkaLogLevel::Notice | RDKafkaLogLevel::Debug => {
                tracing::debug!(facility, "librdkafka: {message}");
            }
            // A lost connection is retried: not an error of ours.
            _ => tracing::warn!(facility, "librdkafka: {message}"),
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka consumer");
    }
}

impl ConsumerContext for Callbacks {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        list: &mut TopicPartitionList,
    ) {
        let is_assignment = what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS;
        let partitions = partitions(list);
        let change = match (is_assignment, consumer.assignment_lost()) {
            (true, _) => Change::Assigned(partitions),
            (false, false) => Change::Revoked(partitions),
            (false, true) => Change::Lost(partitions),
        };
        tracing::info!(?change, "the group moves partitions");
        if !self.closing.load(Ordering::Acquire) && self.tell(change) {
            return;
        }
        // Closing, or the worker is gone: take nothing, give everything.
        let answered = if is_assignment {
            consumer.incremental_assign(&TopicPartitionList::new())
        } else {
            consumer.incremental_unassign(list)
        };
        if let Err(error) = answered {
            tracing::debug!(%error, "the group's decision was not answered");
        }
    }

    fn commit_callback(&self, result: Result<(), KafkaError>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "offset hint not stored");
        }
    }
}

pub(super) fn partitions(list: &TopicPartitionList) -> Vec<TopicPartition> {
    let partition = |element: &rdkafka::topic_partition_list::TopicPartitionListElem<'_>| {
        TopicPartition { topic: Arc::from(element.topic()), partition: element.partition() }
    };
    list.elements().iter().map(partition).collect()
}
