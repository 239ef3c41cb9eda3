//! What a push stores, refuses, and costs.

#![allow(clippy::unwrap_used)]

mod fixture;

use fixture::{TENANT, id, incoming, labels, open, open_with, pprof, push, raw, small};
use proto::google::v1::ValueType;
use pyroscope_store::{IncomingProfile, Options, PushLimits, RejectReason, TimeRange};
use tokio::task::JoinSet;

fn series_limit(max_series: usize) -> PushLimits {
    PushLimits { max_series }
}

#[tokio::test]
async fn each_push_alone_is_synced() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    for n in 0..5 {
        push(&opened.database, vec![small(2 * n), small(2 * n + 1)])
            .await
            .unwrap();
        assert_eq!(opened.metric("pyroscope_wal_fsyncs_total"), (n + 1) as f64);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn concurrent_pushes_share_syncs() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let mut pushes = JoinSet::new();
    for n in 0..400 {
        let database = opened.database.clone();
        pushes.spawn(async move { push(&database, vec![small(n)]).await });
    }
    while let Some(pushed) = pushes.join_next().await {
        pushed.unwrap().unwrap();
    }
    assert_eq!(opened.ids().len(), 400);
    let fsyncs = opened.metric("pyroscope_wal_fsyncs_total");
    assert!(
        (1.0..200.0).contains(&fsyncs),
        "400 pushes took {fsyncs} syncs"
    );
    opened.database.shutdown().await;
    assert_eq!(open(temp.path()).ids().len(), 400);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_profile_counts_once_however_often_it_is_pushed() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let mut pushes = JoinSet::new();
    for _ in 0..50 {
        let database = opened.database.clone();
        pushes.spawn(async move { push(&database, vec![small(1), small(2), small(1)]).await });
    }
    while let Some(pushed) = pushes.join_next().await {
        pushed.unwrap().unwrap();
        // Whoever is told so, first or not, can read it.
        assert_eq!(opened.ids(), [id(1), id(2)].into());
    }
    push(&opened.database, vec![small(2)]).await.unwrap();
    assert_eq!(opened.metric("pyroscope_head_profiles"), 2.0);
    opened.database.shutdown().await;
    let again = open(temp.path());
    assert_eq!(again.report.records, 2);
    assert_eq!(again.ids(), [id(1), id(2)].into());
    push(&again.database, vec![small(1)]).await.unwrap();
    assert_eq!(again.metric("pyroscope_head_profiles"), 2.0);
}

#[tokio::test]
async fn one_identity_under_two_label_sets_is_two_profiles() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let profile = pprof(1000, &[(&["main"], [1, 1])]);
    push(
        &opened.database,
        vec![incoming("a", 1, &profile), incoming("b", 1, &profile)],
    )
    .await
    .unwrap();
    assert_eq!(opened.database.stats(TENANT).profiles, 2);
}

#[tokio::test]
async fn the_valid_profiles_of_a_push_are_stored() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let broken = IncomingProfile {
        raw: b"no pprof".as_slice().into(),
        ..small(2)
    };
    let mut uneven = pprof(1000, &[(&["main"], [1, 1])]);
    uneven.sample[0].value.pop();
    let profiles = vec![small(1), broken, small(3), incoming("app", 4, &uneven)];
    let error = push(&opened.database, profiles).await.unwrap_err();
    let rejected: Vec<usize> = error
        .rejected
        .iter()
        .map(|rejected| rejected.index)
        .collect();
    assert_eq!((rejected, error.stored), (vec![1, 3], 2));
    assert!(
        error
            .rejected
            .iter()
            .all(|one| matches!(one.reason, RejectReason::Invalid(_)))
    );
    assert_eq!(error.rejected[0].labels, labels("app"));
    assert!(!error.is_retryable());
    assert!(
        error
            .to_string()
            .starts_with("2 of 4 profiles were not stored"),
        "{error}"
    );
    assert_eq!(opened.ids(), [id(1), id(3)].into());
    opened.database.shutdown().await;
    assert_eq!(open(temp.path()).ids(), [id(1), id(3)].into());
}

#[tokio::test]
async fn the_series_limit_counts_sample_types_and_is_per_tenant() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let profile = pprof(1000, &[(&["main"], [1, 1])]);
    let of = |service, n| vec![incoming(service, n, &profile)];
    let database = &opened.database;
    let limit = series_limit(5);
    database.push(TENANT, of("a", 1), limit).await.unwrap();
    database.push(TENANT, of("b", 2), limit).await.unwrap();
    let error = database.push(TENANT, of("c", 3), limit).await.unwrap_err();
    let reason = &error.rejected[0].reason;
    let RejectReason::SeriesLimit {
        active,
        limit: reached,
    } = reason
    else {
        panic!("{reason}")
    };
    assert_eq!((*active, *reached), (4, 5));
    assert!(!error.is_retryable());
    database.push(TENANT, of("a", 4), limit).await.unwrap();
    database.push("other", of("c", 5), limit).await.unwrap();
    assert_eq!(opened.metric("pyroscope_head_series"), 6.0);
    database.shutdown().await;

    let again = open(temp.path());
    assert!(
        again
            .database
            .push(TENANT, of("c", 6), limit)
            .await
            .is_err()
    );
}

