//! The attributes each log has by itself, before a pipeline reads anything out of it. Pure.
//!
//! **Parsed.** A log's row is parsed if it has an attribute that its message does not have by itself: one the
//! pipeline has made. What the message has by itself is what the first stage leaves of it without configuration. So
//! the word means the same for rows of any pipeline version.

use std::panic::{AssertUnwindSafe, catch_unwind};

use bumpalo::Bump;
use schemas::topic::Signal;
use stages::decode::{self, Items};
use stages::input::Input;
use stages::pipeline::{Pipeline, config};
use stages::record::Record;
use xxhash_rust::xxh3::xxh3_64;

/// Names of the attributes each event has by itself, as hashes.
#[derive(Debug, Default)]
pub struct Own {
    /// Offset, number within the message, and where its names end; in order.
    events: Vec<((i64, i32), usize)>,
    names: Vec<u64>,
}

impl Own {
    /// Of the logs in these records, which are in the order of their offsets.
    pub fn of(records: &[Record], signal: Signal, input: &Input) -> Self {
        let mut own = Self::default();
        let pipeline = Pipeline::compile(&config::Config::default());
        let (Signal::Logs, Ok(pipeline)) = (signal, pipeline) else { return own };
        let mut arena = Bump::new();
        for record in records {
            // What panics is a dead letter, and has no row.
            drop(catch_unwind(AssertUnwindSafe(|| own.read(&pipeline, &arena, record, input))));
            arena.reset();
        }
        own
    }

    fn read(&mut self, pipeline: &Pipeline, arena: &Bump, record: &Record, input: &Input) {
        let decoded = decode::decode_input(arena, record, Signal::Logs, input);
        let Ok(decoded) = decoded else { return };
        let Items::Logs(logs) = decoded.items else { return };
        for mut log in logs {
            pipeline.preprocess(arena, &mut log);
            let names = log.attributes.iter().map(|(key, _)| xxh3_64(key.as_bytes()));
            self.names.extend(names);
            self.events.push(((record.offset, log.index), self.names.len()));
        }
    }

    /// Whether a row with these attributes has one its event does not have by itself.
    pub fn is_parsed<'k>(
        &self,
        event: (i64, i32),
        mut names: impl Iterator<Item = &'k str>,
    ) -> bool {
        let own = self.names(event);
        // Marks of ours, such as `_truncated`, are nothing the pipeline has read.
        names.any(|name| !name.starts_with('_') && !own.contains(&xxh3_64(name.as_bytes())))
    }

    fn names(&self, event: (i64, i32)) -> &[u64] {
        let Ok(place) = self.events.binary_search_by_key(&event, |(event, _)| *event) else {
            return &[];
        };
        let end = |place: usize| self.events.get(place).map(|(_, end)| *end);
        let from = place.checked_sub(1).and_then(end).unwrap_or(0);
        self.names.get(from..end(place).unwrap_or(from)).unwrap_or_default()
    }
}
