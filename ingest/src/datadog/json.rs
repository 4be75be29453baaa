//! JSON trace bodies (the agent takes them on v0.3 and v0.4) written as MessagePack of the same shape.

use std::fmt;

use bytes::Bytes;
use schemas::limits::{MAX_DECOMPRESSED_BYTES, MAX_DEPTH};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::msgpack::{put_text, put_unsigned};
use crate::refusal::Refusal;

/// Transcodes `body`.
///
/// # Errors
/// Malformed when it is not JSON, nests too deep, or grows beyond the limit of a decompressed body.
pub(super) fn to_msgpack(body: &[u8]) -> Result<Bytes, Refusal> {
    let mut out = Vec::with_capacity(body.len());
    let mut json = serde_json::Deserializer::from_slice(body);
    let seed = Value { out: &mut out, depth: MAX_DEPTH };
    seed.deserialize(&mut json)
        .and_then(|()| json.end())
        .map_err(|error| Refusal::malformed(format!("invalid JSON trace payload: {error}")))?;
    Ok(Bytes::from(out))
}

struct Value<'o> {
    out: &'o mut Vec<u8>,
    depth: usize,
}

impl<'de> DeserializeSeed<'de> for Value<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Value<'_> {
    fn nested<E: Error>(&mut self) -> Result<Value<'_>, E> {
        if self.depth == 0 {
            return Err(E::custom(format!("nested deeper than {MAX_DEPTH} levels")));
        }
        if self.out.len() > MAX_DECOMPRESSED_BYTES {
            return Err(E::custom("too large"));
        }
        Ok(Value { out: self.out, depth: self.depth - 1 })
    }

    /// Leaves room for a header whose count is known only at the end.
    fn open(&mut self, marker: u8) -> usize {
        self.out.extend_from_slice(&[marker, 0, 0, 0, 0]);
        self.out.len()
    }

    fn close(&mut self, end_of_header: usize, count: u32) {
        if let Some(room) = self.out.get_mut(end_of_header - 4..end_of_header) {
            room.copy_from_slice(&count.to_be_bytes());
        }
    }
}

impl<'de> Visitor<'de> for Value<'_> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any JSON value")
    }

    fn visit_unit<E: Error>(self) -> Result<(), E> {
        self.out.push(0xc0);
        Ok(())
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<(), E> {
        self.out.push(if value { 0xc3 } else { 0xc2 });
        Ok(())
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<(), E> {
        put_unsigned(self.out, value);
        Ok(())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<(), E> {
        self.out.push(0xd3);
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn visit_f64<E: Error>(self, value: f64) -> Result<(), E> {
        self.out.push(0xcb);
        self.out.extend_from_slice(&value.to_be_bytes());
        Ok(())
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        put_text(self.out, value.as_bytes());
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(mut self, mut array: A) -> Result<(), A::Error> {
        let header = self.open(0xdd);
        let mut count = 0;
        while array.next_element_seed(self.nested()?)?.is_some() {
            count += 1;
        }
        self.close(header, count);
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<(), A::Error> {
        let header = self.open(0xdf);
        let mut count = 0;
        while map.next_key_seed(self.nested()?)?.is_some() {
            map.next_value_seed(self.nested()?)?;
            count += 1;
        }
        self.close(header, count);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_becomes_the_same_values_in_msgpack() {
        let text = r#"[[{"a":1,"b":-2,"c":1.5,"d":null,"e":[true,"x"],"f":18446744073709551615}]]"#;
        let packed = to_msgpack(text.as_bytes()).expect("valid");
        let value: serde_json::Value = rmp_serde::from_slice(&packed).expect("valid");
        assert_eq!(value, serde_json::from_str::<serde_json::Value>(text).expect("valid"));
    }

    #[test]
    fn deep_or_broken_json_is_malformed() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(to_msgpack(deep.as_bytes()).is_err());
        for text in ["", "[", "[] []", "{]", "[\"\\ud800\"]"] {
            assert!(to_msgpack(text.as_bytes()).is_err(), "{text}");
        }
    }
}
