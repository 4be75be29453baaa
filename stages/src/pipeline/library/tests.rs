//! Every ready-made pipeline does to its samples what its cases say. `UPDATE=1` rewrites the results, to be
//! read before they are kept.

use std::path::PathBuf;

use bumpalo::Bump;
use schemas::time::EventTime;
use serde_json::{Map, Value as Json, json};

use super::*;
use crate::event::LogEvent;
use crate::pipeline::cases::{self, Bench};
use crate::pipeline::{MetricWindows, Pipeline, read, render};

/// 2024-06-01: when every sample was received; dates without a year lie around it.
const RECEIVED: EventTime = EventTime::from_nanos(1_717_200_000_000_000_000);

fn bench(ready: &Ready) -> Bench {
    let read = read::read(&[ready.pipeline]);
    assert!(read.problems.is_empty(), "{}: {:?}", ready.name, read.problems);
    assert!(read.notes.is_empty(), "{}: {:?}", ready.name, read.notes);
    match Bench::new(&read.config) {
        Ok(bench) => bench,
        Err(errors) => panic!("{}: {errors:#?}", ready.name),
    }
}

#[test]
fn every_sample_becomes_what_its_case_says() {
    if std::env::var_os("UPDATE").is_some() {
        ALL.iter().for_each(update);
        return;
    }
    let mut wrong = Vec::new();
    for ready in &ALL {
        let cases = cases::read(ready.tests).expect(ready.name);
        assert!(cases.len() >= 2, "{}", ready.name);
        let bench = bench(ready);
        for case in &cases {
            for difference in bench.run(case, RECEIVED) {
                wrong.push(format!("{} {}: {difference:?}", ready.name, case.sample));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_case_says_what_becomes_of_its_attributes_status_and_time() {
    for ready in &ALL {
        let tests: Json = serde_yaml_ng::from_str(ready.tests).expect(ready.name);
        for test in tests["tests"].as_array().expect(ready.name) {
            let result = &test["result"];
            for field in ["custom", "status", "message"] {
                assert!(!result[field].is_null(), "{}: {field} of {}", ready.name, test["sample"]);
            }
        }
    }
}

#[test]
fn no_sample_takes_a_grok_rule_to_its_limit() {
    for ready in &ALL {
        let read = read::read(&[ready.pipeline]);
        let pipeline = Pipeline::compile(&read.config).expect(ready.name);
        for case in cases::read(ready.tests).expect(ready.name) {
            // Also many times as long, and broken off anywhere.
            let long = case.sample.repeat(40);
            let cut = &case.sample[..case.sample.floor_char_boundary(case.sample.len() / 2)];
            for text in [&long, cut, &case.sample] {
                let arena = Bump::new();
                let mut event = LogEvent::new_in(&arena, RECEIVED);
                event.message = text;
                event.source = ready.name;
                pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
            }
        }
        assert_eq!(pipeline.grok_gave_up(), 0, "{}", ready.name);
    }
}

#[test]
fn every_pipeline_says_what_it_is_and_is_found() {
    for ready in &ALL {
        assert!(ready.description().len() > 80, "{}", ready.name);
        assert_eq!(find(ready.name).map(|found| found.name), Some(ready.name));
    }
    assert!(ALL.is_sorted_by_key(|ready| ready.name));
    assert!(find("iis").is_none());
}

/// The results as they are now.
fn update(ready: &Ready) {
    let read = read::read(&[ready.pipeline]);
    assert!(read.problems.is_empty(), "{}: {:?}", ready.name, read.problems);
    let mut config = read.config;
    config.pipelines[0].filter = Default::default();
    let pipeline = Pipeline::compile(&config).expect(ready.name);
    let mut text = format!("id: {}\ntests:\n", ready.name);
    for case in cases::read(ready.tests).expect(ready.name) {
        let arena = Bump::new();
        let mut event = LogEvent::new_in(&arena, RECEIVED);
        event.message = &case.sample;
        event.source = ready.name;
        pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
        let mut result = Map::new();
        result.insert("custom".to_owned(), Json::Object(render::attributes(&event.attributes)));
        result.insert("message".to_owned(), event.message.into());
        if !event.service.is_empty() {
            result.insert("service".to_owned(), event.service.into());
        }
        result.insert("status".to_owned(), event.status.map(|status| status.as_str()).into());
        let mut tags = vec!["source:LOGS_SOURCE"];
        tags.extend(event.tags.iter());
        result.insert("tags".to_owned(), json!(tags));
        if let Some(time) = event.timestamp {
            result.insert("timestamp".to_owned(), (time.nanos() / 1_000_000).into());
        }
        for (name, id) in [
            ("trace_id", event.trace_id.map(|id| id.hex().as_str().to_owned())),
            ("span_id", event.span_id.map(|id| id.hex().as_str().to_owned())),
        ] {
            if let Some(id) = id {
                result.insert(name.to_owned(), id.into());
            }
        }
        let case = json!([{ "sample": case.sample, "result": result }]);
        let yaml = serde_yaml_ng::to_string(&case).expect("YAML");
        yaml.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    }
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../config/pipelines/{}_tests.yaml", ready.name));
    std::fs::write(path, text).expect("writes");
}
