//! Planning for the extended protocol: every statement is described from our own guarded plan.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::{DFSchema, ParamValues};
use datafusion::logical_expr::{EmptyRelation, LogicalPlan};
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement as Sql;
use datafusion_postgres::QueryHook;
use datafusion_postgres::hooks::HookClient;
use datafusion_postgres::hooks::set_show::SetShowHook;
use pgwire::api::ClientInfo;
use pgwire::api::results::Response;
use pgwire::error::PgWireResult;

use crate::engine::Engine;

use super::wire_error;
use super::{search_path, settings};

/// Answers the parse step; the other two steps are in [`super::service`].
pub(super) struct ParseHook(pub(super) Engine);

#[async_trait]
impl QueryHook for ParseHook {
    async fn handle_simple_query(
        &self,
        _statement: &Sql,
        _context: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        None
    }

    async fn handle_extended_parse_query(
        &self,
        statement: &Sql,
        context: &SessionContext,
        client: &(dyn ClientInfo + Send + Sync),
    ) -> Option<PgWireResult<LogicalPlan>> {
        if settings::is_setting(statement) {
            let described =
                SetShowHook.handle_extended_parse_query(statement, context, client).await;
            return Some(described.unwrap_or_else(|| Ok(nothing())));
        }
        Some(self.0.plan(search_path::filled(statement.clone())).await.map_err(wire_error))
    }

    async fn handle_extended_query(
        &self,
        _statement: &Sql,
        _plan: &LogicalPlan,
        _parameters: &ParamValues,
        _context: &SessionContext,
        _client: &mut dyn HookClient,
    ) -> Option<PgWireResult<Response>> {
        None
    }
}

/// A plan without columns: what a statement that returns nothing is described by.
fn nothing() -> LogicalPlan {
    LogicalPlan::EmptyRelation(EmptyRelation {
        produce_one_row: false,
        schema: Arc::new(DFSchema::empty()),
    })
}
