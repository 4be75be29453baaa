//! How DataFusion is set up: no ambient stores or files, bounded memory and spill, our functions.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use datafusion::catalog::SchemaProvider;
use datafusion::catalog::{
    CatalogProvider, CatalogProviderList, MemoryCatalogProvider, MemoryCatalogProviderList,
};
use datafusion::config::Dialect;
use datafusion::error::{DataFusionError, Result};
use datafusion::execution::SessionStateBuilder;
use datafusion::execution::disk_manager::{DiskManagerBuilder, DiskManagerMode};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::prelude::{SessionConfig, SessionContext};
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::context::EmptyContextProvider;
use datafusion_postgres::datafusion_pg_catalog::pg_catalog::setup_pg_catalog;
use object_store::ObjectStore;
use schemas::limits::{QUERY_MEMORY_BYTES, QUERY_SPILL_BYTES};

use crate::catalog::{CATALOG, LiveSchema, PinnedSchema, SCHEMA, Tables};
use crate::functions;
use crate::stores::OneStore;
use crate::yield_in_joins::YieldInJoins;

/// Schema of PostgreSQL's own catalog.
const PG_CATALOG: &str = "pg_catalog";

/// What queries may use.
#[derive(Debug, Clone)]
pub(crate) struct Resources {
    /// Memory of all queries together, bytes.
    pub(crate) memory_bytes: usize,
    /// Where large sorts and joins spill; the system's directory for temporary files when `None`.
    pub(crate) spill_dir: Option<PathBuf>,
    /// Threads of one query.
    pub(crate) threads: usize,
}

impl Default for Resources {
    fn default() -> Self {
        Self { memory_bytes: QUERY_MEMORY_BYTES, spill_dir: None, threads: 2 }
    }
}

/// What sessions are made from.
pub(crate) struct Template {
    context: SessionContext,
    pg_catalog: Option<Arc<dyn SchemaProvider>>,
    tables: Arc<Tables>,
}

/// One query's view.
pub(crate) struct Session {
    /// DataFusion's session over the pinned tables.
    pub(crate) context: SessionContext,
    /// What was pinned.
    pub(crate) schema: Arc<PinnedSchema>,
}

impl Template {
    /// Prepares functions, catalogs and the runtime environment.
    pub(crate) fn new(
        store: Arc<dyn ObjectStore>,
        tables: Arc<Tables>,
        resources: &Resources,
    ) -> Result<Self> {
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, Arc::new(LiveSchema(Arc::clone(&tables))))?;
        let catalog = Arc::new(catalog);
        let state = SessionStateBuilder::new()
            .with_config(config(resources.threads))
            .with_runtime_env(Arc::new(runtime(store, resources)?))
            .with_catalog_list(catalogs(catalog.clone()))
            .with_default_features()
            // File formats and table factories are for CREATE EXTERNAL TABLE and COPY: none here.
            .with_table_factories(Default::default())
            .with_file_formats(Vec::new())
            .with_physical_optimizer_rule(Arc::new(YieldInJoins))
            .build();
        let mut context = SessionContext::new_with_state(state);
        setup_pg_catalog(&context, CATALOG, EmptyContextProvider).map_err(|error| *error)?;
        functions::register(&mut context)?;
        let pg_catalog = catalog.schema(PG_CATALOG);
        Ok(Self { context, pg_catalog, tables })
    }

    /// A session for one query; it pins each table it names.
    pub(crate) fn session(&self) -> Result<Session> {
        let schema = Arc::new(PinnedSchema::new(Arc::clone(&self.tables)));
        let catalog = MemoryCatalogProvider::new();
        catalog.register_schema(SCHEMA, schema.clone())?;
        if let Some(pg_catalog) = &self.pg_catalog {
            catalog.register_schema(PG_CATALOG, Arc::clone(pg_catalog))?;
        }
        let state = SessionStateBuilder::new_from_existing(self.context.state())
            .with_catalog_list(catalogs(Arc::new(catalog)))
            .build();
        Ok(Session { context: SessionContext::new_with_state(state), schema })
    }

    /// A session no query runs in, for libraries that ask for one.
    pub(crate) fn idle_context(&self) -> Arc<SessionContext> {
        Arc::new(self.context.clone())
    }
}

impl Drop for Template {
    /// The tables of `pg_catalog` know the catalog they are in: that ring would keep every table for ever.
    fn drop(&mut self) {
        if let Some(catalog) = self.context.catalog(CATALOG)
            && let Err(error) = catalog.deregister_schema(PG_CATALOG, true)
        {
            tracing::debug!(%error, "a catalog is not let go of");
        }
    }
}

fn catalogs(catalog: Arc<MemoryCatalogProvider>) -> Arc<dyn CatalogProviderList> {
    let list = MemoryCatalogProviderList::new();
    list.register_catalog(CATALOG.to_owned(), catalog);
    Arc::new(list)
}

fn config(threads: usize) -> SessionConfig {
    let mut config = SessionConfig::new()
        .with_target_partitions(threads)
        .with_information_schema(true)
        .with_default_catalog_and_schema(CATALOG, SCHEMA)
        .with_create_default_catalog_and_schema(false);
    let options = config.options_mut();
    options.sql_parser.dialect = Dialect::PostgreSQL;
    options.execution.time_zone = Some("UTC".to_owned());
    // Doubling in a recursive CTE is the cheapest way to exhaust a server; telemetry needs none.
    options.execution.enable_recursive_ctes = false;
    // Late materialisation: the log viewer's `WHERE ... ORDER BY timestamp DESC LIMIT n` reads the
    // wide columns of a few rows only. Off by default in DataFusion 55, 22 times slower without.
    options.execution.parquet.pushdown_filters = true;
    options.execution.parquet.bloom_filter_on_read = true;
    options.execution.parquet.enable_page_index = true;
    config
}

fn runtime(store: Arc<dyn ObjectStore>, resources: &Resources) -> Result<RuntimeEnv> {
    let mode = match &resources.spill_dir {
        Some(dir) => DiskManagerMode::Directories(vec![dir.clone()]),
        None => DiskManagerMode::OsTmpDirectory,
    };
    let disk = DiskManagerBuilder::default()
        .with_mode(mode)
        .with_max_temp_directory_size(QUERY_SPILL_BYTES);
    let named = NonZeroUsize::new(5)
        .ok_or_else(|| DataFusionError::Internal("five is not zero".to_owned()))?;
    RuntimeEnvBuilder::new()
        .with_memory_pool(Arc::new(TrackConsumersPool::new(
            FairSpillPool::new(resources.memory_bytes),
            named,
        )))
        .with_disk_manager_builder(disk)
        .with_object_store_registry(Arc::new(OneStore(store)))
        .build()
}
