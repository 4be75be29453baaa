//! The chain people write first: a `serde_json::Value` per line, one regular expression with
//! captures, a hash map of counts, Arrow builders.

use std::collections::HashMap;

use regex::Regex;
use serde_json::Value;
use stages::record::Record;

use crate::naive::{Table, flatten};

/// What a naive chain holds between events.
pub(crate) struct Chain {
    expression: Regex,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let expression = Regex::new(
            r"(?s)\A(?P<timestamp>\d{4}-\d{2}-\d{2} \d{2}:\d{2}:\d{2}) (?P<level>\w+) \[(?P<logger>\w+)\] (?P<text>.*?): host=(?P<db>\S+) duration=(?P<duration_ms>[+-]?\d+)ms\z",
        );
        Self { expression: expression.expect("the naive expression") }
    }

    /// Rows of logs and rows of the metric.
    pub(crate) fn run(&self, records: &[Record]) -> (usize, usize) {
        let mut table = Table::new();
        let mut counts: HashMap<(String, String, i64), i64> = HashMap::new();
        for record in records {
            let mut event: Value = serde_json::from_slice(&record.payload).expect("JSON");
            if event["service"] != "checkout" {
                continue;
            }
            let seconds = self.parse(&mut event);
            let level = text(&event, "level");
            let key = (text(&event, "service"), level.clone(), seconds / 10);
            *counts.entry(key).or_default() += 1;
            if level == "DEBUG" {
                continue;
            }
            let texts = ["service", "hostname", "ddsource", "message", "level"];
            let texts = texts.map(|name| text(&event, name));
            let mut pairs = Vec::new();
            flatten("", &event, &mut pairs);
            table.push(seconds * 1_000_000, 0, &texts, &pairs, &[]);
        }
        (table.finish(), counts.len())
    }

    /// Captures into the event; the time found.
    fn parse(&self, event: &mut Value) -> i64 {
        let message = text(event, "message");
        let Some(captures) = self.expression.captures(&message) else { return 0 };
        for name in self.expression.capture_names().flatten() {
            let found = captures.name(name).map_or("", |found| found.as_str());
            event[name] = match name {
                "duration_ms" => Value::from(found.parse::<i64>().unwrap_or(0)),
                _ => Value::from(found),
            };
        }
        let found = captures.name("timestamp").map_or("", |found| found.as_str());
        let time = chrono::NaiveDateTime::parse_from_str(found, "%Y-%m-%d %H:%M:%S");
        time.map_or(0, |time| time.and_utc().timestamp())
    }
}

fn text(event: &Value, name: &str) -> String {
    event[name].as_str().unwrap_or("").to_owned()
}
