//! A walk over borrowed MessagePack: lengths checked against the bytes that are there, depth bounded,
//! nothing allocated. Enough to find spans and copy them verbatim.

use rmp::Marker;
use schemas::limits::MAX_DEPTH;

/// Why the bytes are no MessagePack, or not the kind expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// A value reaches beyond the end, or declares more elements than bytes are left.
    #[error("truncated msgpack at byte {0}")]
    Truncated(usize),
    /// Another type than the format has here.
    #[error("msgpack at byte {at} is not {wanted}")]
    Type {
        /// Byte position of the value.
        at: usize,
        /// What the format has here.
        wanted: &'static str,
    },
    /// Nested deeper than the limit.
    #[error("msgpack at byte {0} is nested deeper than {MAX_DEPTH} levels")]
    TooDeep(usize),
}

/// A position in MessagePack bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    /// At the beginning of `bytes`.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The current byte position.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    /// Whether all bytes were read.
    pub(crate) fn is_done(&self) -> bool {
        self.at >= self.bytes.len()
    }

    /// The bytes from `start` to here.
    pub(crate) fn since(&self, start: usize) -> &'a [u8] {
        self.bytes.get(start..self.at).unwrap_or_default()
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], Malformed> {
        let end = self.at.checked_add(count).ok_or(Malformed::Truncated(self.at))?;
        let taken = self.bytes.get(self.at..end).ok_or(Malformed::Truncated(self.at))?;
        self.at = end;
        Ok(taken)
    }

    fn marker(&mut self) -> Result<Marker, Malformed> {
        let taken = self.take(1)?;
        taken.first().map(|byte| Marker::from_u8(*byte)).ok_or(Malformed::Truncated(self.at))
    }

    /// A big-endian unsigned number of `width` bytes.
    fn number(&mut self, width: usize) -> Result<u64, Malformed> {
        Ok(self.take(width)?.iter().fold(0, |value, byte| value << 8 | u64::from(*byte)))
    }

    fn length(&mut self, width: usize) -> Result<usize, Malformed> {
        let at = self.at;
        usize::try_from(self.number(width)?).map_err(|_| Malformed::Truncated(at))
    }

    /// `count` elements need at least `each` bytes apiece: a declared length is never believed.
    fn fits(&self, count: usize, each: usize) -> Result<usize, Malformed> {
        let left = self.bytes.len() - self.at;
        if count > left / each { Err(Malformed::Truncated(self.at)) } else { Ok(count) }
    }

    /// The length of an array.
    pub(crate) fn array(&mut self) -> Result<usize, Malformed> {
        let at = self.at;
        let count = match self.marker()? {
            Marker::FixArray(count) => usize::from(count),
            Marker::Array16 => self.length(2)?,
            Marker::Array32 => self.length(4)?,
            _ => return Err(Malformed::Type { at, wanted: "an array" }),
        };
        self.fits(count, 1)
    }

    /// The number of pairs of a map; nil counts as an empty one.
    pub(crate) fn map(&mut self) -> Result<usize, Malformed> {
        let at = self.at;
        let count = match self.marker()? {
            Marker::FixMap(count) => usize::from(count),
            Marker::Map16 => self.length(2)?,
            Marker::Map32 => self.length(4)?,
            Marker::Null => 0,
            _ => return Err(Malformed::Type { at, wanted: "a map" }),
        };
        self.fits(count, 2)
    }

    /// The bytes of a string (or of a binary, which old clients send for one); nil is empty.
    pub(crate) fn text(&mut self) -> Result<&'a [u8], Malformed> {
        let at = self.at;
        let count = match self.marker()? {
            Marker::FixStr(count) => usize::from(count),
            Marker::Str8 | Marker::Bin8 => self.length(1)?,
            Marker::Str16 | Marker::Bin16 => self.length(2)?,
            Marker::Str32 | Marker::Bin32 => self.length(4)?,
            Marker::Null => 0,
            _ => return Err(Malformed::Type { at, wanted: "a string" }),
        };
        self.take(count)
    }

    /// Any integer as 64 bits; negative ones wrap, as languages without unsigned numbers send ids.
    /// `None` for a value of another type, which is skipped.
    pub(crate) fn integer(&mut self) -> Result<Option<u64>, Malformed> {
        let start = self.at;
        Ok(Some(match self.marker()? {
            Marker::FixPos(value) => u64::from(value),
            Marker::FixNeg(value) => i64::from(value) as u64,
            Marker::U8 => self.number(1)?,
            Marker::U16 => self.number(2)?,
            Marker::U32 => self.number(4)?,
            Marker::U64 | Marker::I64 => self.number(8)?,
            Marker::I8 => i64::from(self.number(1)? as i8) as u64,
            Marker::I16 => i64::from(self.number(2)? as i16) as u64,
            Marker::I32 => i64::from(self.number(4)? as i32) as u64,
            _ => {
                self.at = start;
                self.skip()?;
                return Ok(None);
            }
        }))
    }

    /// Goes past one value of any type and returns its bytes.
    pub(crate) fn skip(&mut self) -> Result<&'a [u8], Malformed> {
        let start = self.at;
        self.skip_nested(MAX_DEPTH)?;
        Ok(self.since(start))
    }

    fn skip_nested(&mut self, depth: usize) -> Result<(), Malformed> {
        let at = self.at;
        if depth == 0 {
            return Err(Malformed::TooDeep(at));
        }
        match self.marker()? {
            Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
                self.at = at;
                let count = self.array()?;
                (0..count).try_for_each(|_| self.skip_nested(depth - 1))
            }
            Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
                self.at = at;
                let count = self.map()?;
                (0..2 * count).try_for_each(|_| self.skip_nested(depth - 1))
            }
            Marker::Reserved => Err(Malformed::Type { at, wanted: "a value" }),
            scalar => {
                let count = self.scalar_length(scalar)?;
                self.take(count).map(|_| ())
            }
        }
    }

    /// Bytes that follow the marker (and length) of a value without elements.
    fn scalar_length(&mut self, marker: Marker) -> Result<usize, Malformed> {
        Ok(match marker {
            Marker::FixStr(count) => usize::from(count),
            Marker::Str8 | Marker::Bin8 => self.length(1)?,
            Marker::Str16 | Marker::Bin16 => self.length(2)?,
            Marker::Str32 | Marker::Bin32 => self.length(4)?,
            Marker::U8 | Marker::I8 => 1,
            Marker::U16 | Marker::I16 | Marker::FixExt1 => 2,
            Marker::U32 | Marker::I32 | Marker::F32 => 4,
            Marker::U64 | Marker::I64 | Marker::F64 => 8,
            Marker::FixExt2 => 3,
            Marker::FixExt4 => 5,
            Marker::FixExt8 => 9,
            Marker::FixExt16 => 17,
            Marker::Ext8 => 1 + self.length(1)?,
            Marker::Ext16 => 1 + self.length(2)?,
            Marker::Ext32 => self.length(4)?.saturating_add(1),
            _ => 0,
        })
    }
}

