//! The log pipeline: preprocess -> processors -> log-based metrics -> exclusion -> index.

pub mod config;

/// A compiled pipeline configuration: immutable, shared by every lane.
#[derive(Debug)]
pub struct Pipeline {
    version: String,
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
}
