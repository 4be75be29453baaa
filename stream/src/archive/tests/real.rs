//! Real files nobody here wrote, where they can be found: `TIDEMILL_DATA`, else `../shared/data` beside
//! the workspace. Without them these tests say so and pass.

use std::path::PathBuf;

use object_store::local::LocalFileSystem;

use super::*;

fn data(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("TIDEMILL_DATA")
        .map(PathBuf::from)
        .unwrap_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../shared/data"));
    let path = root.join(name);
    if !path.exists() {
        eprintln!("SKIPPED: no real data at {}; set TIDEMILL_DATA", path.display());
        return None;
    }
    Some(path)
}

async fn local(name: &str) -> Option<Archive> {
    let store = LocalFileSystem::new_with_prefix(data(name)?).expect("opens");
    Some(open(&(Arc::new(store) as Arc<dyn ObjectStore>), "").await)
}

#[tokio::test]
async fn the_train_ticket_directory_is_read_from_disk() {
    let Some(mut archive) = local("trainticket").await else { return };
    let (mut position, mut logs, mut spans) = (Position::default(), 0, 0);
    loop {
        let batch = archive.read(&position, 100_000).await.expect("reads");
        assert_eq!(batch.findings, []);
        match &*batch.path {
            path if path.ends_with("_log.csv") => {
                let texts = texts(&batch);
                assert!(texts.iter().all(|(.., text)| text.contains("TraceID: ")));
                logs += texts.len();
            }
            path if path.ends_with("_trace.csv") => spans += batch.records.len(),
            _ => {}
        }
        position = batch.next;
        if batch.done {
            break;
        }
    }
    assert_eq!(logs, 6_924);
    assert!(spans > 1_000, "{spans}");
}

#[tokio::test]
async fn the_access_log_is_ten_thousand_logs_however_it_is_compressed() {
    let Some(path) = data("apache/apache_logs") else { return };
    let bytes = std::fs::read(path).expect("reads");
    let store = store([
        ("a.log", bytes.clone()),
        ("b.log.gz", gzip(&[&bytes])),
        ("c.log.zst", zstd(&bytes)),
    ])
    .await;
    let (all, findings) = read_all(&mut open(&store, "").await, 1 << 20).await;
    assert_eq!((all.len(), findings.len()), (30_000, 0));
    let text = |range: std::ops::Range<usize>| {
        all[range].iter().map(|(.., text)| text.as_str()).collect::<Vec<_>>()
    };
    assert_eq!(text(0..10_000), text(10_000..20_000));
    assert_eq!(text(0..10_000), text(20_000..30_000));
}
