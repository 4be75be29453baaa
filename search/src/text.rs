//! Free text: words of a message, any case.
//!
//! A message is its words (letters, digits, `_`); what stands between them is not searchable, as
//! Datadog documents. A phrase is words in a row. A term with wildcards is matched character by
//! character, starting and ending at the edge of a word where it starts or ends with a word's
//! character; the automaton keeps its states in the bits of one integer, so time is linear.
//!
//! A text without the rarest letter of the term is put aside at once.

use memchr::memmem::Finder;

use crate::MAX_TEXT_PATTERN;
use crate::ast::{Part, Pattern};

/// A compiled free-text term.
#[derive(Debug, Clone)]
pub(crate) enum TextMatcher {
    /// These words in a row, in lower case.
    Words(Vec<Box<str>>, Option<Pivot>),
    /// A word that starts like this, in lower case.
    Prefix(Box<str>, Option<Pivot>),
    /// A phrase without a word: its characters as they are.
    Symbols(Box<Finder<'static>>),
    /// A term with wildcards.
    Like(Vec<Element>, Option<Pivot>),
}

/// The rarest letter of an ASCII text, and where it stands in it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pivot {
    byte: u8,
    offset: usize,
}

/// Letters of English and of logs, the most frequent first; other bytes are rarer.
const FREQUENT: &[u8] = b"etaoinsr lhdcumpfgwybv01k2.-_/:3";

impl Pivot {
    /// Of a text in lower case.
    fn of(text: &str) -> Option<Self> {
        let rank =
            |byte: u8| FREQUENT.iter().position(|own| *own == byte).unwrap_or(FREQUENT.len());
        let rarest = text.bytes().enumerate().max_by_key(|(_, byte)| rank(*byte));
        let (offset, byte) = rarest.filter(|_| text.is_ascii())?;
        Some(Self { byte, offset })
    }

    /// Where the text may start.
    fn starts<'t>(self, text: &'t str) -> impl Iterator<Item = usize> + 't {
        let found =
            memchr::memchr2_iter(self.byte, self.byte.to_ascii_uppercase(), text.as_bytes());
        found.filter_map(move |at| at.checked_sub(self.offset))
    }
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Element {
    Char(char),
    Any,
    One,
}

impl TextMatcher {
    pub(crate) fn phrase(text: &str) -> Self {
        let words: Vec<Box<str>> = Words { text, at: 0 }
            .map(|(start, end)| text[start..end].chars().map(fold).collect::<String>().into())
            .collect();
        if words.is_empty() {
            let finder = Finder::new(text.trim().as_bytes()).into_owned();
            return TextMatcher::Symbols(Box::new(finder));
        }
        let pivot = words.first().and_then(|word| Pivot::of(word));
        TextMatcher::Words(words, pivot)
    }

    /// `None` where the pattern is too long.
    pub(crate) fn like(pattern: &Pattern) -> Option<Self> {
        let mut elements = Vec::new();
        for part in pattern.parts() {
            match part {
                Part::Literal(text) => {
                    elements.extend(text.chars().map(|c| Element::Char(fold(c))))
                }
                Part::Any => elements.push(Element::Any),
                Part::One => elements.push(Element::One),
            }
        }
        if let [Part::Literal(word), Part::Any] = pattern.parts()
            && word.chars().all(is_word)
        {
            let word: String = word.chars().map(fold).collect();
            let pivot = Pivot::of(&word);
            return Some(TextMatcher::Prefix(word.into(), pivot));
        }
        let literals = pattern.parts().iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.chars().map(fold).collect::<String>()),
            _ => None,
        });
        let longest = literals.max_by_key(String::len);
        let pivot = longest.and_then(|text| Pivot::of(&text));
        (elements.len() <= MAX_TEXT_PATTERN).then_some(TextMatcher::Like(elements, pivot))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            TextMatcher::Words(words, pivot) => contains_words(words, *pivot, text),
            TextMatcher::Prefix(word, pivot) => contains_prefix(word, *pivot, text),
            TextMatcher::Symbols(finder) => finder.find(text.as_bytes()).is_some(),
            TextMatcher::Like(elements, pivot) => {
                pivot.is_none_or(|pivot| pivot.starts(text).next().is_some())
                    && contains_like(elements, text)
            }
        }
    }
}

/// Whether two texts are equal. For short ones, which names and values mostly are, a call to compare memory
/// takes longer than the comparison.
#[inline]
pub fn same(a: &str, b: &str) -> bool {
    let (a, b) = (a.as_bytes(), b.as_bytes());
    if a.len() != b.len() {
        return false;
    }
    match a.len() {
        8..=16 => {
            a.first_chunk::<8>() == b.first_chunk::<8>()
                && a.last_chunk::<8>() == b.last_chunk::<8>()
        }
        4..=7 => {
            a.first_chunk::<4>() == b.first_chunk::<4>()
                && a.last_chunk::<4>() == b.last_chunk::<4>()
        }
        0..=3 => a.iter().zip(b).all(|(a, b)| a == b),
        _ => a == b,
    }
}

