//! Collects problems while values are read, so that all of them are said at once.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::raw::Scalar;
use super::units::{self, UnitError};
use super::{Config, Problem, Problems, locate};

/// The reader of single values: on a problem it notes it and goes on with the default.
pub(super) struct Checker<'a> {
    text: &'a str,
    file: Option<&'a Path>,
    env: &'a dyn Fn(&str) -> Option<String>,
    problems: Vec<Problem>,
}

impl<'a> Checker<'a> {
    pub(super) fn new(
        text: &'a str,
        file: Option<&'a Path>,
        env: &'a dyn Fn(&str) -> Option<String>,
    ) -> Self {
        Self { text, file, env, problems: Vec::new() }
    }

    /// The configuration, if nothing was wrong.
    pub(super) fn finish(mut self, config: Config) -> Result<Config, Problems> {
        if self.problems.is_empty() {
            return Ok(config);
        }
        self.problems.sort_by_key(|problem| problem.line);
        Err(Problems(self.problems))
    }

    /// Notes a problem with a field of the file.
    pub(super) fn problem(
        &mut self,
        rule: &str,
        reason: impl Into<String>,
        hint: impl Into<String>,
    ) {
        self.problems.push(Problem {
            file: self.file.map(Path::to_owned),
            line: locate::line_of(self.text, rule),
            column: None,
            rule: rule.to_owned(),
            reason: reason.into(),
            hint: hint.into(),
        });
    }

    /// The whole text, for what is read from it by itself.
    pub(super) fn whole(&self) -> (PathBuf, &'a str) {
        (self.file.map(Path::to_owned).unwrap_or_default(), self.text)
    }

    /// Notes a problem as it is: of a flag, or of another file.
    pub(super) fn push(&mut self, problem: Problem) {
        self.problems.push(problem);
    }

    /// Directory of the file: what relative paths of other configuration files start from.
    pub(super) fn base(&self) -> PathBuf {
        self.file.and_then(Path::parent).map(Path::to_owned).unwrap_or_default()
    }

    /// A text, its `${NAME}` references replaced.
    pub(super) fn text(&mut self, rule: &str, value: Option<&Scalar>) -> Option<String> {
        let written = &value?.0;
        match units::expand(written, self.env) {
            Ok(text) => Some(text),
            Err(error) => {
                let hint = match &error {
                    UnitError::Unset(name) => {
                        format!(
                            "export {name}, or write ${{{name}:-default}}; `$${{` is a plain `${{`"
                        )
                    }
                    _ => "close the reference: ${NAME}; `$${` is a plain `${`".to_owned(),
                };
                // The text itself may hold a secret next to the reference: only the reason is shown.
                let reason = match error {
                    UnitError::Unclosed(_) => "a `${` has no `}`".to_owned(),
                    other => other.to_string(),
                };
                self.problem(rule, reason, hint);
                None
            }
        }
    }

    /// An address to listen on.
    pub(super) fn address(
        &mut self,
        rule: &str,
        value: Option<&Scalar>,
        default: SocketAddr,
    ) -> SocketAddr {
        let Some(text) = self.text(rule, value) else { return default };
        match text.replacen("localhost:", "127.0.0.1:", 1).parse() {
            Ok(address) => address,
            Err(_) => {
                let hint = format!(
                    "write IP:PORT, for example {default}, or 0.0.0.0:{} for every interface",
                    default.port()
                );
                self.problem(rule, format!("{text:?} is no address to listen on"), hint);
                default
            }
        }
    }

    /// A duration within bounds.
    pub(super) fn duration(
        &mut self,
        rule: &str,
        value: Option<&Scalar>,
        default: Duration,
        bounds: RangeInclusive<Duration>,
    ) -> Duration {
        let Some(text) = self.text(rule, value) else { return default };
        match units::duration(&text) {
            Ok(value) if bounds.contains(&value) => value,
            Ok(_) => {
                let hint = format!(
                    "{:?} to {:?}; the default is {default:?}",
                    bounds.start(),
                    bounds.end()
                );
                self.problem(rule, format!("{text} is out of bounds"), hint);
                default
            }
            Err(error) => {
                self.problem(
                    rule,
                    error.to_string(),
                    "a whole number and its unit: 500ms, 5s, 2m, 1h, 30d",
                );
                default
            }
        }
    }

    /// A size in bytes within bounds.
    pub(super) fn size(
        &mut self,
        rule: &str,
        value: Option<&Scalar>,
        default: usize,
        bounds: RangeInclusive<u64>,
    ) -> usize {
        let Some(text) = self.text(rule, value) else { return default };
        match units::size(&text) {
            Ok(value) if bounds.contains(&value) => usize::try_from(value).unwrap_or(default),
            Ok(_) => {
                let mib = |bytes: &u64| bytes >> 20;
                let hint = format!("{} MiB to {} MiB", mib(bounds.start()), mib(bounds.end()));
                self.problem(rule, format!("{text} is out of bounds"), hint);
                default
            }
            Err(error) => {
                self.problem(
                    rule,
                    error.to_string(),
                    "a whole number of bytes, or with its unit: 512MiB, 2GiB",
                );
                default
            }
        }
    }

    /// Yes or no.
    pub(super) fn flag(&mut self, rule: &str, value: Option<&Scalar>, default: bool) -> bool {
        match self.text(rule, value).as_deref() {
            None => default,
            Some("true") => true,
            Some("false") => false,
            Some(other) => {
                self.problem(rule, format!("{other:?} is neither"), "true or false");
                default
            }
        }
    }

    /// A whole number within bounds.
    pub(super) fn count(
        &mut self,
        rule: &str,
        value: Option<&Scalar>,
        default: usize,
        bounds: RangeInclusive<usize>,
    ) -> usize {
        let Some(text) = self.text(rule, value) else { return default };
        match text.parse() {
            Ok(value) if bounds.contains(&value) => value,
            _ => {
                let hint = format!(
                    "a whole number from {} to {}; the default is {default}",
                    bounds.start(),
                    bounds.end()
                );
                self.problem(rule, format!("{text:?} is not possible here"), hint);
                default
            }
        }
    }
}
