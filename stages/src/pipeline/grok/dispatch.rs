//! Which rules can match a line at all, found out before any is tried: by its first byte, and by the texts
//! that rules contain.
//!
//! Of each rule one text is looked for, the one that fewest other rules have. A line is not read whole for
//! that: texts of at least `n + 3` bytes are found by looking at four bytes at every `n`th place, since one of
//! these places lies within the first `n` bytes of any of their occurrences.

use schemas::limits::MAX_GROK_RULES;

use super::program::Program;

/// Bits for all rules.
const WORDS: usize = MAX_GROK_RULES.div_ceil(64);
/// Up to so many rules it is cheaper to try them than to look for their texts.
const FEW: u32 = 2;
/// First bytes, and the empty line.
const FIRSTS: usize = 257;
/// Bytes looked at at once.
const GRAM: usize = 4;
/// Places from one look to the next, at most.
const MAX_STEP: usize = 12;
/// So many rules with the shortest texts are always tried, if that makes the steps longer.
const MAX_SHORT: usize = 2;
/// Bits of a hash of four bytes.
const HASH_BITS: u32 = 16;
/// Hashes that share a list.
const BUCKET_BITS: u32 = 10;

/// A set of rules.
pub(crate) type Rules = [u64; WORDS];

/// What is known about a set of rules.
#[derive(Debug)]
pub(crate) struct Dispatch {
    /// By first byte.
    firsts: Box<[Rules]>,
    /// Rules of which no text is looked for.
    free: Rules,
    sieve: Option<Sieve>,
}

/// Finds texts in a line.
#[derive(Debug)]
struct Sieve {
    step: usize,
    /// One bit for each hash of four bytes that may be part of a text.
    seen: Box<[u64]>,
    /// By the first bits of the hash.
    buckets: Vec<Vec<Part>>,
    texts: Vec<Text>,
}

#[derive(Debug)]
struct Text {
    bytes: Box<[u8]>,
    /// Rules that need it.
    rules: Rules,
}

/// Four bytes of a text.
#[derive(Debug)]
struct Part {
    gram: u32,
    text: usize,
    offset: usize,
}

impl Dispatch {
    /// From the rules in order; `None` is a rule of which nothing is known.
    pub(crate) fn new(rules: &[Option<&Program>]) -> Self {
        let mut firsts = vec![[0u64; WORDS]; FIRSTS];
        for (index, rule) in rules.iter().enumerate() {
            for (first, set) in firsts.iter_mut().enumerate() {
                let byte = u8::try_from(first).ok();
                if rule.is_none_or(|program| program.can_start(byte.as_ref())) {
                    add(set, index);
                }
            }
        }
        let chosen = chosen(rules);
        let (step, shortest) = step(&chosen);
        let mut free = [0; WORDS];
        let mut texts: Vec<Text> = Vec::new();
        for (index, text) in chosen.iter().enumerate() {
            let bytes = text.map_or(&[][..], str::as_bytes);
            if bytes.len() < shortest {
                add(&mut free, index);
                continue;
            }
            let known = texts.iter().position(|text| *text.bytes == *bytes).unwrap_or_else(|| {
                texts.push(Text { bytes: bytes.into(), rules: [0; WORDS] });
                texts.len() - 1
            });
            add(&mut texts[known].rules, index);
        }
        let sieve = (!texts.is_empty()).then(|| Sieve::new(step, texts));
        Self { firsts: firsts.into(), free, sieve }
    }

    /// The rules that can match; the others surely do not.
    #[inline]
    pub(crate) fn candidates(&self, text: &str) -> Rules {
        let first = text.bytes().next().map_or(FIRSTS - 1, usize::from);
        let mut rules = self.firsts[first];
        if let Some(sieve) = &self.sieve {
            let count: u32 = rules.iter().map(|word| word.count_ones()).sum();
            if count > FEW {
                let mut allowed = self.free;
                sieve.find(text.as_bytes(), &mut allowed);
                rules.iter_mut().zip(allowed).for_each(|(word, allowed)| *word &= allowed);
            }
        }
        rules
    }
}

fn add(rules: &mut Rules, index: usize) {
    rules[index / 64] |= 1 << (index % 64);
}

