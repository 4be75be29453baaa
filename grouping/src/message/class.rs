//! What a byte may be part of: one table look-up per byte is all the scanner does in most text.

/// A letter that is no hex digit, or any byte beyond ASCII.
pub(super) const LETTER: u16 = 1;
/// `a` to `f`, `A` to `F`.
pub(super) const HEX: u16 = 1 << 1;
/// A decimal digit.
pub(super) const DIGIT: u16 = 1 << 2;
/// `.`
pub(super) const DOT: u16 = 1 << 3;
/// `-`
pub(super) const DASH: u16 = 1 << 4;
/// `:`
pub(super) const COLON: u16 = 1 << 5;
/// `/`
pub(super) const SLASH: u16 = 1 << 6;
/// `\`
pub(super) const BACKSLASH: u16 = 1 << 7;
/// `@`
pub(super) const AT: u16 = 1 << 8;
/// Other marks within names and numbers: `_ + % $ # ~ & ?`
pub(super) const MARK: u16 = 1 << 9;
/// A quote.
pub(super) const QUOTE: u16 = 1 << 10;
/// White space.
pub(super) const SPACE: u16 = 1 << 11;
/// Everything else: brackets, commas, `=`.
pub(super) const BREAK: u16 = 1 << 12;

/// What a chunk is made of.
pub(super) const CHUNK: u16 =
    LETTER | HEX | DIGIT | DOT | DASH | COLON | SLASH | BACKSLASH | AT | MARK;

/// The class of each byte.
pub(super) static CLASS: [u16; 256] = table();

const fn table() -> [u16; 256] {
    let mut table = [BREAK; 256];
    let mut byte = 0;
    while byte < 256 {
        table[byte] = match byte as u8 {
            b'a'..=b'f' | b'A'..=b'F' => HEX,
            b'g'..=b'z' | b'G'..=b'Z' | 0x80.. => LETTER,
            b'0'..=b'9' => DIGIT,
            b'.' => DOT,
            b'-' => DASH,
            b':' => COLON,
            b'/' => SLASH,
            b'\\' => BACKSLASH,
            b'@' => AT,
            b'_' | b'+' | b'%' | b'$' | b'#' | b'~' | b'&' | b'?' => MARK,
            b'"' | b'\'' | b'`' => QUOTE,
            b' ' | b'\t' | b'\n' | b'\r' => SPACE,
            _ => BREAK,
        };
        byte += 1;
    }
    table
}

/// The class of one byte.
#[inline]
pub(super) fn of(byte: u8) -> u16 {
    CLASS[usize::from(byte)]
}
