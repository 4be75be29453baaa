//! Port 4318.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceResponse;
use prost::Message as _;
use schemas::topic::{Format, Signal};
use serde_json::json;

use super::{counted, intake, request};
use crate::protobuf::{Fields, Value};
use crate::sink::SendError;

const PROTO: (&str, &str) = ("content-type", "application/x-protobuf");
const JSON: (&str, &str) = ("content-type", "application/json; charset=utf-8");

fn spans(ids: &[&str]) -> serde_json::Value {
    let spans: Vec<_> = ids
        .iter()
        .map(|id| json!({"traceId": id, "spanId": "0000000000000001", "name": "n"}))
        .collect();
    json!({"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]})
}

const GOOD: &str = "5b8efff798038103d269b633813fc60c";

#[tokio::test]
async fn json_and_protobuf_are_taken_and_answered_in_kind() {
    let (running, recorder) = intake().await;
    let to = running.addresses().otlp_http;
    let answer =
        request(to, "POST /v1/traces", &[JSON], spans(&[GOOD]).to_string().as_bytes()).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "{}"));
    assert_eq!(answer.headers["content-type"], "application/json");
    let messages = recorder.take();
    assert_eq!((messages[0].topic, messages[0].format), (Signal::Spans, Some(Format::OtlpProto)));
    assert_eq!(messages[0].key.map(|key| key.hex().to_string()).as_deref(), Some(GOOD));

    let zstd = zstd::encode_all(&messages[0].payload[..], 1).expect("memory");
    let answer =
        request(to, "POST /v1/traces", &[PROTO, ("content-encoding", "zstd")], &zstd).await;
    assert_eq!((answer.status, answer.body.len()), (200, 0));
    assert_eq!(answer.headers["content-type"], "application/x-protobuf");
    assert_eq!(recorder.take()[0].payload, messages[0].payload);

    for (path, body, signal) in [
        (
            "POST /v1/logs",
            r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[{"body":{"stringValue":"x"}}]}]}]}"#,
            Signal::Logs,
        ),
        (
            "POST /v1/metrics",
            r#"{"resourceMetrics":[{"scopeMetrics":[{"metrics":[{"name":"m","gauge":{"dataPoints":[{"asInt":"1"}]}}]}]}]}"#,
            Signal::Metrics,
        ),
    ] {
        assert_eq!(request(to, path, &[JSON], body.as_bytes()).await.status, 200);
        assert_eq!(recorder.take()[0].topic, signal);
    }
    assert_eq!(request(to, "POST /v1/logs", &[PROTO], b"").await.status, 200);
    assert!(recorder.take().is_empty());
}

#[tokio::test]
async fn rejected_spans_are_a_partial_success() {
    let (running, recorder) = intake().await;
    let to = running.addresses().otlp_http;
    let body = spans(&[GOOD, "00000000000000000000000000000000", "abcd"]).to_string();
    let answer = request(to, "POST /v1/traces", &[JSON], body.as_bytes()).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.json()["partialSuccess"]["rejectedSpans"], "2");
    assert!(
        answer.json()["partialSuccess"]["errorMessage"]
            .as_str()
            .is_some_and(|text| text.contains("all zeros"))
    );
    assert_eq!(recorder.take().len(), 1);
    let proto = crate::otlp::transcode_traces(body.as_bytes());
    let answer = request(to, "POST /v1/traces", &[PROTO], &proto).await;
    let response = ExportTraceServiceResponse::decode(answer.body.as_slice()).expect("response");
    assert_eq!(response.partial_success.map(|partial| partial.rejected_spans), Some(2));
    assert_eq!(counted(&running, "otlp_http_traces", "records_rejected"), 4);
}

#[tokio::test]
async fn refusals_are_a_status_in_the_encoding_of_the_request() {
    let (running, recorder) = intake().await;
    let to = running.addresses().otlp_http;
    let answer = request(to, "POST /v1/traces", &[JSON], b"{").await;
    assert_eq!((answer.status, answer.json()["code"].as_i64()), (400, Some(3)));
    assert_eq!(answer.json()["details"][0]["@type"], "type.googleapis.com/google.rpc.BadRequest");
    let answer = request(to, "POST /v1/traces", &[PROTO], b"\xff").await;
    let fields: Vec<_> = Fields::of(&answer.body).map(|field| field.expect("a status")).collect();
    assert_eq!((answer.status, fields[0].value), (400, Value::Varint(3)));

    let good = spans(&[GOOD]).to_string();
    for (error, status) in
        [(SendError::Busy, 429), (SendError::Unavailable("down".to_owned()), 503)]
    {
        recorder.fail(Some(error));
        let answer = request(to, "POST /v1/traces", &[JSON], good.as_bytes()).await;
        assert_eq!((answer.status, answer.json()["code"].as_i64()), (status, Some(14)));
        assert!(answer.headers["retry-after"].parse::<u64>().is_ok_and(|seconds| seconds > 0));
    }
    recorder.fail(None);
    assert_eq!(request(to, "GET /v1/traces", &[], b"").await.status, 405);
    assert_eq!(
        request(to, "POST /v1/traces", &[("content-type", "text/plain")], b"x").await.status,
        415
    );
    assert_eq!(request(to, "POST /v1/traces", &[], b"x").await.status, 415);
    assert_eq!(
        request(to, "POST /v1/traces", &[PROTO, ("content-encoding", "br")], b"x").await.status,
        415
    );
    assert_eq!(request(to, "POST /v1/other", &[PROTO], b"").await.status, 404);
    let bomb = zstd::encode_all(&vec![0u8; 65 << 20][..], 1).expect("memory");
    let answer = request(to, "POST /v1/logs", &[PROTO, ("content-encoding", "zstd")], &bomb).await;
    assert_eq!(answer.status, 413);
    assert!(!answer.headers.contains_key("retry-after"));
}
