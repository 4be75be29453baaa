//! Rules as Datadog documents them, and what must hold of any rule and any line.

use proptest::prelude::*;

use super::*;

/// What `rules` extract from `line`, as `key=value`; `None` where none matches.
fn parse_with(rules: &str, support: &str, line: &str) -> Option<Vec<String>> {
    let grok = Grok::compile(rules, support).unwrap_or_else(|errors| panic!("{errors:?}"));
    let arena = Bump::new();
    let mut attributes = Attributes::new_in(&arena);
    let line: &str = arena.alloc_str(line);
    let parsed = grok.parse(&arena, line, EventTime::default(), &mut attributes);
    (parsed == Parsed::Matched)
        .then(|| attributes.iter().map(|(key, value)| format!("{key}={value}")).collect())
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
    (r#"r %{data::keyvalue("="," ")}"#, "a=two words b=1", "a=two words|b=1"),
    (r#"r %{data::keyvalue("="," ")}"#, "no pair a=1 b=2, c=3", "b=2|c=3"),
    (r#"r %{data::keyvalue("="," ")}"#, "no pair, a=1 b=2", "a=1|b=2"),
    (r#"r %{data::keyvalue("="," ")}"#, "no pair} a=1 b=2", "a=1|b=2"),
    (r#"r %{data::keyvalue("="," \"")}"#, "a=\"open b=x y", "a=\"open|b=x y"),
    (r#"r %{data::keyvalue("=","",""," ,")}"#, "a=1, b=None, c=2", "a=1|b=None|c=2"),
    (r#"r %{data::keyvalue}"#, "took=263ms wait=0.5s code=007", "took=263|wait=500|code=7"),
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
    (r"r (?<=x)?%{word:a}(?=,),(?!z)%{data:b}", "ab,cd", "a=ab|b=cd"),
    (r"r (?<k>\w+)=(?<v>\w+);\k<k>", "a=b;a", "k=a|v=b"),
    (r"r %{notSpace:a}(?<=\d{2}|x)-%{data:b}", "n12-y", "a=n12|b=y"),
    (r"r (?>a|ab)c%{data:d}", "acd", "d=d"),
    (r"r (?i)ERROR (?:[a-f]+) %{word:w}", "error ABC x", "w=x"),
    (r"r (?i:warn)ing %{data:d}", "WARNing x", "d=x"),
    (r"r (%{word:w}[,;])+", "a,b;", "w=b"),
    (r"r (?:(\w+)=(\w*) ?)*", "a=1 b= c=3", ""),
    (r"r [à-ü]+ [^é]+ \Q(.)\E \x41\u0042%{data:d}", "éà x (.) ABc", "d=c"),
    (r"r [[:alpha:]]{2,3}?[[:^digit:]]*+$", "abcdef", ""),
    (r"r \bfoo\b.*\Bar\Z\n", "foo bar\n", ""),
    (r"r a{,2}b{1,}%{data:d}", "aabbx", "d=x"),
    (
        r#"r %{date("EEE d MMM yyyy","Europe/Paris","fr"):d}"#,
        "jeu. 14 juil. 2016",
        "d=1468447200000",
    ),
    (r#"r %{date("xxxx-'W'ww-e"):d}"#, "2016-W01-4", "d=1452124800000"),
    (r#"r %{date("dd/MM/yyyy kk:mm"):d}"#, "02/01/1970 24:30", "d=88200000"),
    (r#"r %{date("h:mm a"):d}"#, "12:05 AM", "d=300000"),
    (r#"r %{date("yyyy-DDD"):d}"#, "1970-032", "d=2678400000"),
    (r#"r %{date("dd.MM.yyyy"):d} %{data:x}"#, "31.02.2016 x", "x=x"),
    (r#"r %{boolean("y(es)?","no?"):a} %{boolean("y(es)?","no?"):b}"#, "Y no", "a=true|b=false"),
    (
        r"r %{data::rubyhash}",
        r#"{name => "John", :id => 7, "job" => {"title" => "C\"TO"}, tags: [:a, nil, 1.5], 'x'=>true}"#,
        r#"name=John|id=7|job.title=C"TO|tags=["a",null,1.5]|x=true"#,
    ),
    (r"r %{data::rubyhash}", r#"{"a" => "", b: "x"}"#, "a=|b=x"),
    (r"r %{data::rubyhash}", "{open => ", ""),
    (
        r"r %{data:x:xml}",
        "<?xml version=\"1.0\"?><a b=\"1&amp;2\">t&lt;&#65;<c/><c>2</c><![CDATA[<raw>]]></a>",
        "x.a.b=1&2|x.a.c=[\"\",\"2\"]|x.a.value=t<A<raw>",
    ),
    (r"r %{data::xml}", "<a><b></a>", ""),
    (
        r"r %{data:u:url}",
        "https://user:pw@[::1]:8443/a/b?x=1&x=2&y=%20#h",
        "u.scheme=https|u.host=[::1]|u.port=8443|u.path=/a/b|u.hash=h|u.queryString.x=[\"1\",\"2\"]|u.queryString.y=%20",
    ),
    (r"r %{data:u:url}", "/only/path?q=1", "u.path=/only/path|u.queryString.q=1"),
    (
        r"r %{data:ua:useragent(decodeuricomponent:true)}",
        "Mozilla%2F5.0 (X11; Linux x86_64; rv:109.0) Gecko/20100101 Firefox/115.0",
        "ua.browser.family=Firefox|ua.browser.major=115|ua.browser.minor=0|ua.os.family=Linux|ua.device.family=Other|ua.device.category=Desktop",
    ),
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
    let ends_in_a_blank = "_head %{word:a}: ";
    assert_eq!(parse_with("r %{_head}%{word:b} ", ends_in_a_blank, "x: y"), pairs("a=x|b=y"));
    assert_eq!(parse_with("r %{_head}%{word:b}", ends_in_a_blank, "x:y"), None);
}

#[test]
fn what_published_pipelines_write_is_read() {
    let rules = "# a comment\nr %{?>notSpace:a} %{word: b :lowercase}\n\n#another\ns %{data:c:array(\",\")} !";
    assert_eq!(parse_with(rules, "# none", "X YZ"), pairs("a=X|b=yz"));
    assert_eq!(parse(rules, "1,2 !"), pairs("c=[\"1\",\"2\"]"));
    assert_eq!(parse("r %{data::json}", r#"{"a":"","b":1}"#), pairs("a=|b=1"));
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
        ("a (x", "", 1, 3, "`)`"),
        ("\na x)y", "", 2, 4, "`(`"),
        ("a (?<=x*)y", "", 1, 7, "look behind"),
        ("a é %{word:x} [b", "", 1, 16, "`]`"),
        ("a *x", "", 1, 3, "repeats"),
        ("a x{3,2}", "", 1, 8, "impossible"),
        ("a [z-a]", "", 1, 7, "impossible"),
        ("a x^y", "", 1, 3, "impossible"),
        ("a x$y", "", 1, 3, "impossible"),
        ("a [^\\s\\S]", "", 1, 3, "impossible"),
        ("a x\nb %{data:y}\nc z", "", 3, 3, "impossible"),
        ("a x %{word:y}\nb x %{word:y}", "", 2, 3, "same pattern"),
        ("a (x)\\1", "", 1, 7, "name it"),
        ("a \\k<b>", "", 1, 7, "no group"),
        ("a x %{b}", "b (y", 1, 5, "rule `b` (line 1)"),
        ("a %{boolean(\"\"):x}", "", 1, 3, "boolean"),
        ("a %{date(\"HH\",\"UTC\",\"xx\"):x}", "", 1, 3, "locale"),
        ("a", "", 1, 1, "pattern"),
        ("", "", 1, 1, "no rule"),
        ("a %{b}", "b %{c}\nc %{b}", 1, 3, "circle"),
        ("a %{regex(\"(\"):x}", "", 1, 3, "`)`"),
        ("a \\p{nope}", "", 1, 4, "not supported"),
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
    let parsed = grok.parse(&arena, line, EventTime::default(), &mut attributes);
    assert_eq!(parsed, Parsed::OutOfSteps);
    assert_eq!(grok.gave_up(), 1);
    assert!(attributes.is_empty());
}

/// Longest a line of the largest size may take with any rule, in a build that is not optimised much.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(20);

#[test]
#[expect(clippy::disallowed_methods, reason = "that time is bounded is what is tested")]
fn lines_of_a_megabyte_and_rules_made_to_be_slow_end_in_time() {
    let mega = 1 << 20;
    let bombs = [
        "a".repeat(mega),
        "a ".repeat(mega / 2),
        "a=1 ".repeat(mega / 4),
        (0..mega / 8).map(|n| format!("k{n}={n} ")).collect(),
        "\"".repeat(mega),
        "[".repeat(mega),
        "<a>".repeat(mega / 3),
        "{a=>".repeat(mega / 4),
        "&a=%41".repeat(mega / 6),
        "1.".repeat(mega / 2),
        ":1".repeat(mega / 2),
        "\u{e9}".repeat(mega / 2),
    ];
    let rules = [
        r"r (a+)+b",
        r"r (a|aa)*c",
        r"r (?:\w*\s*)*!",
        r"r (.*a)*.*x",
        r"r (?=(a+))\w*b",
        r"r (?<!b)(?:a|.)*?c",
        r"r %{data:a}%{data:b}%{data:c}!",
        r"r %{notSpace:a}%{notSpace:b}=x",
        r"r %{hostname:a}.%{hostname:b}!",
        r"r %{data:x:keyvalue}",
        r#"r %{data:x:keyvalue("=","","","|")}"#,
        r"r %{data:x:json}",
        r"r %{data:x:xml}",
        r"r %{data:x:rubyhash}",
        r"r %{data:x:querystring}",
        r"r %{data:x:url}",
        r#"r %{data:x:array("[]",":")}"#,
        r#"r %{data:x:csv("a,b")}"#,
    ];
    for rule in rules {
        let grok = Grok::compile(rule, "").unwrap_or_else(|errors| panic!("{rule}: {errors:?}"));
        for line in &bombs {
            let arena = Bump::new();
            let mut attributes = Attributes::new_in(&arena);
            let start = std::time::Instant::now();
            grok.parse(&arena, line, EventTime::default(), &mut attributes);
            let took = start.elapsed();
            assert!(took < PATIENCE, "{rule} on {}…: {took:?}", &line[..4]);
            assert!(attributes.len() <= schemas::limits::MAX_ATTRIBUTES, "{rule}");
            assert!(arena.allocated_bytes() < 256 << 20, "{rule}: {}", arena.allocated_bytes());
        }
    }
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
        "(ab|b)*",
        "(?:a|-)+?",
        "(b|a1){1,3}",
        "(a*)*",
        "\\b",
        "(?i:A)",
        "[\u{e0}-\u{ef}]",
        "[^\u{e9}]?",
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
                let matcher = matchers::Matcher::Regex(part.clone());
                pieces.push(rules::Piece::Token(matcher, Some(index), 0));
            } else {
                pieces.push(rules::Piece::Raw(part.clone(), 0));
            }
            pattern.push_str(part);
        }
        let node = reader::read(&pieces, &mut Vec::new())
            .map_err(|problem| TestCaseError::fail(format!("{pattern}: {}", problem.reason)))?;
        let program = program::emit::emit(&node, parts.len()).map_err(TestCaseError::fail)?;
        let regex = fallback::compile(&pieces).map_err(TestCaseError::fail)?;
        let (mut a, mut b) = (vec![UNSET; program.slots], vec![UNSET; parts.len()]);
        let mut steps = machine::allowance(program.ops.len(), line.len());
        let one = program.matches(&Bump::new(), &line, &mut a, &mut steps, &mut None);
        let two = regex.matches(&line, &mut b, &mut |_, _| {});
        if one != Outcome::GaveUp {
            prop_assert_eq!(one, two, "{}", pattern);
        }
        if one == Outcome::Match {
            a.truncate(parts.len());
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
            "nullIf(\"-\")", "number", "integer", "boolean", "xml", "rubyhash", "url",
        ];
        for rule in names.iter().map(|name| format!("r %{{{name}:x}}%{{data:y}}"))
            .chain(filters.iter().map(|filter| format!("r %{{data:x:{filter}}}"))) {
            parse(&rule, &line);
        }
    }
}
