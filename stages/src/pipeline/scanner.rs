//! The sensitive-data scanner: finds keys, numbers of cards, addresses and the like in the message and
//! in all attributes, also inside arrays, and hides them before anything is counted or stored.
//!
//! All rules of a group are tried at once: one pass finds the literals that each rule needs
//! (`regex-filtered`, an Aho-Corasick automaton), only rules whose literals are there look for
//! matches, each in linear time. On overlapping matches the rule of the better priority wins, then
//! the earlier one. A match is counted by rule, never shown or logged.
//!
//! Not scanned: the fields that say where a log is from, and tags (as in Datadog).

mod checks;
mod library;
mod replacement;
mod rule;

use bumpalo::Bump;
use bumpalo::collections::{String as BumpString, Vec as BumpVec};
use regex_filtered::Regexes;
use schemas::limits::{MAX_SCANNER_RULES, MAX_TAGS};
use search::Query;
use xxhash_rust::xxh3::Xxh3;

use super::compile_query;
use super::compiler::Compiler;
use super::config::{ScannerConfig, ScannerGroupConfig};
use super::source;
use crate::event::LogEvent;
use crate::value::Value;
use rule::{Found, Rule};

/// All groups in order.
#[derive(Debug, Default)]
pub(super) struct Scanner {
    groups: Vec<Group>,
    /// `group/rule` by number.
    names: Vec<Box<str>>,
}

struct Group {
    filter: Query,
    /// Share of logs that is scanned.
    rate: f64,
    /// In order of precedence.
    rules: Vec<Rule>,
    /// Their expressions, in the same order.
    regexes: Regexes,
}

impl std::fmt::Debug for Group {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Group").field("rules", &self.rules).finish_non_exhaustive()
    }
}

/// Attributes that say where a log is from: never scanned.
const NEVER: [&str; 17] = [
    "host",
    "hostname",
    "syslog.hostname",
    "source",
    "ddsource",
    "service",
    "status",
    "env",
    "version",
    "trace_id",
    "span_id",
    "dd.trace_id",
    "dd.span_id",
    "timestamp",
    "@timestamp",
    "ddtags",
    "error.fingerprint",
];

impl Scanner {
    /// Compiles all groups.
    pub(super) fn compile(config: &ScannerConfig, compiler: &mut Compiler<'_>) -> Self {
        let mut scanner = Self::default();
        let rules: usize = config.groups.iter().map(|group| group.rules.len()).sum();
        if rules > MAX_SCANNER_RULES {
            let reason = format!("{rules} rules are more than {MAX_SCANNER_RULES}: remove some");
            compiler.refuse("sensitive_data_scanner.groups".to_owned(), reason);
            return scanner;
        }
        for (index, config) in config.groups.iter().enumerate() {
            let path = format!("sensitive_data_scanner.groups[{index}]");
            let group = Group::compile(config, &path, &mut scanner.names, compiler);
            let of_logs = config.product_list.iter().any(|product| product == "logs");
            if !of_logs {
                let note = super::ConfigError {
                    path: format!("{path}.product_list"),
                    reason: "has no effect: only logs are scanned".to_owned(),
                };
                compiler.notes.push(note);
            }
            scanner.groups.extend(group.filter(|_| config.is_enabled && of_logs));
        }
        scanner
    }

    /// The name of a rule.
    pub(super) fn name(&self, number: u16) -> Option<&str> {
        self.names.get(usize::from(number)).map(|name| &**name)
    }

    /// Scans a log: hides what is found, notes the rules, adds their tags.
    pub(super) fn run<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        for group in &self.groups {
            if group.filter.matches(event) && group.takes(event) {
                group.run(arena, event);
            }
        }
    }
}

impl Group {
    fn compile(
        config: &ScannerGroupConfig,
        path: &str,
        names: &mut Vec<Box<str>>,
        compiler: &mut Compiler<'_>,
    ) -> Option<Self> {
        let filter = compile_query(&config.filter.query, path, &mut compiler.errors);
        let sampling = config.samplings.iter().find(|sampling| sampling.product == "logs");
        let rate = sampling.map_or(100.0, |sampling| sampling.rate) / 100.0;
        if !(0.0..=1.0).contains(&rate) {
            compiler.refuse(format!("{path}.samplings"), "a rate is 0 to 100, in per cent");
        }
        let mut rules: Vec<(Rule, String)> = Vec::new();
        for (index, rule) in config.rules.iter().enumerate() {
            let path = format!("{path}.rules[{index}]");
            let number = u16::try_from(names.len()).unwrap_or(u16::MAX);
            names.push(format!("{}/{}", config.name, rule.name).into());
            let compiled = Rule::compile(rule, number, &path, compiler);
            rules.extend(compiled.filter(|_| rule.is_enabled));
        }
        rules.sort_by_key(|(rule, _)| rule.priority);
        let built = rules
            .iter()
            .try_fold(regex_filtered::Builder::new_atom_len(2), |builder, (_, pattern)| {
                builder.push(pattern).map_err(|error| error.to_string())
            })
            .and_then(|builder| builder.build().map_err(|error| error.to_string()));
        match built {
            Ok(regexes) => {
                let rules = rules.into_iter().map(|(rule, _)| rule).collect();
                Some(Self { filter: filter?, rate, rules, regexes })
            }
            Err(reason) => {
                compiler.refuse(format!("{path}.rules"), reason);
                None
            }
        }
    }

