//! Tests of the stores a worker can be given.

use object_store::path::Path;
use object_store::{
    Error as StoreError, MultipartUpload as _, ObjectStore, ObjectStoreExt as _, PutMode,
    PutOptions,
};

use super::*;

fn local(directory: &std::path::Path) -> Arc<dyn ObjectStore> {
    let url = directory.to_str().expect("utf-8").to_owned();
    open(&Config { url, options: Default::default() }).expect("opens")
}

fn create() -> PutOptions {
    PutOptions { mode: PutMode::Create, ..Default::default() }
}

#[tokio::test]
async fn a_created_key_is_never_overwritten_and_leaves_no_staged_file() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let store = local(&directory.path().join("new/deep"));
    let key = Path::from("a/b/c");
    store.put_opts(&key, "one".into(), create()).await.expect("created");
    let again = store.put_opts(&key, "two".into(), create()).await;
    assert!(matches!(again, Err(StoreError::AlreadyExists { .. })), "{again:?}");
    let read = store.get(&key).await.expect("there").bytes().await.expect("readable");
    assert_eq!(&read[..], b"one");
    store.put(&key, "three".into()).await.expect("overwritten");
    let names: Vec<_> = std::fs::read_dir(directory.path().join("new/deep/a/b"))
        .expect("listed")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(names, ["c"]);
}

#[tokio::test]
async fn multipart_parts_land_in_order_and_only_when_complete() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let store = local(directory.path());
    let key = Path::from("x/file");
    let mut upload = store.put_multipart(&key).await.expect("started");
    let first = upload.put_part("hello ".into());
    let second = upload.put_part("world".into());
    second.await.expect("second");
    first.await.expect("first");
    assert!(matches!(store.head(&key).await, Err(StoreError::NotFound { .. })));
    upload.complete().await.expect("complete");
    assert!(upload.complete().await.is_err(), "an upload ends once");
    let read = store.get(&key).await.expect("there").bytes().await.expect("readable");
    assert_eq!(&read[..], b"hello world");
    store.rename(&key, &Path::from("y/z/file")).await.expect("renamed");
    store.copy(&Path::from("y/z/file"), &Path::from("w/file")).await.expect("copied");
    assert_eq!(store.head(&Path::from("w/file")).await.expect("there").size, 11);
}

#[tokio::test]
async fn a_directory_removed_behind_our_back_is_made_again() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let store = local(directory.path());
    store.put(&Path::from("a/b"), "1".into()).await.expect("put");
    std::fs::remove_dir_all(directory.path().join("a")).expect("removed");
    store.put(&Path::from("a/b"), "2".into()).await.expect("put again");
}

#[cfg(unix)]
#[test]
fn a_new_directory_is_private() {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = tempfile::tempdir().expect("temporary directory");
    let path = directory.path().join("data");
    local(&path);
    let mode = std::fs::metadata(&path).expect("metadata").permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}

#[test]
fn wrong_settings_are_named() {
    let refuse = |url: &str, option: Option<(&str, &str)>| {
        let options = option.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
        open(&Config { url: url.to_owned(), options }).expect_err("refused").to_string()
    };
    assert!(refuse("gs://bucket", None).contains("\"gs\""));
    assert!(refuse("s3:///prefix", None).contains("bucket is missing"));
    assert!(refuse("s3://b/p", Some(("aws_colour", "red"))).contains("aws_colour"));
    assert!(refuse("s3://b", Some(("aws_conditional_put", "disabled"))).contains("etag"));
    assert!(refuse("/tmp", Some(("aws_region", "x"))).contains("s3://"));
    assert!(refuse("", None).contains("empty"));
    let options = [("aws_endpoint", "http://127.0.0.1:1"), ("aws_allow_http", "true")];
    let options = options.map(|(k, v)| (k.to_owned(), v.to_owned())).into_iter().collect();
    let opened = open(&Config { url: "s3://bucket/some/prefix".to_owned(), options });
    assert!(opened.is_ok(), "{opened:?}");
}

/// What a key should hold after some of the steps below.
type Held = Option<&'static [u8]>;

/// A key's value from a step of the journal on; between `begun` and `done` it may be old or new.
struct Told {
    key: Path,
    begun: usize,
    done: usize,
    value: Held,
}

/// Creates, overwrites, uploads and deletes, and tells when the store said that each was done.
async fn work(store: &Arc<dyn ObjectStore>, journal: &power::Journal) -> Vec<Told> {
    let mut told = Vec::new();
    let mut note = |key: &Path, begun, value| {
        told.push(Told { key: key.clone(), begun, done: journal.steps(), value });
    };
    for (number, name) in ["a/b/1", "a/b/2", "a/c/1", "d", "a/b/3"].into_iter().enumerate() {
        let key = Path::from(name);
        let begun = journal.steps();
        store
            .put_opts(&key, "created, and never written again".into(), create())
            .await
            .expect("created");
        note(&key, begun, Some(&b"created, and never written again"[..]));
        let hint = Path::from("a/LATEST");
        let value: &'static [u8] =
            [&b"one"[..], b"two, longer", b"3", b"the fourth", b"five"][number];
        let begun = journal.steps();
        store.put(&hint, value.into()).await.expect("put");
        note(&hint, begun, Some(value));
    }
    let key = Path::from("a/e/large");
    let begun = journal.steps();
    let mut upload = store.put_multipart(&key).await.expect("started");
    for part in ["first part, ", "second part"] {
        upload.put_part(part.into()).await.expect("uploaded");
    }
    upload.complete().await.expect("complete");
    note(&key, begun, Some(&b"first part, second part"[..]));
    for name in ["a/b/1", "d"] {
        let key = Path::from(name);
        let begun = journal.steps();
        store.delete(&key).await.expect("deleted");
        note(&key, begun, None);
    }
    told
}

