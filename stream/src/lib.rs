//! The stream worker: Kafka in, Delta tables out.
//!
//! One record's way through this crate, in reading order:
//!
//! 1. [`record`]: a Kafka message as the worker sees it.
//! 2. [`decode`]: its payload becomes [`event`] logs, [`span`]s or metric [`point`]s, or a refusal.
//! 3. [`pipeline`]: logs go through processors, log-based metrics, exclusion filters, indexes.
//! 4. [`columns`]: rows become Arrow columns of the tables in `schemas`.
//! 5. [`lane`]: some partitions on one thread: steps 2 to 4, every event counted ([`tally`]).
//! 6. [`unit`]: what the lanes built in one epoch.
//!
//! Everything up to here is pure: no clock, no randomness, no IO; the same records give the same
//! rows, byte for byte. Around it:
//!
//! 7. [`source`], [`kafka`]: where records come from.
//! 8. [`files`]: a unit's rows become Parquet files in the [`store`].
//! 9. [`commit_log`]: appending the unit's record is the only commit point.
//! 10. [`table`]: committed files become visible in the Delta tables.
//! 11. [`worker`]: the loop that drives all of it, and recovery.
//! 12. [`upkeep`]: compaction, retention, and the deletion of what nothing refers to.
//!
//! Beside it: [`fsck`] checks log, tables and files; [`operator`] records what a person decides.

pub mod backoff;
pub mod clock;
pub mod columns;
pub mod commit_log;
pub mod crash_point;
pub mod decode;
pub mod event;
#[cfg(test)]
mod fault_store;
pub mod files;
#[cfg(test)]
mod fixture;
pub mod fsck;
pub mod json;
pub mod kafka;
pub mod lane;
mod mutant;
pub mod operator;
pub mod pipeline;
pub mod point;
pub mod record;
#[cfg(test)]
mod simulation;
pub mod source;
pub mod span;
pub mod store;
pub mod table;
pub mod tally;
pub mod unit;
pub mod upkeep;
pub mod value;
pub mod worker;
