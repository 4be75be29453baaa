//! `status-remapper`: official status from an attribute, which stays. Only the first that applies
//! to a log takes effect.

use bumpalo::Bump;

use crate::event::LogEvent;
use crate::pipeline::{preprocess, source};

/// Sources in order.
#[derive(Debug)]
pub(in crate::pipeline) struct StatusRemapper {
    pub(super) sources: Vec<Box<str>>,
}

impl StatusRemapper {
    /// Sets the status.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, applied: &mut bool) {
        if *applied {
            return;
        }
        let read = |name: &str| preprocess::status(&source::read(arena, event, name)?);
        if let Some(status) = self.sources.iter().find_map(|name| read(name)) {
            event.status = Some(status);
            *applied = true;
        }
    }
}
