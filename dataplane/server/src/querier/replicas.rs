//! Queries of three replicas that each lack something, held against a model: real
//! stores, and all of the querier but its calls.

use std::collections::{BTreeMap, BTreeSet};

use profile::{Labels, Profile, Tree};
use prometheus_client::registry::Registry;
use prost::Message as _;
use proto::{
    google::v1::{Function, Line, Location, Sample, ValueType},
    reader::v1::{MergeFormat, MergeRequest, SelectRequest, SelectResponse},
    types::v1::TimeSeriesAggregationType,
};
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use store::{Database, IncomingProfile, Options, PushLimits};

use super::{
    assign::{Assignment, keys},
    growth::{Bases, Named},
    series::SeriesBuilder,
};

const TENANT: &str = "anonymous";
const ALLOCATED: &str = "memory:alloc_space:bytes:space:bytes";
const FUNCTIONS: [&str; 3] = ["parse", "render", "send"];
const PODS: [&str; 2] = ["a", "b"];

type Counters = [i64; FUNCTIONS.len()];

/// A profile and the replicas that have it.
#[derive(Clone, Debug)]
struct Stored {
    pod: usize,
    time: i64,
    id: [u8; 16],
    counters: Counters,
    replicas: BTreeSet<usize>,
}

impl Stored {
    fn is_acknowledged(&self) -> bool {
        self.replicas.len() >= 2
    }
}

/// Profiles of which most were acknowledged: at least two of three replicas have
/// them. Counters grow, rest and begin anew.
fn random_profiles(random: &mut StdRng) -> Vec<Stored> {
    let mut counters = [[0; FUNCTIONS.len()]; PODS.len()];
    let count = random.random_range(1..9);
    let profiles = (0..count).map(|n| {
        let pod = random.random_range(0..PODS.len());
        match random.random_range(0..10) {
            0..6 => counters[pod]
                .iter_mut()
                .for_each(|counter| *counter += random.random_range(0..3)),
            6..8 => {}
            _ => counters[pod] = std::array::from_fn(|_| random.random_range(0..4)),
        }
        let mut replicas = BTreeSet::from([0, 1, 2]);
        if random.random_bool(0.6) {
            replicas.remove(&random.random_range(0..3));
        }
        if random.random_bool(0.15) {
            replicas = BTreeSet::from([random.random_range(0..3)]);
        }
        Stored {
            pod,
            time: 10 + n / 2,
            id: [random.random_range(1..=u8::MAX), n as u8]
                .repeat(8)
                .try_into()
                .unwrap(),
            counters: counters[pod],
            replicas,
        }
    });
    profiles.collect()
}

