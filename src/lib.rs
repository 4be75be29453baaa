//! The process around the crates: command line, configuration, roles, start and drain order.
//!
//! | file | what |
//! |---|---|
//! | [`cli`] | the command line, as typed |
//! | [`config`] | the configuration: as written, then as checked |
//! | [`engine`] | the roles of one process: start order, failure, drain order |
//! | [`admin`] | health and metrics of the process itself |
//! | [`audit`] | proves from the tables that nothing was lost or doubled |
//! | [`pipeline`] | pipeline files: from what the user names to a compiled pipeline |
//! | [`commands`] | one file per command |
//! | [`api`] | client of our own HTTP API, over [`http`] |
//! | [`demo`] | a small shop whose telemetry shows the product, and the oracle that checks it |
//! | [`issue_desk`] | issues for people: lists, pages, decisions |
//! | [`notify`] | messages about them, over HTTP |
//! | [`monitors`] | queries that are watched |
//! | [`redrive`] | dead letters through again |
//! | [`exit`] | exit codes |

pub mod admin;
pub mod api;
pub mod audit;
pub mod cli;
pub mod commands;
pub mod config;
pub mod demo;
pub mod engine;
pub mod exit;
pub mod http;
pub mod issue_desk;
pub mod monitors;
pub mod notify;
pub mod pipeline;
pub mod redrive;
