//! The id of an issue: 128 bits, written as 32 lower-case hex characters, of which the first two
//! are the version of the algorithm that made it.

use std::fmt;

use schemas::id::Hex;

/// An issue's id. The same error has the same id on every worker and in every replay, as long as
/// algorithm and rules are the same.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct IssueId(u128);

impl IssueId {
    /// Characters of the text form.
    pub const LENGTH: usize = 32;

    /// Of a hash: its upper eight bits give way to the version.
    pub(crate) fn new(version: u8, hash: u128) -> Self {
        Self((hash >> 8) | (u128::from(version) << 120))
    }

    /// From 32 hex characters, either case; `None` for anything else.
    pub fn from_hex(text: &str) -> Option<Self> {
        let hex = text.len() == Self::LENGTH && text.bytes().all(|b| b.is_ascii_hexdigit());
        hex.then(|| u128::from_str_radix(text, 16).ok().map(Self)).flatten()
    }

    /// The number.
    pub fn get(self) -> u128 {
        self.0
    }

    /// Version of the algorithm that made it.
    pub fn version(self) -> u8 {
        (self.0 >> 120) as u8
    }

    /// 32 lower-case hex characters, without an allocation.
    pub fn hex(self) -> Hex<32> {
        Hex::new(self.0)
    }
}

impl fmt::Display for IssueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.hex().as_str())
    }
}

impl fmt::Debug for IssueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "IssueId({self})")
    }
}

impl serde::Serialize for IssueId {
    fn serialize<S: serde::Serializer>(&self, writer: S) -> Result<S::Ok, S::Error> {
        writer.serialize_str(self.hex().as_str())
    }
}

impl<'de> serde::Deserialize<'de> for IssueId {
    fn deserialize<D: serde::Deserializer<'de>>(reader: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(reader)?;
        Self::from_hex(&text).ok_or_else(|| {
            serde::de::Error::custom(format!("`{text}` is no issue id: 32 hex characters"))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_form_says_which_algorithm_made_it_and_can_be_read_back() {
        let id = IssueId::new(3, u128::MAX);
        assert_eq!(id.to_string(), "03ffffffffffffffffffffffffffffff");
        assert_eq!(id.version(), 3);
        assert_eq!(IssueId::from_hex(&id.to_string().to_uppercase()), Some(id));
        for bad in ["", "03", "03fffffffffffffffffffffffffffff", "+3ffffffffffffffffffffffffffffff"]
        {
            assert_eq!(IssueId::from_hex(bad), None, "{bad}");
        }
    }
}
