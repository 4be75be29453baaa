//! The only object store a query can reach is the one the engine was opened with.
//!
//! DataFusion's default registry answers `file://` with the local file system. This one answers
//! the engine's own address and nothing else, and ignores attempts to register more.

use std::sync::Arc;

use datafusion::common::exec_err;
use datafusion::error::Result;
use datafusion::execution::object_store::ObjectStoreRegistry;
use object_store::ObjectStore;
use url::Url;

/// Scheme of table addresses inside the process. No store of the outside world has it.
pub(crate) const SCHEME: &str = "tidemill";
/// Host of table addresses inside the process.
pub(crate) const HOST: &str = "store";

/// A registry of one.
#[derive(Debug)]
pub(crate) struct OneStore(pub(crate) Arc<dyn ObjectStore>);

impl ObjectStoreRegistry for OneStore {
    fn register_store(
        &self,
        _url: &Url,
        _store: Arc<dyn ObjectStore>,
    ) -> Option<Arc<dyn ObjectStore>> {
        None
    }

    fn get_store(&self, url: &Url) -> Result<Arc<dyn ObjectStore>> {
        if url.scheme() == SCHEME && url.host_str() == Some(HOST) {
            Ok(Arc::clone(&self.0))
        } else {
            exec_err!("only the tables of this service can be read")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_other_address_is_answered() {
        let registry = OneStore(Arc::new(object_store::memory::InMemory::new()));
        let url = |text: &str| Url::parse(text).expect("a test address");
        assert!(registry.get_store(&url("tidemill://store/")).is_ok());
        registry.register_store(&url("file:///"), Arc::new(object_store::memory::InMemory::new()));
        for outside in ["file:///", "s3://bucket/", "tidemill://other/", "http://store/"] {
            assert!(registry.get_store(&url(outside)).is_err(), "{outside}");
        }
    }
}
