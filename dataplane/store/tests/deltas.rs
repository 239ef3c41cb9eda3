//! Counters that a profiler never resets are read as what they grew by.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeMap;

use fixture::{Opened, TENANT, bases, cases, id, keys, merge, open, pprof, push, raw, request};
use profile::{Labels, Profile, Tree};
use proptest::prelude::*;
use proto::reader::v1::{MergeFormat, MergeRequest, SelectRequest, SelectResponse};
use pyroscope_store::{IncomingProfile, QueryError, TimeRange};

/// The profiler counts it from the start of the process.
const GROWING: &str = "memory:alloc_space:bytes:space:bytes";
/// What there is at the moment.
const CURRENT: &str = "memory:inuse_space:bytes:space:bytes";

const STACKS: [&[&str]; 3] = [&["main"], &["main", "read"], &["main", "write"]];

/// Both counters of each stack at a time; `n` names the profile.
#[derive(Clone, Debug)]
struct Heap {
    n: u64,
    time: i64,
    counters: [i64; STACKS.len()],
}

fn heap(of: &Heap) -> Profile {
    let stacks = STACKS.iter().zip(of.counters);
    let samples: Vec<_> = stacks
        .map(|(stack, value)| (*stack, [value, value]))
        .collect();
    let mut profile = pprof(of.time, &samples);
    let texts = ["", "alloc_space", "bytes", "inuse_space", "space"];
    profile.string_table.splice(..5, texts.map(String::from));
    profile.sample_type[1].unit = 2;
    profile.period_type.as_mut().unwrap().r#type = 4;
    profile.period_type.as_mut().unwrap().unit = 2;
    profile
}

fn incoming(of: &Heap, labels: &[(&str, &str)]) -> IncomingProfile {
    let own = [("__name__", "memory"), ("service_name", "app")];
    IncomingProfile {
        labels: Labels::new(own.into_iter().chain(labels.iter().copied())).unwrap(),
        id: id(of.n),
        raw: raw(&heap(of)),
        view: None,
        digest: None,
    }
}

/// A profile within a range: its growth per stack since which other one, if it has
/// one before it.
struct Grown {
    n: u64,
    since: Option<(u64, [i64; STACKS.len()])>,
}

impl Grown {
    fn values(&self) -> [i64; STACKS.len()] {
        self.since.map_or([0; STACKS.len()], |(_, values)| values)
    }
}

/// What is within a range, by time and identity.
fn model(stored: &BTreeMap<u64, Heap>, range: TimeRange) -> Vec<Grown> {
    let mut by_time: Vec<&Heap> = stored.values().collect();
    by_time.sort_by_key(|heap| (heap.time, id(heap.n)));
    let before = std::iter::once(None).chain(by_time.iter().map(Some));
    let grown = by_time.iter().zip(before).map(|(heap, before)| Grown {
        n: heap.n,
        since: before.map(|before| {
            let mut grown = heap.counters;
            for (value, before) in grown.iter_mut().zip(before.counters) {
                if *value >= before {
                    *value -= before;
                }
            }
            (before.n, grown)
        }),
    });
    let within = |heap: &Heap| (range.start..=range.end).contains(&heap.time);
    let grown = by_time.iter().zip(grown);
    let grown = grown.filter_map(|(heap, grown)| within(heap).then_some(grown));
    grown.collect()
}

fn tree(grown: &[Grown]) -> Tree {
    let mut tree = Tree::default();
    for grown in grown {
        for (stack, value) in STACKS.iter().zip(grown.values()) {
            tree.insert(stack.iter().copied(), value);
        }
    }
    tree
}

fn check(opened: &Opened, stored: &BTreeMap<u64, Heap>, range: TimeRange) {
    let select = SelectRequest {
        start: range.start,
        end: range.end,
        ..request(GROWING, "{}")
    };
    let want = model(stored, range);
    let response = opened.database.select(TENANT, &select).unwrap();
    let ids: Vec<[u8; 16]> = want.iter().map(|grown| id(grown.n)).collect();
    let totals: Vec<i64> = want.iter().map(|it| it.values().iter().sum()).collect();
    assert_eq!(keys(&response), ids);
    assert_eq!(response.totals, totals);
    let since = want.iter().map(|grown| Some(id(grown.since?.0)));
    assert_eq!(bases(&response), since.collect::<Vec<_>>());
    let below = SelectRequest {
        call_site: vec!["main".to_owned(), "read".to_owned()],
        ..select.clone()
    };
    let response = opened.database.select(TENANT, &below).unwrap();
    let read: Vec<i64> = want.iter().map(|grown| grown.values()[1]).collect();
    assert_eq!(response.totals, read);
    let merged = merge(&opened.database, TENANT, select, MergeFormat::Tree);
    assert_eq!(merged, tree(&want).encode());
}

fn heaps() -> impl Strategy<Value = Vec<Heap>> {
    let counters = prop::array::uniform3(0..4_i64);
    let heap = (0..8_i64, counters).prop_map(|(time, counters)| (time, counters));
    prop::collection::vec(heap, 1..8).prop_map(|heaps| {
        let numbered = (0..).zip(heaps);
        let heap = |(n, (time, counters))| Heap { n, time, counters };
        numbered.map(heap).collect()
    })
}

