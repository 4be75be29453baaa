//! Where the files are: a path on disk, or a bucket.

use std::path::Path as FilePath;
use std::sync::Arc;

use anyhow::Context as _;
use object_store::ObjectStore;
use object_store::local::LocalFileSystem;
use object_store::path::Path;

use crate::config::Config;

/// A store, and a path in it.
pub(super) struct Place {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) path: Path,
}

/// Finds it. A bucket is reached with the options of `storage`, and the usual `AWS_*` environment.
pub(super) fn find(path: &str, config: &Config) -> anyhow::Result<Place> {
    if let Some((scheme, rest)) = path.split_once("://").filter(|(scheme, _)| *scheme != "file") {
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let url = format!("{scheme}://{bucket}");
        let options = config.storage.options.clone();
        let store = stream::store::open(&stream::store::Config { url, options })?;
        return Ok(Place { store, path: Path::parse(prefix.trim_end_matches('/'))? });
    }
    let path = FilePath::new(path.strip_prefix("file://").unwrap_or(path));
    let path = path.canonicalize().with_context(|| format!("{}", path.display()))?;
    let local = |root: &FilePath| -> anyhow::Result<Arc<dyn ObjectStore>> {
        Ok(Arc::new(LocalFileSystem::new_with_prefix(root)?))
    };
    match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) if path.is_file() => {
            Ok(Place { store: local(parent)?, path: Path::parse(name.to_string_lossy())? })
        }
        _ => Ok(Place { store: local(&path)?, path: Path::default() }),
    }
}
