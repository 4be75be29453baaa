//! `url-parser`: a URL to scheme, host, port, path, query parameters and fragment.
//!
//! By the generic syntax of RFC 3986, and without changing what is written: published integrations expect
//! `%2F` and `+` in parameters as they came, `SSL` as a scheme, no port where none is written (the
//! documentation's example has 443 there), an empty path after a bare host. A library for URLs makes
//! all of these canonical. Only the host is in lower case. What has no scheme is a path with a query, as web
//! servers log it. A parameter with several values is an array.

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::{MAX_QUERY_PARAMETERS, MAX_URL_BYTES};

use super::Outcome;
use crate::event::LogEvent;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::UrlParserConfig;
use crate::pipeline::source;
use crate::value::{Attributes, Value};

/// Sources in order, and where the parts go.
#[derive(Debug)]
pub(in crate::pipeline) struct UrlParser {
    sources: Vec<Box<str>>,
    target: Box<str>,
    normalize: bool,
}

impl UrlParser {
    /// Checks the configuration.
    pub(super) fn compile(
        config: &UrlParserConfig,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let sources = super::sources(&config.sources, &["http.url"], path, compiler);
        let target = super::name(&config.target, "target", path, compiler);
        Some(Self {
            sources: sources?,
            target: target?,
            normalize: config.normalize_ending_slashes,
        })
    }

    /// Takes the first source with a text apart.
    pub(super) fn apply<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) -> Outcome {
        match source::first_text(arena, event, &self.sources) {
            Some(text) => write(arena, text, &self.target, self.normalize, &mut event.attributes),
            None => Ok(()),
        }
    }
}

/// Writes the parts of a URL below `target`.
pub(in crate::pipeline) fn write<'b>(
    arena: &'b Bump,
    text: &'b str,
    target: &str,
    normalize: bool,
    attributes: &mut Attributes<'b>,
) -> Outcome {
    let text = text.trim();
    if text.len() > MAX_URL_BYTES {
        return Err("the URL is longer than 16384 bytes");
    }
    let (text, hash) = text.split_once('#').unwrap_or((text, ""));
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    // Parameters that stood there were of another text: published pipelines expect them gone.
    if attributes.below(target).next().is_some() {
        attributes.remove_all(source::below(arena, target, "queryString"));
    }
    let mut put = |name: &str, value: Value<'b>| {
        attributes.set(source::below(arena, target, name), value);
    };
    let mut path = text;
    let scheme = scheme(text);
    if let Some((scheme, after)) = scheme {
        let (authority, rest) = after.split_at(after.find('/').unwrap_or(after.len()));
        let (host, port) = host(authority).ok_or("the text is no URL")?;
        put("scheme", Value::Str(scheme));
        put("host", Value::Str(lower(arena, host)));
        if let Some(port) = port {
            put("port", Value::Int(i64::from(port)));
        }
        path = rest;
    }
    if normalize {
        let bare = path.trim_end_matches('/').len();
        path = path.get(..(bare + 1).min(path.len())).unwrap_or(path);
    }
    if scheme.is_some() || !path.is_empty() {
        put("path", Value::Str(path));
    }
    if !hash.is_empty() {
        put("hash", Value::Str(hash));
    }
    let (parameters, all) = parameters(arena, query);
    for (key, value) in parameters {
        put(source::below(arena, "queryString", key), value);
    }
    if all { Ok(()) } else { Err("more than 256 query parameters: further ones are left out") }
}

/// The scheme and what follows `://`.
fn scheme(text: &str) -> Option<(&str, &str)> {
    let (scheme, after) = text.split_once("://")?;
    let good = scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte));
    good.then_some((scheme, after))
}

/// Host and port of `user:password@host:port`, none if it is no such thing.
fn host(authority: &str) -> Option<(&str, Option<u16>)> {
    let place = authority.rsplit_once('@').map_or(authority, |(_, place)| place);
    let (host, port) = match place.rsplit_once(':') {
        // The colons of an IPv6 address stand in brackets.
        Some((host, port)) if !port.ends_with(']') => (host, port),
        _ => (place, ""),
    };
    let port = if port.is_empty() { None } else { Some(port.parse().ok()?) };
    (!host.is_empty()).then_some((host, port))
}

fn lower<'b>(arena: &'b Bump, host: &'b str) -> &'b str {
    if host.bytes().any(|byte| byte.is_ascii_uppercase()) {
        let host = arena.alloc_str(host);
        host.make_ascii_lowercase();
        host
    } else {
        host
    }
}

/// Parameters as they are written, and whether these are all.
fn parameters<'b>(arena: &'b Bump, query: &'b str) -> (BumpVec<'b, (&'b str, Value<'b>)>, bool) {
    let mut found: BumpVec<'b, (&'b str, BumpVec<'b, Value<'b>>)> = BumpVec::new_in(arena);
    let mut pairs = query.split('&').map(|pair| pair.split_once('=').unwrap_or((pair, "")));
    for (key, value) in pairs.by_ref().take(MAX_QUERY_PARAMETERS) {
        if key.is_empty() {
            continue;
        }
        let value = Value::Str(value);
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) if values.contains(&value) => {}
            Some((_, values)) => values.push(value),
            None => found.push((key, bumpalo::vec![in arena; value])),
        }
    }
    let flat = found.into_iter().map(|(key, values)| match values.as_slice() {
        [one] => (key, *one),
        _ => (key, Value::Array(values.into_bump_slice())),
    });
    (BumpVec::from_iter_in(flat, arena), pairs.next().is_none())
}