/// One-to-one lower case; the few characters that lower to several keep the first.
fn fold(c: char) -> char {
    if c.is_ascii() { c.to_ascii_lowercase() } else { c.to_lowercase().next().unwrap_or(c) }
}

fn is_word(c: char) -> bool {
    c == '_' || c.is_alphanumeric()
}

/// Start and end of each word.
struct Words<'t> {
    text: &'t str,
    at: usize,
}

impl Iterator for Words<'_> {
    type Item = (usize, usize);

    fn next(&mut self) -> Option<(usize, usize)> {
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.find(is_word)?;
        let tail = self.text.get(start..)?;
        let end = start + tail.find(|c| !is_word(c)).unwrap_or(tail.len());
        self.at = end;
        Some((start, end))
    }
}

fn same_word(word: &str, text: &str) -> bool {
    if word.is_ascii() {
        return text.eq_ignore_ascii_case(word);
    }
    text.chars().map(fold).eq(word.chars())
}

/// Whether no word's character stands before `at`.
fn is_free(text: &str, at: usize) -> bool {
    match at.checked_sub(1).and_then(|before| text.as_bytes().get(before)) {
        None => true,
        Some(byte) if byte.is_ascii() => !(byte.is_ascii_alphanumeric() || *byte == b'_'),
        Some(_) => !text.get(..at).and_then(|head| head.chars().next_back()).is_some_and(is_word),
    }
}

/// Whether the words stand in a row; the pivot is the first word's.
fn contains_words(words: &[Box<str>], pivot: Option<Pivot>, text: &str) -> bool {
    let Some((first, others)) = words.split_first() else { return false };
    let follows = |at| {
        let mut after = Words { text, at };
        others
            .iter()
            .all(|word| after.next().is_some_and(|(start, end)| same_word(word, &text[start..end])))
    };
    let Some(pivot) = pivot else {
        let mut all = Words { text, at: 0 };
        return all.any(|(start, end)| same_word(first, &text[start..end]) && follows(end));
    };
    // From one place where the word may begin to the next.
    pivot.starts(text).any(|start| {
        let end = start + first.len();
        starts_with(text, start, first)
            && is_free(text, start)
            && !text.get(end..).and_then(|rest| rest.chars().next()).is_some_and(is_word)
            && follows(end)
    })
}

/// Whether some word starts like `word`.
fn contains_prefix(word: &str, pivot: Option<Pivot>, text: &str) -> bool {
    match pivot {
        Some(pivot) => {
            pivot.starts(text).any(|start| starts_with(text, start, word) && is_free(text, start))
        }
        None => Words { text, at: 0 }.any(|(start, end)| {
            let mut own = text[start..end].chars().map(fold);
            word.chars().all(|character| own.next() == Some(character))
        }),
    }
}

/// Whether `word`, ASCII in lower case, stands at `at` in any case.
fn starts_with(text: &str, at: usize, word: &str) -> bool {
    let found = text.as_bytes().get(at..at + word.len());
    found.is_some_and(|found| found.eq_ignore_ascii_case(word.as_bytes()))
}

fn contains_like(elements: &[Element], text: &str) -> bool {
    let edge = |element: Option<&Element>| matches!(element, Some(Element::Char(c)) if is_word(*c));
    let (starts_at_edge, ends_at_edge) = (edge(elements.first()), edge(elements.last()));
    let accept = 1u64 << elements.len();
    let mut states = 0u64;
    let mut before: Option<char> = None;
    for current in text.chars().map(Some).chain([None]) {
        if !(starts_at_edge && before.is_some_and(is_word)) {
            states |= 1;
        }
        states = skip_any(elements, states);
        if states & accept != 0 && !(ends_at_edge && current.is_some_and(is_word)) {
            return true;
        }
        let Some(current) = current else { return false };
        states = step(elements, states & !accept, current);
        before = Some(current);
    }
    false
}

/// A `*` may match nothing.
fn skip_any(elements: &[Element], mut states: u64) -> u64 {
    for (index, element) in elements.iter().enumerate() {
        if *element == Element::Any && states & (1 << index) != 0 {
            states |= 1 << (index + 1);
        }
    }
    states
}

fn step(elements: &[Element], states: u64, current: char) -> u64 {
    let folded = fold(current);
    let mut next = 0;
    let mut left = states;
    while left != 0 {
        let index = left.trailing_zeros() as usize;
        left &= left - 1;
        next |= match elements.get(index) {
            Some(Element::Char(c)) if *c == folded => 1 << (index + 1),
            Some(Element::One) => 1 << (index + 1),
            Some(Element::Any) if !current.is_whitespace() => 1 << index,
            _ => 0,
        };
    }
    next
}
