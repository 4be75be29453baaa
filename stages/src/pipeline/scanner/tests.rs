//! What the scanner finds, hides, leaves alone and counts. Secrets are put together here, so that no
//! scanner of repositories takes them for real ones.

use bumpalo::Bump;
use proptest::prelude::*;
use schemas::time::EventTime;

use super::library::LIBRARY;
use crate::event::LogEvent;
use crate::json;
use crate::pipeline::{MetricWindows, Pipeline, config};

fn compile(yaml: &str) -> Pipeline {
    let config: config::Config =
        serde_yaml_ng::from_str(yaml).unwrap_or_else(|error| panic!("{yaml}: {error}"));
    Pipeline::compile(&config).unwrap_or_else(|errors| panic!("{yaml}: {errors:?}"))
}

/// One group of these rules over all logs.
fn rules(rules: &str) -> Pipeline {
    compile(&format!("sensitive_data_scanner: {{groups: [{{name: g, rules: [{rules}]}}]}}"))
}

/// The library's rule `name`, with each match replaced by `<name>`.
fn standard(name: &str) -> String {
    format!(
        "{{name: {name}, standard_pattern: {name}, \
         text_replacement: {{type: replacement_string, replacement_string: '<{name}>'}}}}"
    )
}

fn scan<'b>(pipeline: &Pipeline, arena: &'b Bump, message: &str) -> LogEvent<'b> {
    let mut event = LogEvent::new_in(arena, EventTime::default());
    event.message = arena.alloc_str(message);
    pipeline.process(arena, &mut event, 0, &mut MetricWindows::new(pipeline));
    event
}

fn message(pipeline: &Pipeline, text: &str) -> String {
    scan(pipeline, &Bump::new(), text).message.to_owned()
}

/// Text with a secret of each kind between the marks, and the rule that finds it.
fn samples() -> Vec<(&'static str, String)> {
    [persons(), keys(), credentials()].concat()
}

fn persons() -> Vec<(&'static str, String)> {
    vec![
        ("credit_card", "paid with [4111 1111 1111 1111] today".into()),
        ("visa_card", "[4012888888881881]".into()),
        ("mastercard_card", "[5555-5555-5555-4444]".into()),
        ("amex_card", "[3782 822463 10005]".into()),
        ("discover_card", "[6011111111111117]".into()),
        ("jcb_card", "[3530111333300000]".into()),
        ("diners_card", "[30569309025904]".into()),
        ("iban", "to [GB82 WEST 1234 5698 7654 32] now".into()),
        ("email", "mail [jane.doe+x@mail.example.org] please".into()),
        ("us_ssn", "ssn [078-05-1120]".into()),
        ("uk_national_insurance_number", "nino [QQ 12 34 56 C]".replace("QQ", "AB")),
        ("us_passport", "passport number [A12345678]".into()),
        ("phone", "call [+49 30 901820] or".into()),
        ("phone", "call [(555) 234-5678] or".into()),
        ("us_street_address", "ship to [1600 Pennsylvania Avenue] today".into()),
        ("german_street_address", "an [Hauptstra\u{df}e 12a], Berlin".into()),
    ]
}

fn hex(length: usize) -> String {
    "0123456789abcdef".chars().cycle().take(length).collect()
}

fn mixed(length: usize) -> String {
    "aZ3kQ9xB7mT1vR5n".chars().cycle().take(length).collect()
}

fn upper(length: usize) -> String {
    "ABCDEFGHJKMNPQRS".chars().cycle().take(length).collect()
}

