//! Answers as bytes: JSON, CSV, Arrow IPC.

pub(crate) mod arrow_ipc;
pub(crate) mod base64;
pub(crate) mod csv;
pub(crate) mod json;
pub(crate) mod plain;
pub(crate) mod type_name;
pub(crate) mod value;
