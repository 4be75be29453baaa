//! `number`, `integer`, their forms with an exponent, and `port`.

fn digits(bytes: &[u8], at: usize) -> usize {
    let mut end = at;
    while bytes.get(end).is_some_and(u8::is_ascii_digit) {
        end += 1;
    }
    end
}

fn sign(bytes: &[u8], at: usize) -> usize {
    if matches!(bytes.get(at), Some(b'+' | b'-')) { at + 1 } else { at }
}

fn exponent_end(bytes: &[u8], at: usize) -> usize {
    if !matches!(bytes.get(at), Some(b'e' | b'E')) {
        return at;
    }
    let start = sign(bytes, at + 1);
    let end = digits(bytes, start);
    if end > start { end } else { at }
}

/// `[+-]?(\d+(\.\d*)?|\.\d+)`, with an exponent where asked for.
pub(super) fn number(text: &str, at: usize, exponent: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let start = sign(bytes, at);
    let whole = digits(bytes, start);
    let mut end = whole;
    if bytes.get(whole) == Some(&b'.') {
        let fraction = digits(bytes, whole + 1);
        if whole == start && fraction == whole + 1 {
            return None;
        }
        end = fraction;
    } else if whole == start {
        return None;
    }
    Some(if exponent { exponent_end(bytes, end) } else { end })
}

/// `[+-]?\d+`, with an exponent where asked for.
pub(super) fn integer(text: &str, at: usize, exponent: bool) -> Option<usize> {
    let bytes = text.as_bytes();
    let start = sign(bytes, at);
    let end = digits(bytes, start);
    if end == start {
        return None;
    }
    Some(if exponent { exponent_end(bytes, end) } else { end })
}

/// `[1-9]\d{0,4}`.
pub(super) fn port(text: &str, at: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    matches!(bytes.get(at), Some(b'1'..=b'9')).then(|| digits(bytes, at).min(at + 5))
}

/// One digit less, while one is left; an exponent without digits goes whole.
pub(super) fn shorter(text: &str, at: usize, end: usize) -> Option<usize> {
    let bytes = text.as_bytes();
    let first = sign(bytes, at);
    let digit = |end: &usize| bytes.get(*end - 1).is_some_and(u8::is_ascii_digit);
    (first + 1..end).rev().find(digit)
}

/// The same of a number's exponent: what stands before it is never shorter.
pub(super) fn shorter_exponent(text: &str, at: usize, end: usize) -> Option<usize> {
    let whole = number(text, at, false)?;
    if end <= whole {
        return None;
    }
    Some(shorter(text, at, end).map_or(whole, |shorter| shorter.max(whole)))
}

pub(super) fn number_source(exponent: bool) -> &'static str {
    if exponent {
        r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?"
    } else {
        r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)"
    }
}

pub(super) fn integer_source(exponent: bool) -> &'static str {
    if exponent { r"[+-]?[0-9]+(?:[eE][+-]?[0-9]+)?" } else { "[+-]?[0-9]+" }
}