/// What is wrong after a power cut after so many steps.
fn wrong(store: &Arc<dyn ObjectStore>, told: &[Told], steps: usize) -> Option<String> {
    let mut allowed: std::collections::BTreeMap<&Path, Vec<Held>> =
        std::collections::BTreeMap::new();
    for Told { key, begun, done, value } in told {
        let values = allowed.entry(key).or_insert_with(|| vec![None]);
        if *done <= steps {
            *values = vec![*value];
        } else if *begun < steps {
            values.push(*value);
        }
    }
    allowed.into_iter().find_map(|(key, values)| {
        let read = async { store.get(key).await?.bytes().await };
        let found = match futures::executor::block_on(read) {
            Ok(bytes) => Some(bytes),
            Err(StoreError::NotFound { .. }) => None,
            Err(error) => return Some(format!("{key}: {error}")),
        };
        let right = values.contains(&found.as_deref());
        (!right).then(|| format!("after {steps} steps {key} is {found:?}, allowed: {values:?}"))
    })
}

/// Plays a power cut after every step, in several ways each; what is wrong first, and what was lost.
fn cuts(mutant: Option<crate::mutant::Mutant>) -> (Option<String>, power::Lost, usize) {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (store, journal) = power::open(directory.path());
    // Without a runtime the store works on this thread, where bugs can be planted.
    crate::mutant::plant(mutant);
    let told = futures::executor::block_on(work(&store, &journal));
    crate::mutant::plant(None);
    let (mut all, mut first) = (power::Lost::default(), None);
    for steps in 0..=journal.steps() {
        for seed in 0..6 {
            let mut chance = crate::simulation::chance::Chance::new(seed * 1_000 + steps as u64);
            let after = tempfile::tempdir().expect("temporary directory");
            let lost = journal.cut(directory.path(), steps, after.path(), &mut chance);
            (all.names, all.bytes) = (all.names + lost.names, all.bytes + lost.bytes);
            let found = wrong(&local(after.path()), &told, steps);
            first = first.or(found);
        }
    }
    (first, all, journal.steps() + 1)
}

#[test]
fn a_power_cut_after_any_step_leaves_every_key_whole_and_every_success_there() {
    let (wrong, lost, steps) = cuts(None);
    assert_eq!(wrong, None);
    assert!(lost.names > 100 && lost.bytes > 10, "nothing was at stake: {lost:?}");
    println!("{} power cuts, lost without harm: {lost:?}", 6 * steps);
}

#[test]
fn a_store_that_leaves_an_fsync_out_is_noticed() {
    for mutant in crate::mutant::Mutant::DISK {
        let (wrong, ..) = cuts(Some(mutant));
        println!("{mutant:?}: {}", wrong.as_deref().unwrap_or("not noticed"));
        assert!(wrong.is_some(), "{mutant:?} is not noticed");
    }
}

#[tokio::test]
async fn a_full_disk_is_an_error_and_leaves_no_half_written_key() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (store, journal) = power::open(directory.path());
    let (old, new) = (Path::from("a/old"), Path::from("a/new"));
    store.put(&old, "whole".into()).await.expect("put");
    for room in 0..5 {
        journal.limit(Some(room));
        let error = store.put_opts(&new, "12345".into(), create()).await.expect_err("full");
        assert!(error.to_string().contains("No space left"), "{error}");
        store.put(&old, "other".into()).await.expect_err("full");
        let mut upload = store.put_multipart(&new).await.expect("started");
        upload.put_part("12345".into()).await.expect_err("full");
        upload.abort().await.expect("aborted");
    }
    assert_eq!(journal.refused(), 15);
    let names: Vec<_> = std::fs::read_dir(directory.path().join("a"))
        .expect("listed")
        .map(|entry| entry.expect("entry").file_name())
        .collect();
    assert_eq!(names, ["old"], "staged files are removed");
    let read = store.get(&old).await.expect("there").bytes().await.expect("readable");
    assert_eq!(&read[..], b"whole");
    journal.limit(None);
    store.put_opts(&new, "12345".into(), create()).await.expect("room again");
}

#[tokio::test]
async fn an_fsync_that_fails_is_never_a_success() {
    let directory = tempfile::tempdir().expect("temporary directory");
    let (store, journal) = power::open(directory.path());
    store.put(&Path::from("a/first"), "1".into()).await.expect("put");
    for after in 0..2 {
        journal.fail_sync(after);
        let key = Path::from(format!("a/{after}"));
        store.put_opts(&key, "x".into(), create()).await.expect_err("not durable");
    }
    assert_eq!(journal.failed(), 2);
}
