//! Starts, asks, stops and kills a real `tidemill up` on free ports in a directory of its own.

use std::fs::{self, File};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::http::{self, Answer};

/// Longest wait until the process answers that it is ready, or has ended.
const START_DEADLINE: Duration = Duration::from_secs(60);
/// Longest wait until something sent is queryable.
const SEEN_DEADLINE: Duration = Duration::from_secs(90);
/// Pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(50);

/// The addresses of one engine, all on loopback.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ports {
    pub(crate) datadog: SocketAddr,
    pub(crate) otlp_grpc: SocketAddr,
    pub(crate) otlp_http: SocketAddr,
    pub(crate) http: SocketAddr,
    pub(crate) postgres: SocketAddr,
    pub(crate) kafka: SocketAddr,
    pub(crate) health: SocketAddr,
}

impl Ports {
    /// Ports nobody listens on now; all held until all are known, so that they differ.
    pub(crate) fn free() -> Self {
        let held: [TcpListener; 7] = std::array::from_fn(|_| {
            TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("loopback has a free port")
        });
        let [datadog, otlp_grpc, otlp_http, http, postgres, kafka, health] =
            held.map(|listener| listener.local_addr().expect("a bound listener has an address"));
        Self { datadog, otlp_grpc, otlp_http, http, postgres, kafka, health }
    }
}

/// The built program.
pub(crate) fn tidemill() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidemill"));
    command.stdin(Stdio::null());
    // Settings of whoever runs the tests must not reach the program.
    for name in [
        "TIDEMILL_DATA_DIR",
        "TIDEMILL_CONFIG",
        "TIDEMILL_KAFKA_BROKERS",
        "TIDEMILL_URL",
        "TIDEMILL_LOG",
    ] {
        command.env_remove(name);
    }
    command
}

/// One engine; killed and its directory removed when dropped.
#[derive(Debug)]
pub(crate) struct Engine {
    dir: tempfile::TempDir,
    pub(crate) ports: Ports,
    child: Option<Child>,
}

