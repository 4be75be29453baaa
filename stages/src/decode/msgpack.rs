//! A reader of msgpack over borrowed bytes: what Datadog's tracers send, nothing copied.
//!
//! Every count is checked against the bytes that are left before anything is allocated for it: an
//! element takes at least one byte. Depth is bounded by [`MAX_DEPTH`]; skipping does not recurse.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use rmp::Marker;
use schemas::limits::MAX_DEPTH;

use super::wire::{self, WireError};
use crate::value::Value;

type Result<T> = std::result::Result<T, WireError>;

/// The rest of a payload.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'b> {
    rest: &'b [u8],
    length: usize,
}

impl<'b> Reader<'b> {
    pub(super) fn new(payload: &'b [u8]) -> Self {
        Self { rest: payload, length: payload.len() }
    }

    /// Bytes not read yet.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    /// The bytes between an earlier state of this reader and this one.
    pub(super) fn since(&self, earlier: &Reader<'b>) -> &'b [u8] {
        &earlier.rest[..earlier.rest.len() - self.rest.len()]
    }

    /// How far into the payload it stands.
    pub(super) fn at(&self) -> usize {
        self.length - self.rest.len()
    }

    fn error(&self, reason: &'static str, what: &'static str) -> WireError {
        WireError { reason, what, at: self.at() }
    }

    fn malformed<T>(&self, what: &'static str) -> Result<T> {
        Err(self.error("malformed_msgpack", what))
    }

    fn take(&mut self, count: usize) -> Result<&'b [u8]> {
        match self.rest.split_at_checked(count) {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.error("truncated", "the payload ends inside a value")),
        }
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(self.error("truncated", "the payload ends inside a value")),
        }
    }

    fn marker(&mut self) -> Result<Marker> {
        let [byte] = self.fixed::<1>()?;
        Ok(Marker::from_u8(byte))
    }

    fn size8(&mut self) -> Result<usize> {
        Ok(usize::from(u8::from_be_bytes(self.fixed()?)))
    }

    fn size16(&mut self) -> Result<usize> {
        Ok(usize::from(u16::from_be_bytes(self.fixed()?)))
    }

    fn size32(&mut self) -> Result<usize> {
        Ok(u32::from_be_bytes(self.fixed()?) as usize)
    }

    /// Elements cost at least `each` bytes: a larger count is a lie.
    fn plausible(&self, count: usize, each: usize) -> Result<usize> {
        if count > self.rest.len() / each {
            return Err(self.error("truncated", "a count larger than the payload can hold"));
        }
        Ok(count)
    }

    /// Number of elements of an array; nil counts as an empty one.
    pub(super) fn array(&mut self) -> Result<usize> {
        let before = *self;
        let count = match self.marker()? {
            Marker::FixArray(count) => usize::from(count),
            Marker::Array16 => self.size16()?,
            Marker::Array32 => self.size32()?,
            Marker::Null => 0,
            _ => return before.malformed("expected an array"),
        };
        self.plausible(count, 1)
    }

    /// Number of pairs of a map; nil counts as an empty one.
    pub(super) fn map(&mut self) -> Result<usize> {
        let before = *self;
        let count = match self.marker()? {
            Marker::FixMap(count) => usize::from(count),
            Marker::Map16 => self.size16()?,
            Marker::Map32 => self.size32()?,
            Marker::Null => 0,
            _ => return before.malformed("expected a map"),
        };
        self.plausible(count, 2)
    }

    /// The bytes of a text or binary value; nil counts as empty text.
    #[inline]
    pub(super) fn bytes(&mut self) -> Result<&'b [u8]> {
        // Nearly every text is short: one of fewer than 32 bytes has its length in its marker.
        if let [marker @ 0xa0..=0xbf, rest @ ..] = self.rest
            && let Some((text, rest)) = rest.split_at_checked(usize::from(marker & 0x1f))
        {
            self.rest = rest;
            return Ok(text);
        }
        self.bytes_of_any_length()
    }

    fn bytes_of_any_length(&mut self) -> Result<&'b [u8]> {
        let before = *self;
        let count = match self.marker()? {
            Marker::FixStr(count) => usize::from(count),
            Marker::Str8 | Marker::Bin8 => self.size8()?,
            Marker::Str16 | Marker::Bin16 => self.size16()?,
            Marker::Str32 | Marker::Bin32 => self.size32()?,
            Marker::Null => 0,
            _ => return before.malformed("expected text"),
        };
        self.take(count)
    }

    pub(super) fn text(&mut self, arena: &'b Bump) -> Result<&'b str> {
        Ok(wire::text(arena, self.bytes()?))
    }

    /// An index into a table; what is none (negative, too large) is `None`.
    #[inline]
    pub(super) fn index(&mut self) -> Result<Option<usize>> {
        // The three forms of all but the largest tables, without a detour over 128 bits.
        let (index, rest) = match self.rest {
            [small @ 0..0x80, rest @ ..] => (usize::from(*small), rest),
            [0xcc, byte, rest @ ..] => (usize::from(*byte), rest),
            [0xcd, high, low, rest @ ..] => (usize::from(u16::from_be_bytes([*high, *low])), rest),
            _ => return Ok(usize::try_from(self.int()?).ok()),
        };
        self.rest = rest;
        Ok(Some(index))
    }

    /// A whole number of any width; nil counts as zero.
    pub(super) fn int(&mut self) -> Result<i128> {
        let before = *self;
        let marker = self.marker()?;
        match self.number(marker)? {
            Some(Number::Int(number)) => Ok(number),
            _ if marker == Marker::Null => Ok(0),
            _ => before.malformed("expected a whole number"),
        }
    }

    /// An id: its 64 bits, whatever sign the sender's language gave them.
    pub(super) fn id(&mut self) -> Result<u64> {
        Ok(self.int()? as u64)
    }

    /// Any number; nil counts as zero.
    pub(super) fn float(&mut self) -> Result<f64> {
        let before = *self;
        let marker = self.marker()?;
        match self.number(marker)? {
            Some(Number::Int(number)) => Ok(number as f64),
            Some(Number::Float(number)) => Ok(number),
            None if marker == Marker::Null => Ok(0.0),
            None => before.malformed("expected a number"),
        }
    }

    pub(super) fn boolean(&mut self) -> Result<bool> {
        let before = *self;
        match self.marker()? {
            Marker::True => Ok(true),
            Marker::False | Marker::Null => Ok(false),
            _ => before.malformed("expected a boolean"),
        }
    }

    /// The number a marker begins; `None` if it begins none.
    fn number(&mut self, marker: Marker) -> Result<Option<Number>> {
        Ok(Some(match marker {
            Marker::FixPos(value) => Number::Int(value.into()),
            Marker::FixNeg(value) => Number::Int(value.into()),
            Marker::U8 => Number::Int(u8::from_be_bytes(self.fixed()?).into()),
            Marker::U16 => Number::Int(u16::from_be_bytes(self.fixed()?).into()),
            Marker::U32 => Number::Int(u32::from_be_bytes(self.fixed()?).into()),
            Marker::U64 => Number::Int(u64::from_be_bytes(self.fixed()?).into()),
            Marker::I8 => Number::Int(i8::from_be_bytes(self.fixed()?).into()),
            Marker::I16 => Number::Int(i16::from_be_bytes(self.fixed()?).into()),
            Marker::I32 => Number::Int(i32::from_be_bytes(self.fixed()?).into()),
            Marker::I64 => Number::Int(i64::from_be_bytes(self.fixed()?).into()),
            Marker::F32 => Number::Float(f32::from_be_bytes(self.fixed()?).into()),
            Marker::F64 => Number::Float(f64::from_be_bytes(self.fixed()?)),
            _ => return Ok(None),
        }))
    }

    /// Steps over one value of any kind and nesting, without recursion.
    pub(super) fn skip(&mut self) -> Result<()> {
        // Values still to step over. Each takes at least a byte, so the loop ends with the payload.
        let mut left = 1usize;
        while left > 0 {
            left -= 1;
            let before = *self;
            let more = match self.marker()? {
                Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                    *self = before;
                    self.array()?
                }
                Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                    *self = before;
                    self.map()? * 2
                }
                marker => {
                    self.skip_scalar(marker, before)?;
                    0
                }
            };
            left = left.saturating_add(more);
        }
        Ok(())
    }

    fn skip_scalar(&mut self, marker: Marker, before: Reader<'b>) -> Result<()> {
        let count = match marker {
            Marker::Null | Marker::True | Marker::False => 0,
            Marker::FixExt1 => 2,
            Marker::FixExt2 => 3,
            Marker::FixExt4 => 5,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::Ext8 => self.size8()? + 1,
            Marker::Ext16 => self.size16()? + 1,
            Marker::Ext32 => self.size32()?.saturating_add(1),
            Marker::Reserved => return before.malformed("a byte that begins no value"),
            marker if self.number(marker)?.is_some() => 0,
            _ => {
                *self = before;
                self.bytes()?;
                0
            }
        };
        self.take(count).map(|_| ())
    }

    /// A map's key: text, or the JSON form of a number, truth value or nil. The JSON form of a map
    /// inside a key inside a key would be escaped once per level, and twice as long each time.
    fn key(&mut self, arena: &'b Bump, depth: usize) -> Result<&'b str> {
        if matches!(self.rest.first(), Some(0x80..=0x9f | 0xdc..=0xdf)) {
            return self.malformed("a map key that is an array or a map");
        }
        Ok(self.value(arena, depth + 1)?.text(arena))
    }

    /// Any value; see [`Self::key`] for the keys of maps.
    pub(super) fn value(&mut self, arena: &'b Bump, depth: usize) -> Result<Value<'b>> {
        if depth >= MAX_DEPTH {
            return Err(self.error("too_deep", "nested deeper than any real value"));
        }
        if matches!(self.rest.first(), Some(0xa0..=0xbf)) {
            return Ok(Value::Str(self.text(arena)?));
        }
        let before = *self;
        let marker = self.marker()?;
        if let Some(number) = self.number(marker)? {
            return Ok(number.value(arena));
        }
        match marker {
            Marker::Null => return Ok(Value::Null),
            Marker::True => return Ok(Value::Bool(true)),
            Marker::False => return Ok(Value::Bool(false)),
            _ => *self = before,
        }
        match marker {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                let count = self.array()?;
                let mut items = BumpVec::with_capacity_in(count.min(64), arena);
                for _ in 0..count {
                    items.push(self.value(arena, depth + 1)?);
                }
                Ok(Value::Array(items.into_bump_slice()))
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                let count = self.map()?;
                let mut fields = BumpVec::with_capacity_in(count.min(64), arena);
                for _ in 0..count {
                    let key = self.key(arena, depth)?;
                    fields.push((key, self.value(arena, depth + 1)?));
                }
                Ok(Value::Object(fields.into_bump_slice()))
            }
            Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
                let bytes = self.bytes()?;
                Ok(Value::Str(match std::str::from_utf8(bytes) {
                    Ok(text) => text,
                    Err(_) => wire::base64(arena, bytes),
                }))
            }
            Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
                Ok(Value::Str(self.text(arena)?))
            }
            _ => {
                self.skip()?;
                Ok(Value::Null)
            }
        }
    }
}

