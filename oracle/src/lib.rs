//! Tidemill's grok and search beside Vector's (the `vrl` crate), asked the same and answering in one
//! form. For tests and benches alone.

pub mod grok;
pub mod lines;
pub mod rule_sets;
pub mod search;