proptest! {
    #![proptest_config(cases(40))]

    /// Whatever the order, with duplicates, resets and bases that come late or
    /// never, and the same after a restart.
    #[test]
    fn growth_does_not_depend_on_arrival(
        heaps in heaps(),
        arrivals in prop::collection::vec(any::<prop::sample::Index>(), 1..12),
        start in 0..8_i64,
        end in 0..8_i64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let temp = tempfile::tempdir().unwrap();
        let opened = open(temp.path());
        let mut stored = BTreeMap::new();
        for arrival in arrivals {
            let heap = arrival.get(&heaps);
            stored.insert(heap.n, heap.clone());
            runtime.block_on(push(&opened.database, vec![incoming(heap, &[])])).unwrap();
            check(&opened, &stored, TimeRange::ALL);
        }
        check(&opened, &stored, TimeRange { start, end });
        runtime.block_on(opened.database.shutdown());
        drop(opened);
        let opened = open(temp.path());
        check(&opened, &stored, TimeRange::ALL);
        check(&opened, &stored, TimeRange { start, end });
    }
}

fn some() -> [Heap; 2] {
    [[10, 0, 5], [12, 3, 5]].map(|counters| Heap {
        n: counters[0] as u64,
        time: counters[0],
        counters,
    })
}

#[tokio::test]
async fn what_is_current_is_read_as_it_is() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let profiles = some().iter().map(|heap| incoming(heap, &[])).collect();
    push(&opened.database, profiles).await.unwrap();
    let response = opened
        .database
        .select(TENANT, &request(CURRENT, "{}"))
        .unwrap();
    assert_eq!(response.totals, [15, 20]);
    let response = opened
        .database
        .select(TENANT, &request(GROWING, "{}"))
        .unwrap();
    assert_eq!(response.totals, [0, 5], "of the first it is not known");
}

/// Another holder may know a profile in between, or only the one before.
#[tokio::test]
async fn growth_can_be_asked_for_since_any_profile() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let heap = |n: u64, counters| Heap {
        n,
        time: n as i64,
        counters,
    };
    let heaps = [heap(1, [4, 0, 9]), heap(2, [6, 1, 9]), heap(3, [7, 3, 2])];
    let profiles = heaps.iter().map(|heap| incoming(heap, &[])).collect();
    push(&opened.database, profiles).await.unwrap();
    let mut asked = MergeRequest {
        select: Some(SelectRequest {
            start: 3,
            ..request(GROWING, "{}")
        }),
        keys: id(3).to_vec().into(),
        ..MergeRequest::default()
    };
    for (base, want) in [
        (Some(id(2)), Some([1, 2, 2])),
        (Some(id(1)), Some([3, 3, 2])),
        (Some([0; 16]), Some([7, 3, 2])),
        (None, Some([7, 3, 2])),
        (Some(id(4)), None),
    ] {
        asked.bases = base.iter().flatten().copied().collect();
        let response = opened.database.merge(TENANT, &asked).unwrap();
        let is_missing = response.missing == asked.keys;
        let since = want.map(|values| Grown {
            n: 3,
            since: Some((0, values)),
        });
        assert_eq!(response.data, tree(since.as_slice()).encode(), "{base:?}");
        assert_eq!(is_missing, want.is_none());
    }
    asked.bases = vec![0; 32].into();
    assert!(matches!(
        opened.database.merge(TENANT, &asked),
        Err(QueryError::Bases {
            bases: 32,
            keys: 16
        })
    ));
}

/// So that a querier does not take one before it for the last.
#[tokio::test]
async fn a_series_says_what_is_before_a_range_in_which_it_has_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let profiles = some().iter().map(|heap| incoming(heap, &[])).collect();
    push(&opened.database, profiles).await.unwrap();
    let select = |profile_type| SelectRequest {
        start: 50,
        ..request(profile_type, "{}")
    };
    let response = opened.database.select(TENANT, &select(GROWING)).unwrap();
    let [run] = &*response.runs else {
        panic!("{response:?}")
    };
    assert_eq!((&*run.base, run.count), (&id(12)[..], 0));
    assert_eq!(run.base_timestamp, 12);
    let response = opened.database.select(TENANT, &select(CURRENT)).unwrap();
    assert_eq!(response, SelectResponse::default());
}

#[tokio::test]
async fn the_client_may_compute_growth_itself() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let label = [("__delta__", "false")];
    let profiles = some().iter().map(|heap| incoming(heap, &label)).collect();
    push(&opened.database, profiles).await.unwrap();
    let response = opened
        .database
        .select(TENANT, &request(GROWING, "{}"))
        .unwrap();
    assert_eq!(response.totals, [15, 20]);
    let names = opened.database.label_names(TENANT, &[], TimeRange::ALL);
    assert!(!names.contains(&"__delta__".to_owned()), "{names:?}");
}

#[tokio::test]
async fn a_base_alone_is_no_profile() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let [first, second] = some();
    push(&opened.database, vec![incoming(&first, &[])])
        .await
        .unwrap();
    let types = |opened: &Opened| {
        let types = opened.database.profile_types(TENANT, TimeRange::ALL);
        types.iter().map(|of| of.id()).collect::<Vec<_>>()
    };
    assert_eq!(types(&opened), [CURRENT]);
    push(&opened.database, vec![incoming(&second, &[])])
        .await
        .unwrap();
    assert_eq!(types(&opened), [GROWING, CURRENT]);
}
