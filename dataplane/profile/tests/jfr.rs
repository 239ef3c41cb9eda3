//! A real recording of OpenJDK, and what is done to it.

#![allow(clippy::unwrap_used)]

use std::io::Read as _;
use std::path::Path;

use prost::Message as _;
use proto::agent::v1::{Context as Labelled, LabelsSnapshot};
use pyroscope_profile::ingest::{Context, IngestError, Series, jfr};
use pyroscope_profile::pprof::{self, Limits, View};
use pyroscope_profile::{CallSite, ProfileType, Tree};

fn recording() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ingest/busy.jfr.gz");
    let gzip = std::fs::read(path).unwrap();
    let mut plain = Vec::new();
    flate2::read::GzDecoder::new(&gzip[..])
        .read_to_end(&mut plain)
        .unwrap();
    plain
}

fn context() -> Context {
    Context {
        name: "busy{region=eu}".parse().unwrap(),
        spy_name: "javaspy".to_owned(),
        sample_rate: 100,
        start: 1_795_000_000_000_000_000,
        end: 1_795_000_002_000_000_000,
    }
}

fn parse(recording: &[u8], labels: &[u8]) -> Result<Vec<Series>, IngestError> {
    jfr::parse(recording, labels, &context(), &Limits::default())
}

/// Type and total of each column.
fn totals(series: &[Series]) -> Vec<(String, i64)> {
    let columns = series.iter().flat_map(|Series { labels, profile }| {
        View::of(profile)
            .unwrap()
            .validate(&Limits::default())
            .unwrap();
        let types = ProfileType::of_columns(labels.get("__name__").unwrap(), profile);
        let total = |at| pprof::total(profile, at, &CallSite::default());
        let ids = types.into_iter().enumerate();
        ids.map(move |(at, of)| (of.id(), total(at)))
            .collect::<Vec<_>>()
    });
    columns.collect()
}

#[test]
fn a_recording_has_the_totals_that_java_says_it_has() {
    let series = parse(&recording(), &[]).unwrap();
    let want = [
        (
            "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
            22 * 10_000_000,
        ),
        ("memory:alloc_in_new_tlab_objects:count:space:bytes", 191),
        (
            "memory:alloc_in_new_tlab_bytes:bytes:space:bytes",
            230_314_864,
        ),
        ("memory:alloc_sample_objects:count:space:bytes", 66),
        ("memory:alloc_sample_bytes:bytes:space:bytes", 240_436_608),
        ("mutex:contentions:count:mutex:count", 21),
        ("mutex:delay:nanoseconds:mutex:count", 1_455_617_858),
        ("block:contentions:count:block:count", 27),
        ("block:delay:nanoseconds:block:count", 478_353_371),
    ];
    let totals = totals(&series);
    assert_eq!(totals.len(), want.len());
    for ((id, total), (want_id, want_total)) in totals.iter().zip(want) {
        assert_eq!(id, want_id);
        // Java says durations with fewer digits, each rounded for itself.
        let close = (total - want_total).abs() <= if id.contains("delay") { 100 } else { 0 };
        assert!(close, "{id}: {total} is not {want_total}");
    }
    assert_eq!(
        series[0].labels.to_string(),
        r#"{__delta__="false", __name__="process_cpu", pyroscope_spy="javaspy", region="eu", service_name="busy"}"#
    );
    assert_eq!(series[0].profile.duration_nanos, 2_000_000_000);
    let mut tree = Tree::default();
    tree.insert_profile(&series[0].profile, 0, &CallSite::default());
    let top = format!("{:?}", tree.top(3));
    assert!(top.contains("Busy.spin"), "{top}");
    let again = parse(&recording(), &[]).unwrap();
    assert_eq!(again, series, "the same input gives the same profiles");
}

#[test]
fn chunks_add_up() {
    let one = totals(&parse(&recording(), &[]).unwrap());
    let two = totals(&parse(&recording().repeat(2), &[]).unwrap());
    let doubled: Vec<_> = one.into_iter().map(|(id, total)| (id, 2 * total)).collect();
    assert_eq!(two, doubled);
}

#[test]
fn labels_are_read_and_rubbish_is_refused() {
    let snapshot = LabelsSnapshot {
        contexts: [(
            0,
            Labelled {
                labels: [(1, 2)].into(),
            },
        )]
        .into(),
        strings: [(1, "thread".to_owned()), (2, "main".to_owned())].into(),
    };
    let series = parse(&recording(), &snapshot.encode_to_vec()).unwrap();
    let strings = &series[0].profile.string_table;
    // Without a context of its own an event is of context 0.
    let label = series[0].profile.sample[0].label[0];
    assert_eq!(strings[label.key as usize], "thread");
    assert_eq!(strings[label.str as usize], "main");
    for (recording, labels) in [(&b"garbage"[..], &b""[..]), (&recording(), b"\xff")] {
        let error = parse(recording, labels).unwrap_err();
        assert!(error.is_malformed(), "{error}");
    }
    let error = parse(b"garbage", &[]).unwrap_err().to_string();
    assert!(error.starts_with("jfr parser ParseEvent error"), "{error}");
    assert!(parse(&[], &[]).unwrap().is_empty());
}

/// Damage is an error or other profiles, never a panic, and never slow.
#[test]
fn damage_does_no_harm() {
    let recording = recording();
    for end in (0..recording.len()).step_by(9001).skip(1) {
        assert!(parse(&recording[..end], &[]).is_err());
    }
    for (at, step) in (0..recording.len())
        .step_by(2503)
        .zip([1, 0x40, 0x80, 0xff].into_iter().cycle())
    {
        let mut damaged = recording.clone();
        damaged[at] ^= step;
        let _ = parse(&damaged, &[]);
    }
    // The header's offsets and lengths at their worst.
    for at in (8..68).step_by(8) {
        for value in [0, 1, 68, u64::MAX, i64::MAX as u64] {
            let mut damaged = recording.clone();
            damaged[at..at + 8].copy_from_slice(&value.to_be_bytes());
            let _ = parse(&damaged, &[]);
        }
    }
}
