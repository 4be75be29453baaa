//! The state of issues: a pure machine that is told what came, what was decided and what time it is, and says
//! what changed and whom to tell.
//!
//! 1. [`occurrence`]: errors of one unit of work, added up per id that grouping gave them.
//! 2. [`issue`]: what is known of one issue; its parts are [`counts`].
//! 3. [`tracker`]: takes occurrences in, finds new issues, regressions ([`versions`]) and spikes ([`spike`]).
//!    [`place`]: which issue an id that is not known belongs to, and where there is no room for more.
//! 4. [`decision`]: what people decide. [`regroup`]: what a change of rules does to ids.
//! 5. [`monitor`]: values over thresholds, judged once per complete window.
//! 6. [`outbox`]: alerts become messages ([`message`]), grouped and at a bounded rate.
//!
//! Late and replayed errors amend counts and the time an issue was first seen, and raise no alert. Whatever the
//! order units come in, the counts are the same.

pub mod counts;
pub mod decision;
pub mod issue;
pub mod message;
pub mod monitor;
pub mod occurrence;
pub mod outbox;
mod place;
pub mod regroup;
pub mod saved;
pub mod settings;
pub mod spike;
#[cfg(test)]
mod tests;
pub mod tracker;
pub mod versions;

/// Microseconds since the Unix epoch: every time in here.
pub type Micros = i64;

/// Microseconds of a second.
pub const SECOND: Micros = 1_000_000;
/// Microseconds of a minute.
pub const MINUTE: Micros = 60 * SECOND;
/// Microseconds of an hour.
pub const HOUR: Micros = 60 * MINUTE;
/// Microseconds of a day.
pub const DAY: Micros = 24 * HOUR;
