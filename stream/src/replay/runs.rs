//! Rows too few for a file of their own: kept per unit and table in *runs*, files no table ever names, in the
//! order of their hours. When all is read, the runs of a table are merged, and each hour becomes few files.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::error::ArrowError;
use futures::StreamExt as _;
use object_store::path::Path;
use parquet::arrow::ArrowWriter;
use schemas::limits::{
    MAX_COMPACTED_FILE_BYTES, MERGE_BATCH_ROWS, REPLAY_MERGE_FILES, REPLAY_RUN_GROUP_ROWS,
};
use schemas::table::Table;
use schemas::time::{EventHour, EventTime};
use stages::columns;
use tokio::sync::mpsc;
use tokio_util::task::AbortOnDropHandle;

use super::ReplayError;
use super::rows;
use crate::commit_log::record::FileAdd;
use crate::files::{self, FileError, FileWriter, statistics::Statistics};
use crate::unit::HourBatch;
use crate::upkeep::fingerprint::Fingerprint;
use crate::upkeep::merge::{Merge, Order, hours};
use crate::upkeep::rewrite::{Output, RewriteError, Rewriter};

/// Directory of the runs below a table; readers of Delta ignore it, and so does the deletion of garbage.
pub(super) const DIRECTORY: &str = "_replay";

/// Whether a staged file is a run.
pub(super) fn is_run(add: &FileAdd) -> bool {
    is_run_path(&add.path)
}

/// Whether a path below a table is in the directory of the runs.
pub(crate) fn is_run_path(path: &str) -> bool {
    path.strip_prefix(DIRECTORY).is_some_and(|rest| rest.starts_with('/'))
}

/// Rows of a table in several hours -> one run.
pub(super) async fn write(
    writer: &FileWriter,
    replay: &str,
    table: Table,
    mut batches: Vec<HourBatch>,
) -> Result<FileAdd, ReplayError> {
    batches.sort_by_key(|batch| batch.hour);
    let encoded = tokio::task::spawn_blocking(move || encode(table, &batches)).await?;
    let (bytes, rows) = encoded?;
    let name = uuid::Builder::from_random_bytes(writer.entropy.bits().to_be_bytes()).into_uuid();
    let path = format!("{DIRECTORY}/{replay}/run-{name}.parquet");
    let size = bytes.len();
    writer.put(&Path::from(format!("{}/{path}", table.path())), bytes).await;
    Ok(run(table, path, size, rows, writer.clock.unix_millis()))
}

fn run(table: Table, path: String, size: usize, rows: usize, modified_millis: i64) -> FileAdd {
    FileAdd {
        table,
        path,
        date: String::new(),
        hour: -1,
        size: i64::try_from(size).unwrap_or(i64::MAX),
        rows: i64::try_from(rows).unwrap_or(i64::MAX),
        stats: "{}".to_owned(),
        modified_millis,
    }
}

fn encode(table: Table, batches: &[HourBatch]) -> Result<(Vec<u8>, usize), ReplayError> {
    let sorted: Result<Vec<RecordBatch>, _> =
        batches.iter().map(|batch| columns::sort(table, &batch.rows)).collect();
    let rows = concat_batches(&table.file_schema(), &sorted?)?;
    let write = || {
        let properties = files::scratch_properties(REPLAY_RUN_GROUP_ROWS);
        let mut writer = ArrowWriter::try_new(Vec::new(), table.file_schema(), Some(properties))?;
        writer.write(&rows)?;
        writer.into_inner()
    };
    let bytes = write().map_err(|source| FileError::Encode { table: table.name(), source })?;
    Ok((bytes, rows.num_rows()))
}

/// Merges the runs of a table into files of one hour each.
#[derive(Debug)]
pub(super) struct Settler<'a> {
    pub(super) rewriter: &'a Rewriter,
    pub(super) replay: &'a str,
    pub(super) table: Table,
}

