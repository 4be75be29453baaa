//! Which messages a logs body becomes.

use proptest::prelude::*;

use super::*;
use crate::refusal::Kind;

fn split_str(text: &str) -> Result<Split, Refusal> {
    split_json(&Bytes::from(text.to_owned()), &Headers::new())
}

fn entries(message: &Message) -> Vec<Value> {
    match serde_json::from_slice(&message.payload).expect("JSON") {
        Value::Array(entries) => entries,
        entry => vec![entry],
    }
}

#[test]
fn a_body_without_traces_is_passed_on_as_it_came() {
    let text = r#" [ {"message":"a"} , {"message":"b", "n": 1} ] "#;
    let split = split_str(text).expect("valid");
    assert_eq!(split.records, 2);
    assert_eq!(split.messages.len(), 1);
    assert_eq!(split.messages[0].payload, text);
    assert_eq!(split.messages[0].key, None);
}

#[test]
fn entries_of_a_trace_are_keyed_by_it_in_every_spelling() {
    let text = r#"[
        {"message":"none"},
        {"message":"a","dd.trace_id":"255"},
        {"message":"b","dd":{"trace_id":"000000000000000000000000000000ff"}},
        {"message":"c","trace_id":255},
        {"message":"d","trace_id":"640cfd8d00000000000000000000abcd"},
        {"message":"e","dd.trace_id":"0"},
        {"message":"f trace_id","trace_id":{"not":"an id"}}
    ]"#;
    let split = split_str(text).expect("valid");
    let found: Vec<(u128, usize)> = split
        .messages
        .iter()
        .map(|message| (message.key.map_or(0, TraceId::get), entries(message).len()))
        .collect();
    assert_eq!(found, [(0, 3), (255, 3), (0x640c_fd8d_0000_0000_0000_0000_0000_abcd, 1)]);
}

#[test]
fn probes_are_answered_with_no_event() {
    for text in ["", " \n", "{}", "{ }", "[]", "[{}]"] {
        assert!(split_str(text).expect(text).messages.is_empty(), "{text:?}");
    }
}

#[test]
fn more_than_a_thousand_entries_are_too_many() {
    let many = |count: usize| format!("[{}]", vec![r#"{"message":"x"}"#; count].join(","));
    assert_eq!(split_str(&many(1_000)).expect("allowed").records, 1_000);
    assert_eq!(split_str(&many(1_001)).expect_err("too many").kind, Kind::TooLarge);
}

#[test]
fn what_is_no_json_of_logs_is_malformed() {
    let deep = format!("[{}1{}]", "[".repeat(5_000), "]".repeat(5_000));
    for text in
        ["[", "{", "[{]", "nope", "\"text\"", "1", "[{\"a\":1}]x", "{\"a\":1} {}", deep.as_str()]
    {
        assert_eq!(split_str(text).expect_err(text).kind, Kind::Malformed);
    }
    let invalid = Bytes::from_static(b"[{\"message\":\"\xff\"}]");
    assert_eq!(split_json(&invalid, &Headers::new()).expect_err("UTF-8").kind, Kind::Malformed);
}

#[test]
fn a_log_above_the_limit_is_cut_and_marked() {
    let long = "\u{20ac}".repeat(700_000);
    let text =
        serde_json::json!([{"message": long, "service": "s"}, {"message": "short"}]).to_string();
    let split = split_str(&text).expect("valid");
    assert_eq!((split.cut, split.records), (1, 2));
    let all: Vec<Value> = split.messages.iter().flat_map(entries).collect();
    assert_eq!(all[0]["_truncated"], true);
    assert_eq!(all[0]["service"], "s");
    assert!(all[0]["message"].as_str().is_some_and(|text| text.len() > 400_000));
    assert_eq!(all[1]["message"], "short");
}

#[test]
fn an_entry_of_many_attributes_ends_up_as_a_piece_of_text() {
    let fields: Vec<String> = (0..100_000).map(|at| format!("\"key{at:0>10}\":\"v\"")).collect();
    let entry = format!("{{{}}}", fields.join(","));
    let split = split_str(&entry).expect("valid");
    assert!(split.messages[0].payload.len() <= MAX_MESSAGE_BYTES);
    let entry = &entries(&split.messages[0])[0];
    assert!(entry["message"].as_str().is_some_and(|text| text.starts_with("{\"key0000000000\"")));
}

#[test]
fn lines_of_text_become_logs_with_the_fields_of_the_request() {
    let headers = vec![("ddsource", "nginx".to_owned())];
    let split = split_text(&Bytes::from_static(b"one \"1\"\r\n\n two\n\xff"), &headers);
    assert_eq!(split.records, 3);
    assert_eq!(split.messages[0].headers, headers);
    let messages: Vec<Value> =
        entries(&split.messages[0]).iter().map(|entry| entry["message"].clone()).collect();
    assert_eq!(messages, ["one \"1\"", " two", "\u{fffd}"]);
}

#[test]
fn large_requests_are_parted_below_the_message_limit() {
    let entry = format!(r#"{{"message":"{}"}}"#, "x".repeat(9_000));
    let split = split_str(&format!("[{}]", vec![entry.as_str(); 500].join(","))).expect("valid");
    assert!(split.messages.len() >= 5);
    assert!(split.messages.iter().all(|message| message.payload.len() <= MAX_MESSAGE_BYTES));
    assert_eq!(split.messages.iter().map(|message| entries(message).len()).sum::<usize>(), 500);
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        let bytes = Bytes::from(bytes);
        let _ = split_json(&bytes, &Headers::new());
        let _ = split_text(&bytes, &Headers::new());
    }

    #[test]
    fn no_entry_is_lost_or_doubled(ids in proptest::collection::vec(0u64..5, 1..40)) {
        let logs: Vec<Value> = ids.iter().enumerate()
            .map(|(at, id)| serde_json::json!({"at": at, "dd.trace_id": id.to_string()})).collect();
        let split = split_str(&Value::from(logs.clone()).to_string()).expect("valid");
        let mut found: Vec<Value> = split.messages.iter().flat_map(entries).collect();
        found.sort_by_key(|log| log["at"].as_u64());
        prop_assert_eq!(found, logs);
    }

    #[test]
    fn a_body_cut_at_any_byte_is_refused(cut in 1usize..45) {
        let text = r#"[{"message":"a"},{"message":"b","x":[1,2]}]"#;
        prop_assume!(cut < text.len());
        prop_assert!(split_str(&text[..cut]).is_err());
    }
}
