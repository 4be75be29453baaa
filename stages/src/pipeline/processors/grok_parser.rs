//! `grok-parser`: text to attributes by rules; the first that matches wins, and a log none matches
//! passes unchanged.

use bumpalo::Bump;

use super::Outcome;
use crate::event::LogEvent;
use crate::pipeline::config::{ConfigError, GrokParserConfig};
use crate::pipeline::grok::{Grok, Parsed};
use crate::pipeline::source;

/// Compiled rules and the attribute they read.
#[derive(Debug)]
pub(in crate::pipeline) struct GrokParser {
    source: Box<str>,
    grok: Grok,
}

impl GrokParser {
    /// Compiles the rules; every error is at the line of its rule.
    pub(super) fn compile(
        config: &GrokParserConfig,
        path: &str,
        errors: &mut Vec<ConfigError>,
    ) -> Option<Self> {
        match Grok::compile(&config.grok.match_rules, &config.grok.support_rules) {
            Ok(grok) => Some(Self { source: config.source.as_str().into(), grok }),
            Err(found) => {
                errors.extend(found.into_iter().map(|error| {
                    let field = if error.support { "support_rules" } else { "match_rules" };
                    ConfigError {
                        path: format!("{path}.grok.{field}:{}", error.line),
                        reason: error.to_string(),
                    }
                }));
                None
            }
        }
    }

    /// Lines on which a rule ran out of steps.
    pub(super) fn gave_up(&self) -> u64 {
        self.grok.gave_up()
    }

    /// Parses the source. `message` is the log's message itself, whatever was extracted under that
    /// name before.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) -> Outcome {
        let text = match &*self.source {
            "message" => event.message,
            name => source::read(arena, event, name).map_or("", |value| value.text(arena)),
        };
        let inside = text.trim();
        if inside.is_empty() {
            return Ok(());
        }
        // Blanks around a text are not part of it: published pipelines have lines that end with a line break,
        // and rules that do not mention it. A rule that does still gets them.
        let mut parsed = self.grok.parse(arena, inside, event.received, &mut event.attributes);
        if parsed == Parsed::Unmatched && inside.len() < text.len() {
            parsed = self.grok.parse(arena, text, event.received, &mut event.attributes);
        }
        match parsed {
            Parsed::Matched | Parsed::Unmatched => Ok(()),
            Parsed::OutOfSteps => {
                Err("a rule ran out of steps on this text and counts as no match")
            }
        }
    }
}
