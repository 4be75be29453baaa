//! One rule: what it looks for, where, and which matches it leaves alone.

use bumpalo::collections::Vec as BumpVec;
use regex::Regex;
use schemas::limits::{MAX_REGEX_BYTES, MAX_SCANNER_KEYWORDS, MAX_SCANNER_PLACES};

use super::checks::Check;
use super::library;
use super::replacement::Replacement;
use crate::pipeline::compiler::Compiler;
use crate::pipeline::config::{ScannerRuleConfig, SuppressionConfig};
use crate::value::is_within;

/// A group of this name in a pattern is what is hidden, in place of the whole match. Datadog's name.
const PART: &str = "sds_match";

/// A compiled rule; its expression stands with those of its group.
#[derive(Debug)]
pub(super) struct Rule {
    /// Its number among all rules.
    pub(super) number: u16,
    /// 1 (first) to 5.
    pub(super) priority: u8,
    pub(super) replacement: Replacement,
    pub(super) tags: Vec<Box<str>>,
    /// Number of the group that is hidden; 0 is the whole match.
    part: usize,
    check: Option<Check>,
    keywords: Option<Keywords>,
    suppressions: SuppressionConfig,
    namespaces: Vec<String>,
    excluded: Vec<String>,
}

/// A match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Found {
    /// First byte.
    pub(super) start: usize,
    /// One past the last byte.
    pub(super) end: usize,
    /// Index of the rule in its group.
    pub(super) rule: usize,
    /// Not a match but the rest of a text with too many places to look at.
    pub(super) unread: bool,
}

#[derive(Debug)]
struct Keywords {
    words: Vec<Box<str>>,
    within: usize,
}

