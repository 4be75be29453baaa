//! The reader for JSON that is as it should be: straight over the text, eight bytes at a time where it can.
//!
//! It gives the same as the reader of `serde`, or nothing: then that one is asked, which says what is wrong
//! and where. So this one knows no errors.

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use schemas::limits::MAX_DEPTH;

use super::{join, unsigned};
use crate::value::{Attributes, Value};

/// Reads one object and nothing after it; `None` for the other reader, and then attributes may be half
/// there.
pub(super) fn object<'b>(
    arena: &'b Bump,
    text: &'b str,
    attributes: &mut Attributes<'b>,
) -> Option<()> {
    let mut scan = Scan { arena, text, bytes: text.as_bytes(), at: 0 };
    scan.blanks();
    scan.eat(b'{')?;
    scan.members("", 0, attributes)?;
    scan.blanks();
    (scan.at == text.len()).then_some(())
}

struct Scan<'b> {
    arena: &'b Bump,
    text: &'b str,
    bytes: &'b [u8],
    at: usize,
}

impl<'b> Scan<'b> {
    #[inline]
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    #[inline]
    fn blanks(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\n' | b'\t' | b'\r')) {
            self.at += 1;
        }
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Whether there is a next element of a list that ends with `end`; its separators are read.
    #[inline]
    fn goes_on(&mut self, is_first: bool, end: u8) -> Option<bool> {
        self.blanks();
        let next = self.peek()?;
        if next == end {
            self.at += 1;
            return Some(false);
        }
        if is_first {
            return Some(true);
        }
        self.eat(b',')?;
        self.blanks();
        Some(true)
    }

