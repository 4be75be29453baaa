//! A rule as a tree: what its text means, before it becomes a program.

use super::class::Class;
use super::matchers::Exact;

/// Part of a rule.
#[derive(Debug, Clone)]
pub(crate) enum Node {
    /// Matches nothing, successfully.
    Empty,
    /// One character; in any case where asked for.
    Char { character: char, any_case: bool },
    /// One character of a set.
    Set(Box<Class>),
    /// A matcher with code of its own.
    Exact(Exact),
    /// One after the other.
    Sequence(Vec<Node>),
    /// The first that leads to a match.
    Either(Vec<Node>),
    /// `*`, `+`, `?`, `{n,m}`.
    Repeat { node: Box<Node>, min: usize, max: usize, how: How },
    /// Remembered in a slot.
    Capture(usize, Box<Node>),
    /// `(?>...)`: its first match, and no other.
    Atomic(Box<Node>),
    /// `(?=...)`, `(?!...)`.
    Ahead { node: Box<Node>, negated: bool },
    /// `(?<=...)`, `(?<!...)`.
    Behind { node: Box<Node>, negated: bool },
    /// `\k<name>`: what the slot holds.
    Same(usize),
    /// `\b`, `\B`.
    WordEdge { negated: bool },
    /// `^`, `\A`.
    Start,
    /// `$`, `\z`.
    End,
}

/// The order in which repetitions are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// Most first.
    Greedy,
    /// Fewest first.
    Lazy,
    /// Most, and nothing else.
    Possessive,
}

/// More characters than a look behind goes back.
pub(crate) const MAX_LOOK_BEHIND: usize = 256;

impl Node {
    /// Fewest and most characters it matches; the most is `None` where it is not bounded.
    pub(crate) fn width(&self) -> (usize, Option<usize>) {
        match self {
            Node::Empty | Node::Ahead { .. } | Node::Behind { .. } => (0, Some(0)),
            Node::WordEdge { .. } | Node::Start | Node::End => (0, Some(0)),
            Node::Char { .. } | Node::Set(_) => (1, Some(1)),
            Node::Exact(_) => (1, None),
            Node::Same(_) => (0, None),
            Node::Sequence(nodes) => nodes.iter().map(Node::width).fold(
                (0, Some(0)),
                |(low, high): (usize, Option<usize>), (min, max)| {
                    let high = high.zip(max).and_then(|(high, max)| high.checked_add(max));
                    (low.saturating_add(min), high)
                },
            ),
            Node::Either(nodes) => {
                let widths = nodes.iter().map(Node::width);
                widths
                    .reduce(|(low, high), (min, max)| {
                        (low.min(min), high.zip(max).map(|(high, max)| high.max(max)))
                    })
                    .unwrap_or((0, Some(0)))
            }
            Node::Repeat { node, min, max, .. } => {
                let (low, high) = node.width();
                let times = |width: usize| width.checked_mul(*max).filter(|_| *max != usize::MAX);
                let high = if high == Some(0) { Some(0) } else { high.and_then(times) };
                (low.saturating_mul(*min), high)
            }
            Node::Capture(_, node) | Node::Atomic(node) => node.width(),
        }
    }

    /// Whether it can match text at all, as far as its shape tells.
    pub(crate) fn is_possible(&self) -> bool {
        match self {
            Node::Set(class) => !class.is_none(),
            Node::Sequence(nodes) => nodes.iter().all(Node::is_possible) && anchored(nodes),
            Node::Either(nodes) => nodes.iter().any(Node::is_possible),
            Node::Repeat { node, min, .. } => *min == 0 || node.is_possible(),
            Node::Capture(_, node) | Node::Atomic(node) => node.is_possible(),
            Node::Ahead { node, negated: false } | Node::Behind { node, negated: false } => {
                node.is_possible()
            }
            _ => true,
        }
    }

    /// Whether every text matches: only runs of anything.
    pub(crate) fn takes_all(&self) -> bool {
        match self {
            Node::Sequence(nodes) => {
                nodes.iter().all(|node| node.is_free() || node.takes_all())
                    && nodes.iter().any(Node::takes_all)
            }
            Node::Repeat { node, min: 0, max: usize::MAX, .. } => {
                matches!(&**node, Node::Set(class) if class.is_any())
            }
            Node::Capture(_, node) | Node::Atomic(node) => node.takes_all(),
            _ => false,
        }
    }

    /// Whether it matches the empty text at the edges of a line.
    fn is_free(&self) -> bool {
        matches!(self, Node::Empty | Node::Start | Node::End)
    }
}

/// Nothing but the empty text stands before `^` and after `$`.
fn anchored(nodes: &[Node]) -> bool {
    let needs = |nodes: &[Node]| nodes.iter().any(|node| node.width().0 > 0);
    nodes.iter().enumerate().all(|(index, node)| match node {
        Node::Start => !needs(&nodes[..index]),
        Node::End => !needs(&nodes[index + 1..]),
        _ => true,
    })
}
