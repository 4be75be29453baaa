//! A store brought to rest: what is committed is published, and nothing else is done.
//!
//! It happens on a copy. The next life is to find what the kill has left, and to publish it itself.

use std::path::Path;
use std::sync::Arc;

use object_store::ObjectStore;
use schemas::publish::LIVE_PIPELINE;
use stream::clock::System;
use stream::commit_log::Layout;
use stream::commit_log::log::{BACKOFF, CommitLog};
use stream::upkeep::Settings;
use stream::upkeep::pass::{Keeper, Scope, World};
use tokio_util::sync::CancellationToken;

use super::open;

/// A copy of the store below `from`, below `to`.
pub(super) fn copy(from: &Path, to: &Path) -> Arc<dyn ObjectStore> {
    // The store never writes in place, so one file may have two names.
    link(&from.join("store"), &to.join("store"));
    open(to)
}

fn link(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let (path, copy) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().unwrap().is_dir() {
            link(&path, &copy);
        } else {
            std::fs::hard_link(path, copy).unwrap();
        }
    }
}

/// Publishes what is committed, as `tidemill maintain --once` does first of all.
pub(super) async fn publish(store: &Arc<dyn ObjectStore>) {
    let system = System::shared();
    let world = World {
        store: Arc::clone(store),
        clock: system.clone(),
        entropy: system,
        backoff: BACKOFF,
        stop: CancellationToken::new(),
    };
    let mut keeper = Keeper::new(world, LIVE_PIPELINE, Settings::default(), "kills".to_owned());
    // No table is looked after: no new record, no new file.
    let tables = Vec::new();
    let scope = Scope { tables, dry_run: false, publish: true, delete: None, by_hand: true };
    keeper.pass(&scope, &|_| ()).await.unwrap();
}

/// Offsets committed so far, of all partitions together.
pub(super) async fn committed(store: &Arc<dyn ObjectStore>) -> i64 {
    let (system, layout) = (System::shared(), Layout::new(LIVE_PIPELINE));
    let clock = system.clone();
    let log = CommitLog::recover(Arc::clone(store), layout, clock, system, BACKOFF, |_| true);
    log.await.unwrap().0.head().partitions.values().map(|known| known.next_offset).sum()
}
