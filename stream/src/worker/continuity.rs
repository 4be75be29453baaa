//! Whether a partition is still the one that was read: the offset the log stands at must be there, and before it the
//! message that was read last.
//!
//! A topic that was deleted and made anew, or that lost its end (an election of a broker that was behind, a backup
//! brought back) and grew again, has other messages at the offsets that are in the tables. Kafka tells topics apart
//! by an id that the client library does not show, so its timestamp stands for the message.

use std::sync::{Arc, PoisonError};

use schemas::time::EventTime;
use stages::record::TopicPartition;

use super::recovery::Held;
use super::{Error, SharedSource};
use crate::commit_log::head::Head;
use crate::operator::DECIDE;
use crate::source::{PartitionInfo, Replaced, SourceError};

/// The broker must still have the offset the log stands at.
pub(super) fn check_range(head: &Head, info: &PartitionInfo) -> Result<(), Error> {
    let Some(known) = head.partitions.get(&info.partition) else { return Ok(()) };
    let next = known.next_offset;
    if (info.low..=info.high).contains(&next) {
        return Ok(());
    }
    Err(out_of_range(&info.partition, next, info.low, info.high))
}

/// What to say when the broker does not have an offset: not any more, or not yet although it was read.
pub(super) fn out_of_range(partition: &TopicPartition, asked: i64, low: i64, high: i64) -> Error {
    let TopicPartition { topic, partition } = partition;
    if asked > high {
        return Error::decision(format!(
            "{topic}-{partition} is committed up to offset {asked}, but the broker ends at {high}: the \
             topic was emptied or created anew; restore it, or read it under a new name"
        ));
    }
    Error::decision(format!(
        "{topic}-{partition}: offset {asked} is gone, the broker has {low} to {high}: retention \
         removed messages before they were read; they are lost unless the topic is restored. \
         Decide: restore it, or accept the loss: {DECIDE}accept-gap --topic {topic} --partition {partition} \
         --reason TEXT"
    ))
}

/// What to say of a message that is not the one that was read.
pub(super) fn replaced(found: &Replaced) -> Error {
    Error::decision(format!("{found}; restore the topic, or read it under a new name"))
}

/// The message before the offset where reading of each partition goes on must be the one that was read last: the first
/// that is not. One that is gone says nothing.
pub(super) async fn find_replaced(
    source: &SharedSource,
    held: &[Held],
) -> Result<Option<Replaced>, SourceError> {
    let read: Vec<(TopicPartition, i64, EventTime)> = held
        .iter()
        .filter_map(|held| Some((held.partition.clone(), held.offset.checked_sub(1)?, held.last?)))
        .collect();
    let messages: Vec<_> = read.iter().map(|(p, offset, _)| (p.clone(), *offset)).collect();
    let source = Arc::clone(source);
    let ask = move || {
        let source = source.lock().unwrap_or_else(PoisonError::into_inner);
        source.as_ref().map_or(Ok(Vec::new()), |source| source.timestamps(&messages))
    };
    let found = tokio::task::spawn_blocking(ask)
        .await
        .map_err(|error| SourceError::Unavailable(error.to_string()))??;
    let is_other = |((partition, offset, read), found): ((_, _, EventTime), Option<EventTime>)| {
        let found = found.filter(|found| *found != read)?;
        Some(Replaced { partition, offset, read, found })
    };
    Ok(read.into_iter().zip(found).find_map(is_other))
}
