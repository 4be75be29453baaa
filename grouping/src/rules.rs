//! What the configuration says about grouping: section `error_tracking` of a pipeline.
//!
//! Rules are written in Sentry's syntax, one a line, because it is known and documented:
//! `error.type:Timeout* service:shop -> timeouts, {{ function }}` (fingerprint rules) and
//! `function:retry* -app` (stack rules). A pattern's `*` stands for any characters, slashes too.

mod config;
mod fingerprint_rule;
mod glob;
mod line;
mod matcher;
mod stack_rule;

use hashbrown::HashMap;
use schemas::limits::{MAX_FINGERPRINT_FRAMES, MAX_GROUPING_RULES};
use schemas::status::Status;
use xxhash_rust::xxh3::xxh3_64;

pub use config::{InAppConfig, Lines, MergeConfig, RulesConfig, SplitConfig};
pub(crate) use fingerprint_rule::{FingerprintRule, Piece, Variable};
pub(crate) use glob::Glob;
pub(crate) use matcher::{Facts, Prepared};
pub(crate) use stack_rule::StackRule;

use crate::issue_id::IssueId;

/// One thing that is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct RuleError {
    /// Path within the section: `fingerprint_rules:3` is the third line.
    pub path: String,
    /// What is wrong, and the fix.
    pub reason: String,
}

/// Compiled rules.
#[derive(Debug)]
pub(crate) struct Rules {
    /// Content hash of the configuration, 16 hex characters.
    pub(crate) version: String,
    pub(crate) is_enabled: bool,
    /// The mildest status that is an error.
    pub(crate) worst: Status,
    /// Frames of the user's own code in a fingerprint.
    pub(crate) frames: usize,
    pub(crate) user_attribute: String,
    pub(crate) batch_attribute: String,
    pub(crate) include: Vec<Glob>,
    pub(crate) exclude: Vec<Glob>,
    pub(crate) stack: Vec<StackRule>,
    pub(crate) fingerprint: Vec<FingerprintRule>,
    pub(crate) merge: HashMap<IssueId, IssueId>,
    pub(crate) split: HashMap<IssueId, Vec<Variable>>,
}

impl Rules {
    /// Compiles a configuration, or says everything that is wrong with it.
    pub(crate) fn compile(config: &RulesConfig) -> Result<Self, Vec<RuleError>> {
        let mut errors = Vec::new();
        let count = config.stack_rules.0.len()
            + config.fingerprint_rules.0.len()
            + config.merge.len()
            + config.split.len();
        if count > MAX_GROUPING_RULES {
            let reason = format!("{count} rules are more than {MAX_GROUPING_RULES}: remove some");
            return Err(vec![RuleError { path: "error_tracking".to_owned(), reason }]);
        }
        let worst = status(&config.min_status, &mut errors);
        if !(1..=MAX_FINGERPRINT_FRAMES).contains(&config.frames) {
            let reason = format!("{} is not within 1 to {MAX_FINGERPRINT_FRAMES}", config.frames);
            errors.push(RuleError { path: "frames".to_owned(), reason });
        }
        let rules = Self {
            version: version(config),
            is_enabled: config.is_enabled,
            worst,
            frames: config.frames,
            user_attribute: config.user_attribute.clone(),
            batch_attribute: config.batch_attribute.clone(),
            include: globs(&config.in_app.include, "in_app.include", &mut errors),
            exclude: globs(&config.in_app.exclude, "in_app.exclude", &mut errors),
            stack: lines(&config.stack_rules, "stack_rules", StackRule::parse, &mut errors),
            fingerprint: lines(
                &config.fingerprint_rules,
                "fingerprint_rules",
                FingerprintRule::parse,
                &mut errors,
            ),
            merge: merges(&config.merge, &mut errors),
            split: splits(&config.split, &mut errors),
        };
        if errors.is_empty() { Ok(rules) } else { Err(errors) }
    }
}

/// The content hash: what was configured, not how it was written down.
fn version(config: &RulesConfig) -> String {
    format!("{:016x}", xxh3_64(&serde_json::to_vec(config).unwrap_or_default()))
}

