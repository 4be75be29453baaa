//! The pipeline read again while everything runs: on SIGHUP, and on `POST /pipeline/reload` of the health port.
//!
//! Only the pipeline is taken from the configuration read again; every other setting needs a restart, and one that
//! is wrong refuses the whole. A refusal changes nothing: the old pipeline goes on, and the health page says why.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;

use super::Engine;
use crate::admin::{Admin, ReloadRequest};
use crate::config::{self, Overrides};

/// Where the configuration is read from again.
#[derive(Debug, Clone, Default)]
pub struct Source {
    /// Its file; none: the defaults.
    pub file: Option<PathBuf>,
    /// What the command line said.
    pub overrides: Overrides,
}

/// What a reload came to.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct Reloaded {
    /// Version that processes every record from here on.
    pub version: String,
    /// Version before.
    pub previous: String,
    /// Why nothing was changed, one a line; empty when it was, or when there was nothing to change.
    pub problems: Vec<String>,
}

impl Engine {
    /// Lets the pipeline be read again from here.
    pub fn reload_from(&mut self, source: Source) {
        self.source = Some(source);
    }

    /// Where those who ask at the health port for the pipeline to be read again are to be heard; once.
    pub(crate) fn reload_requests(&mut self) -> Option<mpsc::Receiver<ReloadRequest>> {
        self.admin.as_mut().and_then(Admin::reload_requests)
    }

    /// Reads the pipeline again and goes on with it.
    pub async fn reload(&mut self) -> Reloaded {
        let previous = self.pipeline.version().to_owned();
        let outcome = self.try_reload().await;
        let problems = match outcome {
            Ok(()) => Vec::new(),
            Err(problems) => problems,
        };
        let version = self.pipeline.version().to_owned();
        if problems.is_empty() {
            tracing::info!(%version, %previous, "pipeline read again");
        } else {
            tracing::error!(%version, "pipeline refused, the old one goes on:\n{}", problems.join("\n"));
        }
        if let Some(admin) = &self.admin {
            admin.show_pipeline(&version, &problems);
        }
        Reloaded { version, previous, problems }
    }

    async fn try_reload(&mut self) -> Result<(), Vec<String>> {
        let one = |text: &str| vec![text.to_owned()];
        let source = self.source.clone().ok_or_else(|| one("there is no file to read again"))?;
        let read = move || config::load(source.file.as_deref(), &source.overrides);
        let read =
            tokio::task::spawn_blocking(read).await.map_err(|error| one(&error.to_string()))?;
        let config = read.map_err(|problems| -> Vec<String> {
            problems.0.iter().map(ToString::to_string).collect()
        })?;
        self.worker.reload(&config.pipeline).await.map_err(|error| one(&error.to_string()))?;
        self.pipeline = Arc::clone(&config.pipeline);
        Ok(())
    }
}