fn pprof(of: &Stored) -> Profile {
    let names = FUNCTIONS.iter().copied();
    let texts = ["", "alloc_space", "bytes", "space"]
        .into_iter()
        .chain(names);
    let numbers = 1..=FUNCTIONS.len() as u64;
    Profile {
        string_table: texts.map(str::to_owned).collect(),
        sample_type: vec![ValueType { r#type: 1, unit: 2 }],
        period_type: Some(ValueType { r#type: 3, unit: 2 }),
        time_nanos: of.time * 1_000_000,
        function: numbers
            .clone()
            .map(|id| Function {
                id,
                name: id as i64 + 3,
                ..Function::default()
            })
            .collect(),
        location: numbers
            .clone()
            .map(|id| Location {
                id,
                line: vec![Line {
                    function_id: id,
                    line: 1,
                }],
                ..Location::default()
            })
            .collect(),
        sample: numbers
            .zip(of.counters)
            .map(|(id, value)| Sample {
                location_id: vec![id],
                value: vec![value],
                label: Vec::new(),
            })
            .collect(),
        ..Profile::default()
    }
}

/// Three replicas, as far as they are there.
struct Replicas {
    databases: Vec<Database>,
    _dirs: Vec<tempfile::TempDir>,
}

impl Replicas {
    async fn with(profiles: &[Stored]) -> Self {
        let mut databases = Vec::new();
        let mut dirs = Vec::new();
        for replica in 0..3 {
            let dir = tempfile::tempdir().unwrap();
            let opened = Database::open(dir.path(), Options::default(), &mut Registry::default());
            let database = opened.unwrap().0;
            let held = profiles.iter().filter(|it| it.replicas.contains(&replica));
            let incoming = held.map(|of| IncomingProfile {
                labels: Labels::new([
                    ("__name__", "memory"),
                    ("service_name", "app"),
                    ("pod", PODS[of.pod]),
                ])
                .unwrap(),
                id: of.id,
                raw: pprof(of).encode_to_vec().into(),
                view: None,
                digest: None,
            });
            let incoming: Vec<_> = incoming.collect();
            let limits = PushLimits::default();
            database.push(TENANT, incoming, limits).await.unwrap();
            databases.push(database);
            dirs.push(dir);
        }
        Self {
            databases,
            _dirs: dirs,
        }
    }

    fn select(&self, asked: &[usize], select: &SelectRequest) -> Vec<SelectResponse> {
        let answer = |&replica: &usize| self.databases[replica].select(TENANT, select).unwrap();
        asked.iter().map(answer).collect()
    }

    /// Merges as the querier does. What asked for by `dead` fails: the replica
    /// ended after it had said what it has.
    fn merge(&self, asked: &[usize], select: &SelectRequest, dead: Option<usize>) -> Option<Tree> {
        let mut asked = asked.to_vec();
        let mut tree = Tree::default();
        let mut answers = self.select(&asked, select);
        let mut open = Assignment::new(&answers, &Bases::new(&answers));
        for _ in 0..2 {
            self.merge_all(&mut open, &asked, &answers, select, dead, &mut tree);
            if open.is_done() {
                return Some(tree);
            }
            asked.retain(|replica| Some(*replica) != dead);
            answers = self.select(&asked, select);
            open = open.look_again(Assignment::new(&answers, &Bases::new(&answers)));
        }
        None
    }

    fn merge_all(
        &self,
        open: &mut Assignment,
        asked: &[usize],
        answers: &[SelectResponse],
        select: &SelectRequest,
        dead: Option<usize>,
        tree: &mut Tree,
    ) {
        loop {
            let round = open.next_round();
            for (holder, given) in &round {
                if Some(asked[*holder]) == dead {
                    open.failed(*holder);
                    continue;
                }
                let request = MergeRequest {
                    select: Some(select.clone()),
                    keys: given.concat().into(),
                    bases: open.bases(given),
                    format: MergeFormat::Tree.into(),
                };
                let database = &self.databases[asked[*holder]];
                let answer = database.merge(TENANT, &request).unwrap();
                tree.merge(&Tree::decode(&answer.data, 100).unwrap());
                open.merged(*holder, given, &keys(&answer.missing).collect());
            }
            if !round.is_empty() {
                continue;
            }
            let apart = open.apart(answers);
            if apart.is_empty() {
                return;
            }
            for apart in apart {
                let of_dead = [apart.profile.1, apart.base.1].into_iter();
                if let Some(holder) = of_dead.clone().find(|it| Some(asked[*it]) == dead) {
                    open.failed(holder);
                    continue;
                }
                let grown = self.growth(asked, select, [apart.profile, apart.base]);
                tree.insert_profile(&grown, 0, &profile::CallSite::default());
                open.done(&apart.profile.0.key);
            }
        }
    }

    /// Growth of a profile since another one.
    fn growth(&self, asked: &[usize], select: &SelectRequest, of: [(Named, usize); 2]) -> Profile {
        let [profile, base] = of.map(|(named, holder)| {
            let request = MergeRequest {
                select: Some(SelectRequest {
                    start: named.timestamp,
                    end: named.timestamp,
                    ..select.clone()
                }),
                keys: named.key.to_vec().into(),
                format: MergeFormat::Pprof.into(),
                ..MergeRequest::default()
            };
            let database = &self.databases[asked[holder]];
            let answer = database.merge(TENANT, &request).unwrap();
            assert!(answer.missing.is_empty());
            Profile::decode(answer.data).unwrap()
        });
        profile::growth(&profile, &base)
    }

    /// The sum of a time series.
    fn sum(&self, asked: &[usize], select: &SelectRequest) -> i64 {
        let answers = self.select(asked, select);
        let bases = Bases::new(&answers);
        let mut series = SeriesBuilder::new(select.start, 3);
        answers.iter().for_each(|held| series.add(held, &bases));
        let open = Assignment::new(&answers, &bases).only(&series.open());
        let apart = open.apart(&answers);
        assert_eq!(apart.len(), open.remaining());
        for apart in apart {
            let grown = self.growth(asked, select, [apart.profile, apart.base]);
            let values = grown.sample.iter().flat_map(|sample| &sample.value);
            series.close(&apart.profile.0.key, values.sum());
        }
        let series = series.finish(TimeSeriesAggregationType::Sum, None);
        let points = series.iter().flat_map(|series| &series.points);
        points.map(|point| point.value as i64).sum()
    }
}

/// The growth within a range, each profile since the one before it of those that
/// any of the asked replicas has.
fn model(profiles: &[Stored], asked: &[usize], select: &SelectRequest) -> Counters {
    let mut series: BTreeMap<usize, Vec<&Stored>> = BTreeMap::new();
    for profile in profiles {
        if asked
            .iter()
            .any(|replica| profile.replicas.contains(replica))
        {
            series.entry(profile.pod).or_default().push(profile);
        }
    }
    let mut sums = Counters::default();
    for of_pod in series.values_mut() {
        of_pod.sort_by_key(|profile| (profile.time, profile.id));
        for pair in of_pod.windows(2) {
            if !(select.start..=select.end).contains(&pair[1].time) {
                continue;
            }
            let counters = pair[1].counters.into_iter().zip(pair[0].counters);
            for (sum, (now, before)) in sums.iter_mut().zip(counters) {
                *sum += if now >= before { now - before } else { now };
            }
        }
    }
    sums
}

fn tree(counters: Counters) -> Tree {
    let mut tree = Tree::default();
    for (function, value) in FUNCTIONS.iter().zip(counters) {
        tree.insert([*function], value);
    }
    tree
}

/// Runs of the property; more with `PROPTEST_CASES`, as all properties.
fn cases() -> u64 {
    let asked = std::env::var("PROPTEST_CASES").ok();
    asked.and_then(|cases| cases.parse().ok()).unwrap_or(30)
}

#[test]
fn growth_counts_once_whatever_replicas_lack() {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    for seed in 0..cases() {
        let mut random = StdRng::seed_from_u64(seed);
        let profiles = random_profiles(&mut random);
        let replicas = runtime.block_on(Replicas::with(&profiles));
        for asked in [&[0, 1, 2][..], &[0, 1], &[2, 0], &[1, 2]] {
            let start = random.random_range(9..14);
            let select = SelectRequest {
                profile_type: ALLOCATED.to_owned(),
                label_selector: "{}".to_owned(),
                start,
                end: random.random_range(start..=15),
                ..SelectRequest::default()
            };
            let want = model(&profiles, asked, &select);
            let context = || format!("seed {seed}, {asked:?} asked for {select:?}: {profiles:#?}");
            let merged = replicas.merge(asked, &select, None).unwrap();
            assert_eq!(merged.encode(), tree(want).encode(), "{}", context());
            let sum = replicas.sum(asked, &select);
            assert_eq!(sum, want.iter().sum::<i64>(), "{}", context());
            if asked.len() < 3 {
                continue;
            }
            // One fails after it has said what it has.
            let dead = random.random_range(0..3);
            match replicas.merge(asked, &select, Some(dead)) {
                Some(merged) => assert_eq!(merged.encode(), tree(want).encode(), "{}", context()),
                None => {
                    let mut alone = profiles.iter().filter(|it| !it.is_acknowledged());
                    assert!(alone.any(|it| it.replicas.contains(&dead)), "{}", context());
                }
            }
        }
    }
}
