//! Another pipeline while the worker runs. The text is kept first; then a barrier ends the unit of the old one
//! and every lane goes on with the new one from exactly there. Each unit is of one version and names it.

use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::coordinator::{Coordinator, Work};
use super::{Error, Running};
use crate::versions;
use stages::pipeline::Pipeline;

/// A pipeline that is to take over, and who waits for it.
pub(super) type Reload = (Arc<Pipeline>, oneshot::Sender<Result<(), Error>>);

/// Asks a running worker to go on with another pipeline; cheap to clone.
#[derive(Debug, Clone)]
pub struct Reloader(pub(super) mpsc::Sender<Reload>);

impl Reloader {
    /// Resolves when every record from here on is processed by this pipeline. On an error the old one goes on.
    ///
    /// # Errors
    /// The text could not be kept, or the worker is about to end.
    pub async fn reload(&self, pipeline: Arc<Pipeline>) -> Result<(), Error> {
        let ended = || Error::new("the worker ends; nothing was changed");
        let (reply, done) = oneshot::channel();
        self.0.send((pipeline, reply)).await.map_err(|_| ended())?;
        done.await.map_err(|_| ended())?
    }
}

impl Running {
    /// Another pipeline can take over through this.
    pub fn reloader(&self) -> Reloader {
        self.reloader.clone()
    }
}

impl Coordinator {
    /// Answers a [`Reloader`].
    pub(super) async fn reload(&mut self, (pipeline, reply): Reload) -> Result<(), Error> {
        if pipeline.version() == self.pipeline.version() {
            let _ = reply.send(Ok(()));
            return Ok(());
        }
        if let Err(error) = versions::keep(self.store.as_ref(), &pipeline, &self.world).await {
            let reason =
                format!("the text of version {} can not be kept: {error}", pipeline.version());
            // Nobody waits any more: the old one goes on all the same.
            let _ = reply.send(Err(Error::new(reason)));
            return Ok(());
        }
        let unit = self.barrier_to(&[], Some(&pipeline)).await?;
        self.pipeline = pipeline;
        if let Some(unit) = unit {
            // Closed means the committer has failed, and says why itself.
            drop(self.work.send(Work::Commit(unit, None)).await);
        }
        let _ = reply.send(Ok(()));
        Ok(())
    }
}
