//! One log, one span, one metric in; SQL out: every listener of `tidemill up` in one test.

use std::net::TcpStream;
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::json;

use crate::harness::Engine;
use crate::http;

#[test]
fn what_is_sent_to_every_http_intake_is_seen_in_sql() {
    let engine = Engine::started();
    engine.send_logs(&[
        json!({ "message": "hello", "service": "smoke", "ddtags": "env:it,version:7" }),
    ]);
    engine.wait_for(
        "SELECT message, service, env, version, status FROM logs",
        &json!([["hello", "smoke", "it", "7", "info"]]),
    );

    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_nanos();
    let resource =
        json!({ "attributes": [{ "key": "service.name", "value": { "stringValue": "otel" } }] });
    let span = json!({
        "traceId": "5b8efff798038103d269b633813fc60c", "spanId": "eee19b7ec3c1b174", "name": "work", "kind": 1,
        "startTimeUnixNano": now.to_string(), "endTimeUnixNano": (now + 1_000).to_string(),
    });
    let traces =
        json!({ "resourceSpans": [{ "resource": resource, "scopeSpans": [{ "spans": [span] }] }] });
    let point = json!({ "timeUnixNano": now.to_string(), "asDouble": 2.5 });
    let metric = json!({ "name": "depth", "gauge": { "dataPoints": [point] } });
    let metrics = json!({ "resourceMetrics": [{ "resource": resource, "scopeMetrics": [{ "metrics": [metric] }] }] });
    for (path, body) in [("/v1/traces", traces), ("/v1/metrics", metrics)] {
        let body = body.to_string();
        let sent = http::request(
            "POST",
            engine.ports.otlp_http,
            path,
            "application/json",
            body.as_bytes(),
        );
        let answer = sent.expect("the intake answers");
        assert_eq!(answer.status, 200, "{path}: {}", answer.text());
    }
    engine.wait_for(
        "SELECT trace_id, span_id, duration_ns FROM spans WHERE service = 'otel'",
        &json!([["5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174", 1_000]]),
    );
    engine.wait_for(
        "SELECT name, last FROM metrics WHERE service = 'otel'",
        &json!([["depth", 2.5]]),
    );

    for address in [engine.ports.otlp_grpc, engine.ports.postgres, engine.ports.kafka] {
        TcpStream::connect(address).expect("every listener listens");
    }
    assert!(engine.data().join("tables/logs/_delta_log").is_dir());
    cli_answers_the_same(&engine);
}

/// `tidemill sql` in each of its formats, against the running service.
fn cli_answers_the_same(engine: &Engine) {
    let sql = "SELECT message, service FROM logs";
    let told = |format: &str| {
        let output = engine.sql_command(&["--format", format, sql]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    assert_eq!(told("csv").trim().replace("\r\n", "\n"), "message,service\nhello,smoke");
    let table = told("table");
    assert!(table.contains("message") && table.contains("hello"), "{table}");
    let json: serde_json::Value = serde_json::from_str(&told("json")).expect("JSON");
    assert_eq!(json["rows"], json!([["hello", "smoke"]]));
    let refused = engine.sql_command(&["DROP TABLE logs"]);
    assert!(!refused.status.success() && !refused.stderr.is_empty());
}

#[test]
fn errors_say_what_is_wrong_and_how_to_go_on() {
    let engine = Engine::started();
    let answer = engine.ask("SELECT servce FROM logs");
    assert_eq!(answer.status, 400);
    let error = answer.json()["error"].clone();
    assert!(error["code"].is_string() && error["message"].is_string(), "{error}");
    assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("service")), "{error}");
    assert_eq!(
        engine.rows("SELECT count(*) FROM logs"),
        [json!([0])],
        "a table without rows is empty, not missing"
    );
}
