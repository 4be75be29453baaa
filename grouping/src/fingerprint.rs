//! The bytes an issue id is the hash of: named components, none of which can pass for another.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use xxhash_rust::xxh3::xxh3_128;

use crate::issue_id::IssueId;

/// What a component is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Part {
    Service = 1,
    Kind = 2,
    RootKind = 3,
    Frame = 4,
    Message = 5,
    /// The fingerprint the error brought.
    Given = 6,
    /// A value of a fingerprint rule.
    Rule = 7,
    /// The id that was split, and by what.
    Split = 8,
    /// What failed, where nothing says why.
    Operation = 9,
}

impl Part {
    /// For people.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Part::Service => "service",
            Part::Kind => "type",
            Part::RootKind => "root cause type",
            Part::Frame => "frame",
            Part::Message => "message",
            Part::Given => "error.fingerprint",
            Part::Rule => "rule",
            Part::Split => "split",
            Part::Operation => "operation",
        }
    }
}

/// Components, one after the other, and where each is.
#[derive(Debug)]
pub(crate) struct Key<'b> {
    bytes: BumpVec<'b, u8>,
    parts: BumpVec<'b, (Part, usize, usize)>,
}

impl<'b> Key<'b> {
    pub(crate) fn new_in(arena: &'b Bump) -> Self {
        Self {
            bytes: BumpVec::with_capacity_in(256, arena),
            parts: BumpVec::with_capacity_in(8, arena),
        }
    }

    /// Adds what `write` appends. The part's length follows it: two lists of components have the
    /// same bytes only if they are the same.
    pub(crate) fn add(&mut self, part: Part, write: impl FnOnce(&mut BumpVec<'b, u8>)) {
        let start = self.bytes.len();
        write(&mut self.bytes);
        let end = self.bytes.len();
        self.parts.push((part, start, end));
        self.bytes.push(part as u8);
        self.bytes.extend_from_slice_copy(&((end - start) as u32).to_le_bytes());
    }

    /// Adds text.
    pub(crate) fn text(&mut self, part: Part, text: &str) {
        self.add(part, |out| out.extend_from_slice_copy(text.as_bytes()));
    }

    /// The hash of all of it.
    pub(crate) fn id(&self, version: u8) -> IssueId {
        IssueId::new(version, xxh3_128(&self.bytes))
    }

    /// The components.
    pub(crate) fn parts(&self) -> impl Iterator<Item = (Part, &[u8])> {
        self.parts.iter().map(|(part, start, end)| (*part, &self.bytes[*start..*end]))
    }
}
