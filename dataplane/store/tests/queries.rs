//! What reads answer, against values computed straight from the pprofs.

#![allow(clippy::unwrap_used)]

mod fixture;

use std::path::Path;

use bytes::Bytes;
use fixture::{
    CPU, Opened, SAMPLES, TENANT, id, incoming, keys, merge, open, pprof, push, request,
};
use profile::pprof::{Limits, View, total};
use profile::{CallSite, Labels, Profile, ProfileType, Selector, Tree};
use prost::Message as _;
use proto::reader::v1::{MergeFormat, MergeRequest, SelectRequest};
use pyroscope_store::{IncomingProfile, PushLimits, QueryError, TimeRange};

async fn services(directory: &Path) -> Opened {
    let opened = open(directory);
    let work = |at, value| pprof(at, &[(&["main", "work"], [value, value * 10])]);
    let mut profiles = vec![
        incoming("a", 1, &work(1000, 1)),
        incoming("a", 2, &work(2000, 2)),
        incoming("b", 3, &work(3000, 4)),
    ];
    let dotted = Labels::new([
        ("__name__", "process_cpu"),
        ("k8s.pod", "y"),
        ("service_name", "c"),
    ]);
    profiles.push(IncomingProfile {
        labels: dotted.unwrap(),
        ..incoming("c", 4, &work(4000, 8))
    });
    push(&opened.database, profiles).await.unwrap();
    opened
}

fn selectors(texts: &[&str]) -> Vec<Selector> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

