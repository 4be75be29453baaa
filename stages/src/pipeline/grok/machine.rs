//! Runs a program over a text: the first way through it, in the order the rule prefers.
//!
//! Where a rule leaves a choice, the other ways are remembered on a stack and taken when the first
//! fails. That can take long on purpose-made texts, so every operation and every byte looked at costs
//! a step, and steps and stack are limited: a rule that runs out of them counts as no match.

use std::sync::Arc;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::{MAX_GROK_STACK, MAX_GROK_STEPS, MAX_GROK_STEPS_PER_BYTE};

use super::class::{following, previous, word_at, word_before};
use super::date::{Civil, DatePattern};
use super::matchers::Exact;
use super::program::emit::fold;
use super::program::run::{Ends, Run};
use super::program::{Matched, Op, Outcome, Program, Slots, UNSET};

/// Bytes looked at for one step: a run of characters costs less than operations do.
const BYTES_PER_STEP: usize = 16;
/// Room for choices made at the first.
const FIRST_FRAMES: usize = 16;

/// What is done when a way fails, the newest first.
#[derive(Debug, Clone, Copy)]
enum Frame {
    /// Go on there.
    Go { op: u32, at: usize },
    /// A slot held this.
    Undo { slot: u32, old: (usize, usize) },
    /// A greedy run from `at` ended at `end`: an earlier end, not before `low`.
    Shrink { op: u32, at: usize, low: usize, end: usize },
    /// A lazy run from `at` ended at `end`: a later end, not after `high`.
    Grow { op: u32, at: usize, end: usize, high: usize },
    /// A matcher that started at `at` ended at `end`: a shorter match.
    Shorter { op: u32, at: usize, end: usize },
}

struct Machine<'m, 's, 'b> {
    ops: &'m [Op],
    text: &'m str,
    slots: &'s mut Slots,
    stack: BumpVec<'b, Frame>,
    steps: usize,
    /// Inner programs being run.
    depth: usize,
    /// Where the inner program being run has to end.
    must_end: Option<usize>,
    gave_up: bool,
    date: LastDate<'m>,
}

/// The last date that was matched: its pattern, where it starts, its length, its parts. Reading it again for
/// its value would cost as much as the rest of a short rule.
pub(crate) type LastDate<'m> = Option<(&'m Arc<DatePattern>, usize, usize, Civil)>;

/// Steps a rule of `ops` operations may take on a text of `bytes` bytes.
pub(crate) fn allowance(ops: usize, bytes: usize) -> usize {
    MAX_GROK_STEPS_PER_BYTE.saturating_mul(bytes.saturating_add(ops)).min(MAX_GROK_STEPS)
}

/// Matches the whole text, in at most `steps` steps, which are taken from there.
pub(crate) fn run<'m>(
    program: &'m Program,
    arena: &Bump,
    text: &'m str,
    slots: &mut Slots,
    steps: &mut usize,
    date: &mut LastDate<'m>,
) -> Outcome {
    slots.fill(UNSET);
    let mut machine = Machine {
        ops: &program.ops,
        text,
        slots,
        stack: BumpVec::new_in(arena),
        steps: *steps,
        depth: 0,
        must_end: None,
        gave_up: false,
        date: None,
    };
    let found = machine.run(0, 0);
    *steps = machine.steps;
    *date = machine.date;
    match found {
        Some(_) => Outcome::Match,
        None if machine.gave_up => Outcome::GaveUp,
        None => Outcome::NoMatch,
    }
}

/// Where an operation leads.
enum Step {
    To(usize, usize),
    Fail,
    Done(usize),
}

impl<'m> Machine<'m, '_, '_> {
    /// Runs from an operation and a place to the end of the (inner) program: where it ended.
    fn run(&mut self, op: usize, at: usize) -> Option<usize> {
        let base = self.stack.len();
        let (mut op, mut at) = (op, at);
        loop {
            match self.step(op, at) {
                Step::To(next, place) => (op, at) = (next, place),
                Step::Done(end) => return Some(end),
                Step::Fail => (op, at) = self.back(base)?,
            }
        }
    }

    /// The run at an operation.
    fn run_at(&self, op: u32) -> Option<(usize, &'m Run)> {
        match self.ops.get(op as usize) {
            Some(Op::Run(run)) => Some((op as usize, run)),
            _ => None,
        }
    }

    fn spend(&mut self, bytes: usize) -> bool {
        match self.steps.checked_sub(1 + bytes / BYTES_PER_STEP) {
            Some(left) => self.steps = left,
            None => {
                self.gave_up = true;
                self.steps = 0;
            }
        }
        !self.gave_up
    }

    fn push(&mut self, frame: Frame) {
        if self.stack.is_empty() {
            self.stack.reserve(FIRST_FRAMES);
        }
        if self.stack.len() < MAX_GROK_STACK {
            self.stack.push(frame);
        } else {
            self.gave_up = true;
        }
    }

