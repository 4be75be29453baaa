//! A chunk that is no plain word: word, value, or both, like `blk_4711` and `node-12:`.

use super::class::{AT, BACKSLASH, COLON, DASH, DIGIT, DOT, HEX, LETTER, SLASH, of};
use super::scanner::Sink;
use super::value::Shape;

/// Letters after a number that are still its unit: `12ms`, `4KB/s`, `1.5e-3`, `2024-01-01T00:00Z`.
const MAX_UNIT_LETTERS: usize = 5;
/// Changes between letter and digit from which a token is a random id: `a8f3kx`.
const RANDOM_CHANGES: usize = 3;
/// Letters of a part beside a number that say nothing: `B8`, `an14`, `_m_`.
const MAX_SHORT: usize = 2;
/// Length from which hex digits are an id rather than a short name with a number: `add1`.
const MIN_HEX: usize = 6;

/// Last labels of host names. Java's and Go's packages begin with theirs; host names end so.
const HOST_ENDINGS: [&str; 16] = [
    "com",
    "net",
    "org",
    "edu",
    "gov",
    "io",
    "de",
    "uk",
    "fr",
    "cn",
    "jp",
    "eu",
    "local",
    "internal",
    "lan",
    "localdomain",
];

/// Whether a chunk with slashes is an address or a path: `https://…`, `/var/log`, `a/b/c`, `C:\x`.
pub(super) fn location(chunk: &str, seen: u16) -> Option<Shape> {
    if seen & COLON != 0 && chunk.contains("://") {
        return Some(Shape::Url);
    }
    let bytes = chunk.as_bytes();
    let count = |mark: u8| bytes.iter().filter(|byte| **byte == mark).count();
    let letter = |byte: u8| of(byte) & (LETTER | HEX | DIGIT) != 0;
    if seen & BACKSLASH != 0 {
        return (chunk.get(1..3) == Some(":\\") || count(b'\\') >= 2).then_some(Shape::Path);
    }
    let rooted = bytes[0] == b'/'
        || chunk.starts_with("./")
        || chunk.starts_with("../")
        || chunk.starts_with("~/");
    let numbers = seen & (LETTER | HEX) == 0;
    let dotted = seen & DOT != 0
        && bytes.iter().rposition(|b| *b == b'.') > bytes.iter().rposition(|b| *b == b'/');
    let path = (rooted && bytes.iter().any(|byte| letter(*byte)))
        || (!numbers && bytes[0].is_ascii_digit() && count(b'/') >= 2)
        || (!bytes[0].is_ascii_digit()
            && (count(b'/') >= 2 || (dotted && letter(bytes[0]) && !chunk.ends_with('.'))));
    (path && !numbers).then_some(Shape::Path)
}

/// Emits a chunk that holds a digit, a dot, a colon or an `@`.
pub(super) fn emit(chunk: &str, seen: u16, sink: &mut impl Sink) {
    let bytes = chunk.as_bytes();
    let inner = |byte: &u8| of(*byte) & (LETTER | HEX | DIGIT) != 0 || matches!(byte, b'_' | b'\'');
    let Some(start) = bytes.iter().position(inner) else { return sink.gap(chunk) };
    let end = bytes.iter().rposition(inner).map_or(start, |last| last + 1);
    if start > 0 {
        sink.gap(&chunk[..start]);
    }
    body(&chunk[start..end], seen, sink);
    if end < chunk.len() {
        sink.gap(&chunk[end..]);
    }
}

/// A chunk without the punctuation around it.
fn body(token: &str, seen: u16, sink: &mut impl Sink) {
    if seen & AT != 0
        && let Some((name, rest)) = token.split_once('@')
        && !name.is_empty()
    {
        return at_sign(name, rest, token, sink);
    }
    if seen & (DOT | COLON) != 0 && is_host(token) {
        return sink.value(token, Some(Shape::Host));
    }
    if seen & DIGIT == 0 {
        return sink.word(token);
    }
    if seen & (LETTER | HEX) == 0 || is_value(token, seen) {
        return sink.value(token, None);
    }
    mixed(token, sink);
}

/// `Object@1f2e3d` is a name and an address, `user@host` an address as a whole.
fn at_sign(name: &str, rest: &str, token: &str, sink: &mut impl Sink) {
    let hash = rest.len() >= 4 && rest.bytes().all(|byte| byte.is_ascii_hexdigit());
    if hash {
        sink.word(name);
        sink.gap("@");
        sink.value(rest, Some(Shape::Hex));
    } else {
        sink.value(token, Some(Shape::Email));
    }
}

