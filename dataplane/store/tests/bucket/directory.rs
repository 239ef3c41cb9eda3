//! A directory as a bucket.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use proptest::collection::btree_set;
use proptest::prelude::*;
use pyroscope_store::bucket::{Backend, Bucket, Depth};

use crate::suite::{behaves, broken, keys};
use crate::target::{bytes, open, quick};

fn bucket(path: &Path, prefix: &str) -> Bucket {
    open(Backend::Filesystem(path.to_owned()), prefix, quick())
}

#[tokio::test]
async fn behaves_as_every_bucket() {
    let folder = tempfile::tempdir().unwrap();
    behaves(&bucket(&folder.path().join("made/by/us"), "")).await;
    behaves(&bucket(&folder.path().join("made/by/us"), "a/prefix")).await;
}

#[tokio::test]
async fn objects_are_files_and_nothing_else_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = bucket(folder.path(), "p");
    bucket.put("t/a", bytes(1000, 1)).await.unwrap();
    assert_eq!(
        fs::read(folder.path().join("p/t/a")).unwrap(),
        bytes(1000, 1)
    );
    assert_eq!(
        names(&folder.path().join(".uploading")),
        Vec::<String>::new()
    );
    bucket.delete("t/a").await.unwrap();
    // Folders are nothing by themselves.
    assert_eq!(names(folder.path()), [".uploading"]);
}

#[tokio::test]
async fn links_are_not_followed() {
    let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    fs::write(outside.path().join("secret"), "secret").unwrap();
    let bucket = bucket(folder.path(), "");
    symlink(outside.path(), folder.path().join("out")).unwrap();
    symlink(outside.path().join("secret"), folder.path().join("link")).unwrap();
    for key in ["out/secret", "link"] {
        let error = broken(bucket.get(key, 100).await);
        assert!(error.contains("symbolic link"), "{error}");
        broken(bucket.get_range(key, 0..1).await);
        broken(bucket.exists(key).await);
    }
    let error = broken(bucket.put("out/new/file", Bytes::from_static(b"x")).await);
    assert!(error.contains("leads out of the bucket"), "{error}");
    broken(bucket.delete("out/secret").await);
    broken(bucket.list("out/", Depth::All, None).await);
    assert_eq!(names(outside.path()), ["secret"]);
    assert_eq!(keys(&bucket, "").await, BTreeSet::new());
    // A link in an object's place is replaced, not written through.
    bucket
        .put("link", Bytes::from_static(b"new"))
        .await
        .unwrap();
    assert_eq!(bucket.get("link", 10).await.unwrap(), "new");
    assert_eq!(fs::read(outside.path().join("secret")).unwrap(), b"secret");
}

#[tokio::test]
async fn the_directory_itself_may_be_a_link() {
    let folder = tempfile::tempdir().unwrap();
    fs::create_dir(folder.path().join("real")).unwrap();
    symlink(folder.path().join("real"), folder.path().join("link")).unwrap();
    let bucket = bucket(&folder.path().join("link"), "");
    bucket.put("a/b", Bytes::from_static(b"x")).await.unwrap();
    assert!(folder.path().join("real/a/b").is_file());
}

#[tokio::test]
async fn an_object_and_a_folder_cannot_have_one_name() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = bucket(folder.path(), "");
    bucket.put("a", Bytes::from_static(b"x")).await.unwrap();
    bucket.put("b/c", Bytes::from_static(b"x")).await.unwrap();
    for key in ["a/b", "a/b/c", "b"] {
        let error = broken(bucket.put(key, Bytes::from_static(b"y")).await);
        assert!(error.contains("stands where"), "{error}");
    }
    for key in ["a/b", "b"] {
        assert!(!bucket.exists(key).await.unwrap());
        assert!(bucket.get(key, 1).await.unwrap_err().is_not_found());
        bucket.delete(key).await.unwrap();
    }
    assert_eq!(keys(&bucket, "").await.len(), 2);
    assert_eq!(
        names(&folder.path().join(".uploading")),
        Vec::<String>::new()
    );
}

#[tokio::test]
async fn what_is_being_written_is_no_object() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = bucket(folder.path(), "");
    fs::write(folder.path().join(".uploading/half"), "half").unwrap();
    assert_eq!(keys(&bucket, "").await, BTreeSet::new());
    let top = bucket.list("", Depth::One, None).await.unwrap();
    assert!(top.folders.is_empty() && top.objects.is_empty());
    broken(bucket.put(".uploading/x", Bytes::new()).await);
}

#[tokio::test]
async fn what_was_left_half_written_is_removed_when_it_is_old() {
    let folder = tempfile::tempdir().unwrap();
    bucket(folder.path(), "");
    let (old, new) = (
        folder.path().join(".uploading/old"),
        folder.path().join(".uploading/new"),
    );
    for path in [&old, &new] {
        fs::write(path, "half").unwrap();
    }
    let file = fs::File::options().write(true).open(&old).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(25 * 3600))
        .unwrap();
    bucket(folder.path(), "");
    // Somebody else may still write what is new: the disk may be shared.
    assert!(!old.exists() && new.exists());
}

