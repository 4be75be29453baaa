//! The service as its users see it.

mod extended_protocol;
mod golden;
mod http_api;
mod limits;
mod older_tables;
mod postgres_wire;
mod pruning;
mod read_only;
mod refresh;

use std::sync::Arc;

use datafusion::arrow::util::pretty::pretty_format_batches;
use object_store::ObjectStore;

use crate::engine::{Engine, Limits, Options};
use crate::error::QueryError;
use crate::testing::TestStore;

/// An engine over a test store, with two threads.
fn engine(store: &Arc<TestStore>) -> Engine {
    engine_with(store, Options::default())
}

fn engine_with(store: &Arc<TestStore>, options: Options) -> Engine {
    let store: Arc<dyn ObjectStore> = store.clone();
    Engine::open(store, Options { threads: Some(2), ..options }).unwrap()
}

/// The answer as a text table, or the error.
async fn show(engine: &Engine, sql: &str) -> Result<String, QueryError> {
    let mut answer = engine.query(sql, Limits::default()).await?;
    let schema = answer.schema().clone();
    let batches = answer.collect().await?;
    let batches = if batches.is_empty() {
        vec![datafusion::arrow::array::RecordBatch::new_empty(schema)]
    } else {
        batches
    };
    Ok(pretty_format_batches(&batches).unwrap().to_string())
}
