//! Archives in memory and on disk, read whole and in pieces.

mod parquet;
mod real;

use std::io::Write as _;
use std::sync::Arc;

use bumpalo::Bump;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt as _};
use schemas::time::EventTime;
use stages::decode::{Items, decode_input};

use super::*;

/// Every kind of file, each with three logs.
fn files() -> Vec<(&'static str, Vec<u8>)> {
    let lines =
        "2024-05-01 10:00:00 one\n2024-05-01 10:00:01 two\n  and a half\n2024-05-01 10:00:02 three";
    let json = "{\"message\":\"one\"}\n{\"message\":\"two\"}\n\n{\"message\":\"three\"}\n";
    let array = "[{\"message\":\"one\"},\n{\n\"message\":\"two\"},{\"message\":\"three\"}]";
    let cri = "2024-05-01T10:00:00Z stdout F one\n2024-05-01T10:00:00Z stderr P tw\n2024-05-01T10:00:00Z stdout F three\n2024-05-01T10:00:00Z stderr F o\n";
    let csv = "Time;Log\n1;one\n2;\"two\nlines\"\n3;three\n";
    vec![
        ("a/app.log", lines.into()),
        ("a/app.log.gz", gzip(&[lines.as_bytes()])),
        ("a/b/app-2024-05-02.jsonl.zst", zstd(json.as_bytes())),
        ("a/c.json", array.into()),
        ("a/d.csv", csv.into()),
        ("a/e.csv.gz", gzip(&[csv.as_bytes()])),
        ("a/f", gzip(&[&cri.as_bytes()[..60], &cri.as_bytes()[60..]])),
        ("a/g.parquet", parquet::foreign()),
    ]
}

fn gzip(members: &[&[u8]]) -> Vec<u8> {
    let members = members.iter().flat_map(|member| {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(member).expect("writes");
        encoder.finish().expect("ends")
    });
    members.collect()
}

fn zstd(bytes: &[u8]) -> Vec<u8> {
    ::zstd::encode_all(bytes, 3).expect("compresses")
}

async fn store(files: impl IntoIterator<Item = (&str, Vec<u8>)>) -> Arc<dyn ObjectStore> {
    let store = InMemory::new();
    for (path, bytes) in files {
        store.put(&Path::from(path), bytes.into()).await.expect("puts");
    }
    Arc::new(store)
}

async fn open(store: &Arc<dyn ObjectStore>, path: &str) -> Archive {
    let options = Options { multiline: Multiline::auto(), ..Options::default() };
    Archive::open(Arc::clone(store), &Path::from(path), options).await.expect("opens")
}

/// Text of every log, with its file and the record's number.
fn texts(batch: &Batch) -> Vec<(String, i64, String)> {
    let mut out = Vec::new();
    for record in &batch.records {
        let arena = Bump::new();
        let decoded = decode_input(&arena, record, batch.signal, &batch.input).expect("decodes");
        assert!(decoded.refused.is_empty(), "{}: {:?}", batch.path, decoded.refused);
        let Items::Logs(logs) = decoded.items else { panic!("no logs") };
        for log in &logs {
            let text = match log.message {
                "" => log.attributes.get_str("message").unwrap_or(""),
                text => text,
            };
            out.push((batch.path.to_string(), record.offset, text.to_owned()));
        }
    }
    out
}

/// Reads to the end in batches of this size.
async fn read_all(
    archive: &mut Archive,
    bytes: usize,
) -> (Vec<(String, i64, String)>, Vec<Finding>) {
    let (mut position, mut all, mut findings) = (Position::default(), Vec::new(), Vec::new());
    loop {
        let batch = archive.read(&position, bytes).await.expect("reads");
        all.extend(texts(&batch));
        findings.extend(batch.findings);
        position = batch.next;
        assert!(batch.bytes_done <= archive.bytes());
        if batch.done {
            assert_eq!(batch.bytes_done, archive.bytes());
            return (all, findings);
        }
    }
}

