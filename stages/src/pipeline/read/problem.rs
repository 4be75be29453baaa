//! What is wrong with a configuration, and what was accepted without having a meaning here.

use super::node::Mark;

/// One thing that is wrong, said so that it can be fixed at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Where it stands.
    pub at: Mark,
    /// The field or rule: `pipelines[0].processors[2].grok.match_rules:3`; empty for a whole file.
    pub rule: String,
    /// What is wrong with it.
    pub reason: String,
    /// How to put it right; may be empty.
    pub hint: String,
}

impl Problem {
    /// A problem without a hint.
    pub(in crate::pipeline) fn new(at: Mark, rule: &str, reason: &str) -> Self {
        Self::at(at, rule, reason.to_owned())
    }

    pub(super) fn at(at: Mark, rule: &str, reason: String) -> Self {
        Self { at, rule: rule.to_owned(), reason, hint: String::new() }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: hint.into(), ..self }
    }
}

/// `LINE:COLUMN: RULE: REASON`, without the file's name: only its number is known here.
impl std::fmt::Display for Problem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { at, rule, reason, .. } = self;
        write!(f, "{}:{}: ", at.line, at.column)?;
        if !rule.is_empty() {
            write!(f, "{rule}: ")?;
        }
        f.write_str(reason)
    }
}

/// A field that was accepted and changes nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Where it stands.
    pub at: Mark,
    /// The field.
    pub field: String,
    /// Why it changes nothing.
    pub reason: String,
}
