//! Whole-value wildcard matching, case-sensitive: for attributes, tags and reserved fields.

use memchr::memmem::Finder;

use crate::ast::{Part, Pattern};

/// A pattern cut at its `*`: the first piece stands at the start, the last at the end, those
/// between are found from left to right, which is enough to decide (the leftmost place leaves the
/// most room for the rest). Time: length of the value times length of the pattern, at most.
#[derive(Debug, Clone)]
pub(crate) struct Glob {
    pieces: Vec<Vec<Step>>,
}

#[derive(Debug, Clone)]
enum Step {
    Literal(Box<str>, Box<Finder<'static>>),
    One,
}

impl Glob {
    pub(crate) fn new(pattern: &Pattern) -> Self {
        let mut pieces = vec![Vec::new()];
        for part in pattern.parts() {
            let step = match part {
                Part::Any => {
                    pieces.push(Vec::new());
                    continue;
                }
                Part::Literal(text) => {
                    let finder = Finder::new(text.as_bytes()).into_owned();
                    Step::Literal(text.as_str().into(), Box::new(finder))
                }
                Part::One => Step::One,
            };
            if let Some(piece) = pieces.last_mut() {
                piece.push(step);
            }
        }
        Self { pieces }
    }

    pub(crate) fn matches(&self, value: &str) -> bool {
        let Some((first, others)) = self.pieces.split_first() else { return value.is_empty() };
        let Some(mut rest) = strip(first, value) else { return false };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
        for piece in middle {
            match find(piece, rest) {
                Some(after) => rest = after,
                None => return false,
            }
        }
        ends_with(last, rest)
    }
}

/// What follows `piece` at the start of `text`.
fn strip<'t>(piece: &[Step], text: &'t str) -> Option<&'t str> {
    piece.iter().try_fold(text, |rest, step| match step {
        Step::Literal(literal, _) => rest.strip_prefix(&**literal),
        Step::One => {
            let mut characters = rest.chars();
            characters.next().map(|_| characters.as_str())
        }
    })
}

/// What follows the leftmost `piece` in `text`.
fn find<'t>(piece: &[Step], text: &'t str) -> Option<&'t str> {
    let mut from = text;
    loop {
        if let Some(Step::Literal(_, finder)) = piece.first() {
            from = from.get(finder.find(from.as_bytes())?..)?;
        }
        if let Some(after) = strip(piece, from) {
            return Some(after);
        }
        let mut characters = from.chars();
        characters.next()?;
        from = characters.as_str();
    }
}

fn ends_with(piece: &[Step], text: &str) -> bool {
    piece
        .iter()
        .rev()
        .try_fold(text, |rest, step| match step {
            Step::Literal(literal, _) => rest.strip_suffix(&**literal),
            Step::One => {
                let mut characters = rest.chars();
                characters.next_back().map(|_| characters.as_str())
            }
        })
        .is_some()
}
