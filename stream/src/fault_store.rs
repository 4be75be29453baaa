//! A store that fails on purpose, for tests: writes, reads and listings count, and rules name those
//! that go wrong and how. Every fault that happens is counted by its kind: a test that planned a
//! fault which never came proves nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use futures::stream::{BoxStream, StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{
    CopyOptions, Error, GetOptions, GetResult, ListResult, MultipartUpload, ObjectMeta,
    ObjectStore, PutMode, PutMultipartOptions, PutOptions, PutPayload, PutResult, Result,
};
use tokio::sync::watch;

/// What goes wrong, and when: writes, reads and listings are counted from 0, each by itself.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Rule {
    /// This write fails and has no effect: a 5xx, a timeout on the way there.
    FailBefore(u64),
    /// This write takes effect and reports a failure: a 5xx after success, a timeout on the way back.
    FailAfter(u64),
    /// This write reports that the key exists although nothing stands there: a 409 of a race.
    FalseExists(u64),
    /// This write reports a failure, and lands when the given later write begins.
    Delay(u64, u64),
    /// From this write on nothing works: the process is dead, or the network.
    DieAt(u64),
    /// This write takes effect, and from then on nothing works.
    DieAfter(u64),
    /// Creates overwrite: a store that ignores `If-None-Match`.
    IgnoreCreate,
    /// A create of a key that exists is answered as Azure does: 412 in place of 409.
    Precondition,
    /// From this write on, for so many of them, there is no space left.
    Full(u64, u64),
    /// This read fails.
    FailRead(u64),
    /// This listing does not show its last so many keys yet.
    StaleList(u64, usize),
}

/// A kind of fault that happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fault {
    /// [`Rule::FailBefore`].
    Before,
    /// [`Rule::FailAfter`].
    After,
    /// [`Rule::FalseExists`].
    FalseExists,
    /// [`Rule::Delay`]: told as a failure.
    Delayed,
    /// The same write, landing later.
    Landed,
    /// [`Rule::DieAt`], [`Rule::DieAfter`].
    Died,
    /// [`Rule::IgnoreCreate`]: a key was overwritten.
    Overwrote,
    /// [`Rule::Precondition`].
    Precondition,
    /// [`Rule::Full`].
    Full,
    /// [`Rule::FailRead`].
    Read,
    /// [`Rule::StaleList`]: at least one key was hidden.
    StaleList,
}

impl Fault {
    /// Every kind.
    pub(crate) const ALL: [Self; 11] = [
        Self::Before,
        Self::After,
        Self::FalseExists,
        Self::Delayed,
        Self::Landed,
        Self::Died,
        Self::Overwrote,
        Self::Precondition,
        Self::Full,
        Self::Read,
        Self::StaleList,
    ];
}

/// How often each kind happened.
pub(crate) type Faults = BTreeMap<Fault, u64>;

type Delayed = (u64, Path, PutPayload, PutOptions);

/// The wrapper.
#[derive(Debug)]
pub(crate) struct FaultStore {
    inner: Arc<dyn ObjectStore>,
    rules: Vec<Rule>,
    writes: AtomicU64,
    reads: AtomicU64,
    lists: AtomicU64,
    delayed: Mutex<Vec<Delayed>>,
    dead_at: AtomicU64,
    /// Whether writes wait, as those of a stopped process do.
    paused: watch::Sender<bool>,
    held_back: AtomicU64,
    faults: Mutex<Faults>,
}

fn fault() -> Error {
    Error::Generic { store: "FaultStore", source: "injected fault".into() }
}

/// "No space left on device", on Linux and macOS.
const ENOSPC: i32 = 28;

