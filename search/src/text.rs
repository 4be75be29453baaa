//! Free text: words of a message, any case.
//!
//! A message is its words (letters, digits, `_`); what stands between them is not searchable, as
//! Datadog documents. A phrase is words in a row. A term with wildcards is matched character by
//! character, starting and ending at the edge of a word where it starts or ends with a word's
//! character; the automaton keeps its states in the bits of one integer, so time is linear.

use crate::MAX_TEXT_PATTERN;
use crate::ast::{Part, Pattern};

/// A compiled free-text term.
#[derive(Debug, Clone)]
pub(crate) enum TextMatcher {
    /// These words in a row, in lower case.
    Words(Vec<Box<str>>),
    /// A phrase without a word: its characters as they are.
    Symbols(Box<str>),
    /// A term with wildcards.
    Like(Vec<Element>),
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
            return TextMatcher::Symbols(text.trim().into());
        }
        TextMatcher::Words(words)
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
        (elements.len() <= MAX_TEXT_PATTERN).then_some(TextMatcher::Like(elements))
    }

    pub(crate) fn matches(&self, text: &str) -> bool {
        match self {
            TextMatcher::Words(words) => contains_words(words, text),
            TextMatcher::Symbols(symbols) => {
                memchr::memmem::find(text.as_bytes(), symbols.as_bytes()).is_some()
            }
            TextMatcher::Like(elements) => contains_like(elements, text),
        }
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

fn contains_words(words: &[Box<str>], text: &str) -> bool {
    let Some((first, others)) = words.split_first() else { return false };
    let follows = |at| {
        let mut after = Words { text, at };
        others
            .iter()
            .all(|word| after.next().is_some_and(|(start, end)| same_word(word, &text[start..end])))
    };
    let Some(byte) = first.bytes().next().filter(u8::is_ascii) else {
        let mut all = Words { text, at: 0 };
        return all.any(|(start, end)| same_word(first, &text[start..end]) && follows(end));
    };
    // An ASCII first byte: jump from one place where the word may begin to the next.
    memchr::memchr2_iter(byte, byte.to_ascii_uppercase(), text.as_bytes()).any(|start| {
        let free = !text[..start].chars().next_back().is_some_and(is_word);
        free && Words { text, at: start }
            .next()
            .is_some_and(|(_, end)| same_word(first, &text[start..end]) && follows(end))
    })
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
