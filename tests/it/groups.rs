//! Two `tidemill worker` on one store in different consumer groups: the second one is refused, and a person's decision
//! turns it round.

use std::fs;
use std::process::{Child, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;

use crate::harness::{Ports, tidemill};
use crate::http;

/// Longest wait until a process is where it should be.
const DEADLINE: Duration = Duration::from_secs(90);

/// A store, and a cluster that librdkafka plays.
struct Site {
    dir: tempfile::TempDir,
    mock: MockCluster<'static, DefaultProducerContext>,
}

/// A worker; killed when dropped.
struct Worker {
    child: Child,
    ports: Ports,
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Site {
    fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        for topic in [schemas::topic::LOGS, schemas::topic::SPANS, schemas::topic::METRICS] {
            mock.create_topic(topic, 2, 1).unwrap();
        }
        Self { dir: tempfile::tempdir().unwrap(), mock }
    }

    fn worker(&self, group: &str) -> Worker {
        let ports = Ports::free();
        let config = self.dir.path().join(format!("{group}.yaml"));
        let text = format!(
            "health:\n  listen: \"{}\"\nworker:\n  group: {group}\n  epoch: 500ms\n",
            ports.health
        );
        fs::write(&config, text).unwrap();
        let log = fs::File::create(self.dir.path().join(format!("{group}.log"))).unwrap();
        let child = tidemill()
            .args(["worker", "--kafka", &self.mock.bootstrap_servers(), "--config"])
            .arg(config)
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Worker { child, ports }
    }

    fn said(&self, group: &str) -> String {
        fs::read_to_string(self.dir.path().join(format!("{group}.log"))).unwrap_or_default()
    }

    /// Waits until the worker holds all partitions.
    fn holds_all(&self, worker: &mut Worker, group: &str) {
        let held = |worker: &Worker| {
            let asked = http::request("GET", worker.ports.health, "/", "text/plain", b"").ok()?;
            asked.json()["worker"]["partitions"].as_array().map(Vec::len)
        };
        let end = Instant::now() + DEADLINE;
        while held(worker) != Some(6) {
            let ended = worker.child.try_wait().unwrap();
            assert!(ended.is_none(), "{group} ended with {ended:?}: {}", self.said(group));
            assert!(Instant::now() < end, "{group}: {:?} {}", held(worker), self.said(group));
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// Waits until the worker has ended, with the status of a decision that is to be made; what it said.
    fn is_refused(&self, worker: &mut Worker, group: &str) -> String {
        let end = Instant::now() + DEADLINE;
        loop {
            if let Some(status) = worker.child.try_wait().unwrap() {
                assert_eq!(status.code(), Some(4), "{}", self.said(group));
                return self.said(group);
            }
            assert!(Instant::now() < end, "{group} runs: {}", self.said(group));
            thread::sleep(Duration::from_millis(50));
        }
    }

    fn adopt(&self, group: &str) -> (Option<i32>, String) {
        let output = tidemill()
            .args(["operator", "adopt-group", "--group", group, "--reason", "a new name"])
            .arg("--data-dir")
            .arg(self.dir.path().join("data"))
            .output()
            .unwrap();
        let both = [&output.stdout[..], &output.stderr[..]].concat();
        (output.status.code(), String::from_utf8_lossy(&both).into_owned())
    }
}

#[test]
fn a_worker_of_another_group_is_refused_until_an_operator_adopts_the_group() {
    let site = Site::new();
    let (code, told) = site.adopt("one");
    assert!(code == Some(1) && told.contains("--data-dir"), "{code:?} {told}");
    let mut one = site.worker("one");
    site.holds_all(&mut one, "one");

    let told = site.is_refused(&mut site.worker("two"), "two");
    let command = "tidemill operator adopt-group --group two --reason TEXT";
    for word in ["group one", "group two", "worker.group", command] {
        assert!(told.contains(word), "{word}: {told}");
    }
    site.holds_all(&mut one, "one");

    let (code, told) = site.adopt("two");
    assert!(code == Some(0) && told.contains("group two"), "{code:?} {told}");
    let mut two = site.worker("two");
    site.holds_all(&mut two, "two");
    // The former group's worker meets the new one's claims and stops, instead of taking the partitions back.
    let told = site.is_refused(&mut one, "one");
    assert!(told.contains("--group one"), "{told}");
    site.holds_all(&mut two, "two");
}