/// The text to look for, of each rule: the one that fewest rules have, and of those the longest.
fn chosen<'a>(rules: &[Option<&'a Program>]) -> Vec<Option<&'a str>> {
    let texts = |rule: Option<&'a Program>| rule.map_or(&[][..], |program| &program.required);
    let sharing = |text: &str| {
        let has = |rule: &&Option<&'a Program>| texts(**rule).iter().any(|own| own.contains(text));
        rules.iter().filter(has).count()
    };
    let of_rule = |rule: &Option<&'a Program>| {
        let own = texts(*rule).iter().map(|text| &**text);
        own.min_by_key(|text| (sharing(text), usize::MAX - text.len()))
    };
    rules.iter().map(of_rule).collect()
}

/// How far apart one looks, and the length from which on a text is found that way.
fn step(chosen: &[Option<&str>]) -> (usize, usize) {
    let mut lengths: Vec<usize> = chosen.iter().flatten().map(|text| text.len()).collect();
    lengths.sort_unstable();
    // Texts that are shorter than any step are not looked for.
    lengths.retain(|length| *length > GRAM);
    let shortest = lengths.get(MAX_SHORT).or(lengths.last()).copied().unwrap_or(GRAM + 1);
    let shortest = shortest.min(MAX_STEP + GRAM - 1);
    (shortest + 1 - GRAM, shortest)
}

impl Sieve {
    fn new(step: usize, texts: Vec<Text>) -> Self {
        let mut seen = vec![0u64; (1 << HASH_BITS) / 64].into_boxed_slice();
        let mut buckets: Vec<Vec<Part>> = Vec::new();
        buckets.resize_with(1 << BUCKET_BITS, Vec::new);
        for (index, text) in texts.iter().enumerate() {
            for (offset, bytes) in text.bytes.windows(GRAM).take(step).enumerate() {
                let Some(gram) = gram(bytes) else { continue };
                let hash = hash(gram);
                seen[hash / 64] |= 1 << (hash % 64);
                buckets[hash >> (HASH_BITS - BUCKET_BITS)].push(Part { gram, text: index, offset });
            }
        }
        Self { step, seen, buckets, texts }
    }

    /// Adds the rules whose text is in the line.
    fn find(&self, line: &[u8], allowed: &mut Rules) {
        let mut at = 0;
        while let Some(gram) = line.get(at..at + GRAM).and_then(gram) {
            let hash = hash(gram);
            if self.seen[hash / 64] & (1 << (hash % 64)) != 0 {
                self.look(line, at, gram, hash, allowed);
            }
            at += self.step;
        }
    }

    #[cold]
    fn look(&self, line: &[u8], at: usize, gram: u32, hash: usize, allowed: &mut Rules) {
        for part in &self.buckets[hash >> (HASH_BITS - BUCKET_BITS)] {
            let Some(text) = self.texts.get(part.text).filter(|_| part.gram == gram) else {
                continue;
            };
            let start = at.checked_sub(part.offset);
            let there = start.and_then(|start| line.get(start..start + text.bytes.len()));
            if there == Some(&text.bytes) {
                allowed.iter_mut().zip(text.rules).for_each(|(word, rules)| *word |= rules);
            }
        }
    }
}

#[inline]
fn gram(bytes: &[u8]) -> Option<u32> {
    bytes.try_into().ok().map(u32::from_le_bytes)
}

#[inline]
fn hash(gram: u32) -> usize {
    (gram.wrapping_mul(0x9e37_79b1) >> (32 - HASH_BITS)) as usize
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

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_that_is_in_a_line_is_found(
            texts in prop::collection::vec("[ab]{5,20}", 1..8),
            line in "[ab]{0,80}",
        ) {
            let chosen: Vec<Option<&str>> = texts.iter().map(|text| Some(text.as_str())).collect();
            let (step, shortest) = step(&chosen);
            prop_assert!(step >= 1 && step + GRAM - 1 == shortest);
            let looked_for: Vec<Text> = texts.iter().enumerate()
                .filter(|(_, text)| text.len() >= shortest)
                .map(|(index, text)| {
                    let mut rules = [0; WORDS];
                    add(&mut rules, index);
                    Text { bytes: text.as_bytes().into(), rules }
                })
                .collect();
            let mut found = [0; WORDS];
            Sieve::new(step, looked_for).find(line.as_bytes(), &mut found);
            for (index, text) in texts.iter().enumerate() {
                let expected = text.len() >= shortest && line.contains(text.as_str());
                prop_assert_eq!(each(&found).any(|rule| rule == index), expected, "{}", text);
            }
        }
    }
}
