//! What a database finds when it is opened again on a log that was cut or
//! damaged.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use fixture::{Opened, id, ids, open, open_with, push, small};
use pyroscope_store::{Database, Options, StoreError};
use tempfile::TempDir;

/// Length of the header of a segment.
const HEADER: usize = 68;
/// Length of the frame of a record.
const FRAME: usize = 24;

/// A log of one segment, and where each record of it ends.
struct Log {
    temp: TempDir,
    /// As a shutdown leaves it: behind the records is a mark.
    closed: Vec<u8>,
    /// As a crash leaves it.
    bytes: Vec<u8>,
    ends: Vec<usize>,
}

impl Log {
    async fn of(records: u64) -> Self {
        // Hundreds of databases are made of it: in memory where that is possible.
        let memory = Some(Path::new("/dev/shm")).filter(|path| path.is_dir());
        let place = memory.map_or_else(std::env::temp_dir, Path::to_owned);
        let temp = tempfile::tempdir_in(place).unwrap();
        let original = temp.path().join("original");
        let opened = open(&original);
        for n in 0..records {
            push(&opened.database, vec![small(n)]).await.unwrap();
        }
        drop(opened);
        let closed = fs::read(original.join("wal/00000001")).unwrap();
        let ends = record_ends(&closed);
        assert_eq!(ends.len() as u64, records);
        let bytes = closed[..*ends.last().unwrap()].to_vec();
        assert_eq!(closed.len(), bytes.len() + FRAME);
        Self {
            temp,
            closed,
            bytes,
            ends,
        }
    }

    /// Opens a copy of the database whose only segment has these bytes.
    fn opened_with(&self, bytes: &[u8]) -> (Opened, PathBuf) {
        let copy = self.temp.path().join("copy");
        let _ = fs::remove_dir_all(&copy);
        fs::create_dir_all(copy.join("wal")).unwrap();
        fs::write(copy.join("wal/00000001"), bytes).unwrap();
        (open(&copy), copy)
    }
}

/// Where the records of an intact segment end.
fn record_ends(segment: &[u8]) -> Vec<usize> {
    let mut at = HEADER;
    let mut ends = Vec::new();
    while at < segment.len() {
        let len = u32::from_le_bytes(segment[at + 8..at + 12].try_into().unwrap());
        at += FRAME + len as usize;
        if len > 0 {
            ends.push(at);
        }
    }
    ends
}

fn first(records: usize) -> BTreeSet<[u8; 16]> {
    (0..records as u64).map(id).collect()
}

#[tokio::test]
async fn each_truncation_leaves_exactly_the_acknowledged_prefix() {
    let log = Log::of(3).await;
    for len in 0..=log.bytes.len() {
        let whole = log.ends.iter().filter(|end| **end <= len).count();
        let (opened, directory) = log.opened_with(&log.bytes[..len]);
        assert_eq!(opened.ids(), first(whole), "cut at {len}");
        assert_eq!(opened.report.corruptions, [], "cut at {len}");
        assert_eq!(opened.report.records, whole as u64);
        let kept = match whole {
            // A segment without its header never held anything.
            0 if len < HEADER => len,
            0 => HEADER,
            n => log.ends[n - 1],
        };
        assert_eq!(
            opened.report.torn_bytes,
            (len - kept) as u64,
            "cut at {len}"
        );

        if len % 7 != 0 {
            continue;
        }
        // What was cut does not come back, and what is pushed now stays.
        push(&opened.database, vec![small(9)]).await.unwrap();
        drop(opened);
        let again = open(&directory);
        assert_eq!(again.report.torn_bytes, 0, "cut at {len}");
        assert_eq!(again.report.corruptions, [], "cut at {len}");
        let mut expected = first(whole);
        expected.insert(id(9));
        assert_eq!(again.ids(), expected, "cut at {len}");
    }
}

