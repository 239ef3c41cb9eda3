//! A block that is not as it was written never answers with anything else than what
//! is in it, and says what is wrong with which file.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::path::{Path, PathBuf};

use bytes::Bytes;
use fixture::{CPU, Stack, description, incoming, open, pprof, push};
use proto::reader::v1::{MergeRequest, SelectRequest, SelectResponse};
use pyroscope_store::TimeRange;
use pyroscope_store::block::{Block, BlockError, BlockQueryError, Limits, Memory};
use rand::rngs::StdRng;
use rand::{RngExt as _, SeedableRng as _};

const NAME: &str = "00000000000000000000000001";

/// A block of version 1 that was written once, and stays as it is: whatever changes
/// about writing, it must be read. UPDATE=1 writes it.
fn kept() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/blocks")
}

async fn write(root: &Path) {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let stacks: [Stack<'_>; 3] = [
        (&["main", "work", "read"], [3, 30]),
        (&["main", "work"], [1, 10]),
        (&["main", "idle"], [7, 70]),
    ];
    let service = ["shop/cart", "shop/mail"];
    let profiles = (0..8).map(|n| {
        let stacks = &stacks[..=n as usize % 3];
        incoming(
            service[n as usize % 2],
            n,
            &pprof(1_795_000_000_000 + n as i64 * 15_000, stacks),
        )
    });
    let profiles = profiles.collect();
    push(&opened.database, profiles).await.unwrap();
    let _ = std::fs::remove_dir_all(root.join(NAME));
    opened
        .database
        .write_block(TimeRange::ALL, root, description(1))
        .unwrap();
    opened.database.shutdown().await;
}

fn files() -> Memory {
    Memory::read(kept().join(NAME)).unwrap()
}

/// What a query of everything is answered: names, and the merged tree.
fn answer(files: Memory) -> Result<(SelectResponse, Bytes), BlockQueryError> {
    let block = Block::open(NAME, files, Limits::default())?;
    let select = SelectRequest {
        call_site: vec!["main".to_owned()],
        ..fixture::request(CPU, "{}")
    };
    let named = block.select(&select)?;
    let merged = block.merge(&MergeRequest {
        keys: named.keys.clone(),
        select: Some(select),
        ..MergeRequest::default()
    })?;
    Ok((named, merged.data))
}

fn verify(files: Memory) -> Result<(), BlockError> {
    Block::open(NAME, files, Limits::default())?.verify()
}

/// Damages a file: it must be named, or not be needed.
fn check(good: &(SelectResponse, Bytes), name: &str, files: Memory) {
    let error = verify(files.clone()).unwrap_err();
    let text = error.to_string();
    assert!(text.contains(NAME) && text.contains(name), "{name}: {text}");
    match answer(files) {
        Ok(answer) => assert_eq!(&answer, good, "{name}"),
        Err(BlockQueryError::Block(error)) => {
            let text = error.to_string();
            assert!(text.contains(NAME) && text.contains(name), "{name}: {text}");
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn what_was_written_once_is_read() {
    if std::env::var_os("UPDATE").is_some() {
        write(&kept()).await;
    }
    verify(files()).unwrap();
    let (named, tree) = answer(files()).unwrap();
    assert_eq!(named.timestamps.len(), 8);
    // Three stacks in turns, and so one, two or three of them.
    assert_eq!(named.totals.iter().sum::<i64>(), 3 * 30 + 3 * 40 + 2 * 110);
    let tree = profile::Tree::decode(&tree, 1 << 20).unwrap();
    let top = tree.top(2);
    assert_eq!(
        (&*top[0].function, top[0].self_value, top[0].total),
        ("read", 240, 240)
    );
    assert_eq!((&*top[1].function, top[1].self_value), ("idle", 140));
}

#[test]
fn damage_is_found_and_named() {
    let (whole, mut random) = (files(), StdRng::seed_from_u64(1));
    let good = answer(whole.clone()).unwrap();
    for (name, bytes) in &whole.0 {
        let steps = std::env::var("DAMAGES").map_or(60, |steps| steps.parse().unwrap());
        for step in 0..steps.min(bytes.len()) {
            let mut damaged = bytes.to_vec();
            let at = bytes.len() * step / steps.min(bytes.len());
            damaged[at] ^= 1 << random.random_range(0..8);
            let mut files = whole.clone();
            files.0.insert(name.clone(), damaged.into());
            check(&good, name, files);
            let mut files = whole.clone();
            files.0.insert(name.clone(), bytes.slice(..at));
            check(&good, name, files);
        }
        let mut files = whole.clone();
        let longer = [bytes, &b"\n"[..]].concat();
        files.0.insert(name.clone(), longer.into());
        check(&good, name, files);
    }
}

#[test]
fn what_is_missing_is_named() {
    let whole = files();
    for name in whole.0.keys() {
        let mut files = whole.clone();
        files.0.remove(name);
        let error = verify(files).unwrap_err();
        assert!(
            matches!(&error, BlockError::Missing { file, .. } if file == name),
            "{error}"
        );
        assert!(error.to_string().contains("bring it back"), "{error}");
    }
}

#[test]
fn files_of_another_block_are_no_good() {
    let mut files = files();
    let meta = files.0["meta.json"].clone();
    let error = Block::open(
        "00000000000000000000000002",
        files.clone(),
        Limits::default(),
    );
    assert!(matches!(error.unwrap_err(), BlockError::Foreign { .. }));
    let newer = String::from_utf8(meta.to_vec()).unwrap();
    let newer = newer.replace("\"version\": 1", "\"version\": 7");
    files.0.insert("meta.json".to_owned(), newer.into());
    let error = verify(files).unwrap_err();
    assert!(matches!(error, BlockError::Version { version: 7, .. }));
    assert!(error.to_string().contains("use a newer one"), "{error}");
}

#[test]
fn what_is_larger_than_one_takes_is_refused() {
    let limits = Limits {
        bytes: 1 << 20,
        values: 5,
    };
    let error = Block::open(NAME, files(), limits).and_then(|block| block.verify());
    assert!(matches!(error.unwrap_err(), BlockError::Damaged { .. }));
}
