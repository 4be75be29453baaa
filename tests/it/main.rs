//! The one integration binary: repository rules, the command line's contracts, and a real process
//! that is sent telemetry, asked in SQL, stopped, killed and started again.
//!
//! Kept quick; real clients and longer runs are in `tests/clients`.

mod contracts;
mod harness;
mod http;
mod restart;
mod smoke;
mod tidy;
