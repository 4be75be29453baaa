//! Which rules can match a line at all, found out before any is tried: by its first byte, and by one
//! pass over it for the texts that rules contain.

use aho_corasick::{AhoCorasick, AhoCorasickKind, MatchKind};
use schemas::limits::MAX_GROK_RULES;

use super::program::Program;

/// Bits for all rules.
const WORDS: usize = MAX_GROK_RULES.div_ceil(64);
/// Bits for all texts.
const TEXT_WORDS: usize = (MAX_GROK_RULES * TEXTS_PER_RULE).div_ceil(64);
/// Texts asked for per rule: the most telling ones.
const TEXTS_PER_RULE: usize = 3;
/// Up to so many rules it is cheaper to try them than to look for their texts.
const FEW: u32 = 3;
/// First bytes, and the empty line.
const FIRSTS: usize = 257;

/// A set of rules.
pub(crate) type Rules = [u64; WORDS];

/// What is known about a set of rules.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// By first byte.
    firsts: Box<[Rules]>,
    texts: Option<AhoCorasick>,
    /// Texts by rule.
    needs: Vec<Vec<u16>>,
}

impl Dispatch {
    /// From the rules in order; `None` is a rule of which nothing is known.
    pub(crate) fn new(rules: &[Option<&Program>]) -> Self {
        let mut firsts = vec![[0u64; WORDS]; FIRSTS];
        for (index, rule) in rules.iter().enumerate() {
            for (first, set) in firsts.iter_mut().enumerate() {
                let byte = u8::try_from(first).ok();
                if rule.is_none_or(|program| program.can_start(byte.as_ref())) {
                    set[index / 64] |= 1 << (index % 64);
                }
            }
        }
        let mut known: Vec<&str> = Vec::new();
        let mut needs = Vec::new();
        for rule in rules {
            let texts = rule.map_or(&[][..], |program| program.required.as_slice());
            let mut own = Vec::new();
            for text in texts.iter().take(TEXTS_PER_RULE) {
                let found = known.iter().position(|other| **other == **text);
                let id = found.unwrap_or_else(|| {
                    known.push(text);
                    known.len() - 1
                });
                own.extend(u16::try_from(id));
            }
            needs.push(own);
        }
        let texts = AhoCorasick::builder()
            .match_kind(MatchKind::Standard)
            .kind(Some(AhoCorasickKind::DFA))
            .build(&known);
        let texts = texts.ok().filter(|_| !known.is_empty());
        Self { firsts: firsts.into(), texts, needs }
    }

    /// The rules that can match; the others surely do not.
    #[inline]
    pub(crate) fn candidates(&self, text: &str) -> Rules {
        let first = text.bytes().next().map_or(FIRSTS - 1, usize::from);
        let mut rules = self.firsts[first];
        let count: u32 = rules.iter().map(|word| word.count_ones()).sum();
        if let Some(texts) = self.texts.as_ref().filter(|_| count > FEW) {
            self.narrow(texts, text, &mut rules);
        }
        rules
    }

    fn narrow(&self, texts: &AhoCorasick, text: &str, rules: &mut Rules) {
        let mut found = [0u64; TEXT_WORDS];
        for hit in texts.find_overlapping_iter(text) {
            let id = hit.pattern().as_usize();
            found[id / 64] |= 1 << (id % 64);
        }
        for (index, word) in rules.iter_mut().enumerate() {
            let mut left = *word;
            while left != 0 {
                let bit = left.trailing_zeros() as usize;
                left &= left - 1;
                let needs = self.needs.get(index * 64 + bit).map_or(&[][..], Vec::as_slice);
                let all = needs.iter().all(|id| {
                    let id = usize::from(*id);
                    found[id / 64] & (1 << (id % 64)) != 0
                });
                if !all {
                    *word &= !(1 << bit);
                }
            }
        }
    }
}

/// The rules of a set, in order.
pub(crate) fn each(rules: &Rules) -> impl Iterator<Item = usize> + '_ {
    rules.iter().enumerate().flat_map(|(index, word)| {
        let mut left = *word;
        std::iter::from_fn(move || {
            let bit = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(index * 64 + bit)
        })
    })
}
