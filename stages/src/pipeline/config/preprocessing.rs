//! `preprocessing`: Datadog's "Preprocessing for JSON logs", one ordered list of attributes per
//! reserved field. A list that is written replaces the default one.

use serde::{Deserialize, Serialize};

/// For each reserved field the attributes tried in order. Defaults: Datadog documentation, "Pipelines",
/// "Preprocessing"; marked ones are ours.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PreprocessingConfig {
    /// Technology that made the log.
    pub source: Vec<String>,
    /// Host name.
    pub host: Vec<String>,
    /// Event time: ISO 8601, Unix milliseconds, RFC 3164.
    pub date: Vec<String>,
    /// The text shown and searched.
    pub message: Vec<String>,
    /// Official status.
    pub status: Vec<String>,
    /// Service.
    pub service: Vec<String>,
    /// Trace id.
    pub trace_id: Vec<String>,
    /// Span id.
    pub span_id: Vec<String>,
}

impl Default for PreprocessingConfig {
    fn default() -> Self {
        let list = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Self {
            source: list(&["ddsource"]),
            host: list(&["host", "hostname", "syslog.hostname"]),
            date: list(&[
                "@timestamp",
                "timestamp",
                "_timestamp",
                "Timestamp",
                "eventTime",
                "date",
                "published_date",
                "syslog.timestamp",
            ]),
            message: list(&["message"]),
            status: list(&["status", "severity", "level", "syslog.severity"]),
            // `dd.service` is what tracers inject next to the ids.
            service: list(&["service", "dd.service", "syslog.appname"]),
            // Without a prefix: OpenTelemetry's names.
            trace_id: list(&["dd.trace_id", "contextMap.dd.trace_id", "trace_id"]),
            span_id: list(&["dd.span_id", "contextMap.dd.span_id", "span_id"]),
        }
    }
}
