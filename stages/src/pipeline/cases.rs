//! Test cases of a pipeline, as Datadog's integrations ship them in `NAME_tests.yaml`: samples and what they
//! become.
//!
//! ```yaml
//! id: nginx
//! tests:
//!   - sample: '127.0.0.1 - frank [13/Jul/2016:10:55:36 +0000] "GET / HTTP/1.0" 200 2326'
//!     service: web            # optional, as are host, source, tags: what the log says of itself
//!     result:
//!       custom: {http: {method: GET, status_code: 200}}
//!       message: ...
//!       status: ok
//!       tags: ["source:LOGS_SOURCE"]
//!       timestamp: 1468407336000
//! ```
//!
//! What `result` does not name is not compared; `custom` is compared whole. The sample comes as an agent sends
//! it: as the text of a log whose source is the one the pipeline's filter asks for, received at the beginning of 1971 (the year of dates without one), behind the preprocessing of reserved attributes.

use bumpalo::Bump;
use schemas::time::EventTime;
use serde_json::{Map, Value as Json};

use super::config::{Config, ConfigError, Filter, PreprocessingConfig};
use super::read::{Mark, Problem, documents};
use super::{MetricWindows, PIPELINE_ERRORS, Pipeline, render};
use crate::event::LogEvent;

/// One sample and what it is to become.
#[derive(Debug, Clone)]
pub struct Case {
    /// Where it stands in its file.
    pub at: Mark,
    /// The log's text.
    pub sample: String,
    service: String,
    host: String,
    source: Option<String>,
    tags: Vec<String>,
    result: Map<String, Json>,
}

/// One field that is not as expected.
#[derive(Debug, Clone, PartialEq, serde::Serialize)]
pub struct Difference {
    /// `custom.http.method`, `status`, `tags`.
    pub path: String,
    /// What the case says; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<Json>,
    /// What came out; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Json>,
}

/// Reads a file of cases.
///
/// # Errors
/// Everything that is wrong with it.
pub fn read(text: &str) -> Result<Vec<Case>, Vec<Problem>> {
    let (mut cases, mut problems) = (Vec::new(), Vec::new());
    for (at, document) in documents(text)? {
        let Some(tests) = document.get("tests").and_then(|tests| tests.items()) else {
            problems.push(Problem::new(at, "tests", "there is no list `tests`"));
            continue;
        };
        for (number, (at, test)) in tests.iter().enumerate() {
            match case(*at, test) {
                Ok(case) => cases.push(case),
                Err(reason) => {
                    problems.push(Problem::new(*at, &format!("tests[{number}]"), reason));
                }
            }
        }
    }
    if problems.is_empty() { Ok(cases) } else { Err(problems) }
}

fn case(at: Mark, test: &Json) -> Result<Case, &'static str> {
    let text = |name: &str| test.get(name).and_then(Json::as_str).map(str::to_owned);
    let sample = match test.get("sample") {
        Some(Json::String(text)) => text.clone(),
        Some(Json::Null) | None => return Err("a case needs a `sample`"),
        Some(other) => other.to_string(),
    };
    let Some(Json::Object(result)) = test.get("result") else {
        return Err("a case needs a `result`: an object with custom, message, status, ...");
    };
    let tags = test.get("tags").and_then(Json::as_array);
    let tags = tags.into_iter().flatten().filter_map(|tag| tag.as_str().map(str::to_owned));
    Ok(Case {
        at,
        sample,
        service: text("service").unwrap_or_default(),
        host: text("host").unwrap_or_default(),
        source: text("source"),
        tags: tags.collect(),
        result: result.clone(),
    })
}

/// When samples count as received, unless somebody says otherwise: 1971-01-01T01:00Z. Dates without a year in
/// the published cases are of 1970 from July 12 on and of 1971 up to July 2, those closest to this hour.
pub const RECEIVED: EventTime = EventTime::from_nanos(31_539_600_000_000_000);
/// The time of a sample that says none, in the published cases.
const UNKNOWN: EventTime = EventTime::from_nanos(1_000_000);

