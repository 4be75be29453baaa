//! Grok: Datadog's parsing rules, compiled at load (documentation, "Parsing").
//!
//! Reading order: [`rules`] (text to pieces, references inlined), [`token`] (`%{...}`),
//! [`matchers`], [`filters`], [`reader`] (pieces to a tree), [`program`] (tree to operations),
//! [`machine`] (how they run), [`dispatch`] (which rules are tried), [`fallback`] (the rest, with the
//! `regex` crate). No regular expression is compiled while data flows.

pub(crate) mod class;
pub(crate) mod date;
mod dispatch;
mod fallback;
pub(crate) mod filters;
mod machine;
mod matchers;
mod program;
mod reader;
mod rules;
mod token;
mod tree;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::time::EventTime;

use crate::json::join;
use crate::value::{Attributes, Value, shape};
use dispatch::Dispatch;
use filters::{Filter, Filtered, Object};
use machine::LastDate;
use matchers::Convert;
use program::{Outcome, Slots, UNSET};
use rules::{Capture, Expanded};

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`, line {line}, column {column}: {reason}")]
pub struct GrokError {
    /// Its name.
    pub rule: String,
    /// From 1.
    pub line: usize,
    /// From 1.
    pub column: usize,
    /// Whether it is a support rule's.
    pub support: bool,
    /// What is wrong, and how to write it.
    pub reason: String,
}

/// What became of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parsed {
    /// A rule matched, and its attributes are set.
    Matched,
    /// No rule matches.
    Unmatched,
    /// No rule matches, but one ran out of steps.
    OutOfSteps,
}

/// Compiled rules, tried in order.
#[derive(Debug)]
pub struct Grok {
    rules: Vec<Rule>,
    dispatch: Dispatch,
    /// Slots of the rule with the most.
    slots: usize,
    /// Operations of the rule with the most.
    longest: usize,
    /// Lines on which a rule ran out of steps.
    gave_up: AtomicU64,
}

#[derive(Debug)]
struct Rule {
    body: Body,
    /// Of its tokens, then its named groups.
    captures: Vec<Capture>,
    /// Number of the first.
    tokens: usize,
    /// All paths in a row, and of each where it starts and its shape.
    paths: Box<str>,
    starts: Vec<(usize, u128)>,
    /// Whether two captures write the same attribute, which makes it an array.
    repeats: bool,
}

#[derive(Debug)]
enum Body {
    Program(Box<program::Program>),
    Regex(fallback::Fallback),
}

/// Steps of one rule that all rules together may take on one line.
const LINE_ALLOWANCE: usize = 4;

impl Grok {
    /// Compiles rules, one a line as `name pattern`, or says everything that is wrong with them.
    /// Support rules are only referred to.
    ///
    /// # Errors
    /// Each with the place and the fix.
    pub fn compile(match_rules: &str, support_rules: &str) -> Result<Self, Vec<GrokError>> {
        let mut compiled: Vec<Rule> = Vec::new();
        let mut errors = Vec::new();
        let mut takes_all: Option<(String, usize)> = None;
        for rule in rules::expand(match_rules, support_rules)? {
            if let Some((name, line)) = &takes_all {
                let reason = format!(
                    "impossible: rule `{name}` (line {line}) takes every text and comes first"
                );
                errors.push(rule.error(0, reason));
                continue;
            }
            let place = (rule.name.clone(), rule.line);
            match Rule::compile(rule) {
                Ok((rule, all)) => {
                    takes_all = all.then_some(place);
                    compiled.push(rule);
                }
                Err(error) => errors.push(error),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let known: Vec<_> = compiled.iter().map(Rule::program).collect();
        let dispatch = Dispatch::new(&known);
        let slots = compiled.iter().map(Rule::slots).max().unwrap_or(0);
        let longest = known.iter().flatten().map(|program| program.ops.len()).max().unwrap_or(0);
        Ok(Self { rules: compiled, dispatch, slots, longest, gave_up: AtomicU64::new(0) })
    }

    /// Lines on which a rule ran out of steps and counted as no match.
    pub fn gave_up(&self) -> u64 {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// Sets what the first matching rule extracts. `received` finds the year of dates without one.
    pub fn parse<'b>(
        &self,
        arena: &'b Bump,
        text: &'b str,
        received: EventTime,
        attributes: &mut Attributes<'b>,
    ) -> Parsed {
        let mut parsed = Parsed::Unmatched;
        let mut date = None;
        let mut slots = BumpVec::with_capacity_in(self.slots, arena);
        slots.resize(self.slots, UNSET);
        let candidates = self.dispatch.candidates(text);
        let alone = machine::allowance(self.longest, text.len());
        let mut all = alone.saturating_mul(LINE_ALLOWANCE);
        for rule in dispatch::each(&candidates).filter_map(|index| self.rules.get(index)) {
            let Some(slots) = slots.get_mut(..rule.slots()) else { continue };
            let outcome = match &rule.body {
                Body::Program(program) => {
                    // Rules behind a greedy one still get their share.
                    let own = alone.min(all).max(alone / LINE_ALLOWANCE);
                    let mut steps = own;
                    let outcome = program.matches(arena, text, slots, &mut steps, &mut date);
                    all = all.saturating_sub(own - steps);
                    outcome
                }
                Body::Regex(regex) => regex.matches(text, slots, &mut |name, (start, end)| {
                    if let Some(value) = text.get(start..end).filter(|value| !value.is_empty()) {
                        attributes.set(arena.alloc_str(name), Value::Str(value));
                    }
                }),
            };
            match outcome {
                Outcome::NoMatch => continue,
                Outcome::GaveUp => {
                    self.gave_up.fetch_add(1, Ordering::Relaxed);
                    parsed = Parsed::OutOfSteps;
                    continue;
                }
                Outcome::Match => {}
            }
            let output = Output {
                arena,
                received,
                attributes,
                written: BumpVec::new_in(arena),
                repeats: rule.repeats,
                paths: arena.alloc_str(&rule.paths),
                date,
            };
            output.all(rule, slots, text);
            return Parsed::Matched;
        }
        parsed
    }
}

impl Rule {
    /// The rule, and whether it takes every text.
    fn compile(mut rule: Expanded) -> Result<(Self, bool), GrokError> {
        let own = rule.captures.len();
        let (body, all) = match reader::read(&rule.pieces, &mut rule.captures) {
            Ok(node) if !node.is_possible() => {
                let reason =
                    "impossible: no text matches it; `^` stands first and `$` last, and a \
                              set needs a character"
                        .to_owned();
                return Err(rule.error(0, reason));
            }
            Ok(node) => match program::emit::emit(&node, rule.captures.len()) {
                Ok(program) => (Body::Program(Box::new(program)), node.takes_all()),
                Err(reason) => return Err(rule.error(0, reason)),
            },
            Err(problem) if problem.elsewhere => {
                rule.captures.truncate(own);
                match fallback::compile(&rule.pieces) {
                    Ok(regex) => (Body::Regex(regex), false),
                    Err(reason) => {
                        let reason = format!("{}; {reason}", problem.reason);
                        return Err(rule.error(problem.at, reason));
                    }
                }
            }
            Err(problem) => return Err(rule.error(problem.at, problem.reason)),
        };
        let captures = rule.captures;
        let repeats = captures.iter().enumerate().any(|(index, capture)| {
            let object = capture.filter.as_ref().is_some_and(Filter::gives_object);
            object || captures[..index].iter().any(|o| o.path == capture.path)
        });
        let (mut paths, mut starts) = (String::new(), Vec::new());
        for capture in &captures {
            starts.push((paths.len(), shape(&capture.path)));
            paths.push_str(&capture.path);
        }
        Ok((Self { body, captures, tokens: own, paths: paths.into(), starts, repeats }, all))
    }

    fn program(&self) -> Option<&program::Program> {
        match &self.body {
            Body::Program(program) => Some(program),
            Body::Regex(_) => None,
        }
    }

    /// Slots it needs.
    fn slots(&self) -> usize {
        self.program().map_or(self.captures.len(), |program| program.slots)
    }
}

/// Where captures go; remembers what this parse wrote, since a field captured twice is an array.
struct Output<'a, 'b> {
    arena: &'b Bump,
    received: EventTime,
    attributes: &'a mut Attributes<'b>,
    written: BumpVec<'b, &'b str>,
    repeats: bool,
    /// The paths of the rule, one after the other: one copy for all.
    paths: &'b str,
    date: LastDate<'a>,
}

impl<'b> Output<'_, 'b> {
    /// Everything a rule captured.
    fn all(mut self, rule: &Rule, slots: &Slots, text: &'b str) {
        // An unset end is no valid range.
        let found = |(start, end): &(usize, usize)| {
            text.get(*start..*end).filter(|found| !found.is_empty())
        };
        // First the named groups: what a filter parses out of one's text takes its place.
        for (index, capture) in rule.captures.iter().enumerate().skip(rule.tokens) {
            if let Some(found) = slots.get(index).and_then(found) {
                self.attributes.set(self.path(rule, index, capture), Value::Str(found));
            }
        }
        for (index, (capture, slot)) in
            rule.captures.iter().zip(slots).enumerate().take(rule.tokens)
        {
            if let Some(found) = found(slot) {
                let path = self.path(rule, index, capture);
                let Some(value) = self.convert(capture, found, slot.0) else { continue };
                let is_plain = capture.filter.is_none() && !self.repeats && !path.is_empty();
                match rule.starts.get(index).filter(|_| is_plain) {
                    Some((_, shape)) => self.attributes.set_shaped(*shape, path, value),
                    None => self.capture(capture, path, value),
                }
            }
        }
    }

    fn path(&self, rule: &Rule, index: usize, capture: &Capture) -> &'b str {
        let start = rule.starts.get(index).map_or(0, |(start, _)| *start);
        self.paths.get(start..start + capture.path.len()).unwrap_or_default()
    }

    /// The text at `start` as its matcher means it; `None` drops the field, not the match.
    fn convert(&self, capture: &Capture, text: &'b str, start: usize) -> Option<Value<'b>> {
        if let (Convert::Date(pattern), Some((last, at, length, civil))) =
            (&capture.convert, &self.date)
            && Arc::ptr_eq(pattern, last)
            && (*at, *length) == (start, text.len())
        {
            return Some(millis(pattern.time(civil, self.received)?));
        }
        convert(self.arena, &capture.convert, text, self.received)
    }

    fn capture(&mut self, capture: &Capture, path: &'b str, value: Value<'b>) {
        let filtered = match &capture.filter {
            None => Filtered::Value(value),
            Some(filter) => filter.apply(self.arena, value),
        };
        match filtered {
            // A scalar without a name has no place.
            Filtered::Nothing => {}
            Filtered::Value(_) if capture.path.is_empty() => {}
            Filtered::Value(value) => self.set(path, value),
            Filtered::Object(Object { fields, dropped, keeps_empty }) => {
                self.attributes.count_dropped(dropped);
                for (key, value) in fields {
                    let path = join(self.arena, path, key);
                    if keeps_empty && value == Value::Str("") {
                        self.attributes.set(path, value);
                    } else {
                        self.set(path, value);
                    }
                }
            }
        }
    }

    fn set(&mut self, path: &'b str, value: Value<'b>) {
        if matches!(value, Value::Null | Value::Str("")) {
            return;
        }
        if !self.repeats {
            return self.attributes.set(path, value);
        }
        if !self.written.contains(&path) {
            self.written.push(path);
            self.attributes.set(path, value);
            return;
        }
        let mut items = BumpVec::new_in(self.arena);
        match self.attributes.get(path) {
            Some(Value::Array(before)) => items.extend_from_slice(before),
            Some(before) => items.push(before),
            None => {}
        }
        items.push(value);
        self.attributes.set(path, Value::Array(items.into_bump_slice()));
    }
}

/// The matcher's own conversion; `None` drops the field, not the match.
fn convert<'b>(
    arena: &'b Bump,
    convert: &Convert,
    text: &'b str,
    received: EventTime,
) -> Option<Value<'b>> {
    match convert {
        Convert::Text => Some(Value::Str(text)),
        Convert::Number => filters::number(text),
        Convert::Integer => filters::integer(text),
        Convert::Boolean { truth } => Some(Value::Bool(text.eq_ignore_ascii_case(truth))),
        Convert::BooleanLike(truth) => Some(Value::Bool(truth.is(arena, text))),
        Convert::Date(pattern) => {
            let (_, time) = pattern.parse(text, received)?;
            Some(millis(time))
        }
    }
}

fn millis<'b>(time: EventTime) -> Value<'b> {
    Value::Int(time.nanos().div_euclid(1_000_000))
}

#[cfg(test)]
mod tests;
