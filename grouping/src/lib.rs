//! Error grouping: which issue an error belongs to. Pure: no clock, no randomness, no IO, no memory
//! of earlier errors; the same error and the same rules give the same issue, on every worker and in
//! every replay.
//!
//! One error's way, in reading order:
//!
//! 1. [`detect`]: a log or span as attributes becomes an [`ErrorInput`], or is no error.
//! 2. [`stack`]: the text of a stack trace becomes exceptions and frames.
//! 3. [`rules`]: what the configuration says about frames, fingerprints, merges and splits.
//! 4. [`message`]: the message becomes its template; numbers, ids, quoted text are values.
//! 5. [`Grouper`]: all of it becomes an issue id; [`Grouper::explain`] says from what.
//!
//! What needs memory is apart, for whoever keeps state: [`miner`] says which new messages are known ones.

pub mod detect;
mod explain;
mod fingerprint;
mod grouper;
mod input;
mod issue_id;
pub mod message;
pub mod miner;
pub mod rules;
pub mod stack;

pub use explain::{Component, Difference, Explanation, FrameUse};
pub use grouper::{ALGORITHM, Grouped, Grouper};
pub use input::{ErrorInput, Lookup, no_attributes};
pub use issue_id::IssueId;
pub use rules::{RuleError, RulesConfig};
