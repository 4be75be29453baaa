//! `service-remapper`: service from an attribute, which stays. Only the first that applies to a
//! log takes effect.

use bumpalo::Bump;

use crate::event::LogEvent;
use crate::pipeline::source;

/// Sources in order.
#[derive(Debug)]
pub(in crate::pipeline) struct ServiceRemapper {
    pub(super) sources: Vec<Box<str>>,
}

impl ServiceRemapper {
    /// Sets the service.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, applied: &mut bool) {
        if *applied {
            return;
        }
        let read = |name: &str| {
            Some(source::read(arena, event, name)?.text(arena)).filter(|text| !text.is_empty())
        };
        if let Some(service) = self.sources.iter().find_map(|name| read(name)) {
            event.service = service;
            *applied = true;
        }
    }
}
