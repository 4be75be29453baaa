//! A store in memory whose objects are as old as the schedule's clock says: what is deleted for its age depends on
//! it, and the machine's own clock has no part in a schedule.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{
    CopyOptions, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta, ObjectStore,
    PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};

use super::super::chance::ToldClock;
use crate::clock::Clock as _;

/// When each key was last written, milliseconds.
type Dates = Arc<Mutex<BTreeMap<Path, i64>>>;

/// The wrapper.
#[derive(Debug)]
pub(super) struct Dated {
    inner: InMemory,
    clock: Arc<ToldClock>,
    dates: Dates,
}

impl Dated {
    pub(super) fn new(clock: Arc<ToldClock>) -> Self {
        Self { inner: InMemory::new(), clock, dates: Dates::default() }
    }

    fn written(&self, location: &Path) {
        let now = self.clock.unix_millis();
        self.dates.lock().expect("not poisoned").insert(location.clone(), now);
    }
}

fn dated(dates: &Dates, mut meta: ObjectMeta) -> ObjectMeta {
    if let Some(millis) = dates.lock().expect("not poisoned").get(&meta.location) {
        meta.last_modified = DateTime::<Utc>::from_timestamp_millis(*millis).expect("in range");
    }
    meta
}

impl fmt::Display for Dated {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Dated({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for Dated {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        options: PutOptions,
    ) -> Result<PutResult> {
        let put = self.inner.put_opts(location, payload, options).await?;
        self.written(location);
        Ok(put)
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.written(location);
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        let mut found = self.inner.get_opts(location, options).await?;
        found.meta = dated(&self.dates, found.meta);
        Ok(found)
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        self.inner.delete_stream(locations)
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        let dates = Arc::clone(&self.dates);
        self.inner.list(prefix).map_ok(move |meta| dated(&dates, meta)).boxed()
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        let mut listed = self.inner.list_with_delimiter(prefix).await?;
        listed.objects = listed.objects.into_iter().map(|meta| dated(&self.dates, meta)).collect();
        Ok(listed)
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.inner.copy_opts(from, to, options).await?;
        self.written(to);
        Ok(())
    }
}