#[tokio::test]
async fn each_flipped_byte_costs_its_record_alone_and_is_reported() {
    let log = Log::of(3).await;
    for at in 0..log.bytes.len() {
        let mut bytes = log.closed.clone();
        bytes[at] ^= 0xff;
        let (opened, directory) = log.opened_with(&bytes);
        let hit = log.ends.iter().filter(|end| **end <= at).count();
        let mut expected = first(3);
        if at >= HEADER {
            expected.remove(&id(hit as u64));
        }
        assert_eq!(opened.ids(), expected, "byte {at}");
        let report = &opened.report;
        assert_eq!(report.corruptions.len(), 1, "byte {at}: {report:?}");
        assert_eq!((report.torn_bytes, report.quarantined), (0, 1));
        for corruption in &report.corruptions {
            let kept = corruption.quarantined.as_ref().unwrap();
            assert_eq!(fs::read(kept).unwrap(), bytes, "byte {at}: {corruption}");
            let note = fs::read_to_string(kept.with_extension("txt")).unwrap();
            assert!(note.contains(&corruption.reason), "{note}");
        }
        assert_eq!(
            opened.metric("pyroscope_wal_corruptions_total"),
            report.corruptions.len() as f64
        );
        assert_eq!(
            opened.metric("pyroscope_wal_quarantined_segments_total"),
            1.0
        );
        drop(opened);
        if at % 7 != 0 {
            continue;
        }
        let again = open(&directory);
        assert_eq!(again.report.corruptions, [], "byte {at} is reported twice");
        assert_eq!(again.ids(), expected, "byte {at} after repair");
    }
}

#[tokio::test]
async fn damage_before_the_last_segment_is_never_a_torn_tail() {
    let temp = tempfile::tempdir().unwrap();
    let options = Options {
        segment_bytes: 1,
        ..Options::default()
    };
    let opened = open_with(temp.path(), options.clone());
    for n in 0..3 {
        push(&opened.database, vec![small(n)]).await.unwrap();
    }
    assert_eq!(opened.metric("pyroscope_wal_segments"), 3.0);
    drop(opened);
    let second = temp.path().join("wal/00000002");
    let bytes = fs::read(&second).unwrap();
    // Also between records it is noticed: the third says where the second ends.
    for (cut, kept) in [
        (1, "wal/quarantine/00000002"),
        (bytes.len() - HEADER, "wal/quarantine/00000002-1"),
    ] {
        fs::write(&second, &bytes[..bytes.len() - cut]).unwrap();
        let opened = open_with(temp.path(), options.clone());
        assert_eq!(opened.ids(), [id(0), id(2)].into());
        assert_eq!(opened.report.torn_bytes, 0);
        let [corruption] = &opened.report.corruptions[..] else {
            panic!("{:?}", opened.report);
        };
        let found = (corruption.segment, corruption.offset, corruption.bytes);
        assert_eq!(found, (2, HEADER as u64, (bytes.len() - HEADER) as u64));
        assert!(corruption.quarantined.as_ref().unwrap().ends_with(kept));
        drop(opened);
        let again = open_with(temp.path(), options.clone());
        assert_eq!(again.report.corruptions, [], "reported twice");
        assert_eq!(again.ids(), [id(0), id(2)].into());
    }

    fs::remove_file(second).unwrap();
    let opened = open_with(temp.path(), options.clone());
    assert_eq!(opened.ids(), [id(0), id(2)].into());
    assert_eq!(opened.report.corruptions[0].segment, 2);
    assert!(opened.report.corruptions[0].reason.contains("missing"));
    drop(opened);

    // Removed from the front it is no loss.
    fs::remove_file(temp.path().join("wal/00000001")).unwrap();
    let opened = open_with(temp.path(), options);
    assert_eq!(opened.ids(), [id(2)].into());
    assert_eq!(opened.report.corruptions, []);
}

/// Without the mark of a shutdown, damage in the last write may be what a crash
/// left of it, in any order.
#[tokio::test]
async fn the_last_write_may_be_torn_anywhere_and_is_kept_aside() {
    let log = Log::of(3).await;
    for at in log.ends[1]..log.bytes.len() {
        let mut bytes = log.bytes.clone();
        bytes[at] ^= 0xff;
        let (opened, directory) = log.opened_with(&bytes);
        let report = &opened.report;
        assert_eq!(opened.ids(), first(2), "byte {at}");
        assert_eq!(report.corruptions, [], "byte {at}");
        assert!(report.torn_bytes > 0, "byte {at}");
        assert_eq!(
            opened.metric("pyroscope_wal_torn_bytes_total"),
            report.torn_bytes as f64
        );
        if report.quarantined > 0 {
            let kept = directory.join("wal/quarantine/00000001");
            assert_eq!(fs::read(kept).unwrap(), bytes, "byte {at}");
        }
        drop(opened);
        let again = open(&directory);
        assert_eq!((again.report.torn_bytes, again.ids()), (0, first(2)));
    }
}

