//! What the engine itself decides: locks, health, refusals. The roles have tests of their own.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};

use super::{Engine, Roles, StartError};
use crate::admin::{Admin, Phase};
use crate::config::{self, Brokers, Config, Overrides};
use crate::http::Client;

fn config(dir: &std::path::Path) -> Config {
    let overrides = Overrides { data_dir: Some(dir.to_owned()), kafka: None };
    let mut config = config::load(None, &overrides).expect("defaults");
    config.health = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    config
}

#[tokio::test]
async fn health_says_503_until_ready_and_again_while_draining() {
    let admin = Admin::start((Ipv4Addr::LOCALHOST, 0).into(), "up").await.expect("free port");
    let mut client = Client::new(admin.address().to_string());
    for (phase, status, name) in [
        (Phase::Starting, 503, "starting"),
        (Phase::Ready, 200, "ready"),
        (Phase::Draining, 503, "draining"),
    ] {
        admin.phase(phase);
        let answer = client.get("/").await.expect("answer");
        assert_eq!(answer.status, status);
        let body: serde_json::Value = serde_json::from_slice(&answer.body).expect("json");
        assert_eq!(body["status"], name);
    }
    assert_eq!(client.get("/nothing").await.expect("answer").status, 404);
    let metrics = client.get("/metrics").await.expect("answer");
    assert!(String::from_utf8_lossy(&metrics.body).contains("tidemill_ready{"));
}

#[cfg(feature = "embedded-broker")]
#[test]
fn consumers_of_the_embedded_broker_get_its_properties_before_the_users() {
    let dir = tempfile::tempdir().expect("temp");
    let mut config = config(dir.path());
    config.kafka.properties = vec![("fetch.wait.max.ms".to_owned(), "7".to_owned())];
    let properties = super::consumer_properties(&config);
    let value = |name: &str| {
        let last = properties.iter().rev().find(|(key, _)| key == name);
        last.map(|(_, value)| value.as_str())
    };
    assert_eq!(value("fetch.max.bytes"), Some("2097152"));
    assert_eq!(value("fetch.wait.max.ms"), Some("7"));
    config.kafka.brokers = Brokers::Cluster("127.0.0.1:9".to_owned());
    assert_eq!(super::consumer_properties(&config), config.kafka.properties);
}

#[tokio::test]
async fn a_health_port_in_use_names_its_setting() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("free port");
    let dir = tempfile::tempdir().expect("temp");
    let mut config = config(dir.path());
    config.health = taken.local_addr().expect("address");
    let error = Engine::start(&config, Roles::Query).await.expect_err("taken").to_string();
    assert!(error.contains("health.listen") && error.contains("in use"), "{error}");
}

#[tokio::test]
async fn a_role_alone_needs_a_cluster() {
    let dir = tempfile::tempdir().expect("temp");
    let config = config(dir.path());
    for role in [Roles::Ingest, Roles::Worker] {
        let error = Engine::start(&config, role).await.expect_err("no cluster");
        assert!(matches!(error, StartError::NoCluster(_)), "{error}");
        assert!(error.to_string().contains("--kafka"));
    }
}

#[tokio::test]
async fn two_engines_never_share_a_data_directory() {
    let dir = tempfile::tempdir().expect("temp");
    let mut config = config(dir.path());
    // Nobody listens there: the second engine must be refused before it looks for Kafka.
    config.kafka.brokers = Brokers::Cluster("127.0.0.1:9".to_owned());
    let _held = super::DataDirLock::acquire(dir.path(), config.query.http).expect("free");
    let error = Engine::start(&config, Roles::All).await.expect_err("held").to_string();
    assert!(error.contains("in use by process"), "{error}");
}
