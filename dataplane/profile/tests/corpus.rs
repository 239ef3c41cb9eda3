//! Real Go profiles, checked against the figures of Go's own pprof.

#![allow(clippy::unwrap_used)]

mod owned;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use pyroscope_profile::pprof::{self, Limits};
use pyroscope_profile::{CallSite, Labels, PprofMerge, Profile, ProfileType, Tree};

fn corpus() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus")
}

fn raw(name: &str) -> Vec<u8> {
    std::fs::read(corpus().join(format!("{name}.pb.gz"))).unwrap()
}

fn stored(name: &str) -> Profile {
    let limits = Limits::default();
    let mut profile = pprof::decode(&raw(name), limits.uncompressed_bytes).unwrap();
    owned::validate(&profile, &limits).unwrap();
    owned::normalise(&mut profile, &limits);
    profile
}

fn column(profile: &Profile, sample_type: &str) -> usize {
    let types = ProfileType::of_columns("any", profile);
    let found = types.iter().position(|t| t.sample_type == sample_type);
    found.unwrap_or_else(|| panic!("no {sample_type} in {types:?}"))
}

fn tree(profile: &Profile, sample_type: &str) -> Tree {
    let mut tree = Tree::default();
    tree.insert_profile(profile, column(profile, sample_type), &CallSite::default());
    tree
}

#[test]
fn figures_are_those_of_go() {
    // File, sample type, total, function, its own value, its total.
    let figures = [
        (
            "cpu-40",
            "cpu",
            1_540_000_000,
            "runtime.asyncPreempt",
            325_000_000,
            325_000_000,
        ),
        (
            "cpu-40",
            "cpu",
            1_540_000_000,
            "sort.partition_func",
            60_000_000,
            185_000_000,
        ),
        (
            "cpu-40",
            "cpu",
            1_540_000_000,
            "runtime.tryDeferToSpanScan",
            52_500_000,
            70_000_000,
        ),
        ("cpu-52", "samples", 637, "aeshashbody", 42, 42),
        (
            "cpu-52",
            "samples",
            637,
            "runtime.mapassign_faststr",
            40,
            243,
        ),
        (
            "heap-44",
            "alloc_space",
            1_210_743_978,
            "regexp.(*Regexp).replaceAll",
            128_842_238,
            130_448_227,
        ),
        (
            "heap-44",
            "alloc_space",
            1_210_743_978,
            "encoding/xml.(*Decoder).Token",
            100_144_128,
            217_589_944,
        ),
        (
            "heap-00",
            "inuse_space",
            15_562_746,
            "main.doMap",
            3_766_266,
            4_814_858,
        ),
        (
            "heap-00",
            "inuse_space",
            15_562_746,
            "go/parser.(*parser).parseOperand",
            1_048_624,
            2_621_568,
        ),
        (
            "mutex-48",
            "delay",
            145_639_562,
            "runtime.unlock",
            145_391_545,
            145_391_545,
        ),
        (
            "mutex-48",
            "delay",
            145_639_562,
            "bufio.(*Writer).Flush",
            0,
            1_056_461,
        ),
        (
            "block-04",
            "contentions",
            432_478,
            "runtime.chansend1",
            218_567,
            218_567,
        ),
        (
            "block-04",
            "contentions",
            432_478,
            "main.doChan",
            0,
            218_713,
        ),
        ("goroutine-00", "goroutine", 1, "main.main", 0, 1),
    ];
    for (file, sample_type, total, function, own, cumulative) in figures {
        let profile = stored(file);
        let tree = tree(&profile, sample_type);
        let top = tree.top(usize::MAX);
        let entry = top.iter().find(|entry| entry.function == function);
        let entry = entry.unwrap_or_else(|| panic!("no {function} in {file}"));
        let got = (tree.total(), entry.self_value, entry.total);
        assert_eq!(got, (total, own, cumulative), "{file} {function}");
        let sum = pprof::total(
            &profile,
            column(&profile, sample_type),
            &CallSite::default(),
        );
        assert_eq!(sum, total, "{file}");
    }
}

