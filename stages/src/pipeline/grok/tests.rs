//! Rules as Datadog documents them, and what must hold of any rule and any line.

use proptest::prelude::*;

use super::*;

/// What `rules` extract from `line`, as `key=value`; `None` where none matches.
fn parse_with(rules: &str, support: &str, line: &str) -> Option<Vec<String>> {
    let grok = Grok::compile(rules, support).unwrap_or_else(|errors| panic!("{errors:?}"));
    let arena = Bump::new();
    let mut attributes = Attributes::new_in(&arena);
    let line: &str = arena.alloc_str(line);
    let matched = grok.parse(&arena, line, EventTime::default(), &mut attributes);
    matched.then(|| attributes.iter().map(|(key, value)| format!("{key}={value}")).collect())
}

fn parse(rules: &str, line: &str) -> Option<Vec<String>> {
    parse_with(rules, "", line)
}

fn pairs(text: &str) -> Option<Vec<String>> {
    Some(text.split('|').filter(|pair| !pair.is_empty()).map(str::to_owned).collect())
}

const EXAMPLE: &str =
    "2024-04-27 12:00:00 ERROR [app] Connection timeout: host=db01 duration=5002ms";

#[test]
fn the_example_everybody_knows_parses() {
    let rule = r#"rule %{date("yyyy-MM-dd HH:mm:ss"):timestamp} %{word:level} \[%{word:service}\] %{data:message}: host=%{notSpace:host} duration=%{integer:duration_ms}ms"#;
    let expected = "timestamp=1714219200000|level=ERROR|service=app|message=Connection timeout|host=db01|duration_ms=5002";
    assert_eq!(parse(rule, EXAMPLE), pairs(expected));
}

const JOHN: &str = "john connected on 11/08/2017";

