//! Retention by index: rows go with their index, the others stay, whatever dies on the way.

use arrow::array::{ArrayRef, AsArray as _, RecordBatch, StringArray};

use super::*;
use crate::upkeep::indexes;

/// Rows of table `logs`, one per index named.
fn rows_of(names: &[&str], micros: i64) -> RecordBatch {
    let rows = log_rows(&vec!["web"; names.len()], micros);
    let (schema, mut columns, _) = rows.into_parts();
    let place = schema.index_of(schemas::log::INDEX).expect("column");
    let index: ArrayRef = Arc::new(StringArray::from(names.to_vec()));
    if let Some(column) = columns.get_mut(place) {
        *column = index;
    }
    RecordBatch::try_new(schema, columns).expect("the columns fit the schema")
}

/// Three units: one of several indexes, one of a single one, one without it.
async fn commit_indexes(store: &Arc<dyn ObjectStore>) {
    let mut log = log(store).await;
    let system = System::shared();
    let files = FileWriter {
        store: Arc::clone(store),
        clock: system.clone(),
        entropy: system,
        backoff: TEST_BACKOFF,
    };
    log.append(|_| first_claim()).await.expect("claims");
    let units: [&[&str]; 3] =
        [&["main", "noise", "noise", "audit"], &["noise", "noise"], &["audit", "zero", "main"]];
    for names in units {
        let part = log.head().partitions[&topic_partition(0)].clone();
        let from = part.next_offset;
        let micros = NOON + from * 1_000;
        let hour = EventTime::from_micros(micros).expect("in range").hour();
        let plan = FilePlan { table: Table::Logs, hour, batches: vec![rows_of(names, micros)] };
        let adds = files.write("worker-o", vec![plan]).await.expect("writes");
        let unit = Unit {
            adds,
            ..unit("worker-of-test", 0, part.generation, part.last_seq, from, from + 10)
        };
        log.append(|_| Body::Commit(Commit { units: vec![unit.clone()] })).await.expect("commits");
    }
}

/// Rows of the table by index.
async fn by_index(store: &Arc<dyn ObjectStore>) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for batch in batches(store).await {
        let names = batch.column_by_name(schemas::log::INDEX).expect("column").clone();
        let names = names.as_string::<i32>();
        for row in 0..batch.num_rows() {
            *counts.entry(names.value(row).to_owned()).or_default() += 1;
        }
    }
    counts
}

fn counts(pairs: &[(&str, usize)]) -> BTreeMap<String, usize> {
    pairs.iter().map(|(name, rows)| ((*name).to_owned(), *rows)).collect()
}

fn settings() -> Settings {
    let hour = Duration::from_secs(3_600);
    let retention = BTreeMap::from([
        ("noise".to_owned(), hour),
        ("audit".to_owned(), 1_000_000 * hour),
        ("unknown".to_owned(), hour),
    ]);
    Settings { index_retention: retention, ..closed_never() }
}

const STAYS: [(&str, usize); 3] = [("audit", 2), ("main", 2), ("zero", 1)];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_past_the_retention_of_their_index_go_and_no_other() {
    let store = memory();
    commit_indexes(&store).await;
    let mut keeper = keeper_at(&store, settings(), 0);
    let dry = Scope { dry_run: true, ..scope(false, false) };
    pass(&mut keeper, &scope(true, false)).await.expect("passes");
    let all = counts(&[("audit", 2), ("main", 2), ("noise", 4), ("zero", 1)]);
    let found = by_index(&store).await;
    assert!(found == all || found == counts(&STAYS), "{found:?}");
    let told = pass(&mut keeper_at(&store, settings(), 0), &dry).await.expect("looks");
    if found == all {
        assert_eq!(told.tables["logs"].expired.files_before, 2);
    }
    pass(&mut keeper, &scope(true, false)).await.expect("passes");
    assert_eq!(by_index(&store).await, counts(&STAYS));
    assert_eq!(read(&store).await.0, 2, "the file of the one index is gone, the other is thinner");
    // Done is done: nothing is recorded again, by this keeper or another.
    let records = log(&store).await.head().next_seq;
    pass(&mut keeper, &scope(true, false)).await.expect("passes");
    let told = pass(&mut keeper_at(&store, settings(), 0), &scope(true, false)).await;
    assert_eq!(told.expect("passes").tables["logs"].expired.files_before, 0);
    assert_eq!(log(&store).await.head().next_seq, records);
    // Compaction brings files together again, and finds nothing to let go of.
    let tidy = Settings { compact_after: Duration::ZERO, ..settings() };
    pass(&mut keeper_at(&store, tidy, 0), &scope(true, false)).await.expect("passes");
    assert_eq!((read(&store).await.0, by_index(&store).await), (1, counts(&STAYS)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_at_any_write_of_it_loses_no_other_row() {
    let mut deaths = 0;
    for write in 0.. {
        let mut died = false;
        for rule in [Rule::DieAt(write), Rule::DieAfter(write)] {
            let store = memory();
            commit_indexes(&store).await;
            pass(&mut keeper(&store), &Scope { tables: Vec::new(), ..scope(true, false) })
                .await
                .expect("publishes");
            let faulty = Arc::new(FaultStore::new(store.clone(), vec![rule]));
            let shared: Arc<dyn ObjectStore> = faulty.clone();
            drop(pass(&mut keeper_at(&shared, settings(), 0), &scope(true, false)).await);
            died |= faulty.dead();
            deaths += u32::from(faulty.dead());
            for _ in 0..2 {
                let mut keeper = keeper_at(&store, settings(), 0);
                pass(&mut keeper, &scope(true, false)).await.expect("passes");
            }
            assert_eq!(by_index(&store).await, counts(&STAYS), "{rule:?}");
        }
        if !died {
            break;
        }
    }
    assert!(deaths >= 4, "only {deaths} deaths");
}

#[test]
fn an_hour_expires_by_index() {
    let hour = EventTime::from_micros(NOON).expect("in range").hour();
    let file = |path: &str| TableFile {
        path: path.to_owned(),
        hour,
        size: 1,
        rows: 1,
        modified_millis: 0,
    };
    let retention = settings().index_retention;
    let end = NOON / 1_000 + 3_600_000;
    let after = |millis| indexes::expired(&[file("b"), file("a")], end + millis, &retention);
    assert_eq!(after(3_599_999), []);
    let found = after(3_600_000);
    assert_eq!(found.iter().map(|(file, _)| file.path.as_str()).collect::<Vec<_>>(), ["a", "b"]);
    assert!(found.iter().all(|(_, gone)| gone.iter().eq(["noise", "unknown"])));
}
