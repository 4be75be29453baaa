//! A reader of protobuf over borrowed bytes: fields one after the other, nothing copied. Unknown
//! fields are stepped over; groups, long gone from proto3, are refused. A message inside a message
//! is a [`Reader`] of its own; what nests without end ([`super::otlp`] values) counts its depth.

use bumpalo::Bump;

use super::wire::{self, WireError};

type Result<T> = std::result::Result<T, WireError>;

/// The rest of a message.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reader<'b> {
    rest: &'b [u8],
    /// Where the message ends in the payload: positions in errors count from the payload's start.
    end: usize,
}

/// A field's number and value.
#[derive(Debug, Clone, Copy)]
pub(super) struct Field<'b> {
    pub(super) number: u32,
    value: Wire<'b>,
    end: usize,
}

#[derive(Debug, Clone, Copy)]
enum Wire<'b> {
    Varint(u64),
    Fixed64(u64),
    Fixed32(u32),
    Bytes(&'b [u8]),
}

impl<'b> Reader<'b> {
    pub(super) fn new(payload: &'b [u8]) -> Self {
        Self { rest: payload, end: payload.len() }
    }

    /// The bytes not read yet: of a fresh reader, the whole message.
    pub(super) fn rest(&self) -> &'b [u8] {
        self.rest
    }

    fn error(&self, reason: &'static str, what: &'static str) -> WireError {
        WireError { reason, what, at: self.end - self.rest.len() }
    }

    /// The next field; `None` at the end of the message.
    #[inline]
    pub(super) fn field(&mut self) -> Result<Option<Field<'b>>> {
        if self.rest.is_empty() {
            return Ok(None);
        }
        let key = self.varint()?;
        let number = match u32::try_from(key >> 3) {
            Ok(number) if (1..1 << 29).contains(&number) => number,
            _ => return Err(self.error("malformed_protobuf", "a field number out of range")),
        };
        let value = match key & 7 {
            0 => Wire::Varint(self.varint()?),
            1 => Wire::Fixed64(u64::from_le_bytes(self.fixed()?)),
            2 => {
                let length = self.varint()?;
                Wire::Bytes(self.take(length)?)
            }
            5 => Wire::Fixed32(u32::from_le_bytes(self.fixed()?)),
            _ => return Err(self.error("malformed_protobuf", "an unknown wire type")),
        };
        Ok(Some(Field { number, value, end: self.end - self.rest.len() }))
    }

    #[inline]
    pub(super) fn varint(&mut self) -> Result<u64> {
        // Keys and most lengths are a single byte.
        if let [byte @ 0..0x80, rest @ ..] = self.rest {
            self.rest = rest;
            return Ok(u64::from(*byte));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64> {
        let mut value = 0u64;
        for (index, byte) in self.rest.iter().take(10).enumerate() {
            value |= u64::from(byte & 0x7f) << (7 * index);
            if byte & 0x80 == 0 {
                if index == 9 && *byte > 1 {
                    break;
                }
                self.rest = &self.rest[index + 1..];
                return Ok(value);
            }
        }
        if self.rest.len() < 10 {
            return Err(self.error("truncated", "the message ends inside a number"));
        }
        Err(self.error("malformed_protobuf", "a number of more than 64 bits"))
    }

    fn fixed<const N: usize>(&mut self) -> Result<[u8; N]> {
        match self.rest.split_first_chunk::<N>() {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(*head)
            }
            None => Err(self.error("truncated", "the message ends inside a number")),
        }
    }

    fn take(&mut self, length: u64) -> Result<&'b [u8]> {
        let split = usize::try_from(length).ok().and_then(|at| self.rest.split_at_checked(at));
        match split {
            Some((head, rest)) => {
                self.rest = rest;
                Ok(head)
            }
            None => Err(self.error("truncated", "a length beyond the end of the message")),
        }
    }
}

impl<'b> Field<'b> {
    /// Where it ends in the payload.
    pub(super) fn end(&self) -> usize {
        self.end
    }

    fn wrong<T>(&self, what: &'static str) -> Result<T> {
        Err(WireError { reason: "malformed_protobuf", what, at: self.end })
    }

