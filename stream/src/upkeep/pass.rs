//! One pass of upkeep over the tables: look, plan, rewrite, record, publish, delete.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use futures::TryStreamExt as _;
use object_store::{Error as StoreError, ObjectStore};
use schemas::limits::{
    MAX_COMPACTION_BATCH_BYTES, MAX_COMPACTION_BATCH_FILES, MAX_REMOVES_PER_RECORD,
};
use schemas::publish::LIVE_PIPELINE;
use schemas::table::Table;
use tokio_util::sync::CancellationToken;

use super::indexes::{Expired, Known};
use super::plan::{Group, StoredFile, Times};
use super::report::{Report, Step};
use super::rewrite::{Merged, RewriteError, Rewriter};
use super::{Settings, indexes, log_gc, plan, vacuum};
use crate::backoff::Backoff;
use crate::clock::{Clock, Entropy};
use crate::commit_log::Layout;
use crate::commit_log::head::Head;
use crate::commit_log::log::{CommitLog, Entry, LogError};
use crate::commit_log::record::{
    Body, FileAdd, FileRemove, Maintenance, MaintenanceKind, TableChange,
};
use crate::commit_log::snapshot::NewestError;
use crate::crash_point::{CrashPoint, pass};
use crate::issues;
use crate::replay::{ReplayError, staged};
use crate::table::contents::TableFile;
use crate::table::delta::{PublishedTable, TableError};
use crate::table::publication::Publication;

/// Why a pass ended early. What it did before stands.
#[derive(Debug, thiserror::Error)]
pub enum PassError {
    /// A table.
    #[error(transparent)]
    Table(#[from] TableError),
    /// The commit log.
    #[error(transparent)]
    Log(#[from] LogError),
    /// Listing or deleting.
    #[error("storage: {0}")]
    Store(#[from] StoreError),
    /// What replays have staged can not be told, so nothing may be deleted.
    #[error("replays: {0}")]
    Replay(#[from] Box<ReplayError>),
    /// Nothing has ever run on this store.
    #[error(
        "there is no commit log: nothing was ever written here; check --data-dir or storage.url"
    )]
    Empty,
}

impl From<NewestError> for PassError {
    fn from(error: NewestError) -> Self {
        match error {
            NewestError::Store(error) => Self::Store(error),
            NewestError::Newer(newer) => Self::Log(newer.into()),
        }
    }
}

/// The outside world.
#[derive(Debug, Clone)]
pub struct World {
    /// Root of tables and commit log.
    pub store: Arc<dyn ObjectStore>,
    /// Decides which hours are closed and which files are old.
    pub clock: Arc<dyn Clock>,
    /// For names and nonces.
    pub entropy: Arc<dyn Entropy>,
    /// Between attempts at the log and the tables.
    pub backoff: Backoff,
    /// Ends the work at the next safe point.
    pub stop: CancellationToken,
}

/// What a pass is to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scope {
    /// These tables.
    pub tables: Vec<Table>,
    /// Only say what would be done.
    pub dry_run: bool,
    /// Publish what the log says to the tables, too. Safe beside a running worker, which then
    /// finds it done; needed where none runs.
    pub publish: bool,
    /// Look for files and records to delete, too: that lists all of storage. A file goes only
    /// when a look so long ago found it to be garbage already: to a machine whose clock jumps, a
    /// file just written and not yet committed may look old. None: do not look.
    pub delete: Option<Duration>,
    /// A person has asked for it: retention believes the wall clock, however far it is ahead of the records.
    pub by_hand: bool,
}

/// Does passes over one store.
#[derive(Debug)]
pub struct Keeper {
    world: World,
    pipeline: &'static str,
    settings: Settings,
    author: String,
    tables: BTreeMap<Table, PublishedTable>,
    /// Files found to be garbage, and when they first were, by the monotonic clock.
    suspects: BTreeMap<(Table, String), Duration>,
    /// Which indexes files have rows of.
    known: Known,
}

/// A pass under way.
struct Pass<'a> {
    keeper: &'a mut Keeper,
    scope: &'a Scope,
    log: CommitLog,
    /// Records the tables may not show yet.
    backlog: Vec<Entry>,
    /// Files of replays that are not swapped in yet.
    staged: BTreeSet<(Table, String)>,
    report: Report,
    progress: &'a (dyn Fn(Step) + Send + Sync),
}

/// Whether a maintenance took effect.
enum Appended {
    At(u64),
    /// Another maintenance came first.
    Refused(String),
}

