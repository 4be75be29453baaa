//! The vocabulary of Tidemill and the written contracts between its stages.
//!
//! `ingest`, `stream` and `query` never name one another. They meet here:
//!
//! | contract | between | file |
//! |---|---|---|
//! | topics, keys, headers, payload formats | ingest -> stream | [`topic`] |
//! | tables: names, columns, partitioning, sort order | stream -> query | [`table`], [`log`], [`span`], [`metric`], [`dead_letter`], [`ledger`], [`error_event`], [`issue`], [`notification`] |
//! | sketches inside the `metrics` table | stream -> query | [`sketch`] |
//! | what a published table version covers | stream -> query | [`publish`] |
//!
//! The rest is shared meaning: [`id`] (trace and span ids), [`time`] (event time), [`status`] (log
//! severity), [`limits`] (every bound in the system). No IO, no clock, no runtime in this crate.

pub mod dead_letter;
pub mod error_event;
pub mod id;
pub mod issue;
pub mod ledger;
pub mod limits;
pub mod log;
pub mod metric;
pub mod notification;
pub mod publish;
pub mod raw_message;
pub mod sketch;
pub mod span;
pub mod status;
pub mod table;
pub mod time;
pub mod topic;
