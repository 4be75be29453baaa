//! Opens the files a replay is to read: on this machine, or in a bucket.

use std::sync::Arc;

use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use stream::archive::{Archive, Options};
use stream::replay::ReplayError;
use stream::replay::plan::Files;

use super::Refusal;
use crate::config::Config;

/// Lists them.
pub(super) async fn open(files: &Files, config: &Config) -> Result<Archive, Refusal> {
    let usage =
        |flag: &str, error: &dyn std::fmt::Display| Refusal::Usage(format!("--{flag}: {error}"));
    let mut options = Options::default();
    if let Some(content) = &files.content {
        options.content = Some(content.parse().map_err(|error| usage("content", &error))?);
    }
    if let Some(envelope) = &files.envelope {
        options.envelope = envelope.parse().map_err(|error| usage("envelope", &error))?;
    }
    let (store, path) = store(&files.url, config)?;
    let archive = Archive::open(store, &path, options).await;
    Ok(archive.map_err(ReplayError::from)?)
}

fn store(url: &str, config: &Config) -> Result<(Arc<dyn ObjectStore>, Path), Refusal> {
    if let Some((scheme @ ("s3" | "s3a"), rest)) = url.split_once("://") {
        let (bucket, path) = rest.split_once('/').unwrap_or((rest, ""));
        let options = config.storage.options.clone();
        let root = stream::store::Config { url: format!("{scheme}://{bucket}"), options };
        return Ok((stream::store::open(&root)?, Path::from(path)));
    }
    let wrong = |error: &dyn std::fmt::Display| {
        Refusal::Usage(format!(
            "--archive {url}: {error}; name a file, a directory, or s3://bucket/prefix/"
        ))
    };
    let file = url.strip_prefix("file://").unwrap_or(url);
    let file = std::fs::canonicalize(file).map_err(|error| wrong(&error))?;
    let path = Path::from_absolute_path(&file).map_err(|error| wrong(&error))?;
    Ok((Arc::new(LocalFileSystem::new()), path))
}
