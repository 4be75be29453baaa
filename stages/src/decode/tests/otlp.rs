//! OTLP logs, traces and metrics, protobuf and JSON.

use super::*;
use crate::value::Value;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, MetricsData, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
    Summary, SummaryDataPoint, exponential_histogram_data_point::Buckets, metric::Data,
    number_data_point, summary_data_point::ValueAtQuantile,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, Status, TracesData,
};
use proptest::prelude::*;
use prost::Message;
use schemas::metric::Kind;

const NOW: u64 = 1_700_000_000_000_000_000;

fn value(value: Any) -> Option<AnyValue> {
    Some(AnyValue { value: Some(value) })
}

fn text(text: &str) -> Any {
    Any::StringValue(text.to_owned())
}

fn pair(key: &str, any: Any) -> KeyValue {
    KeyValue { key: key.to_owned(), value: value(any), ..Default::default() }
}

fn resource() -> Option<Resource> {
    let attributes = vec![
        pair("service.name", text("cart")),
        pair("deployment.environment", text("prod")),
        pair("service.version", text("1.0")),
        pair("host.name", text("h")),
        pair("k8s.pod.name", text("pod-1")),
    ];
    Some(Resource { attributes, ..Default::default() })
}

pub(super) fn traces(spans: Vec<OtlpSpan>) -> TracesData {
    let scope = Some(InstrumentationScope { name: "lib".to_owned(), ..Default::default() });
    let scope_spans = vec![ScopeSpans { scope, spans, ..Default::default() }];
    TracesData {
        resource_spans: vec![ResourceSpans {
            resource: resource(),
            scope_spans,
            ..Default::default()
        }],
    }
}

pub(super) fn log_data(log_records: Vec<LogRecord>) -> LogsData {
    let scope_logs = vec![ScopeLogs { log_records, ..Default::default() }];
    LogsData {
        resource_logs: vec![ResourceLogs {
            resource: resource(),
            scope_logs,
            ..Default::default()
        }],
    }
}

pub(super) fn metrics(data: Vec<Data>) -> MetricsData {
    let metrics = data.into_iter().map(|data| Metric {
        name: "m".to_owned(),
        unit: "ms".to_owned(),
        data: Some(data),
        ..Default::default()
    });
    let scope_metrics = vec![ScopeMetrics { metrics: metrics.collect(), ..Default::default() }];
    MetricsData {
        resource_metrics: vec![ResourceMetrics {
            resource: resource(),
            scope_metrics,
            ..Default::default()
        }],
    }
}

pub(super) fn server_span() -> OtlpSpan {
    OtlpSpan {
        trace_id: vec![1; 16],
        span_id: vec![2; 8],
        parent_span_id: vec![3; 8],
        trace_state: "a=b".to_owned(),
        name: "GET".to_owned(),
        kind: 2,
        start_time_unix_nano: NOW,
        end_time_unix_nano: NOW + 5,
        attributes: vec![
            pair("http.request.method", text("GET")),
            pair("http.route", text("/cart/{id}")),
            pair("http.response.status_code", Any::IntValue(500)),
            pair(
                "nested",
                Any::KvlistValue(KeyValueList { values: vec![pair("a", Any::BoolValue(true))] }),
            ),
        ],
        events: vec![Event {
            time_unix_nano: NOW + 1,
            name: "exception".to_owned(),
            attributes: vec![
                pair("exception.type", text("E")),
                pair("exception.message", text("boom")),
            ],
            ..Default::default()
        }],
        links: vec![
            Link { trace_id: vec![9; 16], span_id: vec![8; 8], ..Default::default() },
            Link::default(),
        ],
        status: Some(Status { code: 2, message: "failed".to_owned() }),
        flags: 0x101,
        ..Default::default()
    }
}

