//! Blocks answer as the head they were written from, alone and merged.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use fixture::{CPU, Opened, Stack, TENANT, bases, description, id, keys, open, pprof, push};
use profile::{Labels, Profile, Tree};
use proptest::prelude::*;
use prost::Message as _;
use proto::reader::v1::{MergeFormat, MergeRequest, MergeResponse, SelectRequest, SelectResponse};
use pyroscope_store::block::{self, Block, BlockError, Directory, Limits, Meta};
use pyroscope_store::{IncomingProfile, TimeRange};

/// Counted from the start of the process.
const GROWING: &str = "memory:alloc_space:bytes:space:bytes";
const CURRENT: &str = "memory:inuse_space:bytes:space:bytes";
const TYPES: [&str; 4] = [CPU, fixture::SAMPLES, GROWING, CURRENT];
const SERVICES: [&str; 3] = ["a", "b", "c"];
const FUNCTIONS: [&str; 4] = ["main", "work", "read", "\u{1f980}\n\""];

/// A profile; the same number always comes with the same rest.
#[derive(Clone, Debug)]
struct Pushed {
    service: &'static str,
    time: i64,
    kind: Kind,
    samples: Vec<(Vec<&'static str>, [i64; 2])>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Cpu,
    /// Columns of two types, of which the first grows.
    Heap,
    /// The same the other way around.
    OtherHeap,
    /// Of a client that has done so.
    Delta,
}

#[derive(Clone, Debug)]
struct Query {
    profile_type: &'static str,
    selector: String,
    range: (i64, i64),
    grouped: bool,
    call_site: Vec<&'static str>,
}

fn pushed() -> impl Strategy<Value = Pushed> {
    let stack = prop::collection::vec(prop::sample::select(&FUNCTIONS), 0..5);
    let value = prop_oneof![0..4_i64, 0..1_000_000_i64, Just(i64::MAX)];
    let samples = prop::collection::vec((stack, prop::array::uniform2(value)), 0..6);
    let kind = prop::sample::select(vec![Kind::Cpu, Kind::Heap, Kind::OtherHeap, Kind::Delta]);
    let service = prop::sample::select(&SERVICES);
    (service, 0..20_i64, kind, samples).prop_map(|(service, time, kind, samples)| Pushed {
        service,
        time,
        kind,
        samples,
    })
}

fn query() -> impl Strategy<Value = Query> {
    let services = prop::sample::subsequence(&SERVICES, 1..=3);
    let call_site = prop::collection::vec(prop::sample::select(&FUNCTIONS), 0..3);
    let profile_type = prop::sample::select(&TYPES);
    let range = prop_oneof![Just((i64::MIN, i64::MAX)), (0..20_i64, 0..20_i64)];
    (profile_type, services, range, any::<bool>(), call_site).prop_map(
        |(profile_type, services, range, grouped, call_site)| Query {
            profile_type,
            selector: format!("{{service_name=~\"{}\"}}", services.join("|")),
            range,
            grouped,
            call_site,
        },
    )
}

fn incoming(n: u64, of: &Pushed) -> IncomingProfile {
    let samples: Vec<Stack<'_>> = of.samples.iter().map(|(s, v)| (&s[..], *v)).collect();
    let mut profile = pprof(of.time, &samples);
    let mut pairs = vec![("service_name", of.service)];
    if of.kind == Kind::Cpu {
        pairs.push(("__name__", "process_cpu"));
    } else {
        pairs.push(("__name__", "memory"));
        let texts = ["", "alloc_space", "bytes", "inuse_space", "space"];
        profile.string_table.splice(..5, texts.map(String::from));
        profile.sample_type[1].unit = 2;
        profile.period_type.as_mut().unwrap().r#type = 4;
        profile.period_type.as_mut().unwrap().unit = 2;
    }
    match of.kind {
        Kind::OtherHeap => profile.sample_type.swap(0, 1),
        Kind::Delta => pairs.push(("__delta__", "false")),
        Kind::Cpu | Kind::Heap => {}
    }
    IncomingProfile {
        labels: Labels::new(pairs).unwrap(),
        ..fixture::incoming(of.service, n, &profile)
    }
}

fn write(opened: &Opened, root: &Path, n: u128, range: TimeRange) -> Option<Block> {
    match opened.database.write_block(range, root, description(n)) {
        Ok(meta) => Some(open_block(root, &meta)),
        Err(BlockError::Refused { .. }) => None,
        Err(error) => panic!("{error}"),
    }
}

fn open_block(root: &Path, meta: &Meta) -> Block {
    let files = Directory::new(root.join(meta.id()));
    let block = Block::open(meta.id(), files, Limits::default()).unwrap();
    assert_eq!(block.meta(), meta);
    block.verify().unwrap();
    block
}

/// What of an answer does not depend on its order: group, time, total and base of
/// each profile.
type Named = BTreeMap<[u8; 16], (Vec<String>, i64, i64, Option<[u8; 16]>)>;

/// What stacks sum up to.
type Sums = BTreeMap<Vec<String>, i64>;

type Answer = (Named, BTreeSet<(u64, Vec<u8>, i64)>, Vec<u8>, Sums);

fn answer(
    query: &Query,
    select: impl Fn(&SelectRequest) -> SelectResponse,
    merge: impl Fn(&MergeRequest) -> MergeResponse,
) -> Answer {
    let group_by = query.grouped.then(|| "service_name".to_owned());
    let request = SelectRequest {
        start: query.range.0,
        end: query.range.1,
        group_by: group_by.into_iter().collect(),
        call_site: query.call_site.iter().map(ToString::to_string).collect(),
        ..fixture::request(query.profile_type, &query.selector)
    };
    let response = select(&request);
    let bases = bases(&response);
    let named: Named = keys(&response)
        .into_iter()
        .enumerate()
        .map(|(at, key)| {
            let group = &response.series[response.series_index[at] as usize];
            let (time, total) = (response.timestamps[at], response.totals[at]);
            (key, (group.values.clone(), time, total, bases[at]))
        })
        .collect();
    assert_eq!(
        named.len(),
        response.timestamps.len(),
        "a profile is there twice"
    );
    let runs = response.runs.iter();
    let runs = runs.map(|run| (run.series, run.base.to_vec(), run.base_timestamp));
    let known = keys(&response).into_iter().zip(bases);
    let known = known.filter_map(|(key, base)| Some((key, base?)));
    let (keys, bases): (Vec<_>, Vec<_>) = known
        .map(|(key, base)| (key, if base == key { [0; 16] } else { base }))
        .unzip();
    let merged = |format: MergeFormat| {
        let response = merge(&MergeRequest {
            select: Some(request.clone()),
            // One that nobody has.
            keys: [&keys.concat()[..], &id(u64::MAX)].concat().into(),
            bases: [&bases.concat()[..], &[0; 16]].concat().into(),
            format: format.into(),
        });
        assert_eq!(response.missing, id(u64::MAX).to_vec());
        response.data
    };
    let tree = merged(MergeFormat::Tree).to_vec();
    let pprof = Profile::decode(merged(MergeFormat::Pprof)).unwrap();
    (named, runs.collect(), tree, sums(&pprof))
}

fn sums(profile: &Profile) -> Sums {
    let name = |id: &u64| {
        let location = &profile.location[*id as usize - 1];
        let function = &profile.function[location.line[0].function_id as usize - 1];
        profile.string_table[function.name as usize].clone()
    };
    let samples = profile.sample.iter();
    let samples = samples.map(|it| (it.location_id.iter().map(name).collect(), it.value[0]));
    let sums: Sums = samples.collect();
    assert_eq!(sums.len(), profile.sample.len(), "a stack is there twice");
    sums
}

fn of_head(opened: &Opened, query: &Query) -> Answer {
    let database = &opened.database;
    answer(
        query,
        |request| database.select(TENANT, request).unwrap(),
        |request| database.merge(TENANT, request).unwrap(),
    )
}

fn of_block(block: &Block, query: &Query) -> Answer {
    answer(
        query,
        |request| block.select(request).unwrap(),
        |request| block.merge(request).unwrap(),
    )
}

fn everything() -> Vec<Query> {
    let query = |profile_type| Query {
        profile_type,
        selector: "{}".to_owned(),
        range: (i64::MIN, i64::MAX),
        grouped: true,
        call_site: Vec::new(),
    };
    TYPES.map(query).into()
}

/// A database that holds some of the profiles.
fn replica(runtime: &tokio::runtime::Runtime, root: &Path, of: &[(u64, &Pushed)]) -> Opened {
    let opened = open(root);
    let of = of.iter().map(|(n, pushed)| incoming(*n, pushed)).collect();
    runtime.block_on(push(&opened.database, of)).unwrap();
    opened
}

/// `PROPTEST_CASES` wins, so that `make soak` can run more.
fn config() -> ProptestConfig {
    let mut config = ProptestConfig::default();
    if std::env::var_os("PROPTEST_CASES").is_none() {
        config.cases = 16;
    }
    config
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_block_answers_as_the_head_does(
        profiles in prop::collection::vec(pushed(), 1..12),
        queries in prop::collection::vec(query(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let temp = tempfile::tempdir().unwrap();
        let numbered: Vec<_> = (0..).zip(&profiles).collect();
        let opened = replica(&runtime, &temp.path().join("head"), &numbered);
        let block = write(&opened, temp.path(), 1, TimeRange::ALL).unwrap();
        prop_assert_eq!(block.meta().statistics.profiles, profiles.len() as u64);
        for query in queries.iter().chain(&everything()) {
            prop_assert_eq!(of_block(&block, query), of_head(&opened, query));
        }
        runtime.block_on(opened.database.shutdown());
    }

    /// Whatever replicas hold, and however often blocks are merged; and the bytes
    /// tell nothing of the way.
    #[test]
    fn merged_blocks_have_each_profile_once(
        profiles in prop::collection::vec((pushed(), any::<[bool; 3]>()), 1..12),
        queries in prop::collection::vec(query(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let temp = tempfile::tempdir().unwrap();
        let root = |name: &str| temp.path().join(name);
        let mut blocks = Vec::new();
        for replica_of in 0..3 {
            let held = (0..).zip(&profiles);
            // Each profile is in the first at least.
            let held = held.filter(|(_, (_, at))| at[replica_of] || replica_of == 0);
            let mut held: Vec<_> = held.map(|(n, (pushed, _))| (n, pushed)).collect();
            if replica_of == 1 {
                held.reverse();
            }
            let opened = replica(&runtime, &root(&format!("head-{replica_of}")), &held);
            blocks.extend(write(&opened, &root("blocks"), replica_of as u128, TimeRange::ALL));
            runtime.block_on(opened.database.shutdown());
        }
        let all: Vec<_> = (0..).zip(&profiles).map(|(n, (pushed, _))| (n, pushed)).collect();
        let opened = replica(&runtime, &root("head"), &all);
        let direct = write(&opened, &root("direct"), 9, TimeRange::ALL).unwrap();

        let first = block::merge(root("blocks"), description(4), &blocks).unwrap();
        let first = open_block(&root("blocks"), &first);
        blocks.push(first);
        blocks.reverse();
        // Those that were merged, and what was merged of them.
        let merged = block::merge(root("merged"), description(9), &blocks).unwrap();
        let merged = open_block(&root("merged"), &merged);
        prop_assert_eq!(merged.meta(), direct.meta());
        for query in queries.iter().chain(&everything()) {
            prop_assert_eq!(of_block(&merged, query), of_head(&opened, query));
        }
        runtime.block_on(opened.database.shutdown());
    }

    /// Blocks of spans of time, which is how an ingester writes them.
    #[test]
    fn spans_of_time_add_up(
        profiles in prop::collection::vec(pushed(), 1..12),
        cut in 0..20_i64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let temp = tempfile::tempdir().unwrap();
        let numbered: Vec<_> = (0..).zip(&profiles).collect();
        let opened = replica(&runtime, &temp.path().join("head"), &numbered);
        let ranges = [(i64::MIN, cut - 1), (cut, i64::MAX)];
        let ranges = ranges.map(|(start, end)| TimeRange { start, end });
        let blocks = ranges.iter().zip(0..);
        let blocks = blocks.filter_map(|(range, n)| write(&opened, temp.path(), n, *range));
        let blocks: Vec<Block> = blocks.collect();
        let merged = block::merge(temp.path(), description(9), &blocks).unwrap();
        let merged = open_block(temp.path(), &merged);
        for query in everything() {
            prop_assert_eq!(of_block(&merged, &query), of_head(&opened, &query));
        }
        runtime.block_on(opened.database.shutdown());
    }
}

#[tokio::test]
async fn a_tree_of_a_block_has_the_names_of_its_functions() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(&temp.path().join("head"));
    let pushed = Pushed {
        service: "a",
        time: 1,
        kind: Kind::Cpu,
        samples: vec![(vec!["main", "work"], [1, 10]), (vec!["main"], [2, 20])],
    };
    push(&opened.database, vec![incoming(1, &pushed)])
        .await
        .unwrap();
    let block = write(&opened, temp.path(), 1, TimeRange::ALL).unwrap();
    let (named, _, tree, _) = of_block(&block, &everything()[0]);
    assert_eq!(named[&id(1)], (vec!["a".to_owned()], 1, 30, Some(id(1))));
    let mut want = Tree::default();
    want.insert(["main", "work"], 10);
    want.insert(["main"], 20);
    assert_eq!(tree, want.encode());
}

#[tokio::test]
async fn series_are_listed_where_they_have_profiles() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(&temp.path().join("head"));
    let pushed = |service, time, kind| Pushed {
        service,
        time,
        kind,
        samples: vec![(vec!["main"], [1, 10])],
    };
    let all = [
        pushed("a", 1, Kind::Cpu),
        pushed("a", 5, Kind::Cpu),
        pushed("b", 3, Kind::Delta),
    ];
    let profiles = (0..).zip(&all).map(|(n, of)| incoming(n, of)).collect();
    push(&opened.database, profiles).await.unwrap();
    let block = write(&opened, temp.path(), 1, TimeRange::ALL).unwrap();
    for (start, end) in [(i64::MIN, i64::MAX), (5, 5), (3, 3), (6, 9), (i64::MIN, 0)] {
        let range = TimeRange { start, end };
        let listed: BTreeSet<Labels> = block.series(range).map(|(of, _)| of.clone()).collect();
        let mut want: BTreeSet<Labels> = opened
            .database
            .series(TENANT, &[], range)
            .into_iter()
            .collect();
        if start == 3 {
            // It has profiles before and after.
            want.extend(
                opened
                    .database
                    .series(TENANT, &[], TimeRange { start: 1, end: 1 }),
            );
        }
        assert_eq!(listed, want, "{range:?}");
    }
}