#[tokio::test]
async fn every_kind_of_file_is_read_in_the_order_of_paths() {
    let store = store(files()).await;
    let mut archive = open(&store, "a").await;
    let (all, findings) = read_all(&mut archive, 1 << 20).await;
    assert_eq!(findings, []);
    let one_two_three = ["one", "two", "three"];
    for (path, _) in files() {
        let of: Vec<&(String, i64, String)> =
            all.iter().filter(|(file, ..)| file == path).collect();
        assert_eq!(
            of.iter().map(|(_, number, _)| *number).collect::<Vec<_>>(),
            [0, 1, 2],
            "{path}"
        );
        let mut texts: Vec<&str> = of.iter().map(|(.., text)| text.as_str()).collect();
        if path == "a/f" {
            // The log in parts began before the third one and ends after it.
            texts.sort_by_key(|text| one_two_three.iter().position(|other| other == text));
        }
        for (text, wanted) in texts.iter().zip(one_two_three) {
            assert!(text.contains(wanted), "{path}: {texts:?}");
        }
    }
    let mut paths: Vec<&String> = all.iter().map(|(path, ..)| path).collect();
    paths.dedup();
    assert!(paths.is_sorted() && paths.len() == 8, "{paths:?}");
}

#[tokio::test]
async fn reading_goes_on_from_any_written_position_in_another_process() {
    let store = store(files()).await;
    let (whole, _) = read_all(&mut open(&store, "a").await, 1 << 20).await;
    let mut all = Vec::new();
    let mut written = serde_json::to_string(&Position::default()).expect("writes");
    loop {
        let mut archive = open(&store, "a").await;
        let position: Position = serde_json::from_str(&written).expect("reads");
        let batch = archive.read(&position, 1).await.expect("reads");
        assert!(batch.records.len() <= 1);
        all.extend(texts(&batch));
        written = serde_json::to_string(&batch.next).expect("writes");
        if batch.done {
            break;
        }
    }
    assert_eq!(all, whole);
    // Behind the end there is nothing, however often one asks.
    let position: Position = serde_json::from_str(&written).expect("reads");
    let batch = open(&store, "a").await.read(&position, 1).await.expect("reads");
    assert!(batch.done && batch.records.is_empty());
}

#[tokio::test]
async fn a_time_without_one_is_the_files() {
    let store = store(files()).await;
    let mut archive = open(&store, "a/b").await;
    let batch = archive.read(&Position::default(), 1 << 20).await.expect("reads");
    let midnight = EventTime::from_seconds(1_714_608_000).expect("in range");
    assert_eq!(batch.records[0].timestamp, midnight);
    let mut archive = open(&store, "a/app.log").await;
    let batch = archive.read(&Position::default(), 1 << 20).await.expect("reads");
    assert_eq!(archive.files().len(), 1);
    assert!(batch.records[0].timestamp > midnight, "when it was written: today");
}

