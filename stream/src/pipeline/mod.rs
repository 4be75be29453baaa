//! The log pipeline: preprocess -> processors -> log-based metrics -> exclusion -> index.

pub mod config;
mod metrics;

pub use metrics::MetricWindows;

use bumpalo::Bump;

use crate::event::LogEvent;

/// A compiled pipeline configuration: immutable, shared by every lane.
#[derive(Debug)]
pub struct Pipeline {
    version: String,
}

/// What becomes of a log at the end of the pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate<'p> {
    /// Kept, in this index.
    Indexed {
        /// Name of the index.
        index: &'p str,
    },
    /// Dropped. It has fed the metrics all the same.
    Excluded {
        /// Name of the exclusion filter, as `index/filter`; `no_index` where no index took it.
        rule: &'p str,
    },
}

impl Pipeline {
    /// Compiles a configuration, or says everything that is wrong with it.
    pub fn compile(config: &config::Config) -> Result<Self, Vec<config::ConfigError>> {
        let _ = config;
        Ok(Self { version: String::new() })
    }

    /// Content hash of the configuration, 16 hex characters.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Takes one log through every stage. `windows` is the state of the log's topic partition;
    /// `offset` is its message's.
    pub fn process<'b>(
        &self,
        arena: &'b Bump,
        event: &mut LogEvent<'b>,
        offset: i64,
        windows: &mut MetricWindows,
    ) -> Fate<'_> {
        let _ = (arena, event, offset, windows);
        Fate::Indexed { index: "main" }
    }
}