fn keys() -> Vec<(&'static str, String)> {
    vec![
        ("aws_access_key_id", format!("key [AKIA{}]", upper(16))),
        ("aws_secret_access_key", format!("aws_secret_access_key = [{}]", mixed(40))),
        ("google_api_key", format!("[AIza{}]", mixed(35))),
        ("google_oauth_client_secret", format!("[GOCSPX-{}]", mixed(28))),
        ("google_oauth_access_token", format!("[ya29.{}]", mixed(60))),
        ("azure_storage_account_key", format!("AccountName=x;AccountKey=[{}==]", mixed(86))),
        ("azure_client_secret", format!("[abc8Q~{}]", mixed(34))),
        ("azure_sas_signature", format!("https://x/y?sv=1&sig=[{}%3D]", mixed(43))),
        ("digitalocean_token", format!("[dop_v1_{}]", hex(64))),
        ("heroku_api_key", "heroku key: [01234567-89ab-cdef-0123-456789abcdef]".into()),
        ("databricks_token", format!("[dapi{}]", hex(32))),
        ("hashicorp_vault_token", format!("[hvs.{}]", mixed(40))),
        ("github_token", format!("[ghp_{}]", mixed(36))),
        ("github_fine_grained_token", format!("[github_pat_{}_{}]", mixed(22), mixed(59))),
        ("gitlab_token", format!("[glpat-{}]", mixed(20))),
        ("npm_token", format!("[npm_{}]", mixed(36))),
        ("pypi_token", format!("[pypi-AgE{}]", mixed(80))),
        ("docker_token", format!("[dckr_pat_{}]", mixed(27))),
        ("atlassian_token", format!("[ATATT3{}]", mixed(186))),
        ("linear_api_key", format!("[lin_api_{}]", mixed(40))),
        ("slack_token", format!("[xoxb-{}]", "123456789012-".repeat(2) + &mixed(24))),
        ("slack_app_token", format!("[xapp-1-{}-1234567890-{}]", upper(10), hex(64))),
        (
            "slack_webhook",
            format!("https://hooks.slack.com/[services/T{}/B{}]", upper(16), mixed(24)),
        ),
        (
            "discord_webhook",
            format!("https://discord.com/api/webhooks/[123456789012345678/{}]", mixed(68)),
        ),
        ("telegram_bot_token", format!("[123456789:AA{}]", mixed(33))),
        ("twilio_api_key", format!("[SK{}]", hex(32))),
        ("sendgrid_api_key", format!("[SG.{}.{}]", mixed(22), mixed(43))),
        ("mailgun_api_key", format!("[key-{}]", hex(32))),
        ("mailchimp_api_key", format!("[{}-us12]", hex(32))),
        ("stripe_api_key", format!("[sk_live_{}]", mixed(24))),
        ("stripe_webhook_secret", format!("[whsec_{}]", mixed(32))),
        ("square_access_token", format!("[sq0atp-{}]", mixed(22))),
        ("shopify_token", format!("[shpat_{}]", hex(32))),
        ("datadog_api_key", format!("DD_API_KEY=[{}]", hex(32))),
        ("datadog_app_key", format!("dd-application-key: [{}]", hex(40))),
        ("new_relic_key", format!("[NRAK-{}]", upper(27))),
        ("sentry_token", format!("[sntrys_{}]", mixed(64))),
        ("grafana_token", format!("[glsa_{}]", mixed(41))),
        ("openai_api_key", format!("[sk-{}T3BlbkFJ{}]", mixed(20), mixed(20))),
        ("anthropic_api_key", format!("[sk-ant-api03-{}]", mixed(95))),
        ("hugging_face_token", format!("[hf_{}]", "aBcDeFgHiJ".repeat(4).split_at(34).0)),
    ]
}

