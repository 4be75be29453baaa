//! No record is lost, doubled or changed by splitting, and bad ones are counted.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Gauge, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, metric::Data,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, TracesData};
use proptest::prelude::*;
use prost::Message as _;

use super::*;
use crate::otlp::signal::{LOGS, METRICS, TRACES};
use crate::refusal::Kind;
use crate::testing::data;

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

fn resource(service: &str) -> Option<Resource> {
    Some(Resource { attributes: vec![attribute("service.name", service)], ..Resource::default() })
}

fn span(trace: u8, at: u64) -> Span {
    Span {
        trace_id: vec![trace; 16],
        span_id: (at + 1).to_be_bytes().to_vec(),
        name: format!("span {at}"),
        ..Span::default()
    }
}

fn traces(resources: Vec<Vec<Vec<Span>>>) -> TracesData {
    let scope = |spans| ScopeSpans { spans, schema_url: "s".to_owned(), ..ScopeSpans::default() };
    let resource_spans = resources.into_iter().enumerate().map(|(at, scopes)| ResourceSpans {
        resource: resource(&format!("service {at}")),
        scope_spans: scopes.into_iter().map(scope).collect(),
        schema_url: "r".to_owned(),
    });
    TracesData { resource_spans: resource_spans.collect() }
}

/// Every span with the envelope it stood in, sorted.
fn identities(data: &TracesData) -> Vec<String> {
    let mut all = Vec::new();
    for resource in &data.resource_spans {
        for scope in &resource.scope_spans {
            for span in &scope.spans {
                all.push(format!(
                    "{:?} {:?} {} {} {span:?}",
                    resource.resource, scope.scope, resource.schema_url, scope.schema_url
                ));
            }
        }
    }
    all.sort();
    all
}

fn same(data: &TracesData) -> Split {
    let split = split(&TRACES, &Bytes::from(data.encode_to_vec())).expect("valid");
    let mut after = TracesData::default();
    for message in &split.messages {
        assert!(message.payload.len() <= MAX_MESSAGE_BYTES);
        let part = TracesData::decode(message.payload.clone()).expect("TracesData");
        for resource in &part.resource_spans {
            for span in resource.scope_spans.iter().flat_map(|scope| &scope.spans) {
                assert_eq!(TraceId::from_bytes(&span.trace_id), message.key);
            }
        }
        after.resource_spans.extend(part.resource_spans);
    }
    assert_eq!(identities(data), identities(&after));
    split
}

#[test]
fn every_span_of_the_real_capture_is_in_exactly_one_message() {
    let Some(path) = data("otlp/hipstershop-oteltraces.zst") else { return };
    let bytes = zstd::decode_all(std::fs::File::open(path).expect("file")).expect("zstd");
    let data = TracesData::decode(&bytes[4..]).expect("TracesData");
    let split = same(&data);
    assert!(split.records > 10_000 && split.rejected == 0, "{} records", split.records);
}

#[test]
fn every_point_of_the_real_metrics_is_in_exactly_one_message() {
    let Some(path) = data("otlp/hostandcollector-otelmetrics.zst") else { return };
    let bytes = zstd::decode_all(std::fs::File::open(path).expect("file")).expect("zstd");
    let mut rest = bytes.as_slice();
    let mut parts = 0;
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (part, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        rest = tail;
        let split = split(&METRICS, &Bytes::copy_from_slice(part)).expect("valid");
        let payloads: Vec<&Bytes> = split.messages.iter().map(|message| &message.payload).collect();
        assert_eq!(payloads, [&Bytes::copy_from_slice(part)]);
        parts += 1;
    }
    assert_eq!(parts, 1_407);
}

#[test]
fn a_request_of_one_trace_is_passed_on_as_it_came() {
    let body = Bytes::from(traces(vec![vec![vec![span(1, 1)], vec![span(1, 2)]]]).encode_to_vec());
    let split = split(&TRACES, &body).expect("valid");
    assert_eq!(split.messages.len(), 1);
    assert_eq!(split.messages[0].payload, body);
}

#[test]
fn spans_with_invalid_ids_are_rejected_and_the_others_taken() {
    let mut bad = vec![span(1, 1), span(0, 2), span(1, 3), span(1, 4), span(2, 5)];
    bad[2].trace_id = vec![1; 8];
    bad[3].span_id = Vec::new();
    let split =
        split(&TRACES, &Bytes::from(traces(vec![vec![bad]]).encode_to_vec())).expect("valid");
    assert_eq!((split.records, split.rejected), (2, 3));
    assert_eq!(split.reason.as_deref(), Some("a span's trace_id is all zeros"));
    assert_eq!(split.messages.len(), 2);
}

#[test]
fn a_string_that_is_not_utf8_costs_its_span_only() {
    let mut body = traces(vec![vec![vec![span(1, 1), span(2, 2)]]]).encode_to_vec();
    let at = body.windows(6).position(|window| window == b"span 2").expect("name");
    body[at] = 0xff;
    let split = split(&TRACES, &Bytes::from(body)).expect("valid");
    assert_eq!((split.records, split.rejected), (1, 1));
    assert!(split.reason.is_some_and(|reason| reason.contains("UTF-8")));
}

#[test]
fn logs_are_keyed_by_their_trace_or_stay_together() {
    let log =
        |trace: Vec<u8>| LogRecord { trace_id: trace, severity_number: 9, ..LogRecord::default() };
    let logs =
        vec![log(vec![]), log(vec![3; 16]), log(vec![0; 16]), log(vec![3; 16]), log(vec![9; 5])];
    let scope_logs = vec![ScopeLogs { log_records: logs, ..ScopeLogs::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource("s"), scope_logs, ..ResourceLogs::default() }];
    let split =
        split(&LOGS, &Bytes::from(LogsData { resource_logs }.encode_to_vec())).expect("valid");
    let found: Vec<(bool, usize)> = split
        .messages
        .iter()
        .map(|message| {
            let part = LogsData::decode(message.payload.clone()).expect("LogsData");
            (message.key.is_some(), part.resource_logs[0].scope_logs[0].log_records.len())
        })
        .collect();
    assert_eq!(found, [(false, 3), (true, 2)]);
    assert_eq!(split.rejected, 0);
}

