//! Input made to break decoders.

#![allow(clippy::unwrap_used)]

mod owned;

use std::path::Path;
use std::sync::LazyLock;

use proptest::prelude::*;
use prost::Message;
use proto::google::v1::{Function, Label, Line, Location, Mapping, Sample, ValueType};
use pyroscope_profile::pprof::{self, Limits};
use pyroscope_profile::{CallSite, Labels, PprofMerge, Profile, ProfileType, Tree};

static CORPUS: LazyLock<Vec<Vec<u8>>> = LazyLock::new(|| {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus");
    ["block-04", "goroutine-00", "mutex-00", "heap-40"]
        .map(|name| std::fs::read(dir.join(format!("{name}.pb.gz"))).unwrap())
        .map(|gzip| pprof::encode(&pprof::decode(&gzip, 4 << 20).unwrap()))
        .into()
});

/// Runs everything that a profile can meet, valid or not.
fn survive(mut profile: Profile) {
    let limits = Limits::default();
    let valid = owned::validate(&profile, &limits).is_ok();
    read(&profile);
    owned::normalise(&mut profile, &limits);
    if valid {
        owned::validate(&profile, &limits).unwrap();
    }
    read(&profile);
    let series = Labels::new([("__name__", "process_cpu")]).unwrap();
    for (labels, part) in owned::split(&profile, &series) {
        let _ = pyroscope_profile::LabelLimits::default().check(&labels);
        read(&part);
    }
}

fn read(profile: &Profile) {
    let site = CallSite::new(["main.main"]);
    let mut types = ProfileType::of_columns("process_cpu", profile);
    types.push(ProfileType::default());
    for (column, profile_type) in types.iter().enumerate().take(4) {
        let _ = profile_type.column_in(profile);
        let _ = pprof::total(profile, column, &site);
        let mut tree = Tree::default();
        tree.insert_profile(profile, column, &CallSite::default());
        let _ = tree.to_flamegraph(10);
        let _ = tree.top(10);
        let mut merge = PprofMerge::new(profile_type);
        merge.add(profile, column, &CallSite::default());
        merge.add(profile, column, &site);
        let merged = merge.finish();
        for location in &merged.location {
            assert!(location.mapping_id as usize <= merged.mapping.len());
        }
    }
}

fn index() -> impl Strategy<Value = i64> {
    prop_oneof![6 => 0..6_i64, 1 => any::<i64>()]
}

fn id() -> impl Strategy<Value = u64> {
    prop_oneof![6 => 0..5_u64, 1 => any::<u64>()]
}

prop_compose! {
    fn wild_sample()(
        location_id in prop::collection::vec(id(), 0..6),
        value in prop::collection::vec(prop_oneof![0..9_i64, any::<i64>()], 0..3),
        labels in prop::collection::vec((index(), index(), index()), 0..3),
    ) -> Sample {
        let label = |(key, str, num_unit)| Label { key, str, num_unit, num: 1 };
        Sample { location_id, value, label: labels.into_iter().map(label).collect() }
    }
}

prop_compose! {
    fn wild_location()(
        id in id(),
        mapping_id in id(),
        lines in prop::collection::vec(id(), 0..3),
    ) -> Location {
        let line = |function_id| Line { function_id, line: -1 };
        Location { id, mapping_id, line: lines.into_iter().map(line).collect(), ..Location::default() }
    }
}

prop_compose! {
    fn wild()(
        string_table in prop::collection::vec("|bytes|env|\\PC{0,3}", 0..5),
        types in prop::collection::vec((index(), index()), 0..3),
        sample in prop::collection::vec(wild_sample(), 0..12),
        location in prop::collection::vec(wild_location(), 0..5),
        function in prop::collection::vec((id(), index(), index()), 0..5),
        mapping in prop::collection::vec((id(), index()), 0..3),
        comment in prop::collection::vec(index(), 0..3),
    ) -> Profile {
        let value_type = |(r#type, unit)| ValueType { r#type, unit };
        let function = function.into_iter().map(|(id, name, filename)| Function { id, name, filename, ..Function::default() });
        let mapping = mapping.into_iter().map(|(id, filename)| Mapping { id, filename, ..Mapping::default() });
        Profile {
            string_table,
            period_type: types.first().copied().map(value_type),
            sample_type: types.into_iter().map(value_type).collect(),
            sample,
            location,
            function: function.collect(),
            mapping: mapping.collect(),
            comment,
            ..Profile::default()
        }
    }
}

/// Changes to make to bytes: where, what.
fn changes() -> impl Strategy<Value = Vec<(prop::sample::Index, u8)>> {
    prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..8)
}

/// `PROPTEST_CASES` wins over the usual number, so that `make soak` can run more.
fn cases(usual: u32) -> ProptestConfig {
    let config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_some() {
        config
    } else {
        ProptestConfig {
            cases: usual,
            ..config
        }
    }
}

