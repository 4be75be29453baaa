//! A store that fails on purpose, for tests: each write counts, and rules name the writes that
//! go wrong and how.

use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

/// What goes wrong at which write (counted from 0).
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// This write fails and has no effect.
    FailBefore(u64),
    /// This write takes effect and reports a failure.
    FailAfter(u64),
    /// This write reports that the key exists although nothing stands there.
    FalseExists(u64),
    /// This write reports a failure, and lands when the given later write begins.
    Delay(u64, u64),
    /// From this write on nothing works: the process is dead, or the network.
    DieAt(u64),
    /// This write takes effect, and from then on nothing works.
    DieAfter(u64),
    /// Creates overwrite.
    IgnoreCreate,
}

type Delayed = (u64, Path, PutPayload, PutOptions);

/// The wrapper.
#[derive(Debug)]
pub(crate) struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    rules: Vec<Rule>,
    writes: AtomicU64,
    delayed: Mutex<Vec<Delayed>>,
    dead_at: AtomicU64,
    /// Whether writes wait, as those of a stopped process do.
    paused: watch::Sender<bool>,
    held_back: AtomicU64,
}

fn fault() -> Error {
    Error::Generic { store: "FaultStore", source: "injected fault".into() }
}

impl FaultStore {
    pub(crate) fn new(inner: Arc<dyn ObjectStore>, rules: Vec<Rule>) -> Self {
        let dead_at = rules.iter().find_map(|rule| match rule {
            Rule::DieAt(at) => Some(*at),
            Rule::DieAfter(at) => Some(at + 1),
            _ => None,
        });
        Self {
            inner,
            rules,
            writes: AtomicU64::new(0),
            delayed: Mutex::default(),
            dead_at: AtomicU64::new(dead_at.unwrap_or(u64::MAX)),
            paused: watch::channel(false).0,
            held_back: AtomicU64::new(0),
        }
    }

    /// From now on writes wait.
    pub(crate) fn pause(&self) {
        self.paused.send_replace(true);
    }

    /// They go on.
    pub(crate) fn resume(&self) {
        self.paused.send_replace(false);
    }

    /// Writes that have waited.
    pub(crate) fn held_back(&self) -> u64 {
        self.held_back.load(Ordering::SeqCst)
    }

    /// Writes begun so far.
    pub(crate) fn writes(&self) -> u64 {
        self.writes.load(Ordering::SeqCst)
    }

    /// Whether the process would be dead by now.
    pub(crate) fn dead(&self) -> bool {
        self.writes() > self.dead_at.load(Ordering::SeqCst)
    }

    /// Lands what is delayed, whoever asked for it may be gone by now.
    pub(crate) async fn land(&self) {
        let due = std::mem::take(&mut *self.delayed.lock().expect("not poisoned"));
        for (_, location, payload, options) in due {
            drop(self.inner.put_opts(&location, payload, options).await);
        }
    }

    fn alive(&self) -> Result<()> {
        if self.dead() { Err(fault()) } else { Ok(()) }
    }
}

impl fmt::Display for FaultStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultStore({})", self.inner)
    }
}

#[async_trait::async_trait]
impl ObjectStore for FaultStore {
    async fn put_opts(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        if *self.paused.borrow() {
            self.held_back.fetch_add(1, Ordering::SeqCst);
            drop(self.paused.subscribe().wait_for(|paused| !paused).await);
        }
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        let due: Vec<Delayed> = {
            let mut delayed = self.delayed.lock().expect("not poisoned");
            delayed.extract_if(.., |(at, ..)| *at <= write).collect()
        };
        for (_, location, payload, options) in due {
            drop(self.inner.put_opts(&location, payload, options).await);
        }
        let dead_at = self.dead_at.load(Ordering::SeqCst);
        if write >= dead_at {
            return Err(fault());
        }
        for rule in &self.rules {
            match *rule {
                Rule::FailBefore(at) if at == write => return Err(fault()),
                Rule::FailAfter(at) if at == write => {
                    self.inner.put_opts(location, payload, options).await?;
                    return Err(fault());
                }
                Rule::FalseExists(at) if at == write => {
                    let path = location.to_string();
                    return Err(Error::AlreadyExists { path, source: "injected".into() });
                }
                Rule::Delay(at, until) if at == write => {
                    let mut delayed = self.delayed.lock().expect("not poisoned");
                    delayed.push((until, location.clone(), payload, options));
                    return Err(fault());
                }
                Rule::IgnoreCreate => options.mode = PutMode::Overwrite,
                _ => {}
            }
        }
        self.inner.put_opts(location, payload, options).await
    }

    async fn put_multipart_opts(
        &self,
        location: &Path,
        options: PutMultipartOptions,
    ) -> Result<Box<dyn MultipartUpload>> {
        self.writes.fetch_add(1, Ordering::SeqCst);
        self.alive()?;
        self.inner.put_multipart_opts(location, options).await
    }

    async fn get_opts(&self, location: &Path, options: GetOptions) -> Result<GetResult> {
        self.alive()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.alive()?;
        self.inner.get_ranges(location, ranges).await
    }

    fn delete_stream(
        &self,
        locations: BoxStream<'static, Result<Path>>,
    ) -> BoxStream<'static, Result<Path>> {
        match self.alive() {
            Ok(()) => self.inner.delete_stream(locations),
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        }
    }

    fn list(&self, prefix: Option<&Path>) -> BoxStream<'static, Result<ObjectMeta>> {
        match self.alive() {
            Ok(()) => self.inner.list(prefix),
            Err(error) => futures::stream::once(async move { Err(error) }).boxed(),
        }
    }

    async fn list_with_delimiter(&self, prefix: Option<&Path>) -> Result<ListResult> {
        self.alive()?;
        self.inner.list_with_delimiter(prefix).await
    }

    async fn copy_opts(&self, from: &Path, to: &Path, options: CopyOptions) -> Result<()> {
        self.alive()?;
        self.inner.copy_opts(from, to, options).await
    }
}
