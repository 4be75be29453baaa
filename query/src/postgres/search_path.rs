//! Grafana asks whether a table's schema is in the search path, by a subquery over
//! `current_setting('search_path')`. The wire library replaces that subquery with `''`, which no schema
//! is called, so Grafana would see no table. Here it becomes the one schema of the search path.

use std::ops::ControlFlow;

use datafusion::sql::parser::Statement;
use datafusion::sql::sqlparser::ast::{Expr, Statement as Sql, Value, visit_expressions_mut};

/// What `current_setting('search_path')` answers.
pub(crate) const SEARCH_PATH: &str = "public";

/// The statement for planning, its empty search paths filled.
pub(super) fn filled(mut statement: Sql) -> Statement {
    let _: ControlFlow<()> = visit_expressions_mut(&mut statement, |expression| {
        if let Expr::InList { expr, list, .. } = expression
            && let [Expr::Value(path)] = list.as_mut_slice()
            && matches!(&path.value, Value::SingleQuotedString(text) if text.is_empty())
            && is_schema(expr)
        {
            path.value = Value::SingleQuotedString(SEARCH_PATH.to_owned());
        }
        ControlFlow::Continue(())
    });
    Statement::Statement(Box::new(statement))
}

/// `table_schema`, or a function of it: only there can an empty text stand for the search path.
fn is_schema(expression: &Expr) -> bool {
    match expression {
        Expr::Identifier(_) | Expr::CompoundIdentifier(_) | Expr::Function(_) => {
            expression.to_string().to_ascii_lowercase().contains("table_schema")
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use datafusion::sql::sqlparser::dialect::PostgreSqlDialect;
    use datafusion::sql::sqlparser::parser::Parser;

    use super::filled;

    #[test]
    fn only_an_empty_list_of_schemas_becomes_the_search_path() {
        for (sql, expected) in [
            ("SELECT 1 WHERE quote_ident(table_schema) IN ('')", "IN ('public')"),
            ("SELECT CASE WHEN t.table_schema IN ('') THEN 1 END FROM t", "IN ('public')"),
            ("SELECT 1 WHERE service IN ('')", "service IN ('')"),
            ("SELECT 1 WHERE table_schema IN ('', 'x')", "IN ('', 'x')"),
        ] {
            let parsed = Parser::parse_sql(&PostgreSqlDialect {}, sql).unwrap().remove(0);
            let text = filled(parsed).to_string();
            assert!(text.contains(expected), "{text}");
        }
    }
}
