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
