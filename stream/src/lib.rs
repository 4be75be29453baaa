//! The stream worker: Kafka in, Delta tables out.
//!
//! One record's way through this crate, in reading order:
//!
//! 1. [`source`], [`kafka`]: where records come from.
//! 2. [`lane`]: some partitions on one thread, through the pure `stages`: decode, pipeline, columns.
//! 3. [`unit`]: what the lanes built in one epoch.
//! 4. [`files`]: a unit's rows become Parquet files in the [`store`].
//! 5. [`commit_log`]: appending the unit's record is the only commit point.
//! 6. [`table`]: committed files become visible in the Delta tables.
//! 7. [`worker`]: the loop that drives all of it, and recovery.
//! 8. [`upkeep`]: compaction, retention, and the deletion of what nothing refers to.
//! 9. [`replay`]: history through the pipeline again, swapped in at once.
//!
//! 9. [`issues`]: the second pipeline, which keeps the state of issues; its source is the commit log.
//!
//! Beside it: [`archive`] reads records from files; [`watermark`] says how complete the tables are; [`fsck`] checks log,
//! tables and files; [`operator`] records what a person decides.

pub mod archive;
pub mod backoff;
pub mod clock;
pub mod commit_log;
pub mod crash_point;
#[cfg(test)]
mod fault_store;
pub mod files;
#[cfg(test)]
mod fixture;
pub mod fsck;
pub mod issues;
pub mod kafka;
pub mod lane;
mod mutant;
pub mod operator;
pub mod replay;
#[cfg(test)]
mod simulation;
pub mod source;
pub mod store;
pub mod table;
pub mod unit;
pub mod upkeep;
pub mod versions;
pub mod watermark;
pub mod worker;
