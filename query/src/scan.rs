//! A table as planned queries see it: the Delta scan of one version, told which hours matter.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::error::Result;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;

use crate::prune::Bounds;

/// Adds predicates on `date`, `hour` and `timestamp` derived from the query's own filters.
#[derive(Debug)]
pub(crate) struct EventTimeScan {
    inner: Arc<dyn TableProvider>,
}

impl EventTimeScan {
    /// Wraps the scan of a table partitioned by `date` and `hour`.
    pub(crate) fn new(inner: Arc<dyn TableProvider>) -> Self {
        Self { inner }
    }
}

#[async_trait]
impl TableProvider for EventTimeScan {
    fn schema(&self) -> SchemaRef {
        self.inner.schema()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    fn supports_filters_pushdown(
        &self,
        filters: &[&Expr],
    ) -> Result<Vec<TableProviderFilterPushDown>> {
        let mut answers = self.inner.supports_filters_pushdown(filters)?;
        for (answer, filter) in answers.iter_mut().zip(filters) {
            if *answer == TableProviderFilterPushDown::Unsupported && Bounds::of(filter).is_some() {
                *answer = TableProviderFilterPushDown::Inexact;
            }
        }
        Ok(answers)
    }

    async fn scan(
        &self,
        state: &dyn Session,
        projection: Option<&Vec<usize>>,
        filters: &[Expr],
        limit: Option<usize>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let references: Vec<&Expr> = filters.iter().collect();
        let supported = self.inner.supports_filters_pushdown(&references)?;
        let mut pushed: Vec<Expr> = filters
            .iter()
            .zip(&supported)
            .filter(|(_, answer)| **answer != TableProviderFilterPushDown::Unsupported)
            .map(|(filter, _)| filter.clone())
            .collect();
        let derived = filters.iter().filter_map(Bounds::of).flat_map(Bounds::predicates);
        pushed.extend(derived);
        // A limit may only be pushed when the scan applies every filter.
        let all =
            supported.iter().all(|answer| *answer != TableProviderFilterPushDown::Unsupported);
        let limit = limit.filter(|_| all);
        self.inner.scan(state, projection, &pushed, limit).await
    }
}
