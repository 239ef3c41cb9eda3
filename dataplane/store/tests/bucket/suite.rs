//! What every bucket does, whatever is behind it.

use std::collections::BTreeSet;
use std::io::Write;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use pyroscope_store::bucket::{Bucket, Depth, Error, Page};

use crate::target::bytes;

/// Checks everything of a bucket that is empty.
pub(crate) async fn behaves(bucket: &Bucket) {
    objects_are_read_as_written(bucket).await;
    empty_objects_are_objects(bucket).await;
    what_is_not_there_is_not_found(bucket).await;
    ranges_are_exact(bucket).await;
    too_large_is_not_read(bucket).await;
    odd_keys_are_keys(bucket).await;
    wrong_keys_are_refused(bucket).await;
    lists_have_levels_and_pages(bucket).await;
    files_are_uploaded(bucket).await;
    assert_eq!(keys(bucket, "").await, BTreeSet::new(), "something is left");
}

async fn objects_are_read_as_written(bucket: &Bucket) {
    let (first, second) = (bytes(100_000, 1), bytes(7, 2));
    let before = SystemTime::now() - Duration::from_secs(3600);
    for written in [&first, &second] {
        bucket.put("t/a.bin", written.clone()).await.unwrap();
        assert_eq!(&bucket.get("t/a.bin", 1 << 20).await.unwrap(), written);
        assert_eq!(&bucket.get("t/a.bin", u64::MAX).await.unwrap(), written);
        let head = bucket.head("t/a.bin").await.unwrap();
        assert_eq!(
            (head.key.as_str(), head.size),
            ("t/a.bin", written.len() as u64)
        );
        assert!(head.modified > before, "{:?}", head.modified);
    }
    assert!(bucket.exists("t/a.bin").await.unwrap());
    bucket.delete("t/a.bin").await.unwrap();
    assert!(!bucket.exists("t/a.bin").await.unwrap());
}

async fn empty_objects_are_objects(bucket: &Bucket) {
    bucket.put("empty", Bytes::new()).await.unwrap();
    assert_eq!(bucket.get("empty", 10).await.unwrap(), Bytes::new());
    assert_eq!(bucket.get("empty", 0).await.unwrap(), Bytes::new());
    assert_eq!(bucket.head("empty").await.unwrap().size, 0);
    assert!(broken(bucket.get_range("empty", 0..1).await).contains("ends before"));
    bucket.delete("empty").await.unwrap();
}

async fn what_is_not_there_is_not_found(bucket: &Bucket) {
    let error = bucket.get("not/there", 10).await.unwrap_err();
    assert!(error.is_not_found(), "{error}");
    assert!(error.to_string().contains("not/there\" in "), "{error}");
    assert!(error.to_string().contains("no such object"), "{error}");
    assert!(
        bucket
            .get_range("not/there", 0..1)
            .await
            .unwrap_err()
            .is_not_found()
    );
    assert!(bucket.head("not/there").await.unwrap_err().is_not_found());
    assert!(!bucket.exists("not/there").await.unwrap());
    // To delete what is not there is no error: the first answer may have been lost.
    bucket.delete("not/there").await.unwrap();
    assert_eq!(
        bucket.list("not/", Depth::All, None).await.unwrap(),
        Page::default()
    );
}

async fn ranges_are_exact(bucket: &Bucket) {
    let whole = bytes(10_000, 3);
    bucket.put("range", whole.clone()).await.unwrap();
    for range in [0..10_000, 0..1, 9_999..10_000, 17..4_711] {
        let part = whole.slice(range.start as usize..range.end as usize);
        assert_eq!(bucket.get_range("range", range).await.unwrap(), part);
    }
    assert_eq!(bucket.get_range("range", 5..5).await.unwrap(), Bytes::new());
    for range in [9_999..10_001, 10_000..10_001, 20_000..20_001] {
        let error = broken(bucket.get_range("range", range).await);
        assert!(error.contains("ends before bytes"), "{error}");
    }
    bucket.delete("range").await.unwrap();
}

async fn too_large_is_not_read(bucket: &Bucket) {
    bucket.put("large", bytes(1000, 4)).await.unwrap();
    assert_eq!(bucket.get("large", 1000).await.unwrap().len(), 1000);
    let error = broken(bucket.get("large", 999).await);
    assert!(
        error.contains("it has 1000 bytes, and no more than 999"),
        "{error}"
    );
    bucket.delete("large").await.unwrap();
}

