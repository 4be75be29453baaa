//! CONTRACT stream -> query: what a published table version covers.
//!
//! The table actor publishes with one Delta application transaction per pipeline: application id
//! [`app_id`], version = the last commit-log sequence number the table version contains. A reader
//! that finds version 17 there sees every row of the commits 0 to 17 of that pipeline, and no other.

/// The pipeline of `tidemill up`; replays get names of their own.
pub const LIVE_PIPELINE: &str = "live";
/// The pipeline that keeps the state of issues: it reads the commit log of [`LIVE_PIPELINE`].
pub const ISSUES_PIPELINE: &str = "issues";

/// Delta application id of a pipeline's publisher.
pub fn app_id(pipeline: &str) -> String {
    format!("tidemill/{pipeline}")
}
