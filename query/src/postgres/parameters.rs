//! The values a client bound to `$1`, `$2`, ...

use std::collections::HashMap;

use datafusion::arrow::datatypes::DataType;
use datafusion::common::ParamValues;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion_postgres::arrow_pg::datatypes::df::deserialize_parameters_with_server_types;
use pgwire::api::Type;
use pgwire::api::portal::Portal;
use pgwire::error::{PgWireError, PgWireResult};

/// Decodes the portal's parameters to the types the plan wants.
///
/// # Errors
/// When a value can not be read as its type.
pub(super) fn decode<S: Clone>(
    portal: &Portal<S>,
    plan: &LogicalPlan,
    advertised: &[Type],
) -> PgWireResult<ParamValues> {
    let inferred = types(plan)?;
    let inferred: Vec<Option<&DataType>> = inferred.iter().map(Option::as_ref).collect();
    let advertised: Vec<Option<&Type>> = advertised.iter().map(Some).collect();
    deserialize_parameters_with_server_types(portal, &inferred, &advertised)
}

/// Type of each parameter in order: from its use, else from a cast around it.
fn types(plan: &LogicalPlan) -> PgWireResult<Vec<Option<DataType>>> {
    let wrong = |error| PgWireError::ApiError(Box::new(error));
    let mut types = plan.get_parameter_types().map_err(wrong)?;
    plan.apply(|node| {
        note_limit(node, &mut types);
        for expr in node.expressions() {
            expr.apply(|expr| {
                note_cast(expr, &mut types);
                Ok(TreeNodeRecursion::Continue)
            })?;
        }
        Ok(TreeNodeRecursion::Continue)
    })
    .map_err(wrong)?;
    let mut ordered: Vec<_> = types.into_iter().collect();
    ordered.sort_by_key(|(id, _)| id.trim_start_matches('$').parse::<u32>().unwrap_or(u32::MAX));
    Ok(ordered.into_iter().map(|(_, data_type)| data_type).collect())
}

/// `LIMIT $1 OFFSET $2` are integers; the planner does not say so.
fn note_limit(node: &LogicalPlan, types: &mut HashMap<String, Option<DataType>>) {
    let LogicalPlan::Limit(limit) = node else { return };
    for count in [&limit.skip, &limit.fetch].into_iter().flatten() {
        if let Expr::Placeholder(placeholder) = count.as_ref() {
            types.entry(placeholder.id.clone()).or_default().get_or_insert(DataType::Int64);
        }
    }
}

fn note_cast(expr: &Expr, types: &mut HashMap<String, Option<DataType>>) {
    if let Expr::Cast(cast) = expr
        && let Expr::Placeholder(placeholder) = cast.expr.as_ref()
    {
        types
            .entry(placeholder.id.clone())
            .or_default()
            .get_or_insert_with(|| cast.field.data_type().clone());
    }
}
