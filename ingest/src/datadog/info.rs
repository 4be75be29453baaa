//! `GET /info`: what this intake is, in the words of the Datadog agent.
//!
//! Tracers turn features on and off by it, so it names what is kept here. What is not named (client
//! statistics, remote configuration, the event proxy) tracers do not use. The exception is the
//! debugger: ddtrace warns at every start of an agent that does not name it, though it sends nothing
//! unless its user turned that feature on. What it then sends is taken and discarded, and counted.

use std::fmt::Write;

use axum::body::Bytes;
use schemas::limits::{MAX_TRACE_BODY_BYTES, REQUEST_DEADLINE_SECONDS};
use sha2::{Digest, Sha256};

/// Our version, as `Datadog-Agent-Version` too.
pub(super) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The document and its digest.
#[derive(Debug, Clone)]
pub(super) struct Info {
    /// The JSON.
    pub(super) body: Bytes,
    /// Hex SHA-256 of the body: `Datadog-Agent-State` on every answer. Clients compute it too and
    /// fetch the document again when the two differ.
    pub(super) state: String,
}

/// The document of a listener on `port`.
pub(super) fn info(port: u16) -> Info {
    let document = serde_json::json!({
        "version": VERSION,
        "endpoints": [
            "/v0.3/traces", "/v0.4/traces", "/v0.5/traces", "/api/v2/logs", "/v1/input",
            "/debugger/v1/diagnostics", "/debugger/v2/input",
        ],
        "feature_flags": [],
        // Tracers shall send every trace: what is dropped is decided here, and is recorded.
        "client_drop_p0s": false,
        "span_meta_structs": true,
        "span_events": true,
        "long_running_spans": true,
        "evp_proxy_allowed_headers": [],
        "peer_tags": [],
        "config": {
            "default_env": "none",
            "receiver_port": port,
            "receiver_timeout": REQUEST_DEADLINE_SECONDS,
            "max_request_bytes": MAX_TRACE_BODY_BYTES,
        },
    });
    let body = Bytes::from(document.to_string());
    let mut state = String::with_capacity(64);
    for byte in Sha256::digest(&body) {
        // Writing to a string does not fail.
        let _ = write!(state, "{byte:02x}");
    }
    Info { body, state }
}