/// A pipeline under test.
#[derive(Debug)]
pub struct Bench {
    pipeline: Pipeline,
    source: String,
}

impl Bench {
    /// Compiles it. A pipeline that stands alone is entered by every sample, as its owner means it.
    ///
    /// # Errors
    /// Everything that is wrong with it.
    pub fn new(config: &Config) -> Result<Self, Vec<ConfigError>> {
        let mut config = config.clone();
        // Cases begin behind the preprocessing: reserved attributes of a JSON sample are still attributes.
        config.preprocessing = PreprocessingConfig {
            source: Vec::new(),
            host: Vec::new(),
            date: Vec::new(),
            status: Vec::new(),
            service: Vec::new(),
            trace_id: Vec::new(),
            span_id: Vec::new(),
            ..config.preprocessing
        };
        let mut source = String::new();
        for pipeline in &config.pipelines {
            if source.is_empty() {
                source = asked_source(&pipeline.filter.query).unwrap_or_default().to_owned();
            }
        }
        if let [only] = config.pipelines.as_mut_slice() {
            only.filter = Filter::default();
        }
        Ok(Self { pipeline: Pipeline::compile(&config)?, source })
    }

    /// Runs one case; nothing when all is as expected. `received` stands for the time of arrival.
    pub fn run(&self, case: &Case, received: EventTime) -> Vec<Difference> {
        let arena = Bump::new();
        let mut event = LogEvent::new_in(&arena, received);
        event.message = &case.sample;
        event.observed = (received == RECEIVED).then_some(UNKNOWN);
        event.service = &case.service;
        event.host = &case.host;
        event.source = case.source.as_deref().unwrap_or(&self.source);
        event.tags.extend(case.tags.iter().map(String::as_str));
        let mut windows = MetricWindows::new(&self.pipeline);
        self.pipeline.process(&arena, &mut event, 0, &mut windows);
        compare(case, &event)
    }
}

/// The first source a filter asks for: `source:nginx`, `source:(a OR b)`.
fn asked_source(query: &str) -> Option<&str> {
    let mut rest = query;
    loop {
        let (before, after) = rest.split_once("source:")?;
        let after = after.trim_start_matches(['(', '"', ' ']);
        let ends = |c: char| c.is_whitespace() || matches!(c, ')' | '"' | '*');
        let name = after.split(ends).next().unwrap_or_default();
        let negated = before.ends_with(['-', '@', '_', '.']);
        if !negated && !name.is_empty() {
            return Some(name);
        }
        rest = after;
    }
}

fn compare(case: &Case, event: &LogEvent<'_>) -> Vec<Difference> {
    let mut found = Map::new();
    found.insert("custom".to_owned(), Json::Object(render::attributes(&event.attributes)));
    found.insert("message".to_owned(), Json::from(event.message));
    found.insert("service".to_owned(), Json::from(event.service));
    found.insert("host".to_owned(), Json::from(event.host));
    found.insert("source".to_owned(), Json::from(event.source));
    found.insert("status".to_owned(), event.status.map(|status| status.as_str()).into());
    let millis = event.time().nanos().div_euclid(1_000_000);
    found.insert("timestamp".to_owned(), millis.into());
    let hex = event.trace_id.map(|id| id.hex().as_str().to_owned());
    found.insert("trace_id".to_owned(), hex.into());
    let hex = event.span_id.map(|id| id.hex().as_str().to_owned());
    found.insert("span_id".to_owned(), hex.into());
    found.insert("tags".to_owned(), Json::from(event.tags.as_slice()));
    let mut differences = Vec::new();
    for (name, expected) in &case.result {
        let found = found.remove(name).unwrap_or(Json::Null);
        let same = match name.as_str() {
            "tags" => tags(expected) == tags(&found),
            "message" => same_text(expected, &found),
            "trace_id" | "span_id" => same_id(expected, &found),
            // Ours alone.
            "custom" if found.get(PIPELINE_ERRORS).is_some() => {
                let mut found = found;
                found.as_object_mut().map(|members| members.remove(PIPELINE_ERRORS));
                differ(name, Some(expected), Some(&found), &mut differences);
                continue;
            }
            "timestamp" => same(&number(expected), &found),
            _ => {
                differ(name, Some(expected), Some(&found), &mut differences);
                continue;
            }
        };
        if !same {
            let (expected, found) = (Some(expected.clone()), Some(found));
            differences.push(Difference { path: name.clone(), expected, found });
        }
    }
    differences
}

