//! The whole intake through real sockets, with a recorder in Kafka's place.

mod datadog;
mod grpc;
mod otlp_http;

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::testing::Recorder;
use crate::{Config, Running, StartError, kafka, start_with};

const ANY: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 0);

fn config() -> Config {
    let kafka = kafka::Config {
        brokers: String::new(),
        properties: Vec::new(),
        logs_topic: "logs".to_owned(),
        spans_topic: "spans".to_owned(),
        metrics_topic: "metrics".to_owned(),
    };
    Config { datadog: ANY, otlp_grpc: ANY, otlp_http: ANY, kafka }
}

async fn intake() -> (Running, Recorder) {
    let recorder = Recorder::default();
    let running = start_with(&config(), Arc::new(recorder.clone())).await.expect("free ports");
    (running, recorder)
}

/// One answer.
#[derive(Debug)]
struct Answer {
    status: u16,
    headers: HashMap<String, String>,
    body: Vec<u8>,
}

impl Answer {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).expect("JSON")
    }
}

/// One HTTP/1.1 request on a connection of its own.
async fn request(to: SocketAddr, head: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
    let mut stream = TcpStream::connect(to).await.expect("listening");
    let mut text = format!("{head} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n");
    for (name, value) in headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str(&format!("content-length: {}\r\n\r\n", body.len()));
    stream.write_all(text.as_bytes()).await.expect("open");
    // The server may answer, and close, before it has read a body it refuses.
    let _ = stream.write_all(body).await;
    read_answer(&mut stream).await
}

async fn read_answer(stream: &mut TcpStream) -> Answer {
    let mut bytes = Vec::new();
    let read = async {
        let mut piece = [0u8; 4096];
        while let Ok(count) = stream.read(&mut piece).await {
            if count == 0 {
                break;
            }
            bytes.extend_from_slice(&piece[..count]);
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("an answer in time");
    let end = bytes.windows(4).position(|window| window == b"\r\n\r\n").expect("an answer");
    let head = String::from_utf8(bytes[..end].to_vec()).expect("text");
    let mut lines = head.lines();
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).expect("status line");
    let headers = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
        .collect();
    Answer { status: status.parse().expect("number"), headers, body: bytes[end + 4..].to_vec() }
}

fn counted(running: &Running, endpoint: &str, outcome: &str) -> u64 {
    let counters = running.counters();
    let counter = counters.iter().find(|one| one.endpoint == endpoint && one.outcome == outcome);
    counter.expect("a known counter").count
}

#[tokio::test]
async fn a_port_in_use_names_its_setting() {
    let taken = TcpListener::bind(ANY).await.expect("free port");
    let address = taken.local_addr().expect("bound");
    for (setting, config) in [
        ("intake.datadog", Config { datadog: address, ..config() }),
        ("intake.otlp_grpc", Config { otlp_grpc: address, ..config() }),
        ("intake.otlp_http", Config { otlp_http: address, ..config() }),
    ] {
        let error = start_with(&config, Arc::new(Recorder::default())).await.expect_err("in use");
        assert!(matches!(&error, StartError::Bind { setting: named, .. } if *named == setting));
        assert!(error.to_string().contains(setting), "{error}");
    }
}

#[tokio::test]
async fn drain_answers_what_is_in_flight_and_closes_the_ports() {
    let (running, recorder) = intake().await;
    let to = running.addresses().datadog;
    // A request whose body is still on its way when the drain begins.
    let mut stream = TcpStream::connect(to).await.expect("listening");
    stream
        .write_all(b"POST /v1/input HTTP/1.1\r\nhost: x\r\ncontent-type: text/plain\r\ncontent-length: 5\r\n\r\nab")
        .await
        .expect("open");
    // Answered requests prove that the connection before them was accepted.
    assert_eq!(request(to, "GET /info", &[], b"").await.status, 200);
    let draining = tokio::spawn(running.drain(Duration::from_secs(20)));
    while TcpStream::connect(to).await.is_ok() {
        tokio::task::yield_now().await;
    }
    stream.write_all(b"cde").await.expect("still open");
    assert_eq!(read_answer(&mut stream).await.status, 200);
    draining.await.expect("no panic").expect("drained in time");
    assert_eq!(recorder.take().len(), 1);
}

#[tokio::test]
async fn drain_gives_up_at_its_deadline() {
    let (running, _recorder) = intake().await;
    let to = running.addresses().datadog;
    let mut stream = TcpStream::connect(to).await.expect("listening");
    stream
        .write_all(b"POST /v1/input HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\n")
        .await
        .expect("open");
    assert_eq!(request(to, "GET /info", &[], b"").await.status, 200);
    running.drain(Duration::from_millis(50)).await.expect_err("a request in flight");
}
