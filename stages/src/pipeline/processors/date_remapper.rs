//! `date-remapper`: event time from an attribute, which stays. Where several apply the last one
//! wins, as Datadog's documentation page has it.

use bumpalo::Bump;

use crate::event::LogEvent;
use crate::pipeline::{dates, source};

/// Sources in order.
#[derive(Debug)]
pub(in crate::pipeline) struct DateRemapper {
    pub(super) sources: Vec<Box<str>>,
}

impl DateRemapper {
    /// Sets the event time; an attribute that is no date is passed over.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let read =
            |name: &str| dates::from_millis(&source::read(arena, event, name)?, event.received);
        if let Some(time) = self.sources.iter().find_map(|name| read(name)) {
            event.timestamp = Some(time);
        }
    }
}
