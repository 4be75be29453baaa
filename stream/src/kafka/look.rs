//! A look at single messages that were read before: is each still the one it was?
//!
//! With a consumer of its own, in no group: what is read by the other goes on.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use schemas::time::EventTime;

use super::{ANSWER, Config, KafkaSource, LOOK_AGAIN};
use crate::clock::Clock;
use crate::source::{Event, Look, Source as _, SourceError, Start};
use stages::record::TopicPartition;

/// What a look needs.
#[derive(Clone)]
pub(super) struct Looker {
    config: Config,
    clock: Arc<dyn Clock>,
}

impl Looker {
    pub(super) fn new(config: &Config, clock: Arc<dyn Clock>) -> Self {
        let mut config = Config { membership: None, ..config.clone() };
        // One message is wanted, not what comes after it: nor does the embedded broker wait for more then.
        for (key, value) in [("queued.min.messages", "1"), ("fetch.wait.max.ms", "20")] {
            config.properties.push((key.to_owned(), value.to_owned()));
        }
        Self { config, clock }
    }

    fn look(
        &self,
        source: &mut KafkaSource,
        messages: &[(TopicPartition, i64)],
    ) -> Result<BTreeMap<TopicPartition, Option<EventTime>>, SourceError> {
        let end = self.clock.monotonic() + ANSWER;
        let start = |(partition, offset): &(TopicPartition, i64)| Start {
            partition: partition.clone(),
            offset: *offset,
        };
        let starts: Vec<Start> = messages.iter().map(start).collect();
        while let Err(error) = source.assign(starts.clone()) {
            if self.clock.monotonic() >= end {
                return Err(error);
            }
            thread::sleep(LOOK_AGAIN);
        }
        let wanted: BTreeMap<&TopicPartition, i64> =
            messages.iter().map(|(p, o)| (p, *o)).collect();
        let lane =
            source.lane(&starts.into_iter().map(|start| start.partition).collect::<Vec<_>>());
        let mut found = BTreeMap::new();
        while found.len() < messages.len() {
            let left = end.saturating_sub(self.clock.monotonic());
            if left == Duration::ZERO {
                let (came, of) = (found.len(), messages.len());
                return Err(SourceError::Unavailable(format!("{came} of {of} messages came")));
            }
            let (partition, timestamp) = match lane.recv_timeout(left) {
                Some(Event::Batch(batch)) => {
                    let first = batch.records.first();
                    let is_it = |offset| wanted.get(&batch.partition) == Some(&offset);
                    let timestamp =
                        first.filter(|first| is_it(first.offset)).map(|first| first.timestamp);
                    (batch.partition, timestamp)
                }
                Some(Event::Gap { partition, .. } | Event::OutOfRange { partition, .. }) => {
                    (partition, None)
                }
                Some(Event::Replaced(replaced)) => (replaced.partition, None),
                Some(Event::Failed(reason)) => return Err(SourceError::Unavailable(reason)),
                None => continue,
            };
            // What comes after it does not matter.
            found.entry(partition).or_insert(timestamp);
        }
        Ok(found)
    }
}

impl Look for Looker {
    fn timestamps(
        &self,
        messages: &[(TopicPartition, i64)],
    ) -> Result<Vec<Option<EventTime>>, SourceError> {
        if messages.is_empty() {
            return Ok(Vec::new());
        }
        let mut source = KafkaSource::connect(&self.config, Arc::clone(&self.clock))?;
        let found = self.look(&mut source, messages);
        Box::new(source).stop();
        let mut found = found?;
        Ok(messages.iter().map(|(partition, _)| found.remove(partition).flatten()).collect())
    }
}
