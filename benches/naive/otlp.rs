//! The naive way with OTLP: the generated owned messages.

use opentelemetry_proto::tonic::common::v1::{KeyValue, any_value::Value as Any};
use opentelemetry_proto::tonic::logs::v1::LogsData;
use opentelemetry_proto::tonic::metrics::v1::{
    MetricsData, metric::Data, number_data_point::Value as Number,
};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use stages::record::Record;

use super::Table;

/// prost into owned messages.
pub(crate) fn traces(records: &[Record]) -> usize {
    spans(records, |payload| TracesData::decode(payload).expect("protobuf"))
}

/// serde into the same messages.
pub(crate) fn traces_json(records: &[Record]) -> usize {
    spans(records, |payload| serde_json::from_slice(payload).expect("OTLP JSON"))
}

fn spans(records: &[Record], read: impl Fn(&[u8]) -> TracesData) -> usize {
    let mut table = Table::new();
    for record in records {
        let data = read(&record.payload);
        for group in data.resource_spans {
            let shared: Vec<_> =
                group.resource.iter().flat_map(|r| &r.attributes).map(text_pair).collect();
            for span in group.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                let mut attributes = shared.clone();
                attributes.extend(span.attributes.iter().map(text_pair));
                let hex = |bytes: &[u8]| {
                    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>()
                };
                let find = |key: &str| {
                    attributes
                        .iter()
                        .find(|pair| pair.0 == key)
                        .map(|pair| pair.1.clone())
                        .unwrap_or_default()
                };
                let texts = [
                    hex(&span.trace_id),
                    hex(&span.span_id),
                    hex(&span.parent_span_id),
                    span.name,
                    find("service.name"),
                    find("host.name"),
                    find("http.request.method"),
                    find("http.route"),
                ];
                let duration = span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano);
                table.push(
                    span.start_time_unix_nano as i64 / 1000,
                    duration as i64,
                    &texts,
                    &attributes,
                    &[],
                );
            }
        }
    }
    table.finish()
}

fn text_pair(pair: &KeyValue) -> (String, String) {
    let value = match pair.value.as_ref().and_then(|value| value.value.as_ref()) {
        Some(Any::StringValue(text)) => text.clone(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    };
    (pair.key.clone(), value)
}

/// prost into owned logs.
pub(crate) fn logs(records: &[Record]) -> usize {
    let mut table = Table::new();
    for record in records {
        let data = LogsData::decode(record.payload.as_slice()).expect("protobuf");
        for group in data.resource_logs {
            let shared: Vec<_> =
                group.resource.iter().flat_map(|r| &r.attributes).map(text_pair).collect();
            for log in group.scope_logs.into_iter().flat_map(|scope| scope.log_records) {
                let mut attributes = shared.clone();
                attributes.extend(log.attributes.iter().map(text_pair));
                let body = match log.body.and_then(|body| body.value) {
                    Some(Any::StringValue(text)) => text,
                    other => format!("{other:?}"),
                };
                let texts = [body, log.severity_text];
                table.push(log.time_unix_nano as i64 / 1000, 0, &texts, &attributes, &[]);
            }
        }
    }
    table.finish()
}

/// prost into owned points; a histogram's buckets become pairs of bound and count.
pub(crate) fn metrics(records: &[Record]) -> usize {
    let mut table = Table::new();
    for record in records {
        let data = MetricsData::decode(record.payload.as_slice()).expect("protobuf");
        for group in data.resource_metrics {
            let shared: Vec<_> =
                group.resource.iter().flat_map(|r| &r.attributes).map(text_pair).collect();
            for metric in group.scope_metrics.into_iter().flat_map(|scope| scope.metrics) {
                points(&mut table, &shared, &metric.name, metric.data);
            }
        }
    }
    table.finish()
}

fn points(table: &mut Table, shared: &[(String, String)], name: &str, data: Option<Data>) {
    let mut push = |time: u64, attributes: &[KeyValue], numbers: &[(String, f64)]| {
        let mut all = shared.to_vec();
        all.extend(attributes.iter().map(text_pair));
        table.push(time as i64 / 1000, 0, &[name.to_owned()], &all, numbers);
    };
    match data {
        Some(Data::Sum(sum)) => {
            for point in sum.data_points {
                let value = match point.value {
                    Some(Number::AsInt(value)) => value as f64,
                    Some(Number::AsDouble(value)) => value,
                    None => 0.0,
                };
                push(point.time_unix_nano, &point.attributes, &[("value".to_owned(), value)]);
            }
        }
        Some(Data::Histogram(histogram)) => {
            for point in histogram.data_points {
                let bounds = point.explicit_bounds.iter().chain([&f64::INFINITY]);
                let buckets = bounds.zip(&point.bucket_counts);
                let buckets: Vec<_> =
                    buckets.map(|(bound, count)| (bound.to_string(), *count as f64)).collect();
                push(point.time_unix_nano, &point.attributes, &buckets);
            }
        }
        other => unreachable!("not in this bench: {other:?}"),
    }
}