#[tokio::test]
async fn of_a_file_that_is_cut_off_or_damaged_what_is_there_is_read_and_the_rest_reported() {
    let mut text = String::new();
    for number in 0..50_000u64 {
        text.push_str(&format!("line {} {number}\n", number.wrapping_mul(0x9E37_79B9_7F4A_7C15)));
    }
    let (gz, zst) = (gzip(&[text.as_bytes()]), zstd(text.as_bytes()));
    let mut damaged = gz.clone();
    let middle = damaged.len() / 2;
    damaged[middle..middle + 64].fill(0);
    let store = store([
        ("a.log.gz", gz[..gz.len() / 2].to_vec()),
        ("b.log.zst", zst[..zst.len() / 2].to_vec()),
        ("c.log.gz", damaged),
        ("d.json", b"[{\"message\":\"x\"},{\"mess".to_vec()),
        ("e.log", text.clone().into_bytes()),
    ])
    .await;
    let mut archive = open(&store, "").await;
    let (mut position, mut findings, mut counts) = (Position::default(), Vec::new(), [0usize; 5]);
    loop {
        let batch = archive.read(&position, 1 << 16).await.expect("reads");
        counts[batch.file] += batch.records.len();
        findings.extend(batch.findings);
        position = batch.next;
        if batch.done {
            break;
        }
    }
    assert!(counts[0] > 10_000 && counts[1] > 1 && counts[2] > 10_000, "{counts:?}");
    assert_eq!((counts[3], counts[4]), (2, 50_000));
    let troubles: Vec<&Trouble> = findings.iter().map(|finding| &finding.trouble).collect();
    assert!(
        matches!(
            troubles[..],
            [
                Trouble::Truncated { .. },
                Trouble::Truncated { .. },
                Trouble::Damaged { .. },
                Trouble::BrokeOff
            ]
        ),
        "{troubles:?}"
    );
    assert_eq!(findings[0].records, counts[0] as u64);
    assert!(
        findings[0].detail.starts_with("a.log.gz: ends in the middle"),
        "{}",
        findings[0].detail
    );
}

#[tokio::test]
async fn a_file_made_to_expand_for_ever_is_given_up() {
    let mut encoder = ::zstd::Encoder::new(Vec::new(), 1).expect("begins");
    let megabyte = vec![b'x'; 1 << 20];
    for _ in 0..300 {
        encoder.write_all(&megabyte).expect("compresses");
    }
    let store = store([("a.log.zst", encoder.finish().expect("ends"))]).await;
    let (all, findings) = read_all(&mut open(&store, "").await, 1 << 20).await;
    assert_eq!(all.len(), 1);
    assert!(
        findings.iter().any(|finding| matches!(finding.trouble, Trouble::Bomb { .. })),
        "{findings:?}"
    );
    assert!(
        findings
            .iter()
            .any(|finding| matches!(finding.trouble, Trouble::TooLong { records: 1, .. }))
    );
}

#[tokio::test]
async fn what_is_no_log_is_left_out_and_said() {
    let store = store([
        ("a/.hidden.log", b"x\n".to_vec()),
        ("a/_SUCCESS", b"x\n".to_vec()),
        ("a/empty.log", Vec::new()),
        ("a/binary", b"\x7fELF\0\0\0".to_vec()),
        ("a/wide.log", b"\xff\xfea\0b\0".to_vec()),
        ("a/x.log", b"x\n".to_vec()),
    ])
    .await;
    let (all, findings) = read_all(&mut open(&store, "a").await, 1).await;
    assert_eq!(all.len(), 1);
    let paths: Vec<&str> = findings.iter().map(|finding| finding.path.as_str()).collect();
    assert_eq!(paths, ["a/binary", "a/wide.log"]);
}

#[tokio::test]
async fn what_can_not_be_read_is_refused_before_anything_is() {
    for (files, path, wanted) in [
        (vec!["t/date=2024-05-01/x.parquet", "t/_delta_log/0.json"], "t", "Delta table"),
        (vec!["a/x.log", "a/y.tar.gz"], "a", "unpack it"),
        (vec!["a/x.log.xz"], "a/x.log.xz", "unxz"),
        (vec!["a/x.log"], "b", "no file there"),
        (vec!["logs/2024/x.log"], "logs/20", "ends at a slash"),
    ] {
        let store = store(files.into_iter().map(|path| (path, b"x".to_vec()))).await;
        let opened = Archive::open(store, &Path::from(path), Options::default()).await;
        let error = opened.err().expect("refused").to_string();
        assert!(error.contains(wanted), "{error}");
    }
}

