//! The answer to a query: its columns, what it covers, and its rows as they come.

use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::SchemaRef;
use schemas::table::Table;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout_at;

use crate::catalog::Pinned;
use crate::error::{Code, QueryError};

/// What an answer says about one table it read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Coverage {
    /// The table.
    pub table: Table,
    /// Delta version read; `None` when nothing was ever published.
    pub version: Option<u64>,
    /// Last commit-log sequence number of the live pipeline the version contains.
    pub published_seq: Option<i64>,
    /// Latest event time in the table, microseconds since the epoch.
    pub newest_event_time: Option<i64>,
}

impl Coverage {
    pub(crate) fn of(table: Table, pinned: &Arc<Pinned>) -> Self {
        Self {
            table,
            version: pinned.version,
            published_seq: pinned.published_seq,
            newest_event_time: pinned.newest_event_time(),
        }
    }
}

/// What the running query tells its answer.
#[derive(Debug)]
pub(crate) enum Event {
    /// Some rows.
    Rows(RecordBatch),
    /// All rows were sent.
    End,
    /// The query failed after it had begun.
    Failed(QueryError),
}

/// Ends the query when nobody waits for it any more.
#[derive(Debug)]
pub(crate) struct Task(pub(crate) AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Seconds a query gets, beyond its timeout, to notice that it is over before its client is told.
const GRACE: Duration = Duration::from_secs(1);

/// A running or finished query. Dropping it cancels the query.
#[derive(Debug)]
pub struct Answer {
    pub(crate) schema: SchemaRef,
    pub(crate) coverage: Vec<Coverage>,
    pub(crate) events: mpsc::Receiver<Event>,
    pub(crate) limit: usize,
    pub(crate) sent: usize,
    pub(crate) truncated: bool,
    pub(crate) asked: bool,
    pub(crate) ended: bool,
    pub(crate) started: Instant,
    pub(crate) deadline: tokio::time::Instant,
    pub(crate) _task: Task,
}

impl Answer {
    /// Names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The tables the query read, and at which version.
    pub fn coverage(&self) -> &[Coverage] {
        &self.coverage
    }

    /// Whether rows beyond the limit were left out. Final once [`Answer::next`] has answered `None`.
    pub fn truncated(&self) -> bool {
        self.truncated
    }

    /// Whether the limit was the request's own wish and not the service's.
    pub(crate) fn cut_was_asked_for(&self) -> bool {
        self.asked
    }

    /// Rows given so far.
    pub fn rows(&self) -> usize {
        self.sent
    }

    /// Time since the query was asked.
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    /// The next rows, `None` after the last.
    ///
    /// # Errors
    /// What stopped the query; nothing comes after it.
    pub async fn next(&mut self) -> Option<Result<RecordBatch, QueryError>> {
        if self.ended {
            return None;
        }
        let event = match timeout_at(self.deadline + GRACE, self.events.recv()).await {
            Ok(Some(event)) => event,
            Ok(None) => Event::Failed(QueryError::new(
                Code::Internal,
                "the query stopped without an answer",
            )),
            Err(_) => Event::Failed(timed_out()),
        };
        match event {
            Event::Rows(batch) => {
                let room = self.limit - self.sent;
                let batch = if batch.num_rows() > room {
                    self.truncated = true;
                    self.ended = true;
                    self.events.close();
                    batch.slice(0, room)
                } else {
                    batch
                };
                self.sent += batch.num_rows();
                Some(Ok(batch))
            }
            Event::End => {
                self.ended = true;
                None
            }
            Event::Failed(error) => {
                self.ended = true;
                Some(Err(error))
            }
        }
    }

    /// All rows; for answers known to be small.
    ///
    /// # Errors
    /// What stopped the query.
    pub async fn collect(&mut self) -> Result<Vec<RecordBatch>, QueryError> {
        let mut batches = Vec::new();
        while let Some(batch) = self.next().await {
            batches.push(batch?);
        }
        Ok(batches)
    }
}

pub(crate) fn timed_out() -> QueryError {
    QueryError::new(Code::Timeout, "the query ran longer than it may")
        .with_hint("narrow the time range, or raise query.timeout")
}
