//! The stages: a Kafka message becomes rows. Pure: no clock, no randomness, no IO; the same records
//! give the same rows, byte for byte. That is what replay, recovery, `plan` and the simulation
//! stand on.
//!
//! One record's way, in reading order:
//!
//! 1. [`record`]: a Kafka message as the stages see it.
//! 2. [`input`]: where logs come as bytes, in lines and envelopes, which of them are one record.
//! 3. [`decode`]: its payload becomes [`event`] logs, [`span`]s or metric [`point`]s, or a refusal.
//! 4. [`pipeline`]: logs go through processors, log-based metrics, exclusion filters, indexes.
//! 5. [`errors`]: logs and spans that are errors get their issue, before anything is excluded.
//! 6. [`columns`]: rows become Arrow columns of the tables in `schemas`.
//!
//! Every event is counted once in [`tally`]; [`value`] holds attributes, [`json`] reads them.

pub mod columns;
pub mod decode;
pub mod errors;
pub mod event;
pub mod input;
pub mod json;
pub mod pipeline;
pub mod point;
pub mod record;
pub mod span;
pub mod tally;
pub mod value;
