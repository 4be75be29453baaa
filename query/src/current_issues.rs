//! `error_issues`: the last row of every issue in `error_issue_history`, without issues that became a part of
//! another one.

use std::sync::Arc;

use datafusion::catalog::TableProvider;
use datafusion::common::JoinType;
use datafusion::datasource::{ViewTable, provider_as_source};
use datafusion::error::Result;
use datafusion::functions_aggregate::expr_fn::max;
use datafusion::logical_expr::{LogicalPlanBuilder, col};
use schemas::issue::{ISSUE_ID, MERGED_INTO, SEQ};
use schemas::table::Table;

/// The number of an issue's last row.
const LAST: &str = "_last";

/// The view over one version of the history.
pub(crate) fn view(history: &Arc<dyn TableProvider>) -> Result<Arc<dyn TableProvider>> {
    let scan = || {
        let source = provider_as_source(Arc::clone(history));
        LogicalPlanBuilder::scan(Table::ErrorIssueHistory.name(), source, None)
    };
    // Numbers are not used twice: a row is the last of its issue if its number is the largest.
    let last = scan()?
        .aggregate(vec![col(ISSUE_ID)], vec![max(col(SEQ)).alias(LAST)])?
        .project(vec![col(LAST)])?
        .build()?;
    let plan = scan()?
        .join(last, JoinType::LeftSemi, (vec![SEQ], vec![LAST]), None)?
        .filter(col(MERGED_INTO).is_null())?
        .build()?;
    Ok(Arc::new(ViewTable::new(plan, None)))
}
