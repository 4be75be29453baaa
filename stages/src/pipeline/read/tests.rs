//! Every form is read, and everything that is wrong is said with its place.

use super::{Read, read};
use crate::pipeline::Pipeline;

fn good(texts: &[&str]) -> Read {
    let read = read(texts);
    assert_eq!(read.problems, [], "{texts:?}");
    Pipeline::compile(&read.config).unwrap_or_else(|errors| panic!("{errors:?}"));
    read
}

/// `file:line:column rule: reason` of each problem, the compiler's included.
fn said(texts: &[&str]) -> Vec<String> {
    let read = read(texts);
    let mut problems = read.problems.clone();
    if let Err(errors) = Pipeline::compile(&read.config) {
        problems.extend(errors.iter().map(|error| read.problem(error)));
    }
    let say = |p: &super::Problem| {
        format!("{}:{}:{} {}: {}", p.at.file, p.at.line, p.at.column, p.rule, p.reason)
    };
    problems.iter().map(say).collect()
}

const INTEGRATION: &str = r#"
id: shop
metric_id: shop
backend_only: false
facets:
  - {name: Method, path: http.method, source: log, groups: [Web]}
pipeline:
  type: pipeline
  name: Shop
  enabled: true
  ocsf: {isOcsf: false}
  filter:
    query: source:shop
  processors:
    - type: grok-parser
      name: parse
      enabled: true
      source: message
      samples: [a 1]
      grok:
        supportRules: |
          _n %{integer:n}
        matchRules: |
          rule %{word:w} %{_n}
    - type: attribute-remapper
      enabled: false
      sources: [w]
      target: word
      sourceType: attribute
      targetType: attribute
      targetFormat: string
      preserveSource: true
      overrideOnConflict: true
"#;

const API: &str = r#"{"id": "p-1", "type": "pipeline", "name": "Shop", "is_enabled": true, "is_read_only": false,
  "filter": {"query": "source:shop"}, "description": null, "tags": null,
  "processors": [
    {"type": "grok-parser", "name": "parse", "is_enabled": true, "source": "message", "samples": ["a 1"],
     "grok": {"support_rules": "_n %{integer:n}\n", "match_rules": "rule %{word:w} %{_n}\n"}},
    {"type": "attribute-remapper", "is_enabled": false, "sources": ["w"], "target": "word",
     "source_type": "attribute", "target_type": "attribute", "target_format": "string",
     "preserve_source": true, "override_on_conflict": true}
  ]}"#;

#[test]
fn an_integration_and_the_api_say_the_same() {
    let (integration, api) = (good(&[INTEGRATION]), good(&[API]));
    let text = |read: &Read| {
        serde_json::to_string(&read.config.pipelines[0].processors).expect("serializes")
    };
    assert_eq!(text(&integration), text(&api));
    let fields: Vec<&str> = integration.notes.iter().map(|note| note.field.as_str()).collect();
    assert_eq!(fields, ["id", "metric_id", "backend_only", "facets", "pipelines[0].ocsf"]);
    assert_eq!((integration.notes[4].at.line, integration.notes[4].at.column), (11, 3));
}

#[test]
fn every_wrapper_of_the_api_is_read() {
    let index = r#"{"name": "main", "filter": {"query": "*"}, "exclusion_filters": [
        {"name": "x", "is_enabled": true, "filter": {"query": "a", "sample_rate": 1.0}}]}"#;
    let metric = r#"{"id": "m.n", "type": "logs_metrics", "attributes": {"filter": {"query": "*"},
        "compute": {"aggregation_type": "distribution", "path": "@d", "include_percentiles": true},
        "group_by": [{"path": "service", "tag_name": "service"}]}}"#;
    let list = format!("[{API}, {}]", API.replace("p-1", "p-2"));
    for (text, counts) in [
        (API.to_owned(), [1, 0, 1]),
        (list, [2, 0, 1]),
        (index.to_owned(), [0, 0, 1]),
        (format!("{{\"indexes\": [{index}, {}]}}", index.replace("main", "second")), [0, 0, 2]),
        (format!("{{\"data\": [{metric}]}}"), [0, 1, 1]),
        (format!("{{\"data\": {metric}}}"), [0, 1, 1]),
        (metric.to_owned(), [0, 1, 1]),
        (format!("pipelines: [{{}}]\nmetrics:\nindexes: [{index}]\n"), [1, 0, 1]),
        (format!("kafka: {{}}\npipeline:\n  indexes: [{index}]\n"), [0, 0, 1]),
        ("kafka: {}\n".to_owned(), [0, 0, 1]),
        ("pipeline:\n  error_tracking: {}\n".to_owned(), [0, 0, 1]),
        ("# nothing\n".to_owned(), [0, 0, 1]),
        (String::new(), [0, 0, 1]),
    ] {
        let config = good(&[&text]).config;
        let found = [config.pipelines.len(), config.metrics.len(), config.indexes.len()];
        assert_eq!(found, counts, "{text}");
    }
    let config = good(&[metric]).config;
    assert_eq!(config.metrics[0].name, "m.n");
    assert_eq!(config.metrics[0].compute.path.as_deref(), Some("@d"));
}

