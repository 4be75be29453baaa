//! `string-builder-processor`: a text out of raw text and blocks `%{attribute.path}`.
//!
//! An array of values is joined by commas, `%{array.name}` joins the member `name` of an array of
//! objects; an object or an array of objects counts as missing. A missing attribute skips the log, or
//! is the empty text with `is_replace_missing`. What is longer than Datadog's 256 characters is cut.

use bumpalo::Bump;
use bumpalo::collections::String as BumpString;
use schemas::limits::MAX_BUILT_TEXT_CHARS;

use super::Outcome;
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::StringBuilderProcessorConfig;
use crate::pipeline::source;
use crate::value::Value;

/// The compiled template.
#[derive(Debug)]
pub(in crate::pipeline) struct StringBuilderProcessor {
    parts: Vec<Part>,
    target: Box<str>,
    replace_missing: bool,
}

#[derive(Debug)]
enum Part {
    Text(Box<str>),
    Attribute(Box<str>),
}

impl StringBuilderProcessor {
    /// Compiles the template.
    pub(super) fn compile(
        config: &StringBuilderProcessorConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let target = super::name(&config.target, "target", path, compiler);
        match parts(&config.template) {
            Ok(parts) => {
                Some(Self { parts, target: target?, replace_missing: config.is_replace_missing })
            }
            Err(reason) => {
                compiler.refuse(format!("{path}.template"), reason);
                None
            }
        }
    }

    /// Builds the text.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) -> Outcome {
        let mut text = BumpString::new_in(arena);
        for part in &self.parts {
            match part {
                Part::Text(raw) => text.push_str(raw),
                Part::Attribute(path) => {
                    let start = text.len();
                    if !write(arena, event, path, &mut text) {
                        if !self.replace_missing {
                            return Ok(());
                        }
                        text.truncate(start);
                    }
                }
            }
        }
        let end = text.char_indices().nth(MAX_BUILT_TEXT_CHARS).map(|(at, _)| at);
        text.truncate(end.unwrap_or(text.len()));
        source::replace(arena, event, &self.target, Value::Str(text.into_bump_str()));
        if end.is_some() { Err("the text was cut at 256 characters") } else { Ok(()) }
    }
}

fn parts(template: &str) -> Result<Vec<Part>, String> {
    let mut parts = Vec::new();
    let mut rest = template;
    while let Some((raw, block)) = rest.split_once("%{") {
        let Some((path, after)) = block.split_once('}') else {
            let at = template.len() - block.len() - 1;
            return Err(format!("`%{{` at character {at} has no `}}`: close it"));
        };
        if path.trim().is_empty() {
            return Err("`%{}` names no attribute".to_owned());
        }
        if !raw.is_empty() {
            parts.push(Part::Text(raw.into()));
        }
        parts.push(Part::Attribute(path.trim().into()));
        rest = after;
    }
    if !rest.is_empty() {
        parts.push(Part::Text(rest.into()));
    }
    if parts.is_empty() {
        return Err("empty: write a text with `%{attribute}` in it".to_owned());
    }
    Ok(parts)
}

/// Adds the attribute's text; false where it is missing.
fn write<'b>(arena: &'b Bump, event: &LogEvent<'b>, path: &str, text: &mut BumpString<'b>) -> bool {
    match source::read(arena, event, path) {
        Some(Value::Array(items)) => join(arena, items.iter().copied().map(Some), text),
        Some(Value::Object(_)) => false,
        Some(value) => {
            text.push_str(value.text(arena));
            true
        }
        None => from_array(arena, event, path, text),
    }
}

/// `array.member`: the array is the longest path that is one.
fn from_array<'b>(
    arena: &'b Bump,
    event: &LogEvent<'b>,
    path: &str,
    text: &mut BumpString<'b>,
) -> bool {
    for (dot, _) in path.rmatch_indices('.') {
        let (Some(head), Some(rest)) = (path.get(..dot), path.get(dot + 1..)) else { continue };
        if let Some(Value::Array(items)) = event.attributes.get(head) {
            return join(arena, items.iter().map(|item| source::member(item, rest)), text);
        }
    }
    false
}

/// Values by commas; false where there is none, or one that is no single value.
fn join<'b>(
    arena: &'b Bump,
    items: impl Iterator<Item = Option<Value<'b>>>,
    text: &mut BumpString<'b>,
) -> bool {
    let mut any = false;
    for item in items.flatten() {
        if matches!(item, Value::Array(_) | Value::Object(_)) {
            return false;
        }
        if any {
            text.push(',');
        }
        any = true;
        text.push_str(item.text(arena));
    }
    any
}
