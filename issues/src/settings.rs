//! What a user can set.

use schemas::limits::MAX_ISSUES_PER_SERVICE;
use search::Query;

use crate::message::Format;
use crate::{DAY, HOUR, MINUTE, Micros};

/// How issues are kept and who is told of them.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An error older than this by the clock of the records counts, and raises no alert.
    pub late_after: Micros,
    /// An issue without errors for so long is resolved; `None`: never.
    pub auto_resolve: Option<Micros>,
    /// Issues one service may have; errors of further ones go into one that says so.
    pub max_per_service: usize,
    /// What counts as a spike.
    pub spike: Spike,
    /// From when on an issue has a high impact.
    pub high_impact: Impact,
    /// Whom to tell.
    pub recipients: Vec<Recipient>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            late_after: HOUR,
            auto_resolve: Some(14 * DAY),
            max_per_service: MAX_ISSUES_PER_SERVICE,
            spike: Spike::default(),
            high_impact: Impact::default(),
            recipients: Vec::new(),
        }
    }
}

/// What counts as a spike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spike {
    /// Whether they are looked for.
    pub enabled: bool,
    /// The time whose errors are compared.
    pub window: Micros,
    /// Fewer are never a spike.
    pub min_events: u64,
    /// So many times what is usual.
    pub factor: f64,
}

impl Default for Spike {
    fn default() -> Self {
        Self { enabled: true, window: 10 * MINUTE, min_events: 50, factor: 4.0 }
    }
}

/// From when on an issue has a high impact; `None`: not by that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Impact {
    /// Users affected.
    pub users: Option<u64>,
    /// Batches affected.
    pub batches: Option<u64>,
    /// Errors.
    pub events: Option<u64>,
}

impl Default for Impact {
    fn default() -> Self {
        Self { users: Some(100), batches: None, events: None }
    }
}

/// Somebody who is told.
#[derive(Debug, Clone)]
pub struct Recipient {
    /// Its name in the configuration.
    pub name: String,
    /// What it understands.
    pub format: Format,
    /// The issues it wants to hear of; the search sees `service`, `@error.kind`, `@error.message`, `@state`,
    /// `version`, and the message is the title.
    pub filter: Query,
    /// The kinds of alert it wants to hear of; empty: all.
    pub kinds: Vec<crate::outbox::AlertKind>,
}

impl Recipient {
    /// One who wants to hear of everything.
    pub fn of_all(name: &str, format: Format) -> Self {
        Self { name: name.to_owned(), format, filter: Query::all(), kinds: Vec::new() }
    }
}
