//! What becomes of a match.

use bumpalo::collections::String as BumpString;

use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{ReplacementConfig, ReplacementKind};

/// The compiled action.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Replacement {
    /// Left as it is.
    None,
    /// FarmHash fingerprint in hex, as Datadog's library writes it; the crate differs for matches of 128, 192, 256
    /// and so on bytes.
    Hash,
    /// Another text.
    Text(Box<str>),
    /// Asterisks for the first characters.
    First(usize),
    /// Asterisks for the last characters.
    Last(usize),
}

/// Stands for text that was not read to its end.
const UNREAD: &str = "[hidden: too many matches]";

impl Replacement {
    /// Checks the configuration.
    pub(super) fn compile(
        config: &ReplacementConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Self {
        let path = format!("{path}.text_replacement");
        if config.should_save_match {
            let reason = "a match is never kept: remove it or set it to false";
            compiler.refuse(format!("{path}.should_save_match"), reason);
        }
        let mut chars = || match config.number_of_chars {
            Some(number) if number > 0 => number as usize,
            _ => {
                compiler.refuse(format!("{path}.number_of_chars"), "must be 1 or more");
                1
            }
        };
        match config.kind {
            ReplacementKind::None => Self::None,
            ReplacementKind::Hash => Self::Hash,
            ReplacementKind::PartialReplacementFromBeginning => Self::First(chars()),
            ReplacementKind::PartialReplacementFromEnd => Self::Last(chars()),
            ReplacementKind::ReplacementString => match &config.replacement_string {
                Some(text) => Self::Text(text.as_str().into()),
                None => {
                    let reason = "missing: write the text that stands for a match";
                    compiler.refuse(format!("{path}.replacement_string"), reason);
                    Self::None
                }
            },
        }
    }

    /// Writes what stands for `matched`; true if that is something else. Text that was not read to its end
    /// is hidden whole.
    pub(super) fn write(&self, matched: &str, unread: bool, out: &mut BumpString<'_>) -> bool {
        use std::fmt::Write;
        if unread && *self != Self::None {
            out.push_str(UNREAD);
            return true;
        }
        match self {
            Self::None => out.push_str(matched),
            Self::Text(text) => out.push_str(text),
            Self::Hash => {
                // Writing into memory does not fail.
                let _ = write!(out, "{:x}", farmhash::fingerprint64(matched.as_bytes()));
            }
            Self::First(number) => {
                asterisks(*number, out);
                let rest = matched.char_indices().nth(*number).map_or(matched.len(), |(at, _)| at);
                out.push_str(matched.get(rest..).unwrap_or_default());
            }
            Self::Last(number) => {
                let kept = matched.char_indices().nth_back(*number - 1).map_or(0, |(at, _)| at);
                out.push_str(matched.get(..kept).unwrap_or_default());
                asterisks(*number, out);
            }
        }
        *self != Self::None
    }
}

fn asterisks(number: usize, out: &mut BumpString<'_>) {
    // Always all of them, so that a short match does not show its length; as many as a key has at most.
    for _ in 0..number.min(256) {
        out.push('*');
    }
}
