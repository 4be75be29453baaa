//! A whole replay in two steps: [`stage`] does all the work and changes nothing, [`swap`] changes everything at
//! once. Both go on where a former life ended, and do nothing twice.

use std::sync::Arc;
use std::time::Duration;

use schemas::table::Table;
use stages::pipeline::Pipeline;

use super::covered::Covered;
use super::live::Live;
use super::old::{COMPARED, KEPT, OldRows};
use super::plan::{Plan, Work};
use super::reader::Reader;
use super::report::Report;
use super::restore::{Matches, Restore};
use super::stage::{Progress, Stage};
use super::staged::{self, Staged};
use super::swap::Swap;
use super::{ReplayError, journal, runs};
use crate::upkeep::pass::World;
use crate::upkeep::rewrite::Rewriter;

/// What to stage with.
#[derive(Clone)]
pub struct Means {
    /// The pipeline of the plan's version.
    pub pipeline: Arc<Pipeline>,
    /// Units worked on at once.
    pub threads: usize,
    /// Whether an event matches the query of a restore.
    pub matches: Option<Matches>,
}

impl std::fmt::Debug for Means {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Means").field("threads", &self.threads).finish_non_exhaustive()
    }
}

/// Reads, processes and compares everything; nothing is changed when it returns.
///
/// # Errors
/// See [`ReplayError`]; what is staged stays.
pub async fn stage(
    world: &World,
    plan: &Plan,
    means: &Means,
    reader: Box<dyn Reader>,
    progress: &(dyn Fn(Progress) + Send + Sync),
) -> Result<(Staged, Report), ReplayError> {
    if let Some(report) = Report::load(&world.store, &plan.id).await? {
        let (_, staged) = staged::read(&world.store, plan).await?;
        return Ok((staged, report));
    }
    if means.pipeline.version() != plan.pipeline_version {
        return Err(ReplayError::OtherPipeline {
            id: plan.id.clone(),
            expected: plan.pipeline_version.clone(),
            found: means.pipeline.version().to_owned(),
        });
    }
    let is_restore = plan.work != Work::Replace;
    let (mut old, mut restore) = (None, None);
    if plan.compares || is_restore {
        let live = Live::open(world, u64::MAX).await?;
        let covered = Covered::new(&plan.replaces);
        let of = if is_restore { KEPT } else { COMPARED };
        let (store, tables) = (&world.store, &live.tables);
        old = Some(OldRows::open(store, tables, &of, &covered, &plan.id).await?);
        if let (true, Some(matches)) = (is_restore, &means.matches) {
            let matches = Arc::clone(matches);
            restore = Some(Arc::new(Restore::new(store, &live, plan, matches).await?));
        }
    }
    let stage = Stage {
        world,
        plan,
        pipeline: Arc::clone(&means.pipeline),
        restore,
        threads: means.threads,
        owner: format!("{:032x}", world.entropy.bits()),
        progress,
    };
    let staged = stage.run(reader, old).await?;
    let live = Live::open(world, u64::MAX).await?;
    let report = Report::make(&world.store, &live, plan, &staged).await?;
    for part in ["old", "raw"] {
        journal::clear(&world.store, &plan.id, part).await?;
    }
    Ok((staged, report))
}

/// Swaps in what is staged; the record that does it.
///
/// # Errors
/// See [`Swap::run`].
pub async fn swap(
    world: &World,
    plan: &Plan,
    (staged, report): (&Staged, &Report),
    closed_after: Duration,
) -> Result<u64, ReplayError> {
    Swap { world, plan, staged, report, closed_after }.run().await
}

/// Forgets a replay. What it staged is deleted, unless it was swapped in: then the files are the tables'.
///
/// # Errors
/// There is no such replay, or storage.
pub async fn drop(world: &World, id: &str) -> Result<(), ReplayError> {
    let plan = journal::load(&world.store, id).await?;
    let live = Live::open(world, plan.log_end).await?;
    let World { store, clock, entropy, stop, .. } = world.clone();
    let (_, staged) = staged::read(&store, &plan).await?;
    let mut in_tables = live.swap_of(id).is_some() || journal::swapped(&store, id).await?.is_some();
    for table in Table::ALL {
        let files = live.table(table).map(|open| open.files()).transpose()?.unwrap_or_default();
        in_tables |= staged.of(table).any(|add| files.contains(&add.path));
    }
    if !in_tables {
        let key = |(table, path): &(Table, String)| Ok(format!("{}/{path}", table.path()).into());
        let keys = staged.files.keys().map(key).collect();
        crate::upkeep::vacuum::delete_keys(store.as_ref(), keys).await?;
    }
    let rewriter = Rewriter { store: Arc::clone(&store), clock, entropy, stop };
    runs::clear(&rewriter, id).await?;
    for part in ["diff", "position", "old", "raw", "snap", "log"] {
        journal::clear(&store, id, part).await?;
    }
    // Last: as long as it is there, dropping can be done again.
    journal::clear_rest(&store, id).await
}
