//! Grok: Datadog's parsing rules, compiled at load (documentation, "Parsing").
//!
//! Reading order: [`rules`] (text to pieces, references inlined), [`token`] (`%{...}`),
//! [`matchers`], [`filters`], [`straight`] (pieces to a program), [`program`] (how it runs),
//! [`fallback`] (the rest, with the `regex` crate). No regular expression is compiled while data
//! flows.

pub(crate) mod class;
pub(crate) mod date;
mod fallback;
pub(crate) mod filters;
mod matchers;
mod program;
mod rules;
mod straight;
mod token;

use std::sync::atomic::{AtomicU64, Ordering};

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::time::EventTime;

use crate::json::join;
use crate::value::{Attributes, Value};
use filters::Filtered;
use matchers::Convert;
use program::{Outcome, UNSET};
use rules::Capture;

/// What is wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rule `{rule}`, line {line}, column {column}: {reason}")]
pub(crate) struct GrokError {
    pub(crate) rule: String,
    /// From 1.
    pub(crate) line: usize,
    /// From 1.
    pub(crate) column: usize,
    /// Whether it is a support rule's.
    pub(crate) support: bool,
    pub(crate) reason: String,
}

/// Compiled rules, tried in order.
#[derive(Debug)]
pub(crate) struct Grok {
    rules: Vec<Rule>,
    /// Captures of the rule with the most.
    slots: usize,
    /// Lines on which a rule ran out of steps.
    gave_up: AtomicU64,
}

#[derive(Debug)]
struct Rule {
    body: Body,
    captures: Vec<Capture>,
}

#[derive(Debug)]
enum Body {
    Straight(Box<program::Program>),
    Regex(fallback::Fallback),
}

impl Grok {
    /// Compiles rules, or says everything that is wrong with them.
    pub(crate) fn compile(match_rules: &str, support_rules: &str) -> Result<Self, Vec<GrokError>> {
        let mut compiled = Vec::new();
        let mut errors = Vec::new();
        for rule in rules::expand(match_rules, support_rules)? {
            let body = match straight::compile(&rule.pieces) {
                Ok(program) => Ok(Body::Straight(Box::new(program))),
                Err(straight::Unsupported) => fallback::compile(&rule.pieces).map(Body::Regex),
            };
            match body {
                Ok(body) => compiled.push(Rule { body, captures: rule.captures }),
                Err(reason) => errors.push(GrokError {
                    rule: rule.name,
                    line: rule.line,
                    column: 1,
                    support: false,
                    reason,
                }),
            }
        }
        if !errors.is_empty() {
            return Err(errors);
        }
        let slots = compiled.iter().map(|rule| rule.captures.len()).max().unwrap_or(0);
        Ok(Self { rules: compiled, slots, gave_up: AtomicU64::new(0) })
    }

    /// Lines on which a rule ran out of steps and counted as no match.
    pub(crate) fn gave_up(&self) -> u64 {
        self.gave_up.load(Ordering::Relaxed)
    }

    /// Sets what the first matching rule extracts; `false` where none matches.
    pub(crate) fn parse<'b>(
        &self,
        arena: &'b Bump,
        text: &'b str,
        received: EventTime,
        attributes: &mut Attributes<'b>,
    ) -> bool {
        let mut slots = BumpVec::with_capacity_in(self.slots, arena);
        slots.resize(self.slots, UNSET);
        for rule in &self.rules {
            let Some(slots) = slots.get_mut(..rule.captures.len()) else { continue };
            let outcome = match &rule.body {
                Body::Straight(program) => program.matches(text, received, slots),
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
                    continue;
                }
                Outcome::Match => {}
            }
            let mut output =
                Output { arena, received, attributes, written: BumpVec::new_in(arena) };
            for (capture, (start, end)) in rule.captures.iter().zip(slots.iter()) {
                // An unset end is no valid range.
                if let Some(found) = text.get(*start..*end).filter(|found| !found.is_empty()) {
                    output.capture(capture, found);
                }
            }
            return true;
        }
        false
    }
}

/// Where captures go; remembers what this parse wrote, since a field captured twice is an array.
struct Output<'a, 'b> {
    arena: &'b Bump,
    received: EventTime,
    attributes: &'a mut Attributes<'b>,
    written: BumpVec<'b, &'b str>,
}

impl<'b> Output<'_, 'b> {
    fn capture(&mut self, capture: &Capture, text: &'b str) {
        let Some(value) = convert(&capture.convert, text, self.received) else { return };
        let filtered = match &capture.filter {
            None => Filtered::Value(value),
            Some(filter) => filter.apply(self.arena, value),
        };
        match filtered {
            // A scalar without a name has no place.
            Filtered::Nothing => {}
            Filtered::Value(_) if capture.path.is_empty() => {}
            Filtered::Value(value) => {
                let path = self.arena.alloc_str(&capture.path);
                self.set(path, value);
            }
            Filtered::Object(fields) => {
                let prefix: &'b str = self.arena.alloc_str(&capture.path);
                for (key, value) in fields {
                    self.set(join(self.arena, prefix, key), value);
                }
            }
        }
    }

    fn set(&mut self, path: &'b str, value: Value<'b>) {
        if matches!(value, Value::Null | Value::Str("")) {
            return;
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
fn convert<'b>(convert: &Convert, text: &'b str, received: EventTime) -> Option<Value<'b>> {
    match convert {
        Convert::Text => Some(Value::Str(text)),
        Convert::Number => filters::number(text),
        Convert::Integer => filters::integer(text),
        Convert::Boolean { truth } => Some(Value::Bool(text.eq_ignore_ascii_case(truth))),
        Convert::Date(pattern) => {
            let (_, time) = pattern.parse(text, received)?;
            Some(Value::Int(time.nanos().div_euclid(1_000_000)))
        }
    }
}

#[cfg(test)]
mod tests;