#[test]
fn several_files_are_one_configuration_in_the_order_given() {
    let second = API.replace("p-1", "p-2").replace("Shop", "Second");
    let names = |texts: &[&str]| -> Vec<String> {
        good(texts).config.pipelines.into_iter().map(|pipeline| pipeline.name).collect()
    };
    assert_eq!(names(&[API, &second]), ["Shop", "Second"]);
    let order = r#"{"pipeline_ids": ["p-2", "gone", "p-1"]}"#;
    assert_eq!(names(&[API, order, &second]), ["Second", "Shop"]);
    assert_eq!(good(&[API, order]).notes[0].field, "p-2");
}

#[test]
fn a_metric_of_an_integration_is_read() {
    let text = "pipeline: {type: pipeline}\nmetrics:\n  - name: a.b\n    query: 'source:x'\n    \
                groupBys: [{path: '@p', tagName: t}]\n    aggregation: {path: '@d', includePercentiles: true}\n  \
                - {name: a.c, query: '*'}\n";
    let metrics = good(&[text]).config.metrics;
    assert_eq!(metrics[0].filter.query, "source:x");
    assert_eq!(metrics[0].group_by[0].tag_name.as_deref(), Some("t"));
    assert_eq!(metrics[0].compute.path.as_deref(), Some("@d"));
    assert_eq!(metrics[1].compute.path, None);
}

#[test]
fn all_problems_are_said_at_once_and_with_their_place() {
    let text = r#"pipelines:
  - name: a
    colour: red
    processors:
      - {type: date-remapper, sources: [d], is_enabled: maybe}
      - type: grok-parser
        grok:
          support_rules: ''
          match_rules: |
            good %{word:w}
            bad %{nothing:x}
      - type: no-such-thing
        sources: [a]
      - type: status-remapper
        sourcez: [a]
  - filter: {query: "a:("}
indexes:
  - name: 7up
    exclusion_filters:
      - {name: x, filter: {query: '*', sample_rate: high}}
"#;
    let said = said(&[text]);
    for (place, reason) in [
        ("0:3:5 pipelines[0]: ", "unknown field `colour`"),
        ("0:5:57 pipelines[0].processors[0]: ", "maybe"),
        ("0:12:15 pipelines[0].processors[2]: ", "no-such-thing"),
        ("0:15:9 pipelines[0].processors[3]: ", "unknown field `sourcez`"),
        ("0:16:14 pipelines[1].filter.query: ", "a:("),
        ("0:20:", "high"),
    ] {
        let found = said.iter().any(|line| line.starts_with(place) && line.contains(reason));
        assert!(found, "{place}{reason} is not in {said:#?}");
    }
    let compiled = said_of_grok();
    assert!(compiled.starts_with("0:7:1"), "{compiled}");
}

/// What is wrong in the third line of a rule block, alone in its file.
fn said_of_grok() -> String {
    let text = "pipelines:\n  - processors:\n      - type: grok-parser\n        grok:\n          match_rules: |\n            \
                good %{word:w}\n            bad %{nothing:x}\n";
    said(&[text]).concat()
}

#[test]
fn what_is_no_configuration_is_refused_with_its_place() {
    for (text, place) in [
        ("pipelines: [", "0:2:1 "),
        ("{\"processors\": [}", "0:1:17 "),
        (
            "{\"processors\": [],\n \"processors\": []}",
            "0:2:2 processors: the field `processors` stands twice",
        ),
        ("a: 1\nb: 2\n", "0:1:1 : an object with `a`, `b`"),
        ("just text", "0:1:1 : text where"),
        ("tests: []\nid: x\n", "0:1:1 tests: these are test cases"),
        ("{\"data\": [{\"type\": \"archives\"}]}", "0:1:11 data: `archives`"),
        ("pipelines: 3\n", "0:1:12 pipelines: a number where a list"),
        ("&a [*a]", ""),
    ] {
        let said = said(&[text]);
        assert!(!said.is_empty() || place.is_empty(), "{text}");
        assert!(
            said.iter().any(|line| line.starts_with(place)) || place.is_empty(),
            "{text}: {said:?}"
        );
    }
}

