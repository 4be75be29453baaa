//! The contract of `pipeline run`: one JSON object a log, whatever comes in.

use serde_json::{Value, json};

use super::*;

const CONFIG: &str = r#"
pipelines:
  - filter: "source:shop"
    processors:
      - {type: grok-parser, grok: {match_rules: "r %{word:http.method} %{notSpace:http.url} %{integer:took}"}}
metrics:
  - {name: shop.hits, compute: {aggregation_type: count}, group_by: [{path: "@http.method", tag_name: method}]}
  - {name: shop.took, filter: "@took:>0", compute: {aggregation_type: distribution, path: "@took"}}
indexes:
  - name: main
    exclusion_filters: [{name: health, filter: {query: "@http.url:/health"}}]
"#;

fn run_on(input: &[u8]) -> Vec<Value> {
    with_runner(|runner, out| runner.run(&mut &*input, out))
}

fn run_framed(framing: &stages::input::Input, input: &[u8]) -> Vec<Value> {
    with_runner(|runner, out| runner.run_framed(framing, &mut &*input, out))
}

fn with_runner(
    act: impl FnOnce(&mut Runner<'_>, &mut Vec<u8>) -> std::io::Result<()>,
) -> Vec<Value> {
    let loaded = pipeline::compile(&[(std::path::Path::new("t.yaml"), CONFIG)]).expect("good");
    let clock = System::shared();
    let mut runner = Runner {
        windows: MetricWindows::new(&loaded.pipeline),
        pipeline: &loaded.pipeline,
        explain: None,
        received: EventTime::from_millis(1_700_000_000_123),
        clock: clock.as_ref(),
        arena: Bump::new(),
    };
    let mut out = Vec::new();
    act(&mut runner, &mut out).expect("runs");
    let lines = String::from_utf8(out).expect("text");
    lines.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn a_json_log_and_a_raw_one_are_answered_as_the_contract_says() {
    let input = concat!(
        r#"{"message": "GET /cart 7", "ddsource": "shop", "service": "web", "ddtags": "env:prod,a:b", "x": {"y": [1]}}"#,
        "\n\n",
        "plain text\n",
    );
    let answers = run_on(input.as_bytes());
    let expected = json!({
        "event": {
            "message": "GET /cart 7", "status": "info", "service": "web", "source": "shop", "env": "prod",
            "tags": ["env:prod", "a:b"], "timestamp": 1_700_000_000_123_i64,
            "http": {"method": "GET", "url": "/cart"}, "took": 7, "x": {"y": [1]},
        },
        "index": "main", "excluded_by": null,
        "metrics": [
            {"name": "shop.hits", "type": "count", "value": 1, "tags": ["method:GET"], "timestamp": 1_700_000_000},
            {"name": "shop.took", "type": "distribution", "value": 7.0, "tags": [], "timestamp": 1_700_000_000},
        ],
        "errors": [],
    });
    assert_eq!(answers[0], expected);
    assert_eq!(answers[1]["event"]["message"], "plain text");
    assert_eq!(answers.len(), 2);
}

#[test]
fn what_is_excluded_still_feeds_its_metrics() {
    let answers =
        run_on(br#"[{"message": "GET /health 3", "ddsource": "shop"}, {"message": "b"}]"#);
    assert_eq!(answers[0]["index"], Value::Null);
    assert_eq!(answers[0]["excluded_by"], "main/health");
    assert_eq!(answers[0]["metrics"][0]["name"], "shop.hits");
    assert_eq!(answers[1]["event"]["message"], "b");
}

#[test]
fn bad_input_is_kept_as_text_and_reported() {
    let deep = format!("{}1{}", "{\"a\":".repeat(10_000), "}".repeat(10_000));
    let long = format!("{{\"message\": \"{}\"}}", "x".repeat(2 << 20));
    let cases: [(&[u8], &str); 6] = [
        (b"{\"message\": \"cut", "truncated"),
        (b"{not json}", "malformed_json"),
        (deep.as_bytes(), "too_deep"),
        (b"caf\xe9", "invalid_utf8"),
        (br#"{"message": "\ud800"}"#, "malformed_json"),
        (br#"{"n": 1e999}"#, "malformed_json"),
    ];
    for (line, reason) in cases {
        let answers = run_on(line);
        assert_eq!(answers.len(), 1, "{reason}");
        let errors = answers[0]["errors"].as_array().expect("a list");
        assert!(errors.iter().any(|error| error["reason"] == reason), "{reason}: {errors:?}");
        let shown = answers[0]["event"]["message"].as_str().expect("text");
        assert!(!shown.is_empty() && shown.len() >= line.len().min(8), "{reason}: {shown:.80}");
    }
    // JSON but for its encoding: reported, and read with the wrong bytes replaced.
    let latin = &run_on(b"{\"message\": \"caf\xe9\"}")[0];
    assert_eq!(latin["event"]["message"], "caf\u{fffd}");
    assert_eq!(latin["errors"][1]["reason"], "invalid_utf8");
    // Neither is bad: the last member counts, and a long text is cut and marked.
    assert_eq!(run_on(br#"{"a": 1, "a": 2}"#)[0]["event"]["a"], 2);
    assert_eq!(run_on(b"[2026-03-02] text")[0]["errors"], json!([]));
    assert_eq!(run_on(long.as_bytes())[0]["event"]["_truncated"], true);
}

#[test]
fn lines_of_one_log_are_joined_and_envelopes_opened_where_asked() {
    let trace = b"2026-03-02 one\njava.lang.Oops: no\n\tat a.B.c(B.java:1)\n2026-03-02 two\n";
    let input = framed::input(None, Some(r"^\d{4}-")).expect("good").expect("asked");
    let answers = run_framed(&input, trace);
    assert_eq!(answers.len(), 2);
    let text = answers[0]["event"]["message"].as_str().expect("text");
    assert!(text.starts_with("2026-03-02 one\n") && text.contains("B.java:1"), "{text}");
    let docker = br#"{"log":"hello\n","stream":"stderr","time":"2026-03-02T12:00:00Z"}"#;
    let input = framed::input(Some("docker"), None).expect("good").expect("asked");
    assert_eq!(run_framed(&input, docker)[0]["event"]["message"], "hello");
    let wrong = framed::input(Some("box"), Some("(")).expect_err("neither is good");
    assert!(wrong.contains("--envelope: unknown") && wrong.contains("--multiline: "), "{wrong}");
    assert!(framed::input(None, None).expect("good").is_none());
}

proptest::proptest! {
    #[test]
    fn every_line_that_is_not_blank_has_an_answer(lines in proptest::collection::vec("\\PC{0,60}", 0..6)) {
        let input = lines.join("\n");
        let expected = input.lines().filter(|line| !line.trim_ascii().is_empty()).count();
        let arrays = input.lines().any(|line| line.trim_ascii().starts_with('['));
        proptest::prop_assert!(arrays || run_on(input.as_bytes()).len() == expected);
    }
}
