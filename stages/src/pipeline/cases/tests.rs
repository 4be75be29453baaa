//! A case that holds says nothing, one that does not says where.

use serde_json::json;

use super::*;
use crate::pipeline::read::read as read_config;

const PIPELINE: &str = r#"
id: shop
pipeline:
  type: pipeline
  name: Shop
  enabled: true
  filter: {query: "-source:other source:(shop OR store)"}
  processors:
    - type: grok-parser
      name: parse
      enabled: true
      source: message
      samples: []
      grok: {supportRules: "", matchRules: "r %{word:http.method} %{number:took} %{word:level}"}
    - {type: status-remapper, name: "", enabled: true, sources: [level]}
"#;

fn differences(result: &str) -> Vec<(String, Option<Json>, Option<Json>)> {
    let text = format!("id: shop\ntests:\n  - sample: GET 12 warn\n    result: {result}\n");
    let cases = read(&text).expect("cases");
    let bench = Bench::new(&read_config(&[PIPELINE]).config).expect("good");
    let found = bench.run(&cases[0], EventTime::from_nanos(0));
    found.into_iter().map(|d| (d.path, d.expected, d.found)).collect()
}

#[test]
fn what_is_as_expected_says_nothing() {
    let good = "{custom: {http: {method: GET}, took: 12.0, level: warn, geoip: {}}, status: warn, \
                message: GET 12 warn, tags: ['source:LOGS_SOURCE']}";
    assert_eq!(differences(good), []);
    assert_eq!(differences("{status: warn}"), []);
}

#[test]
fn what_is_not_as_expected_is_named() {
    let bad = "{custom: {http: {method: PUT}, extra: 1, level: warn}, status: ok, tags: [a]}";
    let expected = [
        ("custom.extra", Some(json!(1)), None),
        ("custom.http.method", Some(json!("PUT")), Some(json!("GET"))),
        ("custom.took", None, Some(json!(12))),
        ("status", Some(json!("ok")), Some(json!("warn"))),
        ("tags", Some(json!(["a"])), Some(json!([]))),
    ];
    let expected = expected.map(|(path, a, b)| (path.to_owned(), a, b));
    assert_eq!(differences(bad), expected);
}

#[test]
fn a_file_that_holds_no_cases_is_refused_with_its_place() {
    for (text, place) in [
        ("id: x\n", "1:1 there is no list `tests`"),
        ("tests:\n  - {result: {}}\n", "2:5 a case needs a `sample`"),
        ("tests:\n  - {sample: a}\n", "2:5 a case needs a `result`"),
    ] {
        let problem = read(text).expect_err(text).remove(0);
        let said = format!("{}:{} {}", problem.at.line, problem.at.column, problem.reason);
        assert!(said.starts_with(place), "{text}: {said}");
    }
}

#[test]
fn the_source_asked_for_is_found() {
    for (query, source) in [
        ("source:nginx", Some("nginx")),
        ("source:(a OR b)", Some("a")),
        ("-source:a OR source:\"b\"", Some("b")),
        ("service:x @source:y", None),
        ("*", None),
    ] {
        assert_eq!(asked_source(query), source, "{query}");
    }
}

/// Datadog's integrations, wherever `$TIDEMILL_INTEGRATIONS` says a checkout of them lies; `$TIDEMILL_SHOW` names
/// those whose differences are printed.
#[test]
fn published_integrations_pass_their_own_tests() {
    let Ok(roots) = std::env::var("TIDEMILL_INTEGRATIONS") else {
        eprintln!("SKIPPED: TIDEMILL_INTEGRATIONS names no checkout of published integrations");
        return;
    };
    let show = std::env::var("TIDEMILL_SHOW").unwrap_or_default();
    let mut files: Vec<_> = roots.split(':').flat_map(pipelines_below).collect();
    files.sort();
    assert!(!files.is_empty(), "no assets/logs/*_tests.yaml below {roots}");
    let [mut good, mut cases, mut held] = [0, 0, 0];
    for tests in &files {
        let name = tests.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let name = name.trim_end_matches("_tests.yaml");
        let text = std::fs::read_to_string(tests).expect("readable");
        let pipeline = tests.with_file_name(format!("{name}.yaml"));
        let pipeline = std::fs::read_to_string(pipeline).expect("readable");
        let config = read_config(&[&pipeline]);
        let bench = if config.problems.is_empty() {
            Bench::new(&config.config).map_err(|errors| {
                errors.iter().map(|error| config.problem(error).to_string()).collect::<Vec<_>>()
            })
        } else {
            Err(config.problems.iter().map(ToString::to_string).collect())
        };
        let all = read(&text).unwrap_or_else(|problems| panic!("{name}: {problems:?}"));
        cases += all.len();
        let bench = match bench {
            Ok(bench) => bench,
            Err(problems) => {
                eprintln!("REFUSED {name}: {}", problems.join("; "));
                continue;
            }
        };
        let mut whole = true;
        for case in &all {
            let differences = bench.run(case, RECEIVED);
            held += usize::from(differences.is_empty());
            if differences.is_empty() {
                continue;
            }
            whole = false;
            eprintln!("FAILED {name}:{} {}", case.at.line, differences.len());
            if show == "all" || show == name {
                for d in differences.iter().take(12) {
                    eprintln!("    {}: expected {:?} found {:?}", d.path, d.expected, d.found);
                }
            }
        }
        good += usize::from(whole);
    }
    eprintln!("{good} of {} pipelines, {held} of {cases} cases", files.len());
}

fn pipelines_below(root: &str) -> Vec<std::path::PathBuf> {
    let read = |dir: &std::path::Path| -> Vec<std::path::PathBuf> {
        let entries = std::fs::read_dir(dir).into_iter().flatten().flatten();
        entries.map(|entry| entry.path()).collect()
    };
    let logs = read(std::path::Path::new(root)).into_iter().map(|dir| dir.join("assets/logs"));
    logs.flat_map(|dir| read(&dir))
        .filter(|file| file.to_str().is_some_and(|name| name.ends_with("_tests.yaml")))
        .collect()
}
