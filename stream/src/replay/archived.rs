//! Records of an archive: files below a path, in the order of their paths, as the one partition 0 of a topic of
//! their own, `archive:<name>`. A record's offset is its number in the archive. Where reading stands in the files
//! is kept with every unit, so that a killed import reads on in the middle of a file.

use std::sync::Arc;

use async_trait::async_trait;
use object_store::ObjectStore;
use schemas::limits::{MAX_APPEND_ATTEMPTS, REPLAY_ARCHIVE_BATCH_BYTES};
use stages::record::TopicPartition;

use super::choose::ReadRange;
use super::covered::Stretch;
use super::plan::{Files, Origin, Plan, Work};
use super::reader::{Reader, Records};
use super::{ReplayError, journal, live::Live};
use crate::archive::{Archive, ArchiveError, Batch, Finding, Position};
use crate::upkeep::pass::World;

/// The topic of an archive's rows.
pub fn topic(name: &str) -> String {
    format!("archive:{name}")
}

/// What an import does: everything read under this name before is replaced.
///
/// # Errors
/// Nothing was ever written to the store.
pub async fn plan(
    world: &World,
    (files, archive): (Files, &Archive),
    (pipeline_version, pipeline): (String, Option<String>),
) -> Result<Plan, ReplayError> {
    let live = Live::open(world, u64::MAX).await?;
    let partition = TopicPartition { topic: topic(&files.name).into(), partition: 0 };
    let all = Stretch { partition, from: 0, to: i64::MAX };
    Ok(Plan {
        id: super::plan::new_id(world),
        created_millis: world.clock.unix_millis(),
        origin: Origin::Archive(Files { fingerprint: archive.fingerprint(), ..files }),
        work: Work::Replace,
        pipeline_version,
        pipeline,
        log_end: live.log.head().next_seq,
        reads: vec![ReadRange { stretch: all.clone(), messages: None }],
        replaces: vec![all],
        // An event of the former import need not have the number it has now.
        compares: false,
    })
}

/// Reads an archive.
pub struct ArchiveReader {
    world: World,
    replay: String,
    archive: Archive,
    at: Position,
    next: i64,
    done: bool,
    told: usize,
    tell: Box<dyn Fn(&Finding) + Send + Sync + 'static>,
}

impl std::fmt::Debug for ArchiveReader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ArchiveReader").field("replay", &self.replay).finish_non_exhaustive()
    }
}

impl ArchiveReader {
    /// Reads this archive for this replay; what is wrong with a file is told.
    ///
    /// # Errors
    /// The files are others than when the replay began.
    pub fn new(
        world: &World,
        plan: &Plan,
        archive: Archive,
        tell: impl Fn(&Finding) + Send + Sync + 'static,
    ) -> Result<Self, ReplayError> {
        if let Origin::Archive(files) = &plan.origin
            && archive.fingerprint() != files.fingerprint
        {
            return Err(ReplayError::OtherFiles(plan.id.clone()));
        }
        let (replay, at) = (plan.id.clone(), Position::default());
        let tell = Box::new(tell);
        Ok(Self { world: world.clone(), replay, archive, at, next: 0, done: false, told: 0, tell })
    }

    /// Reads on, trying again for a while where the store fails.
    async fn batch(&mut self) -> Result<Batch, ArchiveError> {
        let mut attempt = 0;
        loop {
            match self.archive.read(&self.at, REPLAY_ARCHIVE_BATCH_BYTES).await {
                Err(error) if error.is_transient() && attempt < MAX_APPEND_ATTEMPTS => {
                    tracing::warn!(attempt, %error, "the archive is read again");
                    self.world.backoff.pause(attempt, self.world.entropy.as_ref()).await;
                    attempt += 1;
                }
                other => return other,
            }
        }
    }
}

/// The key under which it is kept where reading goes on at this offset.
pub(super) fn position_key(replay: &str, offset: i64) -> object_store::path::Path {
    journal::key(replay, &format!("position/{offset:020}.json"))
}

/// Where reading goes on behind some records.
pub(super) async fn keep_position(
    store: &Arc<dyn ObjectStore>,
    replay: &str,
    offset: i64,
    position: &Position,
) -> Result<(), ReplayError> {
    journal::put(store, &position_key(replay, offset), position).await
}

#[async_trait]
impl Reader for ArchiveReader {
    async fn open(&mut self, _: &ReadRange, from: i64) -> Result<(), ReplayError> {
        let kept = match from {
            0 => Some(Position::default()),
            _ => journal::get(&self.world.store, &position_key(&self.replay, from)).await?,
        };
        self.at = kept.ok_or_else(|| ReplayError::Unknown(self.replay.clone()))?;
        (self.next, self.done, self.told) = (from, false, 0);
        Ok(())
    }

    async fn next(&mut self) -> Result<Option<Records>, ReplayError> {
        while !self.done {
            let batch = self.batch().await?;
            if self.at.path != batch.next.path {
                self.told = 0;
            }
            batch.findings.iter().skip(self.told).for_each(|finding| (self.tell)(finding));
            self.told = batch.findings.len();
            (self.at, self.done) = (batch.next.clone(), batch.done);
            let mut records = batch.records;
            if records.is_empty() {
                continue;
            }
            for record in &mut records {
                record.offset = self.next;
                self.next += 1;
            }
            let (signal, input, behind) = (batch.signal, batch.input, Some(batch.next));
            return Ok(Some(Records { records, signal, input, behind }));
        }
        Ok(None)
    }
}
