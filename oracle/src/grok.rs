//! Rules and lines: what either side extracts, as sorted `path=value`.

use bumpalo::Bump;
use schemas::time::EventTime;
use stages::pipeline::grok::{Grok, Parsed};
use stages::value::Attributes;
use vrl::datadog_grok::parse_grok::parse_grok;
use vrl::datadog_grok::parse_grok_rules::{GrokRule, parse_grok_rules};
use vrl::value::Value;

/// What a line gives; `None` where no rule matches.
pub type Extracted = Option<Vec<String>>;

/// Ours, compiled.
///
/// # Panics
/// On rules that are none: the caller wrote them.
pub fn ours(rules: &str, support: &str) -> Grok {
    Grok::compile(rules, support).unwrap_or_else(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        panic!("{}", errors.join("\n"))
    })
}

/// What ours extracts.
pub fn ours_on(grok: &Grok, line: &str) -> Extracted {
    let arena = Bump::new();
    let mut attributes = Attributes::new_in(&arena);
    let line: &str = arena.alloc_str(line);
    let parsed = grok.parse(&arena, line, EventTime::default(), &mut attributes);
    let mut found: Vec<String> =
        attributes.iter().map(|(path, value)| format!("{path}={value}")).collect();
    found.sort();
    (parsed == Parsed::Matched).then_some(found)
}

/// Vector's, compiled; the error it gives. Rules are written `name pattern` as for ours.
///
/// # Errors
/// Vector's own.
pub fn theirs(rules: &str, support: &str) -> Result<Vec<GrokRule>, String> {
    let patterns: Vec<String> = named(rules).map(|(_, pattern)| pattern.to_owned()).collect();
    let aliases =
        named(support).chain(named(rules)).map(|(name, pattern)| (name.into(), pattern.to_owned()));
    parse_grok_rules(&patterns, &aliases.collect()).map_err(|error| error.to_string())
}

fn named(rules: &str) -> impl Iterator<Item = (&str, &str)> {
    rules.lines().filter_map(|line| line.trim().split_once(char::is_whitespace))
}

/// What Vector's extracts.
pub fn theirs_on(rules: &[GrokRule], line: &str) -> Extracted {
    let parsed = parse_grok(line, rules).ok()?;
    let mut found = Vec::new();
    flatten("", &parsed.parsed, &mut found);
    found.sort();
    Some(found)
}

fn flatten(path: &str, value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            for (key, value) in members {
                let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
                flatten(&path, value, found);
            }
        }
        Value::Null => {}
        Value::Bytes(_) | Value::String(_) => {
            let text = value.to_str_lossy().unwrap_or_default();
            if !text.is_empty() {
                found.push(format!("{path}={text}"));
            }
        }
        Value::Float(number) => found.push(format!("{path}={}", number.into_inner())),
        other => {
            let json = serde_json::to_string(other).unwrap_or_default();
            found.push(format!("{path}={json}"));
        }
    }
}
