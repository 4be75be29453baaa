//! Attribute values and attribute lists, borrowed from the payload or the batch's arena.
//!
//! Attributes are flat: a nested object `{"http": {"url": "/"}}` is the one pair `http.url`. That
//! is how users address attributes, how the tables store them, and it makes a lookup one scan over
//! a short list. Objects keep their shape only inside arrays.

use std::fmt;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use search::same;

/// One attribute value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Value<'b> {
    /// JSON `null`, an empty OTLP value.
    Null,
    /// A boolean.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Str(&'b str),
    /// An array.
    Array(&'b [Value<'b>]),
    /// An object inside an array.
    Object(&'b [(&'b str, Value<'b>)]),
}

impl<'b> Value<'b> {
    /// The text of a text value.
    pub fn as_str(&self) -> Option<&'b str> {
        match self {
            Value::Str(text) => Some(text),
            _ => None,
        }
    }

    /// The number of a numeric value; text is not parsed.
    pub fn as_f64(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            _ => None,
        }
    }

    /// The value as the tables store it: text as it is, everything else as JSON. Allocates in the
    /// arena only where there is something to format.
    pub fn text(&self, arena: &'b Bump) -> &'b str {
        match self {
            Value::Str(text) => text,
            Value::Bool(true) => "true",
            Value::Bool(false) => "false",
            Value::Null => "",
            other => bumpalo::format!(in arena, "{}", other).into_bump_str(),
        }
    }
}

/// JSON, except that top-level text has no quotes: what [`Value::text`] gives.
impl fmt::Display for Value<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Value::Str(text) => f.write_str(text),
            other => write_json(other, f),
        }
    }
}

/// Writes `value` as JSON.
pub fn write_json(value: &Value<'_>, out: &mut impl fmt::Write) -> fmt::Result {
    match value {
        Value::Null => out.write_str("null"),
        Value::Bool(flag) => write!(out, "{flag}"),
        Value::Int(number) => write!(out, "{number}"),
        Value::Float(number) if number.is_finite() => write!(out, "{number}"),
        Value::Float(number) => write!(out, "\"{number}\""),
        Value::Str(text) => write_json_text(text, out),
        Value::Array(items) => {
            out.write_char('[')?;
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_json(item, out)?;
            }
            out.write_char(']')
        }
        Value::Object(fields) => {
            out.write_char('{')?;
            for (index, (key, item)) in fields.iter().enumerate() {
                if index > 0 {
                    out.write_char(',')?;
                }
                write_json_text(key, out)?;
                out.write_char(':')?;
                write_json(item, out)?;
            }
            out.write_char('}')
        }
    }
}

/// Writes `text` as a JSON string.
pub fn write_json_text(text: &str, out: &mut impl fmt::Write) -> fmt::Result {
    out.write_char('"')?;
    for character in text.chars() {
        match character {
            '"' => out.write_str("\\\"")?,
            '\\' => out.write_str("\\\\")?,
            '\n' => out.write_str("\\n")?,
            '\r' => out.write_str("\\r")?,
            '\t' => out.write_str("\\t")?,
            control if control < ' ' => write!(out, "\\u{:04x}", control as u32)?,
            other => out.write_char(other)?,
        }
    }
    out.write_char('"')
}

/// Dotted paths and their values, in the order they came. A path occurs once.
#[derive(Debug, Clone)]
pub struct Attributes<'b> {
    pairs: BumpVec<'b, (&'b str, Value<'b>)>,
    /// The shapes of all paths that ever stood here: a path of another shape is not there, and most
    /// look-ups and most insertions end with that.
    shapes: u128,
    /// Pairs refused because of a limit.
    dropped: u32,
    /// Whether a value may be a list, also one written as text.
    lists: bool,
}

/// Room made at the first pair: growing step by step would copy most lists twice.
const FIRST_PAIRS: usize = 16;

/// One bit for a path, out of its length and three of its bytes.
pub(crate) fn shape(path: &str) -> u128 {
    let bytes = path.as_bytes();
    let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return 1 };
    let middle = bytes.get(bytes.len() / 2).unwrap_or(first);
    let mixed = bytes.len() * 37
        + usize::from(*first) * 5
        + usize::from(*middle) * 11
        + usize::from(*last) * 3;
    1 << (mixed % 128)
}

impl PartialEq for Attributes<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.pairs == other.pairs && self.dropped == other.dropped
    }
}

impl<'b> Attributes<'b> {
    /// None yet.
    pub fn new_in(arena: &'b Bump) -> Self {
        Self { pairs: BumpVec::new_in(arena), shapes: 0, dropped: 0, lists: false }
    }

    /// A copy with room for `more` further pairs.
    pub fn copy_in(&self, arena: &'b Bump, more: usize) -> Self {
        let mut pairs = BumpVec::with_capacity_in(self.pairs.len() + more, arena);
        pairs.extend_from_slice_copy(&self.pairs);
        Self { pairs, shapes: self.shapes, dropped: self.dropped, lists: self.lists }
    }

    /// Counts pairs that were kept out before they could become attributes.
    pub fn count_dropped(&mut self, pairs: u32) {
        self.dropped = self.dropped.saturating_add(pairs);
    }

