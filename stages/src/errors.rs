//! Logs and spans that are errors, with the issue grouping gave them.
//!
//! A log is looked at once, after the processors and before exclusion; so is every span. What comes
//! out is what table `error_events` and the counts of issues are made from.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use grouping::detect::{self, LogView, SpanView};
use grouping::{ErrorInput, Grouper, IssueId, Lookup};
use hashbrown::HashSet;
use schemas::id::{SpanId, TraceId};
use schemas::limits::MAX_ERRORS_PER_SPAN;
use schemas::time::EventTime;

use crate::event::LogEvent;
use crate::span::{Span, SpanEvent};
use crate::value::{Attributes, Value};

/// One error. Texts that are not there are empty.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ErrorEvent<'b> {
    /// Number of the log or span within its message.
    pub index: i32,
    /// `log` or `span`.
    pub signal: &'static str,
    /// Event time: of the log, of the exception event, else the span's start.
    pub timestamp: EventTime,
    /// Unified service tag.
    pub service: &'b str,
    /// Unified service tag.
    pub env: &'b str,
    /// Unified service tag.
    pub version: &'b str,
    /// Host name.
    pub host: &'b str,
    /// Technology that made the log.
    pub source: &'b str,
    /// Trace it happened in.
    pub trace_id: Option<TraceId>,
    /// Span it happened in.
    pub span_id: Option<SpanId>,
    /// The issue.
    pub issue_id: IssueId,
    /// Type of the error.
    pub kind: &'b str,
    /// Its message.
    pub error_message: &'b str,
    /// Its stack trace as it came.
    pub stack: &'b str,
    /// What people call the issue: `Type: message`, one line.
    pub title: &'b str,
    /// Where it comes from.
    pub culprit: &'b str,
    /// Language of the stack trace.
    pub language: &'static str,
    /// What made the fingerprint, see [`grouping::Grouped::strategy`].
    pub strategy: &'static str,
    /// Who met it: the attribute `error_tracking.user_attribute` names.
    pub user: &'b str,
    /// The batch it happened in: the attribute `error_tracking.batch_attribute` names.
    pub batch: &'b str,
    /// The log's text, the span's resource; empty where it is the error's message or stack.
    pub message: &'b str,
    /// An earlier span of the same message, trace and service reports the same issue: the error on
    /// its way up. It is no further occurrence; the row of its span names the issue all the same.
    pub is_repeat: bool,
}

/// The error a log reports. `is_stated` is whether its status was said by the log and not assumed.
pub fn of_log<'b>(
    arena: &'b Bump,
    grouper: &Grouper,
    log: &LogEvent<'b>,
    is_stated: bool,
) -> Option<ErrorEvent<'b>> {
    let view = LogView {
        service: log.service,
        env: log.env,
        version: log.version,
        status: log.status.filter(|_| is_stated),
        message: log.message,
    };
    let lookup = |path: &str| text(arena, &log.attributes, path).or_else(|| log.tag(path));
    let input = detect::log(&view, grouper.worst_status(), &lookup)?;
    let event = ErrorEvent {
        index: log.index,
        signal: "log",
        timestamp: log.time(),
        host: log.host,
        source: log.source,
        trace_id: log.trace_id,
        span_id: log.span_id,
        ..grouped(arena, grouper, &input, &lookup)
    };
    let is_said = log.message == event.error_message || log.message == event.stack;
    Some(ErrorEvent { message: if is_said { "" } else { log.message }, ..event })
}

/// Fills [`Span::errors`] of the spans of one message.
pub fn of_spans<'b>(arena: &'b Bump, grouper: &Grouper, spans: &mut [Span<'b>]) {
    let mut seen: HashSet<(Option<TraceId>, &str, IssueId)> = HashSet::new();
    for span in spans {
        let exceptions = span.events.iter().any(is_exception);
        if !span.error && !exceptions {
            continue;
        }
        let mut errors = of_span(arena, grouper, span);
        for error in &mut errors {
            error.is_repeat = !seen.insert((error.trace_id, error.service, error.issue_id));
        }
        span.errors = errors;
    }
}

