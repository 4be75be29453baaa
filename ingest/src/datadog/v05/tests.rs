//! Splitting v0.5 gives the same spans as splitting v0.4.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{chunk_id, chunks, datadog_payloads, identities, read_v05, v05};

fn same(traces: &Value) -> Split {
    let body = Bytes::from(v05(traces));
    let split = split(&body).expect("valid");
    let before: Vec<_> = read_v05(&body).into_iter().filter(|chunk| !chunk.is_empty()).collect();
    let mut after = Vec::new();
    for message in &split.messages {
        assert!(message.payload.len() <= MAX_MESSAGE_BYTES);
        for chunk in chunks(message).into_iter().filter(|chunk| !chunk.is_empty()) {
            assert_eq!(message.key.map_or(0, TraceId::get), chunk_id(&chunk));
            after.push(chunk);
        }
    }
    assert_eq!(identities(&before), identities(&after));
    split
}

#[test]
fn every_span_of_the_real_payloads_is_in_exactly_one_message() {
    let payloads = datadog_payloads();
    payloads.iter().for_each(|traces| {
        same(traces);
    });
    let together: Vec<Value> =
        payloads.iter().flat_map(|traces| traces.as_array().expect("array").clone()).collect();
    same(&Value::from(together));
}

#[test]
fn a_message_holds_only_the_strings_it_uses() {
    let traces = json!([
        [{"trace_id": 1, "name": "one", "meta": {"secret": "of one"}}],
        [{"trace_id": 2, "name": "two"}],
    ]);
    let split = same(&traces);
    assert_eq!(split.messages.len(), 2);
    let second = String::from_utf8_lossy(&split.messages[1].payload).into_owned();
    assert!(second.contains("two") && !second.contains("secret"), "{second}");
}

#[test]
fn a_large_chunk_is_parted_and_keeps_its_id() {
    let spans: Vec<Value> = (0..3_000)
        .map(|at| {
            let mut meta = json!({"filler": format!("{at:0>900}")});
            if at == 0 {
                meta["_dd.p.tid"] = json!("640cfd8d00000000");
            }
            json!({"trace_id": 5, "span_id": at, "meta": meta})
        })
        .collect();
    assert!(same(&json!([spans])).messages.len() >= 3);
}

#[test]
fn a_span_above_the_message_limit_is_cut_and_not_lost() {
    let traces = json!([[{"trace_id": 1, "name": "n", "meta": {"big": "y".repeat(2_000_000)}}, {"trace_id": 1, "span_id": 9}]]);
    let split = split(&Bytes::from(v05(&traces))).expect("valid");
    assert_eq!(split.cut, 1);
    let spans: Vec<Value> = split.messages.iter().flat_map(chunks).flatten().collect();
    assert_eq!(spans.len(), 2);
    assert_eq!(spans[0]["meta"]["big"].as_str().map(str::len), Some(MAX_ATTRIBUTE_VALUE_BYTES));
}

#[test]
fn strings_shared_by_many_traces_do_not_become_a_bomb() {
    let shared = "z".repeat(500_000);
    let traces: Vec<Value> =
        (1..400).map(|id| json!([{"trace_id": id, "resource": shared}])).collect();
    let refusal = split(&Bytes::from(v05(&Value::from(traces)))).expect_err("200 MB");
    assert_eq!(refusal.kind, crate::refusal::Kind::TooLarge);
}

#[test]
fn wrong_shapes_and_indexes_beyond_the_table_are_malformed() {
    let good = v05(&json!([[{"trace_id": 1, "name": "n"}]]));
    assert!(split(&Bytes::from(good.clone())).is_ok());
    assert!(
        split(&Bytes::from_static(&[0x92, 0x91, 0xa0, 0x90])).expect("empty").messages.is_empty()
    );
    for cut in 0..good.len() {
        assert!(split(&Bytes::copy_from_slice(&good[..cut])).is_err(), "cut at {cut}");
    }
    let eleven = [0x92, 0x91, 0xa0, 0x91, 0x91, 0x9b, 0, 0, 0, 1, 1, 0, 0, 0, 0, 0x80, 0x80];
    assert!(split(&Bytes::copy_from_slice(&eleven)).expect_err("11").text.contains("12 fields"));
    let beyond = [0x92, 0x91, 0xa0, 0x91, 0x91, 0x9c, 0, 1, 0, 1, 1, 0, 0, 0, 0, 0x80, 0x80, 0];
    assert!(split(&Bytes::copy_from_slice(&beyond)).expect_err("1").text.contains("no index"));
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let _ = split(&Bytes::from(bytes));
    }

    #[test]
    fn a_changed_byte_never_panics(at in 0usize..200, byte: u8) {
        let mut body = v05(&json!([[{"trace_id": 7, "meta": {"a": "b"}, "metrics": {"c": 1}}], [{"trace_id": 8}]]));
        let at = at % body.len();
        body[at] = byte;
        let _ = split(&Bytes::from(body));
    }
}
