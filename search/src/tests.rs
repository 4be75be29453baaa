//! The language as Datadog documents it, and what must hold of any query.

use proptest::prelude::*;

use super::*;

#[derive(Debug, Default)]
struct Log {
    message: &'static str,
    service: &'static str,
    attributes: Vec<(&'static str, Scalar<'static>)>,
    tags: Vec<&'static str>,
}

impl Record for Log {
    fn message(&self) -> &str {
        self.message
    }
    fn reserved(&self, field: Reserved, test: &mut dyn FnMut(&str) -> bool) -> bool {
        match field {
            Reserved::Service => !self.service.is_empty() && test(self.service),
            Reserved::Status => test("error"),
            _ => false,
        }
    }
    fn attribute(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.attributes.iter().any(|(key, value)| *key == path && test(*value))
    }
    fn has_attribute(&self, path: &str) -> bool {
        self.attributes.iter().any(|(key, _)| *key == path)
    }
    fn tag(&self, key: &str, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.tags.iter().any(|tag| {
            let (own, value) = tag.split_once(':').unwrap_or((tag, ""));
            own == key && test(value)
        })
    }
    fn tags(&self, test: &mut dyn FnMut(&str) -> bool) -> bool {
        self.tags.iter().any(|tag| test(tag))
    }
    fn everything(&self, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool {
        self.attributes.iter().any(|(_, value)| test(*value))
    }
}

fn log() -> Log {
    Log {
        message: "Hello beautiful World: connection-timeout at [db01] caf\u{e9}",
        service: "web-store",
        attributes: vec![
            ("http.status_code", Scalar::Int(404)),
            ("http.url", Scalar::Text("https://a.b/c?d=e")),
            ("my_attribute", Scalar::Text("hello:world")),
            ("spaced", Scalar::Text("hello world")),
            ("ratio", Scalar::Float(0.25)),
            ("flag", Scalar::Bool(true)),
            ("text_number", Scalar::Text("200")),
            ("temperature", Scalar::Int(-5)),
            ("client.ip", Scalar::Text("10.1.2.3")),
            ("client.v6", Scalar::Text("2001:db8::5")),
            ("client.mapped", Scalar::Text("::ffff:10.1.2.3")),
        ],
        tags: vec!["env:prod", "version:1.2", "mytag", "a:2"],
    }
}

#[test]
fn documented_queries_match_what_they_should() {
    for query in [
        "",
        "*",
        "*:*",
        "hello",
        "HELLO",
        "hello world",
        "\"hello beautiful\"",
        "beaut*",
        "*tiful",
        "hello AND world",
        "nope OR hello",
        "nope || hello",
        "hello && world",
        "hello -nope",
        "NOT nope",
        "!nope",
        "connection timeout",
        "\"connection timeout\"",
        "connection\\-timeout",
        "conn*timeout",
        "CAF\u{c9}",
        "service:web-store",
        "service:web*",
        "service:(api OR web-store)",
        "status:ERROR",
        "@http.status_code:404",
        "@http.status_code:[400 TO 499]",
        "@http.status_code:{403 TO 405}",
        "@http.status_code:>=404",
        "@http.status_code:<405",
        "@http.status_code:>\\-5",
        "@temperature:<-4",
        "@temperature:\\-5",
        "@temperature:-5",
        "@http.status_code:[* TO 500]",
        "@http.status_code:[400 TO *]",
        "@http.status_code:40?",
        "@my_attribute:\"hello:world\"",
        "@my_attribute:hello\\:world",
        "@my_attribute:hello:world",
        "@spaced:hello?world",
        "@spaced:hello\\ world",
        "@spaced:\"hello world\"",
        "@ratio:0.25",
        "@ratio:<4.1E-1",
        "@flag:true",
        "@text_number:200",
        "@text_number:>150",
        "_exists_:@ratio",
        "_missing_:@nope",
        "@ratio:*",
        "-@nope:*",
        "tags:mytag",
        "mytag:*",
        "a:2",
        "a:[1 TO 3]",
        "*:hello\\:world",
        "*:\"A.B\"",
        "(hello OR nope) AND @flag:true",
        "-(nope OR never)",
        "@http.url:https\\://*",
        "@http.url:*c?d*",
        "hello\n-nope",
        "CIDR(@client.ip, 10.0.0.0/8)",
        "CIDR(@client.ip,192.168.0.0/16, 10.1.2.0/24)",
        "CIDR(@client.ip, 10.1.2.3)",
        "CIDR(@client.mapped, 10.0.0.0/8)",
        "CIDR(@client.v6, 2001:db8::/32) hello",
        "NOT(CIDR(@client.ip, 10.2.0.0/16))",
        "-CIDR(@client.v6, 10.0.0.0/8)",
        "CIDR(@client.ip, 0.0.0.0/0)",
        "@spaced:(hello* -bye*)",
    ] {
        let parsed = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert!(parsed.matches(&log()), "{query} -> {parsed}");
    }
}

#[test]
fn what_is_not_there_does_not_match() {
    for query in [
        "nope",
        "hell",
        "\"hello world\"",
        "-hello",
        "hello nope",
        "web-store",
        "service:web",
        "service:Web-store",
        "@http.status_code:{404 TO 405}",
        "@http.status_code:>404",
        "a:bla",
        "@a:2",
        "@my_attribute:Hello\\:world",
        "@nope:*",
        "_missing_:@ratio",
        "_exists_:@nope",
        "@flag:false",
        "hello OR nope AND never -hello",
        "tags:a",
        "a:[10 TO 19]",
        "ello*",
        "@http.status_code:(200 OR 500)",
        "@spaced:\"hello*\"",
        "connection*at",
        "@flag:>z",
        "CIDR(@client.ip, 10.1.2.4/32)",
        "CIDR(@client.v6, 2001:db9::/32)",
        "CIDR(@my_attribute, 0.0.0.0/0)",
        "CIDR(@nope, 0.0.0.0/0)",
        "CIDR(@temperature, 0.0.0.0/0)",
    ] {
        let parsed = Query::parse(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        let expected = query.starts_with("hello OR");
        assert_eq!(parsed.matches(&log()), expected, "{query} -> {parsed}");
    }
}

#[test]
fn errors_name_the_character_and_the_fix() {
    for (query, character, part) in [
        ("(a", 1, "without its `)`"),
        ("a )", 3, "escape"),
        ("@a:[1 TO", 9, "value"),
        ("@a:[1 2]", 7, "TO"),
        ("\u{e9} \"open", 3, "without its end"),
        ("a AND", 6, "expected a term"),
        ("OR a", 3, "both sides"),
        ("@a:", 4, "value"),
        ("@a: b", 4, "space"),
        ("@:b", 1, "path"),
        ("a - b", 4, "excludes"),
        ("*:>1", 3, "one field"),
        ("\"\"", 1, "empty"),
        ("a\\", 3, "backslash"),
        ("x[1]", 2, "quote"),
        ("CIDR(@a, 10.0.0.0/33)", 10, "block"),
        ("CIDR(@a, nope)", 10, "block"),
        ("CIDR(@a)", 1, "needs a block"),
        ("CIDR(@a, 10.0.0.0/8", 1, "without its `)`"),
        ("CIDR(*, 10.0.0.0/8)", 1, "@attribute"),
    ] {
        let error = Query::parse(query).expect_err(query);
        assert_eq!(error.character, character, "{query}: {error}");
        assert!(error.reason.contains(part), "{query}: {error}");
    }
    assert!(Query::parse(&"(".repeat(100_000)).is_err());
    assert!(Query::parse(&"-".repeat(60_000)).is_err());
}

#[test]
fn a_long_run_takes_linear_time() {
    let message: &'static str = Box::leak("a".repeat(1 << 20).into_boxed_str());
    let log = Log { message, ..Log::default() };
    assert!(!Query::parse("a*a*a*a*a*b").expect("parses").matches(&log));
}

fn field() -> impl Strategy<Value = Field> {
    prop_oneof![
        Just(Field::Text),
        Just(Field::Everything),
        Just(Field::Tags),
        prop::sample::select(Reserved::ALL.to_vec()).prop_map(Field::Reserved),
        "[a-z.\\- :\"(@*]{1,6}".prop_map(Field::Attribute),
        "t[a-z.\\- :\"(@*]{0,4}q".prop_map(Field::Tag),
    ]
}

fn test() -> impl Strategy<Value = Test> {
    let bound = prop_oneof![
        Just(Bound::Open),
        "\\PC{0,4}".prop_map(Bound::Inclusive),
        "\\PC{0,4}".prop_map(Bound::Exclusive)
    ];
    prop_oneof![
        "\\PC{1,6}".prop_map(Test::Equals),
        ("\\PC{1,4}", "\\PC{1,4}").prop_map(|(a, b)| {
            Test::Like(Pattern::new([Part::Literal(a), Part::Any, Part::Literal(b), Part::One]))
        }),
        (bound.clone(), bound).prop_map(|(low, high)| match (&low, &high) {
            (Bound::Open, Bound::Open) => Test::Exists,
            _ => Test::Range { low, high },
        }),
        Just(Test::Exists),
        (any::<[u8; 4]>(), 0u8..=32).prop_map(|(ip, bits)| {
            let text = format!("{}.{}.{}.{}/{bits}", ip[0], ip[1], ip[2], ip[3]);
            Test::Cidr(vec![text.parse().expect("a block")])
        }),
    ]
}

fn node() -> impl Strategy<Value = Node> {
    let term = (field(), test()).prop_map(|(field, test)| match (&field, &test) {
        (Field::Everything, Test::Range { .. } | Test::Exists) => Node::All,
        (Field::Everything | Field::Text, Test::Cidr(_)) => Node::All,
        _ => Node::Term(Term { field, test, position: Position::default() }),
    });
    term.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::and),
            prop::collection::vec(inner.clone(), 1..4).prop_map(Node::or),
            inner.prop_map(Node::not),
        ]
    })
}

