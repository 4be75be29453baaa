//! What a connection can ask: simple queries, prepared statements, cancellation.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionContext;
use datafusion::sql::sqlparser::ast::Statement as Sql;
use datafusion_postgres::DfSessionService;
use datafusion_postgres::datafusion_pg_catalog::sql::PostgresCompatibilityParser;
use futures::Sink;
use pgwire::api::auth::StartupHandler;
use pgwire::api::auth::noop::NoopStartupHandler;
use pgwire::api::cancel::{CancelHandler, DefaultCancelHandler};
use pgwire::api::portal::{Format, Portal};
use pgwire::api::query::{ExtendedQueryHandler, SimpleQueryHandler};
use pgwire::api::results::Response;
use pgwire::api::stmt::QueryParser;
use pgwire::api::store::PortalStore;
use pgwire::api::{ClientInfo, ClientPortalStore, ConnectionManager, PgWireServerHandlers};
use pgwire::error::{ErrorInfo, PgWireError, PgWireResult};
use pgwire::messages::PgWireBackendMessage;
use pgwire::messages::response::TransactionStatus;

use crate::engine::{Engine, Limits, Work};
use crate::error::{Code, QueryError};
use crate::guard;

use super::guarded_parser::GuardedParser;
use super::parse_hook::ParseHook;
use super::{parameters, rows, search_path, settings, wire_error};

/// The handlers of all connections.
pub(super) struct Handlers {
    service: Arc<Service>,
    startup: Arc<Startup>,
    cancel: Arc<DefaultCancelHandler>,
}

impl Handlers {
    pub(super) fn new(engine: Engine) -> Self {
        let context = engine.idle_context();
        let hooks: Vec<Arc<dyn datafusion_postgres::QueryHook>> =
            vec![Arc::new(ParseHook(engine.clone()))];
        let parser = DfSessionService::new_with_hooks(Arc::clone(&context), hooks).query_parser();
        let parser = Arc::new(GuardedParser(parser));
        let connections = Arc::new(ConnectionManager::new());
        Self {
            service: Arc::new(Service {
                engine,
                context,
                parser,
                statements: PostgresCompatibilityParser::new(),
            }),
            startup: Arc::new(Startup(Arc::clone(&connections))),
            cancel: Arc::new(DefaultCancelHandler::new(connections)),
        }
    }
}

impl PgWireServerHandlers for Handlers {
    fn simple_query_handler(&self) -> Arc<impl SimpleQueryHandler> {
        Arc::clone(&self.service)
    }

    fn extended_query_handler(&self) -> Arc<impl ExtendedQueryHandler> {
        Arc::clone(&self.service)
    }

    fn startup_handler(&self) -> Arc<impl StartupHandler> {
        Arc::clone(&self.startup)
    }

    fn cancel_handler(&self) -> Arc<impl CancelHandler> {
        Arc::clone(&self.cancel)
    }
}

/// Lets everyone in and remembers the connection, so that it can be cancelled.
struct Startup(Arc<ConnectionManager>);

impl NoopStartupHandler for Startup {
    fn connection_manager(&self) -> Option<Arc<ConnectionManager>> {
        Some(Arc::clone(&self.0))
    }
}

/// Runs statements.
struct Service {
    engine: Engine,
    /// For the wire library's own hooks; no query runs in it.
    context: Arc<SessionContext>,
    parser: Arc<GuardedParser>,
    statements: PostgresCompatibilityParser,
}

/// A statement as the wire library stores it: its text, and its form and plan unless it was empty.
type Prepared = (String, Option<(Sql, LogicalPlan)>);

#[async_trait]
impl SimpleQueryHandler for Service {
    async fn do_query<C>(&self, client: &mut C, query: &str) -> PgWireResult<Vec<Response>>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        guard::check_text(query).map_err(wire_error)?;
        let statements = self.statements.parse(query).map_err(syntax_error)?;
        if statements.is_empty() {
            return Ok(vec![Response::EmptyQuery]);
        }
        let mut responses = Vec::with_capacity(statements.len());
        for statement in statements {
            if settings::is_setting(&statement) {
                responses.push(settings::answer(&statement, &self.context, client).await?);
                continue;
            }
            refuse_in_failed_transaction(client)?;
            let work = Work::Wire(Box::new(search_path::filled(statement)), None);
            let limits = Limits { max_rows: None, timeout: settings::timeout(client) };
            let answer = self.engine.run(work, limits).await.map_err(wire_error)?;
            responses.push(Response::Query(rows::respond(answer, &Format::UnifiedText).await?));
        }
        Ok(responses)
    }
}

#[async_trait]
impl ExtendedQueryHandler for Service {
    type Statement = Prepared;
    type QueryParser = GuardedParser;

    fn query_parser(&self) -> Arc<Self::QueryParser> {
        Arc::clone(&self.parser)
    }

    async fn do_query<C>(
        &self,
        client: &mut C,
        portal: &Portal<Self::Statement>,
        _max_rows: usize,
    ) -> PgWireResult<Response>
    where
        C: ClientInfo + ClientPortalStore + Sink<PgWireBackendMessage> + Unpin + Send + Sync,
        C::PortalStore: PortalStore,
        C::Error: std::fmt::Debug,
        PgWireError: From<<C as Sink<PgWireBackendMessage>>::Error>,
    {
        let prepared = &portal.statement.statement;
        let Some((statement, plan)) = &prepared.1 else { return Ok(Response::EmptyQuery) };
        if settings::is_setting(statement) {
            return settings::answer(statement, &self.context, client).await;
        }
        refuse_in_failed_transaction(client)?;
        let advertised = self.parser.get_parameter_types(prepared)?;
        let values = parameters::decode(portal, plan, &advertised)?;
        // Planned again at each execution: a prepared statement must see the tables as they are now.
        let statement = search_path::filled(statement.clone());
        let work = Work::Wire(Box::new(statement), Some(values));
        let limits = Limits { max_rows: None, timeout: settings::timeout(client) };
        let answer = self.engine.run(work, limits).await.map_err(wire_error)?;
        Ok(Response::Query(rows::respond(answer, &portal.result_column_format).await?))
    }
}

fn refuse_in_failed_transaction<C: ClientInfo>(client: &C) -> PgWireResult<()> {
    if client.transaction_status() == TransactionStatus::Error {
        return Err(PgWireError::UserError(Box::new(ErrorInfo::new(
            "ERROR".to_owned(),
            "25P02".to_owned(),
            "current transaction is aborted, commands ignored until end of transaction block"
                .to_owned(),
        ))));
    }
    Ok(())
}

fn syntax_error(error: datafusion::sql::sqlparser::parser::ParserError) -> PgWireError {
    wire_error(QueryError::new(Code::InvalidSql, error.to_string()))
}