/// Tags as a set, without the source's: cases have a placeholder there.
fn tags(value: &Json) -> std::collections::BTreeSet<&str> {
    let all = value.as_array().into_iter().flatten().filter_map(Json::as_str);
    all.filter(|tag| !tag.starts_with("source:")).collect()
}

/// The same text, or the same JSON in another layout.
fn same_text(expected: &Json, found: &Json) -> bool {
    let (Some(a), Some(b)) = (expected.as_str(), found.as_str()) else { return expected == found };
    let parse = |text: &str| {
        let object = serde_json::from_str::<Json>(text).ok().filter(Json::is_object)?;
        let mut flat = Map::new();
        flatten("", object, &mut flat);
        Some(Json::Object(flat))
    };
    a.trim_end() == b.trim_end() || parse(a).zip(parse(b)).is_some_and(|(a, b)| same(&a, &b))
}

/// Members of objects under their dotted paths: `{"a.b": 1}` and `{"a": {"b": 1}}` are one.
fn flatten(path: &str, value: Json, into: &mut Map<String, Json>) {
    match value {
        Json::Object(members) => {
            for (name, member) in members {
                let path = if path.is_empty() { name } else { format!("{path}.{name}") };
                flatten(&path, member, into);
            }
        }
        other => drop(into.insert(path.to_owned(), other)),
    }
}

/// Ids are hex here; cases have them as the log did.
fn same_id(expected: &Json, found: &Json) -> bool {
    let (Some(a), Some(b)) = (expected.as_str(), found.as_str()) else {
        return expected == found || (expected == "" && found.is_null());
    };
    let hex =
        |text: &str| u128::from_str_radix(&text.trim_start_matches("0x").replace('-', ""), 16).ok();
    let own = hex(b);
    own.is_some() && (hex(a) == own || a.parse().ok() == own)
}

/// A number that is written as text.
fn number(value: &Json) -> Json {
    let text = value.as_str().and_then(|text| text.parse::<i64>().ok());
    text.map_or_else(|| value.clone(), Json::from)
}

/// What stands for nothing: null, an empty list, an object without members.
fn is_nothing(value: &Json) -> bool {
    match value {
        Json::Null => true,
        Json::Array(items) => items.is_empty(),
        Json::Object(members) => members.values().all(is_nothing),
        _ => false,
    }
}

fn same(a: &Json, b: &Json) -> bool {
    let mut differences = Vec::new();
    differ("", Some(a), Some(b), &mut differences);
    differences.is_empty()
}

fn differ(path: &str, expected: Option<&Json>, found: Option<&Json>, into: &mut Vec<Difference>) {
    let (a, b) = match (expected, found) {
        (Some(a), Some(b)) => (a, b),
        (one, other) => {
            if !one.or(other).is_none_or(is_nothing) {
                let (expected, found) = (one.cloned(), other.cloned());
                into.push(Difference { path: path.to_owned(), expected, found });
            }
            return;
        }
    };
    let equal = match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
            names.sort();
            names.dedup();
            for name in names {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                differ(&path, a.get(name), b.get(name), into);
            }
            return;
        }
        (Json::Array(a), Json::Array(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same(a, b))
        }
        (Json::Number(a), Json::Number(b)) => match (a.as_i64(), b.as_i64()) {
            (Some(a), Some(b)) => a == b,
            _ => a
                .as_f64()
                .zip(b.as_f64())
                .is_some_and(|(a, b)| (a - b).abs() <= 1e-12 * a.abs().max(b.abs())),
        },
        (a, b) => a == b || (is_nothing(a) && is_nothing(b)),
    };
    if !equal {
        let (expected, found) = (Some(a.clone()), Some(b.clone()));
        into.push(Difference { path: path.to_owned(), expected, found });
    }
}

#[cfg(test)]
mod tests;
