//! The six questions. Each file asks one in SQL, prints the answer as a user would see it, and
//! checks it against the oracle.

mod excluded;
mod its_logs;
mod metric;
mod services;
mod slowest;
mod tables;

use std::path::PathBuf;

use serde_json::Value;

use super::truth::Truth;
use crate::api::{Api, ApiError};
use crate::commands::draw as table;

/// What the questions share.
pub(super) struct Context {
    pub(super) api: Api,
    pub(super) truth: Truth,
    /// Directory of the Delta tables.
    pub(super) tables: PathBuf,
}

/// An answer, ready to print.
pub(super) struct Answer {
    pub(super) title: &'static str,
    /// The SQL a user would type for it.
    pub(super) sql: String,
    /// The answer as text.
    pub(super) shown: String,
    pub(super) checks: Vec<Check>,
}

/// One comparison with the oracle.
pub(super) struct Check {
    pub(super) right: bool,
    pub(super) text: String,
}

impl Answer {
    fn new(title: &'static str, sql: String, shown: String) -> Self {
        Self { title, sql, shown, checks: Vec::new() }
    }

    /// Notes a comparison: what was to be found, and what was.
    fn check(&mut self, right: bool, text: impl Into<String>) {
        self.checks.push(Check { right, text: text.into() });
    }

    /// Notes that two numbers are the same.
    fn equal(&mut self, what: &str, found: u64, expected: u64) {
        let right = found == expected;
        let text = if right {
            format!("{what}: {found}, as sent")
        } else {
            format!("{what}: {found}, but {expected} were sent")
        };
        self.check(right, text);
    }

    /// Whether every comparison held, and there was one.
    pub(super) fn is_right(&self) -> bool {
        !self.checks.is_empty() && self.checks.iter().all(|check| check.right)
    }
}

/// How many there are.
pub(super) const COUNT: usize = 6;

/// Asks question `number`, from 0.
pub(super) async fn ask(number: usize, context: &mut Context) -> Result<Answer, ApiError> {
    match number {
        0 => services::ask(context).await,
        1 => slowest::ask(context).await,
        2 => its_logs::ask(context).await,
        3 => metric::ask(context).await,
        4 => excluded::ask(context).await,
        _ => tables::ask(context).await,
    }
}

/// A cell as a whole number; anything else counts as none.
fn whole(row: &[Value], column: usize) -> u64 {
    let value = row.get(column);
    let number = value.and_then(Value::as_u64);
    // Some encoders write sums of longs as floats or texts.
    let float =
        || value.and_then(Value::as_f64).filter(|float| float.fract() == 0.0 && *float >= 0.0);
    let parsed = || value.and_then(Value::as_str).and_then(|text| text.parse().ok());
    number.or_else(|| float().map(|float| float as u64)).or_else(parsed).unwrap_or(0)
}

/// A cell as a number.
fn float(row: &[Value], column: usize) -> f64 {
    row.get(column).and_then(Value::as_f64).unwrap_or(f64::NAN)
}

/// A cell as text.
fn text(row: &[Value], column: usize) -> &str {
    row.get(column).and_then(Value::as_str).unwrap_or_default()
}
