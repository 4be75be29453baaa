//! What an OpenTelemetry SDK sends over HTTP: traces, logs and metrics in protobuf.

use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue, any_value};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, LogsData, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Gauge, Histogram, HistogramDataPoint, Metric, MetricsData,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, metric, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{
    ResourceSpans, ScopeSpans, Span as OtlpSpan, Status, TracesData, span, status,
};
use prost::Message;

use super::shop::{Access, ENV, Failure, Kind, Level, Log, Measured, Service, Span, Text, Work};

/// Bounds of the histogram of order values, in EUR.
const ORDER_BOUNDS: [f64; 6] = [10.0, 25.0, 50.0, 100.0, 150.0, 200.0];

/// Body of `/v1/traces`: spans of one service.
pub(super) fn traces(service: Service, spans: &[&Span]) -> Vec<u8> {
    let spans = spans.iter().map(|span| one_span(span)).collect();
    let scope_spans = vec![ScopeSpans { scope: scope(), spans, ..Default::default() }];
    let resource_spans =
        vec![ResourceSpans { resource: resource(service), scope_spans, ..Default::default() }];
    TracesData { resource_spans }.encode_to_vec()
}

/// Body of `/v1/logs`: logs of one service.
pub(super) fn logs(service: Service, logs: &[&Log]) -> Vec<u8> {
    let log_records = logs.iter().map(|log| one_log(log)).collect();
    let scope_logs = vec![ScopeLogs { scope: scope(), log_records, ..Default::default() }];
    let resource_logs =
        vec![ResourceLogs { resource: resource(service), scope_logs, ..Default::default() }];
    LogsData { resource_logs }.encode_to_vec()
}

/// Body of `/v1/metrics`: three points per measurement.
pub(super) fn metrics(service: Service, measured: &[&Measured]) -> Vec<u8> {
    let metrics = measured.iter().flat_map(|measured| three_metrics(measured)).collect();
    let scope_metrics = vec![ScopeMetrics { scope: scope(), metrics, ..Default::default() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: resource(service), scope_metrics, ..Default::default() }];
    MetricsData { resource_metrics }.encode_to_vec()
}

fn one_span(span: &Span) -> OtlpSpan {
    let mut attributes = Vec::new();
    let (name, status_attribute) = match &span.work {
        Work::Http { method, route, path, status, peer } => {
            attributes.push(text("http.request.method", method));
            attributes.push(text("url.path", path));
            if span.kind == Kind::Server {
                attributes.push(text("http.route", route));
            }
            attributes.extend(peer.map(|peer| text("peer.service", peer.name())));
            (format!("{method} {route}"), Some(i64::from(*status)))
        }
        Work::Database { system, statement, rows } => {
            attributes.push(text("db.system.name", system));
            attributes.push(text("db.query.text", statement));
            attributes.push(number("db.response.returned_rows", i64::from(*rows)));
            ((*statement).to_owned(), None)
        }
    };
    attributes.extend(status_attribute.map(|status| number("http.response.status_code", status)));
    let kind =
        if span.kind == Kind::Server { span::SpanKind::Server } else { span::SpanKind::Client };
    let end = span.start_ns + span.duration_ns;
    let status = span.failure.as_ref().map(|failure| Status {
        message: failure.message.clone(),
        code: status::StatusCode::Error as i32,
    });
    let events = span.failure.iter().map(|failure| exception(failure, end)).collect();
    OtlpSpan {
        trace_id: span.trace.to_be_bytes().to_vec(),
        span_id: span.id.to_be_bytes().to_vec(),
        parent_span_id: parent(span.parent),
        flags: 0x101,
        name,
        kind: kind as i32,
        start_time_unix_nano: unsigned(span.start_ns),
        end_time_unix_nano: unsigned(end),
        attributes,
        events,
        status,
        ..Default::default()
    }
}