impl Settler<'_> {
    /// The files all these runs become. Nothing refers to them yet.
    pub(super) async fn settle(&self, mut runs: Vec<FileAdd>) -> Result<Vec<FileAdd>, ReplayError> {
        let mut made = Vec::new();
        // Row groups of all inputs are in memory at once: too many runs become fewer first.
        while runs.len() > REPLAY_MERGE_FILES {
            let mut fewer = Vec::new();
            for group in runs.chunks(REPLAY_MERGE_FILES) {
                fewer.push(self.join(group).await?);
            }
            made.extend(fewer.iter().map(|run| run.path.clone()));
            runs = fewer;
        }
        let files = self.split(&runs).await?;
        let key = |path: String| Ok(Path::from(format!("{}/{path}", self.table.path())));
        let made = made.into_iter().map(key).collect();
        crate::upkeep::vacuum::delete_keys(self.rewriter.store.as_ref(), made).await?;
        Ok(files)
    }

    async fn merge(&self, runs: &[FileAdd]) -> Result<Ahead, ReplayError> {
        let mut inputs = Vec::with_capacity(runs.len());
        let batch = (MERGE_BATCH_ROWS / runs.len().max(1)).clamp(64, MERGE_BATCH_ROWS);
        for run in runs {
            inputs.push(rows::whole(&self.rewriter.store, self.table, &run.path, batch).await?);
        }
        Ok(Ahead::new(Merge::open(self.table, Order::Hour, inputs).await?))
    }

    /// Runs -> one run.
    async fn join(&self, runs: &[FileAdd]) -> Result<FileAdd, ReplayError> {
        let mut merge = self.merge(runs).await?;
        let bits = self.rewriter.entropy.bits();
        let path = format!("{DIRECTORY}/{}/run-{bits:032x}.parquet", self.replay);
        let properties = files::scratch_properties(REPLAY_RUN_GROUP_ROWS);
        let mut output = self.rewriter.create(self.table, &path, properties)?;
        let mut found = 0;
        while let Some(batch) = merge.next().await? {
            self.go_on()?;
            found += batch.num_rows();
            output.write(&batch).await?;
        }
        let size = usize::try_from(output.finish().await?).unwrap_or(usize::MAX);
        Ok(run(self.table, path, size, found, self.rewriter.clock.unix_millis()))
    }

    fn go_on(&self) -> Result<(), RewriteError> {
        if self.rewriter.stop.is_cancelled() { Err(RewriteError::Stopped) } else { Ok(()) }
    }

    /// Runs -> files of one hour each.
    async fn split(&self, runs: &[FileAdd]) -> Result<Vec<FileAdd>, ReplayError> {
        let mut merge = self.merge(runs).await?;
        let (mut files, mut checks) = (Vec::new(), Checks::default());
        let mut open: Option<Open> = None;
        while let Some(batch) = merge.next().await? {
            self.go_on()?;
            let hours = hours(&batch)?;
            let mut from = 0;
            for stretch in hours.values().chunk_by(|a, b| a == b) {
                let number = stretch.first().copied().unwrap_or_default();
                let rows = batch.slice(from, stretch.len());
                from += stretch.len();
                let full = open.as_ref().is_some_and(|open| {
                    open.number != number || open.output.bytes() >= MAX_COMPACTED_FILE_BYTES
                });
                if full && let Some(done) = open.take() {
                    files.push(self.close(done, &mut checks).await?);
                }
                let file = match &mut open {
                    Some(file) => file,
                    None => open.insert(self.open(number)?),
                };
                file.fingerprint.add(&rows)?;
                file.stats.add(&rows);
                file.rows += rows.num_rows();
                file.output.write(&rows).await?;
            }
        }
        if let Some(done) = open {
            files.push(self.close(done, &mut checks).await?);
        }
        checks.done().await?;
        Ok(files)
    }

    fn open(&self, number: i32) -> Result<Open, ReplayError> {
        let hour = EventTime::from_seconds(i64::from(number) * 3_600).unwrap_or_default().hour();
        let name = files::relative_path(hour, "replay", self.rewriter.entropy.bits());
        let rows = i64::try_from(schemas::limits::REPLAY_FILE_ROWS).unwrap_or(i64::MAX);
        let properties = self.rewriter.properties(self.table, &name, rows)?;
        let output = self.rewriter.create(self.table, &name, properties)?;
        let (fingerprint, stats) = (Fingerprint::default(), Statistics::default());
        Ok(Open { number, hour, name, output, fingerprint, stats, rows: 0 })
    }

    async fn close(&self, open: Open, checks: &mut Checks) -> Result<FileAdd, ReplayError> {
        let Open { hour, name, output, fingerprint, stats, rows, .. } = open;
        let size = output.finish().await?;
        let rows = i64::try_from(rows).unwrap_or(i64::MAX);
        checks.done().await?;
        checks.begin(self.rewriter.clone(), self.table, name.clone(), (rows, fingerprint));
        Ok(self.rewriter.add(self.table, name, hour, (size, rows), &stats)?)
    }
}

/// A merge in a task of its own: it reads while what it has read is written.
struct Ahead {
    batches: mpsc::Receiver<Result<RecordBatch, ArrowError>>,
    merging: Option<AbortOnDropHandle<()>>,
}

impl Ahead {
    fn new(mut merge: Merge) -> Self {
        let (sender, batches) = mpsc::channel(1);
        let merging = tokio::spawn(async move {
            while let Some(batch) = merge.next().await.transpose() {
                if sender.send(batch).await.is_err() {
                    // Nobody writes any more.
                    return;
                }
            }
        });
        Self { batches, merging: Some(AbortOnDropHandle::new(merging)) }
    }

    /// The next rows in order; `None` at the end.
    async fn next(&mut self) -> Result<Option<RecordBatch>, ReplayError> {
        if let Some(batch) = self.batches.recv().await {
            return Ok(Some(batch?));
        }
        // The end, unless the merge broke off.
        if let Some(merging) = self.merging.take() {
            merging.await?;
        }
        Ok(None)
    }
}

/// The check of the last file written: its rows are read again while those of the next one are written.
#[derive(Default)]
struct Checks(Option<AbortOnDropHandle<Result<(), RewriteError>>>);

impl Checks {
    fn begin(
        &mut self,
        rewriter: Rewriter,
        table: Table,
        name: String,
        (rows, expected): (i64, Fingerprint),
    ) {
        let check = async move { rewriter.compare(table, &name, rows, expected).await };
        self.0 = Some(AbortOnDropHandle::new(tokio::spawn(check)));
    }

    async fn done(&mut self) -> Result<(), ReplayError> {
        match self.0.take() {
            Some(check) => Ok(check.await??),
            None => Ok(()),
        }
    }
}

/// A file being written.
struct Open {
    number: i32,
    hour: EventHour,
    name: String,
    output: Output,
    fingerprint: Fingerprint,
    stats: Statistics,
    rows: usize,
}

/// Deletes the runs of a replay.
pub(super) async fn clear(rewriter: &Rewriter, replay: &str) -> Result<(), ReplayError> {
    for table in super::covered::tables() {
        let root = Path::from(format!("{}/{DIRECTORY}/{replay}", table.path()));
        let listed: Vec<_> = rewriter.store.list(Some(&root)).collect().await;
        let keys = listed.into_iter().map(|meta| meta.map(|meta| meta.location)).collect();
        crate::upkeep::vacuum::delete_keys(rewriter.store.as_ref(), keys).await?;
    }
    Ok(())
}
