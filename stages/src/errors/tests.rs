//! Errors of logs and spans as the pipeline finds them.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::id::{SpanId, TraceId};
use schemas::status::Status;
use schemas::time::EventTime;

use super::*;
use crate::pipeline::config::Config;
use crate::pipeline::{Fate, MetricWindows, Pipeline};

const TRACE: &str = "Traceback (most recent call last):\n  File \"/app/cart.py\", line 3, in add\n    x\nValueError: no stock for 7\n";

fn pipeline(yaml: &str) -> Pipeline {
    let config: Config = serde_yaml_ng::from_str(yaml).unwrap();
    Pipeline::compile(&config).unwrap()
}

fn log<'b>(arena: &'b Bump, pipeline: &Pipeline, message: &'b str) -> (LogEvent<'b>, bool) {
    let mut windows = MetricWindows::new(pipeline);
    let mut event = LogEvent::new_in(arena, EventTime::from_nanos(5));
    event.message = message;
    let kept = matches!(pipeline.process(arena, &mut event, 0, &mut windows), Fate::Indexed { .. });
    (event, kept)
}

fn span<'b>(arena: &'b Bump, id: u64) -> Span<'b> {
    Span {
        index: id as i32,
        bytes: 0,
        start: EventTime::from_nanos(7),
        duration_ns: 1,
        trace_id: TraceId::new(1).unwrap(),
        span_id: SpanId::new(id).unwrap(),
        parent_id: SpanId::new(9),
        service: "shop",
        env: "",
        version: "1.2",
        host: "",
        name: "n",
        resource: "GET /cart/{id}",
        span_type: "",
        kind: "",
        error: true,
        error_kind: None,
        error_message: None,
        error_stack: None,
        http_method: None,
        http_route: None,
        http_status_code: None,
        db_system: None,
        peer_service: None,
        attributes: Attributes::new_in(arena),
        metrics: BumpVec::new_in(arena),
        links: BumpVec::new_in(arena),
        events: BumpVec::new_in(arena),
        errors: BumpVec::new_in(arena),
    }
}

fn exception<'b>(arena: &'b Bump, kind: &'b str, stack: &'b str) -> SpanEvent<'b> {
    let mut attributes = Attributes::new_in(arena);
    attributes.set("exception.type", Value::Str(kind));
    attributes.set("exception.stacktrace", Value::Str(stack));
    SpanEvent { time: EventTime::from_nanos(8), name: "exception", attributes }
}

#[test]
fn an_excluded_log_is_an_error_all_the_same() {
    let pipeline =
        pipeline("indexes: [{name: main, exclusion_filters: [{name: all, filter: {query: '*'}}]}]");
    let arena = Bump::new();
    let line = r#"{"service":"shop","status":"error","error":{"kind":"ValueError"},"message":"no","usr":{"id":7},"batch":{"id":"b-1"}}"#;
    let (event, kept) = log(&arena, &pipeline, line);
    let error = event.error.unwrap();
    assert!(!kept);
    assert_eq!((error.service, error.kind, error.error_message), ("shop", "ValueError", "no"));
    assert_eq!((error.user, error.batch, error.signal), ("7", "b-1", "log"));
    assert_eq!(error.timestamp, event.time());
    assert_eq!(error.message, "");
}

#[test]
fn an_assumed_status_does_not_hide_a_stack_trace_and_a_stated_one_does() {
    let pipeline = pipeline("{}");
    let arena = Bump::new();
    let (plain, _) = log(&arena, &pipeline, TRACE);
    assert_eq!(plain.status, Some(Status::Info));
    assert_eq!(plain.error.unwrap().kind, "ValueError");
    assert_eq!(plain.error.unwrap().culprit, "add (/app/cart.py)");
    let stated = serde_json::json!({ "status": "info", "message": TRACE }).to_string();
    assert!(log(&arena, &pipeline, &stated).0.error.is_none());
    assert!(log(&arena, &pipeline, "all is well").0.error.is_none());
    let remapped =
        self::pipeline("pipelines: [{processors: [{type: status-remapper, sources: [level2]}]}]");
    let line = serde_json::json!({ "level2": "info", "message": TRACE }).to_string();
    assert!(log(&arena, &remapped, &line).0.error.is_none());
}