/// Records of one write, of which the first did not reach the disk: the second
/// says that they belong together.
#[tokio::test]
async fn a_hole_in_the_last_write_is_no_corruption() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    push(&opened.database, vec![small(0)]).await.unwrap();
    push(&opened.database, vec![small(1), small(2)])
        .await
        .unwrap();
    drop(opened);
    let segment = temp.path().join("wal/00000001");
    let mut bytes = fs::read(&segment).unwrap();
    let ends = record_ends(&bytes);
    bytes.truncate(ends[2]);
    for hole in [ends[0]..ends[1], ends[0] + FRAME..ends[1]] {
        let mut torn = bytes.clone();
        torn[hole.clone()].fill(0);
        fs::write(&segment, torn).unwrap();
        let opened = open(temp.path());
        assert_eq!(opened.report.corruptions, []);
        assert_eq!(opened.report.torn_bytes, (ends[1] - ends[0]) as u64);
        assert_eq!(opened.ids(), [id(0), id(2)].into());
    }
    // The same before a write that was synced is one.
    bytes[ends[0] - 1] ^= 1;
    fs::write(&segment, bytes).unwrap();
    let opened = open(temp.path());
    assert_eq!(opened.report.corruptions.len(), 1);
    assert_eq!(opened.ids(), [id(1), id(2)].into());
}

#[tokio::test]
async fn segments_are_filled_and_rotated() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open_with(
        temp.path(),
        Options {
            segment_bytes: 1000,
            ..Options::default()
        },
    );
    for n in 0..40 {
        push(&opened.database, vec![small(n)]).await.unwrap();
    }
    drop(opened);
    let sizes = segment_sizes(temp.path());
    assert!(sizes.len() > 5, "{sizes:?}");
    let full = &sizes[..sizes.len() - 1];
    assert!(
        full.iter().all(|size| (500..=1000).contains(size)),
        "{sizes:?}"
    );
    let opened = open(temp.path());
    assert_eq!(opened.ids(), first(40));
    assert_eq!(opened.report.segments, sizes.len());
    assert_eq!(
        opened.metric("pyroscope_wal_bytes"),
        sizes.iter().sum::<u64>() as f64
    );
}

fn segment_sizes(directory: &Path) -> Vec<u64> {
    let mut files: Vec<_> = fs::read_dir(directory.join("wal"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .collect();
    files.sort();
    files
        .iter()
        .map(|path| fs::metadata(path).unwrap().len())
        .collect()
}

#[tokio::test]
async fn a_directory_has_one_writer() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let second = Database::open(temp.path(), Options::default(), &mut Default::default());
    assert!(
        matches!(second, Err(StoreError::Locked { .. })),
        "{second:?}"
    );
    opened.database.shutdown().await;
    let second = open(temp.path());
    let refused = push(&opened.database, vec![small(1)]).await.unwrap_err();
    assert!(refused.is_retryable(), "{refused}");
    push(&second.database, vec![small(1)]).await.unwrap();
    assert_eq!(ids(&second.database, fixture::TENANT), [id(1)].into());
}

#[tokio::test]
async fn a_newer_log_is_refused_and_left_alone() {
    let log = Log::of(1).await;
    let mut bytes = log.bytes.clone();
    bytes[8] = 3;
    let crc = crc32fast::hash(&bytes[..28]);
    bytes[28..32].copy_from_slice(&crc.to_le_bytes());
    let copy = log.temp.path().join("copy");
    fs::create_dir_all(copy.join("wal")).unwrap();
    fs::write(copy.join("wal/00000001"), &bytes).unwrap();
    let refused = Database::open(&copy, Options::default(), &mut Default::default());
    let Err(StoreError::Version(message)) = refused else {
        panic!("{refused:?}")
    };
    assert!(message.contains("version 3"), "{message}");
    assert_eq!(fs::read(copy.join("wal/00000001")).unwrap(), bytes);
}

#[tokio::test]
async fn what_does_not_fit_the_budget_any_more_is_replayed_still() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    for n in 0..10 {
        push(&opened.database, vec![small(n)]).await.unwrap();
    }
    let bytes = opened.database.head_bytes();
    drop(opened);
    let opened = open_with(
        temp.path(),
        Options {
            max_head_bytes: 1,
            ..Options::default()
        },
    );
    assert_eq!(opened.ids(), first(10));
    assert_eq!(opened.database.head_bytes(), bytes);
    assert!(
        push(&opened.database, vec![small(11)])
            .await
            .unwrap_err()
            .is_retryable()
    );
    push(&opened.database, vec![small(3)]).await.unwrap();
}
