//! Trace and span ids: 128 and 64 bits, written as 32 and 16 lower-case hex characters.
//!
//! Sources: W3C Trace Context section 3.2.2; OTLP 1.11 (all-zero or wrong-length ids are invalid);
//! Datadog carries the low 64 bits in `trace_id` and the high 64 bits in the tag `_dd.p.tid`.

use std::fmt;

/// A 128-bit trace id; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(u128);

/// A 64-bit span id; never zero.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(u64);

impl TraceId {
    /// From its number; `None` for zero, which means "no trace".
    pub fn new(id: u128) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }

    /// From Datadog's two halves.
    pub fn from_halves(high: u64, low: u64) -> Option<Self> {
        Self::new(u128::from(high) << 64 | u128::from(low))
    }

    /// From 16 big-endian bytes, as OTLP carries it; `None` for another length or all zeros.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(u128::from_be_bytes(bytes.try_into().ok()?))
    }

    /// From hex of 1 to 32 digits, either case; shorter ids are padded with zeros on the left, as
    /// tools strip them.
    pub fn from_hex(text: &str) -> Option<Self> {
        (text.len() <= 32).then(|| parse_hex(text)).flatten().and_then(Self::new)
    }

    /// The number.
    pub fn get(self) -> u128 {
        self.0
    }

    /// The low 64 bits: what Datadog's logs and v0.4 spans carry as a decimal.
    pub fn low(self) -> u64 {
        self.0 as u64
    }

    /// 32 lower-case hex characters, without an allocation.
    pub fn hex(self) -> Hex<32> {
        Hex::new(self.0)
    }
}

impl SpanId {
    /// From its number; `None` for zero, which means "no span".
    pub fn new(id: u64) -> Option<Self> {
        (id != 0).then_some(Self(id))
    }

    /// From 8 big-endian bytes; `None` for another length or all zeros.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Self::new(u64::from_be_bytes(bytes.try_into().ok()?))
    }

    /// From hex of 1 to 16 digits, either case.
    pub fn from_hex(text: &str) -> Option<Self> {
        let id = (text.len() <= 16).then(|| parse_hex(text)).flatten()?;
        Self::new(u64::try_from(id).ok()?)
    }

    /// The number.
    pub fn get(self) -> u64 {
        self.0
    }

    /// 16 lower-case hex characters, without an allocation.
    pub fn hex(self) -> Hex<16> {
        Hex::new(u128::from(self.0))
    }
}

/// `N` lower-case hex characters on the stack.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Hex<const N: usize>([u8; N]);

impl<const N: usize> Hex<N> {
    /// The lower `4 * N` bits of a number.
    pub fn new(mut value: u128) -> Self {
        let mut digits = [b'0'; N];
        for digit in digits.iter_mut().rev() {
            *digit = b"0123456789abcdef"[(value & 0xf) as usize];
            value >>= 4;
        }
        Self(digits)
    }

    /// The characters.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl<const N: usize> fmt::Display for Hex<N> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TraceId({})", self.hex())
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SpanId({})", self.hex())
    }
}

/// Hex digits only: `u128::from_str_radix` would also take a sign.
fn parse_hex(text: &str) -> Option<u128> {
    if text.is_empty() {
        return None;
    }
    text.bytes().try_fold(0u128, |value, byte| {
        let digit = char::from(byte).to_digit(16)?;
        Some(value << 4 | u128::from(digit))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn zero_signs_and_long_ids_are_no_ids() {
        assert_eq!(TraceId::from_hex("0"), None);
        assert_eq!(TraceId::from_hex(""), None);
        assert_eq!(TraceId::from_hex("+1"), None);
        assert_eq!(TraceId::from_hex(&"1".repeat(33)), None);
        assert_eq!(SpanId::from_hex(&"1".repeat(17)), None);
        assert_eq!(TraceId::from_bytes(&[1; 15]), None);
    }

    #[test]
    fn stripped_zeros_come_back() {
        let id = TraceId::from_hex("abc").map(|id| id.hex().to_string());
        assert_eq!(id.as_deref(), Some("00000000000000000000000000000abc"));
    }

    proptest! {
        #[test]
        fn hex_reads_back(high: u64, low in 1u64..) {
            let id = TraceId::from_halves(high, low);
            prop_assert_eq!(id.and_then(|id| TraceId::from_hex(id.hex().as_str())), id);
            let span = SpanId::new(low);
            prop_assert_eq!(span.and_then(|id| SpanId::from_hex(id.hex().as_str())), span);
        }
    }
}
