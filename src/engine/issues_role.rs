//! The second pipeline and the monitors among the roles of one process: where a worker is, they are.

use std::sync::Arc;

use super::{StartError, is_embedded, open_store};
use crate::config::Config;
use crate::notify::Sender;
use crate::{admin, monitors};

/// What runs.
#[derive(Debug, Default)]
pub(super) struct IssuesRole {
    running: Option<stream::issues::Running>,
    monitors: Option<monitors::Running>,
}

impl IssuesRole {
    /// Starts both, where error tracking is wanted.
    pub(super) fn start(
        &mut self,
        config: &Config,
        admin: Option<&admin::Admin>,
    ) -> Result<(), StartError> {
        if !config.tracking.enabled {
            return Ok(());
        }
        let store = open_store(config)?;
        let instance = config.worker.instance.clone();
        let lease = || instance.unwrap_or_else(|| uuid::Uuid::new_v4().to_string());
        let running = stream::issues::start(stream::issues::Config {
            store: Arc::clone(&store),
            settings: config.tracking.settings.clone(),
            postman: Arc::new(Sender::new(&config.tracking.targets)?),
            lease: (!is_embedded(config)).then(lease),
            epoch: config.worker.epoch,
            upkeep: config.upkeep.clone(),
        });
        let reader = running.status_reader();
        let evaluations = running.evaluations();
        self.running = Some(running);
        let Some(admin) = admin else { return Ok(()) };
        admin.show_issues(reader.clone());
        if !config.tracking.monitors.is_empty() {
            let monitors = monitors::start(monitors::Setup {
                store,
                monitors: config.tracking.monitors.clone(),
                worker: admin.worker_reader(),
                issues: reader,
                evaluations,
            });
            let monitors = monitors.map_err(|error| StartError::Monitors(error.message))?;
            admin.show_monitors(monitors.reader());
            self.monitors = Some(monitors);
        }
        Ok(())
    }

    /// The running pipeline, for its drain; monitors stop at once.
    pub(super) fn take(&mut self) -> Option<stream::issues::Running> {
        self.monitors = None;
        self.running.take()
    }
}
