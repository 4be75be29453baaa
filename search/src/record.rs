//! What a query asks of a record. Values are handed to a test one after the other instead of being
//! returned, so that a record can show a value it has to format (a trace id) without an allocation.

use crate::ast::Reserved;

/// One value of an attribute.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Scalar<'a> {
    /// Text.
    Text(&'a str),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// A boolean.
    Bool(bool),
}

/// A record that can be searched. Every method that takes a `test` gives it the values in question
/// until it answers `true`, and returns whether it did.
pub trait Record {
    /// The text that free text looks into.
    fn message(&self) -> &str;

    /// A reserved attribute; an unknown one has no value.
    fn reserved(&self, field: Reserved, test: &mut dyn FnMut(&str) -> bool) -> bool;

    /// The values at a dotted path: the scalar there, or every element of the array there, also
    /// members of objects inside arrays.
    fn attribute(&self, path: &str, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool;

    /// Whether there is anything at a dotted path, be it an object.
    fn has_attribute(&self, path: &str) -> bool;

    /// The values of the tags with this key; a tag without a value has the empty one.
    fn tag(&self, key: &str, test: &mut dyn FnMut(&str) -> bool) -> bool;

    /// All tags as they are.
    fn tags(&self, test: &mut dyn FnMut(&str) -> bool) -> bool;

    /// Every value of every attribute.
    fn everything(&self, test: &mut dyn FnMut(Scalar<'_>) -> bool) -> bool;
}
