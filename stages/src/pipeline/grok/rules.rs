//! Rule texts -> pieces: tokens resolved, references to other rules inlined.

use std::collections::BTreeMap;

use super::GrokError;
use super::filters::{self, Filter};
use super::matchers::{self, Convert, Matcher};
use super::token;

/// Part of a rule, in order. Places are byte offsets in the pattern it stands in.
#[derive(Debug, Clone)]
pub(crate) enum Piece {
    /// Text of the rule itself, literal text and regular expression, with its place.
    Raw(String, usize),
    /// A matcher, captured if it has a slot, with its place.
    Token(Matcher, Option<usize>, usize),
    /// Another rule, inlined.
    Rule(Inlined),
}

/// A rule another one refers to.
#[derive(Debug, Clone)]
pub(crate) struct Inlined {
    pub(crate) name: String,
    /// Line of its own, from 1.
    pub(crate) line: usize,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) slot: Option<usize>,
    /// Of the reference.
    pub(crate) place: usize,
}

/// What is done with a captured text.
#[derive(Debug)]
pub(crate) struct Capture {
    /// Attribute path; empty for the root.
    pub(crate) path: Box<str>,
    pub(crate) convert: Convert,
    pub(crate) filter: Option<Filter>,
}

/// A rule with its references resolved.
#[derive(Debug)]
pub(crate) struct Expanded {
    pub(crate) name: String,
    pub(crate) line: usize,
    pub(crate) pieces: Vec<Piece>,
    pub(crate) captures: Vec<Capture>,
    pattern: String,
    /// Byte offset of the pattern in its line.
    offset: usize,
}

impl Expanded {
    /// An error at a byte offset of the pattern.
    pub(crate) fn error(&self, at: usize, reason: String) -> GrokError {
        GrokError {
            rule: self.name.clone(),
            line: self.line,
            column: column(&self.pattern, self.offset, at),
            support: false,
            reason,
        }
    }
}

/// As a person counts, from 1.
fn column(pattern: &str, offset: usize, at: usize) -> usize {
    offset + pattern.get(..at).unwrap_or(pattern).chars().count() + 1
}

/// Depth of references between rules.
const MAX_REFERENCE_DEPTH: usize = 16;
/// Pieces of one rule after inlining; references to references could double at every step.
const MAX_PIECES: usize = 10_000;

/// One line of the configuration.
#[derive(Debug, Clone)]
struct Line<'a> {
    name: &'a str,
    pattern: &'a str,
    /// From 1.
    number: usize,
    /// Byte offset of the pattern in the line.
    offset: usize,
}

/// Splits a text into rules. A blank at the end of a support rule is part of it (published pipelines count on it),
/// one at the end of a match rule is not.
fn lines<'a>(text: &'a str, is_support: bool, errors: &mut Vec<GrokError>) -> Vec<Line<'a>> {
    let mut lines = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let trimmed = if is_support { line.trim_start() } else { line.trim() };
        // Published pipelines have comments between their rules.
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let (name, pattern) = trimmed.split_once(char::is_whitespace).unwrap_or((trimmed, ""));
        let pattern = pattern.trim_start();
        let offset = line.len() - line.trim_start().len() + trimmed.len() - pattern.len();
        let legal = |c: char| c.is_alphanumeric() || matches!(c, '_' | '.' | '-');
        let reason = if !name.chars().all(legal) {
            Some("a line is `name pattern`; a name has letters, digits, `_` and `.`")
        } else if pattern.is_empty() {
            Some("a pattern must follow the name")
        } else {
            None
        };
        match reason {
            None => lines.push(Line { name, pattern, number, offset }),
            Some(reason) => errors.push(GrokError {
                rule: name.to_owned(),
                line: number,
                column: 1,
                support: false,
                reason: reason.to_owned(),
            }),
        }
    }
    lines
}

