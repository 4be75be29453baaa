//! Fingerprint rules: `error.type:Timeout* -> timeouts, {{ function }} title="Timeouts"`.

use bumpalo::collections::Vec as BumpVec;

use super::line;
use super::matcher::{self, Facts, Matcher, Prepared};
use crate::stack::normal;

/// A rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FingerprintRule {
    /// As written.
    pub(crate) text: Box<str>,
    matchers: Vec<Matcher>,
    /// Its fingerprint.
    pub(crate) values: Vec<Vec<Piece>>,
    /// Title of its issues; empty for the usual one.
    pub(crate) title: Vec<Piece>,
}

/// A piece of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<str>),
    Variable(Variable),
}

/// What `{{ … }}` and `split` may name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Variable {
    /// The fingerprint the error would have without the rule.
    Default,
    Kind,
    Message,
    Function,
    Module,
    File,
    Service,
    Env,
    Version,
    Status,
    Attribute(Box<str>),
}

impl Variable {
    /// The names, for error messages.
    pub(crate) const KNOWN: &'static str = "type, message, function, module, file, service, env, version, level, @ATTRIBUTE or tags.NAME";

    /// By its name.
    pub(crate) fn parse(name: &str) -> Option<Self> {
        Some(match name.trim() {
            "default" => Variable::Default,
            "type" | "error.type" | "error.kind" => Variable::Kind,
            "message" | "error.value" | "error.message" => Variable::Message,
            "function" | "stack.function" => Variable::Function,
            "module" | "stack.module" => Variable::Module,
            "file" | "package" | "stack.abs_path" | "stack.package" => Variable::File,
            "service" => Variable::Service,
            "env" | "environment" => Variable::Env,
            "version" | "release" => Variable::Version,
            "level" | "status" => Variable::Status,
            name => {
                let path = name.strip_prefix('@').or(name.strip_prefix("tags."))?;
                Variable::Attribute(path.trim().into())
            }
        })
    }

    /// Appends its value; nothing where the error has none. `frame` is the one the default
    /// fingerprint is made of.
    pub(crate) fn write(
        &self,
        facts: &Facts<'_, '_>,
        frame: Option<&Prepared<'_>>,
        out: &mut BumpVec<'_, u8>,
    ) {
        let names = frame.map(|prepared| normal::names(&prepared.frame)).unwrap_or_default();
        let text = match self {
            Variable::Default => "",
            Variable::Kind => facts.kind,
            Variable::Message => return crate::message::identity(facts.message, out),
            Variable::Function => names.1,
            Variable::Module => names.0,
            Variable::File => frame.map_or("", |prepared| prepared.frame.file),
            Variable::Service => facts.input.service,
            Variable::Env => facts.input.env,
            Variable::Version => facts.input.version,
            Variable::Status => facts.input.status.map_or("", |status| status.as_str()),
            Variable::Attribute(path) => (facts.lookup)(path).unwrap_or_default(),
        };
        out.extend_from_slice_copy(text.as_bytes());
    }
}

impl FingerprintRule {
    /// Parses a line.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let Some((left, right)) = text.split_once("->") else {
            return Err("no `->`: write `matchers -> fingerprint`".to_owned());
        };
        let matchers: Vec<_> =
            line::words(left)?.iter().map(|word| Matcher::parse(word)).collect::<Result<_, _>>()?;
        if matchers.is_empty() {
            return Err("no matcher before `->`: it would take every error".to_owned());
        }
        let (right, title) = match right.rsplit_once("title=") {
            Some((before, title)) => (before, title.trim().trim_matches('"')),
            None => (right, ""),
        };
        let values: Vec<_> = values(right).map(pieces).collect::<Result<_, _>>()?;
        if values.is_empty() {
            return Err("no fingerprint after `->`".to_owned());
        }
        Ok(Self { text: text.into(), matchers, values, title: pieces(title)? })
    }

    /// Whether an error matches.
    pub(crate) fn matches(&self, facts: &Facts<'_, '_>, frames: &[Prepared<'_>]) -> bool {
        matcher::all(&self.matchers, facts, frames)
    }
}

/// The values after `->`: separated by commas or, without any, by space.
fn values(text: &str) -> impl Iterator<Item = &str> {
    let (mut depth, mut quoted) = (0usize, false);
    let commas = text.contains(',');
    text.split(move |character: char| {
        match character {
            '{' => depth += 1,
            '}' => depth = depth.saturating_sub(1),
            '"' => quoted = !quoted,
            _ => {}
        }
        let separator = if commas { character == ',' } else { character.is_whitespace() };
        separator && depth == 0 && !quoted
    })
    .map(|value| value.trim().trim_matches('"'))
    .filter(|value| !value.is_empty())
}

/// Text and variables of one value.
fn pieces(value: &str) -> Result<Vec<Piece>, String> {
    let (mut pieces, mut rest) = (Vec::new(), value);
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, after)) = after.split_once("}}") else {
            return Err("`{{` is not closed".to_owned());
        };
        if !before.is_empty() {
            pieces.push(Piece::Text(before.into()));
        }
        let Some(variable) = Variable::parse(name) else {
            return Err(format!("`{}` is no variable: default, {}", name.trim(), Variable::KNOWN));
        };
        pieces.push(Piece::Variable(variable));
        rest = after;
    }
    if !rest.is_empty() {
        pieces.push(Piece::Text(rest.into()));
    }
    Ok(pieces)
}
