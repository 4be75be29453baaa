//! PostgreSQL wire protocol over the guarded engine: psql, psycopg, Grafana's data source.
//!
//! `datafusion-postgres` parses and rewrites what clients send and knows `pg_catalog`; planning and
//! running go through [`crate::engine`], under the same allow-list and limits as HTTP. No
//! authentication: the port is loopback by default.

pub(crate) mod columns;
mod guarded_parser;
mod parameters;
mod parse_hook;
mod rows;
pub(crate) mod search_path;
pub(crate) mod server;
mod service;
mod settings;

use pgwire::error::{ErrorInfo, PgWireError};

use crate::error::QueryError;

/// The failure as PostgreSQL says it.
fn wire_error(error: QueryError) -> PgWireError {
    let mut info =
        ErrorInfo::new("ERROR".to_owned(), error.code.sqlstate().to_owned(), error.message);
    info.hint = error.hint;
    PgWireError::UserError(Box::new(info))
}
