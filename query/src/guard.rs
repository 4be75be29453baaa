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
use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
use datafusion::sql::sqlparser::keywords::Keyword;
use datafusion::sql::sqlparser::tokenizer::{Token, Tokenizer};
use schemas::limits::{MAX_SQL_BYTES, MAX_SQL_OPERATORS};

use crate::error::{Code, QueryError};

/// Passes texts that are safe to parse: not too long, and without so many operators that the
/// expression tree, which others walk recursively, becomes deeper than a stack. (The parser itself
/// counts brackets but not chains such as `1 + 1 + ...`.)
pub(crate) fn check_text(sql: &str) -> Result<(), QueryError> {
    if sql.len() > MAX_SQL_BYTES {
        return Err(QueryError::new(
            Code::TooLarge,
            format!("the statement has {} bytes, more than the {MAX_SQL_BYTES} allowed", sql.len()),
        ));
    }
    // What can not be split into tokens can not be parsed either; the parser says why.
    let Ok(tokens) = Tokenizer::new(&PostgreSqlDialect {}, sql).tokenize() else { return Ok(()) };
    let operators: usize = tokens.iter().map(weight).sum();
    if operators > MAX_SQL_OPERATORS {
        return Err(QueryError::new(
            Code::TooLarge,
            format!(
                "the statement has {operators} operators, more than the {MAX_SQL_OPERATORS} allowed"
            ),
        )
        .with_hint("replace a long chain of OR by IN (...)"));
    }
    Ok(())
}

/// What a token adds. Joined and united queries are planned each on their own, so they weigh more.
fn weight(token: &Token) -> usize {
    match token {
        Token::Word(word)
            if matches!(
                word.keyword,
                Keyword::UNION | Keyword::EXCEPT | Keyword::INTERSECT | Keyword::JOIN
            ) =>
        {
            MAX_SQL_OPERATORS / 100
        }
        token => usize::from(is_operator(token)),
    }
}

fn is_operator(token: &Token) -> bool {
    match token {
        Token::Word(word) => matches!(
            word.keyword,
            Keyword::AND
                | Keyword::OR
                | Keyword::NOT
                | Keyword::IS
                | Keyword::LIKE
                | Keyword::COLLATE
                | Keyword::BETWEEN
        ),
        Token::EOF
        | Token::Number(..)
        | Token::Char(_)
        | Token::SingleQuotedString(_)
        | Token::DoubleQuotedString(_)
        | Token::EscapedStringLiteral(_)
        | Token::DollarQuotedString(_)
        | Token::NationalStringLiteral(_)
        | Token::HexStringLiteral(_)
        | Token::Placeholder(_)
        | Token::Comma
        | Token::Whitespace(_)
        | Token::Period
        | Token::LParen
        | Token::RParen
        | Token::RBracket
        | Token::SemiColon => false,
        _ => true,
    }
}

/// `SHOW TABLES` without conditions.
pub(crate) fn is_show_tables(statement: &Statement) -> bool {
    matches!(statement, Statement::Statement(sql) if matches!(sql.as_ref(), Sql::ShowTables { .. }))
}

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