/// Writes an array header.
pub(crate) fn put_array(out: &mut Vec<u8>, count: usize) {
    match count {
        0..16 => out.push(0x90 | count as u8),
        16..0x1_0000 => {
            out.push(0xdc);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdd);
            out.extend_from_slice(&(count as u32).to_be_bytes());
        }
    }
}

/// Writes a map header.
pub(crate) fn put_map(out: &mut Vec<u8>, count: usize) {
    match count {
        0..16 => out.push(0x80 | count as u8),
        16..0x1_0000 => {
            out.push(0xde);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        _ => {
            out.push(0xdf);
            out.extend_from_slice(&(count as u32).to_be_bytes());
        }
    }
}

/// Writes a string of any bytes.
pub(crate) fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    match text.len() {
        count @ 0..32 => out.push(0xa0 | count as u8),
        count @ 32..0x100 => out.extend_from_slice(&[0xd9, count as u8]),
        count @ 0x100..0x1_0000 => {
            out.push(0xda);
            out.extend_from_slice(&(count as u16).to_be_bytes());
        }
        count => {
            out.push(0xdb);
            out.extend_from_slice(&(count as u32).to_be_bytes());
        }
    }
    out.extend_from_slice(text);
}

/// Writes an unsigned number.
pub(crate) fn put_unsigned(out: &mut Vec<u8>, value: u64) {
    match value {
        0..128 => out.push(value as u8),
        128..0x1_0000_0000 => {
            out.push(0xce);
            out.extend_from_slice(&(value as u32).to_be_bytes());
        }
        _ => {
            out.push(0xcf);
            out.extend_from_slice(&value.to_be_bytes());
        }
    }
}

/// Copies one value, cutting every string to `longest` bytes at a character boundary. Binaries that
/// are longer become empty: half a document is none.
pub(crate) fn copy_cut(
    reader: &mut Reader<'_>,
    longest: usize,
    out: &mut Vec<u8>,
) -> Result<(), Malformed> {
    copy_nested(reader, longest, out, MAX_DEPTH)
}

