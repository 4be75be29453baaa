//! `tidemill config check FILE`.

use std::path::Path;

use crate::config::{self, Overrides};
use crate::exit;

/// Prints every problem, or what the configuration comes to.
pub(super) fn run(file: &Path) -> u8 {
    match config::load(Some(file), &Overrides::default()) {
        Ok(config) => {
            println!("{}: good", file.display());
            println!("  data       {}", config.data_dir.display());
            println!("  storage    {}", config.storage.url);
            for topic in config.worker_topics() {
                println!("  topic      {} ({}, {})", topic.name, topic.signal, topic.input.format);
            }
            for (setting, address) in config.listeners() {
                println!("  listen     {address} ({setting})");
            }
            println!("  pipeline   version {}", config.pipeline.version());
            exit::OK
        }
        Err(problems) => {
            eprintln!("{problems}");
            let count = problems.0.len();
            eprintln!("{count} problem{}", if count == 1 { "" } else { "s" });
            exit::USAGE
        }
    }
}
