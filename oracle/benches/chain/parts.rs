//! The chain of parts: a `serde_json::Value` per line, Vector's grok and search on its values, hash maps of
//! counts and of message templates, Arrow builders.

use std::collections::HashMap;

use oracle::grok::theirs as grok;
use oracle::rule_sets::{SERVER, set};
use oracle::search::theirs as query;
use stages::record::Record;
use vrl::datadog_filter::Matcher;
use vrl::datadog_grok::parse_grok::parse_grok;
use vrl::datadog_grok::parse_grok_rules::GrokRule;
use vrl::value::Value;

use crate::naive::{Table, flatten};
use crate::{EXCLUSIONS, GROUPED_BY, MEASURED, METRICS, Made};

/// Compiled rules and queries.
pub(crate) struct Parts {
    rules: Vec<GrokRule>,
    metrics: Vec<Box<dyn Matcher<Value>>>,
    exclusions: Vec<Box<dyn Matcher<Value>>>,
    numbers: regex::Regex,
}

/// One series and ten seconds.
#[derive(Default)]
struct Bucket {
    count: i64,
    sum: f64,
    min: f64,
    max: f64,
    /// Percentiles need them.
    values: Vec<f64>,
}

impl Parts {
    pub(crate) fn new() -> Self {
        let compiled = |queries: &[&str]| {
            let one = |text: &&str| query(text).expect("Vector takes the query");
            queries.iter().map(one).collect()
        };
        Self {
            rules: grok(&set(&SERVER, 50), "").expect("Vector takes the rules"),
            metrics: compiled(&METRICS),
            exclusions: compiled(&EXCLUSIONS),
            numbers: regex::Regex::new(r"[0-9a-f]*[0-9][0-9a-f]*").expect("an expression"),
        }
    }

    /// Records to finished batches.
    pub(crate) fn run(&self, records: &[Record]) -> Made {
        let mut table = Table::new();
        let mut buckets: HashMap<(usize, String, i64), Bucket> = HashMap::new();
        let mut issues: HashMap<String, usize> = HashMap::new();
        for record in records {
            let mut json: serde_json::Value =
                serde_json::from_slice(&record.payload).expect("JSON");
            self.parse(&mut json);
            let event = Value::from(json.clone());
            self.count(&event, &json, &mut buckets);
            let message = json["message"].as_str().unwrap_or_default();
            if json["status"] == "error" {
                let template = self.numbers.replace_all(message, "*").into_owned();
                *issues.entry(template).or_default() += 1;
            }
            if self.exclusions.iter().any(|filter| filter.run(&event)) {
                continue;
            }
            let texts = ["service", "hostname", "ddsource", "message", "status"];
            let texts = texts.map(|name| json[name].as_str().unwrap_or_default().to_owned());
            let mut pairs = Vec::new();
            flatten("", &json, &mut pairs);
            table.push(json["time"].as_i64().unwrap_or(0) * 1_000, 0, &texts, &pairs, &[]);
        }
        let mut counted = vec![0; METRICS.len()];
        buckets.iter().for_each(|((metric, ..), bucket)| counted[*metric] += bucket.count);
        Made { kept: table.finish(), counted, errors: issues.values().sum() }
    }

    /// What the first matching rule finds, into the event.
    fn parse(&self, json: &mut serde_json::Value) {
        let message = json["message"].as_str().unwrap_or_default().to_owned();
        let Ok(parsed) = parse_grok(&message, &self.rules) else { return };
        let found: serde_json::Value = parsed.parsed.try_into().expect("JSON");
        for (name, value) in found.as_object().into_iter().flatten() {
            json[name] = value.clone();
        }
    }

    fn count(
        &self,
        event: &Value,
        json: &serde_json::Value,
        buckets: &mut HashMap<(usize, String, i64), Bucket>,
    ) {
        let group = json[GROUPED_BY].as_str().unwrap_or_default();
        let seconds = json["time"].as_i64().unwrap_or(0) / 1_000;
        for (number, filter) in self.metrics.iter().enumerate() {
            if !filter.run(event) {
                continue;
            }
            let bucket = buckets.entry((number, group.to_owned(), seconds / 10)).or_default();
            bucket.count += 1;
            if number >= 10 {
                let value = json[MEASURED].as_f64().unwrap_or(0.0);
                bucket.sum += value;
                bucket.min = bucket.min.min(value);
                bucket.max = bucket.max.max(value);
                bucket.values.push(value);
            }
        }
    }
}
