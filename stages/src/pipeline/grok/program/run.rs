//! A run of characters of one set, and where it can end.

use memchr::memmem::{Finder, FinderRev};

use super::ahead::Ahead;
use crate::pipeline::grok::class::{ByteSays, Class, following, previous};
use crate::pipeline::grok::tree::How;

/// A run of characters.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    class: Class,
    table: Box<[ByteSays; 256]>,
    /// The only bytes that end it, where there are at most three.
    stops: Option<Box<[u8]>>,
    pub(crate) min: usize,
    max: usize,
    /// The slot that remembers it.
    pub(crate) slot: Option<usize>,
    how: How,
    ahead: Ahead,
    /// What surely comes after it.
    needle: Option<Box<Needle>>,
    /// Whether nothing it can hold can follow it: then it ends where it must.
    sole: bool,
}

/// A text to be found.
#[derive(Debug, Clone)]
struct Needle {
    text: Box<str>,
    first: u8,
    forward: Finder<'static>,
    back: FinderRev<'static>,
}

/// Where a run can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ends {
    Nowhere,
    /// There alone.
    One(usize),
    /// Anywhere from the first to the second.
    Between(usize, usize),
}

/// Places where a needle's first byte stands that are looked at one by one, before the search for
/// long distances is set up.
const NEAR: usize = 4;

impl Needle {
    fn new(text: &str) -> Self {
        Self {
            text: text.into(),
            first: text.bytes().next().unwrap_or_default(),
            forward: Finder::new(text.as_bytes()).into_owned(),
            back: FinderRev::new(text.as_bytes()).into_owned(),
        }
    }

    fn find(&self, bytes: &[u8], from: usize) -> Option<usize> {
        let mut at = from;
        for _ in 0..NEAR {
            at += memchr::memchr(self.first, bytes.get(at..)?)?;
            if bytes.get(at..)?.starts_with(self.text.as_bytes()) {
                return Some(at);
            }
            at += 1;
        }
        self.forward.find(bytes.get(at..)?).map(|found| at + found)
    }

    /// The last place from `low` to `high`.
    fn find_last(&self, bytes: &[u8], low: usize, high: usize) -> Option<usize> {
        let end = high.saturating_add(self.text.len()).min(bytes.len());
        self.back.rfind(bytes.get(low..end)?).map(|found| low + found)
    }
}

impl Run {
    pub(crate) fn new(class: Class, min: usize, max: usize, how: How) -> Self {
        let table = Box::new(class.table());
        let asks = table.contains(&ByteSays::Ask);
        let out = (0u8..=255).filter(|byte| table[usize::from(*byte)] == ByteSays::Out);
        let stops: Vec<u8> = out.take(4).collect();
        let stops = (!asks && stops.len() <= 3).then(|| stops.into());
        let (ahead, needle, slot) = (Ahead::any(), None, None);
        Self { class, table, stops, min, max, slot, how, ahead, needle, sole: false }
    }

    /// What each first byte of a character says.
    pub(super) fn table(&self) -> &[ByteSays; 256] {
        &self.table
    }

    /// Takes note of what comes after it.
    pub(super) fn learn(&mut self, ahead: Ahead, literal: Option<&str>) {
        let both = ahead.bytes.iter().zip(self.table.iter());
        let apart = both.into_iter().all(|(next, says)| !next || *says == ByteSays::Out);
        self.sole = apart && self.max == usize::MAX;
        self.ahead = ahead;
        self.needle = literal.map(|text| Box::new(Needle::new(text)));
    }

    /// Whether it can end at more than one place.
    pub(super) fn has_choice(&self) -> bool {
        !self.sole && self.how != How::Possessive && self.max > 1
    }

    /// Whether it is lazy.
    pub(crate) fn is_lazy(&self) -> bool {
        self.how == How::Lazy
    }

