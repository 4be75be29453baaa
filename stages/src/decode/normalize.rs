//! Names and tag values as Datadog's agent normalises them (datadog-agent
//! `pkg/trace/traceutil/normalize`), borrowed where there is nothing to do.

use bumpalo::Bump;
use bumpalo::collections::String as BumpString;

use super::wire::head;

/// Bytes of a service, an operation name, a span type.
const MAX_NAME_BYTES: usize = 100;
/// Bytes of a resource.
const MAX_RESOURCE_BYTES: usize = 5_000;
/// Characters of a tag value.
const MAX_TAG_CHARS: usize = 200;

/// A service name; an empty one is named after the tracer's language.
pub(super) fn service<'b>(arena: &'b Bump, text: &'b str, lang: Option<&str>) -> &'b str {
    match tag_value(arena, head(text, MAX_NAME_BYTES)) {
        "" => match lang.map(|lang| tag_value(arena, arena.alloc_str(lang))) {
            None | Some("") => "unnamed-service",
            Some(lang) => bumpalo::format!(in arena, "unnamed-{}-service", lang).into_bump_str(),
        },
        name => name,
    }
}

/// An operation name: a metric name.
pub(super) fn operation<'b>(arena: &'b Bump, text: &'b str) -> &'b str {
    match metric_name(arena, head(text, MAX_NAME_BYTES)) {
        "" => "unnamed_operation",
        name => name,
    }
}

/// A resource; an empty one is the operation.
pub(super) fn resource<'b>(text: &'b str, operation: &'b str) -> &'b str {
    if text.is_empty() { operation } else { head(text, MAX_RESOURCE_BYTES) }
}

/// A span type.
pub(super) fn span_type(text: &str) -> &str {
    head(text, MAX_NAME_BYTES)
}

/// Lower case; letters, digits and `:./-` stay, everything else is `_`, of which runs collapse and
/// those at the ends go. Leading digits stay.
pub(super) fn tag_value<'b>(arena: &'b Bump, text: &'b str) -> &'b str {
    if is_tag_value(text) {
        return text;
    }
    let mut out = BumpString::with_capacity_in(text.len(), arena);
    let mut count = 0;
    for character in text.chars().flat_map(char::to_lowercase) {
        let kept = character.is_alphanumeric() || matches!(character, ':' | '.' | '/' | '-');
        if count >= MAX_TAG_CHARS {
            break;
        }
        if kept {
            out.push(character);
            count += 1;
        } else if !out.is_empty() && !out.ends_with('_') {
            out.push('_');
            count += 1;
        }
    }
    out.into_bump_str().trim_end_matches('_')
}

/// Whether [`tag_value`] would change nothing: true of nearly every name.
fn is_tag_value(text: &str) -> bool {
    let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b':' | b'.' | b'/' | b'-');
    // A `_` may only stand after something else that stays, and not at the end.
    let mut before = b'_';
    for byte in text.bytes() {
        if !plain(byte) && (byte != b'_' || before == b'_') {
            return false;
        }
        before = byte;
    }
    text.len() <= MAX_TAG_CHARS && (before != b'_' || text.is_empty())
}

/// Whether [`metric_name`] would change nothing but the start.
fn is_metric_name(text: &str) -> bool {
    let mut before = b'.';
    for byte in text.bytes() {
        let kept = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.');
        if !kept || (before == b'_' && matches!(byte, b'_' | b'.')) {
            return false;
        }
        before = byte;
    }
    before != b'_'
}

/// From the first ASCII letter on; letters, digits, `_` and `.` stay, everything else is `_`, of
/// which runs collapse; `_.` becomes `.`; `_` at the end goes. Case stays.
fn metric_name<'b>(arena: &'b Bump, text: &'b str) -> &'b str {
    let start = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let text = &text[start..];
    if is_metric_name(text) {
        return text;
    }
    let mut out = BumpString::with_capacity_in(text.len(), arena);
    for character in text.chars() {
        match character {
            c if c.is_ascii_alphanumeric() => out.push(c),
            '.' => {
                while out.ends_with('_') {
                    out.pop();
                }
                out.push('.');
            }
            _ if out.ends_with('_') => {}
            _ => out.push('_'),
        }
    }
    out.into_bump_str().trim_end_matches('_')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_come_out_as_the_agents_tests_say() {
        let arena = Bump::new();
        for (text, wanted) in [
            ("DEVELOPMENT", "development"),
            ("1love", "1love"),
            ("  My   Service__x ", "my_service_x"),
            ("ünïcöde:Tag/x-y", "ünïcöde:tag/x-y"),
            ("___", ""),
        ] {
            assert_eq!(tag_value(&arena, text), wanted, "{text:?}");
        }
        let long = "Too-Long-.".repeat(20);
        assert_eq!(operation(&arena, &long), "Too_Long.".repeat(10));
        assert_eq!(operation(&arena, "123"), "unnamed_operation");
        assert_eq!(operation(&arena, "-web request"), "web_request");
        assert_eq!(service(&arena, "", Some("Python")), "unnamed-python-service");
        assert_eq!(service(&arena, "!!", None), "unnamed-service");
        assert_eq!(resource("", "op"), "op");
    }

    proptest! {
        #[test]
        fn normalising_twice_changes_nothing(text in ".{0,250}") {
            let arena = Bump::new();
            let once = tag_value(&arena, &text);
            prop_assert_eq!(tag_value(&arena, once), once);
            let once = operation(&arena, &text);
            prop_assert_eq!(operation(&arena, once), once);
        }
    }
}
