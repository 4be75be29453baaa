//! Datadog's documented examples of each processor, as its documentation prints them.

mod any_log;
mod tables;

use bumpalo::Bump;
use schemas::time::EventTime;

use crate::event::LogEvent;
use crate::json;
use crate::pipeline::{Files, MetricWindows, NoFiles, Pipeline, config};
use crate::value::{Value, write_json};

fn compile_with(processors: &str, files: &dyn Files) -> Pipeline {
    let yaml = format!("pipelines: [{{processors: [{processors}]}}]\n");
    let config: config::Config =
        serde_yaml_ng::from_str(&yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    Pipeline::compile_with(&config, files).unwrap_or_else(|errors| panic!("{yaml}: {errors:?}"))
}

fn compile(processors: &str) -> Pipeline {
    compile_with(processors, &NoFiles)
}

/// The errors of processors that are refused, as `path: reason`.
fn refused(processors: &str) -> Vec<String> {
    let yaml = format!("pipelines: [{{processors: [{processors}]}}]\n");
    let config: config::Config = serde_yaml_ng::from_str(&yaml).expect("well-formed");
    let errors = Pipeline::compile(&config).expect_err("refused");
    errors.iter().map(ToString::to_string).collect()
}

/// The log's attributes after the pipeline, one `path=value` each with the value as JSON, sorted.
fn attributes(event: &LogEvent<'_>) -> Vec<String> {
    let pair = |(path, value): (&str, Value<'_>)| {
        let mut text = format!("{path}=");
        write_json(&value, &mut text).expect("memory");
        text
    };
    let mut pairs: Vec<String> = event.attributes.iter().map(pair).collect();
    pairs.sort();
    pairs
}

fn process<'b>(pipeline: &Pipeline, arena: &'b Bump, json: &str) -> LogEvent<'b> {
    let mut event = LogEvent::new_in(arena, EventTime::default());
    let bytes = arena.alloc_slice_copy(json.as_bytes());
    json::read_object(arena, bytes, &mut event.attributes).expect("a JSON log");
    pipeline.process(arena, &mut event, 0, &mut MetricWindows::new(pipeline));
    event
}

/// What `processors` add to the log `json`, or change there.
fn adds(processors: &str, json: &str) -> Vec<String> {
    adds_with(&compile(processors), json)
}

fn adds_with(pipeline: &Pipeline, json: &str) -> Vec<String> {
    let (before, after) = (Bump::new(), Bump::new());
    let without = attributes(&process(&compile(""), &before, json));
    let mut with = attributes(&process(pipeline, &after, json));
    with.retain(|pair| !without.contains(pair));
    with
}

