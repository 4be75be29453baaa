//! CONTRACT ingest -> stream: topic names, message keys, headers and payload formats.
//!
//! * One Kafka message holds one *payload* in one [`Format`]. The format comes from the
//!   [`CONTENT_TYPE`] header, or, where a message has none, from the topic's configuration.
//! * The key of a message whose payload belongs to one trace is the trace id as 32 lower-case hex
//!   characters, so that all spans and logs of a trace meet in one partition number. Payloads
//!   without a trace have no key. The producer's partitioner is `murmur2_random` (Kafka's own
//!   default), set explicitly.
//! * The Kafka timestamp (`CreateTime`) is the receive time: the fallback for records that carry
//!   no time of their own.

use std::fmt;
use std::str::FromStr;

/// Default topic of log payloads.
pub const LOGS: &str = "tidemill.logs";
/// Default topic of span payloads.
pub const SPANS: &str = "tidemill.spans";
/// Default topic of metric payloads.
pub const METRICS: &str = "tidemill.metrics";

/// librdkafka partitioner of our producer; every producer that wants its traces whole uses it.
pub const PARTITIONER: &str = "murmur2_random";

/// Header that names the payload's [`Format`].
pub const CONTENT_TYPE: &str = "content-type";
/// Header with the request-level `ddsource` of a Datadog logs request.
pub const DD_SOURCE: &str = "ddsource";
/// Header with the request-level `ddtags` (comma list) of a Datadog logs request.
pub const DD_TAGS: &str = "ddtags";
/// Header with the request-level `hostname` of a Datadog logs request.
pub const DD_HOSTNAME: &str = "hostname";
/// Header with the request-level `service` of a Datadog logs request.
pub const DD_SERVICE: &str = "service";
/// Header with the tracer's language (`Datadog-Meta-Lang`), used to name unnamed services.
pub const DD_LANG: &str = "datadog-meta-lang";
/// Header of a message that was a dead letter and was sent again: the run, and the letter's lineage, as
/// `run/topic/partition/offset/index`.
pub const REDRIVEN: &str = "tidemill-redriven";
/// Header of a message that is the lines of one log as they came, and names their envelope
/// (`stages::input::Envelope`).
pub const FRAME: &str = "tidemill-frame";
/// Header with the time that stands for when the records were collected, in nanoseconds since the epoch: for logs that
/// do not say it.
pub const OBSERVED: &str = "tidemill-observed";
/// Header with the container id the tracer reported (`Datadog-Container-ID`).
pub const DD_CONTAINER: &str = "datadog-container-id";

/// What a topic carries; decides which formats make sense and where refused records are counted.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Signal {
    /// Log records.
    Logs,
    /// Spans.
    Spans,
    /// Metric points.
    Metrics,
}

impl Signal {
    /// Every signal, in a fixed order.
    pub const ALL: [Signal; 3] = [Signal::Logs, Signal::Spans, Signal::Metrics];

    /// The topic our intake writes this signal to unless configured otherwise.
    pub fn default_topic(self) -> &'static str {
        match self {
            Signal::Logs => LOGS,
            Signal::Spans => SPANS,
            Signal::Metrics => METRICS,
        }
    }

    /// Lower-case plural name, as in the configuration and the ledger.
    pub fn as_str(self) -> &'static str {
        match self {
            Signal::Logs => "logs",
            Signal::Spans => "spans",
            Signal::Metrics => "metrics",
        }
    }
}

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How the bytes of one Kafka message are to be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// One JSON object (one log), or several separated by newlines.
    Json,
    /// Raw text: one log per message.
    Raw,
    /// Datadog logs intake body: a JSON object or an array of objects.
    DatadogLogs,
    /// Datadog trace API v0.3/v0.4 body: msgpack, array of traces of span maps.
    DatadogV04,
    /// Datadog trace API v0.5 body: msgpack, string table and arrays.
    DatadogV05,
    /// OTLP protobuf: `TracesData`, `LogsData` or `MetricsData`, by the topic's signal.
    OtlpProto,
    /// OTLP JSON of the same messages.
    OtlpJson,
}

impl Format {
    /// Every format.
    pub const ALL: [Format; 7] = [
        Format::Json,
        Format::Raw,
        Format::DatadogLogs,
        Format::DatadogV04,
        Format::DatadogV05,
        Format::OtlpProto,
        Format::OtlpJson,
    ];

    /// The name used in the `content-type` header and in the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Json => "json",
            Format::Raw => "raw",
            Format::DatadogLogs => "datadog_logs",
            Format::DatadogV04 => "datadog_v04",
            Format::DatadogV05 => "datadog_v05",
            Format::OtlpProto => "otlp_proto",
            Format::OtlpJson => "otlp_json",
        }
    }

    /// Whether payloads of this format can stand on a topic of `signal`.
    pub fn carries(self, signal: Signal) -> bool {
        match self {
            Format::Json | Format::Raw | Format::DatadogLogs => signal == Signal::Logs,
            Format::DatadogV04 | Format::DatadogV05 => signal == Signal::Spans,
            Format::OtlpProto | Format::OtlpJson => true,
        }
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A format name nobody knows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown format {0:?}; known: json, raw, datadog_logs, datadog_v04, datadog_v05, otlp_proto, otlp_json"
)]
pub struct UnknownFormat(pub String);

impl FromStr for Format {
    type Err = UnknownFormat;

    /// Our own names, and the MIME types producers outside set by habit.
    fn from_str(text: &str) -> Result<Self, UnknownFormat> {
        let bare = text.split(';').next().unwrap_or_default().trim();
        if let Some(format) = Format::ALL.into_iter().find(|f| f.as_str() == bare) {
            return Ok(format);
        }
        match bare {
            "application/json" | "application/x-ndjson" => Ok(Format::Json),
            "text/plain" => Ok(Format::Raw),
            "application/x-protobuf" | "application/protobuf" => Ok(Format::OtlpProto),
            _ => Err(UnknownFormat(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_format_name_reads_back_as_itself() {
        for format in Format::ALL {
            assert_eq!(format.as_str().parse(), Ok(format));
        }
        assert_eq!("application/json; charset=utf-8".parse(), Ok(Format::Json));
        assert!("avro".parse::<Format>().is_err());
    }

    #[test]
    fn datadog_traces_never_stand_on_a_log_topic() {
        assert!(!Format::DatadogV04.carries(Signal::Logs));
        assert!(Format::OtlpProto.carries(Signal::Logs));
    }
}
