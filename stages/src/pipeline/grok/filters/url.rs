//! `url`: what the URL parser makes of an address.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;

use super::members::gather;
use super::{Fields, Filtered, querystring};
use crate::json::join;
use crate::value::Value;

/// Reads `scheme://user@host:port/path?query#hash`, every part of which may be missing except that
/// something must be there. The user is not kept.
pub(super) fn apply<'b>(arena: &'b Bump, text: &'b str) -> Filtered<'b> {
    let text = text.trim();
    let mut fields: Fields<'b> = BumpVec::new_in(arena);
    let mut put = |key, value: &'b str| {
        if !value.is_empty() {
            fields.push((key, Value::Str(value)));
        }
    };
    let (text, hash) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let mut rest = text;
    let mut port = None;
    if let Some((scheme, after)) = text.split_once("://")
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
    {
        put("scheme", scheme);
        let end = after.find('/').unwrap_or(after.len());
        let (authority, path) = after.split_at(end);
        let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
        let (host, number) = match place.rsplit_once(':') {
            Some((host, number)) if !number.contains(']') => (host, number),
            _ => (place, ""),
        };
        put("host", host);
        port = number.parse::<u16>().ok();
        if port.is_none() && !number.is_empty() {
            return Filtered::Nothing;
        }
        rest = path;
    }
    put("path", rest);
    put("hash", hash);
    if let Some(port) = port {
        fields.push(("port", Value::Int(i64::from(port))));
    }
    for (key, value) in querystring::apply(arena, query).fields {
        fields.push((join(arena, "queryString", key), value));
    }
    Filtered::Object(gather(arena, fields))
}