    /// Whether a value may be a list, also one written as text.
    pub fn may_hold_lists(&self) -> bool {
        self.lists
    }

    /// The value at `path`.
    #[inline]
    pub fn get(&self, path: &str) -> Option<Value<'b>> {
        if self.shapes & shape(path) == 0 {
            return None;
        }
        self.pairs.iter().find(|(key, _)| same(key, path)).map(|(_, value)| *value)
    }

    /// The text at `path`, if it is text and not empty.
    pub fn get_str(&self, path: &str) -> Option<&'b str> {
        self.get(path).and_then(|value| value.as_str()).filter(|text| !text.is_empty())
    }

    /// Sets `path`, replacing what stood there. Over a limit, the pair is dropped and counted.
    pub fn set(&mut self, path: &'b str, value: Value<'b>) {
        self.set_shaped(shape(path), path, value);
    }

    /// The same where the path's shape is known.
    #[inline]
    pub(crate) fn set_shaped(&mut self, shape: u128, path: &'b str, value: Value<'b>) {
        if self.shapes & shape != 0
            && let Some(pair) = self.pairs.iter_mut().find(|(key, _)| same(key, path))
        {
            pair.1 = value;
            self.lists |= is_list(&value);
        } else {
            self.push_shaped(shape, path, value);
        }
    }

    /// Adds a pair whose path is known not to be there yet.
    pub fn push(&mut self, path: &'b str, value: Value<'b>) {
        self.push_shaped(shape(path), path, value);
    }

    #[inline]
    fn push_shaped(&mut self, shape: u128, path: &'b str, value: Value<'b>) {
        use schemas::limits::{MAX_ATTRIBUTE_KEY_BYTES, MAX_ATTRIBUTES};
        if self.pairs.len() >= MAX_ATTRIBUTES || path.len() > MAX_ATTRIBUTE_KEY_BYTES {
            self.count_dropped(1);
        } else {
            if self.pairs.capacity() == 0 {
                self.pairs.reserve_exact(FIRST_PAIRS);
            }
            self.shapes |= shape;
            self.lists |= is_list(&value);
            self.pairs.push((path, value));
        }
    }

    /// Removes `path`.
    pub fn remove(&mut self, path: &str) -> Option<Value<'b>> {
        if self.shapes & shape(path) == 0 {
            return None;
        }
        let index = self.pairs.iter().position(|(key, _)| *key == path)?;
        Some(self.pairs.remove(index).1)
    }

    /// Removes `path` and everything below it.
    pub fn remove_all(&mut self, path: &str) {
        self.pairs.retain(|(key, _)| !is_within(key, path));
    }

    /// All pairs in order.
    pub fn iter(&self) -> impl Iterator<Item = (&'b str, Value<'b>)> + '_ {
        self.pairs.iter().copied()
    }

    /// All values, to change in place.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut Value<'b>> {
        self.lists = true;
        self.pairs.iter_mut().map(|(_, value)| value)
    }

    /// All pairs in order, to change their values in place.
    pub fn pairs_mut(&mut self) -> impl Iterator<Item = (&'b str, &mut Value<'b>)> {
        self.lists = true;
        self.pairs.iter_mut().map(|(path, value)| (*path, value))
    }

    /// Pairs below `path` (the members of the object there), with their full paths.
    pub fn below<'a>(&'a self, path: &'a str) -> impl Iterator<Item = (&'b str, Value<'b>)> + 'a {
        self.iter().filter(move |(key, _)| key.len() > path.len() && is_within(key, path))
    }

    /// Number of pairs.
    pub fn len(&self) -> usize {
        self.pairs.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Pairs refused because of a limit.
    pub fn dropped(&self) -> u32 {
        self.dropped
    }
}

fn is_list(value: &Value<'_>) -> bool {
    match value {
        Value::Array(_) => true,
        Value::Str(text) => text.as_bytes().first() == Some(&b'['),
        _ => false,
    }
}

/// Whether `path` is `root` or below it.
pub(crate) fn is_within(path: &str, root: &str) -> bool {
    path.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn attributes_are_a_map_whatever_their_paths(
            steps in prop::collection::vec(("[abc.]{0,3}", any::<i64>(), any::<bool>()), 0..60),
        ) {
            let arena = Bump::new();
            let (mut attributes, mut map) = (Attributes::new_in(&arena), BTreeMap::new());
            for (path, number, remove) in &steps {
                if *remove {
                    let removed = attributes.remove(path);
                    prop_assert_eq!(removed, map.remove(path.as_str()).map(Value::Int));
                } else {
                    attributes.set(path, Value::Int(*number));
                    map.insert(path.as_str(), *number);
                }
                prop_assert_eq!(attributes.get(path), map.get(path.as_str()).copied().map(Value::Int));
            }
            prop_assert_eq!(attributes.len(), map.len());
            let copy = attributes.copy_in(&arena, 1);
            prop_assert!(map.iter().all(|(path, n)| copy.get(path) == Some(Value::Int(*n))));
        }
    }
}