impl Engine {
    /// A new one in a new directory, not started.
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let engine = Self { dir, ports: Ports::free(), child: None };
        fs::write(engine.config(), engine.config_text()).expect("the configuration can be written");
        engine
    }

    /// A new one that is ready.
    pub(crate) fn started() -> Self {
        let mut engine = Self::new();
        engine.start();
        engine
    }

    /// Its data directory.
    pub(crate) fn data(&self) -> PathBuf {
        self.dir.path().join("data")
    }

    /// Its configuration file.
    pub(crate) fn config(&self) -> PathBuf {
        self.dir.path().join("tidemill.yaml")
    }

    fn config_text(&self) -> String {
        let Ports { datadog, otlp_grpc, otlp_http, http, postgres, kafka, health } = self.ports;
        format!(
            "intake:\n  datadog: \"{datadog}\"\n  otlp_grpc: \"{otlp_grpc}\"\n  otlp_http: \"{otlp_http}\"\n\
             query:\n  http: \"{http}\"\n  postgres: \"{postgres}\"\n\
             kafka:\n  embedded:\n    listen: \"{kafka}\"\n\
             health:\n  listen: \"{health}\"\nworker:\n  epoch: \"500ms\"\n"
        )
    }

    fn spawn(&mut self) {
        let log = File::options().create(true).append(true).open(self.log()).expect("a log file");
        let child = tidemill()
            .args(["up", "--data-dir"])
            .arg(self.data())
            .arg("--config")
            .arg(self.config())
            .stdout(log.try_clone().expect("a file handle can be cloned"))
            .stderr(log)
            .spawn()
            .expect("the built program runs");
        self.child = Some(child);
    }

    /// Starts the process and waits until it is ready.
    pub(crate) fn start(&mut self) {
        self.spawn();
        let end = Instant::now() + START_DEADLINE;
        while !self.healthy() {
            if let Some(status) = self.ended() {
                panic!("ended with {status} before it was ready\n{}", self.tail());
            }
            assert!(Instant::now() < end, "not ready after {START_DEADLINE:?}\n{}", self.tail());
            thread::sleep(PAUSE);
        }
    }

    /// Starts the process, which must end by itself; its exit code and what it said.
    pub(crate) fn refuses_to_start(&mut self) -> (Option<i32>, String) {
        self.spawn();
        let end = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = self.ended() {
                return (status.code(), self.tail());
            }
            assert!(
                Instant::now() < end,
                "still running after {START_DEADLINE:?}\n{}",
                self.tail()
            );
            thread::sleep(PAUSE);
        }
    }

    fn ended(&mut self) -> Option<ExitStatus> {
        self.child.as_mut().and_then(|child| child.try_wait().ok().flatten())
    }

    /// Whether health answers 200.
    pub(crate) fn healthy(&self) -> bool {
        http::request("GET", self.ports.health, "/", "text/plain", b"")
            .is_ok_and(|answer| answer.status == 200)
    }

    /// SIGTERM; the exit status after the drain.
    pub(crate) fn stop(&mut self) -> ExitStatus {
        let mut child = self.child.take().expect("a running process");
        let pid = child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status().expect("kill runs");
        assert!(sent.success(), "the process had ended by itself\n{}", self.tail());
        let end = Instant::now() + START_DEADLINE;
        loop {
            if let Some(status) = child.try_wait().expect("a child can be waited for") {
                return status;
            }
            if Instant::now() > end {
                let _ = child.kill();
                let _ = child.wait();
                panic!("not ended {START_DEADLINE:?} after SIGTERM\n{}", self.tail());
            }
            thread::sleep(PAUSE);
        }
    }

    /// SIGKILL, as a machine that loses power would.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }

    /// Posts Datadog log entries; fails unless they were accepted.
    pub(crate) fn send_logs(&self, entries: &[Value]) {
        let body = json!(entries).to_string();
        let sent = http::request(
            "POST",
            self.ports.datadog,
            "/api/v2/logs",
            "application/json",
            body.as_bytes(),
        );
        let answer = sent.expect("the intake answers");
        assert_eq!(answer.status, 202, "{}\n{}", answer.text(), self.tail());
    }

    /// The answer of the SQL API.
    pub(crate) fn ask(&self, sql: &str) -> Answer {
        let body = json!({ "sql": sql }).to_string();
        http::request("POST", self.ports.http, "/api/v1/sql", "application/json", body.as_bytes())
            .expect("the query service answers")
    }

    /// Rows of a query that must succeed.
    pub(crate) fn rows(&self, sql: &str) -> Vec<Value> {
        let answer = self.ask(sql);
        assert_eq!(answer.status, 200, "{sql}: {}", answer.text());
        answer.json()["rows"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a query gives exactly these rows.
    pub(crate) fn wait_for(&self, sql: &str, expected: &Value) {
        let end = Instant::now() + SEEN_DEADLINE;
        loop {
            let answer = self.ask(sql);
            if answer.status == 200 && answer.json()["rows"] == *expected {
                return;
            }
            let told = answer.text();
            assert!(
                Instant::now() < end,
                "{sql}\nexpected {expected}\nlast answer {told}\n{}",
                self.tail()
            );
            thread::sleep(PAUSE);
        }
    }

    /// `tidemill sql` with the given arguments behind this engine's configuration.
    pub(crate) fn sql_command(&self, arguments: &[&str]) -> std::process::Output {
        tidemill()
            .args(["sql", "--config"])
            .arg(self.config())
            .arg("--data-dir")
            .arg(self.data())
            .args(arguments)
            .output()
            .expect("the built program runs")
    }

    /// A command with the given arguments on this engine's data; its exit code and what it printed.
    pub(crate) fn command(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let output = tidemill()
            .args(arguments)
            .arg("--config")
            .arg(self.config())
            .arg("--data-dir")
            .arg(self.data())
            .output()
            .expect("the built program runs");
        let both = [&output.stdout[..], &output.stderr[..]].concat();
        (output.status.code(), String::from_utf8_lossy(&both).into_owned())
    }

    /// The last lines the process wrote.
    pub(crate) fn tail(&self) -> String {
        tail(&self.log())
    }

    fn log(&self) -> PathBuf {
        self.dir.path().join("stderr.log")
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        self.kill();
    }
}

fn tail(file: &Path) -> String {
    let text = fs::read(file).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(40)..].join("\n")
}
