//! `querystring`: `?a=1&b=2` to attributes; a repeated key becomes an array.

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};

use super::members::gather;
use super::{Fields, Object, uri};
use crate::value::Value;

/// Reads the pairs. Values stay text, as a URL has no types.
pub(super) fn apply<'b>(arena: &'b Bump, text: &'b str) -> Object<'b> {
    let mut fields: Fields<'b> = BumpVec::new_in(arena);
    let text = text.strip_prefix('?').unwrap_or(text);
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        let (key, value) = (decode(arena, key), decode(arena, value));
        if !key.is_empty() {
            fields.push((key, Value::Str(value)));
        }
    }
    gather(arena, fields)
}

/// `+` is a space in a query string.
fn decode<'b>(arena: &'b Bump, text: &'b str) -> &'b str {
    if !text.contains('+') {
        return uri::decode(arena, text);
    }
    let spaced = text.chars().map(|character| if character == '+' { ' ' } else { character });
    uri::decode(arena, BumpString::from_iter_in(spaced, arena).into_bump_str())
}
