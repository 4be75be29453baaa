//! Format `otlp_json`: the messages as JSON, turned into protobuf and read as that, so that both
//! forms give the same rows.
//!
//! OTLP wants lowerCamelCase and numeric enums. Some senders write protobuf's own names
//! (`resource_spans`, `SPAN_KIND_SERVER`), and the Collector takes them; so do we: a payload the
//! strict reader refuses, or one with such names at its top, is rewritten first. An id that is no
//! hex then refuses its own record instead of the payload.

use bumpalo::Bump;
// Wire-identical to `LogsData`, `MetricsData`, `TracesData`, and an empty one may be `{}`.
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;
use schemas::topic::Signal;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::Refusal;
use super::json::json_reason;

/// The payload as protobuf, in the arena.
pub(super) fn to_protobuf<'b>(
    arena: &'b Bump,
    payload: &[u8],
    signal: Signal,
) -> Result<&'b [u8], Refusal<'b>> {
    let bytes = match signal {
        Signal::Logs => encoded::<ExportLogsServiceRequest>(payload, b"\"resource_logs\""),
        Signal::Spans => encoded::<ExportTraceServiceRequest>(payload, b"\"resource_spans\""),
        Signal::Metrics => encoded::<ExportMetricsServiceRequest>(payload, b"\"resource_metrics\""),
    };
    match bytes {
        Ok(bytes) => Ok(arena.alloc_slice_copy(&bytes)),
        Err(error) => Err(Refusal::whole(arena, json_reason(&error), format_args!("{error}"))),
    }
}

fn encoded<T: DeserializeOwned + Message>(
    payload: &[u8],
    snake: &[u8],
) -> Result<Vec<u8>, serde_json::Error> {
    let strict = if memchr::memmem::find(payload, snake).is_none() {
        match serde_json::from_slice::<T>(payload) {
            Ok(data) => return Ok(data.encode_to_vec()),
            Err(error) => Some(error),
        }
    } else {
        None
    };
    let value = serde_json::from_slice::<Value>(payload)?;
    // The first error is about what was sent, not about what we made of it.
    serde_json::from_value::<T>(rewritten(value))
        .map(|data| data.encode_to_vec())
        .map_err(|error| strict.unwrap_or(error))
}

/// Keys in lowerCamelCase, enum names as numbers, broken ids as ids of a wrong length. Depth is
/// bounded by serde_json's reader. Attribute keys are values in OTLP: none is touched.
fn rewritten(value: Value) -> Value {
    match value {
        Value::Array(items) => Value::Array(items.into_iter().map(rewritten).collect()),
        Value::Object(fields) => {
            let fields = fields.into_iter().map(|(key, value)| {
                let key = camel(&key);
                let value = field(&key, value);
                (key, value)
            });
            Value::Object(fields.collect::<Map<_, _>>())
        }
        other => other,
    }
}

fn field(key: &str, value: Value) -> Value {
    let Value::String(text) = value else { return rewritten(value) };
    let number = match key {
        "kind" => position(&text, "SPAN_KIND_", &SPAN_KINDS),
        "code" => position(&text, "STATUS_CODE_", &["UNSET", "OK", "ERROR"]),
        "aggregationTemporality" => {
            position(&text, "AGGREGATION_TEMPORALITY_", &["UNSPECIFIED", "DELTA", "CUMULATIVE"])
        }
        "severityNumber" => severity(&text),
        "traceId" | "spanId" | "parentSpanId" => {
            let hex = text.len() % 2 == 0 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
            return Value::String(if hex { text } else { "00".to_owned() });
        }
        _ => None,
    };
    number.map_or(Value::String(text), Value::from)
}

const SPAN_KINDS: [&str; 6] =
    ["UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER"];

/// The number of an enum name, or of a number written as text.
fn position(text: &str, prefix: &str, names: &[&str]) -> Option<usize> {
    let name = text.strip_prefix(prefix).unwrap_or(text);
    names.iter().position(|known| *known == name).or_else(|| text.parse().ok())
}

/// `SEVERITY_NUMBER_WARN2` -> 14.
fn severity(text: &str) -> Option<usize> {
    let name = text.strip_prefix("SEVERITY_NUMBER_").unwrap_or(text);
    let bands = ["TRACE", "DEBUG", "INFO", "WARN", "ERROR", "FATAL"];
    let step = match name.as_bytes().last() {
        Some(digit @ b'2'..=b'4') => usize::from(digit - b'1'),
        _ => 0,
    };
    let band = name.trim_end_matches(['2', '3', '4']);
    match bands.iter().position(|known| *known == band) {
        Some(index) => Some(index * 4 + 1 + step),
        None if name == "UNSPECIFIED" => Some(0),
        None => text.parse().ok(),
    }
}

/// `start_time_unix_nano` -> `startTimeUnixNano`.
fn camel(key: &str) -> String {
    let mut parts = key.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut rest = part.chars();
        out.extend(rest.next().map(|first| first.to_ascii_uppercase()));
        out.push_str(rest.as_str());
    }
    out
}
