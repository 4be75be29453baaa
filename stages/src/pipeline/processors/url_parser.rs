//! `url-parser`: a URL to scheme, host, port, path, query parameters and fragment.
//!
//! What is no absolute URL is a path with a query, as web servers log it. The port is the scheme's
//! own where none is written, as in Datadog's documentation. A parameter that repeats is an array.
//! Paths come out as the URL standard writes them: `/a/../b` is `/b`, a space is `%20`.

use std::sync::LazyLock;

use bumpalo::Bump;
use bumpalo::collections::Vec as BumpVec;
use schemas::limits::{MAX_QUERY_PARAMETERS, MAX_URL_BYTES};
use url::Url;

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

/// Against which a path is read; its host never shows.
static BASE: LazyLock<Option<Url>> = LazyLock::new(|| Url::parse("http://localhost/").ok());

/// Writes the parts of a URL below `target`.
pub(in crate::pipeline) fn write<'b>(
    arena: &'b Bump,
    text: &str,
    target: &str,
    normalize: bool,
    attributes: &mut Attributes<'b>,
) -> Outcome {
    let text = text.trim();
    if text.len() > MAX_URL_BYTES {
        return Err("the URL is longer than 16384 bytes");
    }
    let absolute = has_scheme(text);
    let parsed = match &*BASE {
        Some(base) if !absolute => base.join(text).ok(),
        _ => Url::parse(text).ok(),
    };
    let Some(url) = parsed else { return Err("the text is no URL") };
    let mut put = |name: &str, value: Value<'b>| {
        attributes.set(source::below(arena, target, name), value);
    };
    let text_of = |text: &str| Value::Str(arena.alloc_str(text));
    if absolute {
        put("scheme", text_of(url.scheme()));
    }
    if absolute || text.starts_with("//") {
        if let Some(host) = url.host_str() {
            put("host", text_of(host));
        }
        let port = if absolute { url.port_or_known_default() } else { url.port() };
        if let Some(port) = port {
            put("port", Value::Int(i64::from(port)));
        }
    }
    let path = path(&url, text, absolute, normalize);
    if !path.is_empty() {
        put("path", text_of(path));
    }
    if let Some(fragment) = url.fragment().filter(|fragment| !fragment.is_empty()) {
        put("hash", text_of(fragment));
    }
    let (parameters, all) = parameters(arena, &url);
    for (key, value) in parameters {
        let name = source::below(arena, "queryString", key);
        put(name, value);
    }
    if all { Ok(()) } else { Err("more than 256 query parameters: further ones are left out") }
}

fn has_scheme(text: &str) -> bool {
    let Some((scheme, _)) = text.split_once("://") else { return false };
    scheme.starts_with(|c: char| c.is_ascii_alphabetic())
        && scheme.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// The path as it stood: a relative one without the slash that reading it added.
fn path<'u>(url: &'u Url, text: &str, absolute: bool, normalize: bool) -> &'u str {
    let mut path = url.path();
    if !absolute && !text.starts_with(['/', '\\']) {
        path = path.strip_prefix('/').unwrap_or(path);
    }
    if normalize {
        let bare = path.trim_end_matches('/').len();
        path = path.get(..(bare + 1).min(path.len())).unwrap_or(path);
    }
    path
}

/// Parameters decoded, and whether these are all.
fn parameters<'b>(arena: &'b Bump, url: &Url) -> (BumpVec<'b, (&'b str, Value<'b>)>, bool) {
    let mut found: BumpVec<'b, (&'b str, BumpVec<'b, Value<'b>>)> = BumpVec::new_in(arena);
    let mut pairs = url.query_pairs();
    for (key, value) in pairs.by_ref().take(MAX_QUERY_PARAMETERS) {
        if key.is_empty() {
            continue;
        }
        let value = Value::Str(arena.alloc_str(&value));
        match found.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => found.push((arena.alloc_str(&key), bumpalo::vec![in arena; value])),
        }
    }
    let flat = found.into_iter().map(|(key, values)| match values.as_slice() {
        [one] => (key, *one),
        _ => (key, Value::Array(values.into_bump_slice())),
    });
    (BumpVec::from_iter_in(flat, arena), pairs.next().is_none())
}
