//! `message-remapper`: the message from an attribute, which moves. Only the first that applies to
//! a log takes effect. `message` as a source is an attribute of that name, not the message itself:
//! integrations list it before others.

use bumpalo::Bump;

use crate::event::LogEvent;

/// Sources in order.
#[derive(Debug)]
pub(in crate::pipeline) struct MessageRemapper {
    pub(super) sources: Vec<Box<str>>,
}

impl MessageRemapper {
    /// Sets the message.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>, applied: &mut bool) {
        if *applied {
            return;
        }
        for name in &self.sources {
            let text = event.attributes.get(name).map(|value| value.text(arena));
            if let Some(text) = text.filter(|text| !text.is_empty()) {
                event.message = text;
                event.attributes.remove(name);
                *applied = true;
                return;
            }
        }
    }
}
