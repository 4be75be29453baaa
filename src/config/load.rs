//! From a file and flags to a checked [`Config`].

use std::path::{Path, PathBuf};

use super::check::Checker;
use super::raw::RawConfig;
use super::{Config, Problem, Problems, validate};

/// What flags and their environment variables say; wins over the file.
#[derive(Debug, Clone, Default)]
pub struct Overrides {
    /// `--data-dir`.
    pub data_dir: Option<PathBuf>,
    /// `--kafka`.
    pub kafka: Option<String>,
}

/// Reads and checks the configuration. Without a file, everything has its default.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn load(file: Option<&Path>, overrides: &Overrides) -> Result<Config, Problems> {
    let text = match file {
        Some(path) => crate::pipeline::text(path).map_err(|problem| Problems(vec![problem]))?,
        None => String::new(),
    };
    parse(&text, file, overrides, &|name| std::env::var(name).ok())
}

/// Checks a configuration that is not in a file.
///
/// # Errors
/// Everything that is wrong with it, at once.
pub fn from_text(text: &str, overrides: &Overrides) -> Result<Config, Problems> {
    parse(text, None, overrides, &|name| std::env::var(name).ok())
}

/// Checks a configuration text. `env` answers `${NAME}` references.
pub(super) fn parse(
    text: &str,
    file: Option<&Path>,
    overrides: &Overrides,
    env: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, Problems> {
    let raw: RawConfig =
        yaml(text).map_err(|error| Problems(vec![syntax_problem(file, &error)]))?;
    let mut checker = Checker::new(text, file, env);
    let config = validate::config(raw, overrides, &mut checker);
    checker.finish(config)
}

/// A document without any content means "all defaults".
fn yaml<T: Default + serde::de::DeserializeOwned>(text: &str) -> Result<T, serde_yaml_ng::Error> {
    let blank = |line: &str| line.trim().is_empty() || line.trim_start().starts_with('#');
    if text.lines().all(blank) {
        return Ok(T::default());
    }
    serde_yaml_ng::from_str(text)
}

/// What the YAML reader refused: it knows field and line itself.
fn syntax_problem(file: Option<&Path>, error: &serde_yaml_ng::Error) -> Problem {
    let text = error.to_string();
    let line = error.location().map(|location| location.line());
    let text = text.split(" at line ").next().unwrap_or_default();
    // `kafka.partitions: invalid type ...`: the reader puts the path in front.
    let (rule, reason) = match text.split_once(": ") {
        Some((path, reason)) if !path.contains(' ') => (path, reason),
        _ => ("", text),
    };
    let hint = if reason.contains("unknown field") {
        "check the spelling and the indentation; `config/tidemill.yaml` shows every field"
    } else {
        ""
    };
    Problem {
        file: file.map(Path::to_owned),
        line,
        column: None,
        rule: rule.to_owned(),
        reason: reason.to_owned(),
        hint: hint.to_owned(),
    }
}
