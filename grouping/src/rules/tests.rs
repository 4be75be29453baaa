//! What a configuration may say, and what is refused.

use super::*;

fn config(yaml: &str) -> RulesConfig {
    serde_yaml_ng::from_str(yaml).unwrap()
}

fn refused(yaml: &str) -> Vec<String> {
    let errors = Rules::compile(&config(yaml)).err().unwrap_or_default();
    errors.iter().map(|error| error.path.clone()).collect()
}

const ID: &str = "01000000000000000000000000000000";
const OTHER: &str = "01000000000000000000000000000001";

#[test]
fn every_mistake_is_named_with_its_place() {
    for (yaml, path) in [
        ("fingerprint_rules: |\n  # fine\n  error.type:X\n", "fingerprint_rules:2"),
        ("fingerprint_rules: ['-> x']", "fingerprint_rules:1"),
        ("fingerprint_rules: ['error.type:X ->']", "fingerprint_rules:1"),
        ("fingerprint_rules: ['error.type:X -> {{ nonsense }}']", "fingerprint_rules:1"),
        ("fingerprint_rules: ['error.type:X -> {{ type']", "fingerprint_rules:1"),
        ("fingerprint_rules: ['colour:X -> x']", "fingerprint_rules:1"),
        ("fingerprint_rules: ['message:\"x -> x']", "fingerprint_rules:1"),
        ("stack_rules: ['-app']", "stack_rules:1"),
        ("stack_rules: ['function:x']", "stack_rules:1"),
        ("stack_rules: ['[ function:x | module:y -app']", "stack_rules:1"),
        ("stack_rules: ['function:x -app module:y']", "stack_rules:1"),
        ("in_app: {include: ['']}", "in_app.include[0]"),
        ("min_status: bad", "min_status"),
        ("frames: 0", "frames"),
        ("merge: [{into: x, from: []}]", "merge[0].into"),
        ("split: [{issue: x, by: [version]}]", "split[0].issue"),
    ] {
        assert_eq!(refused(yaml), [path], "{yaml}");
    }
    let split = format!("split: [{{issue: \"{ID}\", by: [colour]}}]");
    assert_eq!(refused(&split), ["split[0].by"]);
    let circle = format!(
        "merge: [{{into: \"{ID}\", from: [\"{OTHER}\"]}}, {{into: \"{OTHER}\", from: [\"{ID}\"]}}]"
    );
    assert_eq!(refused(&circle), ["merge", "merge"]);
    let twice = format!("merge: [{{into: \"{ID}\", from: [\"{ID}\"]}}]");
    assert!(refused(&twice).contains(&"merge[0].from[0]".to_owned()));
}

#[test]
fn unknown_fields_are_refused_and_no_field_is_needed() {
    assert!(serde_yaml_ng::from_str::<RulesConfig>("colour: red").is_err());
    assert_eq!(config("{}"), RulesConfig::default());
    assert!(Rules::compile(&RulesConfig::default()).is_ok());
}

#[test]
fn the_version_changes_with_the_content_and_not_with_its_form() {
    let version = |yaml: &str| Rules::compile(&config(yaml)).unwrap().version;
    let text = version("stack_rules: |\n  function:x -app\n");
    assert_eq!(text, version("stack_rules: ['function:x -app']"));
    assert_ne!(text, version("stack_rules: ['function:x +app']"));
}

#[test]
fn a_merge_of_a_merge_ends_at_the_last() {
    let third = "01000000000000000000000000000002";
    let yaml = format!(
        "merge: [{{into: \"{OTHER}\", from: [\"{ID}\"]}}, {{into: \"{third}\", from: [\"{OTHER}\"]}}]"
    );
    let rules = Rules::compile(&config(&yaml)).unwrap();
    let id = |text| IssueId::from_hex(text).unwrap();
    assert_eq!(rules.merge.get(&id(ID)), Some(&id(third)));
    assert_eq!(rules.merge.get(&id(OTHER)), Some(&id(third)));
}