#[tokio::test]
async fn the_head_stays_within_its_budget() {
    let temp = tempfile::tempdir().unwrap();
    let budget = 200_000;
    let opened = open_with(
        temp.path(),
        Options {
            max_head_bytes: budget,
            ..Options::default()
        },
    );
    let mut stored = 0;
    let error = loop {
        let name = format!("function{stored}");
        let profile = pprof(1000, &[(&["main", &name], [1, 1])]);
        match push(&opened.database, vec![incoming("app", stored, &profile)]).await {
            Ok(()) => stored += 1,
            Err(error) => break error,
        }
        assert!(opened.database.head_bytes() <= budget);
    };
    assert!(stored > 50, "only {stored} fit");
    assert!(error.is_retryable());
    let RejectReason::Full { used, max } = error.rejected[0].reason else {
        panic!("{error}")
    };
    assert!(
        max == budget && used <= budget && used > budget * 9 / 10,
        "{used}"
    );
    push(&opened.database, vec![small(0)]).await.unwrap();
    assert_eq!(opened.ids().len(), stored as usize);
    assert_eq!(
        opened.metric("pyroscope_head_bytes"),
        opened.database.head_bytes() as f64
    );
    opened.database.shutdown().await;
    assert_eq!(open(temp.path()).ids().len(), stored as usize);
}

#[tokio::test]
async fn tenants_are_bounded_by_the_budget() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open_with(
        temp.path(),
        Options {
            max_head_bytes: 100_000,
            ..Options::default()
        },
    );
    for n in 0..200 {
        let tenant = format!("tenant{n}");
        // Neither sample type fits, so nothing is ever stored.
        let pushed = opened
            .database
            .push(&tenant, vec![small(n)], series_limit(1))
            .await;
        assert!(pushed.is_err());
    }
    assert!(opened.metric("pyroscope_head_tenants") < 25.0);
    assert!(opened.database.head_bytes() <= 100_000);
    assert!(opened.database.tenants().is_empty());
}

#[tokio::test]
async fn a_dropped_push_is_all_or_nothing() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    for n in 0..20 {
        let pushing = push(&opened.database, vec![small(n)]);
        // Polled at most once, so that it goes on without its caller.
        tokio::select! { biased; _ = pushing => {}, _ = std::future::ready(()) => {} }
    }
    let all: Vec<IncomingProfile> = (0..20).map(small).collect();
    push(&opened.database, all).await.unwrap();
    assert_eq!(opened.ids().len(), 20);
    opened.database.shutdown().await;
    assert_eq!(open(temp.path()).report.duplicates, 0);
}

#[tokio::test]
async fn odd_profiles_are_stored_and_read_without_panic() {
    let temp = tempfile::tempdir().unwrap();
    let opened = open(temp.path());
    let empty = pprof(i64::MIN / 1_000_000, &[]);
    let mut twice = pprof(1000, &[(&["main"], [5, 7])]);
    twice.sample_type[1] = ValueType { r#type: 1, unit: 2 };
    let mut dangling = pprof(
        1000,
        &[(&["main"], [1, 1]), (&["main", "f"], [i64::MAX, i64::MAX])],
    );
    dangling.sample[0].location_id = vec![77];
    dangling.location[1].mapping_id = 9;
    let mut huge = pprof(1000, &[(&["main"], [i64::MAX, i64::MAX])]);
    huge.time_nanos = i64::MAX;
    let profiles = [empty, twice, dangling, huge];
    let profiles = profiles
        .iter()
        .enumerate()
        .map(|(n, profile)| IncomingProfile {
            labels: labels("odd"),
            id: id(n as u64),
            raw: raw(profile),
            view: None,
            digest: None,
        });
    push(&opened.database, profiles.collect()).await.unwrap();
    let samples = fixture::request(fixture::SAMPLES, "");
    let response = opened.database.select(TENANT, &samples).unwrap();
    assert_eq!(
        response.timestamps.len(),
        4,
        "the type that occurs twice counts once"
    );
    for format in [0, 1] {
        let format = proto::reader::v1::MergeFormat::try_from(format).unwrap();
        fixture::merge(&opened.database, TENANT, samples.clone(), format);
    }
    assert_eq!(
        opened.database.profile_types(TENANT, TimeRange::ALL).len(),
        2
    );
    opened.database.shutdown().await;
    assert_eq!(open(temp.path()).report.profiles, 4);
}
