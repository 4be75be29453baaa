//! An answer as PostgreSQL rows.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion_postgres::arrow_pg::datatypes::{arrow_schema_to_pg_fields, encode_recordbatch};
use futures::{StreamExt, TryStreamExt, stream};
use pgwire::api::portal::Format;
use pgwire::api::results::QueryResponse;
use pgwire::error::PgWireResult;

use crate::answer::Answer;
use crate::error::{Code, QueryError};

use super::wire_error;

/// Waits for the first rows, so that errors and cancellation come before any are sent, then streams.
///
/// # Errors
/// What stopped the query before its first row.
pub(super) async fn respond(mut answer: Answer, format: &Format) -> PgWireResult<QueryResponse> {
    let fields = Arc::new(arrow_schema_to_pg_fields(answer.schema(), format, None)?);
    let first = answer.next().await.transpose().map_err(wire_error)?;
    let encoded = Arc::clone(&fields);
    let batches = stream::iter(first.map(Ok)).chain(rest(answer));
    let rows = batches
        .map_err(wire_error)
        .map_ok(move |batch| {
            stream::iter(encode_recordbatch(Arc::clone(&encoded), batch).collect::<Vec<_>>())
        })
        .try_flatten();
    Ok(QueryResponse::new(fields, rows))
}

/// The batches after the first. A cut answer ends in an error: the protocol has no mark for it, and
/// a client must not take half an answer for the whole.
fn rest(answer: Answer) -> impl futures::Stream<Item = Result<RecordBatch, QueryError>> + Send {
    stream::unfold(Some(answer), |answer| async move {
        let mut answer = answer?;
        match answer.next().await {
            Some(Ok(batch)) => Some((Ok(batch), Some(answer))),
            Some(Err(error)) => Some((Err(error), None)),
            None if answer.truncated() => Some((Err(too_many(answer.rows())), None)),
            None => None,
        }
    })
}

fn too_many(rows: usize) -> QueryError {
    QueryError::new(Code::TooLarge, format!("the answer has more than {rows} rows"))
        .with_hint("add LIMIT, aggregate, or raise query.max_rows")
}