#[test]
fn a_span_becomes_the_same_row_as_datadogs() {
    let arena = Bump::new();
    let record = record(traces(vec![server_span()]).encode_to_vec());
    let spans = spans(decode(&arena, &record, Signal::Spans, Format::OtlpProto).expect("decodes"));
    let span = &spans[0];
    assert_eq!((span.service, span.env, span.version, span.host), ("cart", "prod", "1.0", "h"));
    assert_eq!((span.name, span.resource), ("http.server.request", "GET /cart/{id}"));
    assert_eq!(
        (span.span_type, span.kind, span.error, span.duration_ns),
        ("web", "server", true, 5)
    );
    assert_eq!((span.error_kind, span.error_message), (Some("E"), Some("boom")));
    assert_eq!((span.http_method, span.http_status_code), (Some("GET"), Some(500)));
    assert_eq!(
        span.metrics.iter().find(|(key, _)| *key == "http.response.status_code").map(|m| m.1),
        Some(500.0)
    );
    assert_eq!(span.attributes.get("nested.a"), Some(Value::Bool(true)));
    assert_eq!(span.attributes.get_str("k8s.pod.name"), Some("pod-1"));
    assert_eq!(span.attributes.get_str("otel.scope.name"), Some("lib"));
    assert_eq!(span.attributes.get_str("otel.status_description"), Some("failed"));
    assert_eq!(span.attributes.get("service.name"), None);
    assert_eq!((span.links.len(), span.attributes.get("_dropped_links")), (1, Some(Value::Int(1))));
    assert_eq!(span.events.len(), 1);
}

#[test]
fn bad_ids_and_times_refuse_their_span_and_name_what_is_wrong() {
    let arena = Bump::new();
    let bad = |change: fn(&mut OtlpSpan)| {
        let mut span = server_span();
        change(&mut span);
        span
    };
    let record = record(
        traces(vec![
            bad(|span| span.trace_id = vec![0; 16]),
            bad(|span| span.span_id = vec![1; 7]),
            bad(|span| span.parent_span_id = vec![1; 4]),
            bad(|span| span.start_time_unix_nano = u64::MAX),
            bad(|span| span.end_time_unix_nano = NOW - 1),
            bad(|span| (span.start_time_unix_nano, span.end_time_unix_nano) = (0, 0)),
        ])
        .encode_to_vec(),
    );
    let decoded = decode(&arena, &record, Signal::Spans, Format::OtlpProto).expect("decodes");
    let reasons: Vec<_> = decoded.refused.iter().map(|r| r.reason).collect();
    assert_eq!(reasons, ["invalid_id", "invalid_id", "invalid_id", "invalid_timestamp"]);
    assert!(decoded.refused[1].detail.contains("span_id"), "{:?}", decoded.refused[1]);
    let spans = spans(decoded);
    assert_eq!((spans[0].index, spans[0].duration_ns), (4, 0));
    assert_eq!((spans[1].start, spans[1].duration_ns), (RECEIVED, 0));
}

