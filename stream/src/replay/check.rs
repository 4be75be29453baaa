//! Whether what replays have recorded and staged is there: the part of `fsck` that is about them. A replay that was
//! swapped in has given its files to the tables, so of it only the log is looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use futures::TryStreamExt as _;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt as _};
use schemas::table::Table;

use super::plan::Plan;
use super::report::Report;
use super::staged::{self, Staged};
use super::{ReplayError, journal};
use crate::commit_log::log::LogError;
use crate::commit_log::record::FileAdd;

/// Something wrong with a replay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Finding {
    /// Its log can not be read, or ends too early.
    Log {
        /// Where.
        place: String,
        /// What, and what to do.
        detail: String,
    },
    /// A file it has staged is not as recorded.
    File {
        /// Its key.
        place: String,
        /// What, and what to do.
        detail: String,
    },
}

/// Looks at all replays. `named` are the paths that tables and the live log know.
///
/// # Errors
/// Storage.
pub(crate) async fn check(
    store: &Arc<dyn ObjectStore>,
    named: &BTreeMap<Table, BTreeSet<String>>,
) -> Result<Vec<Finding>, ReplayError> {
    let mut findings = Vec::new();
    for id in journal::ids(store).await? {
        match one(store, &id, named).await {
            Ok(found) => findings.extend(found),
            Err(ReplayError::Log(error)) if is_damage(&error) => findings.push(log(&id, &error)),
            Err(error @ ReplayError::Content(_)) => findings.push(log(&id, &error)),
            Err(error) => return Err(error),
        }
    }
    Ok(findings)
}

fn is_damage(error: &LogError) -> bool {
    !matches!(error, LogError::Read { .. } | LogError::Unsettled { .. })
}

fn log(id: &str, reason: &dyn std::fmt::Display) -> Finding {
    let place = format!("_sys/{}", journal::pipeline_name(id));
    let detail = format!("{reason}; or delete {place}: the tables do without it");
    Finding::Log { place, detail }
}

async fn one(
    store: &Arc<dyn ObjectStore>,
    id: &str,
    named: &BTreeMap<Table, BTreeSet<String>>,
) -> Result<Vec<Finding>, ReplayError> {
    let Some(plan) = journal::get::<Plan>(store, &journal::key(id, "plan.json")).await? else {
        // The first object to come and the last to go.
        let rest = store.list(Some(&journal::key(id, "log"))).try_next().await?;
        let reason = "its plan.json is not there; restore it from a backup";
        return Ok(rest.map(|_| log(id, &reason)).into_iter().collect());
    };
    files(store, &plan, named).await
}

async fn files(
    store: &Arc<dyn ObjectStore>,
    plan: &Plan,
    named: &BTreeMap<Table, BTreeSet<String>>,
) -> Result<Vec<Finding>, ReplayError> {
    let (_, staged) = staged::read(store, plan).await?;
    let has_report = Report::load(store, &plan.id).await?.is_some();
    if has_report && is_short(plan, &staged) {
        let reason = "it was finished, but its log lacks records; restore it from a backup";
        return Ok(vec![log(&plan.id, &reason)]);
    }
    let is_in_a_table = |(table, path): &(Table, String)| {
        named.get(table).is_some_and(|known| known.contains(path))
    };
    if journal::swapped(store, &plan.id).await?.is_some() || staged.files.keys().any(is_in_a_table)
    {
        return Ok(Vec::new());
    }
    let mut found = Vec::new();
    for add in staged.files.values() {
        if let Some(what) = look(store, add).await? {
            found.push((add, what));
        }
    }
    if found.is_empty() {
        return Ok(Vec::new());
    }
    // A replay that is at work records that runs became files, and deletes them then.
    let (_, now) = staged::read(store, plan).await?;
    let is_needed = |add: &FileAdd| now.files.contains_key(&(add.table, add.path.clone()));
    let found = found.into_iter().filter(|(add, _)| is_needed(add));
    Ok(found.map(|(add, what)| file(plan, add, &what)).collect())
}

/// Whether fewer messages are recorded than a finished replay has read.
fn is_short(plan: &Plan, staged: &Staged) -> bool {
    plan.reads.iter().any(|read| {
        let expected = read.messages;
        expected.is_some_and(|expected| expected != staged.messages(read))
    })
}

fn key(add: &FileAdd) -> Path {
    Path::from(format!("{}/{}", add.table.path(), add.path))
}

async fn look(store: &Arc<dyn ObjectStore>, add: &FileAdd) -> Result<Option<String>, StoreError> {
    match store.head(&key(add)).await {
        Ok(meta) if i64::try_from(meta.size) == Ok(add.size) => Ok(None),
        Ok(meta) => Ok(Some(format!("{} bytes, {} expected", meta.size, add.size))),
        Err(StoreError::NotFound { .. }) => Ok(Some("it is not there".to_owned())),
        Err(error) => Err(error),
    }
}

fn file(plan: &Plan, add: &FileAdd, what: &str) -> Finding {
    let id = &plan.id;
    let detail = format!(
        "replay {id} has staged it, and {what}; do not swap it in: `tidemill replay drop {id}`, and begin again"
    );
    Finding::File { place: key(add).to_string(), detail }
}
