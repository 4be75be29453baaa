//! Real telemetry nobody here wrote, where it can be found: `TIDEMILL_DATA`, else `../shared/data`
//! beside the workspace. Without it these tests say so and pass.

use super::*;
use opentelemetry_proto::tonic::metrics::v1::{MetricsData, metric::Data};
use opentelemetry_proto::tonic::trace::v1::TracesData;
use prost::Message;
use std::path::PathBuf;

fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TIDEMILL_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = root.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no real data at {}; set TIDEMILL_DATA", path.display());
        return None;
    }
    Some(path)
}

/// The parts of a capture: 4 bytes of big-endian length, then that many bytes.
fn parts(name: &str) -> Option<Vec<Vec<u8>>> {
    let bytes = zstd::decode_all(std::fs::File::open(data(name)?).expect("opens")).expect("zstd");
    let mut rest = bytes.as_slice();
    let mut parts = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk::<4>() {
        let (part, tail) = tail.split_at(u32::from_be_bytes(*length) as usize);
        parts.push(part.to_vec());
        rest = tail;
    }
    Some(parts)
}

/// A column as text, maps in order of their keys: v0.5 was written in order of indexes.
fn sorted(column: &arrow::array::ArrayRef) -> Vec<String> {
    use arrow::array::{Array, AsArray};
    // Not `Display`: names of zones print only where some crate switches arrow's `chrono-tz` on.
    let text = |array: &dyn Array, row| format!("{:?}", array.slice(row, 1));
    let Some(map) = column.as_map_opt() else {
        return (0..column.len()).map(|row| text(column, row)).collect();
    };
    let rows = (0..map.len()).map(|row| {
        let entries = map.value(row);
        let mut pairs: Vec<_> = (0..entries.len())
            .map(|i| format!("{}={}", text(entries.column(0), i), text(entries.column(1), i)))
            .collect();
        pairs.sort();
        pairs.join(",")
    });
    rows.collect()
}

#[test]
fn real_datadog_payloads_give_equal_rows_in_v04_and_v05() {
    let Some(directory) = data("datadog") else { return };
    let mut rows = 0;
    for file in std::fs::read_dir(directory).expect("lists") {
        let bytes = std::fs::read(file.expect("entry").path()).expect("reads");
        let mut traces: serde_json::Value = serde_json::from_slice(&bytes).expect("JSON");
        let Some(list) = traces.as_array_mut() else { continue };
        if !list.iter().all(serde_json::Value::is_array) {
            continue;
        }
        for span in list.iter_mut().filter_map(|trace| trace.as_array_mut()).flatten() {
            // The snapshots number traces from 0, which is no trace id, and hold documents that
            // are bytes on the wire; v0.5 has no links.
            let id = span["trace_id"].as_u64().unwrap_or(0) + 1;
            span["trace_id"] = id.into();
            let span = span.as_object_mut().expect("a span");
            span.remove("meta_struct");
            span.remove("span_links");
        }
        let count: usize = list.iter().filter_map(|trace| trace.as_array()).map(Vec::len).sum();
        let four = record(super::datadog::msgpack(&traces));
        let four = to_columns(&four, Signal::Spans, Format::DatadogV04).expect("v0.4");
        let five = record(super::datadog::v05(&traces));
        let five = to_columns(&five, Signal::Spans, Format::DatadogV05).expect("v0.5");
        assert_eq!((four.0.num_rows(), four.1), (count, 0));
        assert_eq!(four.0.num_rows(), five.0.num_rows());
        for (index, field) in four.0.schema().fields().iter().enumerate() {
            assert_eq!(
                sorted(four.0.column(index)),
                sorted(five.0.column(index)),
                "{}",
                field.name()
            );
        }
        rows += count;
    }
    assert!(rows > 400, "{rows} spans");
}

#[test]
fn the_trace_capture_has_as_many_spans_as_prost_counts() {
    let Some(parts) = parts("otlp/hipstershop-oteltraces.zst") else { return };
    for part in parts {
        let data = TracesData::decode(part.as_slice()).expect("prost reads it");
        let scopes = data.resource_spans.iter().flat_map(|resource| &resource.scope_spans);
        let wanted: usize = scopes.map(|scope| scope.spans.len()).sum();
        let (batch, refused) =
            to_columns(&record(part), Signal::Spans, Format::OtlpProto).expect("decodes");
        assert!(wanted > 10_000, "{wanted}");
        assert_eq!((batch.num_rows(), refused), (wanted, 0));
    }
}

#[test]
fn the_metric_capture_has_as_many_points_as_prost_counts() {
    let Some(parts) = parts("otlp/hostandcollector-otelmetrics.zst") else { return };
    let mut total = 0;
    for part in parts {
        let data = MetricsData::decode(part.as_slice()).expect("prost reads it");
        let scopes = data.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics);
        let metrics = scopes.flat_map(|scope| &scope.metrics);
        let wanted: usize = metrics
            .map(|metric| match &metric.data {
                Some(Data::Gauge(data)) => data.data_points.len(),
                Some(Data::Sum(data)) => data.data_points.len(),
                Some(Data::Histogram(data)) => data.data_points.len(),
                Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
                Some(Data::Summary(data)) => data.data_points.len(),
                None => 0,
            })
            .sum();
        let (batch, refused) =
            to_columns(&record(part), Signal::Metrics, Format::OtlpProto).expect("decodes");
        assert_eq!((batch.num_rows(), refused), (wanted, 0));
        total += wanted;
    }
    assert!(total > 1_000, "{total} points");
}
