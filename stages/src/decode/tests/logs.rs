//! JSON lines, raw text, Datadog logs.

use super::*;
use crate::value::Value;
use proptest::prelude::*;

fn decoded<'b>(arena: &'b Bump, record: &'b Record, format: Format) -> BumpVec<'b, LogEvent<'b>> {
    logs(decode(arena, record, Signal::Logs, format).expect("decodes"))
}

#[test]
fn one_object_may_be_spread_over_lines() {
    let arena = Bump::new();
    let record = record("{\n  \"message\": \"a\",\n  \"n\": {\"m\": 1}\n}\n");
    let logs = decoded(&arena, &record, Format::Json);
    assert_eq!(logs.len(), 1);
    assert_eq!(logs[0].attributes.get("n.m"), Some(Value::Int(1)));
    assert_eq!(logs[0].message, "", "the message is the pipeline's to find");
}

#[test]
fn bad_lines_are_refused_with_their_reason() {
    let arena = Bump::new();
    let deep = format!("{}1{}", "{\"a\":".repeat(70), "}".repeat(70));
    let lines = record(format!("{{\"a\":1\n[1]\n{deep}\n{{\"ok\":true}}\n\n"));
    let decoded = decode(&arena, &lines, Signal::Logs, Format::Json).expect("lines");
    let reasons: Vec<_> = decoded.refused.iter().map(|r| (r.index, r.reason)).collect();
    assert_eq!(reasons, [(0, "truncated"), (1, "malformed_json"), (2, "too_deep")]);
    assert_eq!(decoded.items.len(), 1);
    for format in [Format::Json, Format::Raw, Format::DatadogLogs] {
        assert_eq!(refusal(&arena, &record(""), Signal::Logs, format).reason, "empty_payload");
    }
}

#[test]
fn raw_text_keeps_what_is_no_utf8_and_marks_it() {
    let arena = Bump::new();
    let bad = record(b"caf\xe9 ok\r\n".to_vec());
    let logs = decoded(&arena, &bad, Format::Raw);
    assert_eq!(logs[0].message, "caf\u{fffd} ok");
    assert_eq!(logs[0].attributes.get("_invalid_utf8"), Some(Value::Bool(true)));
    let long = record("é".repeat(schemas::limits::MAX_MESSAGE_TEXT_BYTES));
    let logs = decoded(&arena, &long, Format::Raw);
    assert_eq!(logs[0].message.len(), schemas::limits::MAX_MESSAGE_TEXT_BYTES);
    assert_eq!(logs[0].attributes.get("_truncated"), Some(Value::Bool(true)));
}

#[test]
fn what_the_request_says_fills_in_what_the_item_does_not() {
    let arena = Bump::new();
    let body = r#"[
        {"message":"a","ddsource":"nginx","ddtags":"env:prod, team:x","hostname":"h1"},
        {"message":"b","service":"own"}, 7
    ]"#;
    let record = with_headers(
        body,
        &[("ddsource", "java"), ("ddtags", "env:prod,dc:1"), ("hostname", "h2"), ("service", "s")],
    );
    let result = decode(&arena, &record, Signal::Logs, Format::DatadogLogs).expect("decodes");
    assert_eq!((result.refused[0].index, result.refused[0].bytes), (2, &b"7"[..]));
    let logs = logs(result);
    assert_eq!((logs[0].source, logs[1].source), ("nginx", "java"));
    assert_eq!(logs[0].tags.as_slice(), ["env:prod", "team:x", "dc:1"]);
    assert_eq!(logs[1].tags.as_slice(), ["env:prod", "dc:1"]);
    assert_eq!(logs[0].attributes.get_str("hostname"), Some("h1"));
    assert_eq!(logs[1].attributes.get_str("hostname"), Some("h2"));
    assert_eq!(logs[0].attributes.get_str("service"), Some("s"));
    assert_eq!(logs[1].attributes.get_str("service"), Some("own"));
    assert_eq!(logs[0].attributes.get_str("message"), Some("a"), "the pipeline moves it");
    assert_eq!(logs[0].attributes.get("ddtags"), None);
}

#[test]
fn a_broken_datadog_array_is_refused_whole() {
    let arena = Bump::new();
    let bad = record(r#"[{"message":"a"},{"message":"#);
    assert_eq!(refusal(&arena, &bad, Signal::Logs, Format::DatadogLogs).reason, "truncated");
    let bad = record("[{}] x");
    assert_eq!(refusal(&arena, &bad, Signal::Logs, Format::DatadogLogs).reason, "malformed_json");
}

proptest! {
    #[test]
    fn every_member_comes_back_as_it_was_sent(
        members in prop::collection::btree_map("[a-z]{1,8}", ".*", 0..20),
        number: i64,
    ) {
        let mut object = serde_json::to_value(&members).expect("JSON");
        object["_n"] = number.into();
        for format in [Format::Json, Format::DatadogLogs] {
            let arena = Bump::new();
            let record = record(object.to_string());
            let logs = decoded(&arena, &record, format);
            prop_assert_eq!(logs[0].attributes.get("_n"), Some(Value::Int(number)));
            for (key, value) in &members {
                prop_assert_eq!(logs[0].attributes.get(key), Some(Value::Str(value)));
            }
        }
    }
}