/// A root has an empty parent, not a zero one.
fn parent(id: u64) -> Vec<u8> {
    if id == 0 { Vec::new() } else { id.to_be_bytes().to_vec() }
}

fn exception(failure: &Failure, at: i64) -> span::Event {
    span::Event {
        time_unix_nano: unsigned(at),
        name: "exception".to_owned(),
        attributes: exception_attributes(failure),
        ..Default::default()
    }
}

fn exception_attributes(failure: &Failure) -> Vec<KeyValue> {
    vec![
        text("exception.type", failure.kind),
        text("exception.message", &failure.message),
        text("exception.stacktrace", &failure.stack),
    ]
}

fn one_log(log: &Log) -> LogRecord {
    let (severity, mut attributes) = (severity(log.level), Vec::new());
    let body = match &log.text {
        Text::Access(access) => {
            attributes.push(text("logger", "access"));
            access_line(access, log.time_ns)
        }
        Text::Application { message, failure } => {
            attributes.push(text("logger", "application"));
            attributes.extend(failure.iter().flat_map(exception_attributes));
            message.clone()
        }
        Text::SlowQuery { database, duration_ms } => {
            format!("Slow query: host={database} duration={duration_ms}ms")
        }
    };
    let (trace_id, span_id) = log.context.map_or((Vec::new(), Vec::new()), |(trace, span)| {
        (trace.to_be_bytes().to_vec(), span.to_be_bytes().to_vec())
    });
    LogRecord {
        time_unix_nano: unsigned(log.time_ns),
        observed_time_unix_nano: unsigned(log.time_ns),
        severity_number: severity,
        severity_text: log.level.name().to_owned(),
        body: Some(value(any_value::Value::StringValue(body))),
        attributes,
        trace_id,
        span_id,
        ..Default::default()
    }
}

/// The combined log format of Apache and nginx, with the duration in milliseconds behind it.
fn access_line(access: &Access, time_ns: i64) -> String {
    let time = chrono::DateTime::from_timestamp_nanos(time_ns);
    format!(
        "{} - - [{}] \"{} {} HTTP/1.1\" {} {} \"-\" \"shop-mesh/1.4\" {:.3}",
        access.client,
        time.format("%d/%b/%Y:%H:%M:%S +0000"),
        access.method,
        access.path,
        access.status,
        access.bytes,
        access.duration_ms(),
    )
}

fn severity(level: Level) -> i32 {
    match level {
        Level::Info => 9,
        Level::Warn => 13,
        Level::Error => 17,
    }
}

fn three_metrics(measured: &Measured) -> [Metric; 3] {
    let times = (unsigned(measured.from_ns), unsigned(measured.to_ns));
    let point = |value: i64| NumberDataPoint {
        start_time_unix_nano: times.0,
        time_unix_nano: times.1,
        value: Some(number_data_point::Value::AsInt(value)),
        ..Default::default()
    };
    let delta = AggregationTemporality::Delta as i32;
    let gauge = Gauge { data_points: vec![point(measured.in_flight)] };
    let orders = Sum {
        data_points: vec![point(i64::try_from(measured.orders).unwrap_or(i64::MAX))],
        aggregation_temporality: delta,
        is_monotonic: true,
    };
    let values = Histogram {
        data_points: vec![order_values(measured, times)],
        aggregation_temporality: delta,
    };
    [
        metric("shop.checkout.in_flight", "{request}", metric::Data::Gauge(gauge)),
        metric("shop.orders", "{order}", metric::Data::Sum(orders)),
        metric("shop.order.value", "EUR", metric::Data::Histogram(values)),
    ]
}

fn metric(name: &str, unit: &str, data: metric::Data) -> Metric {
    Metric { name: name.to_owned(), unit: unit.to_owned(), data: Some(data), ..Default::default() }
}

