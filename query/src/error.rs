//! What can go wrong with a query, as its sender sees it: a stable code, what is wrong, how to fix it.

use datafusion::common::SchemaError;
use datafusion::error::DataFusionError;

/// The kind of a failure. Its name is part of the HTTP API; its SQLSTATE is PostgreSQL's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// The request is not what the endpoint takes.
    BadRequest,
    /// The text is not SQL, or names what does not exist.
    InvalidSql,
    /// The statement would change something, or reach outside the tables.
    NotAllowed,
    /// The statement failed on the data: a cast, a division by zero.
    ExecutionFailed,
    /// The request or the answer is larger than its limit.
    TooLarge,
    /// Too many queries run already.
    Busy,
    /// The query ran longer than it may.
    Timeout,
    /// The query was cancelled by its client or by a stopping server.
    Cancelled,
    /// The query needs more memory or spill space than it may use.
    ResourcesExhausted,
    /// The tables can not be read now.
    StorageUnavailable,
    /// A fault of the service itself.
    Internal,
}

impl Code {
    /// The stable name.
    pub fn as_str(self) -> &'static str {
        match self {
            Code::BadRequest => "bad_request",
            Code::InvalidSql => "invalid_sql",
            Code::NotAllowed => "not_allowed",
            Code::ExecutionFailed => "execution_failed",
            Code::TooLarge => "too_large",
            Code::Busy => "busy",
            Code::Timeout => "timeout",
            Code::Cancelled => "cancelled",
            Code::ResourcesExhausted => "resources_exhausted",
            Code::StorageUnavailable => "storage_unavailable",
            Code::Internal => "internal",
        }
    }

    /// HTTP status.
    pub fn http_status(self) -> u16 {
        match self {
            Code::BadRequest | Code::InvalidSql => 400,
            Code::NotAllowed => 403,
            Code::ExecutionFailed | Code::ResourcesExhausted => 422,
            Code::TooLarge => 413,
            Code::Busy => 429,
            Code::Timeout => 504,
            Code::Cancelled | Code::StorageUnavailable => 503,
            Code::Internal => 500,
        }
    }

    /// SQLSTATE (PostgreSQL, appendix A).
    pub fn sqlstate(self) -> &'static str {
        match self {
            Code::BadRequest => "08P01",
            Code::InvalidSql => "42601",
            Code::NotAllowed => "25006",
            Code::ExecutionFailed => "22000",
            Code::TooLarge => "54000",
            Code::Busy => "53300",
            Code::Timeout | Code::Cancelled => "57014",
            Code::ResourcesExhausted => "53200",
            Code::StorageUnavailable => "58030",
            Code::Internal => "XX000",
        }
    }
}

/// A failed query.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    /// What kind of failure.
    pub code: Code,
    /// What is wrong.
    pub message: String,
    /// How to fix it, where that is known.
    pub hint: Option<String>,
}

