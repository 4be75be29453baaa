//! Which logs and spans are errors, and where they say what went wrong.
//!
//! Names are those of Datadog (`error.*`), OpenTelemetry (`exception.*`) and of what common loggers
//! write without being asked: pino and bunyan (`err.*`), logstash encoders (`stack_trace`), Python's
//! JSON formatters (`exc_info`), Serilog (`@x`), the Elastic common schema (`error.stack_trace`).

use schemas::status::Status;

use crate::input::{ErrorInput, Lookup};
use crate::stack;

const KIND: &[&str] =
    &["error.kind", "error.type", "exception.type", "err.type", "err.name", "error.name"];
const MESSAGE: &[&str] = &["error.message", "exception.message", "err.message", "error.msg"];
const STACK: &[&str] = &["error.stack", "exception.stacktrace", "error.stack_trace", "err.stack"];
/// Names that are also used for other things: they count where they hold a stack trace.
const MAYBE_STACK: &[&str] = &[
    "stack_trace",
    "stacktrace",
    "stack",
    "exc_info",
    "exc_text",
    "exception",
    "@x",
    "error",
    "traceback",
];
const FINGERPRINT: &[&str] = &["error.fingerprint", "error.dd_fingerprint"];

/// A log, flat.
#[derive(Debug, Clone, Copy, Default)]
pub struct LogView<'b> {
    /// Unified service tag.
    pub service: &'b str,
    /// Unified service tag.
    pub env: &'b str,
    /// Unified service tag.
    pub version: &'b str,
    /// Its status; `None` where the log says none, however it is stored.
    pub status: Option<Status>,
    /// Its text.
    pub message: &'b str,
}

/// A span, flat.
#[derive(Debug, Clone, Copy, Default)]
pub struct SpanView<'b> {
    /// Unified service tag.
    pub service: &'b str,
    /// Unified service tag.
    pub env: &'b str,
    /// Unified service tag.
    pub version: &'b str,
    /// Whether it failed.
    pub is_error: bool,
    /// Whether it is where its service was entered: a root, a server, a consumer.
    pub is_entry: bool,
    /// Type of its error.
    pub kind: &'b str,
    /// Message of its error.
    pub message: &'b str,
    /// Stack trace of its error.
    pub stack: &'b str,
    /// What it worked on: says what failed where nothing else does.
    pub resource: &'b str,
}

/// The first of `paths` that holds text.
fn first<'b>(lookup: Lookup<'_, 'b>, paths: &[&str]) -> &'b str {
    let mut found = paths.iter().filter_map(|path| lookup(path)).map(str::trim);
    found.find(|text| !text.is_empty()).unwrap_or_default()
}

/// A log as an error, or `None`: its status says that it is none (`worst` is the mildest that is
/// one), or it says no status and shows no error.
pub fn log<'b>(
    view: &LogView<'b>,
    worst: Status,
    lookup: Lookup<'_, 'b>,
) -> Option<ErrorInput<'b>> {
    if view.status.is_some_and(|status| status > worst) {
        return None;
    }
    let mut input = ErrorInput {
        service: view.service,
        env: view.env,
        version: view.version,
        status: view.status,
        kind: first(lookup, KIND),
        message: first(lookup, MESSAGE),
        stack: first(lookup, STACK),
        fingerprint: first(lookup, FINGERPRINT),
        text: view.message,
        operation: "",
    };
    if input.stack.is_empty() {
        let texts = MAYBE_STACK.iter().filter_map(|path| lookup(path));
        let found = texts.chain([view.message]).find(|text| stack::may_be_in(text));
        input.stack = found.unwrap_or_default();
    }
    let shows_an_error = !input.kind.is_empty() || !input.stack.is_empty();
    (view.status.is_some() || shows_an_error).then_some(input)
}

/// A failed span as an error, or `None`: it did not fail, or neither says what happened nor is where
/// its service was entered.
pub fn span<'b>(view: &SpanView<'b>, lookup: Lookup<'_, 'b>) -> Option<ErrorInput<'b>> {
    let says_what = !(view.kind.is_empty() && view.message.is_empty() && view.stack.is_empty());
    (view.is_error && (says_what || view.is_entry)).then(|| ErrorInput {
        service: view.service,
        env: view.env,
        version: view.version,
        status: None,
        kind: view.kind,
        message: view.message,
        stack: view.stack,
        fingerprint: first(lookup, FINGERPRINT),
        text: "",
        operation: view.resource,
    })
}

/// An exception event of a span, failed or not; `None` if it says nothing. `view` is the span's.
pub fn span_event<'b>(view: &SpanView<'b>, lookup: Lookup<'_, 'b>) -> Option<ErrorInput<'b>> {
    let input = ErrorInput {
        service: view.service,
        env: view.env,
        version: view.version,
        status: None,
        kind: first(lookup, KIND),
        message: first(lookup, MESSAGE),
        stack: first(lookup, STACK),
        fingerprint: first(lookup, FINGERPRINT),
        text: "",
        operation: view.resource,
    };
    let says_what = !(input.kind.is_empty() && input.message.is_empty() && input.stack.is_empty());
    says_what.then_some(input)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str =
        "boom\nTraceback (most recent call last):\n  File \"a.py\", line 1, in f\nKeyError: 1";

    fn view(status: Option<Status>, message: &'static str) -> LogView<'static> {
        LogView { service: "shop", status, message, ..LogView::default() }
    }

    fn found(
        status: Option<Status>,
        message: &'static str,
        pairs: &[(&str, &'static str)],
    ) -> bool {
        let lookup = |path: &str| pairs.iter().find(|(key, _)| *key == path).map(|(_, text)| *text);
        log(&view(status, message), Status::Error, &lookup).is_some()
    }

    #[test]
    fn a_log_is_an_error_by_its_status_or_by_what_it_shows() {
        for kind in ["error.kind", "error.type", "exception.type", "err.type"] {
            assert!(found(None, "x", &[(kind, "ValueError")]), "{kind}");
            assert!(!found(Some(Status::Warn), "x", &[(kind, "ValueError")]), "handled: {kind}");
        }
        assert!(found(Some(Status::Error), "payment failed", &[]));
        assert!(found(Some(Status::Emergency), "payment failed", &[]));
        assert!(!found(None, "payment failed", &[]));
        assert!(found(None, TRACE, &[]));
        assert!(found(None, "x", &[("exc_info", TRACE)]));
        assert!(!found(None, "x", &[("exc_info", "true"), ("error", "no")]));
        assert!(!found(None, "x", &[("error.kind", " ")]));
    }

    #[test]
    fn a_failed_span_is_an_error_where_it_says_what_or_where_its_service_was_entered() {
        let none = |_: &str| None;
        let failed = SpanView { is_error: true, ..SpanView::default() };
        assert!(span(&failed, &none).is_none());
        assert!(span(&SpanView { is_entry: true, ..failed }, &none).is_some());
        assert!(span(&SpanView { message: "x", ..failed }, &none).is_some());
        assert!(span(&SpanView { message: "x", is_error: false, ..failed }, &none).is_none());
    }

    #[test]
    fn an_exception_event_counts_also_where_the_span_did_not_fail() {
        let event = |path: &str| (path == "exception.type").then_some("Timeout");
        assert_eq!(span_event(&SpanView::default(), &event).map(|i| i.kind), Some("Timeout"));
        assert!(span_event(&SpanView::default(), &|_: &str| None).is_none());
    }
}
