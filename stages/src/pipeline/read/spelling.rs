//! One spelling: what Datadog's published integrations write in camel case becomes what its public API
//! writes, and null members go, so that one set of types reads all forms.

use super::node::{Content, Key, Mark, Node};

/// Fields of processors that are text, however a YAML reader sees `404` or `true`.
const TEXTS: [&str; 7] =
    ["name", "template", "default_lookup", "source", "target", "query", "version"];

/// Respells a pipeline or a processor, its nested ones included.
pub(super) fn respell(node: &mut Node) {
    match &mut node.content {
        Content::List(items) => items.iter_mut().for_each(respell),
        Content::Map(members) => {
            members.retain(|(_, value)| !value.is_null());
            for (key, value) in members {
                if let Some(name) = api_name(&key.text) {
                    key.text = name;
                }
                respell(value);
                member(key, value);
            }
        }
        _ => {}
    }
}

fn member(key: &Key, value: &mut Node) {
    if TEXTS.contains(&key.text.as_str()) {
        let text = match &value.content {
            Content::Int(number) => Some(number.to_string()),
            Content::Float(number) => Some(number.to_string()),
            Content::Bool(flag) => Some(flag.to_string()),
            _ => None,
        };
        if let Some(text) = text {
            value.content = Content::Text { text, block: None };
        }
    }
    // `key,value` lines in one text.
    if key.text == "lookup_table"
        && let Content::Text { text, block } = &value.content
    {
        let place = |number: usize| match block {
            Some((line, column)) => Mark { line: line + number, column: *column, ..value.at },
            None => value.at,
        };
        let lines = text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
        let lines = lines.map(|(number, line)| Node::text(place(number), line)).collect();
        value.content = Content::List(lines);
    }
}

/// The API's name of a field, where the integrations have another.
fn api_name(name: &str) -> Option<String> {
    match name {
        "enabled" => return Some("is_enabled".to_owned()),
        "encoded" => return Some("is_encoded".to_owned()),
        "replaceMissing" => return Some("is_replace_missing".to_owned()),
        "groupBys" => return Some("group_by".to_owned()),
        _ => {}
    }
    let camel = name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(|c| c.is_ascii_alphanumeric())
        && name.contains(|c: char| c.is_ascii_uppercase());
    camel.then(|| {
        let mut snake = String::with_capacity(name.len() + 4);
        for c in name.chars() {
            if c.is_ascii_uppercase() {
                snake.push('_');
            }
            snake.push(c.to_ascii_lowercase());
        }
        snake
    })
}

#[cfg(test)]
mod tests {
    use super::api_name;

    #[test]
    fn names_of_the_integrations_become_those_of_the_api() {
        for (written, api) in [
            ("enabled", Some("is_enabled")),
            ("supportRules", Some("support_rules")),
            ("overrideOnConflict", Some("override_on_conflict")),
            ("replaceMissing", Some("is_replace_missing")),
            ("sources", None),
            ("is_enabled", None),
            ("Enabled", None),
        ] {
            assert_eq!(api_name(written).as_deref(), api, "{written}");
        }
    }
}
