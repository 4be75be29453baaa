//! A walk over borrowed protobuf wire bytes, and the few writers that go with it. Nothing is
//! allocated; every length is checked against the bytes that are there.
//!
//! Source: protobuf.dev, "Encoding". Groups are refused: OTLP has none.

/// Why the bytes are no protobuf, or not the message expected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Malformed {
    /// A field reaches beyond the end of its message.
    #[error("truncated protobuf")]
    Truncated,
    /// A number longer than 64 bits.
    #[error("a protobuf number is longer than 64 bits")]
    Varint,
    /// A field number or wire type that does not exist.
    #[error("an invalid protobuf tag")]
    Tag,
    /// A field whose wire type is not the schema's.
    #[error("field {0} has the wrong wire type")]
    Wire(&'static str),
    /// A string that is not UTF-8.
    #[error("field {0} is not UTF-8")]
    Utf8(&'static str),
    /// Nested deeper than the limit.
    #[error("nested deeper than {} messages", schemas::limits::MAX_DEPTH)]
    TooDeep,
}

/// The value of one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Value<'a> {
    /// A variable-length number.
    Varint(u64),
    /// Eight bytes, little endian.
    Fixed64(&'a [u8]),
    /// Bytes: a string, a message, packed numbers.
    Bytes(&'a [u8]),
    /// Four bytes, little endian.
    Fixed32(&'a [u8]),
}

/// One field of a message.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Field<'a> {
    /// Its number in the schema.
    pub(crate) number: u32,
    /// What it holds.
    pub(crate) value: Value<'a>,
    /// Tag, length and value as they came.
    pub(crate) raw: &'a [u8],
}

impl<'a> Field<'a> {
    /// The bytes of a length-delimited field.
    pub(crate) fn bytes(&self, name: &'static str) -> Result<&'a [u8], Malformed> {
        match self.value {
            Value::Bytes(bytes) => Ok(bytes),
            _ => Err(Malformed::Wire(name)),
        }
    }
}

/// The fields of a message, in the order they came.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Fields<'a> {
    rest: &'a [u8],
}

impl<'a> Fields<'a> {
    /// The fields of `message`.
    pub(crate) fn of(message: &'a [u8]) -> Self {
        Self { rest: message }
    }

    fn read(&mut self) -> Result<Field<'a>, Malformed> {
        let start = self.rest;
        let tag = varint(&mut self.rest)?;
        let number = u32::try_from(tag >> 3).map_err(|_| Malformed::Tag)?;
        if number == 0 {
            return Err(Malformed::Tag);
        }
        let value = match tag & 7 {
            0 => Value::Varint(varint(&mut self.rest)?),
            1 => Value::Fixed64(take(&mut self.rest, 8)?),
            2 => {
                let count = varint(&mut self.rest)?;
                let count = usize::try_from(count).map_err(|_| Malformed::Truncated)?;
                Value::Bytes(take(&mut self.rest, count)?)
            }
            5 => Value::Fixed32(take(&mut self.rest, 4)?),
            _ => return Err(Malformed::Tag),
        };
        let raw = start.get(..start.len() - self.rest.len()).unwrap_or_default();
        Ok(Field { number, value, raw })
    }
}

impl<'a> Iterator for Fields<'a> {
    type Item = Result<Field<'a>, Malformed>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let field = self.read();
        if field.is_err() {
            self.rest = &[];
        }
        Some(field)
    }
}

/// Reads a variable-length number off the front.
pub(crate) fn varint(rest: &mut &[u8]) -> Result<u64, Malformed> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let (byte, tail) = rest.split_first().ok_or(Malformed::Truncated)?;
        *rest = tail;
        if shift == 63 && *byte > 1 {
            return Err(Malformed::Varint);
        }
        value |= u64::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(Malformed::Varint)
}

fn take<'a>(rest: &mut &'a [u8], count: usize) -> Result<&'a [u8], Malformed> {
    let (taken, tail) = rest.split_at_checked(count).ok_or(Malformed::Truncated)?;
    *rest = tail;
    Ok(taken)
}

/// Writes a variable-length number.
pub(crate) fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Writes the tag of field `number` with the wire type `wire`.
pub(crate) fn put_tag(out: &mut Vec<u8>, number: u32, wire: u8) {
    put_varint(out, u64::from(number) << 3 | u64::from(wire));
}

/// Writes a length-delimited field.
pub(crate) fn put_bytes(out: &mut Vec<u8>, number: u32, bytes: &[u8]) {
    put_tag(out, number, 2);
    put_varint(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// Writes a number field.
pub(crate) fn put_number(out: &mut Vec<u8>, number: u32, value: u64) {
    put_tag(out, number, 0);
    put_varint(out, value);
}

/// Turns what was written from `start` on into a length-delimited field, in place.
pub(crate) fn wrap(out: &mut Vec<u8>, start: usize, number: u32) {
    let length = out.len() - start;
    put_tag(out, number, 2);
    put_varint(out, length as u64);
    let head = out.len() - start - length;
    if let Some(written) = out.get_mut(start..) {
        written.rotate_right(head);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn lengths_beyond_the_end_and_long_numbers_are_malformed() {
        let first =
            |bytes: &[u8]| Fields::of(bytes).next().map(|field| field.map(|field| field.number));
        assert_eq!(first(&[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f]), Some(Err(Malformed::Truncated)));
        assert_eq!(
            first(&[0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02]),
            Some(Err(Malformed::Varint))
        );
        assert_eq!(first(&[0x0b]), Some(Err(Malformed::Tag)), "groups");
        assert_eq!(first(&[0x02, 0x00]), Some(Err(Malformed::Tag)), "field number 0");
        assert_eq!(first(&[]), None);
    }

    proptest! {
        #[test]
        fn random_bytes_never_panic_and_end(bytes: Vec<u8>) {
            prop_assert!(Fields::of(&bytes).count() <= bytes.len());
        }

        #[test]
        fn what_is_written_reads_back(number in 1u32..1 << 29, value: u64, bytes: Vec<u8>) {
            let mut out = Vec::new();
            put_number(&mut out, number, value);
            let start = out.len();
            out.extend_from_slice(&bytes);
            wrap(&mut out, start, number);
            put_bytes(&mut out, number, &bytes);
            let read: Vec<_> = Fields::of(&out).map(|field| field.expect("valid").value).collect();
            prop_assert_eq!(read, vec![Value::Varint(value), Value::Bytes(&bytes), Value::Bytes(&bytes)]);
            for cut in 1..out.len() {
                let whole = Fields::of(&out[..cut]).filter(Result::is_ok).count();
                prop_assert!(whole < 3);
            }
        }
    }
}
