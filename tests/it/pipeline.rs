//! `tidemill pipeline ...` as people script it: files in, lines in, JSON and exit status out; and the pipeline of a
//! running engine changed without a restart.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use serde_json::{Value, json};

use crate::harness::{Engine, tidemill};
use crate::http;

/// Where the inputs and golden answers are.
fn files() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/pipeline")
}

/// Exit status, standard output, standard error.
fn run(args: &[&str], input: &[u8]) -> (Option<i32>, String, String) {
    let mut command = tidemill();
    let command = command.current_dir(files()).arg("pipeline").args(args);
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the built program runs");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    let feeding = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the program ends");
    feeding.join().expect("the feeder ends");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    (output.status.code(), text(output.stdout), text(output.stderr))
}

/// Compares with a golden file; `UPDATE=1` rewrites it.
fn golden(name: &str, found: &str) {
    let path = files().join(name);
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, found).expect("the golden file can be written");
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "{name} (UPDATE=1 rewrites it)");
}

#[test]
fn all_forms_of_one_pipeline_answer_the_same() {
    let input = fs::read(files().join("input.log")).expect("the input");
    let run_with = |configs: &[&str]| {
        let mut args = vec!["run", "--received", "2026-03-02T12:00:00Z"];
        configs.iter().for_each(|config| args.extend(["--config", config]));
        let (code, out, err) = run(&args, &input);
        assert_eq!((code, err.as_str()), (Some(0), ""), "{configs:?}");
        out
    };
    let api = run_with(&["api/pipelines.json", "api/indexes.json", "api/metrics.json"]);
    golden("answers.jsonl", &api);
    assert_eq!(run_with(&["api"]), api, "a directory is its files");
    assert_eq!(run_with(&["shop.yaml"]), api, "our own form");
    let integration = run_with(&["integration/shop.yaml", "api/indexes.json", "api/metrics.json"]);
    assert_eq!(integration, api, "an integration's form");
}

#[test]
fn an_import_answers_as_what_it_came_from() {
    let input = fs::read(files().join("input.log")).expect("the input");
    let dir = tempfile::tempdir().expect("a directory");
    for configs in [vec!["api"], vec!["shop.yaml"], vec!["integration/shop.yaml"]] {
        let imported = dir.path().join("imported.yaml");
        let imported = imported.to_str().expect("text");
        let mut args = vec!["import", "--output", imported];
        args.extend(&configs);
        let (code, _, err) = run(&args, b"");
        assert_eq!(code, Some(0), "{configs:?}: {err}");
        let answer = |config: &str| run(&["run", "--received", "0", "--config", config], &input).1;
        assert_eq!(answer(imported), answer(configs[0]), "{configs:?}");
    }
}

#[test]
fn a_check_says_where_and_ends_with_a_status() {
    let (code, out, _) = run(&["check", "api", "--format", "json"], b"");
    assert_eq!(code, Some(0), "{out}");
    let (code, _, err) = run(&["check", "bad.yaml"], b"");
    assert_eq!(code, Some(2));
    golden("bad.said", &err);
    let (code, out, _) = run(&["check", "--format", "json", "bad.yaml", "missing.json"], b"");
    assert_eq!(code, Some(2));
    let out: Value = serde_json::from_str(&out).expect("JSON");
    assert_eq!(out["problems"][0]["file"], "missing.json");
}

#[test]
fn cases_of_an_integration_hold_or_are_told_apart() {
    let (code, out, _) = run(&["test", "integration/shop.yaml"], b"");
    assert_eq!(code, Some(0), "{out}");
    let (code, out, _) = run(&["test", "integration"], b"");
    assert_eq!(code, Some(0), "{out}");
    assert!(out.ends_with("1 of 1 pipelines, 2 of 2 cases\n"), "{out}");
    let (code, out, _) = run(&["test", "integration/shop.yaml", "wrong_tests.yaml"], b"");
    assert_eq!(code, Some(1));
    golden("wrong.said", &out);
    let args = ["test", "integration/shop.yaml", "wrong_tests.yaml", "--format", "json"];
    let out: Value = serde_json::from_str(&run(&args, b"").1).expect("JSON");
    assert_eq!(out["results"][0]["failed"][0]["differences"][0]["path"], "custom.http.method");
}