fn copy_nested(
    reader: &mut Reader<'_>,
    longest: usize,
    out: &mut Vec<u8>,
    depth: usize,
) -> Result<(), Malformed> {
    let mut ahead = *reader;
    if depth == 0 {
        return Err(Malformed::TooDeep(reader.at()));
    }
    match ahead.marker()? {
        Marker::FixArray(_) | Marker::Array16 | Marker::Array32 => {
            let count = reader.array()?;
            put_array(out, count);
            (0..count).try_for_each(|_| copy_nested(reader, longest, out, depth - 1))
        }
        Marker::FixMap(_) | Marker::Map16 | Marker::Map32 => {
            let count = reader.map()?;
            put_map(out, count);
            (0..2 * count).try_for_each(|_| copy_nested(reader, longest, out, depth - 1))
        }
        Marker::FixStr(_) | Marker::Str8 | Marker::Str16 | Marker::Str32 => {
            put_text(out, cut(reader.text()?, longest));
            Ok(())
        }
        Marker::Bin8 | Marker::Bin16 | Marker::Bin32 => {
            let value = reader.skip()?;
            let empty = [0xc4, 0];
            out.extend_from_slice(if value.len() > longest { &empty } else { value });
            Ok(())
        }
        _ => {
            out.extend_from_slice(reader.skip()?);
            Ok(())
        }
    }
}

/// At most `longest` bytes of `text`, not ending within a UTF-8 character.
pub(crate) fn cut(text: &[u8], longest: usize) -> &[u8] {
    if text.len() <= longest {
        return text;
    }
    let is_inner = |at: &usize| text.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let end =
        (longest.saturating_sub(3)..=longest).rev().find(|at| !is_inner(at)).unwrap_or(longest);
    text.get(..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_declared_length_of_four_billion_is_not_believed() {
        for head in [0xdd, 0xdf, 0xdb, 0xc6, 0xc9] {
            let bytes = [head, 0xff, 0xff, 0xff, 0xff, 0];
            assert!(matches!(Reader::new(&bytes).skip(), Err(Malformed::Truncated(_))), "{head:x}");
        }
    }

    #[test]
    fn nesting_ends_at_the_limit() {
        let deep = vec![0x91; 100_000];
        assert!(matches!(Reader::new(&deep).skip(), Err(Malformed::TooDeep(_))));
        assert!(copy_cut(&mut Reader::new(&deep), 1, &mut Vec::new()).is_err());
    }

    #[test]
    fn integers_of_every_width_read_as_64_bits() {
        let cases: [(&[u8], u64); 6] = [
            (&[0x07], 7),
            (&[0xcc, 0xff], 255),
            (&[0xcf, 1, 0, 0, 0, 0, 0, 0, 2], 0x0100_0000_0000_0002),
            (&[0xff], u64::MAX),
            (&[0xd0, 0xfe], u64::MAX - 1),
            (&[0xd3, 0x80, 0, 0, 0, 0, 0, 0, 1], 0x8000_0000_0000_0001),
        ];
        for (bytes, value) in cases {
            assert_eq!(Reader::new(bytes).integer(), Ok(Some(value)));
        }
        assert_eq!(Reader::new(&[0xa1, b'x']).integer(), Ok(None));
    }

    #[test]
    fn strings_are_cut_between_characters() {
        assert_eq!(cut("a\u{20ac}b".as_bytes(), 3), b"a");
        assert_eq!(cut("a\u{20ac}b".as_bytes(), 4), "a\u{20ac}".as_bytes());
        assert_eq!(cut(b"abc", 8), b"abc");
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic(bytes: Vec<u8>) {
            let _ = Reader::new(&bytes).skip();
            let _ = copy_cut(&mut Reader::new(&bytes), 3, &mut Vec::new());
        }

        #[test]
        fn a_skipped_value_is_exactly_as_long_as_it_was_written(
            value in proptest::collection::vec((".{0,40}", proptest::collection::vec(any::<i64>(), 0..4), any::<f64>()), 0..4),
        ) {
            let bytes = rmp_serde::to_vec(&value).expect("memory");
            let mut reader = Reader::new(&bytes);
            prop_assert_eq!(reader.skip(), Ok(bytes.as_slice()));
            prop_assert!(reader.is_done());
            for cut in 0..bytes.len() {
                prop_assert!(Reader::new(&bytes[..cut]).skip().is_err());
            }
            let mut copy = Vec::new();
            copy_cut(&mut Reader::new(&bytes), usize::MAX, &mut copy).expect("valid");
            let read: Vec<(String, Vec<i64>, f64)> = rmp_serde::from_slice(&copy).expect("valid");
            prop_assert_eq!(read.len(), value.len());
        }
    }
}
