//! Datadog traces, v0.4 and v0.5.

use super::*;
use crate::value::Value;
use proptest::prelude::*;
use serde_json::json;

/// JSON as msgpack; `meta_struct` values become documents of their own.
pub(super) fn msgpack(value: &serde_json::Value) -> Vec<u8> {
    rmp_serde::to_vec(value).expect("encodes")
}

/// Traces of v0.4 span objects as a v0.5 payload.
pub(super) fn v05(traces: &serde_json::Value) -> Vec<u8> {
    let mut strings = vec![String::new()];
    let mut index = |text: &str| {
        strings.iter().position(|known| known == text).unwrap_or_else(|| {
            strings.push(text.to_owned());
            strings.len() - 1
        })
    };
    let text = |span: &serde_json::Value, key: &str| span[key].as_str().unwrap_or("").to_owned();
    let mut out = Vec::new();
    for trace in traces.as_array().expect("traces") {
        let mut spans = Vec::new();
        for span in trace.as_array().expect("spans") {
            let names = ["service", "name", "resource"].map(|key| index(&text(span, key)));
            let ids =
                ["trace_id", "span_id", "parent_id"].map(|key| span[key].as_u64().unwrap_or(0));
            let times = ["start", "duration", "error"].map(|key| span[key].as_i64().unwrap_or(0));
            let empty = serde_json::Map::new();
            let meta: std::collections::BTreeMap<usize, usize> = span["meta"]
                .as_object()
                .unwrap_or(&empty)
                .iter()
                .map(|(key, value)| (index(key), index(value.as_str().expect("text"))))
                .collect();
            let metrics: std::collections::BTreeMap<usize, f64> = span["metrics"]
                .as_object()
                .unwrap_or(&empty)
                .iter()
                .map(|(key, value)| (index(key), value.as_f64().expect("number")))
                .collect();
            let kind = index(&text(span, "type"));
            spans.push((
                names[0], names[1], names[2], ids[0], ids[1], ids[2], times[0], times[1], times[2],
                meta, metrics, kind,
            ));
        }
        out.push(spans);
    }
    rmp_serde::to_vec(&(strings, out)).expect("encodes")
}

fn span_of(arena: &Bump, value: serde_json::Value) -> Span<'_> {
    let record = arena.alloc(record(msgpack(&json!([[value]]))));
    spans(decode(arena, record, Signal::Spans, Format::DatadogV04).expect("decodes")).remove(0)
}

#[test]
fn the_high_half_on_the_first_span_is_every_spans() {
    let arena = Bump::new();
    let payload = msgpack(&json!([[
        {"name":"a","service":"s","trace_id":5u64,"span_id":u64::MAX,"start":1_700_000_000_000_000_000i64,
         "meta":{"_dd.p.tid":"640cfd8d00000000"}},
        {"name":"b","service":"s","trace_id":5u64,"span_id":2,"parent_id":u64::MAX,"start":1_700_000_000_000_000_000i64},
    ]]));
    let record = record(payload);
    let spans = spans(decode(&arena, &record, Signal::Spans, Format::DatadogV04).expect("decodes"));
    for span in &spans {
        assert_eq!(span.trace_id.hex().as_str(), "640cfd8d000000000000000000000005");
        assert!(span.attributes.get("_dd.p.tid").is_none());
    }
    assert_eq!(spans[1].parent_id, Some(spans[0].span_id));
}

#[test]
fn a_span_is_normalised_and_its_columns_filled() {
    let arena = Bump::new();
    let span = span_of(
        &arena,
        json!({
            "service":"My Shop","name":"web.request","resource":"GET /x","type":"web","trace_id":1,
            "span_id":1,"parent_id":1,"start":1_700_000_000_000_000_000i64,"duration":-4,"error":1,
            "meta":{"env":"PROD","version":"1.2","_dd.hostname":"h","span.kind":"SERVER","http.method":"GET",
                "http.route":"/x","http.status_code":"503","error.type":"E","error.msg":"m","error.stack":"at",
                "peer.service":"DB One","custom":"c"},
            "metrics":{"_sampling_priority_v1":1},"unknown":{"a":[1,2,{"b":null}]}
        }),
    );
    assert_eq!((span.service, span.env, span.version, span.host), ("my_shop", "prod", "1.2", "h"));
    assert_eq!(
        (span.kind, span.parent_id, span.duration_ns, span.error),
        ("server", None, 0, true)
    );
    assert_eq!((span.http_method, span.http_route), (Some("GET"), Some("/x")));
    assert_eq!((span.http_status_code, span.peer_service), (Some(503), Some("db_one")));
    assert_eq!(
        (span.error_kind, span.error_message, span.error_stack),
        (Some("E"), Some("m"), Some("at"))
    );
    assert_eq!(span.metrics.as_slice(), [("_sampling_priority_v1", 1.0)]);
    assert_eq!(span.attributes.get_str("custom"), Some("c"));
    assert!(span.attributes.get("error.stack").is_none() && span.attributes.get("env").is_none());
}

