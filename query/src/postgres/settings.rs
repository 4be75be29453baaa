//! Statements clients send around their queries: SET, SHOW, BEGIN, COMMIT, DISCARD, DEALLOCATE.
//! They are answered as PostgreSQL would and change nothing but the connection itself.

use std::time::Duration;

use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::{Set, Statement};
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::set_show::SetShowHook;
use datafusion_postgres::hooks::transactions::TransactionStatementHook;
use pgwire::api::ClientInfo;
use pgwire::api::results::{Response, Tag};
use pgwire::error::PgWireResult;

use super::wire_error;
use crate::error::{Code, QueryError};

/// Where a connection keeps its `statement_timeout`, milliseconds.
const TIMEOUT: &str = "statement_timeout_ms";

/// Settings the wire library keeps per connection and reports back.
const REPORTED: [&str; 6] = [
    "datestyle",
    "bytea_output",
    "intervalstyle",
    "application_name",
    "extra_float_digits",
    "search_path",
];

/// Whether a statement is one of these.
pub(super) fn is_setting(statement: &Statement) -> bool {
    matches!(
        statement,
        Statement::Set(_)
            | Statement::ShowVariable { .. }
            | Statement::ShowStatus { .. }
            | Statement::ShowCatalogs { .. }
            | Statement::StartTransaction { .. }
            | Statement::Commit { .. }
            | Statement::Rollback { .. }
            | Statement::Savepoint { .. }
            | Statement::ReleaseSavepoint { .. }
            | Statement::Discard { .. }
            | Statement::Deallocate { .. }
            | Statement::Close { .. }
            | Statement::Reset(_)
            | Statement::LISTEN { .. }
            | Statement::UNLISTEN { .. }
    )
}

/// The timeout the client set for its statements.
pub(super) fn timeout<C: ClientInfo + ?Sized>(client: &C) -> Option<Duration> {
    client.metadata().get(TIMEOUT)?.parse().ok().map(Duration::from_millis)
}

/// Answers such a statement.
pub(super) async fn answer(
    statement: &Statement,
    context: &SessionContext,
    client: &mut dyn HookClient,
) -> PgWireResult<Response> {
    let accepted = |tag: &str| Ok(Response::Execution(Tag::new(tag)));
    match statement {
        Statement::Set(set) => set_variable(set, statement, context, client).await,
        Statement::ShowVariable { .. }
        | Statement::ShowStatus { .. }
        | Statement::ShowCatalogs { .. } => {
            match SetShowHook.handle_simple_query(statement, context, client).await {
                Some(response) => response,
                None => accepted("SHOW"),
            }
        }
        Statement::StartTransaction { .. }
        | Statement::Commit { .. }
        | Statement::Rollback { .. } => {
            match TransactionStatementHook.handle_simple_query(statement, context, client).await {
                Some(response) => response,
                None => accepted("COMMIT"),
            }
        }
        Statement::Savepoint { .. } => accepted("SAVEPOINT"),
        Statement::ReleaseSavepoint { .. } => accepted("RELEASE"),
        Statement::Discard { .. } => accepted("DISCARD ALL"),
        Statement::Deallocate { .. } => accepted("DEALLOCATE"),
        Statement::Close { .. } => accepted("CLOSE CURSOR"),
        Statement::LISTEN { .. } => accepted("LISTEN"),
        Statement::UNLISTEN { .. } => accepted("UNLISTEN"),
        _ => accepted("RESET"),
    }
}

async fn set_variable(
    set: &Set,
    statement: &Statement,
    context: &SessionContext,
    client: &mut dyn HookClient,
) -> PgWireResult<Response> {
    let forward = match set {
        Set::SetTimeZone { .. } => true,
        Set::SingleAssignment { variable, values, .. } => {
            let name = variable.to_string().to_lowercase();
            if name == "statement_timeout" {
                let value = values.first().map(ToString::to_string).unwrap_or_default();
                let millis = parse_timeout(&value).map_err(wire_error)?;
                client.metadata_mut().insert(TIMEOUT.to_owned(), millis.to_string());
                if millis == 0 {
                    client.metadata_mut().remove(TIMEOUT);
                }
                return Ok(Response::Execution(Tag::new("SET")));
            }
            if name.starts_with("datafusion.") {
                return Err(wire_error(QueryError::new(
                    Code::NotAllowed,
                    format!("the setting {name} can not be changed by clients"),
                )));
            }
            REPORTED.contains(&name.as_str()) && !values.is_empty()
        }
        _ => false,
    };
    if forward
        && let Some(response) = SetShowHook.handle_simple_query(statement, context, client).await
    {
        return response;
    }
    Ok(Response::Execution(Tag::new("SET")))
}

/// Milliseconds of `5000`, `'5s'`, `'2min'`; 0 means no timeout of the client's own.
fn parse_timeout(text: &str) -> Result<u64, QueryError> {
    let text = text.trim_matches(['\'', '"', ' ']);
    let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
    let factor = match text[digits.len()..].trim() {
        "" | "ms" => Some(1),
        "s" => Some(1_000),
        "min" => Some(60_000),
        "h" => Some(3_600_000),
        _ => None,
    };
    digits
        .parse::<u64>()
        .ok()
        .zip(factor)
        .and_then(|(value, factor)| value.checked_mul(factor))
        .ok_or_else(|| {
            QueryError::new(Code::InvalidSql, format!("statement_timeout {text} is not a time"))
                .with_hint("write milliseconds, or a number with ms, s, min or h")
        })
}

#[cfg(test)]
mod tests {
    use super::parse_timeout;

    #[test]
    fn timeouts_are_read_in_every_unit() {
        for (text, millis) in
            [("5000", 5_000), ("'5s'", 5_000), ("'2 min'", 120_000), ("0", 0), ("'10ms'", 10)]
        {
            assert_eq!(parse_timeout(text).ok(), Some(millis), "{text}");
        }
        for text in ["soon", "-5", "99999999999999999999s", "18446744073709551615s", ""] {
            assert!(parse_timeout(text).is_err(), "{text}");
        }
    }
}
