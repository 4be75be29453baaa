//! Port 8126.

use std::io::Write;

use schemas::id::TraceId;
use schemas::limits::MAX_TRACE_BODY_BYTES;
use schemas::topic::{Format, Signal};
use serde_json::json;

use super::{Answer, counted, intake, request};
use crate::sink::SendError;
use crate::testing::{v04, v05};

const MSGPACK: (&str, &str) = ("content-type", "application/msgpack");
const JSON: (&str, &str) = ("content-type", "application/json");

#[tokio::test]
async fn traces_are_answered_with_rates_and_stand_in_kafka_by_trace() {
    let (running, recorder) = intake().await;
    let to = running.addresses().datadog;
    let traces =
        json!([[{"trace_id": 1, "meta": {"_dd.p.tid": "00000000000000aa"}}], [{"trace_id": 2}]]);
    let headers = [
        MSGPACK,
        ("datadog-meta-lang", "python"),
        ("datadog-container-id", "c1"),
        ("x-datadog-trace-count", "2"),
    ];
    for (head, body, format) in [
        ("PUT /v0.4/traces", v04(&traces), Format::DatadogV04),
        ("POST /v0.4/traces", v04(&traces), Format::DatadogV04),
        ("POST /v0.5/traces", v05(&traces), Format::DatadogV05),
    ] {
        let answer = request(to, head, &headers, &body).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        assert_eq!(answer.json(), json!({"rate_by_service": {"service:,env:": 1}}));
        assert_eq!(answer.headers["content-type"], "application/json");
        let messages = recorder.take();
        let keys: Vec<_> = messages.iter().map(|message| message.key).collect();
        assert_eq!(keys, [TraceId::from_halves(0xaa, 1), TraceId::from_halves(0, 2)], "{head}");
        for message in &messages {
            assert_eq!((message.topic, message.format), (Signal::Spans, Some(format)));
            assert_eq!(
                message.headers,
                [
                    ("datadog-meta-lang", "python".to_owned()),
                    ("datadog-container-id", "c1".to_owned())
                ]
            );
        }
    }
    let answer = request(to, "PUT /v0.3/traces", &headers, &v04(&traces)).await;
    assert_eq!((answer.status, answer.text().as_str()), (200, "OK\n"));
    assert_eq!(counted(&running, "datadog_traces", "accepted"), 4);
    assert_eq!(counted(&running, "datadog_traces", "records"), 8);
}

#[tokio::test]
async fn json_traces_become_msgpack() {
    let (running, recorder) = intake().await;
    let traces = json!([[{"trace_id": 18_446_744_073_709_551_615u64, "name": "n"}]]);
    let answer = request(
        running.addresses().datadog,
        "POST /v0.4/traces",
        &[JSON],
        traces.to_string().as_bytes(),
    )
    .await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    let messages = recorder.take();
    let read: serde_json::Value = rmp_serde::from_slice(&messages[0].payload).expect("msgpack");
    assert_eq!(read, traces);
    let answer = request(running.addresses().datadog, "POST /v0.5/traces", &[JSON], b"[]").await;
    assert_eq!(answer.status, 415);
}

#[tokio::test]
async fn rates_a_client_holds_are_not_repeated() {
    let (running, _recorder) = intake().await;
    let to = running.addresses().datadog;
    let body = v04(&json!([]));
    let first = request(
        to,
        "POST /v0.4/traces",
        &[MSGPACK, ("datadog-rates-payload-version", "old")],
        &body,
    )
    .await;
    let version = first.headers["datadog-rates-payload-version"].as_str();
    assert!(first.text().contains("rate_by_service"));
    let second = request(
        to,
        "POST /v0.4/traces",
        &[MSGPACK, ("datadog-rates-payload-version", version)],
        &body,
    )
    .await;
    assert_eq!((second.status, second.text().as_str()), (200, "{}"));
}

#[tokio::test]
async fn refusals_have_the_agents_status_codes() {
    let (running, recorder) = intake().await;
    let to = running.addresses().datadog;
    let status = |answer: Answer| answer.status;
    let good = v04(&json!([[{"trace_id": 1}]]));
    assert_eq!(status(request(to, "POST /v0.4/traces", &[MSGPACK], b"\x93").await), 400);
    let gzip = [MSGPACK, ("content-encoding", "gzip")];
    assert_eq!(status(request(to, "POST /v0.4/traces", &gzip, b"nope").await), 400);
    let brotli = [MSGPACK, ("content-encoding", "br")];
    assert_eq!(status(request(to, "POST /v0.4/traces", &brotli, b"nope").await), 415);
    assert_eq!(status(request(to, "GET /v0.4/traces", &[], b"").await), 405);
    let large = vec![0u8; MAX_TRACE_BODY_BYTES + 1];
    assert_eq!(status(request(to, "POST /v0.4/traces", &[MSGPACK], &large).await), 413);
    let browser = [MSGPACK, ("sec-fetch-site", "cross-site")];
    assert_eq!(status(request(to, "POST /v0.4/traces", &browser, &good).await), 403);
    for (error, code) in [
        (SendError::Busy, 429),
        (SendError::Unavailable("down".to_owned()), 503),
        (SendError::TooLarge { bytes: 2, limit: 1 }, 413),
    ] {
        recorder.fail(Some(error));
        assert_eq!(status(request(to, "POST /v0.4/traces", &[MSGPACK], &good).await), code);
    }
    recorder.fail(None);
    assert_eq!(status(request(to, "POST /v0.4/traces", &[MSGPACK], &good).await), 200);
    assert_eq!(counted(&running, "datadog_traces", "refused_malformed"), 2);
    assert_eq!(counted(&running, "datadog_traces", "refused_busy"), 1);
    assert_eq!(counted(&running, "datadog_traces", "accepted"), 1);
}