    pub(super) fn bytes(&self) -> Result<&'b [u8]> {
        match self.value {
            Wire::Bytes(bytes) => Ok(bytes),
            _ => self.wrong("expected bytes in the field that ends"),
        }
    }

    pub(super) fn message(&self) -> Result<Reader<'b>> {
        Ok(Reader { rest: self.bytes()?, end: self.end })
    }

    pub(super) fn text(&self, arena: &'b Bump) -> Result<&'b str> {
        Ok(wire::text(arena, self.bytes()?))
    }

    pub(super) fn varint(&self) -> Result<u64> {
        match self.value {
            Wire::Varint(number) => Ok(number),
            _ => self.wrong("expected a varint in the field that ends"),
        }
    }

    /// An `int64`, an `int32` or an enum.
    pub(super) fn int(&self) -> Result<i64> {
        Ok(self.varint()? as i64)
    }

    /// A `sint32`.
    pub(super) fn zigzag(&self) -> Result<i32> {
        let number = self.varint()? as u32;
        Ok((number >> 1) as i32 ^ -((number & 1) as i32))
    }

    pub(super) fn fixed64(&self) -> Result<u64> {
        match self.value {
            Wire::Fixed64(number) => Ok(number),
            _ => self.wrong("expected 8 bytes in the field that ends"),
        }
    }

    pub(super) fn fixed32(&self) -> Result<u32> {
        match self.value {
            Wire::Fixed32(number) => Ok(number),
            _ => self.wrong("expected 4 bytes in the field that ends"),
        }
    }

    pub(super) fn double(&self) -> Result<f64> {
        Ok(f64::from_bits(self.fixed64()?))
    }

    /// Calls `each` for every element of a repeated `fixed64` or `double`, packed or not.
    pub(super) fn each_fixed64(&self, mut each: impl FnMut(u64)) -> Result<()> {
        let Wire::Bytes(packed) = self.value else {
            each(self.fixed64()?);
            return Ok(());
        };
        let (numbers, rest) = packed.as_chunks::<8>();
        if !rest.is_empty() {
            return self.wrong("packed numbers of 8 bytes with a remainder in the field that ends");
        }
        numbers.iter().for_each(|number| each(u64::from_le_bytes(*number)));
        Ok(())
    }

    /// Calls `each` for every element of a repeated `uint64`, packed or not.
    pub(super) fn each_varint(&self, mut each: impl FnMut(u64)) -> Result<()> {
        let Wire::Bytes(_) = self.value else {
            each(self.varint()?);
            return Ok(());
        };
        let mut packed = self.message()?;
        while !packed.rest.is_empty() {
            each(packed.varint()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_read_as_prost_wrote_them(number: u64, signed: i32) {
            let mut bytes = Vec::new();
            prost::encoding::uint64::encode(1, &number, &mut bytes);
            prost::encoding::sint32::encode(2, &signed, &mut bytes);
            prost::encoding::fixed64::encode(3, &number, &mut bytes);
            let mut reader = Reader::new(&bytes);
            let mut next = || reader.field().ok().flatten().expect("a field");
            prop_assert_eq!(next().varint(), Ok(number));
            prop_assert_eq!(next().zigzag(), Ok(signed));
            prop_assert_eq!(next().fixed64(), Ok(number));
        }

        #[test]
        fn any_bytes_end_in_fields_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            let mut reader = Reader::new(&bytes);
            let mut left = bytes.len() + 1;
            while let Ok(Some(_)) = reader.field() {
                prop_assert!(reader.rest().len() < left, "no progress");
                left = reader.rest().len();
            }
        }
    }

    #[test]
    fn what_is_cut_or_overlong_is_named_with_its_place() {
        let read = |bytes: &'static [u8]| Reader::new(bytes).field().expect_err("malformed");
        assert_eq!(read(&[0x08, 0x80]).reason, "truncated");
        assert_eq!((read(&[0x0a, 5, 1]).reason, read(&[0x0a, 5, 1]).at), ("truncated", 2));
        assert_eq!(read(&[0x0b]).reason, "malformed_protobuf");
        assert_eq!(read(&[0xff; 11]).reason, "malformed_protobuf");
        assert_eq!(read(&[0x00, 0x00]).reason, "malformed_protobuf");
    }
}
