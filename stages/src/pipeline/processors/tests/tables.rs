//! Processors that look things up: user agents, tables, places of addresses.

use super::*;

#[test]
fn user_agent_parser_documented_example() {
    let agent =
        "{type: user-agent-parser, sources: [client.user_agent], target: http.useragent_details}";
    let json = r#"{"client":{"user_agent":"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/118.0.5993.90 Safari/537.36"}}"#;
    let at = |path: &str, text: &str| format!("http.useragent_details.{path}=\"{text}\"");
    assert_eq!(
        adds(agent, json),
        [
            at("browser.family", "Chrome"),
            at("browser.major", "118"),
            at("browser.minor", "0"),
            at("browser.patch", "5993"),
            at("browser.patch_minor", "90"),
            at("device.brand", "Apple"),
            at("device.category", "Desktop"),
            at("device.family", "Mac"),
            at("device.model", "Mac"),
            at("os.family", "Mac OS X"),
            at("os.major", "10"),
            at("os.minor", "15"),
            at("os.patch", "7"),
        ]
    );
}

#[test]
fn user_agents_have_the_families_that_integrations_test_for() {
    let pipeline = compile("{type: user-agent-parser, sources: [ua], target: t, is_encoded: true}");
    for (text, browser, os, category) in [
        ("Datadog/Synthetics", "Other", "Other", "Other"),
        ("Go-http-client/1.1", "Go-http-client", "Other", "Other"),
        ("curl/7.60.0", "curl", "Other", "Other"),
        ("Mediatoolkitbot (complaints@mediatoolkit.com)", "Mediatoolkitbot", "Other", "Bot"),
        ("kubectl/v1.31.5+k3s1 (linux/arm64) kubernetes/56ec5dd", "Other", "Linux", "Desktop"),
        ("Mozilla/4.0+(compatible;MSIE+5.5;+Windows+2000+Server)", "IE", "Windows", "Desktop"),
        (
            "Mozilla/5.0%20(X11;%20Linux%20x86_64)%20Chrome/55.0.2883.87%20Safari/537.36",
            "Chrome",
            "Linux",
            "Desktop",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 16_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/16.5 Mobile/15E148 Safari/604.1",
            "Mobile Safari",
            "iOS",
            "Mobile",
        ),
        (
            "Mozilla/5.0 (iPad; CPU OS 15_4 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/15.4 Mobile/15E148 Safari/604.1",
            "Mobile Safari",
            "iOS",
            "Tablet",
        ),
        (
            "Mozilla/5.0 (Linux; Android 13; Pixel 7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/116.0.0.0 Mobile Safari/537.36",
            "Chrome Mobile",
            "Android",
            "Mobile",
        ),
    ] {
        // Twice: the second time it is remembered.
        for _ in 0..2 {
            let arena = Bump::new();
            let mut event = LogEvent::new_in(&arena, EventTime::default());
            event.attributes.push("ua", Value::Str(arena.alloc_str(text)));
            pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
            let found = ["t.browser.family", "t.os.family", "t.device.category"]
                .map(|path| event.attributes.get_str(path).unwrap_or_default());
            assert_eq!(found, [browser, os, category], "{text}");
        }
    }
}