#[tokio::test]
async fn a_file_that_changed_since_is_not_read_from_its_middle() {
    let files = [("a.log", b"one\ntwo\nthree\n".to_vec()), ("b.log", b"x\n".to_vec())];
    let store = store(files).await;
    let batch = open(&store, "").await.read(&Position::default(), 1).await.expect("reads");
    store.put(&Path::from("a.log"), "one\n".into()).await.expect("puts");
    let error = open(&store, "").await.read(&batch.next, 1).await.expect_err("shorter");
    assert!(matches!(error, ArchiveError::Changed { .. }) && !error.is_transient());
    store.put(&Path::from("a.log"), "one\ntwo\nthree\nfour\n".into()).await.expect("puts");
    let more = open(&store, "").await.read(&batch.next, 1 << 20).await.expect("longer");
    assert_eq!(texts(&more).last().map(|(.., text)| text.as_str()), Some("four"));
    store.delete(&Path::from("a.log")).await.expect("deletes");
    let error = open(&store, "").await.read(&batch.next, 1).await.expect_err("gone");
    assert!(matches!(error, ArchiveError::Gone { .. }));
    // What is done with does not have to be there.
    let next = open(&store, "").await.read(&more.next, 1).await.expect("the other one");
    assert_eq!(&*next.path, "b.log");
}

#[tokio::test]
async fn only_the_hours_asked_for_are_read() {
    let line = r#"{"_id":"1","date":"2018-05-15T14:31:16.003Z","host":"h","source":"ruby","service":"web","status":"info","message":"m","tags":["env:prod"],"attributes":{"a":1}}"#;
    let bytes = gzip(&[line.as_bytes(), b"\n"]);
    let paths = [
        "dd/dt=20180515/hour=13/archive_135959.1.a.json.gz",
        "dd/dt=20180515/hour=14/archive_143116.2.b.json.gz",
        "dd/dt=20180515/hour=15/archive_150000.3.c.json.gz",
        "dd/other.log",
    ];
    let store = store(paths.map(|path| (path, bytes.clone()))).await;
    let at = |hour: i64| EventTime::from_seconds(1_526_342_400 + hour * 3_600).expect("in range");
    let options = Options { time: Some((at(14), at(15))), ..Options::default() };
    let mut archive = Archive::open(store, &Path::from("dd"), options).await.expect("opens");
    let found: Vec<&str> = archive.files().iter().map(|file| file.path.as_ref()).collect();
    assert_eq!(found, [paths[1], paths[3]]);
    assert_eq!(archive.files()[0].time, at(14));
    let batch = archive.read(&Position::default(), 1).await.expect("reads");
    let arena = Bump::new();
    let decoded =
        decode_input(&arena, &batch.records[0], batch.signal, &batch.input).expect("decodes");
    let Items::Logs(logs) = decoded.items else { panic!("no logs") };
    assert_eq!((logs[0].message, logs[0].source), ("m", "ruby"));
    assert_eq!(logs[0].attributes.get_str("service"), Some("web"));
}

#[tokio::test]
async fn requests_of_the_collectors_file_exporter_are_their_signal() {
    let spans = "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":\"5b8efff798038103d269b633813fc60c\",\"spanId\":\"eee19b7ec3c1b174\",\"name\":\"x\",\"startTimeUnixNano\":\"1544712660000000000\",\"endTimeUnixNano\":\"1544712661000000000\"}]}]}]}\n";
    let store = store([("traces.json", spans.as_bytes().to_vec())]).await;
    let mut archive = open(&store, "").await;
    let batch = archive.read(&Position::default(), 1 << 20).await.expect("reads");
    let arena = Bump::new();
    let decoded =
        decode_input(&arena, &batch.records[0], batch.signal, &batch.input).expect("decodes");
    assert!(matches!(decoded.items, Items::Spans(spans) if spans.len() == 1));
}

#[tokio::test]
async fn archives_are_told_apart() {
    let one = open(&store(files()).await, "a").await.fingerprint();
    let mut more = files();
    more.push(("a/z.log", b"x".to_vec()));
    assert_ne!(open(&store(more).await, "a").await.fingerprint(), one);
}
