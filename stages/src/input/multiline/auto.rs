//! What lines look like: how it is told without a pattern whether a line continues a log.
//!
//! * A line that begins with a time or a level, and a JSON object, begins a log.
//! * After one with a time or a level, every other line belongs to it, as for Datadog's agent
//!   (`auto_multi_line_detection`).
//! * Otherwise what is indented, and what the languages in [`super::traces`] print, continues.

use super::timestamp::begins;
use super::traces::{self, Trace};

/// What is known of the open log.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Its first line has a time or a level.
    is_stamped: bool,
    /// Its first line is a whole JSON object: complete.
    is_json: bool,
    trace: Option<Trace>,
}

impl State {
    /// Whether this line continues the open log.
    pub(super) fn continues(&self, text: &[u8]) -> bool {
        if self.is_json || is_json(text) {
            return false;
        }
        if text.trim_ascii().is_empty() {
            return self.is_stamped || self.trace.is_some();
        }
        if text[0] == b' ' || text[0] == b'\t' {
            return true;
        }
        if traces::always_continues(text) {
            return true;
        }
        if begins(text) {
            return false;
        }
        self.is_stamped || self.trace.as_ref().is_some_and(|trace| trace.continues(text))
    }

    /// Remembers a line of the open log, or the first one of a new one.
    pub(super) fn see(&mut self, text: &[u8], is_new: bool) {
        if is_new {
            *self = Self { is_stamped: begins(text), is_json: is_json(text), trace: None };
        }
        match &mut self.trace {
            Some(trace) => trace.see(text),
            None => self.trace = Trace::opened_by(text),
        }
    }
}

fn is_json(text: &[u8]) -> bool {
    text.starts_with(b"{") && text.trim_ascii_end().ends_with(b"}")
}