#[test]
fn url_parser_documented_example_with_the_port_that_integrations_expect() {
    let url = "{type: url-parser, sources: [http.url], target: http.url_details}";
    assert_eq!(
        adds(url, r#"{"http":{"url":"https://api.example.com/v1/orders?user_id=12345&limit=20"}}"#),
        [
            r#"http.url_details.host="api.example.com""#,
            r#"http.url_details.path="/v1/orders""#,
            r#"http.url_details.queryString.limit="20""#,
            r#"http.url_details.queryString.user_id="12345""#,
            r#"http.url_details.scheme="https""#,
        ]
    );
}

#[test]
fn urls_without_scheme_are_paths_and_endings_are_normalised_on_demand() {
    let url = "{type: url-parser, target: u}";
    assert_eq!(
        adds(url, r#"{"http":{"url":"/a%20b/c?x=1&x=2&empty=&=no#top"}}"#),
        [
            r#"u.hash="top""#,
            r#"u.path="/a%20b/c""#,
            r#"u.queryString.empty="""#,
            r#"u.queryString.x=["1","2"]"#
        ]
    );
    assert_eq!(adds(url, r#"{"http":{"url":"Tiger.pdf"}}"#), [r#"u.path="Tiger.pdf""#]);
    assert_eq!(
        adds(url, r#"{"http":{"url":"http://[2001:db8::1]:8080/x//"}}"#),
        [r#"u.host="[2001:db8::1]""#, r#"u.path="/x//""#, "u.port=8080", r#"u.scheme="http""#]
    );
    // As published integrations expect them.
    for (address, parts) in [
        ("SSL://DNS.google", "host=dns.google path= scheme=SSL"),
        (
            "tunnel://csp.withgoogle.com:443/",
            "host=csp.withgoogle.com path=/ port=443 scheme=tunnel",
        ),
        ("http://174.138.82.103:80/sql/", "host=174.138.82.103 path=/sql/ port=80 scheme=http"),
        (
            "/sign-in?redirect_url=%2Fharbor%2Fprojects&q=a+s&sort=",
            "path=/sign-in queryString.q=a+s \
            queryString.redirect_url=%2Fharbor%2Fprojects queryString.sort=",
        ),
        ("/stats/;csv;norefresh?a=1&a=1", "path=/stats/;csv;norefresh queryString.a=1"),
        ("https://user:secret@Example.org/a/../b", "host=example.org path=/a/../b scheme=https"),
    ] {
        let added = adds(url, &format!(r#"{{"http":{{"url":"{address}"}}}}"#));
        let plain: Vec<String> =
            added.iter().map(|pair| pair.trim_start_matches("u.").replace('"', "")).collect();
        assert_eq!(plain.join(" "), parts, "{address}");
    }
    let normal = "{type: url-parser, target: u, normalize_ending_slashes: true}";
    assert_eq!(adds(normal, r#"{"http":{"url":"/x///"}}"#), [r#"u.path="/x/""#]);
    assert_eq!(adds(normal, r#"{"http":{"url":"/x"}}"#), [r#"u.path="/x""#]);
    assert_eq!(
        adds("{type: url-parser, name: u, target: u}", r#"{"http":{"url":"http://:80"}}"#),
        [r#"pipeline_errors=["url-parser `u`: the text is no URL"]"#]
    );
}

#[test]
fn category_processor_documented_example() {
    let categories = r#"{type: category-processor, target: log_status, categories: [
        {filter: {query: "@http.status_code:[200 TO 299]"}, name: ok},
        {filter: {query: "@http.status_code:[500 TO 599]"}, name: error},
        {filter: {query: "@http.status_code:*"}, name: other}]}, {type: status-remapper, sources: [log_status]}"#;
    let pipeline = compile(categories);
    for (code, name) in [(200, "ok"), (500, "error"), (302, "other")] {
        let json = format!(r#"{{"http":{{"status_code":{code}}}}}"#);
        assert_eq!(adds_with(&pipeline, &json), [format!("log_status=\"{name}\"")]);
    }
    let arena = Bump::new();
    let event = process(&pipeline, &arena, r#"{"http":{"status_code":500}}"#);
    assert_eq!(event.status, Some(schemas::status::Status::Error));
    assert!(adds_with(&pipeline, r#"{"other":1}"#).is_empty());
}

#[test]
fn arithmetic_processor_documented_examples() {
    let ms = "{type: arithmetic-processor, expression: duration_ns / 1000000, target: duration_ms}";
    assert_eq!(adds(ms, r#"{"duration_ns":25000000}"#), ["duration_ms=25"]);
    let dashes = r#"{type: arithmetic-processor, name: took, expression: "(end-time - start-time) / 1000", target: took}"#;
    assert_eq!(adds(dashes, r#"{"start-time":"1000","end-time":5500}"#), ["took=4.5"]);
    assert!(adds(dashes, r#"{"start-time":1000}"#).is_empty(), "a missing attribute skips");
    assert!(adds(dashes, r#"{"start-time":"x","end-time":1}"#).is_empty(), "no number is missing");
    let replace =
        r#"{type: arithmetic-processor, expression: "a + b", target: a, is_replace_missing: true}"#;
    assert_eq!(
        adds(replace, r#"{"a":0.1234567891}"#),
        ["a=0.123456789"],
        "and the target is overwritten"
    );
    let zero = r#"{type: arithmetic-processor, name: rate, expression: "a / b", target: c}"#;
    assert_eq!(
        adds(zero, r#"{"a":1,"b":0}"#),
        [
            r#"pipeline_errors=["arithmetic-processor `rate`: the result is no number: a division by zero, or too large"]"#
        ]
    );
}

#[test]
fn string_builder_processor_documented_examples() {
    let json = r#"{"http":{"method":"GET","status_code":200,"url":"https://app.datadoghq.com/users"},
        "array_ids":[123,456,789],
        "array_users":[{"first_name":"John","last_name":"Doe"},{"first_name":"Jack","last_name":"London"}]}"#;
    let build = |template: &str, replace: bool| {
        let yaml = format!(
            r#"{{type: string-builder-processor, template: "{template}", target: t, is_replace_missing: {replace}}}"#
        );
        adds(&yaml, json)
    };
    assert_eq!(
        build(
            "Request %{http.method} %{http.url} was answered with response %{http.status_code}",
            false
        ),
        [r#"t="Request GET https://app.datadoghq.com/users was answered with response 200""#]
    );
    assert_eq!(build("%{array_ids}", false), [r#"t="123,456,789""#]);
    assert_eq!(build("%{array_users.first_name}", false), [r#"t="John,Jack""#]);
    for missing in ["%{http}", "%{array_users}", "%{nothing}", "%{array_users.nothing}"] {
        assert!(build(&format!("a{missing}"), false).is_empty(), "{missing}");
        assert_eq!(build(&format!("a{missing}b"), true), [r#"t="ab""#], "{missing}");
    }
    let long = format!(r#"{{"a":"{}"}}"#, "\u{e9}".repeat(300));
    let added =
        adds(r#"{type: string-builder-processor, name: s, template: "%{a}", target: t}"#, &long);
    assert_eq!(added[1], format!("t=\"{}\"", "\u{e9}".repeat(256)));
    assert!(added[0].contains("the text was cut at 256 characters"), "{added:?}");
}

#[test]
fn array_processor_documented_examples() {
    assert_eq!(
        adds(
            r#"{type: array-processor, operation: {type: select, source: httpRequest.headers, target: referrer,
                filter: "name:Referrer", value_to_extract: value}}"#,
            r#"{"httpRequest":{"headers":[{"name":"Referrer","value":"https://example.com"},{"name":"Accept","value":"application/json"}]}}"#
        ),
        [r#"referrer="https://example.com""#]
    );
    let list = r#"{"list":[{"type":"User","displayName":"Dr Ann Lee","id":"1"},{"type":"Group","id":"2"},
        {"key":"User-Agent","n":7,"id":"3"},{"id":"4"}]}"#;
    for (filter, uid) in [
        ("type:(ServicePrincipal OR Group)", "2"),
        ("displayName:*Ann*", "1"),
        ("key:\"User-Agent\"", "3"),
        ("n:7", "3"),
        ("-type:* -n:7", "4"),
    ] {
        let select = format!(
            "{{type: array-processor, operation: {{type: select, source: list, target: uid, \
             filter: '{filter}', value_to_extract: id}}}}"
        );
        assert_eq!(adds(&select, list), [format!("uid=\"{uid}\"")], "{filter}");
    }
    let length =
        "{type: array-processor, operation: {type: length, source: tags, target: tagCount}}";
    assert_eq!(adds(length, r#"{"tags":["prod","internal","critical"]}"#), ["tagCount=3"]);
    assert!(adds(length, r#"{"tags":"prod"}"#).is_empty());
    let append = "{type: array-processor, operation: {type: append, source: network.client.ip, target: sourceIps}}";
    let json = r#"{"network":{"client":{"ip":"198.51.100.23"}},"sourceIps":["203.0.113.1"]}"#;
    assert_eq!(adds(append, json), [r#"sourceIps=["203.0.113.1","198.51.100.23"]"#]);
    let json = r#"{"network":{"client":{"ip":"198.51.100.23"}}}"#;
    assert_eq!(adds(append, json), [r#"sourceIps=["198.51.100.23"]"#], "made where missing");
    let json = r#"{"network":{"client":{"ip":"198.51.100.23"}},"sourceIps":"text"}"#;
    assert!(adds(append, json).is_empty(), "what is no array is left alone");
    let object = "{type: array-processor, operation: {type: append, source: a, target: list, preserve_source: false}}";
    let arena = Bump::new();
    let event = process(&compile(object), &arena, r#"{"a":{"b":{"c":1},"d":2}}"#);
    assert_eq!(attributes(&event), [r#"list=[{"b":{"c":1},"d":2}]"#]);
    let pairs = r#"{type: array-processor, operation: {type: key-value, source: list, target: t, key_to_extract: k, value_to_extract: v}}"#;
    assert_eq!(
        adds(pairs, r#"{"list":[{"k":"x","v":1},{"k":"y","v":{"z":2}},{"k":"x","v":3},{"v":4}]}"#),
        ["t.x=1", "t.y.z=2"]
    );
}

#[test]
fn array_map_processor_documented_examples() {
    let map = |processors: &str| {
        format!(
            "{{type: array-map-processor, source: items, target: out, processors: [{processors}]}}"
        )
    };
    let cases = [
        (
            r#"{type: attribute-remapper, sources: ["$sourceElem"], target: "$targetElem.ip", preserve_source: true}"#,
            r#"{"items":["10.0.0.1","10.0.0.2"]}"#,
            r#"out=[{"ip":"10.0.0.1"},{"ip":"10.0.0.2"}]"#,
        ),
        (
            r#"{type: string-builder-processor, template: "%{$sourceElem.name}.%{region}", target: "$targetElem.fqdn"}"#,
            r#"{"region":"us-east-1","items":[{"name":"db-1"},{"name":"db-2"}]}"#,
            r#"out=[{"fqdn":"db-1.us-east-1"},{"fqdn":"db-2.us-east-1"}]"#,
        ),
        (
            r#"{type: arithmetic-processor, expression: "$sourceElem.bytes / 1024", target: "$targetElem.kb"}"#,
            r#"{"items":[{"bytes":1024},{"bytes":2048}]}"#,
            r#"out=[{"kb":1},{"kb":2}]"#,
        ),
        (
            r#"{type: category-processor, target: "$targetElem.severity", categories: [
                {filter: {query: "@$sourceElem.status:critical"}, name: high},
                {filter: {query: "@$sourceElem.status:warning"}, name: medium}]}"#,
            r#"{"items":[{"status":"critical"},{"status":"warning"}]}"#,
            r#"out=[{"severity":"high"},{"severity":"medium"}]"#,
        ),
    ];
    for (processors, json, result) in cases {
        assert_eq!(adds(&map(processors), json), [result]);
    }
    let network = r#"{type: array-map-processor, source: connections, target: network.connections, processors: [
        {type: attribute-remapper, sources: ["$sourceElem.src_ip"], target: "$targetElem.source", preserve_source: true},
        {type: string-builder-processor, template: "%{$sourceElem.proto}/%{$sourceElem.dst_port}", target: "$targetElem.service"}]}"#;
    assert_eq!(
        adds(
            network,
            r#"{"connections":[{"src_ip":"10.0.0.1","dst_port":443,"proto":"tcp"},{"src_ip":"10.0.0.2","dst_port":22,"proto":"tcp"}]}"#
        ),
        [
            r#"network.connections=[{"source":"10.0.0.1","service":"tcp/443"},{"source":"10.0.0.2","service":"tcp/22"}]"#
        ]
    );
    let in_place = r#"{type: array-map-processor, source: a, target: a, processors: [
        {type: attribute-remapper, sources: ["$sourceElem.x"], target: "$targetElem.y"}]}"#;
    assert_eq!(
        adds(in_place, r#"{"a":[{"x":1,"k":2},{"z":3}]}"#),
        [r#"a=[{"k":2,"y":1},{"z":3}]"#]
    );
    let items: Vec<String> = (0..60).map(|n| n.to_string()).collect();
    let json = format!(r#"{{"a":[{}]}}"#, items.join(","));
    let doubled = r#"{type: array-map-processor, source: a, target: a, processors: [
        {type: arithmetic-processor, expression: "$sourceElem * 2", target: "$targetElem"}]}"#;
    let added = adds(doubled, &json);
    assert!(
        added[0].contains(",98,50,51,"),
        "50 elements are worked on, the others stay: {added:?}"
    );
}

#[test]
fn decoder_processor_takes_cut_texts_and_leaves_what_is_no_code() {
    let decode = |encoding: &str, representation: &str, text: &str| {
        let yaml = format!(
            "{{type: decoder-processor, source: a, target: t, binary_to_text_encoding: {encoding}, \
             input_representation: {representation}}}"
        );
        adds(&yaml, &format!(r#"{{"a":"{text}"}}"#)).join(" ")
    };
    for (encoding, representation, text, result) in [
        ("base64", "utf_8", "aGVsbG8gd29ybGQ=", r#"t="hello world""#),
        ("base64", "utf_8", "aGVsbG8gd29ybGQ", r#"t="hello world""#),
        ("base64", "utf_8", "aGVsbG8gd29yb", r#"t="hello wor""#),
        ("base64", "utf_8", "w6nDqcM=", "t=\"\u{e9}\u{e9}\""),
        ("base64", "utf_8", "Pz8_", r#"t="???""#),
        ("base16", "utf_8", "68656C6c6f", r#"t="hello""#),
        ("base16", "utf_8", "68656c6c6", r#"t="hell""#),
        ("base16", "integer", "0xff", "t=255"),
        ("base16", "integer", "fff", "t=4095"),
        ("base16", "integer", "ffffffffffffffff", r#"t="18446744073709551615""#),
        ("base64", "integer", "AAAAAAAAAQA=", "t=256"),
        ("base16", "utf_8", "not hex", ""),
        ("base64", "utf_8", "!!", ""),
    ] {
        assert_eq!(decode(encoding, representation, text), result, "{text}");
    }
    assert!(decode("base64", "utf_8", "/////w==").contains("no UTF-8"));
    let trace = r#"{type: decoder-processor, source: otel, target: id, binary_to_text_encoding: base64, input_representation: integer},
        {type: trace-id-remapper, sources: [id]}"#;
    let arena = Bump::new();
    let event = process(&compile(trace), &arena, r#"{"otel":"AAAAAAAAAAAAAAAAAAAE0g=="}"#);
    assert_eq!(event.trace_id.map(|id| id.get()), Some(1234));
}

#[test]
fn schema_processor_maps_as_the_api_describes() {
    let yaml = r#"{type: schema-processor, name: ocsf, schema: {schema_type: ocsf, version: 1.5.0, class_uid: 3001, class_name: Account Change},
        mappers: [
          {type: schema-remapper, name: user, sources: [userIdentity.arn], target: ocsf.user.name, preserve_source: true},
          {type: schema-category-mapper, name: activity, categories: [
             {filter: {query: "@eventName:*Create*"}, id: 1, name: Create},
             {filter: {query: "@eventName:*"}, id: 99, name: Other}],
           targets: {id: ocsf.activity_id, name: ocsf.activity_name},
           fallback: {sources: {ocsf.activity_name: [eventName]}, values: {ocsf.activity_id: "99", ocsf.activity_name: Other}}}]}"#;
    let class = |more: &[&str]| {
        let class = [
            r#"ocsf.category_name="Identity & Access Management""#,
            "ocsf.category_uid=3",
            r#"ocsf.class_name="Account Change""#,
            "ocsf.class_uid=3001",
            r#"ocsf.metadata.version="1.5.0""#,
        ];
        let mut all: Vec<String> =
            class.iter().chain(more).map(|text| (*text).to_owned()).collect();
        all.sort();
        all
    };
    assert_eq!(
        adds(yaml, r#"{"eventName":"CreateUser","userIdentity":{"arn":"foo-bar"}}"#),
        class(&[
            "ocsf.activity_id=1",
            r#"ocsf.activity_name="Create""#,
            r#"ocsf.user.name="foo-bar""#
        ])
    );
    assert_eq!(
        adds(yaml, r#"{"eventName":"Rename"}"#),
        class(&["ocsf.activity_id=99", r#"ocsf.activity_name="Rename""#])
    );
    assert_eq!(adds(yaml, "{}"), class(&["ocsf.activity_id=99", r#"ocsf.activity_name="Other""#]));
}

#[test]
fn message_as_a_source_is_an_attribute_not_the_message() {
    let arena = Bump::new();
    let pipeline = compile("{type: message-remapper, sources: [message, data.description]}");
    let mut event = LogEvent::new_in(&arena, EventTime::default());
    event.message = r#"{"data":{"description":"said"}}"#;
    pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
    assert_eq!((event.message, event.attributes.len()), ("said", 0));
}

#[test]
fn exclude_attribute_documented_example() {
    let exclude = "{type: exclude-attribute, attribute_to_exclude: http.response}";
    let arena = Bump::new();
    let json = r#"{"http":{"response":{"body":"{}","size":2},"responses":1},"tx_id":"TX"}"#;
    let event = process(&compile(exclude), &arena, json);
    assert_eq!(attributes(&event), ["http.responses=1", r#"tx_id="TX""#]);
    let errors = refused("{type: exclude-attribute, attribute_to_exclude: service}");
    assert!(errors[0].contains("`service` is reserved"), "{errors:?}");
}

#[test]
fn attribute_remapper_documented_example_and_casts_in_place() {
    let copy = "{type: attribute-remapper, sources: [user.firstname], target: user_name, preserve_source: true}";
    assert_eq!(
        adds(copy, r#"{"user":{"firstname":"John","lastname":"Doe"}}"#),
        [r#"user_name="John""#]
    );
    for keep in [true, false] {
        let cast = format!(
            "{{type: attribute-remapper, sources: [code], target: code, target_format: integer, preserve_source: {keep}}}"
        );
        assert_eq!(adds(&cast, r#"{"code":"200"}"#), ["code=200"]);
        assert!(adds(&cast, r#"{"code":"2,5"}"#).is_empty(), "no number stays what it is");
    }
    let tags = "{type: attribute-remapper, source_type: tag, sources: [team], target: squad, target_type: tag}";
    let arena = Bump::new();
    let pipeline = compile(tags);
    let mut event = LogEvent::new_in(&arena, EventTime::default());
    event.tags.extend(["team:a", "env:x", "team:b"]);
    pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
    assert_eq!(event.tags.as_slice(), ["env:x", "squad:a", "squad:b"]);
}

#[test]
fn what_a_processor_can_not_mean_is_refused_with_place_and_fix() {
    let errors = refused(
        r#"{type: arithmetic-processor, expression: "a b", target: t},
        {type: string-builder-processor, template: "%{open", target: t},
        {type: category-processor, target: t, categories: [{name: a, filter: {query: "("}}, {name: a, filter: {query: x}}, {name: a, filter: {query: y}}]},
        {type: lookup-processor, source: a, target: t},
        {type: lookup-processor, source: a, target: t, lookup_table: [nothing]},
        {type: lookup-processor, source: a, target: t, lookup_enrichment_table: users},
        {type: array-processor, operation: {type: select, source: a, target: t, filter: "(", value_to_extract: v}},
        {type: array-map-processor, source: a, target: b, processors: [{type: date-remapper, sources: [x]}]},
        {type: array-map-processor, source: a, target: b, processors: [{type: arithmetic-processor, expression: "1", target: x}]},
        {type: url-parser, target: ""}"#,
    );
    let expected = [
        "[0].expression: character 3: expected an operator",
        "[1].template: `%{` at character 1 has no `}`",
        "[2].categories[0].filter.query: ",
        "[3]: write one of lookup_table",
        "[4].lookup_table[0]: must be `key,value`",
        "[5].lookup_enrichment_table: no reference table `users`: add it",
        "[6].operation.filter: `(`: ",
        "[7].processors[0]: `date-remapper` can not be used on elements",
        "[8].processors[0]: target `x` must be `$targetElem`",
        "[9].target: empty",
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, part) in errors.iter().zip(expected) {
        assert!(error.contains(&format!("pipelines[0].processors{part}")), "{error}\n{part}");
    }
}

#[test]
fn preprocessing_lists_can_be_replaced() {
    let yaml = "preprocessing: {message: [msg, log], status: [sev], host: [], date: [at]}";
    let config: config::Config = serde_yaml_ng::from_str(yaml).expect("well-formed");
    let pipeline = Pipeline::compile(&config).expect("compiles");
    let arena = Bump::new();
    let json =
        r#"{"log":"text","message":"kept","sev":3.0,"host":"h","at":1714219200000,"service":"s"}"#;
    let event = process(&pipeline, &arena, json);
    assert_eq!((event.message, event.host, event.service), ("text", "", "s"));
    assert_eq!(event.status, Some(schemas::status::Status::Error));
    assert_eq!(event.time(), EventTime::from_seconds(1_714_219_200).expect("in range"));
    assert_eq!(
        attributes(&event),
        ["at=1714219200000", r#"host="h""#, r#"message="kept""#, "sev=3"]
    );
}

#[test]
fn a_log_keeps_its_message_and_says_what_went_wrong() {
    let arena = Bump::new();
    let deep = format!("{}1{}", "{\"a\":".repeat(70), "}".repeat(70));
    let pipeline = compile("");
    let mut event = LogEvent::new_in(&arena, EventTime::default());
    event.message = arena.alloc_str(&deep);
    pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
    assert_eq!(event.message, deep);
    assert_eq!(
        attributes(&event),
        [r#"pipeline_errors=["json: nested deeper than 64: the message stays text"]"#]
    );
    let many =
        r#"{type: arithmetic-processor, name: n, expression: "1 / 0", target: c},"#.repeat(40);
    let arena = Bump::new();
    let event = process(&compile(&many), &arena, "{}");
    assert_eq!(event.errors.len(), schemas::limits::MAX_PIPELINE_ERRORS);
    assert_eq!(event.errors.last().map(|e| e.reason), Some("further errors are left out"));
}

#[test]
fn a_category_whose_name_comes_twice_is_noted_and_works() {
    let pipeline = compile(
        "{type: category-processor, target: t, categories: [{name: a, filter: {query: '@n:1'}}, {name: b, filter: {query: '@n:2'}}, {name: a, filter: {query: '@n:3'}}]}",
    );
    let arena = Bump::new();
    let event = process(&pipeline, &arena, r#"{"n": 3}"#);
    assert_eq!(event.attributes.get("t"), Some(Value::Str("a")));
    assert!(pipeline.notes()[0].path.ends_with("categories[2].name"));
}