    /// Where the run that starts at `at` can end.
    #[inline]
    pub(crate) fn ends(&self, text: &str, at: usize) -> Ends {
        if self.max == usize::MAX && self.min <= 1 {
            let high = self.reach(text, at);
            if self.min == 1 && high == at {
                return Ends::Nowhere;
            }
            if self.sole || self.how == How::Possessive {
                return Ends::One(high);
            }
            let low = if self.min == 0 { Some(at) } else { following(text, at) };
            return low.map_or(Ends::Nowhere, |low| between(low, high));
        }
        self.counted(text, at)
    }

    fn counted(&self, text: &str, at: usize) -> Ends {
        let (mut low, mut high, mut read) = (at, at, 0);
        while read < self.max {
            let Some(next) = self.one(text, high) else { break };
            (high, read) = (next, read + 1);
            if read == self.min {
                low = high;
            }
        }
        match self.how {
            _ if read < self.min => Ends::Nowhere,
            How::Possessive => Ends::One(high),
            _ if self.sole => Ends::One(high),
            _ => between(low, high),
        }
    }

    /// Where the one character of the set at `at` ends.
    fn one(&self, text: &str, at: usize) -> Option<usize> {
        match self.table[usize::from(*text.as_bytes().get(at)?)] {
            ByteSays::Out => None,
            ByteSays::In => following(text, at),
            ByteSays::Ask => {
                let character = text.get(at..)?.chars().next()?;
                self.class.contains(character).then(|| at + character.len_utf8())
            }
        }
    }

    /// Bytes looked at by [`Self::ends`] that ended at `end`.
    pub(crate) fn cost(&self, bytes: usize) -> usize {
        if self.stops.as_deref() == Some(&[]) { 0 } else { bytes }
    }

    /// Where the characters of the set end.
    #[inline]
    fn reach(&self, text: &str, at: usize) -> usize {
        let bytes = text.as_bytes();
        let rest = bytes.get(at..).unwrap_or_default();
        let found = match self.stops.as_deref() {
            Some([]) => None,
            Some([one]) => memchr::memchr(*one, rest),
            Some([one, two]) => memchr::memchr2(*one, *two, rest),
            Some([one, two, three]) => memchr::memchr3(*one, *two, *three, rest),
            _ => return self.walk(text, at),
        };
        found.map_or(bytes.len(), |found| at + found)
    }

    fn walk(&self, text: &str, mut at: usize) -> usize {
        let bytes = text.as_bytes();
        loop {
            match bytes.get(at).map(|byte| self.table[usize::from(*byte)]) {
                Some(ByteSays::In) => at += 1,
                Some(ByteSays::Ask) => match text.get(at..).and_then(|rest| rest.chars().next()) {
                    Some(character) if self.class.contains(character) => {
                        at += character.len_utf8();
                    }
                    _ => return at,
                },
                Some(ByteSays::Out) | None => return at,
            }
        }
    }

    /// The first place from `low` to `high` where what follows may start.
    pub(crate) fn first_end(&self, text: &str, low: usize, high: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if let Some(needle) = &self.needle {
            let end = high.saturating_add(needle.text.len()).min(bytes.len());
            return needle.find(bytes.get(..end)?, low);
        }
        let mut end = low;
        while !self.ahead.allows(bytes.get(end)) {
            end = following(text, end).filter(|end| *end <= high)?;
        }
        Some(end)
    }

    /// The last one.
    pub(crate) fn last_end(&self, text: &str, low: usize, high: usize) -> Option<usize> {
        let bytes = text.as_bytes();
        if let Some(needle) = &self.needle {
            return needle.find_last(bytes, low, high);
        }
        let mut end = high;
        while !self.ahead.allows(bytes.get(end)) {
            end = Some(previous(text, end)).filter(|before| *before >= low && *before < end)?;
        }
        Some(end)
    }
}

fn between(low: usize, high: usize) -> Ends {
    if low == high { Ends::One(low) } else { Ends::Between(low, high) }
}