#[test]
fn hostile_files_cost_little() {
    let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
    let deep_yaml = format!("pipelines: {deep}");
    let mut bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\n".to_owned();
    for n in 1..12 {
        let (name, before) =
            (format!("a{n}"), if n == 1 { "a".to_owned() } else { format!("a{}", n - 1) });
        let alias = format!("*{before},").repeat(10);
        bomb.push_str(&format!("{name}: &{name} [{alias}]\n"));
    }
    for text in [&deep, &deep_yaml, &bomb] {
        assert!(!said(&[text]).is_empty());
    }
}

proptest::proptest! {
    #[test]
    fn no_text_makes_the_reader_panic(text in "[a-c:{}\\[\\]\"'|,& *\\-\\n0-9é]{0,80}", more: String) {
        let _ = read(&[&text, &more]);
    }
}

#[test]
fn ready_made_pipelines_come_before_the_users_own() {
    let text = "pipeline:\n  include: [nginx, java]\n  pipelines:\n    - name: mine\n      filter: 'source:x'\n";
    let read = good(&[text]);
    let names: Vec<&str> = read.config.pipelines.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["nginx", "Java", "mine"]);
    assert_eq!(read.config.indexes.len(), 1);
    let version =
        |text| Pipeline::compile(&good(&[text]).config).expect("compiles").version().to_owned();
    assert_ne!(version("include: [nginx]"), version("include: [java]"));
    let wrong = said(&["include: [nginx, iis]\npipelines:\n  - {filter: '@a:('}\n"]);
    assert_eq!(wrong.len(), 2, "{wrong:?}");
    assert!(
        wrong[0].starts_with("0:1:18 include: there is no ready-made pipeline \"iis\""),
        "{wrong:?}"
    );
    assert!(wrong[1].starts_with("0:3:"), "{wrong:?}");
    assert!(said(&["include: nginx"])[0].contains("a list of names was expected"));
}

/// As `GET /api/v2/sensitive-data-scanner/config` answers, shortened.
const SCANNER: &str = r#"{
  "data": {"id": "c1", "type": "sensitive_data_scanner_configuration", "attributes": {},
    "relationships": {"groups": {"data": [
      {"id": "g2", "type": "sensitive_data_scanner_group"},
      {"id": "g1", "type": "sensitive_data_scanner_group"}]}}},
  "included": [
    {"id": "g1", "type": "sensitive_data_scanner_group",
      "attributes": {"name": "cards", "description": null, "is_enabled": true, "filter": {"query": "service:shop"},
        "product_list": ["logs"], "samplings": [{"product": "logs", "rate": 100.0}]},
      "relationships": {"rules": {"data": [{"id": "r1", "type": "sensitive_data_scanner_rule"}]}}},
    {"id": "g2", "type": "sensitive_data_scanner_group",
      "attributes": {"name": "keys", "is_enabled": false, "filter": {"query": "*"}, "product_list": ["logs"]},
      "relationships": {"rules": {"data": []}}},
    {"id": "r1", "type": "sensitive_data_scanner_rule",
      "attributes": {"name": "order", "pattern": "ORD-[0-9]{8}", "is_enabled": true, "priority": 2,
        "namespaces": [], "excluded_namespaces": ["admin"], "tags": ["sensitive:order"],
        "text_replacement": {"type": "replacement_string", "replacement_string": "[order]"},
        "included_keyword_configuration": {"keywords": ["order"], "character_count": 35}},
      "relationships": {"group": {"data": {"id": "g1", "type": "sensitive_data_scanner_group"}}}}
  ],
  "meta": {"version": 7}
}"#;

#[test]
fn the_scanners_configuration_is_read_as_the_api_gives_it() {
    let read = good(&[SCANNER]);
    let groups = &read.config.sensitive_data_scanner.groups;
    let names: Vec<&str> = groups.iter().map(|group| group.name.as_str()).collect();
    assert_eq!(names, ["keys", "cards"]);
    let rule = &groups[1].rules[0];
    assert_eq!((rule.name.as_str(), rule.pattern.as_deref()), ("order", Some("ORD-[0-9]{8}")));
    assert_eq!(
        (rule.priority, rule.excluded_namespaces.as_slice()),
        (2, &["admin".to_owned()][..])
    );
    let torn = SCANNER.replace(
        "\"id\": \"r1\", \"type\": \"sensitive_data_scanner_rule\",\n",
        "\"id\": \"rX\", \"type\": \"sensitive_data_scanner_rule\",\n",
    );
    assert!(
        said(&[&torn])[0].contains("the rule \"r1\" is not in `included`"),
        "{:?}",
        said(&[&torn])
    );
}