proptest! {
    #![proptest_config(cases(512))]

    #[test]
    fn wild_profiles_do_not_panic(profile in wild()) {
        survive(profile);
    }

    #[test]
    fn random_bytes_do_not_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), gzip: bool) {
        let mut bytes = bytes;
        if gzip {
            bytes.splice(0..0, [0x1f, 0x8b, 8, 0]);
        }
        if let Ok(profile) = pprof::decode(&bytes, 1 << 16) {
            survive(profile);
        }
    }

    #[test]
    fn mutated_profiles_do_not_panic(file in 0..4_usize, changes in changes(), cut in prop::option::of(any::<prop::sample::Index>())) {
        let mut bytes = CORPUS[file].clone();
        for (at, byte) in changes {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(profile) = pprof::decode(&bytes, 1 << 20) {
            survive(profile);
        }
    }

    #[test]
    fn random_trees_do_not_panic(bytes in prop::collection::vec(prop_oneof![0..4_u8, any::<u8>()], 0..100)) {
        if let Ok(mut tree) = Tree::decode(&bytes, 50) {
            prop_assert!(tree.node_count() <= 50);
            let _ = tree.to_flamegraph(3);
            tree.truncate(3);
            let again = tree.encode();
            prop_assert_eq!(Tree::decode(&again, 50).unwrap().encode(), again);
        }
    }
}

#[test]
fn a_gzip_bomb_stops_at_the_limit() {
    let huge = Profile {
        string_table: vec!["x".repeat(64 << 20)],
        ..Profile::default()
    };
    let bomb = pprof::encode_gzip(&huge);
    assert!(bomb.len() < 1 << 20);
    let error = pprof::decode(&bomb, 4 << 20).unwrap_err();
    assert!(
        matches!(error, pyroscope_profile::PprofError::TooLarge { .. }),
        "{error}"
    );
}

#[test]
fn a_deep_tree_does_not_recurse() {
    let depth = 300_000;
    let bytes = [
        &[0, 0, 1][..],
        &[1, b'f', 1, 1].repeat(depth - 1),
        &[1, b'f', 1, 0],
    ]
    .concat();
    let mut tree = Tree::decode(&bytes, depth).unwrap();
    assert_eq!(tree.encode(), bytes);
    assert_eq!(tree.total(), depth as i64);
    assert_eq!(tree.top(1)[0].total, depth as i64);
    assert_eq!(tree.to_flamegraph(depth).levels.len(), depth + 1);
    tree.merge(&tree.clone());
    tree.truncate(10);
    assert_eq!(tree.total(), 2 * depth as i64);
}

/// Every sample repeats a location that has as many inlined calls as fit: the
/// depth limit is in frames, so that the work stays in proportion.
#[test]
fn inlined_calls_cannot_multiply() {
    let lines = vec![
        Line {
            function_id: 1,
            line: 0
        };
        500_000
    ];
    let mut profile = Profile {
        string_table: ["", "cpu", "ns", "f"].map(String::from).into(),
        sample_type: vec![ValueType { r#type: 1, unit: 2 }],
        location: vec![Location {
            id: 1,
            line: lines,
            ..Location::default()
        }],
        function: vec![Function {
            id: 1,
            name: 3,
            ..Function::default()
        }],
        sample: (1..1001_usize)
            .map(|n| Sample {
                location_id: vec![1; n],
                value: vec![1],
                ..Sample::default()
            })
            .collect(),
        ..Profile::default()
    };
    assert!(profile.encoded_len() < 4 << 20);
    let limits = Limits::default();
    owned::validate(&profile, &limits).unwrap();
    owned::normalise(&mut profile, &limits);
    assert_eq!(profile.sample.len(), 1);
    assert_eq!(profile.sample[0].value, [1000]);
    let mut tree = Tree::default();
    tree.insert_profile(&profile, 0, &CallSite::default());
    assert_eq!(tree.node_count(), limits.stack_depth);
}

/// Each sample is a series of its own and has all symbols, which splitting
/// copies: beyond a budget labels are dropped, values are not.
#[test]
fn splitting_cannot_multiply_symbols() {
    let names = (0..200).map(|n| format!("{n}{}", "x".repeat(10_000)));
    let first = 2;
    let profile = Profile {
        string_table: ["", "env"]
            .map(String::from)
            .into_iter()
            .chain(names)
            .chain((0..1000).map(|n| n.to_string()))
            .collect(),
        sample_type: vec![ValueType { r#type: 1, unit: 1 }],
        location: (1..201)
            .map(|id| Location {
                id,
                line: vec![Line {
                    function_id: id,
                    line: 0,
                }],
                ..Location::default()
            })
            .collect(),
        function: (1..201)
            .map(|id| Function {
                id,
                name: id as i64 + first - 1,
                ..Function::default()
            })
            .collect(),
        sample: (0..1000)
            .map(|n| Sample {
                location_id: (1..201).collect(),
                value: vec![1],
                label: vec![Label {
                    key: 1,
                    str: first + 200 + n,
                    ..Label::default()
                }],
            })
            .collect(),
        ..Profile::default()
    };
    assert!(profile.encoded_len() < 4 << 20);
    let series = Labels::new([("__name__", "process_cpu")]).unwrap();
    let parts = owned::split(&profile, &series);
    let bytes: usize = parts.iter().map(|(_, part)| part.encoded_len()).sum();
    assert!(bytes < 70 << 20, "{bytes}");
    assert!(parts.len() > 10, "{}", parts.len());
    let totals = parts
        .iter()
        .map(|(_, part)| pprof::total(part, 0, &CallSite::default()));
    assert_eq!(totals.sum::<i64>(), 1000);
}