/// The meaning of a tree, said as plainly as possible.
fn naive(node: &Node, log: &Log) -> bool {
    match node {
        Node::All => true,
        Node::And(nodes) => nodes.iter().all(|node| naive(node, log)),
        Node::Or(nodes) => nodes.iter().any(|node| naive(node, log)),
        Node::Not(node) => !naive(node, log),
        term => Query::parse(&term.to_string()).is_ok_and(|query| query.matches(log)),
    }
}

proptest! {
    #[test]
    fn the_normal_form_parses_to_the_same_tree(node in node()) {
        let text = node.to_string();
        let parsed = Query::parse(&text).map_err(|e| TestCaseError::fail(format!("{text}: {e}")))?;
        prop_assert_eq!(parsed.ast(), &node, "{}", text);
        prop_assert_eq!(parsed.matches(&log()), naive(&node, &log()));
    }

    #[test]
    fn no_text_makes_the_parser_panic(text in "[@a-c:*?()\\[\\]{}<>=\"\\\\ -]{0,40}|\\PC{0,40}") {
        if let Ok(query) = Query::parse(&text) {
            query.matches(&log());
        }
    }

    #[test]
    fn globs_equal_a_recursive_evaluator(pattern in "[ab*?]{1,8}", value in "[ab]{0,10}") {
        fn matches(pattern: &[u8], value: &[u8]) -> bool {
            match pattern.split_first() {
                None => value.is_empty(),
                Some((b'*', rest)) => (0..=value.len()).any(|n| matches(rest, &value[n..])),
                Some((b'?', rest)) => !value.is_empty() && matches(rest, &value[1..]),
                Some((c, rest)) => value.first() == Some(c) && matches(rest, &value[1..]),
            }
        }
        let query = Query::parse(&format!("service:{pattern}"));
        let query = query.map_err(|e| TestCaseError::fail(e.to_string()))?;
        let service: &'static str = Box::leak(value.clone().into_boxed_str());
        let log = Log { service, ..Log::default() };
        let expected = !value.is_empty() && matches(pattern.as_bytes(), value.as_bytes());
        prop_assert_eq!(query.matches(&log), expected);
    }
}

#[test]
fn a_quoted_value_may_stand_behind_a_space() {
    let query = Query::parse("@severity: \"#\" OR b").expect("parses");
    assert_eq!(
        query.to_string(),
        Query::parse("@severity:\"#\" OR b").expect("parses").to_string()
    );
    assert!(Query::parse("@severity: x").is_err());
}