#[test]
fn merging_adds_up_as_in_go() {
    let parts = [stored("heap-40"), stored("heap-44")];
    let want = stored("merged/heap-40-44");
    for sample_type in [
        "alloc_objects",
        "alloc_space",
        "inuse_objects",
        "inuse_space",
    ] {
        let at = column(&want, sample_type);
        let mut merge = PprofMerge::new(&ProfileType::of_columns("memory", &want)[at]);
        for part in &parts {
            merge.add(part, column(part, sample_type), &CallSite::default());
        }
        let merged = merge.finish();
        owned::validate(&merged, &Limits::default()).unwrap();
        let want = tree(&want, sample_type);
        assert!(want.node_count() > 5);
        assert_eq!(
            tree(&merged, sample_type).encode(),
            want.encode(),
            "{sample_type}"
        );

        let mut trees = tree(&parts[0], sample_type);
        trees.merge(&tree(&parts[1], sample_type));
        assert_eq!(trees.encode(), want.encode(), "{sample_type}");
    }
}

#[test]
fn a_merge_holds_each_symbol_once() {
    let part = stored("cpu-40");
    let profile_type = &ProfileType::of_columns("process_cpu", &part)[1];
    let merged = |times| {
        let mut merge = PprofMerge::new(profile_type);
        for _ in 0..times {
            merge.add(&part, 1, &CallSite::default());
        }
        merge.finish()
    };
    let (once, mut thrice) = (merged(1), merged(3));
    assert_eq!(once.location.len(), part.location.len());
    assert_eq!(once.sample.len(), part.sample.len());
    assert_eq!(
        ProfileType::of_columns("process_cpu", &once),
        std::slice::from_ref(profile_type)
    );
    for (sample, single) in thrice.sample.iter_mut().zip(&once.sample) {
        assert_eq!(sample.value, [3 * single.value[0]]);
        sample.value.clone_from(&single.value);
    }
    assert_eq!(thrice, once);
    let texts: BTreeSet<&String> = once.string_table.iter().collect();
    assert_eq!(texts.len(), once.string_table.len());
}

#[test]
fn a_call_site_selects_its_part() {
    let profile = stored("cpu-40");
    let site = CallSite::new(["main.main.func1", "main.doSort"]);
    let at = column(&profile, "cpu");
    let part = pprof::total(&profile, at, &site);
    assert_eq!(part, 625_000_000);
    let mut below = Tree::default();
    below.insert_profile(&profile, at, &site);
    assert_eq!(below.total(), part);
    let mut merge = PprofMerge::new(&ProfileType::of_columns("process_cpu", &profile)[at]);
    merge.add(&profile, at, &site);
    assert_eq!(tree(&merge.finish(), "cpu").encode(), below.encode());
}

#[test]
fn every_file_goes_all_the_way() {
    let mut files = 0;
    for entry in std::fs::read_dir(corpus()).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let Some(name) = name.strip_suffix(".pb.gz") else {
            continue;
        };
        files += 1;
        let profile = stored(name);
        assert!(!profile.sample.is_empty(), "{name}");
        let gzip = pprof::encode_gzip(&profile);
        assert_eq!(pprof::decode(&gzip, 4 << 20).unwrap(), profile, "{name}");
        let mut again = profile.clone();
        owned::normalise(&mut again, &Limits::default());
        assert_eq!(again, profile, "{name}");

        // Numeric labels such as `bytes` make no series.
        let series = Labels::new([("__name__", "any")]).unwrap();
        let parts = owned::split(&profile, &series);
        assert_eq!(parts, [(series, profile.clone())], "{name}");

        for sample_type in ProfileType::of_columns("any", &profile) {
            let tree = tree(&profile, &sample_type.sample_type);
            let graph = tree.to_flamegraph(50);
            assert_eq!(graph.total, tree.total(), "{name}");
            assert_eq!(graph.levels[0].values[1], tree.total(), "{name}");
        }
    }
    assert_eq!(files, 12);
}