/// Rule, line, what is extracted.
const DOCUMENTED: &[(&str, &str, &str)] = &[
    (
        r#"MyParsingRule %{word:user} connected on %{date("MM/dd/yyyy"):date}"#,
        JOHN,
        "user=john|date=1510099200000",
    ),
    (
        r#"r %{word:user.name} id:%{integer:user.id} %{data::keyvalue}"#,
        "john id:7 a=1 b=x",
        "user.name=john|user.id=7|a=1|b=x",
    ),
    (
        r#"r %{regex("[a-z]*"):user.firstname}_%{regex("[a-zA-Z0-9]*"):user.id} .*"#,
        "john_1a2b3c4 connected on 11/08/2017",
        "user.firstname=john|user.id=1a2b3c4",
    ),
    (
        r#"r (%{integer:user.id}|%{word:user.firstname}) connected on %{date("MM/dd/yyyy"):connect_date}"#,
        JOHN,
        "user.firstname=john|connect_date=1510099200000",
    ),
    (
        r#"r (%{integer:user.id}|%{word:user.firstname}) connected on .*"#,
        "12345 connected on 11/08/2017",
        "user.id=12345",
    ),
    (
        r#"r %{word:user.firstname} (%{integer:user.id} )?connected on .*"#,
        JOHN,
        "user.firstname=john",
    ),
    (
        r#"r %{word:user.firstname} (%{integer:user.id} )?connected on .*"#,
        "john 12345 connected on x",
        "user.firstname=john|user.id=12345",
    ),
    (
        r#"r %{data::keyvalue}"#,
        "user=john connect_date=11/08/2017 id=123 action=click",
        "user=john|id=123|action=click",
    ),
    (
        r#"r %{data::keyvalue("=","/:")}"#,
        "url=https://app.datadoghq.com/event/stream user=john",
        "url=https://app.datadoghq.com/event/stream|user=john",
    ),
    (r#"r %{data::keyvalue(":")}"#, "key:valueStr", "key=valueStr"),
    (r#"r %{data::keyvalue(":","/")}"#, "key:\"/valueStr\"", "key=/valueStr"),
    (r#"r %{data::keyvalue("=","","<>")}"#, "key:=valueStr key=<two words>", "key=two words"),
    (r#"r %{data::keyvalue("=","","{}")}"#, "key={valueStr}", "key=valueStr"),
    (
        r#"r %{data::keyvalue("=","","","|")}"#,
        "key1=value1|key2=\"value 2\"",
        "key1=value1|key2=value 2",
    ),
    (
        r#"r %{data::keyvalue}"#,
        "a=08 b=null c=true d= e=1.5 a=2 f=\"123\"",
        "a=[\"08\",2]|c=true|e=1.5|f=123",
    ),
    (
        r#"r %{date("yyyy-MM-dd"):date} %{data:user.json:json}"#,
        r#"2017-01-02 {"a":{"b":1},"c":[1]}"#,
        "date=1483315200000|user.json.a.b=1|user.json.c=[1]",
    ),
    (
        r#"r vm %{word:vm}\[%{number:pid}\]: %{data::json}"#,
        r#"vm abc[12]: {"port":80,"x":null}"#,
        "vm=abc|pid=12|port=80",
    ),
    (r#"r %{notSpace:ip:nullIf("-")} %{notSpace:user:nullIf("-")}"#, "- u", "user=u"),
    (
        r#"r Users %{data:users:array("[]",",")} have been added"#,
        "Users [John, Oliver,Marc] have been added",
        "users=[\"John\",\" Oliver\",\"Marc\"]",
    ),
    (r#"r %{data:n:array("{}","-", integer)}"#, "{1-2-x}", "n=[1,2]"),
    (
        r#"r %{data:user:csv("first_name,name,st_nb,st_name,city")}"#,
        "John,Doe,120,\"Jefferson \"\"St\"\".\",Riverside",
        "user.first_name=John|user.name=Doe|user.st_nb=120|user.st_name=Jefferson \"St\".|user.city=Riverside",
    ),
    (
        r#"r %{data::querystring}"#,
        "?productID=superproduct&promotionCode=super%20code&a=1&a=2",
        "productID=superproduct|promotionCode=super code|a=[\"1\",\"2\"]",
    ),
    (
        r#"r %{number:d:scale(1000)} %{word:w:uppercase} %{word:x:lowercase} %{notSpace:u:decodeuricomponent}"#,
        "1.5 ab CD a%2Fb",
        "d=1500|w=AB|x=cd|u=a/b",
    ),
    (
        r#"r %{ip:a} %{ipOrHost:b} %{hostname:c}:%{port:p} %{uuid:u} %{mac:m} %{boolean("yes","no"):f}"#,
        "2001:db8::1 10.0.0.1 web-1.example.com:8080 550e8400-e29b-41d4-a716-446655440000 00:1b:44:11:3a:b7 YES",
        "a=2001:db8::1|b=10.0.0.1|c=web-1.example.com|p=8080|u=550e8400-e29b-41d4-a716-446655440000|m=00:1b:44:11:3a:b7|f=true",
    ),
    (
        r#"r %{quotedString:q} %{doubleQuotedString:d} %{numberExt:e} %{integerStr:i} %{numberStr:n}"#,
        "'a b' \"c\" 1.5e3 007 .5",
        "q='a b'|d=\"c\"|e=1500|i=007|n=.5",
    ),
    ("first %{word:a}\nsecond %{word:a} %{word:a}", "x y", "a=[\"x\",\"y\"]"),
    (r"r %{hostname:h}-%{integer:n}", "web-12-7", "h=web-12|n=7"),
    (r"r \s*%{data:a}\s+%{greedyData:b}", " one  two three", "a=one|b=two three"),
    (r"r (?<year>\d{4})-%{data:rest}", "2024-x", "year=2024|rest=x"),
    (r"r (ab)+ %{word:w}", "abab c", "w=c"),
    (r"r a{2}b?[^c\]]*c%{data:d}", "aabxyc tail", "d= tail"),
    (r"r (a|b)c%{data:d}", "bcd", "d=d"),
    (r"r %{data:a}", "", ""),
    (r#"r %{regex("\d+"):a} %{regex("\\d+"):b} %{regex("[^\\\"]*"):c}"#, "1 2 x", "a=1|b=2|c=x"),
];

#[test]
fn documented_rules_extract_what_is_documented() {
    for (rule, line, expected) in DOCUMENTED {
        assert_eq!(parse(rule, line), pairs(expected), "{rule} on {line}");
    }
}

#[test]
fn rules_refer_to_support_rules_and_to_rules_above() {
    let support = "_user %{word:user.firstname}\n_date %{date(\"MM/dd/yyyy\"):date}";
    let rules = "one %{_user} left\ntwo %{_user} connected on %{_date}\nthree <%{one:whole}>";
    assert_eq!(
        parse_with(rules, support, "john connected on 11/08/2017"),
        pairs("user.firstname=john|date=1510099200000")
    );
    assert_eq!(
        parse_with(rules, support, "<john left>"),
        pairs("whole=john left|user.firstname=john")
    );
    assert_eq!(parse_with(rules, support, "nothing of the kind"), None);
}

#[test]
fn bad_rules_are_refused_with_their_place() {
    for (rules, support, line, column, part) in [
        ("a %{nope:x}", "", 1, 3, "unknown matcher"),
        ("a %{word:x:nope}", "", 1, 3, "unknown filter"),
        ("a x\na y", "", 2, 1, "already used"),
        ("a x %{word:y", "", 1, 13, "`}`"),
        ("a %{date(\"Q\"):x}", "", 1, 3, "no letter"),
        ("a %{date(\"HH\",\"Mars/Base\"):x}", "", 1, 3, "time zone"),
        ("a (x", "", 1, 1, "regular expression"),
        ("\na (?<=x)y", "", 2, 1, "look-around"),
        ("a", "", 1, 1, "pattern"),
        ("", "", 1, 1, "no rule"),
        ("a %{b}", "b %{c}\nc %{b}", 1, 3, "circle"),
        ("a %{regex(\"(\"):x}", "", 1, 1, "regular expression"),
        ("a/b x", "", 1, 1, "name"),
    ] {
        let errors = Grok::compile(rules, support).expect_err(rules);
        let error = errors.first().expect("one error");
        assert_eq!((error.line, error.column), (line, column), "{rules}: {error}");
        assert!(error.reason.contains(part), "{rules}: {error}");
    }
}

#[test]
fn a_hopeless_line_gives_up_within_its_steps() {
    let grok = Grok::compile("r %{data:a} %{data:b} %{data:c} %{data:d} %{data:e}!x%{word:f}", "");
    let grok = grok.expect("compiles");
    let line = format!("{}!x-", "a ".repeat(20_000));
    let arena = Bump::new();
    let mut attributes = Attributes::new_in(&arena);
    let line: &str = arena.alloc_str(&line);
    assert!(!grok.parse(&arena, line, EventTime::default(), &mut attributes));
    assert_eq!(grok.gave_up(), 1);
    assert!(attributes.is_empty());
}

/// A piece of a rule without tokens, in the syntax both engines read alike.
fn piece() -> impl Strategy<Value = String> {
    let parts = [
        "a",
        "b",
        "ab",
        "a?",
        "b*",
        "a+",
        "[ab]+",
        "[^a]*",
        "(a|b)",
        "(ab)?",
        "\\d+",
        "\\w",
        ".",
        ".*?",
        "\\s*",
        "(?:b|ab|)",
        "a{1,2}",
        "-",
        "(a(b|-)?|b)",
        "[^b]*?",
        "b+?",
    ];
    prop::sample::select(parts.to_vec()).prop_map(str::to_owned)
}

proptest! {
    #[test]
    fn the_straight_program_finds_what_the_regex_crate_finds(
        parts in prop::collection::vec((piece(), any::<bool>()), 1..6),
        line in "[ab1 \u{e9}-]{0,12}",
    ) {
        let mut pattern = String::new();
        let mut pieces = Vec::new();
        for (index, (part, captured)) in parts.iter().enumerate() {
            if *captured {
                pieces.push(rules::Piece::Token(matchers::Matcher::Regex(part.clone()), Some(index)));
            } else {
                pieces.push(rules::Piece::Raw(part.clone()));
            }
            pattern.push_str(part);
        }
        let straight = straight::compile(&pieces);
        prop_assert!(straight.is_ok(), "{}", pattern);
        let Ok(straight) = straight else { return Ok(()) };
        let regex = fallback::compile(&pieces).map_err(TestCaseError::fail)?;
        let (mut a, mut b) = (vec![UNSET; parts.len()], vec![UNSET; parts.len()]);
        let one = straight.matches(&line, EventTime::default(), &mut a);
        let two = regex.matches(&line, &mut b, &mut |_, _| {});
        if one != Outcome::GaveUp {
            prop_assert_eq!(one, two, "{}", pattern);
        }
        if one == Outcome::Match {
            prop_assert_eq!(a, b, "{}", pattern);
        }
    }

    #[test]
    fn no_rule_and_no_line_makes_it_panic(rule in "[a-c%{}:().|?*+\\[\\]\\\\\" ]{0,30}|\\PC{0,30}", line in "\\PC{0,30}") {
        if let Ok(grok) = Grok::compile(&format!("r {rule}"), "") {
            let arena = Bump::new();
            let line: &str = arena.alloc_str(&line);
            grok.parse(&arena, line, EventTime::default(), &mut Attributes::new_in(&arena));
        }
    }

    #[test]
    fn no_text_makes_a_matcher_or_filter_panic(line in "\\PC{0,60}|[ab=:,;\"'<>{}\\[\\]%0-9.\\-+&? ]{0,60}") {
        let names = [
            "word", "ip", "ipv4", "ipv6", "hostname", "ipOrHost", "hostPort", "port", "uuid", "mac", "number",
            "integerExt", "quotedString", "boolean", "date(\"EEE, dd MMM yyyy HH:mm:ss.SSS z\")",
            "date(\"M/d/yy h:mm a ZZ\")",
        ];
        let filters = [
            "json", "keyvalue", "keyvalue(\":\",\"/\\\\s\",\"()\",\";\")", "querystring", "decodeuricomponent",
            "uppercase", "lowercase", "scale(2)", "array", "array(\"\",\",\",number)", "csv(\"a,b,c\")",
            "nullIf(\"-\")", "number", "integer", "boolean",
        ];
        for rule in names.iter().map(|name| format!("r %{{{name}:x}}%{{data:y}}"))
            .chain(filters.iter().map(|filter| format!("r %{{data:x:{filter}}}"))) {
            parse(&rule, &line);
        }
    }
}
