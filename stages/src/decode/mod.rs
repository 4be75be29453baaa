//! Payload bytes -> logs, spans or points, or a refusal. One file per format.
//!
//! A payload is decoded whole or refused whole, except that a single record inside a well-formed
//! payload can be refused on its own ([`Decoded::refused`]): nothing is dropped silently.
//!
//! Rules of all formats:
//! * What becomes the column `service`, `env`, `version`, `host`, `kind` or an `error_*` column of a
//!   span unchanged leaves the attributes. Everything else stays there as it was sent, also where a
//!   column (`http_method`, `db_system`, ...) repeats it.
//! * Text that is no UTF-8 is kept with U+FFFD in place of the bad bytes, as Datadog's agent does;
//!   a raw log says so with the attribute `_invalid_utf8`. JSON that is no UTF-8 is no JSON.
//! * A message's bytes are split evenly over its records, the refused ones included.

mod batch;
mod datadog_logs;
mod datadog_meta;
mod datadog_span;
mod datadog_v04;
mod datadog_v05;
mod framed;
mod json;
mod msgpack;
mod normalize;
mod otlp;
mod otlp_buckets;
mod otlp_json;
mod otlp_logs;
mod otlp_metrics;
mod otlp_names;
mod otlp_traces;
mod protobuf;
mod raw;
#[cfg(test)]
mod tests;
mod wire;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::time::EventTime;
use schemas::topic::{CONTENT_TYPE, Format, OBSERVED, Signal};

use crate::event::LogEvent;
use crate::input::Input;
use crate::point::Point;
use crate::record::Record;
use crate::span::Span;

/// What one payload held.
#[derive(Debug)]
pub struct Decoded<'b> {
    /// The good records.
    pub items: Items<'b>,
    /// The bad ones.
    pub refused: BumpVec<'b, Refusal<'b>>,
}

/// Records of one signal.
#[derive(Debug)]
pub enum Items<'b> {
    /// Logs.
    Logs(BumpVec<'b, LogEvent<'b>>),
    /// Spans.
    Spans(BumpVec<'b, Span<'b>>),
    /// Points.
    Points(BumpVec<'b, Point<'b>>),
}

impl Items<'_> {
    /// Number of records.
    pub fn len(&self) -> usize {
        match self {
            Items::Logs(logs) => logs.len(),
            Items::Spans(spans) => spans.len(),
            Items::Points(points) => points.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why a payload, or one record of it, becomes a dead letter.
#[derive(Debug, Clone, PartialEq)]
pub struct Refusal<'b> {
    /// Number within the message; -1 for the whole message.
    pub index: i32,
    /// Short stable name: `malformed_json`, `truncated`, `invalid_id`, `too_deep`, ...
    pub reason: &'static str,
    /// What exactly was wrong, and where.
    pub detail: &'b str,
    /// The refused bytes; empty stands for the whole payload. Of `otlp_json` a refused record is
    /// given as protobuf.
    pub bytes: &'b [u8],
}

impl<'b> Refusal<'b> {
    /// Refuses the whole message.
    pub(crate) fn whole(
        arena: &'b Bump,
        reason: &'static str,
        detail: std::fmt::Arguments<'_>,
    ) -> Self {
        let detail = bumpalo::format!(in arena, "{}", detail).into_bump_str();
        Self { index: -1, reason, detail, bytes: &[] }
    }
}

/// Decodes one message. The format is the `content-type` header's, else the topic's. On a topic of
/// traces or metrics `application/json` means OTLP's JSON: no other JSON can stand there.
pub fn decode<'b>(
    arena: &'b Bump,
    record: &'b Record,
    signal: Signal,
    topic_format: Format,
) -> Result<Decoded<'b>, Refusal<'b>> {
    decode_input(arena, record, signal, &Input::from(topic_format))
}

/// Decodes one message of an input whose logs come in lines or envelopes. These are looked for in
/// messages of the formats `raw` and `json`; a message whose header names another format has neither.
pub fn decode_input<'b>(
    arena: &'b Bump,
    record: &'b Record,
    signal: Signal,
    input: &Input,
) -> Result<Decoded<'b>, Refusal<'b>> {
    let framed = Input::of_frame(record, input);
    let input = framed.as_ref().unwrap_or(input);
    let mut decoded = read(arena, record, signal, input)?;
    if let Items::Logs(logs) = &mut decoded.items {
        if !input.labels.is_empty() {
            input.labels.put(arena, logs);
        }
        let observed = record.header(OBSERVED).and_then(|nanos| nanos.parse().ok());
        if let Some(observed) = observed.map(EventTime::from_nanos) {
            for log in logs {
                log.observed.get_or_insert(observed);
            }
        }
    }
    Ok(decoded)
}

fn read<'b>(
    arena: &'b Bump,
    record: &'b Record,
    signal: Signal,
    input: &Input,
) -> Result<Decoded<'b>, Refusal<'b>> {
    let format = format_of(arena, record, signal, input.format)?;
    if matches!(format, Format::Raw | Format::Json) && !input.is_plain() {
        return framed::decode(arena, record, format, input);
    }
    let payload = record.payload.as_slice();
    match (format, signal) {
        (Format::Json, _) => json::decode(arena, record),
        (Format::Raw, _) => raw::decode(arena, record),
        (Format::DatadogLogs, _) => datadog_logs::decode(arena, record),
        (Format::DatadogV04, _) => datadog_v04::decode(arena, record),
        (Format::DatadogV05, _) => datadog_v05::decode(arena, record),
        (Format::OtlpProto, _) => otlp::decode(arena, record, signal, payload),
        (Format::OtlpJson, _) => {
            let message = otlp_json::to_protobuf(arena, payload, signal)?;
            otlp::decode(arena, record, signal, message)
        }
    }
}

/// The format of one message, if it can stand on a topic of this signal.
fn format_of<'b>(
    arena: &'b Bump,
    record: &'b Record,
    signal: Signal,
    topic_format: Format,
) -> Result<Format, Refusal<'b>> {
    let format = match record.header(CONTENT_TYPE) {
        None => topic_format,
        Some(name) => match name.parse() {
            Ok(Format::Json) if signal != Signal::Logs || topic_format == Format::OtlpJson => {
                Format::OtlpJson
            }
            Ok(format) => format,
            Err(error) => {
                let detail = format_args!("header {CONTENT_TYPE}: {error}");
                return Err(Refusal::whole(arena, "unknown_format", detail));
            }
        },
    };
    if !format.carries(signal) {
        let detail = format_args!("format {format} can not stand on a topic of {signal}");
        return Err(Refusal::whole(arena, "wrong_signal", detail));
    }
    Ok(format)
}