async fn odd_keys_are_keys(bucket: &Bucket) {
    let odd = [
        "tenant!-_.*'()/01J/meta.json",
        "a b/c+d=e&f,g;h:i@j",
        "ümläut/日本",
        "percent%2Fsign",
        "...",
    ];
    for (seed, key) in odd.into_iter().enumerate() {
        let written = bytes(10, seed as u64);
        bucket.put(key, written.clone()).await.unwrap();
        assert_eq!(bucket.get(key, 10).await.unwrap(), written, "{key}");
    }
    let expected = odd.into_iter().map(str::to_owned).collect();
    assert_eq!(keys(bucket, "").await, expected);
    for key in odd {
        bucket.delete(key).await.unwrap();
    }
}

async fn wrong_keys_are_refused(bucket: &Bucket) {
    for key in ["", "/", "../out", "a/../../out", "a//b", "a/", "a\0b"] {
        broken(bucket.get(key, 1).await);
        broken(bucket.put(key, Bytes::new()).await);
        broken(bucket.delete(key).await);
        broken(bucket.exists(key).await);
    }
    for folder in ["a", "/", "../", "a//"] {
        broken(bucket.list(folder, Depth::All, None).await);
    }
}

async fn lists_have_levels_and_pages(bucket: &Bucket) {
    // In the order of keys, '-' comes before '/' and '0' after it.
    let all = [
        "l-", "l/a", "l/b-", "l/b/1", "l/b/2/x", "l/b/3", "l/b0", "l/c/y", "m",
    ];
    for key in all {
        bucket.put(key, Bytes::from_static(b"x")).await.unwrap();
    }
    let within = |folder: &str| {
        let within = all.iter().filter(|key| key.starts_with(folder));
        within.map(|key| (*key).to_owned()).collect::<BTreeSet<_>>()
    };
    for folder in ["", "l/", "l/b/", "l/b/2/"] {
        assert_eq!(keys(bucket, folder).await, within(folder), "{folder}");
    }
    for most in [1, 2, 3, 4] {
        let found = pages(bucket, "l/", Depth::All, most).await;
        assert_eq!(found, within("l/"), "{most}");
        let found = pages(bucket, "l/", Depth::One, most).await;
        let expected = ["l/a", "l/b-", "l/b/", "l/b0", "l/c/"].map(str::to_owned);
        assert_eq!(found, BTreeSet::from(expected), "{most}");
    }
    let top = bucket.list("", Depth::One, None).await.unwrap();
    assert_eq!(top.folders, ["l/"]);
    assert_eq!(top.objects.len(), 2);
    assert_eq!(top.objects[0].size, 1);
    for key in all {
        bucket.delete(key).await.unwrap();
    }
}

async fn files_are_uploaded(bucket: &Bucket) {
    // Some of a single request, and one of several parts.
    for (length, seed) in [(0, 5), (1000, 6), (8 << 20, 7), ((16 << 20) + 1, 8)] {
        let written = bytes(length, seed);
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(&written).unwrap();
        let size = bucket.upload("u/file", file.path()).await.unwrap();
        assert_eq!(size, length as u64);
        assert!(
            bucket.get("u/file", 1 << 30).await.unwrap() == written,
            "{length}"
        );
        assert_eq!(bucket.head("u/file").await.unwrap().size, length as u64);
    }
    bucket.delete("u/file").await.unwrap();
    let missing = broken(bucket.upload("u/x", "/not/there".as_ref()).await);
    assert!(missing.contains("cannot read /not/there"), "{missing}");
    let folder = broken(bucket.upload("u/x", "/".as_ref()).await);
    assert!(folder.contains("/ is not a file"), "{folder}");
}

/// Returns every key below a folder.
pub(crate) async fn keys(bucket: &Bucket, folder: &str) -> BTreeSet<String> {
    pages(bucket, folder, Depth::All, Bucket::MOST_OF_PAGE).await
}

/// Returns what all pages of a list have, each of them within its bound and nothing twice.
async fn pages(bucket: &Bucket, folder: &str, depth: Depth, most: usize) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut from = None;
    for _ in 0..100 {
        let page = bucket.list_some(folder, depth, from, most).await.unwrap();
        assert!(page.objects.len() + page.folders.len() <= most, "{page:?}");
        let objects = page.objects.into_iter().map(|object| object.key);
        for key in objects.chain(page.folders) {
            assert!(found.insert(key.clone()), "{key} is on two pages");
        }
        from = page.next;
        if from.is_none() {
            return found;
        }
    }
    panic!("a list without an end");
}

/// Returns the text of an error that says that something is to be changed.
pub(crate) fn broken<T: std::fmt::Debug>(result: Result<T, Error>) -> String {
    match result {
        Err(error @ Error::Broken { .. }) => error.to_string(),
        other => panic!("not broken: {other:?}"),
    }
}
