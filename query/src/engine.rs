//! Runs SQL over the published tables, for the servers and in process.
//!
//! Queries run on threads of their own, so that a heavy one can not starve intake or the worker in
//! the same process. Everything a query can take is bounded: text, time, rows, memory, spill,
//! how many run and how many wait.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::SchemaProvider;
use datafusion::common::ParamValues;
use datafusion::config::Dialect;
use datafusion::execution::SessionState;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{LogicalPlan, LogicalPlanBuilder};
use datafusion::sql::parser::Statement;
use futures::StreamExt;
use object_store::ObjectStore;
use schemas::limits::{
    MAX_CONCURRENT_QUERIES, MAX_RESULT_ROWS, MAX_WAITING_QUERIES, QUERY_MEMORY_BYTES,
    QUERY_TIMEOUT_SECONDS,
};
use schemas::table::Table;
use tokio::runtime::Runtime;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};
use tokio::time::timeout_at;

use crate::answer::{Answer, Coverage, Event, Task, timed_out};
use crate::catalog::{SCHEMA, Tables};
use crate::error::{Code, QueryError};
use crate::guard;
use crate::session::{Resources, Session, Template};

/// What queries may use.
#[derive(Debug, Clone)]
pub struct Options {
    /// Memory of all queries together, bytes.
    pub memory_bytes: usize,
    /// Longest run of a query; a query can ask for less.
    pub timeout: Duration,
    /// Rows one answer may have; a query can ask for less. `usize::MAX` is no limit: for readers in this
    /// process that take the rows as they come.
    pub max_rows: usize,
    /// Where large sorts and joins spill; the system's directory for temporary files when `None`.
    pub spill_dir: Option<PathBuf>,
    /// Threads for queries; one per core when `None`.
    pub threads: Option<usize>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            memory_bytes: QUERY_MEMORY_BYTES,
            timeout: Duration::from_secs(QUERY_TIMEOUT_SECONDS),
            max_rows: MAX_RESULT_ROWS,
            spill_dir: None,
            threads: None,
        }
    }
}

/// What one query asks for beside its text.
#[derive(Debug, Clone, Copy, Default)]
pub struct Limits {
    /// Rows wanted; the engine's own limit when `None` or larger.
    pub max_rows: Option<usize>,
    /// Time granted; the engine's own limit when `None` or longer.
    pub timeout: Option<Duration>,
}

/// The query engine over one store.
#[derive(Clone)]
pub struct Engine {
    inner: Arc<Inner>,
}

struct Inner {
    template: Template,
    options: Options,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
    /// Dropped in the background: a runtime must not be dropped where async code runs.
    runtime: Option<Runtime>,
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// What to run.
pub(crate) enum Work {
    /// SQL text.
    Text(String),
    /// A parsed statement with the values of its parameters, for the PostgreSQL wire.
    Wire(Box<Statement>, Option<ParamValues>),
}

impl Engine {
    /// An engine over the tables of `store`. Reads nothing until the first query.
    ///
    /// # Errors
    /// When threads or the spill directory can not be had.
    pub fn open(store: Arc<dyn ObjectStore>, options: Options) -> Result<Self, QueryError> {
        let internal = |what: &str, error: &dyn std::fmt::Display| {
            QueryError::new(Code::Internal, format!("query engine: {what}: {error}"))
        };
        let threads = options
            .threads
            .unwrap_or_else(|| {
                std::thread::available_parallelism().map_or(2, std::num::NonZero::get)
            })
            .max(2);
        let tables =
            Arc::new(Tables::new(&store).map_err(|error| internal("table address", &error))?);
        let resources = Resources {
            memory_bytes: options.memory_bytes,
            spill_dir: options.spill_dir.clone(),
            threads,
        };
        let template = Template::new(store, tables, &resources)
            .map_err(|error| internal("session", &error))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(threads)
            .thread_name("query")
            .thread_stack_size(STACK_BYTES)
            .enable_all()
            .build()
            .map_err(|error| internal("threads", &error))?;
        Ok(Self {
            inner: Arc::new(Inner {
                template,
                options,
                running: Arc::new(Semaphore::new(MAX_CONCURRENT_QUERIES)),
                admitted: Arc::new(Semaphore::new(MAX_CONCURRENT_QUERIES + MAX_WAITING_QUERIES)),
                runtime: Some(runtime),
            }),
        })
    }

