//! The chain a log goes through on one core, against the one people build from parts: `serde_json` values,
//! Vector's grok and search (the `vrl` crate), hash maps, Arrow builders. Decode, a parser of 50 rules, 20
//! log-based metrics, 10 exclusion filters, grouping of errors, an Arrow batch. Then each of our stages alone.
//!
//! Both sides must keep the same logs, count the same in every metric, and find the same errors.

#[expect(dead_code, reason = "there is one case here")]
#[path = "../../benches/harness/mod.rs"]
mod harness;
#[expect(dead_code, reason = "this bench uses the table and the flattening")]
#[path = "../../benches/naive/mod.rs"]
mod naive;

#[path = "chain/ours.rs"]
mod ours;
#[path = "chain/parts.rs"]
mod parts;

use harness::{Input, Size, compare};
use oracle::lines;
use schemas::time::EventTime;
use stages::record::Record;

/// Application logs of about 250 bytes, a thousand of them a second, a tenth of them errors.
fn records(count: usize) -> Vec<Record> {
    let made = lines::server(count);
    let record = |(number, line): (usize, &String)| {
        let second = number / 1_000;
        let (minute, second) = (second / 60 % 60, second % 60);
        let line = format!(
            "2022/06/17 06:{minute:02}:{second:02}{}",
            &line["2022/06/17 06:00:00".len()..]
        );
        let status = if number % 10 == 3 { "error" } else { "info" };
        let payload = format!(
            r#"{{"service":"shop","hostname":"node-{}","ddsource":"server","status":"{status}","env":"prod","message":"{line}"}}"#,
            number % 40
        );
        Record {
            offset: number as i64,
            timestamp: EventTime::from_nanos(1_714_219_200_000_000_000 + number as i64 * 1_000_000),
            payload: payload.into_bytes(),
            headers: Vec::new(),
        }
    };
    made.iter().enumerate().map(record).collect()
}

fn main() {
    let size = Size::from_arguments();
    let records = records(200 * size.scale);
    let bytes = records.iter().map(|record| record.payload.len()).sum();
    let input = Input { events: records.len(), bytes };
    println!("{} bytes an event", bytes / records.len());
    let pipeline = ours::pipeline();
    let parts = parts::Parts::new();
    assert_eq!(ours::run(&pipeline, &records), parts.run(&records), "both chains give the same");
    compare(
        "chain",
        input,
        size,
        || ours::run(&pipeline, &records).kept,
        || parts.run(&records).kept,
    );
    ours::stages(&pipeline, &records, size);
}

/// What a chain made of its input.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Made {
    /// Rows of logs.
    pub(crate) kept: usize,
    /// Events counted, by metric.
    pub(crate) counted: Vec<i64>,
    /// Errors that were grouped.
    pub(crate) errors: usize,
}

/// Queries of the metrics.
pub(crate) const METRICS: [&str; 20] = [
    "service:shop",
    "@level:I0",
    "@level:I1",
    "@level:I2",
    "@level:I3",
    "status:error",
    "status:info",
    "@duration:>=1500",
    "@duration:[100 TO 500]",
    "@component:Serv",
    "@file:Manager.cpp",
    "@network.client.ip:192.168.1.*",
    "service:shop @level:I4",
    "@line:>200",
    "@line:[0 TO 99]",
    "-status:error",
    "@duration:<10 OR @duration:>2900",
    "@pid:17001",
    "@request:00*",
    "service:other",
];

/// Queries of the exclusion filters, the first that matches decides.
pub(crate) const EXCLUSIONS: [&str; 10] = [
    "service:other",
    "@level:D*",
    "@duration:<100",
    "@pid:17002",
    "status:debug",
    "@file:Loader.cpp",
    "@line:399",
    "@network.client.ip:192.168.7.*",
    "@component:Cache",
    "service:health @level:I1",
];

/// Metrics from the eleventh on measure this attribute.
pub(crate) const MEASURED: &str = "duration";
/// All are grouped by this attribute.
pub(crate) const GROUPED_BY: &str = "level";
