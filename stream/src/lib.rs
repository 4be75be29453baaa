//! The stream worker: Kafka in, Delta tables out.
//!
//! One record's way through this crate, in reading order:
//!
//! 1. [`record`]: a Kafka message as the worker sees it.
//! 2. [`decode`]: its payload becomes [`event`] logs, [`span`]s or metric [`point`]s, or a refusal.
//! 3. [`pipeline`]: logs go through processors, log-based metrics, exclusion filters, indexes.
//! 4. [`columns`]: rows become Arrow columns of the tables in `schemas`.
//!
//! Everything up to here is pure: no clock, no randomness, no IO; the same records give the same
//! rows, byte for byte.

pub mod clock;
pub mod columns;
pub mod decode;
pub mod event;
pub mod json;
pub mod kafka;
pub mod pipeline;
pub mod point;
pub mod record;
pub mod source;
pub mod span;
pub mod store;
pub mod value;
pub mod worker;