fn order_values(measured: &Measured, (start, end): (u64, u64)) -> HistogramDataPoint {
    let values: Vec<f64> =
        measured.order_values.iter().map(|cents| f64::from(*cents) / 100.0).collect();
    let mut bucket_counts = vec![0; ORDER_BOUNDS.len() + 1];
    for value in &values {
        let bucket = ORDER_BOUNDS.partition_point(|bound| bound < value);
        if let Some(count) = bucket_counts.get_mut(bucket) {
            *count += 1;
        }
    }
    HistogramDataPoint {
        start_time_unix_nano: start,
        time_unix_nano: end,
        count: values.len() as u64,
        sum: Some(values.iter().sum()),
        bucket_counts,
        explicit_bounds: ORDER_BOUNDS.to_vec(),
        min: values.iter().copied().reduce(f64::min),
        max: values.iter().copied().reduce(f64::max),
        ..Default::default()
    }
}

fn resource(service: Service) -> Option<Resource> {
    let attributes = vec![
        text("service.name", service.name()),
        text("service.version", service.version()),
        text("deployment.environment.name", ENV),
        text("host.name", service.host()),
        text("telemetry.sdk.language", service.language()),
    ];
    Some(Resource { attributes, ..Default::default() })
}

fn scope() -> Option<InstrumentationScope> {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Some(InstrumentationScope { name: "shop".to_owned(), version, ..Default::default() })
}

fn value(value: any_value::Value) -> AnyValue {
    AnyValue { value: Some(value) }
}

fn text(key: &str, text: &str) -> KeyValue {
    let value = Some(value(any_value::Value::StringValue(text.to_owned())));
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

fn number(key: &str, number: i64) -> KeyValue {
    let value = Some(value(any_value::Value::IntValue(number)));
    KeyValue { key: key.to_owned(), value, ..Default::default() }
}

/// OTLP's times are unsigned; the story's are after 1970.
fn unsigned(nanos: i64) -> u64 {
    u64::try_from(nanos).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::super::story;
    use super::*;

    #[test]
    fn bodies_decode_to_what_the_shop_said() {
        let shop = story::tell(7, 1_767_225_600_000_000_000);
        let of = |service| move |span: &&Span| span.service == service;
        let spans: Vec<&Span> = shop.spans.iter().filter(of(Service::Payment)).collect();
        let read =
            TracesData::decode(traces(Service::Payment, &spans).as_slice()).expect("protobuf");
        let read = &read.resource_spans[0].scope_spans[0].spans;
        assert_eq!(read.len(), spans.len());
        assert!(
            read.iter().zip(&spans).all(|(read, sent)| read.trace_id == sent.trace.to_be_bytes()
                && read.parent_span_id.len() == 8
                && (read.status.is_some() && !read.events.is_empty()) == sent.failure.is_some())
        );

        let some: Vec<&Log> =
            shop.logs.iter().filter(|log| log.service == Service::Checkout).collect();
        let read = LogsData::decode(logs(Service::Checkout, &some).as_slice()).expect("protobuf");
        assert_eq!(read.resource_logs[0].scope_logs[0].log_records.len(), some.len());

        let measured: Vec<&Measured> = shop.measured.iter().collect();
        let body = metrics(Service::Checkout, &measured);
        let read = MetricsData::decode(body.as_slice()).expect("protobuf");
        assert_eq!(
            read.resource_metrics[0].scope_metrics[0].metrics.len(),
            3 * shop.measured.len()
        );
    }

    #[test]
    fn an_access_line_is_in_the_combined_format() {
        let access = Access {
            method: "GET",
            path: "/x".to_owned(),
            status: 404,
            bytes: 17,
            client: "10.0.0.7".to_owned(),
            duration_us: 1_230,
        };
        assert_eq!(
            access_line(&access, 1_767_225_600_000_000_000),
            "10.0.0.7 - - [01/Jan/2026:00:00:00 +0000] \"GET /x HTTP/1.1\" 404 17 \"-\" \"shop-mesh/1.4\" 1.230"
        );
    }
}
