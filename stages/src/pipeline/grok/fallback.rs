//! Rules with what our reader does not know, such as `\\p{Greek}`: one regular expression per rule,
//! compiled at load by the `regex` crate, which is linear in the text.

use regex::{Regex, RegexBuilder};

use super::program::{Outcome, Slots, UNSET};
use super::rules::{Inlined, Piece};

/// A rule as a regular expression.
#[derive(Debug)]
pub(crate) struct Fallback {
    regex: Regex,
    /// Slot -> group.
    groups: Vec<(usize, usize)>,
    /// Groups the user named: they are attributes too.
    pub(crate) named: Vec<(Box<str>, usize)>,
}

/// Compiles the pieces of a rule.
pub(crate) fn compile(pieces: &[Piece]) -> Result<Fallback, String> {
    let mut source = String::from(r"(?s)\A(?:");
    write(pieces, &mut source);
    source.push_str(r")\z");
    let regex = RegexBuilder::new(&source)
        .size_limit(schemas::limits::MAX_REGEX_BYTES)
        .build()
        .map_err(|error| explain(&error))?;
    let mut groups = Vec::new();
    let mut named = Vec::new();
    for (group, name) in regex.capture_names().enumerate() {
        match name.map(|name| (name, name.strip_prefix(SLOT).and_then(|slot| slot.parse().ok()))) {
            Some((_, Some(slot))) => groups.push((slot, group)),
            Some((name, None)) => named.push((name.into(), group)),
            None => {}
        }
    }
    Ok(Fallback { regex, groups, named })
}

/// Prefix of our group names; two underscores keep clear of names people choose.
const SLOT: &str = "__slot";

fn write(pieces: &[Piece], source: &mut String) {
    for piece in pieces {
        let slot = match piece {
            Piece::Raw(text, _) => {
                source.push_str(text);
                continue;
            }
            Piece::Token(_, slot, _) | Piece::Rule(Inlined { slot, .. }) => slot,
        };
        match slot {
            Some(slot) => source.push_str(&format!("(?P<{SLOT}{slot}>")),
            None => source.push_str("(?:"),
        }
        match piece {
            Piece::Token(matcher, ..) => source.push_str(&matcher.source()),
            Piece::Rule(Inlined { pieces, .. }) => write(pieces, source),
            Piece::Raw(..) => {}
        }
        source.push(')');
    }
}

/// The last line of the crate's message says what is wrong; the drawing above it shows a text the
/// user never wrote.
fn explain(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(bytes) => {
            format!("the expression compiles to more than {bytes} bytes")
        }
        other => {
            let text = other.to_string();
            let last = text.lines().last().unwrap_or_default();
            let reason = last.strip_prefix("error: ").unwrap_or(last);
            format!(
                "not a regular expression of the linear kind: {reason}; escape special characters with a backslash"
            )
        }
    }
}

impl Fallback {
    /// Matches the whole text; `named` gets the spans of the user's own groups.
    pub(crate) fn matches(
        &self,
        text: &str,
        slots: &mut Slots,
        named: &mut dyn FnMut(&str, (usize, usize)),
    ) -> Outcome {
        slots.fill(UNSET);
        let Some(captures) = self.regex.captures(text) else { return Outcome::NoMatch };
        for (slot, group) in &self.groups {
            if let (Some(found), Some(place)) = (captures.get(*group), slots.get_mut(*slot)) {
                *place = (found.start(), found.end());
            }
        }
        for (name, group) in &self.named {
            if let Some(found) = captures.get(*group) {
                named(name, (found.start(), found.end()));
            }
        }
        Outcome::Match
    }
}