impl Rule {
    /// Compiles a rule; the text is its expression.
    pub(super) fn compile(
        config: &ScannerRuleConfig,
        number: u16,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<(Self, String)> {
        let standard = match (&config.pattern, &config.standard_pattern) {
            (Some(_), None) => None,
            (None, Some(name)) => match library::find(name) {
                Some(standard) => Some(standard),
                None => {
                    let reason =
                        format!("no rule `{name}` in the library; there are {}", library::names());
                    compiler.refuse(format!("{path}.standard_pattern"), reason);
                    return None;
                }
            },
            _ => {
                compiler.refuse(path.to_owned(), "write one of pattern and standard_pattern");
                return None;
            }
        };
        let written = config.pattern.as_deref();
        let pattern = standard.map_or(written.unwrap_or_default(), |standard| standard.pattern);
        let regex = match regex::RegexBuilder::new(pattern).size_limit(MAX_REGEX_BYTES).build() {
            Ok(regex) if regex.is_match("") => {
                compiler
                    .refuse(format!("{path}.pattern"), "matches the empty text: nothing to hide");
                return None;
            }
            Ok(regex) => regex,
            Err(error) => {
                let reason = format!("{error} (look-around is refused: it is not linear)");
                compiler.refuse(format!("{path}.pattern"), reason);
                return None;
            }
        };
        if !(1..=5).contains(&config.priority) {
            compiler.refuse(format!("{path}.priority"), "must be 1 (first) to 5");
        }
        let part = regex.capture_names().position(|name| name == Some(PART)).unwrap_or(0);
        let rule = Self {
            number,
            priority: config.priority,
            replacement: Replacement::compile(&config.text_replacement, path, compiler),
            tags: config.tags.iter().map(|tag| tag.as_str().into()).collect(),
            part,
            check: standard.and_then(|standard| standard.check),
            keywords: Keywords::compile(config, standard, path, compiler),
            suppressions: config.suppressions.clone(),
            namespaces: config.namespaces.clone(),
            excluded: config.excluded_namespaces.clone(),
        };
        Some((rule, pattern.to_owned()))
    }

    /// Whether it scans this attribute.
    pub(super) fn reads(&self, path: &str) -> bool {
        let within = |root: &String| is_within(path, root);
        (self.namespaces.is_empty() || self.namespaces.iter().any(within))
            && !self.excluded.iter().any(within)
    }

    /// Adds its matches in `text` to `found`, between those of rules before it.
    ///
    /// A place that matches in form only is passed over by one character, so that a match that
    /// begins within it is found. After [`MAX_SCANNER_PLACES`] places the rest of the text is taken
    /// as one match: linear time, and nothing gets through unread.
    pub(super) fn find(
        &self,
        regex: &Regex,
        path: &str,
        text: &str,
        index: usize,
        found: &mut BumpVec<'_, Found>,
    ) {
        let mut locations = regex.capture_locations();
        let (mut at, mut places) = (0, 0);
        while let Some(whole) = self.next(regex, &mut locations, text, at) {
            places += 1;
            if places > MAX_SCANNER_PLACES {
                return rest(whole.0, text.len(), index, found);
            }
            let (start, end) = locations.get(self.part).unwrap_or(whole);
            let matched = text.get(start..end).unwrap_or_default();
            let good =
                start < end && self.takes(path, text.get(..whole.0).unwrap_or_default(), matched);
            let next = if good { end.max(whole.0) } else { whole.0 };
            at = if next > whole.0 {
                next
            } else {
                text.get(next..)
                    .and_then(|rest| rest.chars().next())
                    .map_or(text.len(), |c| next + c.len_utf8())
            };
            if good {
                insert(Found { start, end, rule: index, unread: false }, found);
            }
            if at >= text.len() {
                return;
            }
        }
    }

    /// The next place that has the form, and its groups where one of them is what is hidden.
    fn next(
        &self,
        regex: &Regex,
        locations: &mut regex::CaptureLocations,
        text: &str,
        at: usize,
    ) -> Option<(usize, usize)> {
        let found = if self.part == 0 {
            regex.find_at(text, at)
        } else {
            regex.captures_read_at(locations, text, at)
        };
        found.map(|found| (found.start(), found.end()))
    }

    fn takes(&self, path: &str, before: &str, matched: &str) -> bool {
        let suppressed = &self.suppressions;
        self.check.is_none_or(|check| check.holds(matched))
            && !suppressed.exact_match.iter().any(|text| text == matched)
            && !suppressed.starts_with.iter().any(|text| matched.starts_with(text.as_str()))
            && !suppressed.ends_with.iter().any(|text| matched.ends_with(text.as_str()))
            && self.keywords.as_ref().is_none_or(|keywords| keywords.stand(path, before))
    }
}

/// Puts a match in its place, unless a rule before has a part of it.
fn insert(new: Found, found: &mut BumpVec<'_, Found>) {
    let place = found.partition_point(|old| old.start < new.start);
    let free = found.get(place).is_none_or(|next| new.end <= next.start);
    let before = place.checked_sub(1).and_then(|place| found.get(place));
    if free && before.is_none_or(|before| before.end <= new.start) {
        found.insert(place, new);
    }
}

/// Takes the text from `start` on where it is free.
fn rest(mut start: usize, length: usize, index: usize, found: &mut BumpVec<'_, Found>) {
    let mut free = bumpalo::vec![in found.bump()];
    for old in found.iter() {
        if old.start > start {
            free.push(Found { start, end: old.start, rule: index, unread: true });
        }
        start = start.max(old.end);
    }
    if start < length {
        free.push(Found { start, end: length, rule: index, unread: true });
    }
    free.into_iter().for_each(|gap| insert(gap, found));
}

impl Keywords {
    fn compile(
        config: &ScannerRuleConfig,
        standard: Option<&library::Standard>,
        path: &str,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let written = config.included_keyword_configuration.as_ref();
        let path = format!("{path}.included_keyword_configuration");
        let mut words: Vec<Box<str>> = Vec::new();
        if let Some(written) = written {
            if written.keywords.len() > MAX_SCANNER_KEYWORDS {
                let reason = format!("more than {MAX_SCANNER_KEYWORDS} keywords: remove some");
                compiler.refuse(format!("{path}.keywords"), reason);
            }
            if written.keywords.iter().any(|word| word.trim().is_empty()) {
                compiler.refuse(format!("{path}.keywords"), "an empty keyword stands everywhere");
            }
            words.extend(written.keywords.iter().map(|word| word.trim().to_lowercase().into()));
        }
        // Some forms of the library mean nothing without their words.
        let needed = standard.is_some_and(|standard| standard.needs_keywords);
        let recommended = written.is_some_and(|written| written.use_recommended_keywords);
        if let Some(standard) = standard.filter(|_| needed || recommended) {
            words.extend(standard.keywords.iter().map(|word| (*word).into()));
        }
        let within = written.map_or(30, |written| written.character_count as usize);
        (!words.is_empty()).then_some(Self { words, within })
    }

    /// Whether one of the words stands shortly before, or in the attribute's name.
    fn stand(&self, path: &str, before: &str) -> bool {
        let last = self.within.saturating_sub(1);
        let start = before.char_indices().nth_back(last).map_or(0, |(at, _)| at);
        let window = before.get(start..).unwrap_or_default();
        self.words.iter().any(|word| has_word(window, word) || has_word(path, word))
    }
}

/// Whether `text` has the words in any case, whole, with any separator between them.
fn has_word(text: &str, word: &str) -> bool {
    let bytes = text.as_bytes();
    let separator = |byte: u8| b" -_./".contains(&byte);
    let same = |a: u8, b: u8| a.eq_ignore_ascii_case(&b) || separator(a) && separator(b);
    let boundary = |byte: Option<&u8>| byte.is_none_or(|byte| !byte.is_ascii_alphanumeric());
    bytes.windows(word.len()).enumerate().any(|(at, window)| {
        window.iter().zip(word.as_bytes()).all(|(a, b)| same(*a, *b))
            && boundary(at.checked_sub(1).and_then(|before| bytes.get(before)))
            && boundary(bytes.get(at + word.len()))
    })
}