#[tokio::test]
async fn labels_and_types_are_listed() {
    let temp = tempfile::tempdir().unwrap();
    let opened = services(temp.path()).await;
    let database = &opened.database;
    let types = database.profile_types(TENANT, TimeRange::ALL);
    assert_eq!(
        types.iter().map(ProfileType::id).collect::<Vec<_>>(),
        [CPU, SAMPLES]
    );
    assert_eq!(
        database.label_names(TENANT, &[], TimeRange::ALL),
        [
            "__name__",
            "__period_type__",
            "__period_unit__",
            "__profile_type__",
            "__service_name__",
            "__type__",
            "__unit__",
            "service_name"
        ]
    );
    let values = |name, matchers: &[&str], range| {
        database.label_values(TENANT, name, &selectors(matchers), range)
    };
    assert_eq!(values("service_name", &[], TimeRange::ALL), ["a", "b", "c"]);
    assert_eq!(
        values("service_name", &[r#"{"k8s.pod"="y"}"#], TimeRange::ALL),
        ["c"]
    );
    let either = [r#"{service_name="a"}"#, r#"{service_name="b"}"#];
    assert_eq!(values("service_name", &either, TimeRange::ALL), ["a", "b"]);
    assert_eq!(
        values("__profile_type__", &either, TimeRange::ALL),
        [CPU, SAMPLES]
    );
    let range = |start, end| TimeRange::of_request(start, end);
    assert_eq!(values("service_name", &[], range(2000, 3000)), ["a", "b"]);
    assert_eq!(values("service_name", &[], range(2001, 2999)), [""; 0]);
    assert_eq!(values("service_name", &[], range(0, 0)), ["a", "b", "c"]);
    assert_eq!(values("nothing", &[], TimeRange::ALL), [""; 0]);
}

#[tokio::test]
async fn series_are_one_per_type_whatever_their_labels_are_called() {
    let temp = tempfile::tempdir().unwrap();
    let opened = services(temp.path()).await;
    let series = opened.database.series(TENANT, &[], TimeRange::ALL);
    let named: Vec<_> = series
        .iter()
        .map(|labels| {
            (
                labels.get("service_name").unwrap(),
                labels.get("__type__").unwrap(),
            )
        })
        .collect();
    assert_eq!(
        named,
        [
            ("a", "cpu"),
            ("b", "cpu"),
            ("c", "cpu"),
            ("a", "samples"),
            ("b", "samples"),
            ("c", "samples")
        ]
    );
    let stats = opened.database.stats(TENANT);
    assert_eq!((stats.series, stats.profiles), (6, 4));
    assert_eq!((stats.oldest, stats.newest), (Some(1000), Some(4000)));
    assert_eq!(opened.database.tenants(), [TENANT]);
}

#[tokio::test]
async fn other_tenants_see_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let opened = services(temp.path()).await;
    let database = &opened.database;
    assert!(database.series("other", &[], TimeRange::ALL).is_empty());
    assert!(
        database
            .select("other", &request(CPU, "{}"))
            .unwrap()
            .keys
            .is_empty()
    );
    let merged = merge(database, "other", request(CPU, "{}"), MergeFormat::Tree);
    assert!(Tree::decode(&merged, 10).unwrap().is_empty());
    assert_eq!(database.stats("other"), Default::default());
}

#[tokio::test]
async fn a_selection_names_profiles_by_group() {
    let temp = tempfile::tempdir().unwrap();
    let opened = services(temp.path()).await;
    let database = &opened.database;
    let grouped = SelectRequest {
        group_by: vec!["service_name".to_owned()],
        end: 3000,
        ..request(CPU, r#"{__name__="process_cpu"}"#)
    };
    let response = database.select(TENANT, &grouped).unwrap();
    let names: Vec<&str> = response
        .series_index
        .iter()
        .map(|index| response.series[*index as usize].values[0].as_str())
        .collect();
    assert_eq!(names, ["a", "a", "b"]);
    assert_eq!(keys(&response), [id(1), id(2), id(3)]);
    assert_eq!(response.timestamps, [1000, 2000, 3000]);
    assert_eq!(response.totals, [10, 20, 40]);

    let below = |site: &[&str]| {
        let call_site = site.iter().map(ToString::to_string).collect();
        database
            .select(
                TENANT,
                &SelectRequest {
                    call_site,
                    ..grouped.clone()
                },
            )
            .unwrap()
            .totals
    };
    assert_eq!(below(&["main", "work"]), [10, 20, 40]);
    assert_eq!(below(&["work"]), [0, 0, 0]);

    let delta = request(&format!("{SAMPLES}:delta"), "{}");
    let response = database.select(TENANT, &delta).unwrap();
    assert_eq!(response.totals, [1, 2, 4, 8]);
    assert_eq!(response.series.len(), 1, "no grouping is one group");
    assert!(response.series[0].names.is_empty());
}

#[tokio::test]
async fn a_merge_takes_what_is_asked_and_names_what_is_missing() {
    let temp = tempfile::tempdir().unwrap();
    let opened = services(temp.path()).await;
    let asked = [id(2), id(3), id(77), id(2), id(77)].concat();
    let mut request = MergeRequest {
        select: Some(request(CPU, r#"{service_name="a"}"#)),
        keys: asked.into(),
        format: MergeFormat::Tree.into(),
        ..MergeRequest::default()
    };
    let response = opened.database.merge(TENANT, &request).unwrap();
    let mut expected = Tree::default();
    expected.insert(["main", "work"], 20);
    assert_eq!(response.data, expected.encode());
    // What the selection does not match is as good as not there.
    assert_eq!(response.missing, [id(3), id(77)].concat());

    request.keys = Bytes::from_static(b"short");
    assert!(matches!(
        opened.database.merge(TENANT, &request),
        Err(QueryError::Keys(5))
    ));
    request.format = 9;
    assert!(matches!(
        opened.database.merge(TENANT, &request),
        Err(QueryError::Format(9))
    ));
    request.select = None;
    assert!(matches!(
        opened.database.merge(TENANT, &request),
        Err(QueryError::ProfileType(_))
    ));
    let bad = fixture::request(CPU, "{a=~\"(\"}");
    assert!(matches!(
        opened.database.select(TENANT, &bad),
        Err(QueryError::Selector(_))
    ));
}

/// What a selection names can be merged at once, whatever is pushed meanwhile.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_are_consistent_while_profiles_are_pushed() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let database = opened.database.clone();
    let reader = tokio::task::spawn_blocking(move || {
        let mut seen = 0;
        while seen < 300 {
            let select = request(CPU, "{}");
            let response = database.select(TENANT, &select).unwrap();
            assert!(response.totals.len() >= seen, "a profile has gone");
            seen = response.totals.len();
            let request = MergeRequest {
                select: Some(select),
                keys: response.keys,
                format: MergeFormat::Tree.into(),
                ..MergeRequest::default()
            };
            let merged = database.merge(TENANT, &request).unwrap();
            assert!(merged.missing.is_empty());
            let tree = Tree::decode(&merged.data, 1 << 20).unwrap();
            assert_eq!(tree.total(), response.totals.iter().sum::<i64>());
        }
    });
    for n in 0..100 {
        let profiles = (3 * n..3 * n + 3).map(|n| {
            let name = format!("f{n}");
            incoming(
                "app",
                n,
                &pprof(1000, &[(&["main", &name], [1, n as i64 + 1])]),
            )
        });
        push(&opened.database, profiles.collect()).await.unwrap();
    }
    reader.await.unwrap();
}

/// Profiles that the Go runtime wrote, compared with themselves.
#[tokio::test]
async fn real_profiles_come_back_whole() {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profile/tests/corpus");
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let mut raws = Vec::new();
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "gz") {
            raws.push(Bytes::from(std::fs::read(path).unwrap()));
        }
    }
    assert!(raws.len() > 5);
    let profiles: Vec<Profile> = raws
        .iter()
        .map(|raw| {
            let mut view = View::default();
            view.decode(raw, 1 << 26).unwrap();
            view.normalise(&Limits::default());
            view.to_profile()
        })
        .collect();
    let name = |n: usize| format!("metric{n}");
    let incoming = raws.iter().enumerate().map(|(n, raw)| IncomingProfile {
        labels: Labels::new([("__name__", name(n)), ("service_name", "go".to_owned())]).unwrap(),
        id: id(n as u64),
        raw: raw.clone(),
        view: None,
        digest: None,
    });
    let limits = PushLimits::default();
    opened
        .database
        .push(TENANT, incoming.collect(), limits)
        .await
        .unwrap();
    opened.database.shutdown().await;

    for opened in [&opened, &open(temp.path())] {
        for (n, profile) in profiles.iter().enumerate() {
            for (column, of) in ProfileType::of_columns(&name(n), profile)
                .iter()
                .enumerate()
            {
                compare(opened, profile, column, of);
            }
        }
    }
}

fn compare(opened: &Opened, profile: &Profile, column: usize, of: &ProfileType) {
    let select = request(&of.id(), "{}");
    let response = opened.database.select(TENANT, &select).unwrap();
    assert_eq!(
        response.totals,
        [total(profile, column, &CallSite::default())],
        "{of}"
    );

    let mut expected = Tree::default();
    expected.insert_profile(profile, column, &CallSite::default());
    let tree = merge(&opened.database, TENANT, select.clone(), MergeFormat::Tree);
    assert_eq!(tree, expected.encode(), "{of}");

    let merged = merge(&opened.database, TENANT, select.clone(), MergeFormat::Pprof);
    let merged = Profile::decode(merged).unwrap();
    assert_eq!(of.column_in(&merged), Some(0), "{of}");
    assert_eq!(
        full_stacks(&merged, 0),
        full_stacks(profile, column),
        "{of}"
    );

    let Some(site) = expected
        .top(1)
        .first()
        .map(|top| CallSite::new([&top.function]))
    else {
        return;
    };
    let below = SelectRequest {
        call_site: site.names().to_vec(),
        ..select
    };
    let response = opened.database.select(TENANT, &below).unwrap();
    assert_eq!(
        response.totals,
        [total(profile, column, &site)],
        "{of} below {site:?}"
    );
}

/// All that a pprof says of its stacks, without the numbers it gives symbols.
fn full_stacks(profile: &Profile, column: usize) -> Vec<String> {
    let text = |index: i64| &profile.string_table[index as usize];
    let location = |id: &u64| {
        let location = &profile.location[*id as usize - 1];
        let mapping = match location.mapping_id {
            0 => String::new(),
            id => {
                let mapping = &profile.mapping[id as usize - 1];
                let (file, build) = (text(mapping.filename), text(mapping.build_id));
                format!(
                    "{file} {build} {:x}-{:x}",
                    mapping.memory_start, mapping.memory_limit
                )
            }
        };
        let lines = location.line.iter().map(|line| {
            let function = &profile.function[line.function_id as usize - 1];
            let (name, file) = (text(function.name), text(function.filename));
            format!("{name} {file}:{} +{}", function.start_line, line.line)
        });
        format!(
            "{:x} in {mapping}: {:?}",
            location.address,
            lines.collect::<Vec<_>>()
        )
    };
    let samples = profile
        .sample
        .iter()
        .filter(|sample| sample.value[column] != 0);
    let mut stacks: Vec<String> = samples
        .map(|sample| {
            let locations: Vec<String> = sample.location_id.iter().map(location).collect();
            format!("{} {locations:?}", sample.value[column])
        })
        .collect();
    stacks.sort();
    stacks
}