impl Keeper {
    /// A maintainer that calls itself `author` in the log.
    /// It keeps the tables of one pipeline, through that pipeline's log.
    pub fn new(world: World, pipeline: &'static str, settings: Settings, author: String) -> Self {
        let (tables, suspects) = (BTreeMap::new(), BTreeMap::new());
        Self { world, pipeline, settings, author, tables, suspects, known: Known::default() }
    }

    /// One pass. Tells each step as it is done.
    ///
    /// # Errors
    /// Storage fails, or the log is damaged. What was done before stands.
    pub async fn pass(
        &mut self,
        scope: &Scope,
        progress: &(dyn Fn(Step) + Send + Sync),
    ) -> Result<Report, PassError> {
        if self.tables.is_empty() {
            // Opening the tables would create them.
            let store = self.world.store.as_ref();
            let layout = Layout::new(self.pipeline);
            if store.list(Some(&layout.records())).try_next().await?.is_none() {
                return Err(PassError::Empty);
            }
        }
        // Before the tables: what is swapped in meanwhile is then in one of the two.
        let staged = match scope.delete {
            Some(_) => staged::paths(&self.world.store).await.map_err(Box::new)?,
            None => BTreeSet::new(),
        };
        self.look_at_tables().await?;
        let (log, backlog) = self.read_log().await?;
        let report = Report { dry_run: scope.dry_run, passes: 1, ..Report::default() };
        let mut pass = Pass { keeper: self, scope, log, backlog, staged, report, progress };
        pass.run().await?;
        Ok(pass.report)
    }

    /// Opens the tables, or reads what is new in them.
    async fn look_at_tables(&mut self) -> Result<(), TableError> {
        for table in Table::of(self.pipeline) {
            if let Some(open) = self.tables.get_mut(&table) {
                open.refresh().await?;
                continue;
            }
            let World { store, clock, entropy, backoff, .. } = self.world.clone();
            let open =
                PublishedTable::open(store, table, self.pipeline, clock, entropy, backoff).await?;
            self.tables.insert(table, open);
        }
        Ok(())
    }

    fn cursors(&self) -> BTreeMap<Table, Option<u64>> {
        self.tables.iter().map(|(table, open)| (*table, open.cursor())).collect()
    }

    /// Leaves in `garbage` what was garbage `settle` ago already, and remembers the rest.
    fn keep_young_suspects(
        &mut self,
        table: Table,
        garbage: &mut Vec<StoredFile>,
        settle: Duration,
    ) {
        let now = self.world.clock.monotonic();
        let found: BTreeSet<&str> = garbage.iter().map(|file| file.path.as_str()).collect();
        self.suspects.retain(|(of, path), _| *of != table || found.contains(path.as_str()));
        garbage.retain(|file| {
            let first = self.suspects.entry((table, file.path.clone())).or_insert(now);
            now.saturating_sub(*first) >= settle
        });
    }

    /// The log's head, and all records that a table may not show yet.
    async fn read_log(&self) -> Result<(CommitLog, Vec<Entry>), LogError> {
        let cursors = self.cursors();
        let World { store, clock, entropy, backoff, .. } = self.world.clone();
        let layout = Layout::new(self.pipeline);
        CommitLog::recover(store, layout, clock, entropy, backoff, |head| {
            head.is_published_at(&cursors)
        })
        .await
    }

    /// Performs the changes of these records on the tables.
    async fn publish(&mut self, entries: &[Entry]) -> Result<(), TableError> {
        let mut tables: BTreeMap<Table, Vec<Publication>> = BTreeMap::new();
        for (table, publication) in entries.iter().flat_map(Publication::of) {
            tables.entry(table).or_default().push(publication);
        }
        for (table, publications) in tables {
            if let Some(open) = self.tables.get_mut(&table) {
                open.publish(&publications).await?;
            }
        }
        Ok(())
    }
}