#[test]
fn a_metric_above_the_message_limit_is_parted_by_its_points() {
    let point = |at: u64| NumberDataPoint {
        time_unix_nano: at,
        attributes: vec![attribute("filler", &"x".repeat(1_000))],
        ..NumberDataPoint::default()
    };
    let metric = Metric {
        name: "m".to_owned(),
        unit: "u".to_owned(),
        data: Some(Data::Gauge(Gauge { data_points: (0..3_000).map(point).collect() })),
        ..Metric::default()
    };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics {
        resource: resource("s"),
        scope_metrics,
        ..ResourceMetrics::default()
    }];
    let split = split(&METRICS, &Bytes::from(MetricsData { resource_metrics }.encode_to_vec()))
        .expect("valid");
    let mut times = Vec::new();
    for message in &split.messages {
        assert!(message.payload.len() <= MAX_MESSAGE_BYTES);
        let part = MetricsData::decode(message.payload.clone()).expect("MetricsData");
        for metric in
            part.resource_metrics.iter().flat_map(|r| &r.scope_metrics).flat_map(|s| &s.metrics)
        {
            assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("m", "u"));
            let Some(Data::Gauge(gauge)) = &metric.data else { panic!("gauge") };
            times.extend(gauge.data_points.iter().map(|point| point.time_unix_nano));
        }
    }
    assert_eq!(times, (0..3_000).collect::<Vec<_>>());
    assert_eq!((split.records, split.cut), (3_000, 0));
}

#[test]
fn a_span_above_the_message_limit_is_cut_and_not_lost() {
    let mut large = span(1, 1);
    large.attributes = vec![attribute("big", &"y".repeat(1_500_000)), attribute("small", "s")];
    let split =
        split(&TRACES, &Bytes::from(traces(vec![vec![vec![large, span(2, 2)]]]).encode_to_vec()))
            .expect("valid");
    assert_eq!((split.records, split.cut, split.messages.len()), (2, 1, 2));
    let part = TracesData::decode(split.messages[0].payload.clone()).expect("TracesData");
    let attributes = &part.resource_spans[0].scope_spans[0].spans[0].attributes;
    assert_eq!(attributes[0], attribute("big", &"y".repeat(MAX_ATTRIBUTE_VALUE_BYTES)));
    assert_eq!(attributes[1], attribute("small", "s"));
}

#[test]
fn a_resource_repeated_for_many_traces_does_not_become_a_bomb() {
    let mut data = traces(vec![vec![(0..200).map(|at| span(at as u8 + 1, at)).collect()]]);
    let big = attribute("big", &"z".repeat(800_000));
    data.resource_spans[0].resource.as_mut().expect("resource").attributes.push(big);
    let refusal = split(&TRACES, &Bytes::from(data.encode_to_vec())).expect_err("160 MB");
    assert_eq!(refusal.kind, Kind::TooLarge);
}

#[test]
fn deep_values_and_wrong_types_are_malformed() {
    let mut value = AnyValue { value: Some(Any::BoolValue(true)) };
    for _ in 0..40 {
        let values = opentelemetry_proto::tonic::common::v1::ArrayValue { values: vec![value] };
        value = AnyValue { value: Some(Any::ArrayValue(values)) };
    }
    let mut deep = span(1, 1);
    deep.attributes =
        vec![KeyValue { key: "k".to_owned(), value: Some(value), ..KeyValue::default() }];
    for bytes in [
        traces(vec![vec![vec![deep]]]).encode_to_vec(),
        vec![0x08, 0x01],
        vec![0x0a, 0x02, 0x10, 0x01],
        vec![0xff],
    ] {
        assert_eq!(split(&TRACES, &Bytes::from(bytes)).expect_err("bad").kind, Kind::Malformed);
    }
}

#[test]
fn an_empty_request_is_a_success_without_messages() {
    assert!(split(&TRACES, &Bytes::new()).expect("empty").messages.is_empty());
    let empty = Bytes::from(traces(vec![vec![vec![]], vec![]]).encode_to_vec());
    assert!(split(&TRACES, &empty).expect("empty").messages.is_empty());
}

proptest! {
    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        for shape in [&TRACES, &LOGS, &METRICS] {
            let _ = split(shape, &Bytes::from(bytes.clone()));
        }
    }

    #[test]
    fn a_truncated_request_is_malformed_or_ends_between_resources(cut in 1usize..10_000) {
        let body = traces(vec![vec![vec![span(1, 1), span(2, 2)]], vec![vec![span(3, 3)]]]).encode_to_vec();
        let cut = cut % body.len();
        let first = 2 + usize::from(body[1]);
        let result = split(&TRACES, &Bytes::copy_from_slice(&body[..cut]));
        prop_assert_eq!(result.is_ok(), cut == 0 || cut == first);
    }

    #[test]
    fn arbitrary_traces_survive(shape in proptest::collection::vec(proptest::collection::vec(proptest::collection::vec(1u8..5, 0..5), 0..3), 0..4)) {
        let mut at = 0;
        let resources = shape.into_iter().map(|scopes| scopes.into_iter().map(|spans| spans.into_iter().map(|trace| {
            at += 1;
            span(trace, at)
        }).collect()).collect()).collect();
        same(&traces(resources));
    }
}
