//! Why a worker did not start or stopped by itself, and whether only a person can help.

use crate::commit_log::head::Rejection;
use crate::commit_log::log::LogError;
use crate::table::delta::TableError;

/// Why the worker did not start or stopped by itself.
#[derive(Debug, Clone, thiserror::Error)]
#[error("worker: {text}")]
pub struct Error {
    text: String,
    cure: Cure,
}

/// What helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cure {
    /// Another start, may be.
    Start,
    /// Time: the store failed.
    Time,
    /// A person.
    Person,
}

impl Error {
    /// Something that another start may not meet.
    pub fn new(text: impl Into<String>) -> Self {
        Self { text: text.into(), cure: Cure::Start }
    }

    /// Something that no start can get around; the text says what a person has to do.
    pub fn decision(text: impl Into<String>) -> Self {
        Self { text: text.into(), cure: Cure::Person }
    }

    /// What the store failed at, and may do later.
    pub(super) fn failed_store(text: impl Into<String>) -> Self {
        Self { text: text.into(), cure: Cure::Time }
    }

    /// The same, of the store of this name.
    pub(super) fn of_store(mut self, name: &str) -> Self {
        self.text = format!("{name}: {}", self.text);
        self
    }

    /// What is wrong, and what to do.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a person has to do something before the worker can go on: decide, or restore what is
    /// gone or damaged. Intake and query go on meanwhile: Kafka keeps what comes.
    pub fn needs_decision(&self) -> bool {
        self.cure == Cure::Person
    }

    /// Whether the store did not do what was asked of it, and may do so later.
    pub fn may_pass(&self) -> bool {
        self.cure == Cure::Time
    }
}

impl From<LogError> for Error {
    fn from(error: LogError) -> Self {
        let cure = match &error {
            LogError::Damaged { .. }
            | LogError::Missing { .. }
            | LogError::Chain(_)
            | LogError::Foreign { .. }
            | LogError::Newer(_) => Cure::Person,
            LogError::Rejected(rejection) if is_for_a_person(rejection) => Cure::Person,
            LogError::Unsettled { .. } | LogError::Read { .. } => Cure::Time,
            LogError::Rejected(_) | LogError::Stale { .. } | LogError::Encode(_) => Cure::Start,
        };
        Self { text: error.to_string(), cure }
    }
}

fn is_for_a_person(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::Cluster { .. }
            | Rejection::Group { .. }
            | Rejection::Table { .. }
            | Rejection::Column { .. }
    )
}

impl From<TableError> for Error {
    fn from(error: TableError) -> Self {
        let error = match error {
            TableError::Log(error) => return Self::from(*error),
            error => error,
        };
        let cure = match &error {
            TableError::Replaced { .. }
            | TableError::Missing { .. }
            | TableError::Column { .. } => Cure::Person,
            TableError::Log(_) | TableError::Delta { .. } | TableError::GaveUp { .. } => Cure::Time,
        };
        Self { text: error.to_string(), cure }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_restart_can_not_help_needs_a_person() {
        let foreign = LogError::Foreign { key: "_sys/live/log/notes.txt".to_owned() };
        let error = Error::from(foreign).of_store("./data");
        assert!(error.needs_decision());
        assert!(error.text().starts_with("./data: commit log: foreign object"), "{error}");
        let table =
            Rejection::Table { table: "logs", expected: "a".to_owned(), found: "b".to_owned() };
        assert!(Error::from(LogError::Rejected(table)).needs_decision());
        let unread = TableError::GaveUp { table: "logs", attempts: 3, last: String::new() };
        let error = Error::from(unread);
        assert!(error.may_pass() && !error.needs_decision());
        let unclear = LogError::Stale { key: "k".to_owned() };
        assert!(!Error::from(unclear).needs_decision());
        assert!(!Error::new("operator").needs_decision());
        let failed = Error::failed_store("503").of_store("s3://b");
        assert!(failed.may_pass() && failed.text() == "s3://b: 503", "{failed}");
    }
}
