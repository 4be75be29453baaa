//! What can follow: the set of bytes the rest of a program can start with.

use super::Op;
use crate::pipeline::grok::class::ByteSays;

/// A set of bytes.
pub(crate) type Bytes = [bool; 256];

/// What the rest of a program can start with.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Ahead {
    /// First bytes of the text that follows.
    pub(crate) bytes: Box<Bytes>,
    /// Whether the text may end here.
    pub(crate) end: bool,
}

impl Ahead {
    /// Anything.
    pub(crate) fn any() -> Self {
        Self { bytes: Box::new([true; 256]), end: true }
    }

    /// Whether the text may go on with this byte, or end.
    pub(crate) fn allows(&self, next: Option<&u8>) -> bool {
        match next {
            None => self.end,
            Some(byte) => self.bytes[usize::from(*byte)],
        }
    }

    fn add(&mut self, accepts: impl Fn(u8) -> bool) {
        for (byte, slot) in (0u8..=255).zip(self.bytes.iter_mut()) {
            *slot |= accepts(byte);
        }
    }
}

/// What can follow before operation `index`.
pub(crate) fn after(ops: &[Op], index: usize) -> Ahead {
    let mut ahead = Ahead { bytes: Box::new([false; 256]), end: false };
    let mut seen = vec![false; ops.len()];
    let mut open = vec![index];
    while let Some(index) = open.pop() {
        let Some(op) = ops.get(index) else { continue };
        if std::mem::replace(&mut seen[index], true) {
            continue;
        }
        match op {
            Op::Literal(text) => {
                let first = text.bytes().next();
                ahead.add(|byte| Some(byte) == first);
            }
            Op::AnyCase(text) => {
                let first = text.first().copied().unwrap_or_default();
                ahead.add(|byte| match byte.is_ascii() {
                    true => char::from(byte).eq_ignore_ascii_case(&first),
                    false => true,
                });
            }
            Op::Run(run) => {
                let table = run.table();
                ahead.add(|byte| table[usize::from(byte)] != ByteSays::Out);
                if run.min == 0 {
                    open.push(index + 1);
                }
            }
            Op::Match(matched) => ahead.add(|byte| matched.exact.can_start_with(byte)),
            Op::Split { first, second } => open.extend([*first, *second]),
            Op::Jump(target) => open.push(*target),
            Op::Progress { exit, .. } => open.extend([index + 1, *exit]),
            Op::Ahead { end, .. } | Op::Behind { end, .. } => open.push(*end),
            Op::Open(_) | Op::Close(_) | Op::Mark(_) | Op::WordEdge { .. } | Op::Start => {
                open.push(index + 1);
            }
            Op::Atomic { .. } => open.push(index + 1),
            Op::AtEnd | Op::End => ahead.end = true,
            // An inner program must not be told what follows it: its first match stands.
            Op::Same(_) | Op::Done => return Ahead::any(),
        }
    }
    ahead
}
