//! Bytes nobody should send: random, cut at every byte, changed in one place.

use super::*;
use proptest::prelude::*;
use prost::Message;
use serde_json::json;

/// Every format on every signal it can stand on.
fn all() -> impl Iterator<Item = (Format, Signal)> {
    Format::ALL
        .into_iter()
        .flat_map(|format| Signal::ALL.map(|signal| (format, signal)))
        .filter(|(format, signal)| format.carries(*signal))
}

/// One good payload for each.
fn golden(format: Format, signal: Signal) -> Vec<u8> {
    let traces = json!([[{"name":"web.request","service":"s","resource":"r","type":"web","trace_id":7,
        "span_id":8,"parent_id":9,"start":1_700_000_000_000_000_000i64,"duration":5,"error":1,
        "meta":{"a":"b","_dd.p.tid":"640cfd8d00000000"},"metrics":{"m":1.5}},
        {"name":"x","service":"s","trace_id":7,"span_id":9}]]);
    let spans = super::otlp::traces(vec![super::otlp::server_span(), super::otlp::server_span()]);
    let logs = super::otlp::log_data(vec![Default::default(), Default::default()]);
    let metrics = super::otlp::every_metric();
    match (format, signal) {
        (Format::Json, _) => b"{\"a\":{\"b\":[1,{\"c\":null}]}}\n{\"m\":\"x\\n\"}".to_vec(),
        (Format::Raw, _) => "a line with é".into(),
        (Format::DatadogLogs, _) => br#"[{"message":"a","ddtags":"a:b"},{"n":[1,2]}]"#.to_vec(),
        (Format::DatadogV04, _) => super::datadog::msgpack(&traces),
        (Format::DatadogV05, _) => super::datadog::v05(&traces),
        (Format::OtlpProto, Signal::Spans) => spans.encode_to_vec(),
        (Format::OtlpProto, Signal::Logs) => logs.encode_to_vec(),
        (Format::OtlpProto, Signal::Metrics) => metrics.encode_to_vec(),
        (Format::OtlpJson, Signal::Spans) => serde_json::to_vec(&spans).expect("JSON"),
        (Format::OtlpJson, Signal::Logs) => serde_json::to_vec(&logs).expect("JSON"),
        (Format::OtlpJson, Signal::Metrics) => serde_json::to_vec(&metrics).expect("JSON"),
    }
}

#[test]
fn a_payload_cut_at_any_byte_is_refused_or_gives_fewer_records() {
    for (format, signal) in all() {
        let whole = golden(format, signal);
        let (batch, refused) = to_columns(&record(whole.clone()), signal, format)
            .unwrap_or_else(|reason| panic!("{format} {signal}: {reason}"));
        assert_eq!(refused, 0, "{format} {signal}");
        for end in 0..whole.len() {
            if let Ok((cut, _)) = to_columns(&record(&whole[..end]), signal, format) {
                let fewer = cut.num_rows() < batch.num_rows();
                // A log line cut short is still a log line.
                assert!(fewer || format == Format::Raw, "{format} {signal} cut at {end}");
            }
        }
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        for (format, signal) in all() {
            let _ = to_columns(&record(bytes.clone()), signal, format);
        }
    }

    #[test]
    fn a_payload_changed_in_some_places_never_panics(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        for (format, signal) in all() {
            let mut bytes = golden(format, signal);
            for (place, byte) in &changes {
                let place = place.index(bytes.len());
                bytes[place] = *byte;
            }
            let _ = to_columns(&record(bytes), signal, format);
        }
    }
}
