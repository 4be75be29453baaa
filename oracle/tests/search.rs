//! Our search beside Vector's, on queries both understand. Where the two differ the documentation
//! decides; `DIFFERENT` says why, and the test fails once it is no longer so.

use bumpalo::Bump;
use oracle::search::{Log, Scalar, ours, theirs};
use proptest::prelude::*;

fn log() -> Log {
    Log {
        message: "Hello beautiful World: connection timeout at db01".to_owned(),
        service: "web-store".to_owned(),
        host: "host-1".to_owned(),
        source: "nginx".to_owned(),
        status: "error".to_owned(),
        tags: ["env:prod", "team:shop", "a:2", "mytag"].map(str::to_owned).to_vec(),
        attributes: vec![
            ("http.status_code".to_owned(), Scalar::Int(404)),
            ("http.url".to_owned(), Scalar::Text("https://a.b/c?d=e".to_owned())),
            ("ratio".to_owned(), Scalar::Float(0.25)),
            ("flag".to_owned(), Scalar::Bool(true)),
            ("text_number".to_owned(), Scalar::Text("200".to_owned())),
            ("names".to_owned(), Scalar::Texts(vec!["Peter".to_owned(), "Ann".to_owned()])),
            ("client.ip".to_owned(), Scalar::Text("10.1.2.3".to_owned())),
        ],
    }
}

/// Query, what it is on [`log`], on both sides.
const SAME: &[(&str, bool)] = &[
    ("", true),
    ("*", true),
    ("a:[10 TO 3]", true),
    ("@http.url:https\\:\\/\\/a.b\\/c?d=e", true),
    ("Hello", true),
    ("Hello AND World", true),
    ("nope OR World", true),
    ("nope OR Hello AND World", true),
    ("(nope OR Hello) AND never", false),
    ("-nope", true),
    ("NOT nope", true),
    ("Hello -World", false),
    ("\"connection timeout\"", true),
    ("\"timeout connection\"", false),
    ("beaut*", true),
    ("service:web-store", true),
    ("service:web*", true),
    ("service:Web-store", false),
    ("host:host-1 source:nginx status:error", true),
    ("service:(api OR web-store)", true),
    ("env:prod", true),
    ("env:(staging OR prod)", true),
    ("env:pro*", true),
    ("tags:mytag", true),
    ("a:2", true),
    ("@a:2", false),
    ("@http.status_code:404", true),
    ("@http.status_code:[400 TO 499]", true),
    ("@http.status_code:{404 TO 499}", false),
    ("@http.status_code:>=404", true),
    ("@http.status_code:<404", false),
    ("@http.status_code:[* TO 500]", true),
    ("@http.status_code:(200 OR 404)", true),
    ("@ratio:0.25", true),
    ("@ratio:<4.12345E-1", true),
    ("@flag:true", true),
    ("@text_number:200", true),
    ("@http.url:https*", true),
    ("_exists_:@ratio", true),
    ("_missing_:@nope", true),
    ("_exists_:@nope", false),
    ("@ratio:* -@nope:*", true),
];

/// Query, what ours says, why Vector's says otherwise or nothing.
const DIFFERENT: &[(&str, bool, &str)] = &[
    ("hello", true, "free text is in any case"),
    ("Hello World", true, "words side by side may stand apart"),
    ("@names:Peter", true, "an element of an array"),
    ("nokey:[1 TO 9]", false, "tags compare as text, within the tag's own key"),
    ("@text_number:[150 TO 1000]", true, "a number written as text is a number"),
    ("*:peter", true, "all attributes, any case"),
    ("CIDR(@client.ip, 10.0.0.0/8)", true, "blocks of addresses"),
    ("env:?rod", true, "`?` is one character"),
];

