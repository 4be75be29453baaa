//! `boolean("true","false")`: one of two words or expressions, any case.

use bumpalo::Bump;

use crate::pipeline::grok::machine;
use crate::pipeline::grok::program::emit::emit;
use crate::pipeline::grok::program::{Outcome, Program, UNSET};
use crate::pipeline::grok::reader;
use crate::pipeline::grok::rules::Piece;

/// Where the word at `at` ends.
pub(super) fn end(text: &str, at: usize, truth: &str, falsehood: &str) -> Option<usize> {
    let rest = text.get(at..)?;
    [truth, falsehood].into_iter().find_map(|word| {
        let head = rest.get(..word.len())?;
        head.eq_ignore_ascii_case(word).then_some(at + word.len())
    })
}

/// The expression for `true`.
#[derive(Debug)]
pub(crate) struct Truth(Program);

impl Truth {
    pub(super) fn compile(source: &str) -> Result<Self, String> {
        let pieces = [Piece::Raw(format!("(?i:{source})"), 0)];
        let node = reader::read(&pieces, &mut Vec::new()).map_err(|problem| problem.reason)?;
        Ok(Self(emit(&node, 0)?))
    }

    /// Whether a text is a way to say `true`.
    pub(crate) fn is(&self, arena: &Bump, text: &str) -> bool {
        let mut steps = machine::allowance(self.0.ops.len(), text.len());
        let mut slots = vec![UNSET; self.0.slots];
        machine::run(&self.0, arena, text, &mut slots, &mut steps, &mut None) == Outcome::Match
    }
}