/// A number as it came.
enum Number {
    Int(i128),
    Float(f64),
}

impl Number {
    /// Numbers over `i64::MAX` are ids more often than amounts: kept exactly, as text.
    fn value<'b>(self, arena: &'b Bump) -> Value<'b> {
        match self {
            Number::Float(number) => Value::Float(number),
            Number::Int(number) => match i64::try_from(number) {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Str(bumpalo::format!(in arena, "{}", number).into_bump_str()),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn skipping_and_reading_step_over_the_same_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let arena = Bump::new();
            let (mut skipped, mut read) = (Reader::new(&bytes), Reader::new(&bytes));
            if skipped.skip().is_ok() && read.value(&arena, 0).is_ok() {
                prop_assert_eq!(skipped.rest(), read.rest());
            }
        }

        #[test]
        fn an_index_is_the_number_it_is_written_as(number in any::<i64>(), small in 0..70_000i64) {
            for number in [number, small, small / 300] {
                let bytes = rmp_serde::to_vec(&number).expect("encodes");
                let mut reader = Reader::new(&bytes);
                prop_assert_eq!(reader.index(), Ok(usize::try_from(number).ok()));
                prop_assert!(reader.rest().is_empty());
                let cut = Reader::new(&bytes[..bytes.len() - 1]).index();
                prop_assert_eq!(cut.map_err(|error| error.reason), Err("truncated"));
            }
        }

        #[test]
        fn what_rmp_serde_writes_is_read(text in ".*", number: i64, float: f64, flag: bool) {
            let arena = Bump::new();
            let bytes = rmp_serde::to_vec(&(&text, number, float, flag, [number])).expect("encodes");
            let value = Reader::new(arena.alloc_slice_copy(&bytes)).value(&arena, 0).expect("reads");
            let items = [
                Value::Str(&text), Value::Int(number), Value::Float(float), Value::Bool(flag),
                Value::Array(&[Value::Int(number)]),
            ];
            prop_assert_eq!(format!("{value}"), format!("{}", Value::Array(&items)));
        }
    }

    #[test]
    fn a_key_that_is_a_map_is_refused_instead_of_escaped_at_every_level() {
        let arena = Bump::new();
        let nested = [0x81; 60];
        let error = Reader::new(&nested).value(&arena, 0).expect_err("a map as a key");
        assert_eq!(error.reason, "malformed_msgpack");
        assert!(arena.allocated_bytes() < 64 << 10, "{} bytes", arena.allocated_bytes());
    }

    #[test]
    fn a_count_the_payload_can_not_hold_is_refused_before_allocation() {
        let error = Reader::new(&[0xdd, 0xff, 0xff, 0xff, 0xff, 0]).array().expect_err("a lie");
        assert_eq!((error.reason, error.at), ("truncated", 5));
        let nested = [0x91; 100];
        let error = Reader::new(&nested).value(&Bump::new(), 0).map(|_| ()).expect_err("too deep");
        assert_eq!(error.reason, "too_deep");
    }
}
