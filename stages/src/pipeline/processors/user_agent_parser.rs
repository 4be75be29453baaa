//! `user-agent-parser`: browser, system and device of a user agent.

use bumpalo::Bump;
use schemas::limits::MAX_USER_AGENT_BYTES;

use super::Outcome;
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::UserAgentParserConfig;
use crate::pipeline::{source, user_agent};

/// Sources in order, and where the parts go.
#[derive(Debug)]
pub(in crate::pipeline) struct UserAgentParser {
    sources: Vec<Box<str>>,
    target: Box<str>,
    encoded: bool,
}

impl UserAgentParser {
    /// Checks the configuration, and makes the definitions ready.
    pub(super) fn compile(
        config: &UserAgentParserConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let sources = super::sources(&config.sources, &["http.useragent"], path, compiler);
        let target = super::name(&config.target, "target", path, compiler);
        if let Err(reason) = user_agent::load() {
            compiler.refuse(path.to_owned(), reason);
        }
        Some(Self { sources: sources?, target: target?, encoded: config.is_encoded })
    }

    /// Takes the first source with a text apart.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) -> Outcome {
        let Some(mut text) = source::first_text(arena, event, &self.sources) else {
            return Ok(());
        };
        if self.encoded {
            text = decoded(arena, text);
        }
        let end = text.floor_char_boundary(MAX_USER_AGENT_BYTES);
        let short = text.get(..end).unwrap_or_default();
        user_agent::write(arena, short, &self.target, &mut event.attributes);
        if short.len() == text.len() {
            Ok(())
        } else {
            Err("the user agent is longer than 2048 bytes: only these were read")
        }
    }
}

/// Percent-decoded; a `+` is a space, as IIS writes it.
fn decoded<'b>(arena: &'b Bump, text: &str) -> &'b str {
    let spaced: &str = if text.contains('+') {
        bumpalo::collections::String::from_iter_in(
            text.chars().map(|c| if c == '+' { ' ' } else { c }),
            arena,
        )
        .into_bump_str()
    } else {
        text
    };
    arena.alloc_str(&percent_encoding::percent_decode_str(spaced).decode_utf8_lossy())
}
