//! `json`: strict JSON; an object is merged, any other value is set.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::{Filtered, Object};
use crate::json;
use crate::value::Attributes;

/// Parses `text`.
pub(super) fn apply<'b>(arena: &'b Bump, text: &'b str) -> Filtered<'b> {
    let text = text.trim();
    if !text.starts_with('{') {
        return json::read_value(arena, text.as_bytes()).map_or(Filtered::Nothing, Filtered::Value);
    }
    let mut attributes = Attributes::new_in(arena);
    match json::read_object(arena, text.as_bytes(), &mut attributes) {
        Ok(()) => Filtered::Object(Object {
            dropped: attributes.dropped(),
            keeps_empty: true,
            fields: BumpVec::from_iter_in(attributes.iter(), arena),
        }),
        Err(_) => Filtered::Nothing,
    }
}
