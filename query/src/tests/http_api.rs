//! `POST /api/v1/sql` and `GET /api/v1/tables` over a real socket.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::testing::{TestStore, shop};
use crate::{Config, Running, start};

pub(super) fn config(store: &Arc<TestStore>) -> Config {
    Config {
        http: ([127, 0, 0, 1], 0).into(),
        postgres: ([127, 0, 0, 1], 0).into(),
        store: store.clone(),
        store_name: "memory".to_owned(),
        memory_bytes: 256 << 20,
        timeout: Duration::from_secs(20),
        max_rows: 1_000,
        routes: None,
    }
}

async fn exchange(running: &Running, head: &str, body: &[u8]) -> (u16, String, Vec<u8>) {
    let mut socket = TcpStream::connect(running.addresses().http).await.unwrap();
    let head = format!("{head}\r\ncontent-length: {}\r\nconnection: close\r\n\r\n", body.len());
    socket.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses by its head alone may close before the body is through.
    let _ = socket.write_all(body).await;
    let mut answer = Vec::new();
    let _ = socket.read_to_end(&mut answer).await;
    let split =
        answer.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP answer") + 4;
    let head = String::from_utf8(answer[..split].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head, answer.split_off(split))
}

async fn post(running: &Running, body: &Value) -> (u16, Value) {
    let head = "POST /api/v1/sql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json";
    let (status, _, body) = exchange(running, head, body.to_string().as_bytes()).await;
    (status, serde_json::from_slice(&body).unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_come_with_their_types_and_what_they_cover() {
    let running = start(config(&shop().await)).await.unwrap();
    let sql = "SELECT timestamp, service, attributes, tags, 9007199254740993 AS big, 'nan'::double AS nan, NULL AS none, \
               trace_id IS NOT NULL AS traced FROM logs ORDER BY timestamp LIMIT 1";
    let (status, answer) = post(&running, &json!({"sql": sql})).await;
    assert_eq!(status, 200, "{answer}");
    let types: Vec<&str> =
        answer["columns"].as_array().unwrap().iter().map(|c| c["type"].as_str().unwrap()).collect();
    assert_eq!(
        types,
        [
            "timestamp",
            "text",
            "map<text, text>",
            "list<text>",
            "bigint",
            "double",
            "null",
            "boolean"
        ]
    );
    assert_eq!(
        answer["rows"],
        json!([[
            "2026-03-01T08:00:00.000000Z", "cart", {"http.method": "GET", "duration_ms": "1"}, ["team:shop", "n:0"],
            9_007_199_254_740_993_i64, null, null, true
        ]])
    );
    let meta = &answer["meta"];
    assert_eq!(meta["tables"]["logs"]["published_seq"], 10);
    assert_eq!(meta["tables"]["logs"]["newest_event_time"], "2026-03-01T10:50:00.000000Z");
    assert_eq!((&meta["rows"], &meta["truncated"]), (&json!(1), &json!(false)));
    let (_, cut) = post(&running, &json!({"sql": "SELECT 1 FROM logs", "max_rows": 2})).await;
    assert_eq!((&cut["meta"]["rows"], &cut["meta"]["truncated"]), (&json!(2), &json!(true)));
    running.drain(Duration::from_secs(5)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn csv_and_arrow_are_streamed() {
    let running = start(config(&shop().await)).await.unwrap();
    let body = json!({"sql": "SELECT message, tags FROM logs WHERE status = 'error' ORDER BY timestamp LIMIT 1"}).to_string();
    let head = "POST /api/v1/sql HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json; charset=utf-8\r\naccept: text/csv";
    let (status, head, bytes) = exchange(&running, head, body.as_bytes()).await;
    assert_eq!(status, 200);
    assert!(head.contains("content-type: text/csv"), "{head}");
    assert_eq!(
        String::from_utf8(bytes).unwrap(),
        "message,tags\r\nConnection timeout: host=db01,\"[\"\"team:shop\"\",\"\"n:5\"\"]\"\r\n"
    );
    for sql in
        ["SELECT timestamp, message, attributes FROM logs", "SELECT message FROM logs WHERE false"]
    {
        let body = json!({"sql": sql, "format": "arrow"}).to_string();
        let head = "POST /api/v1/sql HTTP/1.0\r\nhost: localhost\r\ncontent-type: application/json";
        let (status, _, bytes) = exchange(&running, head, body.as_bytes()).await;
        assert_eq!(status, 200);
        let reader =
            datafusion::arrow::ipc::reader::StreamReader::try_new(bytes.as_slice(), None).unwrap();
        assert!(
            reader
                .schema()
                .fields()
                .iter()
                .all(|field| !field.data_type().to_string().contains("View"))
        );
        let rows: usize = reader.map(|batch| batch.unwrap().num_rows()).sum();
        assert_eq!(rows, if sql.ends_with("false") { 0 } else { 18 });
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_say_what_is_wrong_and_what_to_do() {
    let running = start(config(&shop().await)).await.unwrap();
    for (body, status, code, hint) in [
        (json!({"sql": "SELECT servce FROM logs"}), 400, "invalid_sql", "did you mean service?"),
        (json!({"sql": "SELECT * FROM log"}), 400, "invalid_sql", "did you mean logs?"),
        (json!({"sql": "DROP TABLE logs"}), 403, "not_allowed", "SELECT"),
        (json!({"sql": "SELECT 'x'::bigint FROM logs"}), 422, "execution_failed", ""),
        (json!({"sql": "x".repeat(300_000)}), 413, "too_large", ""),
        (json!({"sql": "x".repeat(600_000)}), 413, "too_large", ""),
        (json!({"query": "SELECT 1"}), 400, "bad_request", "sql"),
        (json!({"sql": "SELECT 1", "format": "xml"}), 400, "bad_request", ""),
        (
            json!({"sql": "SELECT sum(a.value * b.value % 7) FROM generate_series(1, 1000000) a, generate_series(1, 100000) b", "timeout_ms": 200}),
            504,
            "timeout",
            "time range",
        ),
    ] {
        let (got, answer) = post(&running, &body).await;
        let error = &answer["error"];
        assert_eq!((got, error["code"].as_str()), (status, Some(code)), "{answer}");
        assert!(!error["message"].as_str().unwrap().is_empty());
        assert!(error["hint"].as_str().unwrap_or_default().contains(hint), "{answer}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_forms_can_not_query() {
    let running = start(config(&shop().await)).await.unwrap();
    let body = json!({"sql": "SELECT 1"}).to_string();
    for (head, expected) in [
        ("POST /api/v1/sql HTTP/1.1\r\nhost: evil.example\r\ncontent-type: application/json", 403),
        (
            "POST /api/v1/sql HTTP/1.1\r\nhost: localhost\r\norigin: https://evil.example\r\ncontent-type: application/json",
            403,
        ),
        ("POST /api/v1/sql HTTP/1.1\r\nhost: localhost\r\ncontent-type: text/plain", 400),
        (
            "POST /api/v1/sql HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-www-form-urlencoded",
            400,
        ),
        ("GET /api/v1/sql HTTP/1.1\r\nhost: localhost", 405),
        ("GET /elsewhere HTTP/1.1\r\nhost: localhost", 404),
        ("POST /api/v1/sql HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json", 200),
    ] {
        let (status, _, bytes) = exchange(&running, head, body.as_bytes()).await;
        assert_eq!(status, expected, "{head}: {}", String::from_utf8_lossy(&bytes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_are_listed_with_their_columns() {
    let running = start(config(&shop().await)).await.unwrap();
    let (status, _, bytes) =
        exchange(&running, "GET /api/v1/tables HTTP/1.1\r\nhost: localhost", b"").await;
    assert_eq!(status, 200);
    let answer: Value = serde_json::from_slice(&bytes).unwrap();
    let names: Vec<&str> =
        answer["tables"].as_array().unwrap().iter().map(|t| t["name"].as_str().unwrap()).collect();
    assert_eq!(names, schemas::table::Table::ALL.map(|table| table.name()));
    assert_eq!(
        answer["tables"][0]["columns"][0],
        json!({"name": "timestamp", "type": "timestamp"})
    );
    assert_eq!(answer["tables"][3]["meta"]["version"], Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_taken_port_names_its_setting() {
    let store = TestStore::new();
    let first = start(config(&store)).await.unwrap();
    let mut second = config(&store);
    second.postgres = first.addresses().postgres;
    let error = start(second).await.unwrap_err().to_string();
    assert!(error.contains("query.postgres") && error.contains("127.0.0.1"), "{error}");
    let mut third = config(&store);
    third.http = first.addresses().http;
    assert!(start(third).await.unwrap_err().to_string().contains("query.http"));
}