fn status(text: &str, errors: &mut Vec<RuleError>) -> Status {
    let known = [
        Status::Emergency,
        Status::Alert,
        Status::Critical,
        Status::Error,
        Status::Warn,
        Status::Notice,
        Status::Info,
    ];
    known.into_iter().find(|status| status.as_str() == text).unwrap_or_else(|| {
        let reason = format!(
            "`{text}` is no status: error, critical, alert, emergency, warn, notice or info"
        );
        errors.push(RuleError { path: "min_status".to_owned(), reason });
        Status::Error
    })
}

fn globs(patterns: &[String], path: &str, errors: &mut Vec<RuleError>) -> Vec<Glob> {
    let compiled = patterns.iter().enumerate().filter_map(|(index, pattern)| {
        Glob::new(pattern, false)
            .map_err(|reason| errors.push(RuleError { path: format!("{path}[{index}]"), reason }))
            .ok()
    });
    compiled.collect()
}

/// The rules in `lines`; empty lines and comments are none.
fn lines<T>(
    lines: &Lines,
    path: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    errors: &mut Vec<RuleError>,
) -> Vec<T> {
    let mut rules = Vec::new();
    for (index, line) in lines.0.iter().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match parse(line) {
            Ok(rule) => rules.push(rule),
            Err(reason) => {
                let reason = format!("`{line}`: {reason}");
                errors.push(RuleError { path: format!("{path}:{}", index + 1), reason });
            }
        }
    }
    rules
}

fn issue(text: &str, path: String, errors: &mut Vec<RuleError>) -> Option<IssueId> {
    let id = IssueId::from_hex(text.trim());
    if id.is_none() {
        let reason =
            format!("`{text}` is no issue id: 32 hex characters, as `issue_id` shows them");
        errors.push(RuleError { path, reason });
    }
    id
}

/// From each merged id to the one that stands for it, chains followed to their end.
fn merges(configured: &[MergeConfig], errors: &mut Vec<RuleError>) -> HashMap<IssueId, IssueId> {
    let mut direct = HashMap::new();
    for (index, merge) in configured.iter().enumerate() {
        let Some(into) = issue(&merge.into, format!("merge[{index}].into"), errors) else {
            continue;
        };
        for (position, from) in merge.from.iter().enumerate() {
            let path = format!("merge[{index}].from[{position}]");
            let Some(from) = issue(from, path.clone(), errors) else { continue };
            let twice = direct.insert(from, into).is_some_and(|earlier| earlier != into);
            if twice || from == into {
                let reason = format!("`{from}` goes into itself or into two issues: keep one");
                errors.push(RuleError { path, reason });
            }
        }
    }
    let mut resolved = HashMap::new();
    for (from, into) in &direct {
        let (mut end, mut steps) = (*into, 0);
        while let Some(next) = direct.get(&end).filter(|_| steps <= direct.len()) {
            (end, steps) = (*next, steps + 1);
        }
        if steps > direct.len() {
            let reason = format!("`{from}` goes round in a circle");
            errors.push(RuleError { path: "merge".to_owned(), reason });
        }
        resolved.insert(*from, end);
    }
    // The map's order is chance; what is said about it must not be.
    errors.sort_by(|a, b| (&a.path, &a.reason).cmp(&(&b.path, &b.reason)));
    resolved
}

fn splits(
    configured: &[SplitConfig],
    errors: &mut Vec<RuleError>,
) -> HashMap<IssueId, Vec<Variable>> {
    let mut splits = HashMap::new();
    for (index, split) in configured.iter().enumerate() {
        let by: Vec<_> = split.by.iter().filter_map(|name| Variable::parse(name)).collect();
        if by.len() != split.by.len() || by.is_empty() {
            let reason = format!("{:?}: name variables: {}", split.by, Variable::KNOWN);
            errors.push(RuleError { path: format!("split[{index}].by"), reason });
        }
        if let Some(id) = issue(&split.issue, format!("split[{index}].issue"), errors) {
            splits.insert(id, by);
        }
    }
    splits
}

#[cfg(test)]
mod tests;
