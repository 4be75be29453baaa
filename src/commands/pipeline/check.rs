//! `tidemill pipeline check`: every problem at once, with file, line, column, rule, reason and hint.

use serde_json::json;
use stages::pipeline::config::{PipelineConfig, ProcessorConfig};

use crate::cli::{PipelineCheckArgs, ReportFormat};
use crate::exit;
use crate::pipeline;

/// Checks; nothing is run.
pub(super) fn run(args: &PipelineCheckArgs) -> u8 {
    let loaded = pipeline::load_following(&args.files);
    if args.format == ReportFormat::Json {
        let report = match &loaded {
            Ok(loaded) => json!({
                "version": loaded.pipeline.version(), "problems": [], "notes": loaded.notes,
            }),
            Err(problems) => json!({ "version": null, "problems": problems.0, "notes": [] }),
        };
        println!("{report}");
        return if loaded.is_ok() { exit::OK } else { exit::USAGE };
    }
    match loaded {
        Ok(loaded) => {
            for note in &loaded.notes {
                println!("{}", super::say(note));
            }
            let config = &loaded.config;
            let processors: usize = config.pipelines.iter().map(processors).sum();
            println!(
                "good: {} pipelines with {processors} processors, {} metrics, {} indexes; version {}",
                config.pipelines.len(),
                config.metrics.len(),
                config.indexes.len(),
                loaded.pipeline.version(),
            );
            exit::OK
        }
        Err(problems) => {
            super::refuse(&problems);
            exit::USAGE
        }
    }
}

fn processors(pipeline: &PipelineConfig) -> usize {
    let count = |processor: &ProcessorConfig| match processor {
        ProcessorConfig::Pipeline(inner) => processors(inner),
        _ => 1,
    };
    pipeline.processors.iter().map(count).sum()
}