/// All match rules, references resolved.
pub(crate) fn expand(
    match_rules: &str,
    support_rules: &str,
) -> Result<Vec<Expanded>, Vec<GrokError>> {
    let mut errors = Vec::new();
    let support = lines(support_rules, true, &mut errors);
    errors.iter_mut().for_each(|error| error.support = true);
    let matching = lines(match_rules, false, &mut errors);
    let mut known: BTreeMap<&str, Line<'_>> = BTreeMap::new();
    for (line, in_support) in support.iter().map(|line| (line, true)) {
        duplicate(&mut known, line, in_support, &mut errors);
    }
    let mut expanded = Vec::new();
    for (index, line) in matching.iter().enumerate() {
        if let Some(first) = matching[..index].iter().find(|other| other.pattern == line.pattern) {
            errors.push(GrokError {
                rule: line.name.to_owned(),
                line: line.number,
                column: line.offset + 1,
                support: false,
                reason: format!(
                    "impossible: rule `{}` (line {}) has the same pattern and comes first",
                    first.name, first.number
                ),
            });
        }
        let mut expander = Expander { known: &known, captures: Vec::new(), pieces: 0 };
        match expander.pieces(line.pattern, 0) {
            Ok(pieces) => expanded.push(Expanded {
                name: line.name.to_owned(),
                line: line.number,
                pieces,
                captures: expander.captures,
                pattern: line.pattern.to_owned(),
                offset: line.offset,
            }),
            Err((at, reason)) => errors.push(GrokError {
                rule: line.name.to_owned(),
                line: line.number,
                column: column(line.pattern, line.offset, at),
                support: false,
                reason,
            }),
        }
        // Known from the next rule on: a rule may refer to any rule above it.
        duplicate(&mut known, line, false, &mut errors);
    }
    if expanded.is_empty() && errors.is_empty() {
        errors.push(GrokError {
            rule: String::new(),
            line: 1,
            column: 1,
            support: false,
            reason: "no rule: write one a line, `name pattern`".to_owned(),
        });
    }
    let rules = support.len() + matching.len();
    if rules > schemas::limits::MAX_GROK_RULES {
        errors.push(GrokError {
            rule: String::new(),
            line: 1,
            column: 1,
            support: false,
            reason: format!("{rules} rules are more than {}", schemas::limits::MAX_GROK_RULES),
        });
    }
    if errors.is_empty() { Ok(expanded) } else { Err(errors) }
}

fn duplicate<'a>(
    known: &mut BTreeMap<&'a str, Line<'a>>,
    line: &Line<'a>,
    support: bool,
    errors: &mut Vec<GrokError>,
) {
    if let Some(first) = known.insert(line.name, line.clone()) {
        errors.push(GrokError {
            rule: line.name.to_owned(),
            line: line.number,
            column: 1,
            support,
            reason: format!("the name is already used in line {}: rename one", first.number),
        });
    }
}

struct Expander<'a> {
    known: &'a BTreeMap<&'a str, Line<'a>>,
    captures: Vec<Capture>,
    pieces: usize,
}

impl Expander<'_> {
    fn pieces(&mut self, pattern: &str, depth: usize) -> Result<Vec<Piece>, (usize, String)> {
        if depth > MAX_REFERENCE_DEPTH {
            let reason = format!(
                "rules refer to one another deeper than {MAX_REFERENCE_DEPTH}, or in a circle"
            );
            return Err((0, reason));
        }
        let mut pieces = Vec::new();
        let mut raw = 0;
        let mut at = 0;
        while let Some(found) = memchr::memchr2(b'%', b'\\', &pattern.as_bytes()[at..]) {
            let place = at + found;
            if pattern.as_bytes()[place] == b'\\' {
                at = (place + 2).min(pattern.len());
                continue;
            }
            if !pattern[place..].starts_with("%{") {
                at = place + 1;
                continue;
            }
            let (token, end) = token::read(pattern, place)?;
            if raw < place {
                pieces.push(Piece::Raw(pattern[raw..place].to_owned(), raw));
            }
            let piece = self.piece(&token, depth, place).map_err(|reason| (place, reason))?;
            pieces.push(piece);
            (raw, at) = (end, end);
        }
        if raw < pattern.len() {
            pieces.push(Piece::Raw(pattern[raw..].to_owned(), raw));
        }
        self.pieces += pieces.len();
        if self.pieces > MAX_PIECES {
            return Err((0, format!("more than {MAX_PIECES} parts after inlining its references")));
        }
        Ok(pieces)
    }

    fn piece(&mut self, token: &token::Token, depth: usize, place: usize) -> Result<Piece, String> {
        let filter = token.filter.as_ref().map(filters::compile).transpose()?;
        let slot = token.extract.as_ref().map(|path| {
            self.captures.push(Capture {
                path: path.as_str().into(),
                convert: Convert::Text,
                filter,
            });
            self.captures.len() - 1
        });
        let rule = self.known.get(token.matcher.name.as_str());
        if let Some(line) = rule.filter(|_| token.matcher.args.is_empty()) {
            let pieces = self.pieces(line.pattern, depth + 1).map_err(|(_, reason)| {
                format!("in rule `{}` (line {}): {reason}", line.name, line.number)
            })?;
            let (name, line) = (line.name.to_owned(), line.number);
            return Ok(Piece::Rule(Inlined { name, line, pieces, slot, place }));
        }
        let (matcher, convert) = matchers::compile(&token.matcher)?;
        if let Some(capture) = slot.and_then(|slot| self.captures.get_mut(slot)) {
            capture.convert = convert;
        }
        Ok(Piece::Token(matcher, slot, place))
    }
}