    /// Whether this log is in the sample: by its content, so that it is when it comes again.
    fn takes(&self, event: &LogEvent<'_>) -> bool {
        if self.rate >= 1.0 {
            return true;
        }
        let mut hasher = Xxh3::new();
        hasher.update(&event.time().nanos().to_le_bytes());
        for part in [event.service, event.host, event.message] {
            hasher.update(part.as_bytes());
            hasher.update(&[0]);
        }
        // 53 bits make a uniform number below one.
        let share = (hasher.digest() >> 11) as f64 / (1u64 << 53) as f64;
        share < self.rate
    }

    fn run<'b>(&self, arena: &'b Bump, event: &mut LogEvent<'b>) {
        let mut scan =
            Scan { group: self, arena, found: BumpVec::new_in(arena), hit: BumpVec::new_in(arena) };
        if let Some(text) = scan.text("message", event.message) {
            event.message = text;
        }
        for (path, value) in event.attributes.pairs_mut() {
            if !NEVER.contains(&path)
                && let Some(changed) = scan.value(path, value)
            {
                *value = changed;
            }
        }
        let hit = scan.hit;
        for index in hit {
            let Some(rule) = self.rules.get(index) else { continue };
            if !event.sensitive.contains(&rule.number) {
                event.sensitive.push(rule.number);
            }
            for tag in &rule.tags {
                if event.tags.len() < MAX_TAGS && !event.tags.contains(&&**tag) {
                    event.tags.push(arena.alloc_str(tag));
                }
            }
        }
    }
}

/// One group on one log.
struct Scan<'g, 'b> {
    group: &'g Group,
    arena: &'b Bump,
    /// Matches of the text being scanned, by their place; none overlaps another.
    found: BumpVec<'b, Found>,
    /// Rules that matched, each once.
    hit: BumpVec<'b, usize>,
}

impl<'b> Scan<'_, 'b> {
    /// The value without what is sensitive in it, where that changes it.
    fn value(&mut self, path: &'b str, value: &Value<'b>) -> Option<Value<'b>> {
        let arena = self.arena;
        match value {
            Value::Null | Value::Bool(_) | Value::Float(_) => None,
            Value::Str(text) => self.text(path, text).map(Value::Str),
            // Shorter than any rule's number.
            Value::Int(number) if number.unsigned_abs() < 10_000_000 => None,
            Value::Int(number) => {
                let text = bumpalo::format!(in arena, "{}", number).into_bump_str();
                self.text(path, text).map(Value::Str)
            }
            Value::Array(items) => {
                let mut changed: Option<BumpVec<'b, Value<'b>>> = None;
                for (index, item) in items.iter().enumerate() {
                    if let Some(new) = self.value(path, item) {
                        let copy = || BumpVec::from_iter_in(items.iter().copied(), arena);
                        if let Some(place) = changed.get_or_insert_with(copy).get_mut(index) {
                            *place = new;
                        }
                    }
                }
                changed.map(|items| Value::Array(items.into_bump_slice()))
            }
            Value::Object(fields) => {
                let mut changed: Option<BumpVec<'b, (&'b str, Value<'b>)>> = None;
                for (index, (key, item)) in fields.iter().enumerate() {
                    if let Some(new) = self.value(source::below(arena, path, key), item) {
                        let copy = || BumpVec::from_iter_in(fields.iter().copied(), arena);
                        if let Some(place) = changed.get_or_insert_with(copy).get_mut(index) {
                            place.1 = new;
                        }
                    }
                }
                changed.map(|fields| Value::Object(fields.into_bump_slice()))
            }
        }
    }

    /// The text without what is sensitive in it, where that changes it.
    fn text(&mut self, path: &str, text: &'b str) -> Option<&'b str> {
        self.found.clear();
        let group = self.group;
        for (index, regex) in group.regexes.matching(text) {
            let Some(rule) = group.rules.get(index) else { continue };
            if rule.reads(path) {
                rule.find(regex, path, text, index, &mut self.found);
            }
        }
        if self.found.is_empty() {
            return None;
        }
        let mut out = BumpString::with_capacity_in(text.len() + 16, self.arena);
        let (mut end, mut changed) = (0, false);
        for found in &self.found {
            if !self.hit.contains(&found.rule) {
                self.hit.push(found.rule);
            }
            let Some(rule) = group.rules.get(found.rule) else { continue };
            let matched = text.get(found.start..found.end).unwrap_or_default();
            out.push_str(text.get(end..found.start).unwrap_or_default());
            changed |= rule.replacement.write(matched, found.unread, &mut out);
            end = found.end;
        }
        out.push_str(text.get(end..).unwrap_or_default());
        changed.then(|| out.into_bump_str())
    }
}

#[cfg(test)]
mod tests;