#[test]
fn both_find_the_same() {
    let (log, arena) = (log(), Bump::new());
    let (record, value) = (log.ours(&arena), log.theirs());
    for (query, expected) in SAME {
        assert_eq!(ours(query).matches(&record), *expected, "ours: {query}");
        let vector = theirs(query).unwrap_or_else(|error| panic!("{query}: {error}"));
        assert_eq!(vector.run(&value), *expected, "Vector's: {query}");
    }
}

#[test]
fn where_they_differ_ours_is_what_is_documented() {
    let (log, arena) = (log(), Bump::new());
    let (record, value) = (log.ours(&arena), log.theirs());
    for (query, expected, reason) in DIFFERENT {
        assert_eq!(ours(query).matches(&record), *expected, "{reason}: {query}");
        let vector = theirs(query).ok().map(|vector| vector.run(&value));
        assert_ne!(vector, Some(*expected), "no longer different: {reason}: {query}");
    }
}

/// A query of what both mean the same by, for a log with these words in it.
fn query() -> impl Strategy<Value = String> {
    let term = prop_oneof![
        prop::sample::select(vec!["alpha", "beta", "gamma", "\"alpha beta\"", "al*"])
            .prop_map(str::to_owned),
        ("service|host|source", "[ab]{1,2}[*]?").prop_map(|(f, v)| format!("{f}:{v}")),
        prop::sample::select(vec!["status:error", "status:info"]).prop_map(str::to_owned),
        ("t[12]", "[xy]{1,2}[*]?").prop_map(|(key, value)| format!("{key}:{value}")),
        ("@n\\.[12]", "[<>]=?|", -3i64..40).prop_map(|(field, op, n)| {
            let n = if n < 0 && op.is_empty() { format!("\\{n}") } else { n.to_string() };
            format!("{field}:{op}{n}")
        }),
        ("@n\\.[12]", 0i64..20, 0i64..40).prop_map(|(f, a, b)| format!("{f}:[{a} TO {b}]")),
        ("@n\\.[12]", 0i64..20, 0i64..40).prop_map(|(f, a, b)| format!("{f}:{{{a} TO {b}}}")),
        ("@s", "[ab]{1,3}[*]?|[*][ab]").prop_map(|(field, value)| format!("{field}:{value}")),
        "_(exists|missing)_:@(n\\.1|s|nope)",
    ];
    term.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} AND {b}")),
            (inner.clone(), inner.clone()).prop_map(|(a, b)| format!("{a} OR {b}")),
            inner.clone().prop_map(|query| format!("({query})")),
            inner.prop_map(|query| format!("-({query})")),
        ]
    })
}

fn any_log() -> impl Strategy<Value = Log> {
    let word = prop::sample::select(vec!["alpha", "beta", "gamma", "delta"]);
    (
        prop::collection::vec(word, 1..5),
        "[ab]{1,2}",
        "[ab]{0,2}",
        "error|info|warn",
        prop::collection::vec("t[12]:[xy]{1,2}", 0..4),
        (prop::option::of(-3i64..40), prop::option::of(-3i64..40), prop::option::of("[ab]{1,3}")),
    )
        .prop_map(|(words, service, host, status, tags, (first, second, text))| {
            let mut attributes = Vec::new();
            attributes.extend(first.map(|number| ("n.1".to_owned(), Scalar::Int(number))));
            attributes.extend(second.map(|n| ("n.2".to_owned(), Scalar::Float(n as f64 + 0.5))));
            attributes.extend(text.map(|text| ("s".to_owned(), Scalar::Text(text))));
            let (message, source) = (words.join(" "), String::new());
            Log { message, service, host, source, status, tags, attributes }
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(3_000))]

    #[test]
    fn queries_nobody_wrote_find_the_same(query in query(), log in any_log()) {
        let Ok(vector) = theirs(&query) else { return Ok(()) };
        let arena = Bump::new();
        prop_assert_eq!(
            ours(&query).matches(&log.ours(&arena)),
            vector.run(&log.theirs()),
            "{} on {:?}", query, log
        );
    }
}
