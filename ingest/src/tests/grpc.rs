//! Port 4317, with tonic's client.

use std::sync::Arc;

use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use tonic::codec::CompressionEncoding;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Code, Request, Status};

use super::{intake, request};
use crate::protobuf::{Fields, Value};
use crate::sink::SendError;

fn spans(ids: &[u8]) -> ExportTraceServiceRequest {
    let span = |id: &u8| Span { trace_id: vec![*id; 16], span_id: vec![1; 8], ..Span::default() };
    let scope_spans =
        vec![ScopeSpans { spans: ids.iter().map(span).collect(), ..ScopeSpans::default() }];
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans { scope_spans, ..ResourceSpans::default() }],
    }
}

async fn export(
    channel: &Channel,
    coding: Option<CompressionEncoding>,
    request: ExportTraceServiceRequest,
) -> Result<ExportTraceServiceResponse, Status> {
    let mut grpc = tonic::client::Grpc::new(channel.clone());
    if let Some(coding) = coding {
        grpc = grpc.send_compressed(coding);
    }
    grpc.ready().await.expect("connected");
    let path = "/opentelemetry.proto.collector.trace.v1.TraceService/Export";
    let codec: tonic_prost::ProstCodec<ExportTraceServiceRequest, ExportTraceServiceResponse> =
        tonic_prost::ProstCodec::default();
    let path = PathAndQuery::from_static(path);
    grpc.unary(Request::new(request), path, codec).await.map(tonic::Response::into_inner)
}

async fn channel(to: std::net::SocketAddr) -> Channel {
    let endpoint = Endpoint::from_shared(format!("http://{to}")).expect("address");
    endpoint.connect().await.expect("listening")
}

#[tokio::test]
async fn spans_are_taken_plain_and_compressed() {
    let (running, recorder) = intake().await;
    let channel = channel(running.addresses().otlp_grpc).await;
    for coding in [None, Some(CompressionEncoding::Gzip), Some(CompressionEncoding::Zstd)] {
        let response = export(&channel, coding, spans(&[1, 2, 1])).await.expect("taken");
        assert_eq!(response.partial_success, None);
        assert_eq!(recorder.take().len(), 2, "{coding:?}");
    }
    assert_eq!(export(&channel, None, spans(&[])).await.expect("empty").partial_success, None);
    let partial = export(&channel, None, spans(&[1, 0])).await.expect("partly").partial_success;
    assert_eq!(partial.map(|partial| partial.rejected_spans), Some(1));
}

#[tokio::test]
async fn refusals_say_whether_to_come_back() {
    let (running, recorder) = intake().await;
    let channel = channel(running.addresses().otlp_grpc).await;
    for error in [SendError::Busy, SendError::Unavailable("down".to_owned())] {
        recorder.fail(Some(error));
        let status = export(&channel, None, spans(&[1])).await.expect_err("refused");
        assert_eq!(status.code(), Code::Unavailable);
        assert!(contains(status.details(), b"google.rpc.RetryInfo"));
        let first = Fields::of(status.details()).next().expect("a field").expect("a status");
        assert_eq!(first.value, Value::Varint(14));
    }
    recorder.fail(Some(SendError::TooLarge { bytes: 2, limit: 1 }));
    let status = export(&channel, None, spans(&[1])).await.expect_err("refused");
    assert_eq!(status.code(), Code::ResourceExhausted);
    assert!(!contains(status.details(), b"RetryInfo"));
    recorder.fail(None);
    let mut bad = spans(&[1]);
    bad.resource_spans[0].scope_spans[0].spans[0].name = "x".repeat(65 << 20);
    let status = export(&channel, None, bad).await.expect_err("too large");
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(!contains(status.details(), b"RetryInfo"));
    assert!(export(&channel, None, spans(&[1])).await.is_ok(), "the connection lives on");
}

#[tokio::test]
async fn many_calls_share_a_connection() {
    let (running, recorder) = intake().await;
    let channel = Arc::new(channel(running.addresses().otlp_grpc).await);
    let calls = (0..200u8).map(|id| {
        let channel = Arc::clone(&channel);
        async move { export(&channel, None, spans(&[id.max(1)])).await }
    });
    for result in futures::future::join_all(calls).await {
        result.expect("taken");
    }
    assert_eq!(recorder.take().len(), 200);
}

#[tokio::test]
async fn http_on_the_grpc_port_is_told_where_to_go() {
    let (running, _recorder) = intake().await;
    let answer = request(
        running.addresses().otlp_grpc,
        "POST /v1/traces",
        &[("content-type", "application/x-protobuf")],
        b"",
    )
    .await;
    assert_eq!(answer.status, 415);
    assert!(answer.text().contains("intake.otlp_http"));
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