    /// Runs one statement. Returns when its columns are known; the rows follow.
    ///
    /// # Errors
    /// When the statement is refused, wrong, or fails before its first row.
    pub async fn query(&self, sql: &str, limits: Limits) -> Result<Answer, QueryError> {
        guard::check_text(sql)?;
        self.run(Work::Text(sql.to_owned()), limits).await
    }

    /// Plans without running, for the PostgreSQL wire's description of a statement.
    pub(crate) async fn plan(&self, statement: Statement) -> Result<LogicalPlan, QueryError> {
        let inner = Arc::clone(&self.inner);
        let planning = async move {
            let session = inner.template.session()?;
            plan(&session, Work::Wire(Box::new(statement), None)).await
        };
        self.runtime()?.spawn(planning).await.unwrap_or_else(|_| {
            Err(QueryError::new(Code::Internal, "planning stopped without an answer"))
        })
    }

    /// Every table with its columns and what it covers now.
    ///
    /// # Errors
    /// When a table can not be read.
    pub async fn tables(&self) -> Result<Vec<(Coverage, SchemaRef)>, QueryError> {
        let inner = Arc::clone(&self.inner);
        let looking = async move {
            let session = inner.template.session()?;
            let mut tables = Vec::with_capacity(Table::ALL.len());
            for table in Table::ALL {
                if let Some(provider) = session.schema.table(table.name()).await? {
                    tables.push((table, provider.schema()));
                }
            }
            let covered = session
                .schema
                .pinned()
                .into_iter()
                .map(|(table, pinned)| Coverage::of(table, &pinned));
            Ok(covered.zip(tables).map(|(coverage, (_, schema))| (coverage, schema)).collect())
        };
        self.runtime()?.spawn(looking).await.unwrap_or_else(|_| {
            Err(QueryError::new(Code::Internal, "the lookup stopped without an answer"))
        })
    }

    /// How many queries run now.
    pub fn running(&self) -> usize {
        MAX_CONCURRENT_QUERIES - self.inner.running.available_permits()
    }

    /// The limits the engine was opened with.
    pub fn options(&self) -> &Options {
        &self.inner.options
    }

    /// A session for libraries that ask for one; no query runs in it.
    pub(crate) fn idle_context(&self) -> Arc<SessionContext> {
        self.inner.template.idle_context()
    }

    pub(crate) async fn run(&self, work: Work, limits: Limits) -> Result<Answer, QueryError> {
        let started = Instant::now();
        let options = &self.inner.options;
        let limit = limits.max_rows.unwrap_or(options.max_rows).min(options.max_rows);
        let timeout = limits.timeout.unwrap_or(options.timeout).min(options.timeout);
        let deadline = tokio::time::Instant::now() + timeout;
        let permits = self.admit(deadline).await?;

        let (ready, readiness) = oneshot::channel();
        let (events, receiver) = mpsc::channel(QUEUED_BATCHES);
        let inner = Arc::clone(&self.inner);
        let task = self.runtime()?.spawn(async move {
            let _permits = permits;
            match timeout_at(deadline, execute(&inner.template, work, limit, ready, &events)).await
            {
                Ok(Ok(())) => drop(events.send(Event::End).await),
                Ok(Err(error)) => drop(events.send(Event::Failed(error)).await),
                Err(_) => drop(events.send(Event::Failed(timed_out())).await),
            }
            // The engine must not be dropped from its own thread while a query still uses it.
            drop(inner);
        });
        let mut answer = Answer {
            schema: Arc::new(datafusion::arrow::datatypes::Schema::empty()),
            coverage: Vec::new(),
            events: receiver,
            limit,
            sent: 0,
            truncated: false,
            asked: limits.max_rows.is_some_and(|asked| asked <= options.max_rows),
            ended: false,
            started,
            deadline,
            _task: Task(task.abort_handle()),
        };
        match timeout_at(deadline, readiness).await {
            Ok(Ok((schema, coverage))) => {
                (answer.schema, answer.coverage) = (schema, coverage);
                Ok(answer)
            }
            // Planning failed: the reason is the only event.
            Ok(Err(_)) => match answer.next().await {
                Some(Err(error)) => Err(error),
                _ => Err(QueryError::new(Code::Internal, "the query stopped without an answer")),
            },
            Err(_) => Err(timed_out()),
        }
    }

