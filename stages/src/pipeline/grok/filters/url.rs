//! `url`: what the URL parser makes of an address.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::{Filtered, Object};
use crate::pipeline::processors::url_parser;
use crate::value::Attributes;

/// Reads an address; nothing where the text is none.
pub(super) fn apply<'b>(arena: &'b Bump, text: &'b str) -> Filtered<'b> {
    let mut parts = Attributes::new_in(arena);
    // What was left out is left out; without a part the text was no address.
    let complete = url_parser::write(arena, text, ROOT, false, &mut parts);
    if complete.is_err() && parts.is_empty() {
        return Filtered::Nothing;
    }
    let fields = parts
        .iter()
        .filter_map(|(path, value)| Some((path.strip_prefix(ROOT)?.strip_prefix('.')?, value)));
    let dropped = parts.dropped() + u32::from(complete.is_err());
    Filtered::Object(Object {
        fields: BumpVec::from_iter_in(fields, arena),
        dropped,
        keeps_empty: false,
    })
}

/// Where the parts are written before they go below the extract's path.
const ROOT: &str = "u";
