//! Append and recovery.
//!
//! A create whose answer is not a plain success says nothing: the record may have landed, may
//! land later, or another's may stand there. So every such answer is settled by reading the key
//! back and comparing the nonce, and until it is settled the same bytes go to the same key. The
//! next key is never tried before this one is known.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt as _, TryStreamExt as _};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _, PutMode, PutOptions};
use schemas::limits::{
    LOG_STALENESS_SECONDS, MAX_APPEND_ATTEMPTS, RECOVERY_CONCURRENT_READS, SNAPSHOT_INTERVAL,
};

use super::frame::FrameError;
use super::head::{ChainError, Folded, Head, Rejection};
use super::record::{self, Bits, Body, Record, RecordError};
use super::snapshot::{Newer, NewestError};
use super::{Layout, snapshot};
use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy};
use crate::crash_point::{CrashPoint, pass};
use crate::mutant::{Mutant, planted};

/// Why the log can not be read or written.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The store did not answer, or not clearly, for as long as we ask.
    #[error(
        "commit log {key}: no clear answer after {attempts} attempts, last: {last}; the record may or may not have landed, a restart finds out"
    )]
    Unsettled {
        /// The key.
        key: String,
        /// How often it was tried.
        attempts: u32,
        /// The last error.
        last: String,
    },
    /// The store failed while reading.
    #[error("commit log: cannot read {key}: {source}")]
    Read {
        /// The key.
        key: String,
        /// The store's reason.
        source: StoreError,
    },
    /// A record is damaged, or not one.
    #[error(
        "commit log {key}: {source}; restore this object from a backup, nothing after it can be trusted"
    )]
    Damaged {
        /// The key.
        key: String,
        /// What is wrong.
        source: RecordError,
    },
    /// A record is missing although later ones are there.
    #[error(
        "commit log: {key} is missing although later records are there; restore it from a backup"
    )]
    Missing {
        /// The key.
        key: String,
    },
    /// Records do not form one chain.
    #[error("commit log: {0}; two logs were mixed in one prefix, or a record was edited")]
    Chain(#[from] ChainError),
    /// Records we have not read are gone: we were away for longer than they are kept.
    #[error(
        "commit log: {key} was removed although this worker has not read it: it was away for longer than records are kept; restart it"
    )]
    Stale {
        /// The key.
        key: String,
    },
    /// A key that is no record.
    #[error("commit log: foreign object {key}; move it out of this prefix")]
    Foreign {
        /// The key.
        key: String,
    },
    /// A newer version has worked on this store.
    #[error("commit log: {0}")]
    Newer(#[from] Newer),
    /// The record is not valid any more.
    #[error("commit log: {0}")]
    Rejected(#[from] Rejection),
    /// The record can not be written at all.
    #[error("commit log: cannot encode the record: {0}")]
    Encode(RecordError),
}

impl LogError {
    /// What to do differs: what is damaged is restored, what is newer waits for a newer version.
    fn unreadable(key: &Path, source: RecordError) -> Self {
        let reason = match source {
            RecordError::Content(reason) => reason,
            RecordError::Frame(error @ FrameError::Version(_)) => error.to_string(),
            RecordError::Frame(_) => return Self::Damaged { key: key.to_string(), source },
        };
        let writer = "a newer Tidemill".to_owned();
        Self::Newer(Newer { key: key.to_string(), writer, reason })
    }
}

/// A record and what folding it found.
#[derive(Debug, Clone, PartialEq)]
pub struct Entry {
    /// The record.
    pub record: Record,
    /// Which of its parts count.
    pub folded: Folded,
}

/// The log of one pipeline, folded up to its end as far as we have seen it. Clones go on independently.
#[derive(Debug, Clone)]
pub struct CommitLog {
    store: Arc<dyn ObjectStore>,
    layout: Layout,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    backoff: Backoff,
    head: Head,
    /// When `head` was last known to be the log's end, by the monotonic clock.
    current: Duration,
    /// Whether a store that does not answer is asked until it does.
    patient: bool,
}

/// What a create came to.
enum Settled {
    /// Our bytes stand there.
    Ours,
    /// Another's.
    Theirs(Vec<u8>),
}

impl CommitLog {
    /// Reads the log: the newest snapshot that `usable` accepts, then every record after it. The
    /// entries returned are those after the snapshot.
    pub async fn recover(
        store: Arc<dyn ObjectStore>,
        layout: Layout,
        clock: Arc<dyn Clock>,
        entropy: Arc<dyn Entropy>,
        backoff: Backoff,
        usable: impl Fn(&Head) -> bool,
    ) -> Result<(Self, Vec<Entry>), LogError> {
        let current = clock.monotonic();
        let head = Head::default();
        let patient = false;
        let mut log = Self { store, layout, clock, entropy, backoff, head, current, patient };
        log.head = log.newest_snapshot(usable).await?.unwrap_or_default();
        let mut entries = Vec::new();
        log.read_listed(&mut entries).await?;
        log.read_tail(&mut entries).await?;
        Ok((log, entries))
    }

    /// Like [`Self::recover`]; where the records this needs were collected, from the oldest snapshot there is.
    /// Whoever calls it looks where the entries begin.
    pub async fn recover_what_is_left(
        store: &Arc<dyn ObjectStore>,
        layout: Layout,
        clock: &Arc<dyn Clock>,
        entropy: &Arc<dyn Entropy>,
        backoff: Backoff,
        usable: impl Fn(&Head) -> bool,
    ) -> Result<(Self, Vec<Entry>), LogError> {
        let parts = || (store.clone(), layout.clone(), clock.clone(), entropy.clone());
        let whole = {
            let (store, layout, clock, entropy) = parts();
            Self::recover(store, layout, clock, entropy, backoff, usable).await
        };
        let Err(missing @ LogError::Missing { .. }) = whole else { return whole };
        let oldest = snapshot::oldest(store.as_ref(), &layout).await.map_err(|error| match error {
            NewestError::Newer(newer) => newer.into(),
            NewestError::Store(source) => {
                LogError::Read { key: layout.snapshots().to_string(), source }
            }
        });
        let Some(oldest) = oldest? else { return Err(missing) };
        let covers = move |head: &Head| head.next_seq <= oldest;
        let (store, layout, clock, entropy) = parts();
        Self::recover(store, layout, clock, entropy, backoff, covers).await
    }

    /// From now on a store that fails, or is full, is asked until it answers. Until then the same bytes
    /// go to the same key: waiting is the one thing that is safe and needs nobody.
    pub fn patiently(mut self) -> Self {
        self.patient = true;
        self
    }

    /// Whether a store that failed so often is given up.
    fn gives_up(&self, attempt: u32) -> bool {
        !self.patient && attempt >= MAX_APPEND_ATTEMPTS
    }

    /// The snapshot to start from, asking a store that fails again for a while.
    async fn newest_snapshot(
        &self,
        usable: impl Fn(&Head) -> bool,
    ) -> Result<Option<Head>, LogError> {
        let mut attempt = 1;
        loop {
            match snapshot::newest(self.store.as_ref(), &self.layout, &usable).await {
                Ok(found) => return Ok(found),
                Err(NewestError::Newer(newer)) => return Err(newer.into()),
                Err(NewestError::Store(source)) if attempt >= MAX_APPEND_ATTEMPTS => {
                    let key = self.layout.snapshots().to_string();
                    return Err(LogError::Read { key, source });
                }
                Err(error) => {
                    tracing::warn!(attempt, %error, "commit log: no snapshot read, again");
                    self.backoff.pause(attempt, self.entropy.as_ref()).await;
                    attempt += 1;
                }
            }
        }
    }

    /// What all records so far add up to.
    pub fn head(&self) -> &Head {
        &self.head
    }

    /// Appends the record `make` derives from the head. Called again with a newer head when
    /// another writer's record came first; those entries are returned too, ours last. The append
    /// is refused, and nothing written, once the record would not take full effect.
    pub async fn append(
        &mut self,
        mut make: impl FnMut(&Head) -> Body,
    ) -> Result<Vec<Entry>, LogError> {
        let mut entries = Vec::new();
        let unseen = self.clock.monotonic().saturating_sub(self.current);
        if unseen > Duration::from_secs(LOG_STALENESS_SECONDS) {
            entries = self.catch_up().await?;
        }
        for _ in 0..MAX_APPEND_ATTEMPTS {
            let body = make(&self.head);
            self.head.check(&body)?;
            let record = Record {
                seq: self.head.next_seq,
                nonce: Bits(self.entropy.bits()),
                previous: self.head.last_hash,
                written_millis: self.clock.unix_millis(),
                body,
            };
            let bytes = record::encode(&record).map_err(LogError::Encode)?;
            let key = self.layout.record(record.seq);
            match self.settle(&key, &bytes, record.nonce).await? {
                Settled::Ours => {
                    entries.push(self.fold(record, &bytes)?);
                    self.current = self.clock.monotonic();
                    pass(CrashPoint::RecordAppended);
                    self.snapshot_if_due().await;
                    return Ok(entries);
                }
                Settled::Theirs(bytes) => {
                    entries.push(self.fold_bytes(&key, &bytes)?);
                    self.read_tail(&mut entries).await?;
                }
            }
        }
        let key = self.layout.record(self.head.next_seq).to_string();
        let last = "other writers always came first".to_owned();
        Err(LogError::Unsettled { key, attempts: MAX_APPEND_ATTEMPTS, last })
    }

    /// Reads what others have appended since. Makes sure that the end found is the log's: to a writer that was
    /// away for long enough, a record removed by garbage collection looks like one not written yet.
    pub async fn catch_up(&mut self) -> Result<Vec<Entry>, LogError> {
        let mut entries = Vec::new();
        let asked = self.clock.monotonic();
        let unseen = asked.saturating_sub(self.current);
        match self.read_tail(&mut entries).await {
            // The head has them already: they must not be lost. The next look meets the error again.
            Err(error) if !entries.is_empty() => {
                tracing::warn!(%error, "commit log: the tail was read in part");
                return Ok(entries);
            }
            other => other?,
        }
        if unseen > Duration::from_secs(LOG_STALENESS_SECONDS) {
            let latest = snapshot::hint(self.store.as_ref(), &self.layout).await;
            let key = self.layout.latest_snapshot().to_string();
            let latest = latest.map_err(|source| LogError::Read { key, source })?;
            if latest.is_some_and(|latest| latest > self.head.next_seq) {
                // Another writer may have come between the two reads.
                self.read_tail(&mut entries).await?;
                if latest.is_some_and(|latest| latest > self.head.next_seq) {
                    let key = self.layout.record(self.head.next_seq).to_string();
                    return Err(LogError::Stale { key });
                }
            }
        }
        self.current = asked;
        Ok(entries)
    }

    /// Creates `key`, and finds out whose bytes stand there in the end.
    async fn settle(&self, key: &Path, bytes: &[u8], nonce: Bits) -> Result<Settled, LogError> {
        let (mut last, mut attempt) = (String::new(), 0);
        pass(CrashPoint::RecordBefore);
        while !self.gives_up(attempt) {
            let options = PutOptions { mode: PutMode::Create, ..Default::default() };
            match self.store.put_opts(key, bytes.to_vec().into(), options).await {
                Ok(_) => return Ok(Settled::Ours),
                Err(StoreError::AlreadyExists { .. }) if planted(Mutant::Nonce) => {
                    return Ok(Settled::Ours);
                }
                Err(_) if planted(Mutant::UnclearIsSuccess) => return Ok(Settled::Ours),
                Err(error) => last = error.to_string(),
            }
            match self.read(key).await {
                Ok(Some(found)) => {
                    let author =
                        record::decode(&found).map_err(|error| LogError::unreadable(key, error))?;
                    let ours = author.nonce == nonce;
                    return Ok(if ours { Settled::Ours } else { Settled::Theirs(found) });
                }
                // Nothing there: not landed yet, or never. The same bytes again.
                Ok(None) => {}
                Err(error) => last = error.to_string(),
            }
            tracing::warn!(%key, attempt, error = last, "commit log: append not settled, again");
            self.backoff.pause(attempt, self.entropy.as_ref()).await;
            attempt = attempt.saturating_add(1);
        }
        Err(LogError::Unsettled { key: key.to_string(), attempts: MAX_APPEND_ATTEMPTS, last })
    }

    async fn read(&self, key: &Path) -> Result<Option<Vec<u8>>, StoreError> {
        match self.store.get(key).await {
            Ok(found) => Ok(Some(found.bytes().await?.to_vec())),
            Err(StoreError::NotFound { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Like [`Self::read`], trying again for a while.
    async fn read_patiently(&self, key: &Path) -> Result<Option<Vec<u8>>, LogError> {
        let mut attempt = 1_u32;
        loop {
            match self.read(key).await {
                Ok(found) => return Ok(found),
                Err(source) if self.gives_up(attempt) => {
                    return Err(LogError::Read { key: key.to_string(), source });
                }
                Err(error) => {
                    tracing::warn!(%key, attempt, %error, "commit log: read failed, again");
                    self.backoff.pause(attempt, self.entropy.as_ref()).await;
                    attempt = attempt.saturating_add(1);
                }
            }
        }
    }

    fn fold_bytes(&mut self, key: &Path, bytes: &[u8]) -> Result<Entry, LogError> {
        let record = record::decode(bytes).map_err(|error| LogError::unreadable(key, error))?;
        self.fold(record, bytes)
    }

    fn fold(&mut self, record: Record, bytes: &[u8]) -> Result<Entry, LogError> {
        let folded = self.head.fold(&record, record::hash(bytes))?;
        for (part, reason) in &folded.rejected {
            tracing::warn!(seq = record.seq, part, %reason, "commit log: part has no effect");
        }
        Ok(Entry { record, folded })
    }

    /// Reads the records a listing shows, several at once.
    async fn read_listed(&mut self, entries: &mut Vec<Entry>) -> Result<(), LogError> {
        let directory = self.layout.records();
        let wrap = |source| LogError::Read { key: directory.to_string(), source };
        let mut listed = BTreeSet::new();
        let keys: Vec<Path> = match self.head.next_seq.checked_sub(1) {
            None => self.store.list(Some(&directory)),
            Some(seq) => self.store.list_with_offset(Some(&directory), &self.layout.record(seq)),
        }
        .map_ok(|meta| meta.location)
        .try_collect()
        .await
        .map_err(wrap)?;
        for key in keys {
            let seq = Layout::seq(&key).ok_or(LogError::Foreign { key: key.to_string() })?;
            if seq >= self.head.next_seq {
                listed.insert(seq);
            }
        }
        // Numbers without a gap; what a stale listing hides behind one is found by `read_tail`.
        let first = self.head.next_seq;
        let end = (first..).find(|seq| !listed.contains(seq)).unwrap_or(first);
        let later = listed.last().copied().filter(|last| *last > end);
        let reads: Vec<_> = {
            let this = &*self;
            futures::stream::iter(first..end)
                .map(|seq| async move {
                    let key = this.layout.record(seq);
                    let found = this.read_patiently(&key).await?;
                    found
                        .map(|bytes| (key.clone(), bytes))
                        .ok_or(LogError::Missing { key: key.to_string() })
                })
                .buffered(RECOVERY_CONCURRENT_READS)
                .try_collect()
                .await?
        };
        for (key, bytes) in reads {
            entries.push(self.fold_bytes(&key, &bytes)?);
        }
        if let Some(later) = later {
            self.read_tail(entries).await?;
            if self.head.next_seq <= later {
                let key = self.layout.record(self.head.next_seq).to_string();
                return Err(LogError::Missing { key });
            }
        }
        Ok(())
    }

    /// Reads records one by one until there is none.
    async fn read_tail(&mut self, entries: &mut Vec<Entry>) -> Result<(), LogError> {
        loop {
            let key = self.layout.record(self.head.next_seq);
            let Some(bytes) = self.read_patiently(&key).await? else { return Ok(()) };
            entries.push(self.fold_bytes(&key, &bytes)?);
        }
    }

    /// Saves the head now and then, so that recovery reads a bounded tail. Best effort: without
    /// it recovery reads more.
    async fn snapshot_if_due(&self) {
        if self.head.next_seq.is_multiple_of(SNAPSHOT_INTERVAL)
            && let Err(error) = snapshot::save(self.store.as_ref(), &self.layout, &self.head).await
        {
            tracing::warn!(seq = self.head.next_seq, %error, "commit log: no snapshot written");
        }
    }
}

/// The pause a test can afford.
#[cfg(test)]
pub(crate) const TEST_BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(1), most: Duration::from_millis(2) };

/// The pause between attempts in production: 50 ms to 5 s, about a minute over all attempts.
pub const BACKOFF: Backoff =
    Backoff { first: Duration::from_millis(50), most: Duration::from_secs(5) };

#[cfg(test)]
mod tests;