fn full() -> Error {
    let source = std::io::Error::from_raw_os_error(ENOSPC);
    Error::Generic { store: "FaultStore", source: source.into() }
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
            reads: AtomicU64::new(0),
            lists: AtomicU64::new(0),
            delayed: Mutex::default(),
            dead_at: AtomicU64::new(dead_at.unwrap_or(u64::MAX)),
            paused: watch::channel(false).0,
            held_back: AtomicU64::new(0),
            faults: Mutex::default(),
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

    /// The faults that happened.
    pub(crate) fn faults(&self) -> Faults {
        self.faults.lock().expect("not poisoned").clone()
    }

    /// Lands what is delayed, whoever asked for it may be gone by now.
    pub(crate) async fn land(&self) {
        self.land_before(u64::MAX).await;
    }

    async fn land_before(&self, write: u64) {
        let due: Vec<Delayed> = {
            let mut delayed = self.delayed.lock().expect("not poisoned");
            delayed.extract_if(.., |(at, ..)| *at <= write).collect()
        };
        for (_, location, payload, options) in due {
            self.met(Fault::Landed);
            drop(self.inner.put_opts(&location, payload, options).await);
        }
    }

    fn met(&self, kind: Fault) {
        *self.faults.lock().expect("not poisoned").entry(kind).or_default() += 1;
    }

    fn alive(&self) -> Result<()> {
        if self.dead() { Err(fault()) } else { Ok(()) }
    }

    /// Whether this read may go through.
    fn read(&self) -> Result<()> {
        self.alive()?;
        let read = self.reads.fetch_add(1, Ordering::SeqCst);
        if self.rules.iter().any(|rule| matches!(rule, Rule::FailRead(at) if *at == read)) {
            self.met(Fault::Read);
            return Err(fault());
        }
        Ok(())
    }

    /// How many keys this listing hides.
    fn hidden(&self) -> usize {
        let list = self.lists.fetch_add(1, Ordering::SeqCst);
        let hides = |rule: &Rule| match rule {
            Rule::StaleList(at, keys) if *at == list => Some(*keys),
            _ => None,
        };
        let hidden = self.rules.iter().find_map(hides).unwrap_or(0);
        if hidden > 0 {
            self.met(Fault::StaleList);
        }
        hidden
    }

    /// A write that nothing is wrong with, but for what is always wrong with this store.
    async fn put(
        &self,
        location: &Path,
        payload: PutPayload,
        mut options: PutOptions,
    ) -> Result<PutResult> {
        let creates = matches!(options.mode, PutMode::Create);
        if creates && self.rules.iter().any(|rule| matches!(rule, Rule::IgnoreCreate)) {
            let get = GetOptions { head: true, ..Default::default() };
            if self.inner.get_opts(location, get).await.is_ok() {
                self.met(Fault::Overwrote);
            }
            options.mode = PutMode::Overwrite;
        }
        match self.inner.put_opts(location, payload, options).await {
            Err(Error::AlreadyExists { path, source })
                if self.rules.iter().any(|rule| matches!(rule, Rule::Precondition)) =>
            {
                self.met(Fault::Precondition);
                Err(Error::Precondition { path, source })
            }
            other => other,
        }
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
        options: PutOptions,
    ) -> Result<PutResult> {
        if *self.paused.borrow() {
            self.held_back.fetch_add(1, Ordering::SeqCst);
            drop(self.paused.subscribe().wait_for(|paused| !paused).await);
        }
        let write = self.writes.fetch_add(1, Ordering::SeqCst);
        self.land_before(write).await;
        if write >= self.dead_at.load(Ordering::SeqCst) {
            self.met(Fault::Died);
            return Err(fault());
        }
        for rule in &self.rules {
            match *rule {
                Rule::FailBefore(at) if at == write => {
                    self.met(Fault::Before);
                    return Err(fault());
                }
                Rule::FailAfter(at) if at == write => {
                    self.put(location, payload, options).await?;
                    self.met(Fault::After);
                    return Err(fault());
                }
                Rule::FalseExists(at) if at == write => {
                    self.met(Fault::FalseExists);
                    let path = location.to_string();
                    return Err(Error::AlreadyExists { path, source: "injected".into() });
                }
                Rule::Delay(at, until) if at == write => {
                    self.met(Fault::Delayed);
                    let mut delayed = self.delayed.lock().expect("not poisoned");
                    delayed.push((until, location.clone(), payload, options));
                    return Err(fault());
                }
                Rule::Full(from, writes)
                    if (from..from.saturating_add(writes)).contains(&write) =>
                {
                    self.met(Fault::Full);
                    return Err(full());
                }
                _ => {}
            }
        }
        self.put(location, payload, options).await
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
        self.read()?;
        self.inner.get_opts(location, options).await
    }

    async fn get_ranges(&self, location: &Path, ranges: &[Range<u64>]) -> Result<Vec<Bytes>> {
        self.read()?;
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
        if let Err(error) = self.alive() {
            return futures::stream::once(async move { Err(error) }).boxed();
        }
        let (listed, hidden) = (self.inner.list(prefix), self.hidden());
        if hidden == 0 {
            return listed;
        }
        let shown = async move {
            let mut shown: Vec<ObjectMeta> = listed.try_collect().await?;
            shown.truncate(shown.len().saturating_sub(hidden));
            Ok::<_, Error>(futures::stream::iter(shown.into_iter().map(Ok)))
        };
        futures::stream::once(shown).try_flatten().boxed()
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
