//! Profiles, and the texts of requests.

use profile::{
    CallSite, Labels, PprofError, Profile, Selector, Tree, ingest,
    pprof::{self, View},
    profile_type::ProfileType,
    selector, time,
};
use prost::Message as _;
use proto::google::v1::{Function, Label, Line, Location, Sample, ValueType};

use super::plainly;

const MAX_BYTES: usize = 1 << 20;
const MAX_NODES: usize = 10_000;

/// A pushed profile, through everything that a distributor does with it.
pub(crate) fn pprof(data: &[u8]) {
    let mut view = View::default();
    let read = view.decode(data, MAX_BYTES);
    // prost reads what is not compressed just so.
    if !data.starts_with(&[0x1f, 0x8b]) && data.len() <= MAX_BYTES {
        let want = Profile::decode(data).ok();
        let too_many = matches!(read, Err(PprofError::TooManyEntries { .. }));
        assert!(too_many || want.is_some() == read.is_ok(), "{read:?}");
        if let (Some(want), Ok(())) = (want, &read) {
            assert_eq!(view.to_profile(), want);
        }
    }
    if read.is_err() {
        return;
    }
    let pushed = view.to_profile();
    same_after_encoding(&pushed);
    let limits = pprof::Limits {
        uncompressed_bytes: MAX_BYTES,
        stack_depth: 20,
        symbol_bytes: 100,
        ..pprof::Limits::default()
    };
    let valid = view.validate(&limits).is_ok();
    view.normalise(&limits);
    let stored = view.to_profile();
    // The plain way takes long.
    if pushed.encoded_len() < 4096 {
        assert_eq!(stored, plainly::normalised(&pushed, &limits));
    }
    if !valid {
        return;
    }
    for (_, part) in view.split_by_sample_labels(&Labels::default()) {
        same_after_encoding(&part);
        for column in 0..part.sample_type.len() {
            let everything = CallSite::default();
            let mut tree = Tree::default();
            tree.insert_profile(&part, column, &everything);
            let _ = pprof::total(&part, column, &everything);
            tree.truncate(64);
            let _ = (tree.to_flamegraph(64), tree.top(10));
        }
    }
}

fn same_after_encoding(profile: &Profile) {
    let encoded = pprof::encode(profile);
    if encoded.len() <= MAX_BYTES {
        let again = pprof::decode(&encoded, usize::MAX).expect("what was encoded is understood");
        assert_eq!(&again, profile);
    }
}

pub(crate) fn pprof_seeds() -> Vec<Vec<u8>> {
    let profile = example();
    vec![pprof::encode(&profile), pprof::encode_gzip(&profile)]
}

fn example() -> Profile {
    let text = [
        "",
        "cpu",
        "nanoseconds",
        "main",
        "work",
        "main.go",
        "thread",
        "7",
    ];
    let line = |function_id| Line {
        function_id,
        line: 12,
    };
    let location = |id| Location {
        id,
        line: vec![line(id)],
        ..Location::default()
    };
    let function = |id: u64| Function {
        id,
        name: 2 + id as i64,
        system_name: 2 + id as i64,
        filename: 5,
        ..Function::default()
    };
    Profile {
        sample_type: vec![ValueType { r#type: 1, unit: 2 }],
        sample: vec![
            Sample {
                location_id: vec![2, 1],
                value: vec![10],
                label: vec![Label {
                    key: 6,
                    str: 7,
                    ..Label::default()
                }],
            },
            Sample {
                location_id: vec![1],
                value: vec![20],
                label: Vec::new(),
            },
        ],
        location: vec![location(1), location(2)],
        function: vec![function(1), function(2)],
        string_table: text.map(str::to_owned).to_vec(),
        period: 10_000_000,
        ..Profile::default()
    }
}

/// A tree of another ingester.
pub(crate) fn tree(data: &[u8]) {
    let Ok(tree) = Tree::decode(data, MAX_NODES) else {
        return;
    };
    assert!(tree.node_count() <= MAX_NODES);
    let again = Tree::decode(&tree.encode(), MAX_NODES).expect("what was encoded is understood");
    assert_eq!(again.encode(), tree.encode());
    let mut doubled = tree.clone();
    doubled.merge(&tree);
    assert_eq!(doubled.total(), tree.total().saturating_mul(2));
    doubled.truncate(16);
    let _ = doubled.to_flamegraph(16);
}

pub(crate) fn tree_seeds() -> Vec<Vec<u8>> {
    let mut tree = Tree::default();
    tree.insert_profile(&example(), 0, &CallSite::default());
    vec![tree.encode()]
}

/// Selectors, queries, names, times and settings of requests.
pub(crate) fn text(data: &[u8]) {
    let _ = ingest::SampleTypeConfig::parse(data);
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(selector) = text.parse::<Selector>() {
        let written = selector.to_string();
        let again: Selector = written.parse().expect("what was written is understood");
        assert_eq!(again.to_string(), written);
        let _ = selector.matches(&Labels::default());
    }
    if let Ok(profile_type) = text.parse::<ProfileType>() {
        let again: ProfileType = profile_type.to_string().parse().expect("it is one");
        assert_eq!(again, profile_type);
    }
    let _ = text.parse::<selector::Query>();
    let _ = text.parse::<ingest::AppName>();
    let _ = time::parse(text, 1_795_000_000_000);
}

pub(crate) fn text_seeds() -> Vec<Vec<u8>> {
    [
        r#"{service_name="web", pod=~"a.+|b", region!="eu", zone!~"x"}"#,
        r#"process_cpu:cpu:nanoseconds:cpu:nanoseconds{service_name="web"}"#,
        "process_cpu:cpu:nanoseconds:cpu:nanoseconds",
        "web.cpu{pod=1,region=eu}",
        "now-1h30m",
        "1795000000000",
        r#"{"cpu":{"units":"samples","display-name":"x","aggregation":"sum","cumulative":true,"sampled":false}}"#,
    ]
    .map(|text| text.as_bytes().to_vec())
    .to_vec()
}