    /// A member's name and the colon.
    #[inline]
    fn name(&mut self) -> Option<&'b str> {
        self.eat(b'"')?;
        let name = self.string()?;
        self.blanks();
        self.eat(b':')?;
        self.blanks();
        Some(name)
    }

    /// The members of an object behind its brace, as attributes below `prefix`.
    fn members(
        &mut self,
        prefix: &'b str,
        depth: usize,
        attributes: &mut Attributes<'b>,
    ) -> Option<()> {
        if depth >= MAX_DEPTH {
            return None;
        }
        let mut is_first = true;
        while self.goes_on(is_first, b'}')? {
            is_first = false;
            let path = join(self.arena, prefix, self.name()?);
            if self.peek()? == b'{' {
                self.at += 1;
                self.members(path, depth + 1, attributes)?;
            } else {
                attributes.set(path, self.value(depth + 1)?);
            }
        }
        Some(())
    }

    /// Any value; objects keep their shape.
    fn value(&mut self, depth: usize) -> Option<Value<'b>> {
        match self.peek()? {
            b'"' => {
                self.at += 1;
                Some(Value::Str(self.string()?))
            }
            b'-' | b'0'..=b'9' => self.number(),
            b't' => self.word("true", Value::Bool(true)),
            b'f' => self.word("false", Value::Bool(false)),
            b'n' => self.word("null", Value::Null),
            b'[' => self.array(depth),
            b'{' => self.shaped(depth),
            _ => None,
        }
    }

    fn word(&mut self, word: &str, value: Value<'b>) -> Option<Value<'b>> {
        let found = self.bytes.get(self.at..)?.starts_with(word.as_bytes());
        found.then(|| {
            self.at += word.len();
            value
        })
    }

    fn array(&mut self, depth: usize) -> Option<Value<'b>> {
        if depth >= MAX_DEPTH {
            return None;
        }
        self.at += 1;
        let mut items = BumpVec::new_in(self.arena);
        while self.goes_on(items.is_empty(), b']')? {
            items.push(self.value(depth + 1)?);
        }
        Some(Value::Array(items.into_bump_slice()))
    }

    fn shaped(&mut self, depth: usize) -> Option<Value<'b>> {
        if depth >= MAX_DEPTH {
            return None;
        }
        self.at += 1;
        let mut fields = BumpVec::new_in(self.arena);
        while self.goes_on(fields.is_empty(), b'}')? {
            fields.push((self.name()?, self.value(depth + 1)?));
        }
        Some(Value::Object(fields.into_bump_slice()))
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        self.at - start
    }

    fn number(&mut self) -> Option<Value<'b>> {
        let start = self.at;
        let negative = self.eat(b'-').is_some();
        let first = self.peek()?;
        let digits = self.digits();
        if digits == 0 || (first == b'0' && digits > 1) {
            return None;
        }
        let mut whole = true;
        if self.eat(b'.').is_some() {
            whole = false;
            (self.digits() > 0).then_some(())?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            whole = false;
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            (self.digits() > 0).then_some(())?;
        }
        let text = self.text.get(start..self.at)?;
        if whole && !(negative && first == b'0') {
            if let Ok(number) = text.parse() {
                return Some(Value::Int(number));
            }
            if let Ok(number) = text.parse() {
                return Some(unsigned(self.arena, number));
            }
        }
        text.parse().ok().filter(|number: &f64| number.is_finite()).map(Value::Float)
    }

    /// The text behind a quote, up to and with the next.
    #[inline]
    fn string(&mut self) -> Option<&'b str> {
        let start = self.at;
        let end = self.special(start)?;
        match self.bytes.get(end)? {
            b'"' => {
                self.at = end + 1;
                self.text.get(start..end)
            }
            b'\\' => self.escaped(start, end),
            _ => None,
        }
    }

    /// Where the next byte stands that is not simply part of a string.
    #[inline]
    fn special(&self, mut at: usize) -> Option<usize> {
        while let Some(chunk) = self.bytes.get(at..at + 8) {
            let word = u64::from_le_bytes(chunk.try_into().ok()?);
            let found = special_bytes(word);
            if found != 0 {
                return Some(at + found.trailing_zeros() as usize / 8);
            }
            at += 8;
        }
        let rest = self.bytes.get(at..)?;
        let is_special = |byte: &u8| matches!(byte, b'"' | b'\\' | 0..=0x1f);
        rest.iter().position(is_special).map(|found| at + found)
    }

    fn escaped(&mut self, start: usize, first: usize) -> Option<&'b str> {
        let mut out = BumpString::with_capacity_in(first - start + 32, self.arena);
        let (mut from, mut at) = (start, first);
        loop {
            out.push_str(self.text.get(from..at)?);
            match self.bytes.get(at)? {
                b'"' => {
                    self.at = at + 1;
                    return Some(out.into_bump_str());
                }
                b'\\' => self.at = at + 1,
                _ => return None,
            }
            out.push(self.escape()?);
            from = self.at;
            at = self.special(from)?;
        }
    }

    fn escape(&mut self) -> Option<char> {
        let kind = self.peek()?;
        self.at += 1;
        Some(match kind {
            b'"' | b'\\' | b'/' => char::from(kind),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.hex()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        self.eat(b'\\')?;
        self.eat(b'u')?;
        let second = self.hex()?.checked_sub(0xdc00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((first - 0xd800) << 10) + second)
    }

    fn hex(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(())?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

/// The high bit of each byte that is a quote, a backslash or a control character. Only the lowest of the
/// bits is sure: a borrow may set one above it.
#[inline]
fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x8080_8080_8080_8080;
    let zero = |word: u64| word.wrapping_sub(ONES) & !word;
    let quote = zero(word ^ (ONES * 0x22));
    let backslash = zero(word ^ (ONES * 0x5c));
    let control = word.wrapping_sub(ONES * 0x20) & !word;
    (quote | backslash | control) & HIGH
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::json::read_object_slowly;
    use proptest::prelude::*;

    fn json() -> impl Strategy<Value = String> {
        let text = prop_oneof![
            "[a-zA-Z0-9 äß€😀./:-]{0,20}".prop_map(|text| format!("\"{text}\"")),
            r#"([a-z]|\\n|\\t|\\"|\\\\|\\/|\\u00e4|\\ud83d\\ude00|\\b|\\f|\\r){0,12}"#
                .prop_map(|text| format!("\"{text}\"")),
        ];
        let number = prop_oneof![
            any::<i64>().prop_map(|number| number.to_string()),
            any::<u64>().prop_map(|number| number.to_string()),
            "-?(0|[1-9][0-9]{0,3})(\\.[0-9]{1,2})?([eE][+-]?[0-9])?",
        ];
        let leaf = prop_oneof![
            text.clone(),
            number,
            Just("true".to_owned()),
            Just("false".to_owned()),
            Just("null".to_owned()),
        ];
        let any = leaf.prop_recursive(3, 24, 5, move |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4)
                    .prop_map(|items| format!("[{}]", items.join(" , "))),
                prop::collection::vec((text.clone(), inner), 0..5).prop_map(|members| {
                    let members: Vec<String> = members
                        .into_iter()
                        .map(|(key, value)| format!("{key}:\t{value}"))
                        .collect();
                    format!("{{ {} }}", members.join(",\n"))
                }),
            ]
        });
        ("[a-c.]{0,3}", any).prop_map(|(key, value)| format!("{{\"{key}\":{value}}}"))
    }

    fn both(text: &str) -> (Option<String>, Option<String>) {
        let arena = Bump::new();
        let text: &str = arena.alloc_str(text);
        let mut fast = Attributes::new_in(&arena);
        let mut slow = Attributes::new_in(&arena);
        let is_fast = object(&arena, text, &mut fast).is_some();
        let is_slow = read_object_slowly(&arena, text.as_bytes(), &mut slow).is_ok();
        (is_fast.then(|| shown(&fast)), is_slow.then(|| shown(&slow)))
    }

    fn shown(attributes: &Attributes<'_>) -> String {
        let pairs: Vec<String> = attributes
            .iter()
            .map(|(path, value)| format!("{path:?}: {}", rounded(value)))
            .collect();
        format!("{pairs:?} {}", attributes.dropped())
    }

    /// The other reader's doubles can be wrong in the last digit; ours are the nearest.
    fn rounded(value: Value<'_>) -> String {
        match value {
            Value::Float(number) => format!("Float({number:.14e})"),
            Value::Array(items) => {
                format!("{:?}", items.iter().map(|item| rounded(*item)).collect::<Vec<_>>())
            }
            Value::Object(fields) => {
                let fields = fields.iter().map(|(key, value)| (key, rounded(*value)));
                format!("{:?}", fields.collect::<Vec<_>>())
            }
            other => format!("{other:?}"),
        }
    }

    proptest! {
        #[test]
        fn both_readers_give_the_same(text in json()) {
            let (fast, slow) = both(&text);
            prop_assert_eq!(fast, slow);
        }

        #[test]
        fn what_one_takes_the_other_takes(text in json(), cut in any::<prop::sample::Index>(), byte in "[\\[\\]{}\":,0-9eE.+\\\\u -]") {
            let at = cut.index(text.len());
            prop_assume!(text.is_char_boundary(at) && text.is_char_boundary(at + 1));
            let broken = format!("{}{byte}{}", &text[..at], &text[at + 1..]);
            let (fast, slow) = both(&broken);
            prop_assert_eq!(fast, slow, "{}", broken);
        }
    }
}