#[test]
fn lookup_processor_documented_example() {
    let lookup = r#"{type: lookup-processor, source: user.id, target: user.username,
        lookup_table: ["42,alice.doe", "77, bob,smith", "\"a,b\",quoted"]}"#;
    assert_eq!(adds(lookup, r#"{"user":{"id":"42"}}"#), [r#"user.username="alice.doe""#]);
    assert_eq!(adds(lookup, r#"{"user":{"id":42}}"#), [r#"user.username="alice.doe""#]);
    assert_eq!(adds(lookup, r#"{"user":{"id":77}}"#), [r#"user.username="bob,smith""#]);
    assert_eq!(adds(lookup, r#"{"user":{"id":"a,b"}}"#), [r#"user.username="quoted""#]);
    assert!(adds(lookup, r#"{"user":{"id":"1"}}"#).is_empty());
    let default = r#"{type: lookup-processor, source: id, target: t, lookup_table: ["1,one"], default_lookup: other}"#;
    assert_eq!(adds(default, r#"{"id":2}"#), [r#"t="other""#]);
    assert!(adds(default, r#"{"no":2}"#).is_empty(), "no source, nothing written");
}

/// Files by name, in memory.
struct Given(&'static [(&'static str, &'static [u8])]);

impl Files for Given {
    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, content)| content.to_vec()).ok_or_else(|| "no such file".to_owned())
    }
}

#[test]
fn tables_come_from_files_and_their_content_is_part_of_the_version() {
    let yaml = r#"
reference_tables: [{table_name: users, file: users.csv, primary_key: id}]
pipelines: [{processors: [
  {type: lookup-processor, source: code, target: meaning, lookup_file: codes.csv},
  {type: lookup-processor, source: user_id, target: user, lookup_enrichment_table: users}]}]
"#;
    let config: config::Config = serde_yaml_ng::from_str(yaml).expect("well-formed");
    const CODES: &[u8] = b"1,one\n\"2\",\"two, too\"\n";
    let files =
        Given(&[("codes.csv", CODES), ("users.csv", b"name,id,team\nAnn,7,\nBob,8,shop\n")]);
    let pipeline = Pipeline::compile_with(&config, &files).expect("compiles");
    assert_eq!(
        adds_with(&pipeline, r#"{"code":2,"user_id":"8"}"#),
        [r#"meaning="two, too""#, r#"user.name="Bob""#, r#"user.team="shop""#]
    );
    let other = Given(&[("codes.csv", CODES), ("users.csv", b"name,id,team\nEve,8,shop\n")]);
    let changed = Pipeline::compile_with(&config, &other).expect("compiles");
    assert_ne!(pipeline.version(), changed.version());
    let errors =
        Pipeline::compile_with(&config, &Given(&[("codes.csv", b"1\n")])).expect_err("refused");
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    assert_eq!(
        errors,
        [
            "pipelines[0].processors[0].lookup_file: line 1: must have two columns, key and value",
            "reference_tables[0].file: `users.csv`: no such file",
        ]
    );
}

#[test]
fn geo_ip_parser_writes_the_documented_elements() {
    let yaml = "{geo_ip_database: places.mmdb, pipelines: [{processors: [{type: geo-ip-parser}]}]}";
    let config: config::Config = serde_yaml_ng::from_str(yaml).expect("well-formed");
    let files = Given(&[("places.mmdb", include_bytes!("../geo_ip_parser/places.mmdb"))]);
    let pipeline = Pipeline::compile_with(&config, &files).expect("compiles");
    assert!(pipeline.notes().is_empty());
    let at = |pair: &str| format!("network.client.geoip.{pair}");
    assert_eq!(
        adds_with(&pipeline, r#"{"network":{"client":{"ip":"203.0.113.42"}}}"#),
        [
            at(r#"city.name="New York""#),
            at(r#"continent.code="NA""#),
            at(r#"continent.name="North America""#),
            at(r#"country.iso_code="US""#),
            at(r#"country.name="United States""#),
            at(r#"ipAddress="203.0.113.42""#),
            at("location.latitude=40.7128"),
            at("location.longitude=-74.006"),
            at(r#"subdivision.iso_code="US-NY""#),
            at(r#"subdivision.name="New York""#),
        ]
    );
    assert_eq!(
        adds_with(&pipeline, r#"{"network":{"client":{"ip":"2001:db8::1"}}}"#),
        [
            at(r#"country.iso_code="FR""#),
            at(r#"country.name="France""#),
            at(r#"ipAddress="2001:db8::1""#)
        ]
    );
    assert_eq!(
        adds_with(&pipeline, r#"{"network":{"client":{"ip":"100.100.200.00"}}}"#),
        [at(r#"invalidAddress="100.100.200.00""#)]
    );
    for unknown in ["10.0.0.1", ""] {
        let json = format!(r#"{{"network":{{"client":{{"ip":"{unknown}"}}}}}}"#);
        assert!(adds_with(&pipeline, &json).is_empty(), "{unknown}");
    }
    let bad =
        Pipeline::compile_with(&config, &Given(&[("places.mmdb", b"text")])).expect_err("refused");
    assert!(bad[0].to_string().contains("geo_ip_database: `places.mmdb`: no database"), "{bad:?}");
    let without = compile("{type: geo-ip-parser}");
    assert!(without.notes()[0].to_string().contains("set geo_ip_database"), "noted, not refused");
}
