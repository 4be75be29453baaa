//! The command line as people script against it: commands, flags, default ports, exit statuses,
//! and what is said about a configuration.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Output;

use crate::harness::{Engine, tidemill};

fn run(arguments: &[&str]) -> (Option<i32>, String) {
    let output = tidemill().args(arguments).output().expect("the built program runs");
    (output.status.code(), said(&output))
}

fn said(output: &Output) -> String {
    format!(
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

#[test]
fn help_names_every_command_flag_and_port() {
    let (code, text) = run(&["--help"]);
    assert_eq!(code, Some(0));
    for word in [
        "up", "ingest", "worker", "query", "sql", "audit", "fsck", "redrive", "operator", "issues",
        "config", "demo",
    ] {
        assert!(text.lines().any(|line| line.trim_start().starts_with(word)), "{word}: {text}");
    }
    for port in ["8126", "4317", "4318", "8080", "5433", "9092", "13133"] {
        assert!(text.contains(port), "{port}: {text}");
    }
    for command in ["up", "ingest", "worker", "query"] {
        let (code, text) = run(&[command, "--help"]);
        assert_eq!(code, Some(0));
        for flag in ["--data-dir", "--config", "--kafka"] {
            assert!(text.contains(flag), "{command} {flag}: {text}");
        }
    }
    let (_, text) = run(&["sql", "--help"]);
    for word in ["--format", "table", "json", "csv", "arrow", "--data-dir"] {
        assert!(text.contains(word), "sql {word}: {text}");
    }
}

#[test]
fn a_wrong_command_line_exits_with_2() {
    for arguments in [
        &["nonsense"][..],
        &["up", "--nonsense"],
        &["sql"],
        &["sql", "--format", "xml", "SELECT 1"],
    ] {
        let (code, text) = run(arguments);
        assert_eq!(code, Some(2), "{arguments:?}: {text}");
    }
}

/// A mistake, and the words its message must hold.
const MISTAKES: [(&str, &[&str]); 7] = [
    ("worker:\n  epoch: soon\n", &["worker.epoch", "soon"]),
    ("worker:\n  epcoh: 1s\n", &["epcoh", "epoch"]),
    ("intake:\n  datadog: nowhere\n", &["intake.datadog", "nowhere"]),
    ("kafka:\n  sources:\n    - {topic: t, signal: dogs, format: json}\n", &["signal", "dogs"]),
    ("kafka:\n  sources:\n    - {topic: t, signal: logs, format: avro}\n", &["format", "avro"]),
    ("pipeline:\n  pipelines:\n    - filter: {query: 'a:('}\n", &["pipelines[0]", "filter"]),
    ("query: [\n", &["query"]),
];

#[test]
fn config_check_names_file_field_and_reason() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("mistaken.yaml");
    let name = file.to_str().expect("a temporary path is text");
    for (text, words) in MISTAKES {
        fs::write(&file, text).expect("a file can be written");
        let (code, told) = run(&["config", "check", name]);
        assert_eq!(code, Some(2), "{text}{told}");
        for word in words.iter().chain(&["mistaken.yaml"]) {
            assert!(told.contains(word), "{text}{word}: {told}");
        }
        assert!(!told.contains("panicked"), "{told}");
    }
    let (code, told) = run(&["config", "check", "no-such-file.yaml"]);
    assert!(code != Some(0) && told.contains("no-such-file.yaml"), "{told}");
}

#[test]
fn config_check_accepts_what_the_tests_use() {
    let engine = Engine::new();
    let config = engine.config();
    let (code, told) = run(&["config", "check", config.to_str().expect("text")]);
    assert_eq!(code, Some(0), "{told}");
}

#[test]
fn config_check_accepts_every_configuration_of_the_repository() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut files = vec![root.join("docker/standalone.yaml"), root.join("docker/tidemill.yaml")];
    let examples = fs::read_dir(root.join("config")).into_iter().flatten().flatten();
    files.extend(
        examples
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "yaml")),
    );
    for file in files {
        let (code, told) = run(&["config", "check", file.to_str().expect("text")]);
        assert_eq!(code, Some(0), "{}: {told}", file.display());
    }
}

#[test]
fn a_port_in_use_is_named_with_its_setting() {
    let mut engine = Engine::new();
    let _taken = TcpListener::bind(engine.ports.health).expect("a free port");
    let (code, told) = engine.refuses_to_start();
    assert_eq!(code, Some(3), "{told}");
    assert!(told.contains("health.listen"), "{told}");
    assert!(told.contains(&engine.ports.health.port().to_string()), "{told}");
}