fn credentials() -> Vec<(&'static str, String)> {
    vec![
        ("jwt", format!("cookie [eyJ{}.eyJ{}.{}]", mixed(20), mixed(30), mixed(43))),
        (
            "private_key",
            format!(
                "x [-----BEGIN RSA PRIVATE KEY-----\n{}\n-----END RSA PRIVATE KEY-----] y",
                mixed(64)
            ),
        ),
        ("bearer_token", format!("Authorization: Bearer [{}]", mixed(32))),
        ("basic_auth_header", "authorization: Basic [dXNlcjpwYXNz]".into()),
        ("url_credentials", "postgres://shop:[s3cr3t!]@db:5432/x".into()),
        ("password_assignment", r#"{"password": "[hunter2]"}"#.into()),
        ("ipv4", "from [192.168.10.254] to".into()),
        ("ipv6", "from [2001:db8::ff00:42:8329] to".into()),
        ("mac_address", "eth0 [00:1B:44:11:3a:b7] up".into()),
    ]
}

#[test]
fn every_rule_of_the_library_finds_its_sample_and_nothing_beside_it() {
    for (name, marked) in samples() {
        let (text, hidden) = split(&marked, name);
        assert_eq!(message(&rules(&standard(name)), &text), hidden, "{name}");
    }
    for standard in LIBRARY {
        assert!(samples().iter().any(|(name, _)| *name == standard.name), "{}", standard.name);
    }
}

/// The text without marks, and with `<name>` for what they enclose.
fn split(marked: &str, name: &str) -> (String, String) {
    let (before, rest) = marked.split_once('[').expect("a mark");
    let (secret, after) = rest.rsplit_once(']').expect("a mark");
    (format!("{before}{secret}{after}"), format!("{before}<{name}>{after}"))
}

#[test]
fn what_only_looks_like_it_stays() {
    for (name, text) in [
        ("credit_card", "order 4111 1111 1111 1112 of 2024"),
        ("credit_card", "0000000000000000 1714219200000000"),
        ("iban", "GB82 WEST 1234 5698 7654 33"),
        ("us_ssn", "000-12-3456 666-12-3456 123-00-4567"),
        ("email", "user@localhost @mention a@b"),
        ("datadog_api_key", "md5 0123456789abcdef0123456789abcdef"),
        ("us_passport", "order 123456789"),
        ("ipv4", "version 1.2.3 and 300.1.1.1"),
        ("ipv6", "at 12:34:56 and a::b::c"),
        ("jwt", "eyJhbGciOiJIUzI1NiJ9 alone"),
        ("phone", "2024-04-27 12:00:00 id 5551234567"),
        ("url_credentials", "https://example.org:8080/a@b"),
    ] {
        assert_eq!(message(&rules(&standard(name)), text), text, "{name}");
    }
}

#[test]
fn actions_are_those_of_datadogs_scanner() {
    let action = |action: &str, text: &str| {
        let rule = format!("{{name: r, pattern: '[a-z\u{1f60a}]+', text_replacement: {action}}}");
        message(&rules(&rule), text)
    };
    for (kind, text, result) in [
        ("{type: none}", "coty", "coty"),
        ("{type: hash}", "coty", "fdf7528ad7f83901"),
        ("{type: hash}", "rene", "51a2842f626aaaec"),
        ("{type: hash}", "\u{1f60a}", "6ce17744696c2107"),
        ("{type: replacement_string, replacement_string: '[X]'}", "1 ab 2", "1 [X] 2"),
        ("{type: partial_replacement_from_beginning, number_of_chars: 5}", "abcdefgh", "*****fgh"),
        ("{type: partial_replacement_from_beginning, number_of_chars: 5}", "rene", "*****"),
        ("{type: partial_replacement_from_end, number_of_chars: 5}", "abcdefgh", "abc*****"),
        ("{type: partial_replacement_from_end, number_of_chars: 5}", "rene", "*****"),
        (
            "{type: partial_replacement_from_end, number_of_chars: 1}",
            "\u{1f60a}\u{1f60a}",
            "\u{1f60a}*",
        ),
    ] {
        assert_eq!(action(kind, text), result, "{kind}");
    }
}

#[test]
fn message_and_attributes_are_scanned_inside_arrays_too_and_origin_fields_are_not() {
    let pipeline = compile(&format!(
        "sensitive_data_scanner: {{groups: [{{name: pii, rules: [{}, {}]}}]}}",
        standard("email").replace("}}", "}, tags: ['sensitive:email']}"),
        standard("visa_card")
    ));
    let arena = Bump::new();
    let json = br#"{"message":"from a@b.de","n":4012888888881881,"list":["x","c@d.fr",{"in":["e@f.it",1]}],
        "host":"a@b.de","error":{"fingerprint":"a@b.de"},"safe":12345678}"#;
    let mut event = LogEvent::new_in(&arena, EventTime::default());
    json::read_object(&arena, json, &mut event.attributes).expect("JSON");
    event.tags.push("mail:a@b.de");
    pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
    assert_eq!((event.message, event.host), ("from <email>", "a@b.de"));
    let left: Vec<String> = event.attributes.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(
        left,
        [
            "n=<visa_card>",
            r#"list=["x","<email>",{"in":["<email>",1]}]"#,
            "error.fingerprint=a@b.de",
            "safe=12345678"
        ]
    );
    assert_eq!(event.tags.as_slice(), ["mail:a@b.de", "sensitive:email"]);
    let found: Vec<&str> = pipeline.sensitive(&event).collect();
    assert_eq!(found, ["pii/email", "pii/visa_card"]);
}

