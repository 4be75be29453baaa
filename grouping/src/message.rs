//! A message's template: the words stay, what changes from event to event becomes a value.
//!
//! Two forms of the same scan. [`identity`] is what fingerprints are made of: words in order, every
//! run of values one mark, punctuation and white space ignored (so does Datadog, "Error grouping").
//! [`template`] is for people and keeps the text's shape: `user <num> not found in <path>`.
//!
//! One pass over the bytes, no regular expression, no table of what came before: the template of a
//! message is a function of the message, so it does not depend on order, partition or replay.

mod class;
pub(crate) mod names;
mod scanner;
mod token;
mod value;

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use schemas::limits::{MAX_TEMPLATE_BYTES, MAX_TEMPLATE_LINES, MAX_TEMPLATE_WORDS};

use scanner::Sink;
pub use value::Shape;

/// Stands for a run of values in an identity.
pub const VALUE_MARK: u8 = 1;
/// Ends each word of an identity.
pub const WORD_END: u8 = b' ';

/// The part of a message that tells errors apart: its first lines that are not empty, within a
/// length. What follows is mostly data: a dump, a list of violations.
pub fn head(message: &str) -> &str {
    let message = trimmed(message);
    let mut end = message.floor_char_boundary(MAX_TEMPLATE_BYTES);
    let (mut lines, mut start) = (0, 0);
    for at in memchr::memchr_iter(b'\n', &message.as_bytes()[..end]) {
        lines += usize::from(!message[start..at].trim().is_empty());
        start = at + 1;
        if lines == MAX_TEMPLATE_LINES {
            end = at;
            break;
        }
    }
    trimmed(&message[..end])
}

/// [`str::trim`], which decodes characters at both ends: most texts begin and end with a visible byte.
pub(crate) fn trimmed(text: &str) -> &str {
    let is_visible = |byte: Option<&u8>| byte.is_some_and(u8::is_ascii_graphic);
    let bytes = text.as_bytes();
    if is_visible(bytes.first()) && is_visible(bytes.last()) { text } else { text.trim() }
}

/// Appends the identity of `message` to `out`: words that end in [`WORD_END`], runs of values as
/// [`VALUE_MARK`].
pub fn identity(message: &str, out: &mut BumpVec<'_, u8>) {
    scanner::scan(
        head(message),
        &mut Identity { out, words: 0, after_value: false, is_muted: false },
    );
}

/// The template of `message`, for people.
pub fn template<'b>(arena: &'b Bump, message: &str) -> &'b str {
    let text = head(message);
    let mut sink = Template { out: BumpString::with_capacity_in(text.len() + 16, arena) };
    scanner::scan(text, &mut sink);
    sink.out.into_bump_str()
}

struct Identity<'o, 'b> {
    out: &'o mut BumpVec<'b, u8>,
    words: usize,
    after_value: bool,
    /// Within a remark.
    is_muted: bool,
}

impl Sink for Identity<'_, '_> {
    fn gap(&mut self, _: &str) {}

    fn begin_aside(&mut self) {
        self.is_muted = true;
    }

    fn end_aside(&mut self) {
        self.is_muted = false;
    }

    fn word(&mut self, word: &str) {
        if self.is_muted {
            return;
        }
        if self.words < MAX_TEMPLATE_WORDS {
            self.out.extend_from_slice_copy(word.as_bytes());
            self.out.push(WORD_END);
        }
        self.words += 1;
        self.after_value = false;
    }

    fn value(&mut self, _: &str, _: Option<Shape>) {
        if self.is_muted {
            return;
        }
        if !self.after_value && self.words < MAX_TEMPLATE_WORDS {
            self.out.push(VALUE_MARK);
            self.words += 1;
        }
        self.after_value = true;
    }
}

struct Template<'b> {
    out: BumpString<'b>,
}

impl Sink for Template<'_> {
    fn gap(&mut self, gap: &str) {
        self.out.push_str(gap);
    }

    fn word(&mut self, word: &str) {
        self.out.push_str(word);
    }

    fn value(&mut self, raw: &str, shape: Option<Shape>) {
        let shape = shape.unwrap_or_else(|| value::shape(raw));
        self.out.push_str(shape.placeholder());
    }
}

#[cfg(test)]
mod tests;