    fn set(&mut self, slot: usize, span: (usize, usize)) {
        let Some(old) = self.slots.get_mut(slot).map(|place| std::mem::replace(place, span)) else {
            return;
        };
        // Without a way back nobody asks what stood there.
        if !self.stack.is_empty() || self.depth > 0 {
            self.push(Frame::Undo { slot: short(slot), old });
        }
    }

    #[inline(always)]
    fn step(&mut self, op: usize, at: usize) -> Step {
        if !self.spend(0) {
            return Step::Fail;
        }
        let ops = self.ops;
        match ops.get(op) {
            None => return Step::Fail,
            Some(Op::Literal(text)) => {
                if stands_at(self.text.as_bytes(), at, text.as_bytes()) {
                    return Step::To(op + 1, at + text.len());
                }
                return Step::Fail;
            }
            Some(Op::Run(run)) => return self.enter(op, at, run),
            Some(Op::Match(matched)) => return self.matcher(op, at, matched),
            Some(Op::Open(slot)) => self.set(*slot, (at, usize::MAX)),
            Some(Op::Close(slot)) => {
                let start = self.slots.get(*slot).map_or(at, |(start, _)| *start);
                self.set(*slot, (start, at));
            }
            Some(Op::Jump(target)) => return Step::To(*target, at),
            Some(Op::Split { first, second }) => {
                self.push(Frame::Go { op: short(*second), at });
                return Step::To(*first, at);
            }
            Some(Op::End) if at == self.text.len() => return Step::Done(at),
            Some(Op::Done) if self.must_end.is_none_or(|end| end == at) => return Step::Done(at),
            Some(Op::End | Op::Done) => return Step::Fail,
            Some(rare) => return self.rare(op, at, rare),
        }
        Step::To(op + 1, at)
    }

    fn rare(&mut self, op: usize, at: usize, what: &Op) -> Step {
        let goes_on = match what {
            Op::Mark(slot) => {
                self.set(*slot, (at, at));
                true
            }
            Op::Progress { mark, exit } if self.slots.get(*mark) == Some(&(at, at)) => {
                return Step::To(*exit, at);
            }
            Op::Progress { .. } => true,
            Op::WordEdge { negated } => {
                (word_before(self.text, at) != word_at(self.text, at)) != *negated
            }
            Op::Start => at == 0,
            Op::AtEnd => at == self.text.len(),
            Op::AnyCase(folded) => {
                let mut rest = self.text.get(at..).unwrap_or_default().chars();
                if !folded.iter().all(|own| rest.next().map(fold) == Some(*own)) {
                    return Step::Fail;
                }
                return Step::To(op + 1, self.text.len() - rest.as_str().len());
            }
            Op::Same(slot) => {
                let (start, end) = self.slots.get(*slot).copied().unwrap_or(UNSET);
                let Some(same) = self.text.get(start..end) else { return Step::Fail };
                if self.spend(same.len())
                    && self.text.get(at..).is_some_and(|rest| rest.starts_with(same))
                {
                    return Step::To(op + 1, at + same.len());
                }
                return Step::Fail;
            }
            Op::Atomic { end } => {
                let found = self.inner(op + 1, at, None);
                return found.map_or(Step::Fail, |after| Step::To(*end, after));
            }
            Op::Ahead { end, negated } => {
                let found = self.look(op + 1, at, None, *negated);
                return if found != *negated { Step::To(*end, at) } else { Step::Fail };
            }
            Op::Behind { end, low, high, negated } => {
                let found = self.behind(op + 1, at, *low, *high, *negated);
                return if found != *negated { Step::To(*end, at) } else { Step::Fail };
            }
            _ => false,
        };
        if goes_on { Step::To(op + 1, at) } else { Step::Fail }
    }

    /// Runs an inner program; its first match stands, what it wrote can still be undone.
    fn inner(&mut self, op: usize, at: usize, must_end: Option<usize>) -> Option<usize> {
        let base = self.stack.len();
        let outer = std::mem::replace(&mut self.must_end, must_end);
        self.depth += 1;
        let end = self.run(op, at);
        self.depth -= 1;
        self.must_end = outer;
        let mut kept = base;
        for index in base..self.stack.len() {
            if let Frame::Undo { .. } = self.stack[index] {
                self.stack.swap(kept, index);
                kept += 1;
            }
        }
        self.stack.truncate(kept);
        end
    }

    /// Runs an inner program for its answer alone; captures stay only where it is asked to match.
    fn look(&mut self, op: usize, at: usize, must_end: Option<usize>, negated: bool) -> bool {
        let base = self.stack.len();
        let found = self.inner(op, at, must_end).is_some();
        if negated {
            while self.stack.len() > base {
                if let Some(Frame::Undo { slot, old }) = self.stack.pop()
                    && let Some(place) = self.slots.get_mut(slot as usize)
                {
                    *place = old;
                }
            }
        }
        found
    }