#[test]
fn a_log_fills_its_reserved_fields() {
    let arena = Bump::new();
    let body = Any::KvlistValue(KeyValueList {
        values: vec![pair("msg", text("hi")), pair("n", Any::IntValue(3))],
    });
    let record = record(
        log_data(vec![
            LogRecord {
                observed_time_unix_nano: NOW,
                severity_number: 17,
                severity_text: "ERROR".to_owned(),
                body: value(text("boom")),
                attributes: vec![
                    pair("exception.type", text("E")),
                    pair("service.name", text("inner")),
                ],
                trace_id: vec![1; 16],
                span_id: vec![2; 8],
                event_name: "ev".to_owned(),
                ..Default::default()
            },
            LogRecord {
                time_unix_nano: 5,
                body: value(body),
                trace_id: vec![0; 16],
                ..Default::default()
            },
            LogRecord { time_unix_nano: u64::MAX, ..Default::default() },
        ])
        .encode_to_vec(),
    );
    let decoded = decode(&arena, &record, Signal::Logs, Format::OtlpProto).expect("decodes");
    assert_eq!((decoded.refused[0].index, decoded.refused[0].reason), (2, "invalid_timestamp"));
    let logs = logs(decoded);
    assert_eq!((logs[0].message, logs[0].service, logs[0].env), ("boom", "cart", "prod"));
    assert_eq!(logs[0].status, Some(schemas::status::Status::Error));
    assert_eq!((logs[0].timestamp, logs[0].time().nanos()), (None, NOW as i64));
    assert!(logs[0].trace_id.is_some() && logs[0].span_id.is_some());
    assert_eq!(logs[0].attributes.get_str("exception.type"), Some("E"), "columns map it");
    assert_eq!(logs[0].attributes.get_str("service.name"), Some("inner"), "its own is kept");
    assert_eq!(logs[0].attributes.get_str("event.name"), Some("ev"));
    assert_eq!(logs[1].message, r#"{"msg":"hi","n":3}"#);
    assert_eq!(logs[1].attributes.get("n"), Some(Value::Int(3)));
    assert_eq!((logs[1].trace_id, logs[1].time().nanos()), (None, 5));
}

fn number(value: number_data_point::Value) -> NumberDataPoint {
    let exemplars =
        vec![Exemplar { trace_id: vec![1; 16], ..Default::default() }, Exemplar::default()];
    let attributes = vec![pair("a", Any::IntValue(1))];
    NumberDataPoint {
        time_unix_nano: NOW,
        value: Some(value),
        exemplars,
        attributes,
        ..Default::default()
    }
}

pub(super) fn every_metric() -> MetricsData {
    let double = number_data_point::Value::AsDouble;
    let sum = |temporality, value| {
        Data::Sum(Sum {
            data_points: vec![number(value)],
            aggregation_temporality: temporality,
            is_monotonic: true,
        })
    };
    let stale = NumberDataPoint { flags: 1, ..number(double(3.0)) };
    metrics(vec![
        Data::Gauge(Gauge {
            data_points: vec![number(double(1.5)), number(double(f64::NAN)), stale],
        }),
        sum(1, number_data_point::Value::AsInt(-7)),
        sum(2, double(9.0)),
        Data::Histogram(Histogram {
            data_points: vec![HistogramDataPoint {
                time_unix_nano: NOW,
                count: 3,
                sum: Some(30.0),
                min: Some(1.0),
                max: Some(20.0),
                bucket_counts: vec![1, 2],
                explicit_bounds: vec![5.0],
                ..Default::default()
            }],
            aggregation_temporality: 1,
        }),
        Data::ExponentialHistogram(ExponentialHistogram {
            data_points: vec![ExponentialHistogramDataPoint {
                time_unix_nano: NOW,
                count: 6,
                sum: Some(8.0),
                scale: 1,
                zero_count: 1,
                positive: Some(Buckets { offset: 2, bucket_counts: vec![2, 1] }),
                negative: Some(Buckets { offset: -1, bucket_counts: vec![2] }),
                ..Default::default()
            }],
            aggregation_temporality: 2,
        }),
        Data::Summary(Summary {
            data_points: vec![SummaryDataPoint {
                count: 4,
                sum: 10.0,
                quantile_values: vec![ValueAtQuantile { quantile: 0.5, value: 2.0 }],
                ..Default::default()
            }],
        }),
    ])
}

#[test]
fn every_kind_of_metric_becomes_points() {
    let arena = Bump::new();
    let record = record(every_metric().encode_to_vec());
    let decoded = decode(&arena, &record, Signal::Metrics, Format::OtlpProto).expect("decodes");
    assert!(decoded.refused.is_empty());
    let points = points(decoded);
    assert_eq!(points.len(), 8);
    assert_eq!((points[0].service, points[0].unit, points[0].exemplars.len()), ("cart", "ms", 1));
    assert_eq!((points[0].count, points[0].last, points[0].sum), (1, Some(1.5), Some(1.5)));
    assert!(
        points[0].tags.contains(&("a", "1")) && points[0].tags.contains(&("k8s.pod.name", "pod-1"))
    );
    assert_eq!((points[1].count, points[1].last), (1, None));
    assert!(points[1].tags.contains(&("_non_finite", "NaN")));
    assert_eq!((points[2].count, points[2].last, points[2].sum), (0, None, None));
    assert_eq!((points[3].temporality, points[3].sum, points[3].last), ("delta", Some(-7.0), None));
    assert_eq!(
        (points[4].temporality, points[4].sum, points[4].last),
        ("cumulative", None, Some(9.0))
    );
    assert!(points[4].monotonic);
    assert_eq!((points[5].bounds, points[5].bucket_counts), (&[5.0][..], &[1, 2][..]));
    assert_eq!(
        (points[6].kind, points[6].bucket_counts.iter().sum::<i64>()),
        (Kind::ExponentialHistogram, 6)
    );
    assert_eq!((points[7].quantiles, points[7].timestamp), (&[(0.5, 2.0)][..], RECEIVED));
}

#[test]
fn json_gives_the_rows_of_protobuf_even_with_protobufs_own_names() {
    let check = |signal, proto: Vec<u8>, json: String| {
        let wanted = to_columns(&record(proto), signal, Format::OtlpProto).expect("protobuf");
        assert!(wanted.0.num_rows() > 0);
        let got = to_columns(&record(json), signal, Format::OtlpJson);
        assert_eq!(got, Ok(wanted), "{signal}");
    };
    let data = traces(vec![server_span()]);
    let json = serde_json::to_string(&data).expect("JSON");
    check(Signal::Spans, data.encode_to_vec(), json.clone());
    let snake = json
        .replace("resourceSpans", "resource_spans")
        .replace("startTimeUnixNano", "start_time_unix_nano")
        .replace("\"kind\":2", "\"kind\":\"SPAN_KIND_SERVER\"");
    assert_ne!(snake, json);
    check(Signal::Spans, data.encode_to_vec(), snake);
    let severity = LogRecord { time_unix_nano: 7, severity_number: 14, ..Default::default() };
    let data = log_data(vec![severity]);
    let json = serde_json::to_string(&data).expect("JSON");
    check(Signal::Logs, data.encode_to_vec(), json.clone());
    let named =
        json.replace("\"severityNumber\":14", "\"severityNumber\":\"SEVERITY_NUMBER_WARN2\"");
    assert_ne!(named, json);
    check(Signal::Logs, data.encode_to_vec(), named);
    let mut data = every_metric();
    data.resource_metrics[0].scope_metrics[0].metrics.remove(0);
    check(Signal::Metrics, data.encode_to_vec(), serde_json::to_string(&data).expect("JSON"));
}

#[test]
fn an_id_that_is_no_hex_refuses_its_span_alone() {
    let arena = Bump::new();
    let spans = vec![server_span(), server_span()];
    let json =
        serde_json::to_string(&traces(spans)).expect("JSON").replacen(&"01".repeat(16), "zz", 1);
    let record = record(json);
    let decoded = decode(&arena, &record, Signal::Spans, Format::OtlpJson).expect("decodes");
    assert_eq!((decoded.items.len(), decoded.refused[0].reason), (1, "invalid_id"));
}

#[test]
fn few_bytes_can_not_ask_for_all_memory() {
    let arena = Bump::new();
    let mut data = log_data(vec![LogRecord::default(); 20_000]);
    data.resource_logs[0].resource = Some(Resource {
        attributes: vec![pair("big", text(&"x".repeat(60_000)))],
        ..Default::default()
    });
    let record = record(data.encode_to_vec());
    assert_eq!(refusal(&arena, &record, Signal::Logs, Format::OtlpProto).reason, "too_large");
}

#[test]
fn a_value_nested_too_deep_is_refused() {
    let arena = Bump::new();
    let mut any = text("x");
    for _ in 0..80 {
        any = Any::ArrayValue(ArrayValue { values: vec![AnyValue { value: Some(any) }] });
    }
    let span = OtlpSpan { attributes: vec![pair("deep", any)], ..server_span() };
    let record = record(traces(vec![span]).encode_to_vec());
    assert_eq!(refusal(&arena, &record, Signal::Spans, Format::OtlpProto).reason, "too_deep");
}

proptest! {
    #[test]
    fn what_prost_wrote_comes_back(
        name in ".*", key in "[a-z]{1,9}", text_value in ".*", number: i64, double in -1e9f64..1e9,
        trace in any::<[u8; 16]>(), id in any::<[u8; 8]>(), start in 1u64..1 << 62, length in 0u64..1 << 61,
    ) {
        let arena = Bump::new();
        let span = OtlpSpan {
            trace_id: trace.to_vec(), span_id: id.to_vec(), name: name.clone(),
            start_time_unix_nano: start, end_time_unix_nano: start + length,
            attributes: vec![
                pair(&key, text(&text_value)), pair("0n", Any::IntValue(number)),
                pair("0d", Any::DoubleValue(double)), pair("0n", Any::IntValue(number)),
            ],
            ..Default::default()
        };
        let record = record(traces(vec![span]).encode_to_vec());
        let decoded = decode(&arena, &record, Signal::Spans, Format::OtlpProto).expect("decodes");
        if trace == [0; 16] || id == [0; 8] {
            prop_assert_eq!(decoded.refused.len(), 1);
            return Ok(());
        }
        let span = &spans(decoded)[0];
        prop_assert_eq!(span.trace_id.get().to_be_bytes(), trace);
        prop_assert_eq!((span.start.nanos(), span.duration_ns), (start as i64, length as i64));
        prop_assert_eq!((span.resource, span.parent_id), (name.as_str(), None));
        prop_assert_eq!(span.attributes.get(&key), Some(Value::Str(&text_value)));
        prop_assert_eq!(span.attributes.get("0n"), Some(Value::Int(number)));
        prop_assert_eq!(span.attributes.get("0d"), Some(Value::Float(double)));
        prop_assert_eq!(span.attributes.iter().filter(|(key, _)| *key == "0n").count(), 1);
    }
}
