//! Read-only by construction: which statements are run at all.
//!
//! Two gates. First an allow-list over the parsed statement: what is not named here is refused,
//! whatever a later version of the parser learns. Then a check of the logical plan, which finds
//! data-changing nodes wherever they hide: in a common table expression, under EXPLAIN, behind
//! `SELECT ... INTO`. There is no third gate to rely on: the catalog has no writable table and the
//! runtime no store but ours.

use datafusion::execution::context::SQLOptions;
use datafusion::logical_expr::LogicalPlan;
use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::Statement as Sql;

use crate::error::{Code, QueryError};

/// Passes statements that only read.
pub(crate) fn check_statement(statement: &Statement) -> Result<(), QueryError> {
    match statement {
        Statement::Statement(sql) => check_sql(sql),
        Statement::Explain(explain) => match explain.statement.as_ref() {
            // EXPLAIN of EXPLAIN would recurse without need.
            Statement::Statement(sql) => check_sql(sql),
            _ => Err(refusal("this statement under EXPLAIN")),
        },
        Statement::CreateExternalTable(_) => Err(refusal("CREATE EXTERNAL TABLE")),
        Statement::CopyTo(_) => Err(refusal("COPY")),
        Statement::Reset(_) => Err(refusal("RESET")),
    }
}

fn check_sql(statement: &Sql) -> Result<(), QueryError> {
    match statement {
        Sql::Query(_)
        | Sql::ShowTables { .. }
        | Sql::ShowColumns { .. }
        | Sql::ShowVariable { .. }
        | Sql::ShowFunctions { .. }
        | Sql::ExplainTable { .. } => Ok(()),
        Sql::Explain { statement, .. } => match statement.as_ref() {
            Sql::Query(_) => Ok(()),
            _ => Err(refusal("this statement under EXPLAIN")),
        },
        other => Err(refusal(&first_word(&other.to_string()))),
    }
}

/// Passes plans that only read.
pub(crate) fn check_plan(plan: &LogicalPlan) -> Result<(), QueryError> {
    SQLOptions::new()
        .with_allow_ddl(false)
        .with_allow_dml(false)
        .with_allow_statements(false)
        .verify_plan(plan)
        .map_err(|_| refusal("a statement that changes data or settings"))
}

fn refusal(what: &str) -> QueryError {
    QueryError::new(Code::NotAllowed, format!("{what} is not allowed: the tables are read-only"))
        .with_hint("use SELECT, WITH, VALUES, EXPLAIN, SHOW or DESCRIBE")
}

/// The verb of a statement: enough to name it, never its literals.
fn first_word(text: &str) -> String {
    text.split_whitespace().next().unwrap_or("this statement").chars().take(24).collect()
}
