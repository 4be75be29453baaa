//! `search('service:web @http.status_code:>=500')`: Datadog's log search as a condition on the rows of
//! `logs` or `spans`.
//!
//! The planner turns it into two conditions: the query asked about each row ([`row`]), and what it
//! implies for single columns ([`implied`]), which statistics can prune by. So a row is found exactly
//! if the worker's filters would take the record it came from.

mod implied;
mod row;

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, BooleanArray, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::common::config::ConfigOptions;
use datafusion::common::tree_node::Transformed;
use datafusion::common::{Column, DFSchema, ScalarValue, TableReference, exec_err, plan_err};
use datafusion::error::Result;
use datafusion::logical_expr::expr_rewriter::FunctionRewrite;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility, lit,
};
use search::{Field, Node, Query};

/// Its name in SQL.
const NAME: &str = "search";

/// The function as the parser knows it; [`Rewrite`] replaces it before anything runs.
#[derive(Debug, PartialEq, Eq, Hash)]
pub(crate) struct Search {
    signature: Signature,
}

impl Search {
    pub(crate) fn new() -> Self {
        Self { signature: Signature::string(1, Volatility::Immutable) }
    }
}

impl ScalarUDFImpl for Search {
    fn name(&self) -> &str {
        NAME
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn invoke_with_args(&self, _args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("search() is a condition on the rows of logs or spans")
    }
}

/// Puts the columns in that a query looks at.
#[derive(Debug)]
pub(crate) struct Rewrite;

impl FunctionRewrite for Rewrite {
    fn name(&self) -> &str {
        NAME
    }

    fn rewrite(
        &self,
        expr: Expr,
        schema: &DFSchema,
        _config: &ConfigOptions,
    ) -> Result<Transformed<Expr>> {
        let Expr::ScalarFunction(function) = &expr else { return Ok(Transformed::no(expr)) };
        if function.func.name() != NAME {
            return Ok(Transformed::no(expr));
        }
        let text = match function.args.as_slice() {
            [Expr::Literal(value, _)] => text(value),
            _ => None,
        };
        let Some(text) = text else {
            return plan_err!("search takes one text: search('service:web status:error')");
        };
        let query = match Query::parse(text) {
            Ok(query) => query,
            Err(error) => return plan_err!("search('{text}'): {error}"),
        };
        let table = table(schema)?;
        Ok(Transformed::yes(condition(text, query, schema, table.as_ref())))
    }
}

fn text(value: &ScalarValue) -> Option<&str> {
    match value {
        ScalarValue::Utf8(text) | ScalarValue::Utf8View(text) | ScalarValue::LargeUtf8(text) => {
            text.as_deref()
        }
        _ => None,
    }
}

/// The one table that can be searched.
fn table(schema: &DFSchema) -> Result<Option<TableReference>> {
    let mut found: Vec<Option<TableReference>> = Vec::new();
    for (qualifier, field) in schema.iter() {
        let own = qualifier.cloned();
        let column = |name| schema.has_column(&Column::new(own.clone(), name));
        if field.name() == row::ATTRIBUTES && column(row::SERVICE) && !found.contains(&own) {
            found.push(own);
        }
    }
    match found.len() {
        1 => Ok(found.remove(0)),
        0 => plan_err!(
            "search() is a condition on the rows of logs or spans, with their columns service and \
             attributes"
        ),
        _ => plan_err!("search() can not tell which table: use it in a subquery over one of them"),
    }
}

/// What a query means for a row.
fn condition(text: &str, query: Query, schema: &DFSchema, table: Option<&TableReference>) -> Expr {
    if *query.ast() == Node::All {
        return lit(true);
    }
    let mut names = Vec::new();
    collect(query.ast(), &mut names);
    let column = |name: &str| Column::new(table.cloned(), name);
    names.retain(|name| schema.has_column(&column(name)));
    names.sort_unstable();
    names.dedup();
    let implied = implied::of(query.ast(), &|name| {
        let column = column(name);
        schema.has_column(&column).then_some(Expr::Column(column))
    });
    let args = names.iter().map(|name| Expr::Column(column(name))).collect();
    let row = ScalarUDF::from(SearchRow::new(text, query, names)).call(args);
    match implied {
        Some(implied) => implied.and(row),
        None => row,
    }
}

/// The columns a query looks at.
fn collect(node: &Node, names: &mut Vec<&'static str>) {
    match node {
        Node::All => {}
        Node::And(nodes) | Node::Or(nodes) => nodes.iter().for_each(|node| collect(node, names)),
        Node::Not(node) => collect(node, names),
        Node::Term(term) => names.extend(match &term.field {
            Field::Text => row::TEXT,
            Field::Everything => row::EVERYTHING,
            Field::Reserved(field) => row::reserved(*field),
            Field::Attribute(_) => row::OWN,
            Field::Tag(_) | Field::Tags => row::TAGGED,
        }),
    }
}

/// A query asked about rows.
#[derive(Debug)]
struct SearchRow {
    text: String,
    /// The columns given as arguments.
    names: Vec<&'static str>,
    query: Arc<Query>,
    signature: Signature,
}

impl SearchRow {
    fn new(text: &str, query: Query, names: Vec<&'static str>) -> Self {
        let signature = match names.len() {
            0 => Signature::nullary(Volatility::Immutable),
            count => Signature::any(count, Volatility::Immutable),
        };
        Self { text: text.to_owned(), names, query: Arc::new(query), signature }
    }
}

impl PartialEq for SearchRow {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text && self.names == other.names
    }
}

impl Eq for SearchRow {}

impl Hash for SearchRow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
        self.names.hash(state);
    }
}

impl ScalarUDFImpl for SearchRow {
    fn name(&self) -> &str {
        "search_row"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _given: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    /// In plans: the query as it was written.
    fn display_name(&self, _args: &[Expr]) -> Result<String> {
        Ok(format!("search('{}')", self.text))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let arrays = args
            .args
            .into_iter()
            .map(|value| value.into_array(args.number_rows))
            .collect::<Result<Vec<_>>>()?;
        let columns: Vec<(&str, &ArrayRef)> = self.names.iter().copied().zip(&arrays).collect();
        let found = rows(&self.query, &columns, args.number_rows)?;
        Ok(ColumnarValue::Array(Arc::new(found)))
    }
}

/// Which rows of a batch a query finds, columns given by name; those it does not look at may be
/// missing.
fn rows(query: &Query, columns: &[(&str, &ArrayRef)], count: usize) -> Result<BooleanArray> {
    let columns = row::Columns::new(columns)?;
    Ok((0..count).map(|row| Some(query.matches(&columns.row(row)))).collect())
}

/// Which rows of a batch of `logs` or `spans` a query finds: what [`Search`] answers in SQL.
///
/// # Errors
/// Columns of other types than the tables'.
pub fn search_rows(query: &Query, batch: &RecordBatch) -> Result<BooleanArray> {
    let schema = batch.schema();
    let names = schema.fields().iter().map(|field| field.name().as_str());
    let columns: Vec<(&str, &ArrayRef)> = names.zip(batch.columns()).collect();
    rows(query, &columns, batch.num_rows())
}
