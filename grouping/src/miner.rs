//! Messages that differ in a name and belong together: `no table orders in store`, `no table bills in store`.
//!
//! Whether a word is a value can not be told from one message: that is state, and it depends on what came
//! first. An issue id does not depend on it; the miner says which *new* id belongs to an issue that is
//! *known*, so that whoever keeps issues takes it for a part of that.
//!
//! The method is Drain's (He et al., "Drain: An Online Log Parsing Approach with Fixed Depth Tree", ICWS
//! 2017) as far as candidates go: messages of one service and type of error that begin, or end, with the
//! same word. Unlike there, a candidate's template never changes and everything depends on two messages
//! alone: they are one if they are the same but for one place, and what stands there is names on both
//! sides. So the miner can be built again from the issues that are kept, in any order. It is
//! meant to merge rarely: a wrong merge hides an error, a missed one shows it twice.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

use bumpalo::Bump;
use schemas::limits::MAX_MINED_CANDIDATES;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

use crate::message::names::{is_code, is_listed, may_be_name};
use crate::message::{VALUE_MARK, WORD_END, identity};

/// Words two messages must share: fewer say too little.
const MIN_SHARED: usize = 3;
/// Words and values that may stand in the place where two messages differ.
const MAX_NAMES: usize = 3;
/// What announces a name, in order.
const CUES: &str = "\
    account agent app application bean bucket called catalog class client cluster collection column \
    component consumer container customer database datasource device dir directory disk domain driver \
    family feature field file folder function group host hostname image index instance interface job key \
    method module named namespace node object package partition plugin pod process program property \
    queue relation role schema server service table topic user";

/// A message of a known issue.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Template {
    identity: Box<[u8]>,
    leaves: [u64; 2],
}

/// Templates of known issues: as many as whoever keeps issues has. Some 300 bytes each.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Miner {
    templates: BTreeMap<Arc<str>, Template>,
    /// By service, type, and first or last word.
    leaves: BTreeSet<(u64, Arc<str>)>,
}

impl Miner {
    /// Gets to know an id's message. Where one says too little nothing happens.
    pub fn insert(&mut self, service: &str, kind: &str, id: &str, message: &str) {
        let Some(template) = Template::of(service, kind, message) else { return };
        self.remove(id);
        let id: Arc<str> = id.into();
        self.leaves.extend(template.leaves.map(|leaf| (leaf, id.clone())));
        self.templates.insert(id, template);
    }

    /// Forgets an id.
    pub fn remove(&mut self, id: &str) {
        let Some((id, template)) = self.templates.remove_entry(id) else { return };
        for leaf in template.leaves {
            self.leaves.remove(&(leaf, id.clone()));
        }
    }

    /// The known id whose message says the same, but for a name; of several the one that shares most, then
    /// the smallest.
    pub fn leader(&self, service: &str, kind: &str, message: &str) -> Option<&str> {
        let asked = Template::of(service, kind, message)?;
        let mut best: Option<(usize, &Arc<str>)> = None;
        for leaf in asked.leaves {
            for id in self.candidates(leaf) {
                let Some(known) = self.templates.get(id) else { continue };
                let Some(shared) = shared_but_for_names(&known.identity, &asked.identity) else {
                    continue;
                };
                if best.is_none_or(|(most, first)| (most, id) > (shared, first) && most <= shared) {
                    best = Some((shared, id));
                }
            }
        }
        best.map(|(_, id)| id.as_ref())
    }

    /// The smallest ids of a leaf: which they are does not depend on the order they came in.
    fn candidates(&self, leaf: u64) -> impl Iterator<Item = &Arc<str>> {
        let from = (Bound::Included((leaf, Arc::from(""))), Bound::Unbounded);
        let of_leaf = self.leaves.range(from).take_while(move |(other, _)| *other == leaf);
        of_leaf.take(MAX_MINED_CANDIDATES).map(|(_, id)| id)
    }

    /// Templates known.
    pub fn len(&self) -> usize {
        self.templates.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.templates.is_empty()
    }
}

impl Template {
    /// `None` for a message of too few words.
    fn of(service: &str, kind: &str, message: &str) -> Option<Self> {
        let arena = Bump::new();
        let mut text = bumpalo::collections::Vec::new_in(&arena);
        identity(message, &mut text);
        let mut words = parts(&text).filter(|part| part[0] != VALUE_MARK);
        let first = words.next()?;
        let last = words.last()?;
        if shared(&text) < MIN_SHARED {
            return None;
        }
        let seed = xxh3_64_with_seed(kind.as_bytes(), xxh3_64(service.as_bytes()));
        let leaf = |side: u64, word| xxh3_64_with_seed(word, seed ^ side);
        Some(Self { identity: text.as_slice().into(), leaves: [leaf(1, first), leaf(2, last)] })
    }
}

/// Words with their end, and values.
fn parts(identity: &[u8]) -> impl Iterator<Item = &[u8]> {
    identity
        .split_inclusive(|byte| *byte == WORD_END)
        .flat_map(|run| run.split_inclusive(|byte| *byte == VALUE_MARK))
}

/// How many words there are.
fn shared(identity: &[u8]) -> usize {
    memchr::memchr_iter(WORD_END, identity).count()
}