#[tokio::test]
async fn readers_see_the_old_or_the_new_object_and_never_a_part() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = bucket(folder.path(), "");
    let (one, other) = (bytes(300_000, 1), bytes(200_000, 2));
    bucket.put("a", one.clone()).await.unwrap();
    let writer = {
        let (bucket, one, other) = (bucket.clone(), one.clone(), other.clone());
        tokio::spawn(async move {
            for round in 0..30 {
                let next = if round % 2 == 0 { &other } else { &one };
                bucket.put("a", next.clone()).await.unwrap();
            }
        })
    };
    while !writer.is_finished() {
        let seen = bucket.get("a", 1 << 20).await.unwrap();
        assert!(seen == one || seen == other, "{} bytes", seen.len());
    }
    writer.await.unwrap();
}

#[tokio::test]
async fn writers_and_deleters_of_one_folder_do_not_disturb_each_other() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = bucket(folder.path(), "");
    let work = (0..8).map(|number| {
        let bucket = bucket.clone();
        tokio::spawn(async move {
            let key = format!("deep/er/{number}");
            for _ in 0..20 {
                bucket.put(&key, Bytes::from_static(b"x")).await.unwrap();
                bucket.delete(&key).await.unwrap();
            }
        })
    });
    for done in futures::future::join_all(work).await {
        done.unwrap();
    }
    assert_eq!(names(folder.path()), [".uploading"]);
}

#[tokio::test]
async fn a_list_goes_on_where_it_was_when_objects_come_and_go() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = bucket(folder.path(), "");
    for key in ["a", "b/1", "b/2", "c"] {
        bucket.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let first = bucket.list_some("", Depth::All, None, 2).await.unwrap();
    bucket.delete("b/1").await.unwrap();
    bucket.delete("b/2").await.unwrap();
    bucket.put("0", Bytes::from_static(b"x")).await.unwrap();
    bucket.put("d", Bytes::from_static(b"x")).await.unwrap();
    let second = bucket
        .list_some("", Depth::All, first.next, 10)
        .await
        .unwrap();
    let keys: Vec<_> = second
        .objects
        .iter()
        .map(|object| object.key.as_str())
        .collect();
    assert_eq!((keys, second.next), (vec!["c", "d"], None));
}

#[tokio::test]
async fn a_disk_that_refuses_is_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let bucket = bucket(folder.path(), "");
    bucket.put("a/b", Bytes::from_static(b"x")).await.unwrap();
    let closed = folder.path().join("a");
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o500)).unwrap();
    // Root may write everywhere.
    let is_root = fs::write(closed.join("by-root"), "").is_ok();
    let result = bucket.put("a/c", Bytes::from_static(b"x")).await;
    fs::set_permissions(&closed, fs::Permissions::from_mode(0o700)).unwrap();
    match result {
        Ok(()) => assert!(is_root),
        Err(error) => assert!(error.to_string().contains("may write objects"), "{error}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn lists_are_those_of_a_sorted_set(
        keys in btree_set("[a0-]{1,2}(/[a0-]{1,2}){0,3}", 0..30),
        folder in "([a0-]{1,2}/){0,2}",
        most in 1..7usize,
    ) {
        // An object cannot be a folder too.
        let is_folder = |key: &str| keys.iter().any(|it| it.starts_with(&format!("{key}/")));
        let keys: BTreeSet<String> = keys.iter().filter(|key| !is_folder(key)).cloned().collect();
        let root = tempfile::tempdir().unwrap();
        let bucket = bucket(root.path(), "");
        for key in &keys {
            let path = root.path().join(key);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        let below = keys.iter().filter_map(|key| Some((key, key.strip_prefix(&folder)?)));
        let level = below.clone().map(|(_, rest)| match rest.split_once('/') {
            Some((name, _)) => format!("{folder}{name}/"),
            None => format!("{folder}{rest}"),
        });
        let level: BTreeSet<String> = level.collect();
        let below: BTreeSet<String> = below.map(|(key, _)| key.clone()).collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        for (depth, expected) in [(Depth::All, below), (Depth::One, level)] {
            let found = runtime.block_on(in_order(&bucket, &folder, depth, most));
            prop_assert_eq!(found, expected.into_iter().collect::<Vec<_>>());
        }
    }
}

/// Returns what the pages of a list have, and checks that each is full but the last.
async fn in_order(bucket: &Bucket, folder: &str, depth: Depth, most: usize) -> Vec<String> {
    let (mut found, mut from) = (Vec::new(), None);
    loop {
        let page = bucket.list_some(folder, depth, from, most).await.unwrap();
        let objects = page.objects.into_iter().map(|object| object.key);
        let mut page_keys: Vec<String> = objects.chain(page.folders).collect();
        page_keys.sort();
        assert!(page_keys.len() <= most);
        assert!(page.next.is_none() || page_keys.len() == most);
        found.extend(page_keys);
        from = page.next;
        if from.is_none() {
            return found;
        }
    }
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}
