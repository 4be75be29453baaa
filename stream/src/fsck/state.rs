//! The state of a pipeline that keeps one: every part that the newest record refers to is there, and whole.

use std::sync::Arc;

use futures::StreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use schemas::limits::RECOVERY_CONCURRENT_READS;

use super::{Fault, FsckError, Problem, Problems};
use crate::commit_log::Layout;
use crate::commit_log::frame::{self, Kind};
use crate::commit_log::head::Head;
use crate::commit_log::record::{self, StatePart};

/// Without it the pipeline does not start.
const RESTORE: &str =
    "error tracking can not start without it; restore it from a backup, with the log that names it";

/// Checks the state at the end of the log. Older records may refer to parts that are gone: each record lets go of
/// those it does without.
pub(super) async fn check(
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
    mut head: Head,
    problems: &mut Problems,
) -> Result<(), FsckError> {
    let parts = head.state.clone().unwrap_or_default().parts;
    let mut looks = futures::stream::iter(parts)
        .map(|part| async move { (look(store, &part).await, part) })
        .buffered(RECOVERY_CONCURRENT_READS);
    let mut found = Vec::new();
    while let Some((looked, part)) = looks.next().await {
        if let Some(problem) = looked? {
            found.push((problem, part));
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    // A running engine may have gone on, and let go of them, since the log was read.
    follow(store, layout, &mut head).await?;
    let needed = head.state.unwrap_or_default().parts;
    for (problem, part) in found {
        if needed.contains(&part) {
            problems.add(problem.fault, problem.place, problem.detail);
        }
    }
    Ok(())
}

/// What is wrong with one part.
async fn look(
    store: &Arc<dyn ObjectStore>,
    part: &StatePart,
) -> Result<Option<Problem>, FsckError> {
    let problem = |fault, what: String| {
        let detail = format!("{what}; {RESTORE}");
        Ok(Some(Problem { fault, place: part.path.clone(), detail }))
    };
    let Some(bytes) = read(store, &Path::from(part.path.as_str())).await? else {
        let what = "the newest record refers to this part of the state, and it is not there";
        return problem(Fault::StateMissing, what.to_owned());
    };
    if bytes.len() as u64 != part.bytes {
        let what = format!("{} bytes, {} expected", bytes.len(), part.bytes);
        return problem(Fault::StateDamaged, what);
    }
    match frame::open(Kind::State, &bytes) {
        Ok(_) => Ok(None),
        Err(error) => problem(Fault::StateDamaged, error.to_string()),
    }
}

/// Folds what was appended meanwhile. What can not be folded is left for the next check, which reads it first.
async fn follow(
    store: &Arc<dyn ObjectStore>,
    layout: &Layout,
    head: &mut Head,
) -> Result<(), FsckError> {
    while let Some(bytes) = read(store, &layout.record(head.next_seq)).await? {
        let Ok(record) = record::decode(&bytes) else { return Ok(()) };
        if head.fold(&record, record::hash(&bytes)).is_err() {
            return Ok(());
        }
    }
    Ok(())
}

async fn read(store: &Arc<dyn ObjectStore>, key: &Path) -> Result<Option<Vec<u8>>, FsckError> {
    let stored = async { store.get(key).await?.bytes().await };
    match stored.await {
        Ok(bytes) => Ok(Some(bytes.to_vec())),
        Err(StoreError::NotFound { .. }) => Ok(None),
        Err(source) => Err(FsckError::Store { place: key.to_string(), source }),
    }
}
