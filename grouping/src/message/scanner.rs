//! The scan: text into words, values and what stands between them, in one pass.
//!
//! A *chunk* is a run of bytes without space, quote, bracket or comma. Most chunks hold no digit, no
//! slash and no `@`: they are words, and one table look-up per byte has told so.

use super::class::{AT, BACKSLASH, BREAK, CHUNK, COLON, DIGIT, DOT, QUOTE, SLASH, SPACE, of};
use super::names;
use super::token;
use super::value::Shape;

/// Longest quoted text that counts as one value, in bytes: a lone quote must not swallow the rest.
const MAX_QUOTED: usize = 512;

/// What a request line begins with.
const METHODS: [&str; 7] = ["GET ", "POST ", "PUT ", "DELETE ", "PATCH ", "HEAD ", "OPTIONS "];
/// What stands before `user` where a name follows: `for user ann`. `user error` is no such place.
const BEFORE_USER: [&str; 8] = ["for", "of", "by", "as", "invalid", "unknown", "illegal", "such"];
/// What stands before `for` where a name follows: `password for ann`.
const BEFORE_FOR: [&str; 5] = ["password", "publickey", "login", "logon", "credentials"];
/// Longest remark in brackets that is beside the point.
const MAX_ASIDE: usize = 32;

/// Takes the parts in order; together they are the text.
pub(super) trait Sink {
    /// White space and punctuation.
    fn gap(&mut self, gap: &str);
    /// A word, which stays.
    fn word(&mut self, word: &str);
    /// What comes until [`Sink::end_aside`] is beside the point.
    fn begin_aside(&mut self) {}
    /// See [`Sink::begin_aside`].
    fn end_aside(&mut self) {}
    /// A value; without a shape it is worked out from the text.
    fn value(&mut self, raw: &str, shape: Option<Shape>);
}

/// Scans `text`.
pub(super) fn scan(text: &str, sink: &mut impl Sink) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let class = of(bytes[at]);
        at = if class & CHUNK != 0 {
            let end = chunk(text, at, sink);
            // One space and the next chunk, as between most words.
            match bytes.get(end..end + 2) {
                Some([b' ', next]) if of(*next) & CHUNK != 0 => {
                    sink.gap(" ");
                    end + 1
                }
                _ => end,
            }
        } else if class == QUOTE {
            quoted(text, at, sink)
        } else if bytes[at] == b'(' {
            match aside(bytes, at) {
                Some(end) => {
                    sink.begin_aside();
                    sink.gap(&text[at..=at]);
                    scan(&text[at + 1..end], sink);
                    sink.end_aside();
                    end
                }
                None => gap(text, at, sink),
            }
        } else {
            gap(text, at, sink)
        };
    }
}

/// White space and punctuation, up to the next bracket.
fn gap(text: &str, at: usize, sink: &mut impl Sink) -> usize {
    let bytes = text.as_bytes();
    let mut end = at + 1;
    while end < bytes.len() && bytes[end] != b'(' && of(bytes[end]) & (SPACE | BREAK) != 0 {
        end += 1;
    }
    sink.gap(&text[at..end]);
    end
}

/// The end of a short remark in brackets that holds a number: ` (87.5 KB)`, ` (attempt 3 of 5)`. It
/// comes and goes with its value. A call's arguments follow their function without a space.
fn aside(bytes: &[u8], at: usize) -> Option<usize> {
    if at > 0 && of(bytes[at - 1]) != SPACE {
        return None;
    }
    let limit = bytes.len().min(at + 1 + MAX_ASIDE);
    let inside = &bytes[at + 1..limit];
    let end = inside.iter().position(|byte| matches!(byte, b'(' | b')' | b'\n'))?;
    let numbers = inside[..end].iter().any(u8::is_ascii_digit) || end == 0;
    (inside[end] == b')' && numbers).then_some(at + 1 + end)
}

/// The end of the run of `classes` at `at`, and all classes in it.
#[inline]
fn run(bytes: &[u8], at: usize, classes: u16) -> (usize, u16) {
    let mut seen = 0;
    for (length, byte) in bytes[at..].iter().enumerate() {
        let class = of(*byte);
        if class & classes == 0 {
            return (at + length, seen);
        }
        seen |= class;
    }
    (bytes.len(), seen)
}

/// A chunk and, after `=`, the value it is given. Returns where it ends.
fn chunk(text: &str, at: usize, sink: &mut impl Sink) -> usize {
    let bytes = text.as_bytes();
    let (mut end, mut seen) = run(bytes, at, CHUNK);
    // An apostrophe within a word is a letter: `can't`.
    while bytes.get(end) == Some(&b'\'')
        && bytes[end - 1].is_ascii_alphabetic()
        && bytes.get(end + 1).is_some_and(u8::is_ascii_alphabetic)
    {
        let (next, more) = run(bytes, end + 1, CHUNK);
        (end, seen) = (next, seen | more);
    }
    let chunk = &text[at..end];
    if seen & (SLASH | BACKSLASH) != 0
        && let Some(shape) = token::location(chunk, seen)
    {
        let end = location_end(bytes, end);
        sink.value(&text[at..end], Some(shape));
        return end;
    }
    if seen & (DIGIT | AT | DOT | COLON) == 0 {
        plain(text, at, end, sink);
        // `for` and `user` only; they begin so.
        if matches!((end - at, bytes[at]), (3, b'f') | (4, b'u' | b'U'))
            && let Some(name) = names_somebody(text, at, end)
        {
            sink.gap(&text[end..name.start]);
            sink.value(&text[name.clone()], Some(Shape::Name));
            return name.end;
        }
    } else {
        token::emit(chunk, seen, sink);
    }
    if bytes.get(end) == Some(&b'=') { assigned(text, end, sink) } else { end }
}

