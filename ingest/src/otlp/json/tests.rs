//! OTLP JSON reads as the protobuf it stands for.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, metric::Data, number_data_point};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use proptest::prelude::*;
use prost::Message as _;
use serde_json::{Value, json};

use super::*;
use crate::otlp::schema;

fn traces(json: &Value) -> TracesData {
    let bytes = to_protobuf(&schema::TRACES, json.to_string().as_bytes()).expect("valid");
    TracesData::decode(bytes).expect("TracesData")
}

fn one_span(span: &Value) -> Value {
    json!({"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]})
}

#[test]
fn a_span_reads_with_ids_in_hex_and_numbers_as_text() {
    let data = traces(&json!({"resourceSpans": [{
        "resource": {"attributes": [{"key": "service.name", "value": {"stringValue": "shop"}}]},
        "scopeSpans": [{"scope": {"name": "lib"}, "unknown": {"a": [1]}, "spans": [{
            "traceId": "5B8EFFF798038103D269B633813FC60C", "spanId": "eee19b7ec3c1b174",
            "name": "GET", "kind": 2, "startTimeUnixNano": "1544712660000000000",
            "endTimeUnixNano": 1_544_712_661_000_000_000u64, "flags": 257, "parentSpanId": null,
            "attributes": [
                {"key": "i", "value": {"intValue": "-5"}},
                {"key": "d", "value": {"doubleValue": 1.5}},
                {"key": "n", "value": {"doubleValue": "NaN"}},
                {"key": "b", "value": {"boolValue": true}},
                {"key": "y", "value": {"bytesValue": "AAEC"}},
                {"key": "l", "value": {"arrayValue": {"values": [{"intValue": 1}, {}]}}},
                {"key": "e"}
            ],
            "events": [{"name": "x", "timeUnixNano": "7"}],
            "status": {"code": 2, "message": "bad"}
        }]}]
    }]}));
    let resource = &data.resource_spans[0];
    assert_eq!(resource.resource.as_ref().expect("resource").attributes[0].key, "service.name");
    let span = &resource.scope_spans[0].spans[0];
    assert_eq!(span.trace_id[..4], [0x5b, 0x8e, 0xff, 0xf7]);
    assert_eq!((span.kind, span.flags, span.events[0].time_unix_nano), (2, 257, 7));
    assert_eq!(span.end_time_unix_nano, 1_544_712_661_000_000_000);
    assert_eq!(span.status.as_ref().map(|status| status.code), Some(2));
    let values: Vec<Option<Any>> = span
        .attributes
        .iter()
        .map(|pair| pair.value.clone().and_then(|value| value.value))
        .collect();
    assert_eq!(values[0], Some(Any::IntValue(-5)));
    assert_eq!(values[1], Some(Any::DoubleValue(1.5)));
    assert!(matches!(values[2], Some(Any::DoubleValue(value)) if value.is_nan()));
    assert_eq!(values[3], Some(Any::BoolValue(true)));
    assert_eq!(values[4], Some(Any::BytesValue(vec![0, 1, 2])));
    assert!(matches!(&values[5], Some(Any::ArrayValue(list)) if list.values.len() == 2));
    assert_eq!(values[6], None);
}

#[test]
fn snake_case_names_and_enum_names_are_taken_too() {
    let data = traces(&json!({"resource_spans": [{"scope_spans": [{"spans": [{
        "trace_id": "01", "kind": "SPAN_KIND_CLIENT", "start_time_unix_nano": 1.5e18,
        "status": {"code": "STATUS_CODE_ERROR"}
    }]}]}]}));
    let span = &data.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.kind, span.start_time_unix_nano), (3, 1_500_000_000_000_000_000));
    let bytes = to_protobuf(&schema::LOGS, br#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"severityNumber":"SEVERITY_NUMBER_WARN","body":{"kvlistValue":{"values":[{"key":"k","value":{"stringValue":"v"}}]}}}]}]}]}"#).expect("valid");
    let data = LogsData::decode(bytes).expect("LogsData");
    assert_eq!(data.resource_logs[0].scope_logs[0].log_records[0].severity_number, 13);
}

#[test]
fn an_id_that_is_not_hex_is_an_invalid_id_and_no_error() {
    let data = traces(&one_span(&json!({"traceId": "not hex", "spanId": "abc"})));
    let span = &data.resource_spans[0].scope_spans[0].spans[0];
    assert_eq!((span.trace_id.len(), span.span_id.len()), (1, 1));
}

#[test]
fn numbers_of_histograms_are_packed() {
    let bytes = to_protobuf(&schema::METRICS, json!({"resourceMetrics": [{"scopeMetrics": [{"metrics": [
        {"name": "h", "histogram": {"aggregationTemporality": 2, "dataPoints": [
            {"count": "6", "sum": 0, "bucketCounts": ["1", 2, "3"], "explicitBounds": [0.5, "Infinity"]}]}},
        {"name": "e", "exponentialHistogram": {"dataPoints": [
            {"scale": -3, "positive": {"offset": -1, "bucketCounts": ["5", 6]}}]}},
        {"name": "g", "gauge": {"dataPoints": [{"asInt": "-9"}, {"asDouble": 2}]}}
    ]}]}]}).to_string().as_bytes()).expect("valid");
    let data = MetricsData::decode(bytes).expect("MetricsData");
    let metrics = &data.resource_metrics[0].scope_metrics[0].metrics;
    let Some(Data::Histogram(histogram)) = &metrics[0].data else { panic!("histogram") };
    assert_eq!(histogram.data_points[0].bucket_counts, [1, 2, 3]);
    assert_eq!(histogram.data_points[0].explicit_bounds, [0.5, f64::INFINITY]);
    assert_eq!(histogram.data_points[0].sum, Some(0.0));
    let Some(Data::ExponentialHistogram(exponential)) = &metrics[1].data else {
        panic!("exponential")
    };
    let point = &exponential.data_points[0];
    let positive = point.positive.as_ref().expect("buckets");
    assert_eq!(
        (point.scale, positive.offset, positive.bucket_counts.as_slice()),
        (-3, -1, &[5u64, 6][..])
    );
    let Some(Data::Gauge(gauge)) = &metrics[2].data else { panic!("gauge") };
    assert_eq!(gauge.data_points[0].value, Some(number_data_point::Value::AsInt(-9)));
}

#[test]
fn wrong_values_are_malformed() {
    let deep = "{\"arrayValue\":{\"values\":[".repeat(60);
    let bad = [
        "[]".to_owned(),
        "{".to_owned(),
        "{\"resourceSpans\":1}".to_owned(),
        "{\"resourceSpans\":[1]}".to_owned(),
        one_span(&json!({"kind": "SPAN_KIND_OTHER"})).to_string(),
        one_span(&json!({"startTimeUnixNano": -1})).to_string(),
        one_span(&json!({"startTimeUnixNano": "18446744073709551616"})).to_string(),
        one_span(&json!({"name": 1})).to_string(),
        one_span(&json!({"attributes": [{"key": "k", "value": {"bytesValue": "*"}}]})).to_string(),
        format!("{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"value\":{deep}"),
    ];
    for text in bad {
        assert!(to_protobuf(&schema::TRACES, text.as_bytes()).is_err(), "{text}");
    }
}

#[test]
fn an_empty_body_is_an_empty_request() {
    for text in ["", " ", "{}", "{\"resourceSpans\":[]}", "{\"resourceSpans\":null}"] {
        assert!(to_protobuf(&schema::TRACES, text.as_bytes()).expect(text).is_empty(), "{text:?}");
    }
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>, text: String) {
        let _ = to_protobuf(&schema::METRICS, &bytes);
        let _ = to_protobuf(&schema::METRICS, text.as_bytes());
    }

    #[test]
    // Eighths: serde_json may miss the nearest double by one bit for others.
    fn what_the_reference_crate_writes_reads_the_same(
        name: String, id: [u8; 16], start: u64, kind in 0i32..6, text: String, number: i64, double: i32,
    ) {
        use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
        use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
        let pair = |key: &str, value| KeyValue { key: key.to_owned(), value: Some(AnyValue { value: Some(value) }), ..KeyValue::default() };
        let span = Span {
            name, trace_id: id.to_vec(), span_id: id[..8].to_vec(), start_time_unix_nano: start, kind,
            attributes: vec![pair("t", Any::StringValue(text)), pair("n", Any::IntValue(number)), pair("d", Any::DoubleValue(f64::from(double) / 8.0))],
            ..Span::default()
        };
        let scope_spans = vec![ScopeSpans { spans: vec![span], ..ScopeSpans::default() }];
        let data = TracesData { resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }] };
        let json = serde_json::to_string(&data).expect("serializable");
        let read = TracesData::decode(to_protobuf(&schema::TRACES, json.as_bytes()).expect("valid")).expect("TracesData");
        prop_assert_eq!(read, data);
    }

    #[test]
    fn a_body_cut_at_any_byte_is_malformed(cut in 1usize..200) {
        let text = one_span(&json!({"traceId": "aa", "attributes": [{"key": "k", "value": {"intValue": "5"}}]})).to_string();
        prop_assume!(cut < text.len());
        prop_assert!(to_protobuf(&schema::TRACES, &text.as_bytes()[..cut]).is_err());
    }
}