#[test]
fn namespaces_keywords_and_suppressions_narrow_a_rule() {
    let secret = |more: &str| {
        rules(&format!(
            "{{name: r, pattern: '[0-9]{{4}}', text_replacement: {{type: replacement_string, replacement_string: '#'}}, {more}}}"
        ))
    };
    let arena = Bump::new();
    let with = |more: &str, json: &'static str| {
        let pipeline = secret(more);
        let mut event = LogEvent::new_in(&arena, EventTime::default());
        json::read_object(&arena, json.as_bytes(), &mut event.attributes).expect("JSON");
        pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
        let attributes: Vec<String> = event.attributes.iter().map(|(_, v)| v.to_string()).collect();
        format!("{} {}", event.message, attributes.join(" "))
    };
    let json = r#"{"message":"1234","a":{"b":"1234"},"ab":"1234"}"#;
    assert_eq!(with("namespaces: [a]", json), "1234 # 1234");
    assert_eq!(with("namespaces: [message, ab]", json), "# 1234 #");
    assert_eq!(with("excluded_namespaces: [a.b, message]", json), "1234 1234 #");
    let keywords =
        "included_keyword_configuration: {keywords: [pin, 'user code'], character_count: 10}";
    for (text, result) in [
        ("PIN: 1234", "PIN: #"),
        ("user_code=1234", "user_code=#"),
        ("spin: 1234", "spin: 1234"),
        ("pin then far off 1234", "pin then far off 1234"),
        ("1234 is the pin", "1234 is the pin"),
    ] {
        assert_eq!(message(&secret(keywords), text), result);
    }
    assert_eq!(with(keywords, r#"{"user":{"pin":"1234"},"other":"1234"}"#), " # 1234");
    let suppressed = "suppressions: {starts_with: ['9'], ends_with: ['00'], exact_match: ['1234']}";
    assert_eq!(message(&secret(suppressed), "1234 9999 1200 5555"), "1234 9999 1200 #");
}

#[test]
fn groups_apply_in_order_behind_their_filters_and_priorities_decide_overlaps() {
    let pipeline = compile(
        r#"
sensitive_data_scanner:
  groups:
    - name: off
      is_enabled: false
      rules: [{name: all, pattern: ".+", text_replacement: {type: replacement_string, replacement_string: "off"}}]
    - name: apm
      product_list: [apm]
      rules: [{name: all, pattern: ".+", text_replacement: {type: replacement_string, replacement_string: "apm"}}]
    - name: web
      filter: {query: "service:web"}
      rules:
        - {name: late, pattern: "bcd", text_replacement: {type: replacement_string, replacement_string: "L"}}
        - {name: first, priority: 1, pattern: "abc", text_replacement: {type: replacement_string, replacement_string: "F"}}
        - {name: disabled, is_enabled: false, pattern: "f", text_replacement: {type: replacement_string, replacement_string: "D"}}
    - name: second
      filter: {query: "service:web"}
      rules: [{name: sees, pattern: "Fd", text_replacement: {type: replacement_string, replacement_string: "S"}}]
"#,
    );
    assert!(pipeline.notes()[0].to_string().contains("groups[1].product_list"));
    let arena = Bump::new();
    let mut event = LogEvent::new_in(&arena, EventTime::default());
    (event.service, event.message) = ("web", "abcd bcd f");
    pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(&pipeline));
    assert_eq!(event.message, "S L f");
    let found: Vec<&str> = pipeline.sensitive(&event).collect();
    assert_eq!(found, ["web/first", "web/late", "second/sees"]);
    assert_eq!(message(&pipeline, "abcd"), "abcd", "another service passes by");
}

#[test]
fn a_sample_is_a_share_of_logs_and_the_same_one_twice() {
    let pipeline = compile(
        "sensitive_data_scanner: {groups: [{name: g, samplings: [{product: logs, rate: 20}], \
         rules: [{name: r, pattern: x, text_replacement: {type: replacement_string, replacement_string: y}}]}]}",
    );
    let scanned = |number: u32| message(&pipeline, &format!("x {number}")).starts_with('y');
    let share = (0..2_000).filter(|number| scanned(*number)).count();
    assert!((320..480).contains(&share), "{share} of 2000");
    assert!((0..100).all(|number| scanned(number) == scanned(number)));
}

#[test]
fn too_many_places_hide_the_rest_of_the_text_in_bounded_time() {
    let pipeline = rules(&standard("email"));
    let many = "a@b.de ".repeat(150_000);
    let hidden = message(&pipeline, &many);
    let shown = schemas::limits::MAX_SCANNER_PLACES;
    assert_eq!(hidden, "<email> ".repeat(shown) + "[hidden: too many matches]");
    // Digits that could begin a card everywhere, and none does.
    let digits = "4".repeat(1 << 20);
    assert!(message(&rules(&standard("credit_card")), &digits).len() <= digits.len());
}

