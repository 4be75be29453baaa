//! Matchers: `[!]field:pattern` over an error or one of its frames.

use super::glob::Glob;
use crate::input::{ErrorInput, Lookup};
use crate::stack::{Exception, Frame, Language};

/// A frame with what rules have made of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Prepared<'b> {
    pub(crate) frame: Frame<'b>,
    /// The user's own code.
    pub(crate) in_app: bool,
    /// May be part of a fingerprint.
    pub(crate) counts: bool,
    /// Index of the stack rule that said so last.
    pub(crate) rule: Option<usize>,
}

/// What matchers look at.
#[derive(Clone, Copy)]
pub(crate) struct Facts<'f, 'b> {
    pub(crate) input: &'f ErrorInput<'b>,
    pub(crate) kind: &'b str,
    pub(crate) message: &'b str,
    pub(crate) exceptions: &'f [Exception<'b>],
    pub(crate) lookup: Lookup<'f, 'b>,
}

/// What a matcher looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Field {
    Kind,
    Message,
    Service,
    Env,
    Version,
    Status,
    Attribute(Box<str>),
    Language,
    Family,
    InApp,
    Function,
    Module,
    File,
}

/// One matcher.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher {
    is_negated: bool,
    field: Field,
    glob: Glob,
}

/// The fields, for error messages.
const FIELDS: &str = "error.type, error.value (or message), stack.function, stack.module, stack.abs_path, \
    service, env, version, level, language, family, app, tags.NAME or @ATTRIBUTE";

impl Matcher {
    /// Parses `field:pattern`.
    pub(super) fn parse(word: &str) -> Result<Self, String> {
        let (is_negated, word) = match word.strip_prefix('!') {
            Some(rest) => (true, rest),
            None => (false, word),
        };
        let Some((name, pattern)) = word.split_once(':') else {
            return Err(format!("`{word}` is no matcher: write `field:pattern`"));
        };
        let field = match name {
            "error.type" | "type" | "error.kind" => Field::Kind,
            "error.value" | "error.message" | "value" | "message" => Field::Message,
            "service" => Field::Service,
            "env" | "environment" => Field::Env,
            "version" | "release" => Field::Version,
            "level" | "status" => Field::Status,
            "language" => Field::Language,
            "family" => Field::Family,
            "app" | "in_app" | "stack.in_app" => Field::InApp,
            "stack.function" | "function" => Field::Function,
            "stack.module" | "module" => Field::Module,
            "stack.abs_path" | "stack.path" | "stack.package" | "stack.file" | "path"
            | "package" | "file" => Field::File,
            _ => match name.strip_prefix('@').or(name.strip_prefix("tags.")) {
                Some(path) if !path.is_empty() => Field::Attribute(path.into()),
                _ => return Err(format!("`{name}` is no field: {FIELDS}")),
            },
        };
        let ignore_case = matches!(field, Field::Message | Field::File | Field::Status);
        Ok(Self { is_negated, field, glob: Glob::new(pattern, ignore_case)? })
    }

    /// Whether it looks at frames.
    pub(super) fn is_of_frame(&self) -> bool {
        matches!(
            self.field,
            Field::Language
                | Field::Family
                | Field::InApp
                | Field::Function
                | Field::Module
                | Field::File
        )
    }

    /// Whether an error matches; frame matchers never do.
    pub(super) fn matches(&self, facts: &Facts<'_, '_>) -> bool {
        let test = |text: &str| self.glob.matches(text);
        let found = match &self.field {
            Field::Kind => test(facts.kind) || facts.exceptions.iter().any(|e| test(e.kind)),
            Field::Message => {
                test(facts.message) || (facts.message != facts.input.text && test(facts.input.text))
            }
            Field::Service => test(facts.input.service),
            Field::Env => test(facts.input.env),
            Field::Version => test(facts.input.version),
            Field::Status => facts.input.status.is_some_and(|status| test(status.as_str())),
            Field::Attribute(path) => (facts.lookup)(path).is_some_and(test),
            _ => return false,
        };
        found != self.is_negated
    }

    /// Whether a frame matches.
    pub(super) fn matches_frame(&self, prepared: &Prepared<'_>) -> bool {
        let frame = &prepared.frame;
        let test = |text: &str| self.glob.matches(text);
        let found = match self.field {
            Field::Language => test(frame.language.as_str()),
            Field::Family => test(family(frame.language)),
            Field::InApp => {
                test(if prepared.in_app { "yes" } else { "no" })
                    || test(if prepared.in_app { "true" } else { "false" })
            }
            Field::Function => test(frame.function) || test(crate::stack::normal::names(frame).1),
            Field::Module => test(frame.module),
            Field::File => test(frame.file) || (frame.file.is_empty() && test(frame.module)),
            _ => return false,
        };
        found != self.is_negated
    }
}

/// Sentry's families.
fn family(language: Language) -> &'static str {
    match language {
        Language::JavaScript => "javascript",
        Language::Native | Language::Swift | Language::Rust => "native",
        _ => "other",
    }
}

/// Whether all of `matchers` hold: those over the error, and those over frames for one frame.
pub(super) fn all(matchers: &[Matcher], facts: &Facts<'_, '_>, frames: &[Prepared<'_>]) -> bool {
    let mut of_error = matchers.iter().filter(|matcher| !matcher.is_of_frame());
    let of_frame = || matchers.iter().filter(|matcher| matcher.is_of_frame());
    of_error.all(|matcher| matcher.matches(facts))
        && (of_frame().next().is_none()
            || frames.iter().any(|frame| of_frame().all(|m| m.matches_frame(frame))))
}