#[test]
fn switched_off_nothing_is_an_error() {
    let pipeline = pipeline("error_tracking: {is_enabled: false}");
    let arena = Bump::new();
    assert!(log(&arena, &pipeline, TRACE).0.error.is_none());
    let mut spans = [Span { kind: "server", ..span(&arena, 1) }];
    pipeline.process_spans(&arena, &mut spans);
    assert!(spans[0].errors.is_empty());
}

#[test]
fn rules_are_refused_with_their_place_in_the_pipeline() {
    let config: Config = serde_yaml_ng::from_str("error_tracking: {stack_rules: ['x']}").unwrap();
    let errors = Pipeline::compile(&config).unwrap_err();
    assert_eq!(errors[0].path, "error_tracking.stack_rules:1");
}

#[test]
fn without_rules_the_version_of_a_pipeline_is_what_it_was() {
    assert_eq!(pipeline("{}").version(), pipeline("error_tracking: {frames: 1}").version());
    assert_ne!(pipeline("{}").version(), pipeline("error_tracking: {frames: 2}").version());
}

#[test]
fn an_error_on_its_way_up_is_one_occurrence_and_both_rows_name_the_issue() {
    let pipeline = pipeline("{}");
    let arena = Bump::new();
    let failed =
        |id| Span { error_kind: Some("ValueError"), error_stack: Some(TRACE), ..span(&arena, id) };
    let elsewhere = Span { service: "cart", ..failed(3) };
    let mut spans = [failed(1), failed(2), elsewhere];
    pipeline.process_spans(&arena, &mut spans);
    let repeats: Vec<_> = spans.iter().map(|span| span.errors[0].is_repeat).collect();
    assert_eq!(repeats, [false, true, false]);
    assert_eq!(spans[0].errors[0].issue_id, spans[1].errors[0].issue_id);
    assert_ne!(spans[0].errors[0].issue_id, spans[2].errors[0].issue_id);
    let (from_log, _) = log(
        &arena,
        &pipeline,
        "{\"service\":\"shop\",\"error\":{\"stack\":\"Traceback (most recent call last):\\n  File \\\"/app/cart.py\\\", line 8, in add\\n    x\\nValueError: no stock for 9\"}}",
    );
    assert_eq!(
        from_log.error.unwrap().issue_id,
        spans[0].errors[0].issue_id,
        "log and span are one issue"
    );
}

#[test]
fn a_failure_that_says_nothing_counts_where_the_service_was_entered() {
    let pipeline = pipeline("{}");
    let arena = Bump::new();
    let entry = |route| Span {
        kind: "server",
        http_status_code: Some(500),
        resource: route,
        ..span(&arena, 1)
    };
    let mut spans =
        [span(&arena, 2), entry("GET /cart/{id}"), entry("GET /order/12"), entry("GET /order/9")];
    pipeline.process_spans(&arena, &mut spans);
    assert!(spans[0].errors.is_empty());
    assert_eq!(spans[1].errors[0].title, "HTTP 500: GET /cart/{id}");
    assert_ne!(spans[1].errors[0].issue_id, spans[2].errors[0].issue_id);
    assert_eq!(spans[2].errors[0].issue_id, spans[3].errors[0].issue_id);
}

#[test]
fn exception_events_are_errors_of_failed_and_other_spans() {
    let pipeline = pipeline("{}");
    let arena = Bump::new();
    let mut handled = Span { error: false, ..span(&arena, 1) };
    handled.events.push(exception(&arena, "TimeoutError", ""));
    handled.events.push(exception(&arena, "TimeoutError", ""));
    let mut failed =
        Span { error_kind: Some("ValueError"), error_stack: Some(TRACE), ..span(&arena, 2) };
    failed.events.push(exception(&arena, "ValueError", TRACE));
    let mut flood = Span { error: false, ..span(&arena, 3) };
    for kind in ["A", "B", "C", "D", "E", "F", "G", "H", "I", "J"] {
        flood.events.push(exception(&arena, kind, ""));
    }
    let mut spans = [handled, failed, flood];
    pipeline.process_spans(&arena, &mut spans);
    assert_eq!(spans[0].errors.iter().map(|e| e.kind).collect::<Vec<_>>(), ["TimeoutError"]);
    assert_eq!(spans[1].errors.len(), 1);
    assert_eq!(spans[1].errors[0].timestamp, EventTime::from_nanos(8), "when it was recorded");
    assert_eq!(spans[2].errors.len(), MAX_ERRORS_PER_SPAN);
}
