//! Delta tables: every change to a table goes through its one actor here.
//!
//! [`columns`] compares a table's columns with those this version writes, [`publication`] says what a commit-log record changes in a table, [`delta`] creates, opens and
//! commits, [`inspect`] only reads; [`actor`] is the task that publishes commits in order;
//! [`contents`] lists what a table is made of.
//!
//! **The cursor.** A table's Delta application transaction (`schemas::publish::app_id`) is the
//! last seq it contains. A record without files for a table does not move its cursor, so the
//! cursor of a quiet table stays behind the log while it misses nothing. Only changes of seqs above
//! the cursor are ever made, in the same Delta commit that moves the cursor: none twice.

pub mod actor;
pub(crate) mod columns;
pub mod contents;
pub mod delta;
pub mod inspect;
pub mod publication;
