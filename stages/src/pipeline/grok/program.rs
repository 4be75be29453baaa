//! A compiled rule: operations in a row, and what is known about them before any text is seen.
//!
//! Reading order: [`emit`] (tree to operations), [`run`] (a run of characters, which is most of what
//! rules are made of), [`ahead`] (what can follow an operation), then [`super::machine`], which
//! runs all this.

pub(crate) mod ahead;
pub(crate) mod emit;
pub(crate) mod run;

use bumpalo::Bump;
use memchr::memmem::Finder;

use super::machine::{self, LastDate};
use super::matchers::Exact;
use ahead::Ahead;
use run::Run;

/// One operation.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Exactly this text.
    Literal(Box<str>),
    /// This text in any case, folded one character to one.
    AnyCase(Box<[char]>),
    /// A run of characters, in an order of preference.
    Run(Box<Run>),
    /// A matcher.
    Match(Box<Matched>),
    /// A capture starts.
    Open(usize),
    /// A capture ends.
    Close(usize),
    /// Tries `first`; if that fails, goes on at `second`.
    Split { first: usize, second: usize },
    /// Goes on there.
    Jump(usize),
    /// Remembers the place in a slot.
    Mark(usize),
    /// Goes on at `exit` if nothing was read since the mark: an empty repetition is the last.
    Progress { mark: usize, exit: usize },
    /// The text a slot holds.
    Same(usize),
    /// `\b`, `\B`.
    WordEdge { negated: bool },
    /// The start of the text.
    Start,
    /// The end of the text, inside a rule.
    AtEnd,
    /// What follows up to [`Op::Done`], its first match alone; goes on at `end`.
    Atomic { end: usize },
    /// Looks whether what follows up to [`Op::Done`] matches here; goes on at `end`.
    Ahead { end: usize, negated: bool },
    /// Looks whether it matches the `low` to `high` characters before; goes on at `end`.
    Behind { end: usize, low: usize, high: usize, negated: bool },
    /// The end of an inner program.
    Done,
    /// The end of the rule: the text must end here.
    End,
}

/// A matcher as an operation.
#[derive(Debug, Clone)]
pub(crate) struct Matched {
    pub(crate) exact: Exact,
    /// Whether a shorter match than the first can lead anywhere.
    pub(crate) gives_back: bool,
    /// The slot that remembers the match.
    pub(crate) slot: Option<usize>,
}

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) ops: Vec<Op>,
    /// Captures and marks.
    pub(crate) slots: usize,
    /// First bytes a text can have; `end` where it may be empty.
    pub(crate) ahead: Ahead,
    /// Texts every match contains, the most telling first.
    pub(crate) required: Vec<Box<str>>,
    /// The first of them, to be looked for where failing would take long.
    pub(crate) finder: Option<Finder<'static>>,
}

/// Start and end of each capture; an end of `usize::MAX` marks none.
pub(crate) type Slots = [(usize, usize)];

/// Steps taken before the line is searched for the rule's most telling text.
const TRIAL_STEPS: usize = 256;

/// No capture.
pub(crate) const UNSET: (usize, usize) = (0, usize::MAX);

/// How a rule ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outcome {
    Match,
    NoMatch,
    /// Out of steps: counted as no match.
    GaveUp,
}

impl Program {
    pub(crate) fn new(mut ops: Vec<Op>, slots: usize) -> Self {
        for index in 0..ops.len() {
            if !matches!(ops[index], Op::Run(_) | Op::Match(_)) {
                continue;
            }
            let (ahead, literal) = (ahead::after(&ops, index + 1), literal(&ops, index + 1));
            match &mut ops[index] {
                Op::Run(run) => run.learn(ahead, literal.as_deref()),
                // Nothing of what it holds can follow: a shorter match leads nowhere.
                Op::Match(matched) if matched.gives_back => {
                    let exact = &matched.exact;
                    matched.gives_back = (0u8..=255)
                        .any(|byte| exact.can_hold(byte) && ahead.bytes[usize::from(byte)]);
                }
                _ => {}
            }
        }
        let ahead = ahead::after(&ops, 0);
        let required = required(&ops);
        let choices = ops.iter().filter(|op| matches!(op, Op::Run(run) if run.has_choice()));
        let finder = required.first().filter(|_| choices.count() > 0);
        let finder = finder.map(|text| Finder::new(text.as_bytes()).into_owned());
        Self { ops, slots, ahead, required, finder }
    }

    /// Matches the whole text in at most `steps` steps, which are taken from there.
    pub(crate) fn matches<'m>(
        &'m self,
        arena: &Bump,
        text: &'m str,
        slots: &mut Slots,
        steps: &mut usize,
        date: &mut LastDate<'m>,
    ) -> Outcome {
        let Some(finder) = &self.finder else {
            return machine::run(self, arena, text, slots, steps, date);
        };
        // Most lines are decided in a few steps. Only where they are not is it worth to look first.
        let mut trial = TRIAL_STEPS.min(*steps);
        *steps -= trial;
        let outcome = machine::run(self, arena, text, slots, &mut trial, date);
        *steps += trial;
        if outcome != Outcome::GaveUp || *steps == 0 {
            return outcome;
        }
        if finder.find(text.as_bytes()).is_none() {
            return Outcome::NoMatch;
        }
        machine::run(self, arena, text, slots, steps, date)
    }

    /// Whether a text that starts with this byte, or is empty, can match.
    pub(crate) fn can_start(&self, first: Option<&u8>) -> bool {
        self.ahead.allows(first)
    }
}

/// The text that surely comes next, if it is known.
fn literal(ops: &[Op], mut index: usize) -> Option<Box<str>> {
    loop {
        match ops.get(index)? {
            Op::Open(_) | Op::Close(_) | Op::Mark(_) => index += 1,
            Op::Jump(target) if *target > index => index = *target,
            Op::Literal(text) => return Some(text.clone()),
            _ => return None,
        }
    }
}

/// The literals outside of every branch, loop and look-around; rare characters tell most.
fn required(ops: &[Op]) -> Vec<Box<str>> {
    let mut found: Vec<&str> = Vec::new();
    let mut branch_end = 0;
    for (index, op) in ops.iter().enumerate() {
        match op {
            Op::Split { first, second } => branch_end = branch_end.max(*first).max(*second),
            Op::Jump(target) => branch_end = branch_end.max(*target),
            Op::Ahead { end, .. } | Op::Behind { end, .. } => branch_end = branch_end.max(*end),
            Op::Literal(text) if index >= branch_end && text.len() > 1 => found.push(text),
            _ => {}
        }
    }
    found.sort_by_key(|text| std::cmp::Reverse(telling(text)));
    found.dedup();
    found.into_iter().map(Into::into).collect()
}

/// How unlikely a text is in a log: letters in a row tell most, digits and spaces least.
fn telling(text: &str) -> usize {
    text.chars().map(|c| if c.is_alphabetic() { 3 } else { usize::from(c != ' ') }).sum()
}
