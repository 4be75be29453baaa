//! The task that owns one table and publishes to it, in the order of the log.

use schemas::limits::MAX_UNPUBLISHED_COMMITS;
use tokio::sync::{mpsc, watch};
use tokio_util::task::AbortOnDropHandle;

use super::delta::{PublishedTable, TableError};
use super::publication::Publication;

/// How to reach a table's actor.
#[derive(Debug)]
pub struct Handle {
    /// Publications in order of seq; full when the actor is far behind.
    pub queue: mpsc::Sender<Publication>,
    /// The last seq the table contains.
    pub cursor: watch::Receiver<Option<u64>>,
    /// Ends when the queue is closed and empty, or with an error only an operator can resolve.
    pub task: AbortOnDropHandle<Result<(), TableError>>,
}

/// Starts the actor.
pub fn spawn(mut table: PublishedTable) -> Handle {
    let (queue, mut waiting) = mpsc::channel::<Publication>(MAX_UNPUBLISHED_COMMITS);
    let (moved, cursor) = watch::channel(table.cursor());
    let task = tokio::spawn(async move {
        let mut batch = Vec::new();
        // All that waits goes into one Delta commit: when behind, catching up is one step.
        while waiting.recv_many(&mut batch, MAX_UNPUBLISHED_COMMITS).await > 0 {
            while let Err(error) = table.publish(&batch).await {
                match error {
                    TableError::Replaced { .. }
                    | TableError::Missing { .. }
                    | TableError::Column { .. } => return Err(error),
                    TableError::Delta { .. } | TableError::GaveUp { .. } | TableError::Log(_) => {
                        tracing::error!(%error, "publishing goes on trying; data is safe in the commit log");
                    }
                }
            }
            moved.send_replace(table.cursor());
            batch.clear();
        }
        Ok(())
    });
    Handle { queue, cursor, task: AbortOnDropHandle::new(task) }
}
