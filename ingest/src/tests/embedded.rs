//! The intake as it is really composed: its own producer, and the embedded broker behind it.

use std::time::Duration;

use schemas::topic::{LOGS, METRICS, SPANS};
use serde_json::json;

use super::{ANY, Config, config, counted, request};
use crate::testing::v04;
use crate::{broker, kafka, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_200_means_that_kafka_has_it() {
    let dir = tempfile::tempdir().expect("directory");
    let free =
        std::net::TcpListener::bind(ANY).and_then(|socket| socket.local_addr()).expect("port");
    let broker = broker::start(broker::Config { listen: free, dir: dir.path().to_owned() })
        .await
        .expect("broker");
    let kafka = kafka::Config {
        brokers: broker.bootstrap(),
        logs_topic: LOGS.to_owned(),
        spans_topic: SPANS.to_owned(),
        metrics_topic: METRICS.to_owned(),
        ..config().kafka
    };
    let topics = [LOGS, SPANS, METRICS].map(str::to_owned);
    kafka::ensure_topics(&kafka, &topics, 2).await.expect("topics");
    let running = start(Config { kafka, ..config() }).await.expect("intake");
    let traces = v04(&json!([[{"trace_id": 1}], [{"trace_id": 2}]]));
    let msgpack = [("content-type", "application/msgpack")];
    let answer = request(running.addresses().datadog, "PUT /v0.4/traces", &msgpack, &traces).await;
    assert_eq!(answer.status, 200, "{}", answer.text());
    assert_eq!(counted(&running, "datadog_traces", "messages"), 2);
    running.drain(Duration::from_secs(20)).await.expect("nothing left in flight");
    broker.stop().await;
}