impl QueryError {
    /// A failure without a hint.
    pub fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with a hint.
    pub fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

impl From<DataFusionError> for QueryError {
    fn from(error: DataFusionError) -> Self {
        let hint = hint(error.find_root());
        let code = code(&error);
        let message = message(error.find_root());
        let hint = hint.or_else(|| match code {
            Code::ResourcesExhausted => Some(
                "narrow the time range, select fewer columns or raise query.memory_bytes"
                    .to_owned(),
            ),
            _ => None,
        });
        Self { code, message, hint }
    }
}

/// Marks a failure to read a table inside a [`DataFusionError`], so that planning tells it apart
/// from a wrong statement.
#[derive(Debug, thiserror::Error)]
#[error("table {table} can not be read: {reason}")]
pub(crate) struct TableUnreadable {
    /// SQL name.
    pub(crate) table: &'static str,
    /// The store's reason.
    pub(crate) reason: String,
}

fn code(error: &DataFusionError) -> Code {
    match error.find_root() {
        DataFusionError::SQL(..)
        | DataFusionError::Plan(_)
        | DataFusionError::SchemaError(..)
        | DataFusionError::NotImplemented(_)
        | DataFusionError::Configuration(_) => Code::InvalidSql,
        DataFusionError::ResourcesExhausted(_) => Code::ResourcesExhausted,
        DataFusionError::ObjectStore(_) | DataFusionError::IoError(_) => Code::StorageUnavailable,
        DataFusionError::External(inner) if inner.is::<TableUnreadable>() => {
            Code::StorageUnavailable
        }
        DataFusionError::Internal(_) => Code::Internal,
        _ => Code::ExecutionFailed,
    }
}

/// The root cause in one line, without the library's prefixes and back traces.
fn message(root: &DataFusionError) -> String {
    let text = match root {
        DataFusionError::SQL(error, _) => match error.as_ref() {
            datafusion::sql::sqlparser::parser::ParserError::TokenizerError(text)
            | datafusion::sql::sqlparser::parser::ParserError::ParserError(text) => text.clone(),
            datafusion::sql::sqlparser::parser::ParserError::RecursionLimitExceeded => {
                "the statement nests too deeply".to_owned()
            }
        },
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { field, .. } => {
                format!("column {} does not exist", field.flat_name())
            }
            other => other.to_string(),
        },
        other => other.strip_backtrace(),
    };
    // A wrong argument of one of our functions comes wrapped twice, with a list of candidates after it.
    if let Some((_, rest)) = text.split_once("coercion failed with: Error during planning: ") {
        return rest.split(". No function matches").next().unwrap_or(rest).to_owned();
    }
    for prefix in [
        "Error during planning: ",
        "Execution error: ",
        "External error: ",
        "Arrow error: ",
        "This feature is not implemented: ",
    ] {
        if let Some(rest) = text.strip_prefix(prefix) {
            return rest.to_owned();
        }
    }
    text
}

/// What to write instead: the nearest column or the list of tables.
fn hint(root: &DataFusionError) -> Option<String> {
    match root {
        DataFusionError::SchemaError(error, _) => match error.as_ref() {
            SchemaError::FieldNotFound { field, valid_fields } => {
                let names: Vec<&str> =
                    valid_fields.iter().map(|column| column.name.as_str()).collect();
                nearest(&field.name, &names)
                    .map(|name| format!("did you mean {name}?"))
                    .or_else(|| Some(format!("columns here: {}", join_some(&names))))
            }
            _ => None,
        },
        DataFusionError::Plan(text)
            if text.contains("not found") && text.starts_with("table '") =>
        {
            let tables = schemas::table::Table::ALL.iter().map(|table| table.name());
            let names: Vec<&str> = tables.chain([schemas::issue::CURRENT]).collect();
            let asked = text
                .split('\'')
                .nth(1)
                .and_then(|path| path.rsplit('.').next())
                .unwrap_or_default();
            Some(match nearest(asked, &names) {
                Some(name) => format!("did you mean {name}? the tables are {}", names.join(", ")),
                None => format!("the tables are {}", names.join(", ")),
            })
        }
        _ => None,
    }
}

/// At most thirty names: an error is read by a person.
fn join_some(names: &[&str]) -> String {
    names.iter().take(30).copied().collect::<Vec<_>>().join(", ")
}

/// The candidate within a third of its length in edits.
fn nearest<'a>(asked: &str, names: &[&'a str]) -> Option<&'a str> {
    names
        .iter()
        .map(|name| (distance(&asked.to_lowercase(), name), *name))
        .filter(|(edits, name)| *edits <= name.len().div_ceil(3))
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance in bytes; identifiers are short, so the quadratic way is fine.
fn distance(a: &str, b: &str) -> usize {
    let a: &[u8] = &a.as_bytes()[..a.len().min(64)];
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut diagonal = i;
        let mut left = i + 1;
        for (cell, y) in row.iter_mut().skip(1).zip(b.as_bytes()) {
            let above = *cell;
            let value = (diagonal + usize::from(x != y)).min(above + 1).min(left + 1);
            diagonal = above;
            left = value;
            *cell = value;
        }
        if let Some(first) = row.first_mut() {
            *first = i + 1;
        }
    }
    row.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_edits() {
        for (a, b, edits) in [
            ("", "", 0),
            ("a", "", 1),
            ("", "abc", 3),
            ("servce", "service", 1),
            ("kitten", "sitting", 3),
        ] {
            assert_eq!(distance(a, b), edits, "{a} {b}");
        }
    }

    #[test]
    fn nearest_offers_only_what_resembles() {
        assert_eq!(nearest("Servise", &["service", "env"]), Some("service"));
        assert_eq!(nearest("customer", &["service", "env"]), None);
    }
}
