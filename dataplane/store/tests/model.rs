//! The database against a model that keeps every profile as a list.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::collections::BTreeMap;

use fixture::{CPU, Opened, Stack, TENANT, cases, id, incoming, keys, open, pprof, push, request};
use profile::Tree;
use proptest::prelude::*;
use proto::reader::v1::{MergeFormat, MergeRequest, SelectRequest};

const SERVICES: [&str; 3] = ["a", "b", "c"];
const FUNCTIONS: [&str; 4] = ["main", "work", "read", "write"];

/// A push of one profile; the same identity always comes with the same rest.
#[derive(Clone, Debug)]
struct Pushed {
    service: &'static str,
    time: i64,
    samples: Vec<(Vec<&'static str>, i64)>,
}

#[derive(Clone, Debug)]
struct Query {
    services: Vec<&'static str>,
    start: i64,
    end: i64,
    grouped: bool,
    call_site: Vec<&'static str>,
}

fn pushed() -> impl Strategy<Value = Pushed> {
    let stack = prop::collection::vec(prop::sample::select(&FUNCTIONS), 1..5);
    let samples = prop::collection::vec((stack, 1..100_i64), 0..6);
    (prop::sample::select(&SERVICES), 0..20_i64, samples).prop_map(|(service, time, samples)| {
        Pushed {
            service,
            time,
            samples,
        }
    })
}

fn query() -> impl Strategy<Value = Query> {
    let services = prop::sample::subsequence(&SERVICES, 1..=3);
    let call_site = prop::collection::vec(prop::sample::select(&FUNCTIONS), 0..3);
    (services, 0..20_i64, 0..20_i64, any::<bool>(), call_site).prop_map(
        |(services, start, end, grouped, call_site)| Query {
            services,
            start,
            end,
            grouped,
            call_site,
        },
    )
}

impl Query {
    fn request(&self) -> SelectRequest {
        let selector = format!("{{service_name=~\"{}\"}}", self.services.join("|"));
        SelectRequest {
            start: self.start,
            end: self.end,
            group_by: self
                .grouped
                .then(|| "service_name".to_owned())
                .into_iter()
                .collect(),
            call_site: self.call_site.iter().map(ToString::to_string).collect(),
            ..request(CPU, &selector)
        }
    }

    fn selects(&self, pushed: &Pushed) -> bool {
        self.services.contains(&pushed.service) && (self.start..=self.end).contains(&pushed.time)
    }

    fn samples<'a>(
        &self,
        pushed: &'a Pushed,
    ) -> impl Iterator<Item = &'a (Vec<&'static str>, i64)> {
        let samples = pushed.samples.iter();
        samples.filter(|(stack, _)| stack.starts_with(&self.call_site))
    }
}

/// Group, time and total of each profile by identity.
type Answer = BTreeMap<[u8; 16], (String, i64, i64)>;

fn model_answer(stored: &BTreeMap<u64, &Pushed>, query: &Query) -> (Answer, Tree) {
    let mut tree = Tree::default();
    let selected = stored.iter().filter(|(_, pushed)| query.selects(pushed));
    let answer = selected.map(|(n, pushed)| {
        let mut total = 0;
        for (stack, value) in query.samples(pushed) {
            tree.insert(stack.iter().copied(), *value);
            total += value;
        }
        let group = if query.grouped { pushed.service } else { "" };
        (id(*n), (group.to_owned(), pushed.time, total))
    });
    (answer.collect(), tree)
}

fn database_answer(opened: &Opened, query: &Query) -> (Answer, Tree) {
    let select = query.request();
    let response = opened.database.select(TENANT, &select).unwrap();
    let answer = keys(&response).into_iter().enumerate().map(|(i, key)| {
        let group = &response.series[response.series_index[i] as usize];
        (
            key,
            (
                group.values.concat(),
                response.timestamps[i],
                response.totals[i],
            ),
        )
    });
    let answer = answer.collect();
    let request = MergeRequest {
        select: Some(select),
        keys: response.keys.clone(),
        format: MergeFormat::Tree.into(),
        ..MergeRequest::default()
    };
    let merged = opened.database.merge(TENANT, &request).unwrap();
    assert!(merged.missing.is_empty());
    (answer, Tree::decode(&merged.data, 1 << 20).unwrap())
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn the_head_answers_as_the_model_does_before_and_after_replay(
        profiles in prop::collection::vec(pushed(), 1..8),
        pushes in prop::collection::vec(prop::collection::vec(0..8_usize, 1..4), 1..8),
        queries in prop::collection::vec(query(), 1..6),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let temp = tempfile::tempdir().unwrap();
        let opened = open(temp.path());
        let mut stored = BTreeMap::new();
        for indexes in &pushes {
            let numbered = indexes.iter().map(|index| index % profiles.len());
            let batch = numbered.map(|n| {
                stored.insert(n as u64, &profiles[n]);
                let Pushed { service, time, samples } = &profiles[n];
                let stacks: Vec<Stack<'_>> =
                    samples.iter().map(|(stack, value)| (&stack[..], [1, *value])).collect();
                incoming(service, n as u64, &pprof(*time, &stacks))
            });
            let batch = batch.collect();
            runtime.block_on(push(&opened.database, batch)).unwrap();
        }
        let bytes = opened.database.head_bytes();
        let answers: Vec<_> = queries.iter().map(|query| model_answer(&stored, query)).collect();
        for (query, (answer, tree)) in queries.iter().zip(&answers) {
            let (got, got_tree) = database_answer(&opened, query);
            prop_assert_eq!(&got, answer);
            prop_assert_eq!(got_tree.encode(), tree.encode());
        }
        runtime.block_on(opened.database.shutdown());
        drop(opened);

        let opened = open(temp.path());
        prop_assert_eq!(opened.report.profiles, stored.len() as u64);
        prop_assert_eq!(opened.database.head_bytes(), bytes);
        for (query, (answer, tree)) in queries.iter().zip(&answers) {
            let (got, got_tree) = database_answer(&opened, query);
            prop_assert_eq!(&got, answer);
            prop_assert_eq!(got_tree.encode(), tree.encode());
        }
    }
}