/// A chunk of letters; the name of a month or day before a number is part of a date.
fn plain(text: &str, at: usize, end: usize, sink: &mut impl Sink) {
    let bytes = text.as_bytes();
    let word = &text[at..end];
    let dated = end - at == 3
        && after_spaces(bytes, end)
            .is_some_and(|next| bytes[next].is_ascii_digit() || bytes[next].is_ascii_uppercase())
        && token::is_calendar_name(word);
    let after_number = at >= 2 && bytes[at - 1] == b' ' && bytes[at - 2].is_ascii_digit();
    if dated {
        sink.value(word, Some(Shape::Date));
    } else if after_number && token::is_unit(word) {
        sink.value(word, Some(Shape::Unit));
    } else if word.bytes().any(|byte| byte.is_ascii_alphanumeric() || byte >= 0x80) {
        sink.word(word);
    } else {
        sink.gap(word);
    }
}

/// Where the text goes on after one space or two: days below ten have two before them.
fn after_spaces(bytes: &[u8], end: usize) -> Option<usize> {
    let wide = bytes.get(end + 1) == Some(&b' ');
    let next = end + 1 + usize::from(wide);
    (bytes.get(end) == Some(&b' ') && next < bytes.len()).then_some(next)
}

/// The name after this word, where the words before say that one follows: who it is changes from
/// event to event, and nobody puts quotes around it.
fn names_somebody(text: &str, at: usize, end: usize) -> Option<std::ops::Range<usize>> {
    let before = match &text[at..end] {
        "user" | "User" => &BEFORE_USER[..],
        "for" => &BEFORE_FOR[..],
        _ => return None,
    };
    let bytes = text.as_bytes();
    let start = after_spaces(bytes, end)?;
    let last = text[..at].trim_end();
    let cue = &last[last.rfind(|c: char| !c.is_ascii_alphabetic()).map_or(0, |at| at + 1)..];
    if !before.iter().any(|word| cue.eq_ignore_ascii_case(word)) {
        return None;
    }
    let (stop, seen) = run(bytes, start, CHUNK);
    // Of `ann.` and `ann:` the mark is the sentence's; what holds digits is a value anyway.
    let stop = start + text[start..stop].trim_end_matches(['.', ':', '?']).len();
    let plain = seen & (SLASH | BACKSLASH | AT) == 0 && bytes.get(stop) != Some(&b'=');
    (plain && names::may_be_user(&text[start..stop])).then_some(start..stop)
}

/// Addresses and paths go on where chunks end: `?a=b,c` and `date=2024-01-01/part.parquet`.
fn location_end(bytes: &[u8], mut end: usize) -> usize {
    while end < bytes.len() {
        let class = of(bytes[end]);
        let within = class & CHUNK != 0
            || matches!(bytes[end], b'=' | b'!' | b'*' | b';' | b'{' | b'}')
            || (bytes[end] == b',' && bytes.get(end + 1).is_some_and(|b| of(*b) & CHUNK != 0));
        if !within {
            break;
        }
        end += 1;
    }
    // Punctuation at the end belongs to the sentence.
    while matches!(bytes[end - 1], b'.' | b':' | b'!' | b'?' | b';') {
        end -= 1;
    }
    end
}

/// `=` and the value after it. Returns where it ends.
fn assigned(text: &str, equals: usize, sink: &mut impl Sink) -> usize {
    let bytes = text.as_bytes();
    let start = equals + 1;
    sink.gap(&text[equals..start]);
    match bytes.get(start) {
        None => sink.value("", Some(Shape::Value)),
        Some(b'=' | b'>' | b'~') | Some(b'(' | b'[' | b'{' | b'<') => {}
        Some(byte) if of(*byte) == QUOTE => return quoted(text, start, sink),
        Some(_) => {
            let end = run(bytes, start, CHUNK).0;
            sink.value(&text[start..end], (end == start).then_some(Shape::Value));
            return end;
        }
    }
    start
}

/// Quoted text is a value; a quoted JSON key stays. A quote without its partner is punctuation.
fn quoted(text: &str, at: usize, sink: &mut impl Sink) -> usize {
    let bytes = text.as_bytes();
    let quote = bytes[at];
    let limit = bytes.len().min(at + 1 + MAX_QUOTED);
    let inside = &bytes[at + 1..limit];
    let closing = memchr::memchr_iter(quote, inside).find(|found| {
        let after = inside.get(found + 1).or(bytes.get(at + 2 + found));
        let escaped = *found > 0 && inside[found - 1] == b'\\';
        let apostrophe = quote == b'\'' && after.is_some_and(u8::is_ascii_alphanumeric);
        !escaped && !apostrophe
    });
    let Some(length) = closing else {
        sink.gap(&text[at..=at]);
        return at + 1;
    };
    let (start, end) = (at + 1, at + 1 + length);
    let inner = &text[start..end];
    if METHODS.iter().any(|method| inner.starts_with(method)) {
        // A request line: what was asked for matters.
        sink.gap(&text[at..start]);
        scan(inner, sink);
        sink.gap(&text[end..=end]);
        return end + 1;
    }
    let is_key = bytes.get(end + 1) == Some(&b':')
        && inside[..length].iter().all(|byte| *byte == b'_' || byte.is_ascii_alphabetic());
    if is_key && length > 0 {
        sink.gap(&text[at..start]);
        sink.word(&text[start..end]);
        sink.gap(&text[end..=end]);
    } else {
        sink.value(&text[at..=end], Some(Shape::Quoted));
    }
    end + 1
}
