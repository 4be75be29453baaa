//! PostgreSQL wire protocol over the guarded engine.
pub(crate) mod columns;
