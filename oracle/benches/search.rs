//! Nanoseconds a record costs a query: ours on the pipeline's records against Vector's matcher on its
//! values. Both must find the same records before anything is timed.

#[path = "../../benches/harness/mod.rs"]
mod harness;

use bumpalo::Bump;
use harness::{Input, Size, compare, wanted};
use oracle::search::{Log, Scalar, ours, theirs};

/// Name, query.
const QUERIES: &[(&str, &str)] = &[
    ("service", "service:web-3"),
    ("attribute", "@http.method:GET"),
    ("number", "@http.status_code:>=500"),
    ("range", "@duration:[100 TO 250]"),
    ("wildcard", "@http.url:*checkout*7"),
    ("prefix", "@http.url:/api/cart*"),
    ("word", "timeout"),
    ("phrase", "\"connection timeout\""),
    ("tag", "env:prod"),
    ("list", "service:(web-1 OR web-2 OR web-5)"),
    ("exclusion", "service:web-3 -status:debug @http.status_code:[200 TO 299]"),
    ("mixed", "(status:error OR @http.status_code:>=500) env:prod -\"health check\""),
];

fn logs(count: usize) -> Vec<Log> {
    (0..count)
        .map(|index| Log {
            message: format!(
                "request {index} to cart {} after {} ms at [db{:02}]",
                if index % 7 == 0 { "failed: connection timeout" } else { "done, health check ok" },
                index % 400,
                index % 12
            ),
            service: format!("web-{}", index % 9),
            host: format!("host-{}", index % 40),
            source: "nginx".to_owned(),
            status: ["info", "debug", "error", "warn"][index % 4].to_owned(),
            tags: vec![
                format!("env:{}", if index % 3 == 0 { "prod" } else { "staging" }),
                format!("version:1.{}", index % 10),
                "team:shop".to_owned(),
                format!("pod_name:web-{index}"),
            ],
            attributes: vec![
                ("http.method".to_owned(), Scalar::Text(["GET", "POST"][index % 2].to_owned())),
                ("http.status_code".to_owned(), Scalar::Int([200, 204, 404, 500, 503][index % 5])),
                (
                    "http.url".to_owned(),
                    Scalar::Text(format!("/api/{}/{index}", ["cart", "checkout"][index / 3 % 2])),
                ),
                ("duration".to_owned(), Scalar::Int((index * 7 % 400) as i64)),
                ("network.client.ip".to_owned(), Scalar::Text(format!("10.0.0.{}", index % 250))),
                ("user.id".to_owned(), Scalar::Text(format!("u{}", index % 1000))),
                ("ratio".to_owned(), Scalar::Float(0.25 + index as f64)),
                ("cached".to_owned(), Scalar::Bool(index % 2 == 0)),
            ],
        })
        .collect()
}

fn main() {
    let size = Size::from_arguments();
    run("hot", 200, size);
    run("cold", if size.rounds > 1 { 5_000 } else { 200 }, size);
}

/// A log the worker has just decoded is in the processor's own memory, as 200 of them are; 5,000 are not.
fn run(state: &str, count: usize, size: Size) {
    let logs = logs(count);
    let bytes: usize = logs.iter().map(|log| log.message.len()).sum();
    let arena = Bump::new();
    let records: Vec<_> = logs.iter().map(|log| log.ours(&arena)).collect();
    let values: Vec<_> = logs.iter().map(Log::theirs).collect();
    for (name, query) in QUERIES {
        if !wanted(name) {
            continue;
        }
        let (one, other) = (ours(query), theirs(query).expect("Vector takes the query"));
        for (record, value) in records.iter().zip(&values) {
            assert_eq!(one.matches(record), other.run(value), "{query} on {record:?}");
        }
        // A pass takes microseconds: several make a measurement.
        let name = &format!("{name} {state}");
        let passes = (5_000 / count).max(1) * size.scale;
        let input = Input { events: records.len() * passes, bytes: bytes * passes };
        compare(
            name,
            input,
            size,
            || {
                (0..passes)
                    .map(|_| records.iter().filter(|record| one.matches(*record)).count())
                    .sum()
            },
            || (0..passes).map(|_| values.iter().filter(|value| other.run(value)).count()).sum(),
        );
    }
}