#[test]
fn explain_tells_each_step_and_leaves_the_answers_as_they_are() {
    let input = fs::read(files().join("input.log")).expect("the input");
    let args = ["run", "--received", "2026-03-02T12:00:00Z", "--config", "shop.yaml"];
    let plain = run(&args, &input).1;
    let (code, out, err) = run(&[&args[..], &["--explain"]].concat(), &input);
    assert_eq!((code, out), (Some(0), plain));
    for part in ["+ http.method: \"GET\"", "excluded by main/health", "ns/event", "passed by"] {
        assert!(err.contains(part), "{part} is not in {err}");
    }
    let (_, out, err) = run(&[&args[..], &["--explain=json"]].concat(), &input);
    let first: Value = serde_json::from_str(out.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["explain"][0]["rule"], "preprocess");
    let steps: Value = serde_json::from_str(&err).expect("JSON");
    assert!(steps["steps"][0]["events"].as_u64() > Some(0), "{steps}");
}

/// The version of the pipeline that `said` of the health page, and whether another was refused.
fn pipeline_of(engine: &Engine) -> (String, bool) {
    let answer =
        http::request("GET", engine.ports.health, "/", "text/plain", b"").expect("answers");
    let body: Value = serde_json::from_str(&answer.text()).expect("JSON");
    let version = body["pipeline"]["version"].as_str().expect("a version").to_owned();
    (version, body["pipeline"]["refused"].is_array())
}

#[test]
fn a_running_engine_takes_another_pipeline_and_refuses_a_bad_one() {
    let mut engine = Engine::new();
    let rules = engine.config().with_file_name("rules.yaml");
    let rule = |name: &str| {
        format!(
            "pipelines:\n  - processors:\n      - {{type: grok-parser, grok: {{match_rules: 'r %{{word:{name}}} .*'}}}}\n"
        )
    };
    fs::write(&rules, rule("first")).expect("written");
    let mut text = fs::read_to_string(engine.config()).expect("read");
    text.push_str("pipeline_file: rules.yaml\n");
    fs::write(engine.config(), text).expect("written");
    engine.start();
    let log = |text: &str| json!({ "message": text, "service": "reload" });
    let seen = "SELECT attributes['first'], attributes['second'] FROM logs WHERE service = 'reload' ORDER BY message";
    engine.send_logs(&[log("a one")]);
    engine.wait_for(seen, &json!([["a", null]]));
    let (before, refused) = pipeline_of(&engine);
    assert!(!refused);

    let reload =
        || http::request("POST", engine.ports.health, "/pipeline/reload", "text/plain", b"");
    fs::write(&rules, rule("second")).expect("written");
    let answer = reload().expect("answers");
    assert_eq!(answer.status, 200, "{}", answer.text());
    let said: Value = serde_json::from_str(&answer.text()).expect("JSON");
    assert_eq!(said["previous"], *before);
    let version = said["version"].as_str().expect("a version").to_owned();
    assert_ne!(version, before);
    engine.send_logs(&[log("b two")]);
    engine.wait_for(seen, &json!([["a", null], [null, "b"]]));

    fs::write(&rules, "pipelines:\n  - colour: red\n").expect("written");
    let answer = reload().expect("answers");
    assert_eq!(answer.status, 422, "{}", answer.text());
    assert!(answer.text().contains("rules.yaml:2:5"), "{}", answer.text());
    assert_eq!(pipeline_of(&engine), (version.clone(), true));
    engine.send_logs(&[log("c three")]);
    engine.wait_for(seen, &json!([["a", null], [null, "b"], [null, "c"]]));

    fs::write(&rules, rule("second")).expect("written");
    let (code, said) = engine.command(&["pipeline", "versions", "--format", "json"]);
    assert_eq!(code, Some(0), "{said}");
    let said: Value = serde_json::from_str(&said).expect("JSON");
    let versions = said["versions"].as_array().expect("a list");
    let names: Vec<&str> = versions.iter().filter_map(|v| v["version"].as_str()).collect();
    assert_eq!(names, [before.as_str(), version.as_str()]);
    let (code, said) = engine.command(&["pipeline", "versions", "--show", &before]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("%{word:first}"), "{said}");
    assert!(engine.stop().success(), "{}", engine.tail());
}
