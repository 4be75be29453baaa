//! Whether a partition is still the one that was read: the offset the log stands at must be there, and so must a
//! message that was read before, its anchor.
//!
//! A topic that was deleted and made anew, or that lost its end (an election of a broker that was behind, a backup
//! brought back) and grew again, has other messages at the offsets that are in the tables. Kafka tells topics apart
//! by an id that the client library does not show, and says nothing to a consumer whose offset exists in the new one. So
//! the log has an anchor of each partition, and its timestamp stands for the message: it is looked at before each claim,
//! and every half a minute while the partition is read. Only then the anchor moves, to what was read before the look: so
//! the log never names a message of another topic, and what a look missed the next one finds.

use std::collections::BTreeMap;
use std::sync::Arc;

use schemas::time::EventTime;
use stages::record::TopicPartition;
use tokio_util::task::AbortOnDropHandle;

use super::Error;
use crate::commit_log::head::Head;
use crate::commit_log::record::Anchor;
use crate::operator::DECIDE;
use crate::source::{Look, PartitionInfo, Replaced, SourceError};
use crate::unit::OffsetRange;

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

type ByPartition = BTreeMap<TopicPartition, Anchor>;

/// The anchors that the log has of these partitions must be where they were.
pub(super) async fn check_anchors(
    look: &Arc<dyn Look>,
    head: &Head,
    infos: &[PartitionInfo],
) -> Result<(), Error> {
    let found = find_other(look, head, infos.iter().map(|info| &info.partition)).await;
    found.map_or(Ok(()), |found| Err(replaced(&found)))
}

/// The first of these partitions that is not the one the log knows. A broker that does not show its messages says
/// nothing: the next look may.
pub(crate) async fn find_other<'p>(
    look: &Arc<dyn Look>,
    head: &Head,
    partitions: impl Iterator<Item = &'p TopicPartition>,
) -> Option<Replaced> {
    let anchors = known(head, partitions);
    find_replaced(Arc::clone(look), anchors).await.unwrap_or_else(|error| {
        warn_unseen(&error);
        None
    })
}

fn warn_unseen(error: &SourceError) {
    tracing::warn!(%error, "whether the topics are the ones that were read is looked at later");
}

fn known<'p>(head: &Head, partitions: impl Iterator<Item = &'p TopicPartition>) -> ByPartition {
    let anchor = |partition: &TopicPartition| {
        Some((partition.clone(), head.partitions.get(partition)?.anchor?))
    };
    partitions.filter_map(anchor).collect()
}

/// The first anchor that is another message now. One that is gone says nothing.
async fn find_replaced(
    look: Arc<dyn Look>,
    anchors: ByPartition,
) -> Result<Option<Replaced>, SourceError> {
    let messages: Vec<_> = anchors.iter().map(|(p, anchor)| (p.clone(), anchor.offset)).collect();
    let found = tokio::task::spawn_blocking(move || look.timestamps(&messages))
        .await
        .map_err(|error| SourceError::Unavailable(error.to_string()))??;
    let is_other = |((partition, anchor), found): ((TopicPartition, Anchor), Option<EventTime>)| {
        let read = EventTime::from_nanos(anchor.timestamp_ns);
        let found = found.filter(|found| *found != read)?;
        Some(Replaced { partition, offset: anchor.offset, read, found })
    };
    Ok(anchors.into_iter().zip(found).find_map(is_other))
}

/// The anchors of the partitions that are read, and a look at them.
pub(super) struct Anchors {
    look: Arc<dyn Look>,
    /// As the log has them.
    standing: ByPartition,
    /// The last messages committed: where the anchors move to.
    latest: ByPartition,
    looking: Option<AbortOnDropHandle<Looked>>,
}

/// What was looked at, where it moves to, what was found.
type Looked = (ByPartition, ByPartition, Result<Option<Replaced>, SourceError>);

impl Anchors {
    pub(super) fn new(look: Arc<dyn Look>) -> Self {
        Self { look, standing: BTreeMap::new(), latest: BTreeMap::new(), looking: None }
    }

    /// These are read from where the log stands.
    pub(super) fn claimed<'p>(
        &mut self,
        head: &Head,
        partitions: impl Iterator<Item = &'p TopicPartition> + Clone,
    ) {
        self.released(partitions.clone());
        self.standing.extend(known(head, partitions));
    }

    /// These are not read here any more.
    pub(super) fn released<'p>(&mut self, partitions: impl Iterator<Item = &'p TopicPartition>) {
        for partition in partitions {
            self.standing.remove(partition);
            self.latest.remove(partition);
        }
    }

    /// What the log is told with this range.
    pub(super) fn of(&self, range: &OffsetRange) -> Option<Anchor> {
        self.standing.get(&range.partition).copied().or_else(|| last(range))
    }

    /// The range is committed.
    pub(super) fn committed(&mut self, range: &OffsetRange) {
        if let Some(anchor) = last(range) {
            self.standing.entry(range.partition.clone()).or_insert(anchor);
            self.latest.insert(range.partition.clone(), anchor);
        }
    }

    /// Looks at them, unless the last look goes on still.
    pub(super) fn begin(&mut self) {
        if self.looking.is_some() || self.latest.is_empty() {
            return;
        }
        // What was read before the look is of the topic that the look finds.
        let (look, latest) = (Arc::clone(&self.look), self.latest.clone());
        let moving = |(partition, _): &(&TopicPartition, &Anchor)| latest.contains_key(*partition);
        let standing: ByPartition =
            self.standing.iter().filter(moving).map(|(p, anchor)| (p.clone(), *anchor)).collect();
        self.looking = Some(AbortOnDropHandle::new(tokio::spawn(async move {
            let found = find_replaced(look, standing.clone()).await;
            (standing, latest, found)
        })));
    }

    /// Waits for the end of a look; for ever without one.
    pub(super) async fn looked(&mut self) -> Result<(), Error> {
        let Some(looking) = &mut self.looking else { return std::future::pending().await };
        let looked = looking.await;
        self.looking = None;
        let (standing, latest, found) = looked.map_err(|error| Error::new(error.to_string()))?;
        match found {
            Ok(Some(found)) if self.standing.contains_key(&found.partition) => {
                return Err(replaced(&found));
            }
            // Of a partition that is another worker's by now; the others behind it were not compared.
            Ok(Some(_)) => return Ok(()),
            Ok(None) => {}
            Err(error) => {
                warn_unseen(&error);
                return Ok(());
            }
        }
        for (partition, anchor) in latest {
            // Only where nothing else has happened to it meanwhile.
            if let Some(place) = self.standing.get_mut(&partition)
                && standing.get(&partition) == Some(place)
            {
                *place = anchor;
            }
        }
        Ok(())
    }
}

fn last(range: &OffsetRange) -> Option<Anchor> {
    Some(Anchor { offset: range.to.checked_sub(1)?, timestamp_ns: range.last?.nanos() })
}