    /// A place among the running queries, or in the short line before them.
    async fn admit(
        &self,
        deadline: tokio::time::Instant,
    ) -> Result<(OwnedSemaphorePermit, OwnedSemaphorePermit), QueryError> {
        let busy = || {
            QueryError::new(
                Code::Busy,
                format!("{MAX_CONCURRENT_QUERIES} queries are running and the line is full"),
            )
            .with_hint("try again in a moment")
        };
        let admitted = Arc::clone(&self.inner.admitted).try_acquire_owned().map_err(|_| busy())?;
        match timeout_at(deadline, Arc::clone(&self.inner.running).acquire_owned()).await {
            Ok(Ok(running)) => Ok((running, admitted)),
            _ => Err(busy()),
        }
    }

    /// The query threads, for servers whose connections parse SQL themselves.
    pub(crate) fn threads(&self) -> Result<tokio::runtime::Handle, QueryError> {
        Ok(self.runtime()?.handle().clone())
    }

    fn runtime(&self) -> Result<&Runtime, QueryError> {
        self.inner
            .runtime
            .as_ref()
            .ok_or_else(|| QueryError::new(Code::Cancelled, "the query service is stopping"))
    }
}

/// Batches between the query and its reader.
const QUEUED_BATCHES: usize = 2;
/// Stack of a query thread, bytes; only what is touched is resident. Planning walks expressions
/// recursively, and a statement may chain `MAX_SQL_OPERATORS` of them.
const STACK_BYTES: usize = 32 << 20;

type Ready = oneshot::Sender<(SchemaRef, Vec<Coverage>)>;

async fn execute(
    template: &Template,
    work: Work,
    limit: usize,
    ready: Ready,
    events: &mpsc::Sender<Event>,
) -> Result<(), QueryError> {
    let session = template.session()?;
    let plan = limited(plan(&session, work).await?, limit)?;
    let state = session.context.state();
    let physical = state.create_physical_plan(&plan).await?;
    let mut stream = datafusion::physical_plan::execute_stream(physical, state.task_ctx())?;
    let coverage = session
        .schema
        .pinned()
        .iter()
        .map(|(table, pinned)| Coverage::of(*table, pinned))
        .collect();
    if ready.send((stream.schema(), coverage)).is_err() {
        return Ok(());
    }
    while let Some(batch) = stream.next().await {
        let batch = batch?;
        if batch.num_rows() > 0 && events.send(Event::Rows(batch)).await.is_err() {
            return Ok(());
        }
    }
    Ok(())
}

/// Parses, checks and plans.
async fn plan(session: &Session, work: Work) -> Result<LogicalPlan, QueryError> {
    let state = session.context.state();
    let (statement, parameters, wire) = match work {
        Work::Text(sql) => {
            let dialect = state.config_options().sql_parser.dialect;
            (state.sql_to_statement(&sql, &dialect)?, None, false)
        }
        Work::Wire(statement, parameters) => (*statement, parameters, true),
    };
    guard::check_statement(&statement)?;
    let statement =
        if guard::is_show_tables(&statement) { show_tables(&state)? } else { statement };
    let mut plan = state.statement_to_plan(statement).await?;
    guard::check_plan(&plan)?;
    if let Some(parameters) = parameters {
        plan = plan.replace_params_with_values(&parameters)?;
    }
    if wire { crate::postgres::columns::as_wire_types(plan) } else { Ok(plan) }
}

/// `SHOW TABLES` lists what a user came for, not the catalogs of two other databases.
fn show_tables(state: &SessionState) -> Result<Statement, QueryError> {
    let sql = format!(
        "SELECT table_name FROM information_schema.tables WHERE table_schema = '{SCHEMA}' ORDER BY table_name"
    );
    Ok(state.sql_to_statement(&sql, &Dialect::PostgreSQL)?)
}

/// One row more than wanted, so that the answer knows whether it was cut.
fn limited(plan: LogicalPlan, limit: usize) -> Result<LogicalPlan, QueryError> {
    // A limit that nothing reaches would still turn every sort into one that can not spill.
    let is_endless = limit == usize::MAX;
    if is_endless
        || matches!(
            plan,
            LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) | LogicalPlan::DescribeTable(_)
        )
    {
        return Ok(plan);
    }
    Ok(LogicalPlanBuilder::from(plan).limit(0, Some(limit.saturating_add(1)))?.build()?)
}
