//! Published integrations against the cases that ship with them, without building the engine:
//! `cargo run --profile bench --example integrations -- DIR`. What `tidemill pipeline test DIR` does; one JSON
//! object.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use stages::pipeline::cases::{self, Bench, RECEIVED};
use stages::pipeline::read;

fn pipelines(directory: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(directory).expect("a directory").flatten() {
        let path = entry.path();
        if path.is_dir() {
            pipelines(&path, found);
        } else if tests_of(&path).is_file() {
            found.push(path);
        }
    }
}

fn tests_of(pipeline: &Path) -> PathBuf {
    let stem = pipeline.file_stem().unwrap_or_default().to_string_lossy();
    pipeline.with_file_name(format!("{stem}_tests.yaml"))
}

fn outcome(pipeline: &Path) -> Value {
    let text = std::fs::read_to_string(pipeline).expect("a file");
    let read = read::read(&[&text]);
    let mut problems: Vec<String> =
        read.problems.iter().map(|problem| format!("{problem:?}")).collect();
    let tests = std::fs::read_to_string(tests_of(pipeline)).expect("a file");
    let cases = cases::read(&tests).unwrap_or_else(|wrong| {
        problems.extend(wrong.iter().map(|problem| format!("{problem:?}")));
        Vec::new()
    });
    let mut failed = Vec::new();
    match Bench::new(&read.config) {
        Ok(bench) if problems.is_empty() => {
            for case in &cases {
                let differences = bench.run(case, RECEIVED);
                if !differences.is_empty() {
                    failed.push(json!({ "line": case.at.line, "differences": differences }));
                }
            }
        }
        Ok(_) => {}
        Err(errors) => problems.extend(errors.iter().map(ToString::to_string)),
    }
    let refused = (!problems.is_empty()).then_some(problems);
    let count = if refused.is_some() { 0 } else { cases.len() };
    json!({ "pipeline": pipeline, "cases": count, "failed": failed, "problems": refused })
}

fn main() {
    let directory = std::env::args_os().nth(1).expect("the directory of the checkouts");
    let mut found = Vec::new();
    pipelines(Path::new(&directory), &mut found);
    found.sort();
    let results: Vec<Value> = found.iter().map(|path| outcome(path)).collect();
    let whole =
        results.iter().filter(|one| one["problems"].is_null() && one["failed"] == json!([]));
    let cases: u64 = results.iter().filter_map(|one| one["cases"].as_u64()).sum();
    let failed: usize =
        results.iter().filter_map(|one| Some(one["failed"].as_array()?.len())).sum();
    eprintln!(
        "{} of {} pipelines whole, {} of {cases} cases hold",
        whole.count(),
        results.len(),
        cases - failed as u64
    );
    println!("{}", json!({ "results": results }));
}
