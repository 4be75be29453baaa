//! Trace and span ids as they stand in logs.
//!
//! Datadog's tracers write `dd.trace_id` as a decimal of the low 64 bits, or as 32 hex digits of all
//! 128; OpenTelemetry writes 32 and 16 hex digits; some systems write UUIDs. A text of decimal digits that fits 64 bits is
//! decimal unless it has the length of the hex form.

use schemas::id::{SpanId, TraceId};

use crate::value::Value;

/// A trace id.
pub(super) fn trace(value: &Value<'_>) -> Option<TraceId> {
    match value {
        Value::Int(number) => TraceId::from_halves(0, u64::try_from(*number).ok()?),
        Value::Str(text) => {
            let text = text.trim();
            let text = text.strip_prefix("0x").unwrap_or(text);
            match decimal(text).filter(|_| text.len() != 32) {
                Some(low) => TraceId::from_halves(0, low),
                None if text.len() == UUID_BYTES => uuid(text),
                // Leading zeros are left out by some; shorter ones are words.
                None => TraceId::from_hex(text).filter(|_| text.len() >= 13),
            }
        }
        _ => None,
    }
}

/// Length of `8-4-4-4-12` hex digits.
const UUID_BYTES: usize = 36;

/// A UUID has the 128 bits of a trace id.
fn uuid(text: &str) -> Option<TraceId> {
    let dashes = text.bytes().enumerate().filter(|(_, byte)| *byte == b'-').map(|(at, _)| at);
    if !dashes.eq([8, 13, 18, 23]) {
        return None;
    }
    let digits: String = text.chars().filter(|character| *character != '-').collect();
    TraceId::from_hex(&digits)
}

/// A span id.
pub(super) fn span(value: &Value<'_>) -> Option<SpanId> {
    match value {
        Value::Int(number) => SpanId::new(u64::try_from(*number).ok()?),
        Value::Str(text) => {
            let text = text.trim();
            let text = text.strip_prefix("0x").unwrap_or(text);
            // 16 digits without a letter are hex in OpenTelemetry; in Datadog's decimals that
            // length is one id in two thousand.
            match decimal(text).filter(|_| text.len() != 16) {
                Some(number) => SpanId::new(number),
                None => SpanId::from_hex(text),
            }
        }
        _ => None,
    }
}

fn decimal(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
