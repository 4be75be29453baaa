//! Files through the pipeline: once, however often they are read and whatever dies meanwhile.

use super::*;
use crate::archive::{Archive, Options};
use crate::replay::archived::{self, ArchiveReader};
use crate::replay::plan::Files;

/// Two files: years-old lines with a time of their own, and lines without.
async fn files(second: &str) -> Arc<dyn ObjectStore> {
    let store = memory();
    let line = |n: i64| {
        format!(
            "{{\"message\":\"odd signal {n}\",\"timestamp\":\"2019-03-0{}T0{}:00:00Z\"}}\n",
            n % 3 + 1,
            n % 8
        )
    };
    let first: String = (0..300).map(line).collect();
    for (path, text) in [("old/a.jsonl", first.as_str()), ("old/b.jsonl", second)] {
        store.put(&Path::from(path), text.as_bytes().to_vec().into()).await.expect("writes");
    }
    store
}

async fn archive(files: &Arc<dyn ObjectStore>) -> Archive {
    let path = Path::from("old");
    Archive::open(Arc::clone(files), &path, Options::default()).await.expect("opens")
}

async fn begin_import(world: &World, files: &Arc<dyn ObjectStore>) -> Plan {
    let asked = Files {
        name: "old".to_owned(),
        url: "old".to_owned(),
        content: None,
        envelope: None,
        fingerprint: String::new(),
    };
    let version = fixed().version().to_owned();
    let archive = archive(files).await;
    let plan = archived::plan(world, (asked, &archive), (version, None)).await.expect("plans");
    journal::begin(&world.store, &plan).await.expect("begins");
    plan
}

async fn import(
    world: &World,
    files: &Arc<dyn ObjectStore>,
    plan: &Plan,
) -> Result<Report, ReplayError> {
    let means = Means { pipeline: fixed(), threads: 2, matches: None };
    let reader = ArchiveReader::new(world, plan, archive(files).await, |_| ())?;
    let (staged, report) = run::stage(world, plan, &means, Box::new(reader), &|_| ()).await?;
    run::swap(world, plan, (&staged, &report), CLOSED).await?;
    Ok(report)
}

/// Rows of the archive in `logs`, each once; the ledger agrees.
async fn imported(store: &Arc<dyn ObjectStore>) -> usize {
    let mut seen = std::collections::BTreeSet::new();
    let mut rows = 0;
    for batch in read(store, Table::Logs).await {
        let column = |name| batch.rows.column_by_name(name).expect("lineage").clone();
        let (topics, offsets) = (column(table::LINEAGE_TOPIC), column(table::LINEAGE_OFFSET));
        for row in 0..batch.rows.num_rows() {
            if topics.as_string::<i32>().value(row) == "archive:old" {
                rows += 1;
                seen.insert(offsets.as_primitive::<Int64Type>().value(row));
                assert!(batch.hour.date().starts_with("2019-03-0"), "{}", batch.hour.date());
            }
        }
    }
    assert_eq!(seen.len(), rows, "each once");
    let checked = fsck::fsck(store, LIVE_PIPELINE, 0).await.expect("checks");
    assert_eq!(checked.problems.count, 0, "{:?}", checked.problems);
    rows
}

const SECOND: &str = "{\"message\":\"even signal 7\",\"timestamp\":\"2019-03-05T00:00:00Z\"}\n";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_archive_read_twice_is_there_once_and_events_keep_their_time() {
    let (store, log) = (memory(), MemoryLog::new());
    produce(&log, 0, 20);
    live(&store, &log, fixed()).await;
    let before = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    let world = world(&store);
    let old = files(SECOND).await;
    let plan = begin_import(&world, &old).await;
    let report = import(&world, &old, &plan).await.expect("imports");
    assert_eq!((report.tables["logs"].before, report.tables["logs"].after), (0, 301));
    assert_eq!(imported(&store).await, 301);
    // The second file has grown: its old rows go, all rows come.
    let grown = files(&SECOND.repeat(3)).await;
    let plan = begin_import(&world, &grown).await;
    let report = import(&world, &grown, &plan).await.expect("imports");
    assert_eq!((report.tables["logs"].before, report.tables["logs"].after), (301, 303));
    assert_eq!(imported(&store).await, 303);
    let after = fixture::ledger_balance(&read(&store, Table::Ledger).await);
    assert_eq!(after.received, before.received + 303);
    assert_eq!(after.indexed + after.excluded + after.dead_letters, after.received);
    let other = files("").await;
    let refused = ArchiveReader::new(&world, &plan, archive(&other).await, |_| ());
    assert!(refused.is_err_and(|error| error.to_string().contains("other files")));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_import_killed_at_any_write_goes_on_where_it_stood() {
    let mut deaths = 0;
    for write in (0..).step_by(2) {
        let (inner, log) = (memory(), MemoryLog::new());
        produce(&log, 0, 10);
        live(&inner, &log, fixed()).await;
        let old = files(SECOND).await;
        let plan = begin_import(&world(&inner), &old).await;
        let faulty = Arc::new(FaultStore::new(inner.clone(), vec![Rule::DieAt(write)]));
        let store: Arc<dyn ObjectStore> = faulty.clone();
        let mortal = world(&store);
        tokio::select! {
            biased;
            done = import(&mortal, &old, &plan) => drop(done),
            () = death(&faulty) => {}
        }
        let died = faulty.dead();
        import(&world(&inner), &old, &plan).await.expect("is resumed");
        assert_eq!(imported(&inner).await, 301, "death at write {write}");
        if !died {
            break;
        }
        deaths += 1;
    }
    assert!(deaths > 4, "only {deaths} kills");
}