    /// Whether the inner program matches from one of the places before to exactly here.
    fn behind(&mut self, op: usize, at: usize, low: usize, high: usize, negated: bool) -> bool {
        let mut start = at;
        for back in 0..=high {
            if back >= low && self.look(op, start, Some(at), negated) {
                return true;
            }
            if start == 0 || self.gave_up {
                break;
            }
            start = previous(self.text, start);
        }
        false
    }

    fn matcher(&mut self, op: usize, at: usize, matched: &'m Matched) -> Step {
        let end = match &matched.exact {
            Exact::Date(pattern) => self.date(pattern, at),
            exact => exact.first(self.text, at),
        };
        match end {
            Some(end) if self.spend(end - at) => self.matched(op, at, end, matched),
            _ => Step::Fail,
        }
    }

    fn date(&mut self, pattern: &'m Arc<DatePattern>, at: usize) -> Option<usize> {
        let (length, civil) = pattern.civil(self.text.get(at..)?)?;
        self.date = Some((pattern, at, length, civil));
        Some(at + length)
    }

    fn matched(&mut self, op: usize, at: usize, end: usize, matched: &Matched) -> Step {
        if matched.gives_back {
            self.push(Frame::Shorter { op: short(op), at, end });
        }
        if let Some(slot) = matched.slot {
            self.set(slot, (at, end));
        }
        Step::To(op + 1, end)
    }

    #[inline]
    fn enter(&mut self, op: usize, at: usize, run: &Run) -> Step {
        match run.ends(self.text, at) {
            Ends::Nowhere => Step::Fail,
            Ends::One(end) if self.spend(run.cost(end - at)) => self.ended(op, at, end, run),
            Ends::Between(low, high) if self.spend(run.cost(high - at)) => {
                if run.is_lazy() {
                    self.grow(op, at, (low, high), run)
                } else {
                    self.shrink(op, at, (low, high), run)
                }
            }
            Ends::One(_) | Ends::Between(..) => Step::Fail,
        }
    }

    #[inline]
    fn ended(&mut self, op: usize, at: usize, end: usize, run: &Run) -> Step {
        if let Some(slot) = run.slot {
            self.set(slot, (at, end));
        }
        Step::To(op + 1, end)
    }

    /// The longest end of a greedy run from `at` that may do.
    fn shrink(&mut self, op: usize, at: usize, (low, high): (usize, usize), run: &Run) -> Step {
        let found = run.last_end(self.text, low, high);
        if !self.spend(high - found.unwrap_or(low)) {
            return Step::Fail;
        }
        let Some(end) = found else { return Step::Fail };
        if end > low {
            self.push(Frame::Shrink { op: short(op), at, low, end });
        }
        self.ended(op, at, end, run)
    }

    /// The shortest end of a lazy run from `at` that may do.
    fn grow(&mut self, op: usize, at: usize, (low, high): (usize, usize), run: &Run) -> Step {
        let found = run.first_end(self.text, low, high);
        if !self.spend(found.unwrap_or(high) - low) {
            return Step::Fail;
        }
        let Some(end) = found else { return Step::Fail };
        if end < high {
            self.push(Frame::Grow { op: short(op), at, end, high });
        }
        self.ended(op, at, end, run)
    }

    /// The next way, from the newest choice on.
    fn back(&mut self, base: usize) -> Option<(usize, usize)> {
        while self.stack.len() > base && !self.gave_up {
            let step = match self.stack.pop()? {
                Frame::Go { op, at } => return Some((op as usize, at)),
                Frame::Undo { slot, old } => {
                    if let Some(place) = self.slots.get_mut(slot as usize) {
                        *place = old;
                    }
                    continue;
                }
                Frame::Shrink { op, at, low, end } => match self.run_at(op) {
                    Some((op, run)) => self.shrink(op, at, (low, previous(self.text, end)), run),
                    None => Step::Fail,
                },
                Frame::Grow { op, at, end, high } => {
                    match (self.run_at(op), following(self.text, end)) {
                        (Some((op, run)), Some(next)) => self.grow(op, at, (next, high), run),
                        _ => Step::Fail,
                    }
                }
                Frame::Shorter { op, at, end } => self.shorter(op as usize, at, end),
            };
            if let Step::To(op, at) = step {
                return Some((op, at));
            }
        }
        None
    }

    fn shorter(&mut self, op: usize, at: usize, end: usize) -> Step {
        let ops = self.ops;
        let Some(Op::Match(matched)) = ops.get(op) else { return Step::Fail };
        match matched.exact.shorter(self.text, at, end) {
            Some(end) => self.matched(op, at, end, matched),
            None => Step::Fail,
        }
    }
}

/// Whether `text` stands at `at`; most texts between tokens are a character or two.
#[inline(always)]
fn stands_at(bytes: &[u8], at: usize, text: &[u8]) -> bool {
    match text {
        [one] => bytes.get(at) == Some(one),
        [one, two] => bytes.get(at) == Some(one) && bytes.get(at + 1) == Some(two),
        text => bytes.get(at..).is_some_and(|rest| rest.starts_with(text)),
    }
}

/// Numbers of operations and slots are small.
fn short(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