/// Whether a dotted name has a port, or ends as host names do and does not begin as packages do.
fn is_host(token: &str) -> bool {
    let bytes = token.as_bytes();
    // Tokens are short: a loop over bytes is faster than any search.
    let colon = bytes.iter().rposition(|byte| *byte == b':');
    let (name, port) = colon.map_or((token, ""), |at| (&token[..at], &token[at + 1..]));
    if !port.bytes().all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    let dot = name.bytes().rposition(|byte| byte == b'.');
    let Some((before, last)) = dot.map(|at| (&name[..at], &name[at + 1..])) else {
        // A word before a number alone is no host: `line:12`.
        return name == "localhost";
    };
    let first = before.bytes().position(|byte| byte == b'.').map_or(before, |at| &before[..at]);
    let country = last.len() == 2
        && last.bytes().all(|b| b.is_ascii_lowercase())
        && first.len() < before.len();
    (!port.is_empty() || country || HOST_ENDINGS.contains(&last))
        && !(HOST_ENDINGS.contains(&first) || first == "java" || first == "javax")
}

/// Whether a token with digits and letters is a value as a whole.
fn is_value(token: &str, seen: u16) -> bool {
    let bytes = token.as_bytes();
    let letters = || bytes.iter().filter(|byte| of(**byte) & (LETTER | HEX) != 0).count();
    if bytes[0].is_ascii_digit() && letters() <= MAX_UNIT_LETTERS {
        return true;
    }
    if token.starts_with("0x") || token.starts_with("0X") {
        return bytes[2..].iter().all(u8::is_ascii_hexdigit);
    }
    // Identifiers in hex: hashes, UUIDs, MAC and IPv6 addresses.
    if seen & LETTER == 0
        && seen & !(HEX | DIGIT | DASH | COLON | DOT) == 0
        && bytes.len() >= MIN_HEX
    {
        return true;
    }
    let class = |byte: u8| of(byte) & (LETTER | HEX | DIGIT);
    let changes = bytes.windows(2).filter(|pair| {
        let (a, b) = (class(pair[0]), class(pair[1]));
        a != 0 && b != 0 && (a == DIGIT) != (b == DIGIT)
    });
    changes.take(RANDOM_CHANGES).count() == RANDOM_CHANGES
}

/// Words with numbers in them: the words stay, but for those too short to say anything.
fn mixed(token: &str, sink: &mut impl Sink) {
    let bytes = token.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let digits = bytes[at].is_ascii_digit();
        let mut end = at + 1;
        while end < bytes.len()
            && (bytes[end].is_ascii_digit() == digits || joins(bytes, end, digits))
        {
            end += 1;
        }
        let part = &token[at..end];
        if digits {
            sink.value(part, Some(Shape::Number));
        } else {
            between(part, end < bytes.len(), sink);
        }
        at = end;
    }
}

/// What stands between two numbers of a token, or before the first: `blk_-`, `_m_`, `Thunderbird_B`.
/// Of parts that `_`, `-` and the like separate, the last belongs to the number if it is short.
fn between(part: &str, before_number: bool, sink: &mut impl Sink) {
    let letter = |byte: &u8| of(*byte) & (LETTER | HEX) != 0;
    let bytes = part.as_bytes();
    let Some(last) = bytes.iter().rposition(letter) else { return sink.gap(part) };
    let start = bytes.iter().position(letter).unwrap_or(last);
    let mut end = last + 1;
    if before_number && end == bytes.len() {
        let short = bytes[..end].iter().rposition(|byte| !letter(byte)).map_or(0, |at| at + 1);
        if end - short <= MAX_SHORT && bytes[short].is_ascii() {
            end = bytes[..short].iter().rposition(letter).map_or(start, |at| at + 1);
        }
    }
    let word = &part[start..end];
    if word.len() <= MAX_SHORT && word.is_ascii() {
        return sink.gap(part);
    }
    sink.gap(&part[..start]);
    sink.word(word);
    sink.gap(&part[end..]);
}

/// A mark between two digits belongs to the number: `1.2.3`, `12-7`, `10:30`.
fn joins(bytes: &[u8], at: usize, digits: bool) -> bool {
    digits
        && of(bytes[at]) & (DOT | DASH | COLON | SLASH) != 0
        && bytes.get(at + 1).is_some_and(u8::is_ascii_digit)
}

/// `Mon` to `Sun`, `Jan` to `Dec`.
pub(super) fn is_calendar_name(word: &str) -> bool {
    const NAMES: [&str; 19] = [
        "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun", "Jan", "Feb", "Mar", "Apr", "May", "Jun",
        "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
    ];
    NAMES.contains(&word)
}

/// Symbols of units: they change with the size of a number. Words like `bytes` do not.
pub(super) fn is_unit(word: &str) -> bool {
    const UNITS: [&str; 20] = [
        "B", "KB", "MB", "GB", "TB", "KiB", "MiB", "GiB", "TiB", "kB", "k", "M", "G", "ns", "us",
        "ms", "s", "sec", "secs", "min",
    ];
    UNITS.contains(&word)
}
