//! Datadog spans of any version -> rows, normalised as the agent does (datadog-agent
//! `pkg/trace/agent/normalizer.go`).

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::id::{SpanId, TraceId};
use schemas::time::EventTime;
use schemas::topic::DD_LANG;

use super::Refusal;
use super::batch::Batch;
use super::{datadog_meta, normalize};
use crate::record::Record;
use crate::span::{Link, Span, SpanEvent};
use crate::value::{Attributes, Value};

/// 2000-01-01: earlier starts are no times, says the agent.
const YEAR_2000_NS: i64 = 946_684_800_000_000_000;

/// A span as it was sent.
#[derive(Debug)]
pub(super) struct RawSpan<'b> {
    pub(super) service: &'b str,
    pub(super) name: &'b str,
    pub(super) resource: &'b str,
    pub(super) span_type: &'b str,
    pub(super) trace_id: u64,
    pub(super) span_id: u64,
    pub(super) parent_id: u64,
    pub(super) start: i128,
    pub(super) duration: i128,
    pub(super) error: bool,
    pub(super) meta: Attributes<'b>,
    pub(super) metrics: BumpVec<'b, (&'b str, f64)>,
    pub(super) links: BumpVec<'b, Link<'b>>,
    pub(super) events: BumpVec<'b, SpanEvent<'b>>,
    /// Where it stood in the payload.
    pub(super) bytes: &'b [u8],
}

impl<'b> RawSpan<'b> {
    pub(super) fn new_in(arena: &'b Bump) -> Self {
        Self {
            service: "",
            name: "",
            resource: "",
            span_type: "",
            trace_id: 0,
            span_id: 0,
            parent_id: 0,
            start: 0,
            duration: 0,
            error: false,
            meta: Attributes::new_in(arena),
            metrics: BumpVec::new_in(arena),
            links: BumpVec::new_in(arena),
            events: BumpVec::new_in(arena),
            bytes: &[],
        }
    }

    /// The high half of the trace id, where this span carries it.
    fn high_half(&self) -> Option<u64> {
        let text = self.meta.get_str("_dd.p.tid")?;
        let hex = text.len() == 16 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        hex.then(|| u64::from_str_radix(text, 16).ok()).flatten()
    }
}

/// Turns the spans of one chunk into rows. The high half of the trace id stands on the chunk's
/// first span only, and is every span's.
pub(super) fn finish_chunk<'b>(
    batch: &mut Batch<'b, Span<'b>>,
    record: &'b Record,
    spans: BumpVec<'b, RawSpan<'b>>,
) -> Result<(), Refusal<'b>> {
    let shared = spans.iter().find_map(|span| Some((span.trace_id, span.high_half()?)));
    batch.reserve(spans.len());
    for span in spans {
        let index = batch.number()?;
        let bytes = span.bytes;
        let of_chunk = shared.filter(|(trace, _)| *trace == span.trace_id).map(|(_, high)| high);
        let high = span.high_half().or(of_chunk).unwrap_or(0);
        match normalized(batch.arena, record, span, high, index) {
            Ok(span) => batch.push(span),
            Err((reason, detail)) => batch.refuse(index, reason, format_args!("{detail}"), bytes),
        }
    }
    Ok(())
}