/// How many words two messages share, if all that differs is one place with names in it.
fn shared_but_for_names(one: &[u8], other: &[u8]) -> Option<usize> {
    let ends = |byte: &u8| matches!(*byte, WORD_END | VALUE_MARK);
    let same = one.iter().zip(other).take_while(|(a, b)| a == b).count();
    let begin = one[..same].iter().rposition(ends).map_or(0, |at| at + 1);
    let (one_rest, other_rest) = (&one[begin..], &other[begin..]);
    let pairs = one_rest.iter().rev().zip(other_rest.iter().rev());
    let same = pairs.take_while(|(a, b)| a == b).count();
    // Only whole words: the byte before the common end must end one, on both sides.
    let tail = &one_rest[one_rest.len() - same..];
    let starts_word = |rest: &[u8]| rest.len() == same || ends(&rest[rest.len() - same - 1]);
    let cut = if starts_word(one_rest) && starts_word(other_rest) {
        0
    } else {
        tail.iter().position(ends).map_or(same, |at| at + 1)
    };
    let tail = &tail[cut..];
    let (before, a) = (&one[..begin], &one_rest[..one_rest.len() - tail.len()]);
    let b = &other_rest[..other_rest.len() - tail.len()];
    let shared = shared(before) + shared(tail);
    (shared >= MIN_SHARED && are_names(before, a) && are_names(before, b)).then_some(shared)
}

/// Whether what stands in a place, after these words, is names and values only.
fn are_names(before: &[u8], place: &[u8]) -> bool {
    let last = parts(before).last().map(|part| part.trim_ascii_end()).unwrap_or_default();
    let is_announced = is_listed(CUES, last);
    let is_name = |part: &[u8]| {
        let word = part.trim_ascii_end();
        part == [VALUE_MARK]
            || (may_be_name(word) && !is_code(word)) && (is_announced || is_qualified(word))
    };
    !place.is_empty() && parts(place).count() <= MAX_NAMES && parts(place).all(is_name)
}

/// `com.example.Cart`: a name by itself.
fn is_qualified(word: &[u8]) -> bool {
    memchr::memchr_iter(b'.', word).count() >= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    fn leaders(messages: &[&str]) -> Vec<usize> {
        let mut miner = Miner::default();
        let mut found = Vec::new();
        for (at, message) in messages.iter().enumerate() {
            let leader = miner.leader("shop", "E", message).and_then(|id| id.parse().ok());
            if leader.is_none() {
                miner.insert("shop", "E", &at.to_string(), message);
            }
            found.push(leader.unwrap_or(at));
        }
        found
    }

    #[test]
    fn messages_that_differ_in_a_name_are_one_and_the_known_one_leads() {
        let messages = [
            "cannot read from table orders of the store",
            "cannot read from table invoices_eu of the store",
            "cannot write from table orders of the store",
            "com.acme.Cart.total took too long to answer 12",
            "com.acme.shop.Stock took too long to answer 7",
            "host gandalf is not reachable at all",
            "host 10.0.0.7 is not reachable at all",
        ];
        assert_eq!(leaders(&messages), [0, 0, 2, 3, 3, 5, 5]);
    }

    #[test]
    fn deeds_states_codes_and_types_of_errors_are_no_names() {
        for pair in [
            ["the host is now reachable", "the host is now rejected"],
            ["call of service failed: ECONNRESET there", "call of service failed: ENOENT there"],
            ["job com.acme.io.DiskException was thrown", "job com.acme.io.NetException was thrown"],
            [
                "user authentication failed for this realm",
                "user registration failed for this realm",
            ],
            ["cannot read file", "cannot write file"],
            ["file a", "file b"],
        ] {
            assert_eq!(leaders(&pair), [0, 1], "{pair:?}");
        }
        assert_eq!(leaders(&["", "x"]), [0, 1]);
    }

    #[test]
    fn what_is_found_does_not_depend_on_the_order_templates_were_learnt_in() {
        let letter = |n: u32| char::from_digit(10 + n % 26, 36).unwrap_or('z');
        let messages: Vec<String> = (0..200)
            .map(|n| format!("no table {0}{0}{1} in the store", letter(n / 26), letter(n)))
            .collect();
        let build = |order: &mut dyn Iterator<Item = usize>| {
            let mut miner = Miner::default();
            for n in order {
                miner.insert("shop", "", &format!("{n:03}"), &messages[n]);
            }
            miner.leader("shop", "", "no table qqqx in the store").map(str::to_owned)
        };
        let (there, back) = (build(&mut (0..200)), build(&mut (0..200).rev()));
        assert!(there.is_some() && there == back, "{there:?} {back:?}");
    }

    #[test]
    fn services_and_types_are_apart_and_what_is_forgotten_is_gone() {
        let mut miner = Miner::default();
        miner.insert("shop", "E", "a", "no table orders in the store");
        let asked = "no table bills in the store";
        assert_eq!(miner.leader("shop", "E", asked), Some("a"));
        assert_eq!(
            (miner.leader("cart", "E", asked), miner.leader("shop", "F", asked)),
            (None, None)
        );
        miner.remove("a");
        assert_eq!(miner.leader("shop", "E", asked), None);
        assert!(miner.is_empty() && miner.leaves.is_empty());
    }

    #[test]
    fn the_list_of_cues_is_in_order() {
        assert!(CUES.split(' ').is_sorted());
    }
}
