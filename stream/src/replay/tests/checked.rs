//! What `fsck` says of replays that have lost something.

use super::*;
use crate::fsck::{Fault, Problem};

async fn problems(store: &Arc<dyn ObjectStore>) -> Vec<Problem> {
    fsck::fsck(store, LIVE_PIPELINE, 0).await.expect("checks").problems.kept
}

/// The bytes of an object that is deleted.
async fn take(store: &Arc<dyn ObjectStore>, key: &Path) -> bytes::Bytes {
    let bytes = store.get(key).await.expect("there").bytes().await.expect("bytes");
    store.delete(key).await.expect("deleted");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_staged_file_or_a_record_of_a_replay_that_is_gone_is_found() {
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 100);
    live(&store, &log, broken()).await;
    let world = world(&store);
    let plan = begin(&world, &log, Asked::default(), &fixed()).await.expect("begins");
    let means = Means { pipeline: fixed(), threads: 2, matches: None };
    let from = Box::new(reader(&world, &log));
    let (staged, report) = run::stage(&world, &plan, &means, from, &|_| ()).await.expect("stages");
    assert_eq!(problems(&store).await, []);

    let add = staged.of(Table::Logs).next().expect("a staged file");
    let file = Path::from(format!("{}/{}", Table::Logs.path(), add.path));
    let bytes = take(&store, &file).await;
    let found = problems(&store).await;
    let [Problem { fault: Fault::StagedFile, place, detail }] = &found[..] else {
        panic!("the file, and nothing else: {found:?}")
    };
    assert_eq!(place, file.as_ref());
    assert!(detail.contains(&format!("tidemill replay drop {}", plan.id)), "{detail}");
    store.put(&file, bytes.into()).await.expect("restored");

    let layout = crate::commit_log::Layout::new(&plan.pipeline_name());
    let (own, _) = staged::read(&store, &plan).await.expect("reads");
    let end = own.head().next_seq;
    // A record in the middle, and what nothing of the log itself can tell: its end, and all of it.
    for seqs in [1..2, 1..end, 0..end] {
        let mut taken = Vec::new();
        for seq in seqs.clone() {
            let key = layout.record(seq);
            taken.push((key.clone(), take(&store, &key).await));
        }
        let found = problems(&store).await;
        let [Problem { fault: Fault::ReplayDamaged, place, .. }] = &found[..] else {
            panic!("{seqs:?}: the log, and nothing else: {found:?}")
        };
        assert_eq!(*place, format!("_sys/{}", plan.pipeline_name()));
        for (key, bytes) in taken {
            store.put(&key, bytes.into()).await.expect("restored");
        }
    }
    let key = journal::key(&plan.id, "plan.json");
    let bytes = take(&store, &key).await;
    assert!(problems(&store).await[0].detail.contains("plan.json"));
    store.put(&key, bytes.into()).await.expect("restored");

    // Swapped in, its files are the tables', and compaction may let go of them.
    run::swap(&world, &plan, (&staged, &report), CLOSED).await.expect("swaps");
    compact(&store).await;
    assert_eq!(problems(&store).await, []);
}
