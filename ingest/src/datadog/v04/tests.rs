//! No span is lost, doubled, changed or given to another trace by splitting.

use proptest::prelude::*;
use schemas::topic::DD_LANG;
use serde_json::{Value, json};

use super::*;
use crate::testing::{chunk_id, chunks, datadog_payloads, identities, v04};

fn split_all(traces: &Value) -> Split {
    split(&Bytes::from(v04(traces))).expect("valid")
}

/// Checks the messages of `split` against what went in.
fn same(traces: &Value, split: &Split) {
    let before: Vec<Vec<Value>> = serde_json::from_value(traces.clone()).expect("traces");
    let before: Vec<_> = before.into_iter().filter(|chunk| !chunk.is_empty()).collect();
    let mut after = Vec::new();
    for message in &split.messages {
        assert!(message.payload.len() <= MAX_MESSAGE_BYTES);
        let chunks = chunks(message);
        for chunk in chunks.iter().filter(|chunk| !chunk.is_empty()) {
            assert_eq!(message.key.map_or(0, TraceId::get), chunk_id(chunk), "key of {chunk:?}");
        }
        after.extend(chunks.into_iter().filter(|chunk| !chunk.is_empty()));
    }
    assert_eq!(identities(&before), identities(&after));
    assert_eq!(split.records, identities(&before).len());
}

#[test]
fn every_span_of_the_real_payloads_is_in_exactly_one_message() {
    let payloads = datadog_payloads();
    for traces in &payloads {
        same(traces, &split_all(traces));
    }
    let together: Vec<Value> =
        payloads.iter().flat_map(|traces| traces.as_array().expect("array").clone()).collect();
    let together = Value::from(together);
    same(&together, &split_all(&together));
}

#[test]
fn a_body_of_one_trace_is_passed_on_as_it_came() {
    let body = Bytes::from(v04(
        &json!([[{"trace_id": 7, "meta": {"_dd.p.tid": "00000000000000ff"}}], [{"trace_id": 7, "meta": {"_dd.p.tid": "00000000000000ff"}}]]),
    ));
    let split = split(&body).expect("valid");
    let [message] = split.messages.as_slice() else { panic!("one message") };
    assert_eq!(message.payload, body);
    assert_eq!(message.key, TraceId::from_halves(0xff, 7));
    assert!(message.headers.iter().all(|(name, _)| *name != DD_LANG));
}

#[test]
fn parts_of_a_large_chunk_keep_the_high_half_of_the_id() {
    let filler = "x".repeat(1_000);
    let spans: Vec<Value> = (0..2_500)
        .map(|at| match at {
            0 => json!({"trace_id": 5, "span_id": 1, "meta": {"_dd.p.tid": "640cfd8d00000000", "f": filler}}),
            at if at % 3 == 0 => json!({"trace_id": 5, "span_id": at, "resource": filler}),
            at => json!({"meta": {"f": filler}, "trace_id": 5, "span_id": at}),
        })
        .collect();
    let traces = json!([spans]);
    let split = split_all(&traces);
    assert!(split.messages.len() >= 3);
    same(&traces, &split);
}

#[test]
fn a_chunk_that_mixes_traces_is_taken_apart() {
    let traces =
        json!([[{"trace_id": 1, "a": 1}, {"trace_id": 2, "a": 2}, {"trace_id": 1, "a": 3}]]);
    let split = split_all(&traces);
    assert_eq!(split.messages.len(), 2);
    assert_eq!(chunks(&split.messages[0])[0].len(), 2);
}

#[test]
fn a_span_above_the_message_limit_is_cut_and_not_lost() {
    let traces = json!([[{"trace_id": 1, "meta": {"big": "\u{20ac}".repeat(700_000), "small": "s"}}], [{"trace_id": 2}]]);
    let split = split_all(&traces);
    assert_eq!((split.messages.len(), split.cut), (2, 1));
    let span = &chunks(&split.messages[0])[0][0];
    assert_eq!(span["meta"]["small"], "s");
    assert_eq!(span["meta"]["big"].as_str().map(str::len), Some(MAX_ATTRIBUTE_VALUE_BYTES / 3 * 3));
}

#[test]
fn what_is_no_trace_payload_is_malformed() {
    for value in
        [json!(1), json!("x"), json!({"a": 1}), json!([1]), json!([[1]]), json!([[{"meta": 1}]])]
    {
        assert!(split(&Bytes::from(v04(&value))).is_err(), "{value}");
    }
    let mut trailing = v04(&json!([]));
    trailing.push(0);
    assert!(split(&Bytes::from(trailing)).is_err());
    assert!(split(&Bytes::from_static(&[0xdd, 0xff, 0xff, 0xff, 0xff])).is_err());
}

#[test]
fn a_body_cut_at_any_byte_is_malformed() {
    let body = v04(
        &json!([[{"trace_id": 7, "meta": {"a": "b"}, "metrics": {"m": 1.5}}], [{"trace_id": 8}]]),
    );
    for cut in 0..body.len() {
        assert!(split(&Bytes::copy_from_slice(&body[..cut])).is_err(), "cut at {cut}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = split(&Bytes::from(bytes));
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0usize..200, byte: u8) {
        let mut body = v04(&json!([[{"trace_id": 7, "meta": {"_dd.p.tid": "0000000000000001"}}, {"trace_id": 9}], [{"trace_id": 8, "meta": {}}]]));
        let at = at % body.len();
        body[at] = byte;
        let _ = split(&Bytes::from(body));
    }

    #[test]
    fn arbitrary_traces_survive(shape in proptest::collection::vec(proptest::collection::vec((0u64..4, any::<bool>(), ".{0,8}"), 0..6), 0..6)) {
        let traces: Vec<Value> = shape
            .iter()
            .map(|spans| {
                // One trace per chunk, as tracers send it; the tag on the first span or on none.
                let id = spans.first().map_or(0, |span| span.0);
                Value::from_iter(spans.iter().enumerate().map(|(at, (_, tagged, text))| match (at, tagged) {
                    (0, true) => json!({"trace_id": id, "name": text, "meta": {"_dd.p.tid": "00000000000000aa"}}),
                    _ => json!({"trace_id": id, "name": text}),
                }))
            })
            .collect();
        let traces = Value::from(traces);
        same(&traces, &split_all(&traces));
    }
}
