//! A compiled rule and how it runs: straight code over the text, with backtracking only where the
//! rule leaves a choice, and a limit of steps per byte, so that no line takes more than its share.

use std::ops::Range;

use memchr::memmem::Finder;
use schemas::limits::MAX_GROK_STEPS_PER_BYTE;
use schemas::time::EventTime;

use super::class::{Class, following, previous};
use super::matchers::Exact;

/// One operation.
#[derive(Debug, Clone)]
pub(crate) enum Op {
    /// Exactly this text.
    Literal(Box<str>),
    /// A run of characters, in an order of preference.
    Run(Box<Run>),
    /// A matcher.
    Match(Exact),
    /// A capture starts.
    Open(usize),
    /// A capture ends.
    Close(usize),
    /// Tries what follows; if that fails, forgets `slots` and goes on at `second`.
    Split { second: usize, slots: Range<usize> },
    /// Goes on there.
    Jump(usize),
    /// The text must end here.
    End,
}

/// A run of characters of one class.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    class: Class,
    is_any: bool,
    min: usize,
    max: usize,
    greedy: bool,
    follow: Follow,
}

/// What comes after a run: it tells where the run can end.
#[derive(Debug, Clone)]
enum Follow {
    /// Not known.
    Unknown,
    /// The end of the text.
    End,
    /// This text; `inside` if its first character may belong to the run.
    Literal { text: Box<str>, finder: Box<Finder<'static>>, inside: bool },
    /// A run of at least one character of another class, none of which may belong to this run.
    Disjoint,
}

impl Op {
    pub(crate) fn run(class: Class, min: usize, max: usize, greedy: bool) -> Self {
        let is_any = class.is_any();
        Op::Run(Box::new(Run { class, is_any, min, max, greedy, follow: Follow::Unknown }))
    }

    /// The same, `base` operations later.
    pub(crate) fn moved(self, base: usize) -> Self {
        match self {
            Op::Split { second, slots } => Op::Split { second: second + base, slots },
            Op::Jump(target) => Op::Jump(target + base),
            other => other,
        }
    }
}

/// A compiled rule.
#[derive(Debug)]
pub(crate) struct Program {
    ops: Vec<Op>,
    /// The longest text every match contains.
    required: Option<Finder<'static>>,
}

/// Start and end of each capture; an end of `usize::MAX` marks none.
pub(crate) type Slots = [(usize, usize)];

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

struct State<'a> {
    text: &'a str,
    received: EventTime,
    slots: &'a mut Slots,
    steps: usize,
}

impl Program {
    pub(crate) fn new(mut ops: Vec<Op>) -> Self {
        for index in 0..ops.len() {
            let follow = follow(&ops, index);
            if let Op::Run(run) = &mut ops[index] {
                run.follow = follow;
            }
        }
        let required = required(&ops);
        Self { ops, required }
    }

    /// Matches the whole text.
    pub(crate) fn matches(&self, text: &str, received: EventTime, slots: &mut Slots) -> Outcome {
        if let Some(Op::Literal(first)) = self.ops.first()
            && !text.starts_with(&**first)
        {
            return Outcome::NoMatch;
        }
        if self.required.as_ref().is_some_and(|text_| text_.find(text.as_bytes()).is_none()) {
            return Outcome::NoMatch;
        }
        slots.fill(UNSET);
        let steps = MAX_GROK_STEPS_PER_BYTE.saturating_mul(text.len() + self.ops.len());
        let mut state = State { text, received, slots, steps };
        if self.step(0, 0, &mut state) {
            Outcome::Match
        } else if state.steps == 0 {
            Outcome::GaveUp
        } else {
            Outcome::NoMatch
        }
    }

    /// Runs from operation `op` at byte `at`. Recursion is at most one level per operation.
    fn step(&self, mut op: usize, mut at: usize, state: &mut State<'_>) -> bool {
        loop {
            let Some(rest) = state.steps.checked_sub(1) else { return false };
            state.steps = rest;
            match self.ops.get(op) {
                None => return false,
                Some(Op::End) => return at == state.text.len(),
                Some(Op::Literal(text)) => {
                    let rest = state.text.as_bytes().get(at..).unwrap_or_default();
                    if !rest.starts_with(text.as_bytes()) {
                        return false;
                    }
                    at += text.len();
                }
                Some(Op::Open(slot)) => set(state.slots, *slot, (at, usize::MAX)),
                Some(Op::Close(slot)) => {
                    let start = state.slots.get(*slot).map_or(at, |(start, _)| *start);
                    set(state.slots, *slot, (start, at));
                }
                Some(Op::Jump(target)) => {
                    op = *target;
                    continue;
                }
                Some(Op::Split { second, slots }) => {
                    if self.step(op + 1, at, state) {
                        return true;
                    }
                    slots.clone().for_each(|slot| set(state.slots, slot, UNSET));
                    op = *second;
                    continue;
                }
                Some(Op::Match(exact)) => match exact.first(state.text, at, state.received) {
                    None => return false,
                    Some(end) if !exact.gives_back() => at = end,
                    Some(end) => return self.shrink(op, at, end, exact, state),
                },
                Some(Op::Run(run)) => match run.only_end(state.text, at) {
                    Only::One(end) => at = end,
                    Only::No => return false,
                    Only::Several(low, high) if run.greedy => {
                        return self.down(op, low, high, run, state);
                    }
                    Only::Several(low, high) => return self.up(op, low, high, run, state),
                },
            }
            op += 1;
        }
    }

