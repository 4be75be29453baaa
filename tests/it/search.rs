//! One query, two targets: a filter of the worker takes a record exactly if `search('...')` in SQL finds
//! the row it became.

use bumpalo::Bump;
use proptest::prelude::*;
use schemas::status::Status;
use schemas::time::EventTime;
use search::Query;
use stages::columns::{Lineage, LogColumns, TableColumns};
use stages::event::LogEvent;
use stages::value::Value;

/// An attribute value as people send them.
#[derive(Debug, Clone)]
enum Sent {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    Texts(Vec<String>),
    Numbers(Vec<i64>),
    /// Objects in an array, each with a member `name`.
    Objects(Vec<String>),
}

fn sent() -> impl Strategy<Value = Sent> {
    let text = || "[a-c]{0,2}|[0-9]{1,2}|1\\.5|true|\\[1,\"a\"\\]|\\[\\]|\\[b|10\\.0\\.0\\.[0-9]";
    prop_oneof![
        Just(Sent::Null),
        any::<bool>().prop_map(Sent::Bool),
        (-3i64..40).prop_map(Sent::Int),
        prop_oneof![(-3i32..40).prop_map(|n| f64::from(n) / 2.0), Just(1e300), Just(f64::NAN)]
            .prop_map(Sent::Float),
        text().prop_map(Sent::Text),
        prop::collection::vec(text(), 0..3).prop_map(Sent::Texts),
        prop::collection::vec(-3i64..40, 0..3).prop_map(Sent::Numbers),
        prop::collection::vec(text(), 0..3).prop_map(Sent::Objects),
    ]
}

#[derive(Debug, Clone)]
struct Log {
    message: String,
    service: String,
    env: String,
    status: Option<Status>,
    tags: Vec<String>,
    attributes: Vec<(String, Sent)>,
}

fn log() -> impl Strategy<Value = Log> {
    let path = prop_oneof![
        Just("x".to_owned()),
        "x\\.[yz]",
        Just("error.kind".to_owned()),
        Just("error.type".to_owned()),
        Just("exception.message".to_owned()),
        Just("error.stack".to_owned()),
    ];
    let status =
        prop::option::of(prop::sample::select(vec![Status::Error, Status::Info, Status::Ok]));
    (
        "(alpha|beta|Gamma|a-b|[0-9]){0,3}( (alpha|beta)){0,2}",
        "[ab]{0,2}",
        "[ab]{0,1}",
        status,
        prop::collection::vec("(env|version|t):[ab]{0,2}|t|env", 0..4),
        prop::collection::vec((path, sent()), 0..5),
    )
        .prop_map(|(message, service, env, status, tags, attributes)| Log {
            message,
            service,
            env,
            status,
            tags,
            attributes,
        })
}

fn event<'b>(log: &'b Log, arena: &'b Bump) -> LogEvent<'b> {
    let mut event = LogEvent::new_in(arena, EventTime::default());
    event.message = &log.message;
    event.service = &log.service;
    event.env = &log.env;
    event.status = log.status;
    event.tags.extend(log.tags.iter().map(String::as_str));
    for (path, sent) in &log.attributes {
        let array = |items: Vec<Value<'b>>| Value::Array(arena.alloc_slice_copy(&items));
        let value = match sent {
            Sent::Null => Value::Null,
            Sent::Bool(flag) => Value::Bool(*flag),
            Sent::Int(number) => Value::Int(*number),
            Sent::Float(number) => Value::Float(*number),
            Sent::Text(text) => Value::Str(text),
            Sent::Texts(texts) => array(texts.iter().map(|text| Value::Str(text)).collect()),
            Sent::Numbers(numbers) => array(numbers.iter().map(|n| Value::Int(*n)).collect()),
            Sent::Objects(names) => array(
                names
                    .iter()
                    .map(|name| {
                        Value::Object(arena.alloc_slice_copy(&[("name", Value::Str(name))]))
                    })
                    .collect(),
            ),
        };
        event.attributes.set(path, value);
    }
    event
}

fn query() -> impl Strategy<Value = String> {
    let field = prop_oneof![
        "@x(\\.[yz])?(\\.name)?",
        Just("@error".to_owned()),
        Just("@error.kind".to_owned()),
        Just("@error.type".to_owned()),
        Just("@exception".to_owned()),
        Just("@error.message".to_owned()),
        Just("service".to_owned()),
        Just("env".to_owned()),
        Just("version".to_owned()),
        Just("status".to_owned()),
        Just("t".to_owned()),
        Just("tags".to_owned()),
    ];
    let test = prop_oneof![
        "[a-c]{1,2}[*]?",
        "[*][a-c]",
        "[0-9]{1,2}|1\\.5|true|error|info",
        "(>|<|>=|<=)[0-9]{1,2}",
        "\\[[0-9]{1,2} TO ([0-9]{1,2}|[*])\\]",
        "\\{[a-c] TO [a-c]\\}",
        "[*]",
        "\\?[a-c]?",
        "\"a?\"",
    ];
    let term = prop_oneof![
        4 => (field, test).prop_map(|(field, test)| format!("{field}:{test}")),
        1 => "_(exists|missing)_:@(x|error|exception|error\\.type|x\\.y)",
        1 => "alpha|beta|GAMMA|\"a-b\"|al*|[*]:(a|alpha|1)",
        1 => Just("CIDR(@x.y, 10.0.0.0/30)".to_owned()),
    ];
    term.prop_recursive(2, 8, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("({a} OR {b})")),
            inner.prop_map(|query| format!("-({query})")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn a_filter_takes_a_record_exactly_if_sql_finds_its_row(
        logs in prop::collection::vec(log(), 1..4),
        query in query(),
    ) {
        let query = Query::parse(&query).map_err(|e| TestCaseError::fail(format!("{query}: {e}")))?;
        let arena = Bump::new();
        let lineage = Lineage { topic: "t", partition: 0, offset: 1, pipeline_version: "v" };
        let mut columns = LogColumns::default();
        let events: Vec<_> = logs.iter().map(|log| event(log, &arena)).collect();
        events.iter().for_each(|event| columns.push(event, "main", &lineage));
        let batch = columns.finish().map_err(|e| TestCaseError::fail(e.to_string()))?;
        let rows = query::search_rows(&query, &batch).map_err(|e| TestCaseError::fail(e.to_string()))?;
        for (row, event) in events.iter().enumerate() {
            prop_assert_eq!(rows.value(row), query.matches(event), "{} on {:?}", query, event);
        }
    }
}

#[test]
fn any_of_several_tags_of_one_name_is_found_by_filters_and_by_sql() {
    let tags = ["env:", "env:b", "version:1", "version:2"].map(str::to_owned).to_vec();
    let (message, service, env) = Default::default();
    let log = Log { message, service, env, status: None, tags, attributes: Vec::new() };
    let arena = Bump::new();
    let event = event(&log, &arena);
    let lineage = Lineage { topic: "t", partition: 0, offset: 1, pipeline_version: "v" };
    let mut columns = LogColumns::default();
    columns.push(&event, "main", &lineage);
    let batch = columns.finish().expect("columns");
    for (text, expected) in [("env:b", true), ("version:2", true), ("env:c", false)] {
        let query = Query::parse(text).expect("a query");
        let rows = query::search_rows(&query, &batch).expect("searches");
        assert_eq!((query.matches(&event), rows.value(0)), (expected, expected), "{text}");
    }
}