#[tokio::test]
async fn info_names_what_is_kept_and_its_digest_is_on_every_answer() {
    use sha2::Digest;
    let (running, _recorder) = intake().await;
    let to = running.addresses().datadog;
    let info = request(to, "GET /info", &[], b"").await;
    let document = info.json();
    assert_eq!(document["client_drop_p0s"], false);
    assert_eq!(document["span_events"], true);
    assert_eq!(document["span_meta_structs"], true);
    let endpoints: Vec<String> =
        serde_json::from_value(document["endpoints"].clone()).expect("list");
    for path in ["/v0.5/traces", "/debugger/v1/diagnostics", "/debugger/v2/input"] {
        assert!(endpoints.iter().any(|known| known == path), "{path}");
    }
    assert!(!endpoints.iter().any(|path| path.starts_with("/evp_proxy") || path == "/v0.6/stats"));
    let digest: String =
        sha2::Sha256::digest(&info.body).iter().map(|byte| format!("{byte:02x}")).collect();
    let traces = request(to, "POST /v0.4/traces", &[MSGPACK], &v04(&json!([]))).await;
    assert_eq!(traces.headers["datadog-agent-state"], digest);
    for path in [
        "POST /telemetry/proxy/api/v2/apmtelemetry",
        "POST /v0.6/stats",
        "POST /v0.7/config",
        "POST /debugger/v1/diagnostics",
        "POST /debugger/v2/input",
    ] {
        let answer = request(to, path, &[JSON], b"{}").await;
        assert!(answer.status < 300, "{path}: {}", answer.status);
    }
    assert_eq!(request(to, "POST /v0.7/traces", &[MSGPACK], b"\x80").await.status, 404);
    assert_eq!(counted(&running, "datadog_other", "discarded"), 5);
}

#[tokio::test]
async fn logs_are_taken_in_every_documented_form() {
    let (running, recorder) = intake().await;
    let to = running.addresses().datadog;
    let query = "?ddsource=nginx&ddtags=env%3Aprod%2Cteam%3Aa&hostname=h1&service=web";
    let array = br#"[{"message":"a"},{"message":"b","ddtags":"x:y"}]"#;
    let answer = request(to, &format!("POST /api/v2/logs{query}"), &[JSON], array).await;
    assert_eq!((answer.status, answer.text().as_str()), (202, "{}"));
    let messages = recorder.take();
    assert_eq!((messages[0].topic, messages[0].format), (Signal::Logs, Some(Format::DatadogLogs)));
    assert_eq!(messages[0].payload, &array[..]);
    let headers = [
        ("ddsource", "nginx"),
        ("ddtags", "env:prod,team:a"),
        ("hostname", "h1"),
        ("service", "web"),
    ];
    assert_eq!(messages[0].headers, headers.map(|(name, value)| (name, value.to_owned())));

    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(br#"{"message":"one"}"#).expect("memory");
    let packed = packed.finish().expect("memory");
    let gzip = [JSON, ("content-encoding", "gzip")];
    assert_eq!(
        request(to, "POST /v1/input/0123456789abcdef0123456789abcdef", &gzip, &packed).await.status,
        200
    );
    assert_eq!(recorder.take()[0].payload, &br#"{"message":"one"}"#[..]);

    let text = [("content-type", "text/plain")];
    assert_eq!(
        request(to, "POST /api/v2/logs?service=s", &text, b"line 1\nline 2\n").await.status,
        202
    );
    assert_eq!(recorder.take()[0].payload, &br#"[{"message":"line 1"},{"message":"line 2"}]"#[..]);

    for probe in [&b""[..], b"{}"] {
        assert_eq!(request(to, "POST /api/v2/logs", &[JSON], probe).await.status, 202);
    }
    assert!(recorder.take().is_empty());
    assert_eq!(counted(&running, "datadog_logs", "records"), 5);
}

#[tokio::test]
async fn refused_logs_say_why_in_json() {
    let (running, recorder) = intake().await;
    let to = running.addresses().datadog;
    let v2 = request(to, "POST /api/v2/logs", &[JSON], b"[{").await;
    assert_eq!(v2.status, 400);
    assert!(
        v2.json()["errors"][0]["detail"].as_str().is_some_and(|text| text.contains("invalid JSON"))
    );
    let v1 = request(to, "POST /v1/input", &[JSON], b"[{").await;
    assert_eq!((v1.status, v1.json()["code"].as_u64()), (400, Some(400)));
    recorder.fail(Some(SendError::Busy));
    assert_eq!(request(to, "POST /api/v2/logs", &[JSON], br#"{"message":"m"}"#).await.status, 429);
}
