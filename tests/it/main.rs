//! The one integration binary: repository rules, the command line's contracts, the Kafka contract
//! against every broker at hand, and a real process that is sent telemetry, asked in SQL, stopped,
//! killed and started again.
//!
//! Kept quick; real clients and longer runs are in `tests/clients`.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod contracts;
mod dropped;
mod groups;
mod harness;
mod http;
mod kafka;
mod kills;
mod pipeline;
mod restart;
mod search;
mod smoke;
mod tidy;
