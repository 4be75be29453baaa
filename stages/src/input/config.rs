//! An input as a user writes it: `envelope: auto`, `multiline: auto` or `multiline: {start: '^\d{4}-'}`.

use std::sync::Arc;

use regex::bytes::{Regex, RegexBuilder};
use schemas::limits::{
    MAX_CONFIGURED_JOINED_LINES, MAX_JOINED_BYTES, MAX_JOINED_LINES, MAX_REGEX_BYTES,
};
use schemas::topic::Format;
use serde::Deserialize;

use super::envelope::Envelope;
use super::multiline::{Multiline, Pattern, Rule};
use super::{Input, Labels};
use crate::pipeline::config::ConfigError;

/// How lines are joined, as written.
#[derive(Debug, Clone, Deserialize)]
#[serde(
    untagged,
    expecting = "`whole`, `lines`, `auto`, or `{start: REGEX}` or `{continuation: REGEX}`"
)]
pub enum MultilineConfig {
    /// `whole`, `lines`, `auto`.
    Name(String),
    /// By a pattern of the user's own.
    Rule(RuleConfig),
}

/// A pattern and its limits.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RuleConfig {
    /// A line that matches begins a log.
    pub start: Option<String>,
    /// A line that matches continues a log.
    pub continuation: Option<String>,
    /// Lines of one log; 1,000 without.
    pub max_lines: Option<usize>,
    /// Bytes of one log; 1 MiB without, and at most.
    pub max_bytes: Option<usize>,
}

/// An input as written.
#[derive(Debug, Clone, Default)]
pub struct InputConfig {
    /// What is wrapped around the logs.
    pub envelope: Option<String>,
    /// Which lines are one log.
    pub multiline: Option<MultilineConfig>,
    /// What is said of all logs.
    pub labels: Labels,
}

/// Compiles an input; what is wrong with it is added to `errors`, by field. With an envelope each line is a log unless `multiline` says otherwise: envelopes are
/// put around lines.
pub fn compile(format: Format, config: &InputConfig, errors: &mut Vec<ConfigError>) -> Input {
    let mut fail = |path: &str, reason: String| {
        errors.push(ConfigError { path: path.to_owned(), reason });
    };
    let envelope = match config.envelope.as_deref().map(str::parse::<Envelope>).transpose() {
        Ok(envelope) => envelope.unwrap_or_default(),
        Err(error) => {
            fail("envelope", error.to_string());
            Envelope::None
        }
    };
    let default = match envelope {
        Envelope::None => Multiline::Whole,
        _ => Multiline::Lines,
    };
    let multiline = match &config.multiline {
        None => default,
        Some(MultilineConfig::Name(name)) => match name.as_str() {
            "whole" => Multiline::Whole,
            "lines" => Multiline::Lines,
            "auto" => Multiline::auto(),
            _ => {
                fail(
                    "multiline",
                    format!(
                        "unknown {name:?}; known: whole, lines, auto, {{start: REGEX}}, {{continuation: REGEX}}"
                    ),
                );
                default
            }
        },
        Some(MultilineConfig::Rule(rule)) => match rule.compile() {
            Ok(rule) => Multiline::Join(Arc::new(rule)),
            Err((field, reason)) => {
                fail(&format!("multiline.{field}"), reason);
                default
            }
        },
    };
    let is_set = envelope != Envelope::None || !matches!(multiline, Multiline::Whole);
    if is_set && !matches!(format, Format::Raw | Format::Json) {
        fail(
            "envelope",
            format!(
                "{format} messages have neither envelopes nor lines; remove envelope and multiline, or set format: raw or json"
            ),
        );
    }
    Input { format, envelope, multiline, labels: Arc::new(config.labels.clone()) }
}

impl RuleConfig {
    fn compile(&self) -> Result<Rule, (&'static str, String)> {
        let pattern = match (&self.start, &self.continuation) {
            (Some(start), None) => Pattern::Start(regex("start", start)?),
            (None, Some(text)) => Pattern::Continuation(regex("continuation", text)?),
            (None, None) => Pattern::Auto,
            (Some(_), Some(_)) => {
                return Err(("start", "stands beside continuation: keep one of them".to_owned()));
            }
        };
        let within = |field, value: Option<usize>, default, most| match value {
            Some(value) if value == 0 || value > most => {
                Err((field, format!("{value} is not between 1 and {most}")))
            }
            value => Ok(value.unwrap_or(default)),
        };
        Ok(Rule {
            pattern,
            max_lines: within(
                "max_lines",
                self.max_lines,
                MAX_JOINED_LINES,
                MAX_CONFIGURED_JOINED_LINES,
            )?,
            max_bytes: within("max_bytes", self.max_bytes, MAX_JOINED_BYTES, MAX_JOINED_BYTES)?,
        })
    }
}

fn regex(field: &'static str, text: &str) -> Result<Regex, (&'static str, String)> {
    let built = RegexBuilder::new(text).size_limit(MAX_REGEX_BYTES).build();
    built.map_err(|error| (field, format!("{error}; linear-time syntax, without look-around")))
}