/// Its failure, then the exceptions recorded on it, each issue once.
fn of_span<'b>(arena: &'b Bump, grouper: &Grouper, span: &Span<'b>) -> BumpVec<'b, ErrorEvent<'b>> {
    let mut errors = BumpVec::new_in(arena);
    let view = view(arena, span);
    let lookup = |path: &str| text(arena, &span.attributes, path);
    if let Some(input) = detect::span(&view, &lookup) {
        let event = of_part(span, span.start, grouped(arena, grouper, &input, &lookup));
        errors.push(event);
    }
    for exception in span.events.iter().filter(|event| is_exception(event)) {
        let lookup = |path: &str| text(arena, &exception.attributes, path);
        let Some(input) = detect::span_event(&view, &lookup) else { continue };
        let both = |path: &str| lookup(path).or_else(|| text(arena, &span.attributes, path));
        let event = of_part(span, exception.time, grouped(arena, grouper, &input, &both));
        if let Some(error) = errors.iter_mut().find(|error| error.issue_id == event.issue_id) {
            // The span's failure is this exception: it happened when the event says.
            error.timestamp = event.timestamp;
        } else if errors.len() < MAX_ERRORS_PER_SPAN {
            errors.push(event);
        }
    }
    errors
}

fn is_exception(event: &SpanEvent<'_>) -> bool {
    event.name == "exception"
}

fn view<'b>(arena: &'b Bump, span: &Span<'b>) -> SpanView<'b> {
    let said =
        [span.error_kind, span.error_message, span.error_stack].map(Option::unwrap_or_default);
    let [mut kind, message, stack] = said;
    if let Some(code) =
        span.http_status_code.filter(|_| kind.is_empty() && message.is_empty() && stack.is_empty())
    {
        kind = bumpalo::format!(in arena, "HTTP {}", code).into_bump_str();
    }
    // Tracers mark where a service was entered; what serves or consumes is entered.
    let marked = span
        .metrics
        .iter()
        .any(|(key, value)| matches!(*key, "_dd.top_level" | "_top_level") && *value == 1.0);
    SpanView {
        service: span.service,
        env: span.env,
        version: span.version,
        is_error: span.error,
        is_entry: span.parent_id.is_none() || marked || matches!(span.kind, "server" | "consumer"),
        kind,
        message,
        stack,
        resource: span.resource,
    }
}

fn of_part<'b>(span: &Span<'b>, timestamp: EventTime, event: ErrorEvent<'b>) -> ErrorEvent<'b> {
    ErrorEvent {
        index: span.index,
        signal: "span",
        timestamp,
        host: span.host,
        trace_id: Some(span.trace_id),
        span_id: Some(span.span_id),
        message: if span.resource == event.error_message { "" } else { span.resource },
        ..event
    }
}

/// What grouping and the attributes say; the rest is the caller's.
fn grouped<'b>(
    arena: &'b Bump,
    grouper: &Grouper,
    input: &ErrorInput<'b>,
    lookup: Lookup<'_, 'b>,
) -> ErrorEvent<'b> {
    let grouped = grouper.group(arena, input, lookup);
    ErrorEvent {
        index: 0,
        signal: "",
        timestamp: EventTime::default(),
        service: input.service,
        env: input.env,
        version: input.version,
        host: "",
        source: "",
        trace_id: None,
        span_id: None,
        issue_id: grouped.issue_id,
        kind: grouped.kind,
        error_message: grouped.message,
        stack: input.stack,
        title: grouped.title,
        culprit: grouped.culprit,
        language: grouped.language,
        strategy: grouped.strategy,
        user: lookup(grouper.user_attribute()).unwrap_or_default(),
        batch: lookup(grouper.batch_attribute()).unwrap_or_default(),
        message: "",
        is_repeat: false,
    }
}

/// An attribute as text.
fn text<'b>(arena: &'b Bump, attributes: &Attributes<'b>, path: &str) -> Option<&'b str> {
    match attributes.get(path)? {
        Value::Null => None,
        value => Some(value.text(arena)),
    }
}

#[cfg(test)]
mod tests;