#[test]
fn bad_rules_are_refused_with_their_place() {
    let yaml = r#"
sensitive_data_scanner:
  groups:
    - name: g
      filter: {query: "("}
      samplings: [{product: logs, rate: 200}]
      rules:
        - {name: a, pattern: "(", text_replacement: {type: hash}}
        - {name: b, pattern: "(?=x)y"}
        - {name: c, pattern: "x*"}
        - {name: d, standard_pattern: cards}
        - {name: e}
        - {name: f, pattern: x, priority: 9, text_replacement: {type: replacement_string}}
        - {name: g, pattern: x, text_replacement: {type: partial_replacement_from_end}}
        - {name: h, pattern: x, text_replacement: {type: hash, should_save_match: true}, included_keyword_configuration: {keywords: [""]}}
"#;
    let config: config::Config = serde_yaml_ng::from_str(yaml).expect("well-formed");
    let errors = Pipeline::compile(&config).expect_err("refused");
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let expected = [
        ".filter.query: ",
        ".samplings: a rate is 0 to 100",
        ".rules[0].pattern: ",
        ".rules[1].pattern: ",
        ".rules[2].pattern: matches the empty text",
        ".rules[3].standard_pattern: no rule `cards` in the library; there are credit_card",
        ".rules[4]: write one of pattern and standard_pattern",
        ".rules[5].priority: must be 1",
        ".rules[5].text_replacement.replacement_string: missing",
        ".rules[6].text_replacement.number_of_chars: must be 1 or more",
        ".rules[7].text_replacement.should_save_match: a match is never kept",
        ".rules[7].included_keyword_configuration.keywords: an empty keyword",
    ];
    assert_eq!(errors.len(), expected.len(), "{errors:#?}");
    for (error, part) in errors.iter().zip(expected) {
        assert!(
            error.contains(&format!("sensitive_data_scanner.groups[0]{part}")),
            "{error}\n{part}"
        );
    }
}

/// Texts with secrets, halves of secrets and noise in any order.
fn text() -> impl Strategy<Value = String> {
    let secret = prop::sample::select(samples()).prop_map(|(name, marked)| split(&marked, name).0);
    let half = (prop::sample::select(samples()), any::<prop::sample::Index>()).prop_map(
        |((name, marked), cut)| {
            let text = split(&marked, name).0;
            let at = text.floor_char_boundary(cut.index(text.len()));
            text[..at].to_owned()
        },
    );
    let part = prop_oneof![secret, half, "\\PC{0,12}", "[0-9 .:@/-]{0,20}"];
    prop::collection::vec(part, 0..6).prop_map(|parts| parts.join(" "))
}

proptest! {
    /// The prefilter loses nothing: a rule hits in company if and only if it hits alone, and alone if and
    /// only if its expression matches and its check holds.
    #[test]
    fn all_rules_together_find_what_each_finds_alone(text in text()) {
        thread_local! {
            static ALONE: Vec<(Pipeline, regex::Regex)> = LIBRARY.iter().map(|standard| {
                let rule = format!("{{name: {0}, standard_pattern: {0}}}", standard.name);
                (rules(&rule), regex::Regex::new(standard.pattern).expect("compiles"))
            }).collect();
            // Each rule reads an attribute of its own, so that none hides a match from another.
            static TOGETHER: Pipeline = {
                let all = LIBRARY.iter().enumerate().map(|(number, standard)| format!(
                    "{{name: {0}, standard_pattern: {0}, namespaces: [p{number}]}}", standard.name));
                rules(&all.collect::<Vec<_>>().join(","))
            };
        }
        let arena = Bump::new();
        let alone: Vec<String> = ALONE.with(|pipelines| {
            let hits = pipelines.iter().zip(LIBRARY).filter_map(|((pipeline, regex), standard)| {
                let event = scan(pipeline, &arena, &text);
                let hit = pipeline.sensitive(&event).next().map(str::to_owned);
                let plain = standard.check.is_none() && !standard.needs_keywords;
                assert!(!plain || hit.is_some() == regex.is_match(&text), "{}: {text:?}", standard.name);
                hit
            });
            hits.collect()
        });
        let company: Vec<String> = TOGETHER.with(|pipeline| {
            let mut event = LogEvent::new_in(&arena, EventTime::default());
            let text = crate::value::Value::Str(arena.alloc_str(&text));
            for number in 0..LIBRARY.len() {
                event.attributes.push(arena.alloc_str(&format!("p{number}")), text);
            }
            pipeline.process(&arena, &mut event, 0, &mut MetricWindows::new(pipeline));
            pipeline.sensitive(&event).map(str::to_owned).collect()
        });
        let sorted = |mut names: Vec<String>| { names.sort(); names };
        prop_assert_eq!(sorted(alone), sorted(company));
    }

    #[test]
    fn no_text_makes_it_panic_and_twice_is_the_same(text in text()) {
        thread_local! {
            static HIDE: Pipeline = rules(&LIBRARY.iter().map(|rule| standard(rule.name)).collect::<Vec<_>>().join(","));
        }
        HIDE.with(|pipeline| {
            let hidden = message(pipeline, &text);
            prop_assert_eq!(&hidden, &message(pipeline, &text));
            Ok(())
        })?;
    }
}