/// One row, or why it can be none.
fn normalized<'b>(
    arena: &'b Bump,
    record: &'b Record,
    raw: RawSpan<'b>,
    high: u64,
    index: i32,
) -> Result<Span<'b>, (&'static str, &'static str)> {
    // Of 128-bit ids the low half alone may be 0, though the agent would drop the trace.
    let trace_id = TraceId::from_halves(high, raw.trace_id)
        .ok_or(("invalid_id", "trace_id is 0 or missing"))?;
    let span_id = SpanId::new(raw.span_id).ok_or(("invalid_id", "span_id is 0 or missing"))?;
    let start = i64::try_from(raw.start)
        .map_err(|_| ("invalid_timestamp", "start is outside the years 1677 to 2262"))?;
    let (start, duration_ns) = times(start, raw.duration, record.timestamp);
    // Zipkin's roots name themselves as their parent.
    let zipkin_root = raw.parent_id == raw.span_id && raw.parent_id == raw.trace_id;
    let parent_id = if zipkin_root { None } else { SpanId::new(raw.parent_id) };
    let RawSpan { mut meta, metrics, mut links, mut events, .. } = raw;
    datadog_meta::take_links(arena, &mut meta, &mut links);
    datadog_meta::take_events(arena, &mut meta, &mut events);
    if meta.get_str("_dd.p.tid").is_some_and(|text| text.len() == 16) {
        meta.remove("_dd.p.tid");
    }
    let name = normalize::operation(arena, raw.name);
    let env = take(&mut meta, "env").map_or("", |env| normalize::tag_value(arena, env));
    Ok(Span {
        index,
        bytes: 0,
        start,
        duration_ns,
        trace_id,
        span_id,
        parent_id,
        service: normalize::service(arena, raw.service, record.header(DD_LANG)),
        env,
        version: take(&mut meta, "version").unwrap_or_default(),
        host: take(&mut meta, "_dd.hostname").unwrap_or_default(),
        name,
        resource: normalize::resource(raw.resource, name),
        span_type: normalize::span_type(raw.span_type),
        kind: kind(&mut meta),
        error: raw.error,
        error_kind: take(&mut meta, "error.type"),
        error_message: take(&mut meta, "error.message").or_else(|| take(&mut meta, "error.msg")),
        error_stack: take(&mut meta, "error.stack"),
        http_method: meta.get_str("http.method"),
        http_route: meta.get_str("http.route"),
        http_status_code: http_status(&mut meta, &metrics),
        db_system: meta.get_str("db.system"),
        peer_service: meta
            .get_str("peer.service")
            .map(|peer| normalize::tag_value(arena, peer))
            .filter(|peer| !peer.is_empty()),
        attributes: meta,
        metrics,
        links,
        events,
        errors: BumpVec::new_in(arena),
    })
}

/// Start and duration as the agent corrects them: no negative duration, none that ends past 2262;
/// a start before 2000 becomes the receive time less the duration.
fn times(start: i64, duration: i128, received: EventTime) -> (EventTime, i64) {
    let duration = i64::try_from(duration).unwrap_or(0).max(0);
    let duration = if start.checked_add(duration).is_some() { duration } else { 0 };
    if start >= YEAR_2000_NS {
        return (EventTime::from_nanos(start), duration);
    }
    let earlier = received.nanos().saturating_sub(duration);
    let start = if earlier >= YEAR_2000_NS { earlier } else { received.nanos() };
    (EventTime::from_nanos(start), duration)
}

/// Moves a text out of the attributes.
fn take<'b>(meta: &mut Attributes<'b>, path: &str) -> Option<&'b str> {
    let text = meta.get_str(path)?;
    meta.remove(path);
    Some(text)
}

/// `span.kind`, if it is one.
fn kind(meta: &mut Attributes<'_>) -> &'static str {
    const KINDS: [&str; 5] = ["server", "client", "producer", "consumer", "internal"];
    let text = meta.get_str("span.kind").unwrap_or_default();
    match KINDS.into_iter().find(|kind| kind.eq_ignore_ascii_case(text)) {
        Some(kind) => {
            meta.remove("span.kind");
            kind
        }
        None => "",
    }
}

/// The HTTP status from meta or metrics; one that is none is deleted from meta, as by the agent.
fn http_status(meta: &mut Attributes<'_>, metrics: &[(&str, f64)]) -> Option<i32> {
    const KEY: &str = "http.status_code";
    let valid = |code: &i32| (100..600).contains(code);
    match meta.get(KEY) {
        Some(Value::Str(text)) => {
            let code = text.parse().ok().filter(valid);
            if code.is_none() {
                meta.remove(KEY);
            }
            code
        }
        Some(value) => value.as_f64().map(|code| code as i32).filter(valid),
        None => {
            let found = metrics.iter().find(|(key, _)| *key == KEY);
            found.map(|(_, code)| *code as i32).filter(valid)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_corrected_as_the_agent_corrects_them() {
        let received = EventTime::from_nanos(1_700_000_000_000_000_000);
        let good = 1_600_000_000_000_000_000;
        assert_eq!(times(good, 5, received), (EventTime::from_nanos(good), 5));
        assert_eq!(times(good, -5, received).1, 0);
        assert_eq!(times(good, i128::from(i64::MAX), received).1, 0);
        let early = times(0, 1_000, received);
        assert_eq!(early, (EventTime::from_nanos(received.nanos() - 1_000), 1_000));
        assert_eq!(times(i64::MIN, i128::from(i64::MAX), received).0, received);
    }
}
