//! Object stores: the durable local directory and S3-compatible ones.
//!
//! The commit log needs two things of a store: a create that fails if the key exists, and a
//! success that survives a power cut. S3 gives both (conditional PUT); `object_store`'s local
//! directory gives only the first, so [`durable`] adds the fsyncs.

mod disk;
mod durable;
mod leftovers;
#[cfg(test)]
pub(crate) mod power;

use std::str::FromStr;
use std::sync::Arc;

use object_store::ObjectStore;
use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey, S3ConditionalPut};
use object_store::prefix::PrefixStore;

use durable::DurableStore;

pub use leftovers::{Leftovers, remove_leftovers};

/// Where tables and commit log live.
#[derive(Debug, Clone, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// A directory, or `s3://bucket/prefix`.
    pub url: String,
    /// S3 options by the names object_store documents (`aws_endpoint`, `aws_region`, ...).
    #[serde(default)]
    pub options: std::collections::BTreeMap<String, String>,
}

impl Config {
    /// Whether it is reached over a network.
    pub fn is_remote(&self) -> bool {
        self.url.split_once("://").is_some_and(|(scheme, _)| scheme != "file")
    }
}

/// Why a store can not be used.
#[derive(Debug, thiserror::Error)]
#[error("storage {url}: {reason}")]
pub struct Error {
    /// The URL asked for.
    pub url: String,
    /// What is wrong, and the fix.
    pub reason: String,
}

/// Opens the store. A local directory is created, and every write to it is fsynced before it is
/// reported successful.
pub fn open(config: &Config) -> Result<Arc<dyn ObjectStore>, Error> {
    let opened = match config.url.split_once("://") {
        Some(("s3" | "s3a", rest)) => open_s3(config, rest),
        Some(("file", path)) => open_local(config, path),
        Some((scheme, _)) => {
            Err(format!("unknown scheme {scheme:?}; use a directory or s3://bucket/prefix"))
        }
        None => open_local(config, &config.url),
    };
    opened.map_err(|reason| Error { url: config.url.clone(), reason })
}

/// A local directory, made if missing, readable by its owner alone.
fn open_local(config: &Config, path: &str) -> Result<Arc<dyn ObjectStore>, String> {
    if path.is_empty() {
        return Err("the directory is empty; name one, for example ./data".to_owned());
    }
    if let Some(option) = config.options.keys().next() {
        return Err(format!("option {option:?} is for s3:// stores; remove it for a directory"));
    }
    let root = std::path::Path::new(path);
    create_private(root).map_err(|error| {
        format!("cannot create the directory: {error}; check the path and its owner")
    })?;
    let store =
        DurableStore::open(root).map_err(|error| format!("cannot open the directory: {error}"))?;
    Ok(Arc::new(store))
}

/// Creates `path` with mode 0700 where it is new; an existing directory keeps its mode.
fn create_private(path: &std::path::Path) -> std::io::Result<()> {
    let mut builder = std::fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// An S3-compatible bucket; `rest` is `bucket/prefix`. Credentials come from the options, else
/// from the usual `AWS_*` environment.
fn open_s3(config: &Config, rest: &str) -> Result<Arc<dyn ObjectStore>, String> {
    let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
    if bucket.is_empty() {
        return Err("the bucket is missing; write s3://bucket/prefix".to_owned());
    }
    let mut builder = AmazonS3Builder::from_env().with_bucket_name(bucket);
    for (name, value) in &config.options {
        let key = AmazonS3ConfigKey::from_str(name).map_err(|_| {
            format!("unknown option {name:?}; known are aws_endpoint, aws_region, aws_access_key_id, ...")
        })?;
        if matches!(key, AmazonS3ConfigKey::ConditionalPut) && value != "etag" {
            return Err(format!(
                "option {name:?} must be \"etag\": without conditional writes nothing is exactly once"
            ));
        }
        builder = builder.with_config(key, value);
    }
    let store = builder
        .with_conditional_put(S3ConditionalPut::ETagMatch)
        .build()
        .map_err(|error| format!("cannot set up the client: {error}"))?;
    let prefix = prefix.trim_matches('/');
    if prefix.is_empty() {
        return Ok(Arc::new(store));
    }
    Ok(Arc::new(PrefixStore::new(store, prefix)))
}

#[cfg(test)]
mod tests;