#[test]
fn ids_of_zero_refuse_their_span_alone() {
    let arena = Bump::new();
    let record = record(msgpack(&json!([[
        {"name":"a","trace_id":0,"span_id":1}, {"name":"b","trace_id":1,"span_id":0},
        {"name":"c","trace_id":1,"span_id":1}
    ], []])));
    let decoded = decode(&arena, &record, Signal::Spans, Format::DatadogV04).expect("decodes");
    let refused: Vec<_> = decoded.refused.iter().map(|r| (r.index, r.reason, r.detail)).collect();
    let wanted = [
        (0, "invalid_id", "trace_id is 0 or missing"),
        (1, "invalid_id", "span_id is 0 or missing"),
    ];
    assert_eq!(refused, wanted);
    assert!(!decoded.refused[0].bytes.is_empty());
    let spans = spans(decoded);
    assert_eq!((spans[0].service, spans[0].start), ("unnamed-service", RECEIVED));
}

#[test]
fn links_events_and_meta_struct_come_in_both_forms() {
    let arena = Bump::new();
    let link = json!({"trace_id":7,"trace_id_high":1,"span_id":9,"attributes":{"k":"v"},"tracestate":"a=b"});
    let event = json!({"name":"e","time_unix_nano":12,"attributes":{
        "s":{"type":0,"string_value":"x"},"b":{"type":1,"bool_value":true},
        "l":{"type":4,"array_value":{"values":[{"type":2,"int_value":3}]}}}});
    let native = span_of(
        &arena,
        json!({"name":"n","trace_id":1,"span_id":2,
        "span_links":[link],"span_events":[event]}),
    );
    let links = r#"[{"trace_id":"00000000000000010000000000000007","span_id":"0000000000000009",
        "attributes":{"k":"v"},"tracestate":"a=b"}]"#;
    let events = r#"[{"name":"e","time_unix_nano":12,"attributes":{"b":true,"l":[3],"s":"x"}}]"#;
    let text = span_of(
        &arena,
        json!({"name":"n","trace_id":1,"span_id":2,
        "meta":{"_dd.span_links":links,"events":events}}),
    );
    assert_eq!(native.links, text.links);
    assert_eq!(native.events, text.events);
    assert_eq!(native.events[0].attributes.get("l"), Some(Value::Array(&[Value::Int(3)])));
    assert!(text.attributes.is_empty());
    let broken =
        span_of(&arena, json!({"name":"n","trace_id":1,"span_id":2,"meta":{"events":"[1"}}));
    assert_eq!(broken.attributes.get_str("events"), Some("[1"), "not understood, not lost");
}

#[test]
fn meta_struct_documents_become_json_text() {
    let arena = Bump::new();
    let document = msgpack(&json!({"rule":{"id":"a"},"n":[1,null]}));
    let mut payload = vec![0x91, 0x91, 0x84];
    let mut put = |bytes: &[u8]| payload.extend_from_slice(bytes);
    put(b"\xa8trace_id\x01\xa7span_id\x02\xa4name\xa1n\xabmeta_struct\x81\xa6appsec\xc4");
    put(&[document.len() as u8]);
    put(&document);
    let record = record(payload);
    let spans = spans(decode(&arena, &record, Signal::Spans, Format::DatadogV04).expect("decodes"));
    let text = spans[0].attributes.get_str("appsec").expect("there");
    let read: serde_json::Value = serde_json::from_str(text).expect("JSON");
    assert_eq!(read, json!({"rule":{"id":"a"},"n":[1,null]}));
}

#[test]
fn a_v05_index_beyond_the_table_and_a_short_span_are_refused() {
    let arena = Bump::new();
    let empty = record(vec![0x92, 0x91, 0xa0, 0x90]);
    assert!(
        decode(&arena, &empty, Signal::Spans, Format::DatadogV05).expect("legal").items.is_empty()
    );
    let short = record(rmp_serde::to_vec(&([""], [[[0; 11]]])).expect("encodes"));
    let refused = refusal(&arena, &short, Signal::Spans, Format::DatadogV05);
    assert!(refused.detail.starts_with("expected a span of 12 elements at byte"), "{refused:?}");
    let none: [(); 0] = [];
    let beyond = (1, 0, 0, 1, 1, 0, 0, 0, 0, none, none, 0);
    let beyond = record(rmp_serde::to_vec(&([""], [[beyond]])).expect("encodes"));
    let refused = refusal(&arena, &beyond, Signal::Spans, Format::DatadogV05);
    assert!(refused.detail.contains("beyond the string table"), "{refused:?}");
}

proptest! {
    #[test]
    fn v04_and_v05_of_the_same_spans_give_the_same_rows(
        spans in prop::collection::vec((".{0,20}", 1u64.., 1u64.., any::<i32>(), ".*", any::<f64>()), 1..8),
    ) {
        let spans: Vec<_> = spans.iter().map(|(name, trace, id, duration, tag, metric)| json!({
            "name": name, "service": name, "resource": tag, "type": "web", "trace_id": trace,
            "span_id": id, "parent_id": 0, "start": 1_700_000_000_000_000_000i64,
            "duration": duration, "error": duration & 1, "meta": {"tag": tag, "env": name},
            "metrics": {"m": if metric.is_finite() { *metric } else { 0.0 }},
        })).collect();
        let traces = json!([spans]);
        let four = to_columns(&record(msgpack(&traces)), Signal::Spans, Format::DatadogV04);
        let five = to_columns(&record(v05(&traces)), Signal::Spans, Format::DatadogV05);
        prop_assert_eq!(four.as_ref().map(|(batch, _)| batch.num_rows()), Ok(spans.len()));
        prop_assert_eq!(four, five);
    }
}