    fn shrink(
        &self,
        op: usize,
        at: usize,
        end: usize,
        exact: &Exact,
        state: &mut State<'_>,
    ) -> bool {
        let mut end = end;
        loop {
            if self.step(op + 1, end, state) {
                return true;
            }
            match exact.shorter(state.text, at, end) {
                Some(shorter) if state.steps > 0 => end = shorter,
                _ => return false,
            }
        }
    }

    /// A greedy run, longest first.
    fn down(&self, op: usize, low: usize, high: usize, run: &Run, state: &mut State<'_>) -> bool {
        let mut end = high;
        loop {
            let may_follow = match &run.follow {
                Follow::Literal { text, .. } => state
                    .text
                    .as_bytes()
                    .get(end..)
                    .is_some_and(|rest| rest.starts_with(text.as_bytes())),
                _ => true,
            };
            if may_follow && self.step(op + 1, end, state) {
                return true;
            }
            let Some(rest) = state.steps.checked_sub(1) else { return false };
            state.steps = rest;
            if end <= low {
                return false;
            }
            end = previous(state.text, end);
        }
    }

    /// A lazy run, shortest first: from one place where what follows may stand to the next.
    fn up(&self, op: usize, low: usize, high: usize, run: &Run, state: &mut State<'_>) -> bool {
        let mut end = low;
        loop {
            if let Follow::Literal { finder, .. } = &run.follow {
                let rest = state.text.as_bytes().get(end..).unwrap_or_default();
                match finder.find(rest) {
                    Some(found) if end + found <= high => end += found,
                    _ => return false,
                }
            }
            if self.step(op + 1, end, state) {
                return true;
            }
            let Some(rest) = state.steps.checked_sub(1) else { return false };
            state.steps = rest;
            match following(state.text, end) {
                Some(next) if next <= high => end = next,
                _ => return false,
            }
        }
    }
}

/// Where a run can end.
enum Only {
    No,
    One(usize),
    Several(usize, usize),
}

impl Run {
    fn only_end(&self, text: &str, at: usize) -> Only {
        let mut low = at;
        for _ in 0..self.min {
            match following(text, low) {
                Some(next) if self.is_any || self.class.run(&text[..next], low) == next => {
                    low = next
                }
                _ => return Only::No,
            }
        }
        let high = self.high(text, at, low);
        match &self.follow {
            Follow::End if high == text.len() => Only::One(high),
            Follow::End => Only::No,
            Follow::Disjoint | Follow::Literal { inside: false, .. } => Only::One(high),
            _ if low == high => Only::One(low),
            _ => Only::Several(low, high),
        }
    }

    fn high(&self, text: &str, at: usize, low: usize) -> usize {
        if self.max == usize::MAX {
            return if self.is_any { text.len() } else { self.class.run(text, at) };
        }
        let mut high = low;
        for _ in self.min..self.max {
            match following(text, high) {
                Some(next) if self.class.run(&text[..next], high) == next => high = next,
                _ => break,
            }
        }
        high
    }
}

fn set(slots: &mut Slots, slot: usize, span: (usize, usize)) {
    if let Some(place) = slots.get_mut(slot) {
        *place = span;
    }
}

/// What surely comes after the run at `index`.
fn follow(ops: &[Op], index: usize) -> Follow {
    let Some(Op::Run(run)) = ops.get(index) else { return Follow::Unknown };
    let mut next = index + 1;
    loop {
        match ops.get(next) {
            Some(Op::Open(_) | Op::Close(_)) => next += 1,
            Some(Op::Jump(target)) => next = *target,
            Some(Op::End) => return Follow::End,
            Some(Op::Literal(text)) => {
                let inside = text.chars().next().is_some_and(|first| run.class.contains(first));
                let finder = Finder::new(text.as_bytes()).into_owned();
                return Follow::Literal { text: text.clone(), finder: Box::new(finder), inside };
            }
            Some(Op::Run(other)) if other.min > 0 && run.max == usize::MAX => {
                let mut both = run.class.clone().negated();
                both.add(&other.class.clone().negated());
                return if both.is_any() { Follow::Disjoint } else { Follow::Unknown };
            }
            _ => return Follow::Unknown,
        }
    }
}

/// The longest literal outside of every branch.
fn required(ops: &[Op]) -> Option<Finder<'static>> {
    let mut longest: Option<&str> = None;
    let mut branch_end = 0;
    for (index, op) in ops.iter().enumerate() {
        match op {
            Op::Split { second, .. } => branch_end = branch_end.max(*second),
            Op::Jump(target) => branch_end = branch_end.max(*target),
            Op::Literal(text)
                if index >= branch_end
                    && index > 0
                    && longest.is_none_or(|longest| text.len() > longest.len()) =>
            {
                longest = Some(text);
            }
            _ => {}
        }
    }
    longest.filter(|text| text.len() > 1).map(|text| Finder::new(text.as_bytes()).into_owned())
}
