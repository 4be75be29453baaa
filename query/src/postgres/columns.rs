//! Column types the PostgreSQL wire has no word for, as JSON text: maps, structs, nested lists.

use datafusion::arrow::datatypes::DataType;
use datafusion::common::Column;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF};

use crate::error::QueryError;
use crate::functions::to_json::ToJson;

/// The plan with such columns turned into text; the plan itself when there are none.
pub(crate) fn as_wire_types(plan: LogicalPlan) -> Result<LogicalPlan, QueryError> {
    let fields = plan.schema().fields();
    let skip = matches!(
        plan,
        LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
    );
    if skip || fields.iter().all(|field| has_wire_type(field.data_type())) {
        return Ok(plan);
    }
    let to_json = ScalarUDF::from(ToJson::new());
    let columns: Vec<Expr> = plan
        .schema()
        .iter()
        .map(|(qualifier, field)| {
            let column = Expr::Column(Column::new(qualifier.cloned(), field.name()));
            if has_wire_type(field.data_type()) {
                column
            } else {
                to_json.call(vec![column]).alias(field.name())
            }
        })
        .collect();
    Ok(LogicalPlanBuilder::from(plan).project(columns)?.build()?)
}

fn has_wire_type(data_type: &DataType) -> bool {
    match data_type {
        DataType::Map(..)
        | DataType::Struct(_)
        | DataType::Union(..)
        | DataType::RunEndEncoded(..) => false,
        DataType::Decimal256(..) | DataType::Decimal32(..) | DataType::Decimal64(..) => false,
        DataType::List(item) | DataType::LargeList(item) | DataType::FixedSizeList(item, _) => {
            !item.data_type().is_nested() && has_wire_type(item.data_type())
        }
        _ => true,
    }
}
