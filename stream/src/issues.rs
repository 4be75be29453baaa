//! The second pipeline: what the errors of all partitions add up to. Its source is the commit log of the first
//! one: every record names the `error_events` files of its unit. Its own commit log says how far it is, as the
//! offset of one partition of a topic that is that log ([`SOURCE`]), so claims, generations and parents fence
//! it like any worker, and an error is counted once.
//!
//! ```text
//! _sys/live/log --> source --> machine (crate `issues`) --> files, parts of the state --> COMMIT in _sys/issues/log
//! decisions, in that log ------^                 ^                                          |        |
//!                      fates of messages --------+------------------ postman <-- outbox <---+        v
//!                                                                             error_issue_history, notifications
//! ```
//!
//! [`runner`] is the loop, [`beginning`] finds where to read on, [`source`] reads errors, [`state`] stores what is known, [`rows`] writes the tables,
//! [`desk`] is where people read and decide.

mod beginning;
pub mod desk;
mod postman;
mod rows;
pub mod runner;
pub(crate) mod session;
mod source;
mod state;
#[cfg(test)]
mod tests;

pub(crate) use beginning::position;
pub use postman::Postman;
pub use runner::{Config, Running, Status, StatusReader, start};

use stages::record::TopicPartition;

/// The name of the first pipeline's commit log as a topic: offsets are its sequence numbers.
pub const SOURCE: &str = "_sys/live/log";

/// Its one partition.
fn partition() -> TopicPartition {
    TopicPartition { topic: SOURCE.into(), partition: 0 }
}