impl Pass<'_> {
    async fn run(&mut self) -> Result<(), PassError> {
        if self.scope.publish && !self.scope.dry_run {
            self.keeper.publish(&self.backlog).await?;
        }
        for table in self.scope.tables.clone() {
            self.table(table).await?;
        }
        if let Some(settle) = self.scope.delete {
            for table in self.scope.tables.clone() {
                self.vacuum(table, settle).await?;
            }
            self.collect_log().await?;
        }
        Ok(())
    }

    fn stopped(&self) -> bool {
        self.keeper.world.stop.is_cancelled()
    }

    /// The time that retention counts ages to.
    fn age_to(&self) -> i64 {
        let now = self.keeper.world.clock.unix_millis();
        if self.scope.by_hand {
            return now;
        }
        let clocks = self.log.head().partitions.values().filter_map(|known| known.clock_ns);
        plan::age_to(now, clocks.max())
    }

    /// Retention, then compaction of what remains.
    async fn table(&mut self, table: Table) -> Result<(), PassError> {
        let Some(open) = self.keeper.tables.get(&table) else { return Ok(()) };
        let known = self.log.head().tables.get(&table).cloned().unwrap_or_default();
        let mut files = open.contents()?;
        let cursor = open.cursor();
        let report = self.report.table(table);
        report.files = files.len() as u64;
        report.bytes = files.iter().map(|file| u64::try_from(file.size).unwrap_or(0)).sum();
        if known.last_maintenance_seq.is_some() && known.last_maintenance_seq > cursor {
            report.skipped = Some("an earlier maintenance is not published yet".to_owned());
            return Ok(());
        }
        let mut parent = known.last_maintenance_seq;
        let (now, age_to) = (self.keeper.world.clock.unix_millis(), self.age_to());
        if let Some(retention) = self.keeper.settings.retention.get(&table).copied() {
            let expired = plan::expired(&files, age_to, retention);
            files.retain(|file| !expired.contains(file));
            let Some(after) = self.expire(table, parent, expired).await? else { return Ok(()) };
            parent = after;
        }
        let Some(parent) = self.expire_indexes(table, parent, &mut files, age_to).await? else {
            return Ok(());
        };
        let times = Times { now_millis: now, closed_after: self.keeper.settings.compact_after };
        self.compact(table, parent, plan::compaction(&files, times)).await
    }

    /// Lets go of these files. `None` where another maintenance came first, else the seq of the
    /// last one.
    async fn expire(
        &mut self,
        table: Table,
        mut parent: Option<u64>,
        mut expired: Vec<TableFile>,
    ) -> Result<Option<Option<u64>>, PassError> {
        // Hour by hour, so that no reader finds half of one.
        expired.sort_unstable_by_key(|file| file.hour);
        while !expired.is_empty() {
            let hour = expired.get(MAX_REMOVES_PER_RECORD).map(|file| file.hour);
            let whole = hour.map_or(expired.len(), |hour| {
                expired.iter().position(|file| file.hour == hour).unwrap_or(expired.len())
            });
            // One hour of very many files goes as a whole all the same.
            let first = expired.first().map(|file| file.hour);
            let least = expired.iter().take_while(|file| Some(file.hour) == first).count();
            let removes: Vec<FileRemove> =
                expired.drain(..whole.max(least)).map(|file| file.remove()).collect();
            if !self.scope.dry_run {
                let kind = MaintenanceKind::Retain;
                let change = TableChange {
                    table,
                    parent_seq: parent,
                    removes: removes.clone(),
                    adds: Vec::new(),
                };
                match self.append(kind, change).await? {
                    Appended::At(seq) => parent = Some(seq),
                    Appended::Refused(reason) => {
                        self.report.table(table).skipped = Some(reason);
                        return Ok(None);
                    }
                }
                (self.progress)(Step::Expired { table, files: removes.len() });
            }
            self.report.table(table).expired.went(&removes);
        }
        Ok(Some(parent))
    }

    /// Lets go of the rows whose index does not keep them any longer. `None` where another maintenance came
    /// first, else the seq of the last one. Files that were replaced leave `files`.
    async fn expire_indexes(
        &mut self,
        table: Table,
        mut parent: Option<u64>,
        files: &mut Vec<TableFile>,
        age_to: i64,
    ) -> Result<Option<Option<u64>>, PassError> {
        let retention = self.keeper.settings.index_retention.clone();
        if table != indexes::TABLE || retention.is_empty() {
            return Ok(Some(parent));
        }
        self.keeper.known.keep(files);
        let mut batch =
            TableChange { table, parent_seq: parent, removes: Vec::new(), adds: Vec::new() };
        for (file, expired) in indexes::expired(files, age_to, &retention) {
            if self.stopped() {
                break;
            }
            let store = &self.keeper.world.store;
            let found = match self.keeper.known.look(store, &file, &expired).await {
                Ok(Some(found)) => found,
                Ok(None) => continue,
                Err(error) => {
                    tracing::warn!(path = file.path, %error, "retention by index left a file");
                    self.report.table(table).skipped = Some(error.to_string());
                    continue;
                }
            };
            files.retain(|other| other.path != file.path);
            if self.scope.dry_run {
                self.report.table(table).expired.went(&[file.remove()]);
                continue;
            }
            if !found.whole {
                match self.thin_out(table, &found).await {
                    Ok(add) => batch.adds.push(add),
                    Err(RewriteError::Stopped) => break,
                    Err(error) => {
                        tracing::warn!(path = file.path, %error, "retention by index left a file");
                        self.report.table(table).skipped = Some(error.to_string());
                        continue;
                    }
                }
            }
            batch.removes.push(file.remove());
            if batch.removes.len() >= MAX_COMPACTION_BATCH_FILES {
                let next = TableChange { removes: Vec::new(), adds: Vec::new(), ..batch.clone() };
                let full = std::mem::replace(&mut batch, next);
                let Some(seq) = self.replace(MaintenanceKind::Retain, full).await? else {
                    return Ok(None);
                };
                (parent, batch.parent_seq) = (Some(seq), Some(seq));
            }
        }
        if batch.removes.is_empty() {
            return Ok(Some(parent));
        }
        Ok(self.replace(MaintenanceKind::Retain, batch).await?.map(Some))
    }

    /// The file without the rows of some indexes.
    async fn thin_out(&mut self, table: Table, found: &Expired) -> Result<FileAdd, RewriteError> {
        let group = Group { hour: found.file.hour, files: vec![found.file.clone()] };
        let merged = self.rewrite(table, &group, found.indexes.clone()).await?;
        pass(CrashPoint::RetentionWritten);
        Ok(merged.add)
    }

    /// Puts the groups together, a batch per record.
    async fn compact(
        &mut self,
        table: Table,
        mut parent: Option<u64>,
        groups: Vec<Group>,
    ) -> Result<(), PassError> {
        let mut batch =
            TableChange { table, parent_seq: parent, removes: Vec::new(), adds: Vec::new() };
        let mut groups = VecDeque::from(groups);
        while let Some(mut group) = groups.pop_front() {
            if self.scope.dry_run {
                let removes: Vec<_> = group.files.iter().map(TableFile::remove).collect();
                self.report.table(table).compacted.went(&removes);
                continue;
            }
            if self.stopped() {
                break;
            }
            let Merged { group: taken, add } = match self
                .rewrite(table, &group, BTreeSet::new())
                .await
            {
                Ok(merged) => merged,
                Err(RewriteError::Stopped) => break,
                Err(error) => {
                    // Other hours may be sound: what is wrong with this one does not keep them.
                    tracing::warn!(table = table.name(), hour = %group.hour.date(), %error, "hour not compacted");
                    self.report.table(table).skipped = Some(error.to_string());
                    continue;
                }
            };
            pass(CrashPoint::CompactionWritten);
            batch.removes.extend(taken.files.iter().map(TableFile::remove));
            batch.adds.push(add);
            group.files.drain(..taken.files.len());
            if group.files.len() > 1 {
                groups.push_front(group);
            }
            let bytes: i64 = batch.adds.iter().map(|add| add.size).sum();
            let is_full = batch.removes.len() >= MAX_COMPACTION_BATCH_FILES
                || usize::try_from(bytes).unwrap_or(0) >= MAX_COMPACTION_BATCH_BYTES;
            if is_full {
                let next = TableChange { removes: Vec::new(), adds: Vec::new(), ..batch.clone() };
                let full = std::mem::replace(&mut batch, next);
                let Some(seq) = self.replace(MaintenanceKind::Compact, full).await? else {
                    return Ok(());
                };
                parent = Some(seq);
                batch.parent_seq = parent;
            }
        }
        if !batch.adds.is_empty() {
            self.replace(MaintenanceKind::Compact, batch).await?;
        }
        Ok(())
    }

    /// Merges one group, or the first files of it, on a thread that may be busy for long.
    async fn rewrite(
        &mut self,
        table: Table,
        group: &Group,
        gone: BTreeSet<String>,
    ) -> Result<Merged, RewriteError> {
        let World { store, clock, entropy, stop, .. } = self.keeper.world.clone();
        let rewriter = Rewriter { store, clock: Arc::clone(&clock), entropy, stop };
        let (begun, room) = (clock.monotonic(), self.keeper.settings.merge_bytes);
        let (handle, group) = (tokio::runtime::Handle::current(), group.clone());
        let merge = move || handle.block_on(rewriter.merge(table, &group, &gone, room));
        let merged = tokio::task::spawn_blocking(merge).await.map_err(RewriteError::Panicked)??;
        let took = clock.monotonic().saturating_sub(begun);
        let millis = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
        self.report.table(table).compaction_millis += millis;
        (self.progress)(Step::compacted(table, &merged.group, &merged.add, took));
        Ok(merged)
    }

    /// Records that files take the place of others. `None` where another maintenance came first.
    async fn replace(
        &mut self,
        kind: MaintenanceKind,
        change: TableChange,
    ) -> Result<Option<u64>, PassError> {
        let (table, removes, adds) = (change.table, change.removes.clone(), change.adds.clone());
        let retains = kind == MaintenanceKind::Retain;
        match self.append(kind, change).await? {
            Appended::At(seq) => {
                let report = self.report.table(table);
                let effect = if retains { &mut report.expired } else { &mut report.compacted };
                effect.went(&removes);
                effect.came(&adds);
                Ok(Some(seq))
            }
            Appended::Refused(reason) => {
                // No record will ever name them: refused is for good.
                let key = |add: FileAdd| Ok(format!("{}/{}", table.path(), add.path).into());
                let keys = adds.into_iter().map(key).collect();
                if let Err(error) =
                    vacuum::delete_keys(self.keeper.world.store.as_ref(), keys).await
                {
                    tracing::debug!(%error, "files of a refused maintenance are garbage for later");
                }
                self.report.table(table).skipped = Some(reason);
                Ok(None)
            }
        }
    }

    /// Appends, and publishes where that is our part.
    async fn append(
        &mut self,
        kind: MaintenanceKind,
        change: TableChange,
    ) -> Result<Appended, PassError> {
        let author = self.keeper.author.clone();
        let body = Body::Maintenance(Maintenance { author, kind, changes: vec![change] });
        match self.log.append(|_| body.clone()).await {
            Ok(entries) => {
                let seq = entries.last().map_or(0, |entry| entry.record.seq);
                match &body {
                    Body::Maintenance(Maintenance { kind: MaintenanceKind::Retain, .. }) => {
                        pass(CrashPoint::RetentionRecorded);
                    }
                    _ => pass(CrashPoint::CompactionRecorded),
                }
                if self.scope.publish {
                    self.keeper.publish(&entries).await?;
                }
                self.backlog.extend(entries);
                Ok(Appended::At(seq))
            }
            Err(LogError::Rejected(reason)) => {
                // What was read before the refusal was not handed out: read again.
                let (log, backlog) = self.keeper.read_log().await?;
                (self.log, self.backlog) = (log, backlog);
                if self.scope.publish {
                    self.keeper.publish(&self.backlog).await?;
                }
                Ok(Appended::Refused(reason.to_string()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Deletes what nothing refers to any more.
    async fn vacuum(&mut self, table: Table, settle: Duration) -> Result<(), PassError> {
        let horizon = self.keeper.settings.horizon;
        let now = self.keeper.world.clock.unix_millis();
        let since = now.saturating_sub(i64::try_from(horizon.as_millis()).unwrap_or(i64::MAX));
        let store = Arc::clone(&self.keeper.world.store);
        let Some(open) = self.keeper.tables.get(&table) else { return Ok(()) };
        let mut referenced = vacuum::referenced(open, &self.backlog, since).await?;
        let staged = self.staged.iter().filter(|(of, _)| *of == table);
        referenced.extend(staged.map(|(_, path)| path.clone()));
        let mut garbage = vacuum::find(store.as_ref(), open, &referenced, now, horizon).await?;
        self.keeper.keep_young_suspects(table, &mut garbage, settle);
        let bytes = garbage.iter().map(|file| file.size).sum::<u64>();
        if !self.scope.dry_run && !garbage.is_empty() {
            vacuum::delete(store.as_ref(), table, &garbage).await?;
            (self.progress)(Step::Deleted { table, files: garbage.len() });
        }
        let report = self.report.table(table);
        report.deleted_files += garbage.len() as u64;
        report.deleted_bytes += bytes;
        Ok(())
    }

    async fn collect_log(&mut self) -> Result<(), PassError> {
        let Keeper { world, pipeline, settings, .. } = &*self.keeper;
        let World { store, clock, entropy, backoff, .. } = world;
        let read = match *pipeline {
            LIVE_PIPELINE => match issues::position(store, clock, entropy, *backoff).await {
                Ok(read) => read,
                Err(error) => {
                    tracing::warn!(%error, "records stay: where error tracking stands is not known");
                    return Ok(());
                }
            },
            _ => None,
        };
        let cursors = self.keeper.cursors();
        let is_published = |head: &Head| head.is_published_at(&cursors);
        let (layout, now) = (Layout::new(pipeline), clock.unix_millis());
        let (store, horizon) = (store.as_ref(), settings.log_horizon);
        let old = log_gc::find(store, &layout, now, horizon, read, is_published).await?;
        if !self.scope.dry_run {
            log_gc::delete(store, &old).await?;
        }
        self.report.deleted_log_objects += old.len() as u64;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
