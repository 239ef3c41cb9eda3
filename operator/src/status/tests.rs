use contract::report::{RingReport, Shard};
use serde_json::{Value, json};

use super::*;
use crate::ring::{View, summarize};

fn cluster() -> PyroscopeCluster {
    let cluster = json!({
        "apiVersion": "pyroscope-operator.dev/v1alpha1",
        "kind": "PyroscopeCluster",
        "metadata": {"name": "a", "namespace": "b", "uid": "c", "generation": 7},
        "spec": {"replicationFactor": 3},
    });
    serde_json::from_value(cluster).unwrap()
}

/// What the API server holds, with `ready` of three ingesters.
fn found(ready: i32) -> Found {
    let mut found = Found::new();
    found.insert(
        (Kind::StatefulSet, "a-ingester".to_owned()),
        stateful_set(3, ready, "1"),
    );
    for name in ["a-distributor", "a-querier"] {
        let deployment = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {"name": name, "generation": 1},
            "spec": {"replicas": 2, "selector": {}, "template": {}},
            "status": {"observedGeneration": 1, "replicas": 2, "readyReplicas": 2, "updatedReplicas": 2},
        });
        found.insert((Kind::Deployment, name.to_owned()), deployment);
    }
    found
}

fn stateful_set(replicas: i32, ready: i32, revision: &str) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "StatefulSet",
        "metadata": {"name": "a-ingester", "generation": 1},
        "spec": {"replicas": replicas, "selector": {}, "template": {}},
        "status": {
            "observedGeneration": 1, "replicas": replicas, "readyReplicas": ready,
            "currentRevision": "1", "updateRevision": revision, "updatedReplicas": replicas - 1,
        },
    })
}

fn seen(states: &[&str]) -> Seen {
    let shards = states.iter().enumerate().map(|(index, state)| Shard {
        id: format!("a-ingester-{index}"),
        state: (*state).to_owned(),
        tokens: vec![u32::try_from(index).unwrap() << 30],
        ..Shard::default()
    });
    let report = RingReport {
        shards: shards.collect(),
        ..RingReport::default()
    };
    Seen {
        ring: summarize(
            &[View {
                pod: "a-querier-0".to_owned(),
                report: Some(report),
            }],
            3,
        ),
        version: Some("0.1.0".to_owned()),
    }
}

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn report(
    cluster: &PyroscopeCluster,
    found: &Found,
    seen: &Seen,
    failure: Option<Failure>,
) -> PyroscopeClusterStatus {
    let platform = Platform {
        default_image: "pyroscope:0.1.0".to_owned(),
        claim_retention: true,
    };
    let facts = Facts {
        cluster,
        platform: &platform,
        found,
        stale: BTreeSet::new(),
        seen,
        failure,
    };
    status(&facts, at(100))
}

fn condition(status: &PyroscopeClusterStatus, kind: &str) -> (String, String) {
    let found = status
        .conditions
        .iter()
        .find(|it| it.type_ == kind)
        .unwrap();
    (found.status.clone(), found.reason.clone())
}

fn is(status: &str, reason: &str) -> (String, String) {
    (status.to_owned(), reason.to_owned())
}

#[test]
fn new_cluster_is_pending() {
    let status = report(&cluster(), &Found::new(), &Seen::default(), None);
    assert_eq!(status.phase, Phase::Pending);
    assert_eq!(status.observed_generation, Some(7));
    assert_eq!(
        condition(&status, "Ready"),
        is("False", "ComponentsNotReady")
    );
    assert_eq!(
        condition(&status, "Progressing"),
        is("True", "RolloutInProgress")
    );
    assert_eq!(condition(&status, "RingHealthy"), is("Unknown", "Unknown"));
    assert_eq!(
        condition(&status, "ReplicationSatisfied"),
        is("Unknown", "Unknown")
    );
    assert_eq!(condition(&status, "ConfigValid"), is("True", "Valid"));
}

#[test]
fn complete_cluster_runs() {
    let status = report(&cluster(), &found(3), &seen(&["ACTIVE"; 3]), None);
    assert_eq!(status.phase, Phase::Running);
    for kind in [
        "Ready",
        "RingHealthy",
        "ReplicationSatisfied",
        "ConfigValid",
    ] {
        assert_eq!(condition(&status, kind).0, "True", "{kind}");
    }
    assert_eq!(condition(&status, "Progressing"), is("False", "Idle"));
    assert_eq!(status.ring.as_ref().unwrap().display, "3/3");
    assert_eq!((status.replicas, status.version.as_str()), (3, "0.1.0"));
    assert_eq!(
        status.selector,
        "app.kubernetes.io/component=ingester,app.kubernetes.io/instance=a,app.kubernetes.io/name=pyroscope"
    );
    assert_eq!(
        status.endpoints.unwrap().push,
        "http://a.b.svc.cluster.local:4040"
    );
}

/// A status that is read back and computed again must not differ, or it would be
/// written for ever.
#[test]
fn status_is_steady() {
    let mut cluster = cluster();
    let first = report(&cluster, &found(3), &seen(&["ACTIVE"; 3]), None);
    let read_back = serde_json::from_value(serde_json::to_value(&first).unwrap()).unwrap();
    cluster.status = Some(read_back);
    let platform = Platform {
        default_image: "pyroscope:0.1.0".to_owned(),
        claim_retention: true,
    };
    let facts = Facts {
        cluster: &cluster,
        platform: &platform,
        found: &found(3),
        stale: BTreeSet::new(),
        seen: &seen(&["ACTIVE"; 3]),
        failure: None,
    };
    assert_eq!(status(&facts, at(999)), first);
}

fn running() -> PyroscopeCluster {
    let mut cluster = cluster();
    cluster.status = Some(report(&cluster, &found(3), &seen(&["ACTIVE"; 3]), None));
    cluster
}

#[test]
fn lost_pod_degrades() {
    let status = report(
        &running(),
        &found(2),
        &seen(&["ACTIVE", "ACTIVE", "UNHEALTHY"]),
        None,
    );
    assert_eq!(status.phase, Phase::Degraded);
    assert_eq!(
        condition(&status, "Ready"),
        is("False", "ComponentsNotReady")
    );
    assert_eq!(
        condition(&status, "RingHealthy"),
        is("False", "UnhealthyMembers")
    );
    assert_eq!(
        condition(&status, "ReplicationSatisfied"),
        is("False", "TooFewIngesters")
    );
}

#[test]
fn other_number_of_pods_is_scaling_until_all_are_ready() {
    let mut cluster = running();
    cluster.spec.ingester.replicas = 5;
    let first = report(&cluster, &found(3), &seen(&["ACTIVE"; 3]), None);
    assert_eq!(first.phase, Phase::Scaling);
    cluster.status = Some(first);
    let mut grown = found(3);
    grown.insert(
        (Kind::StatefulSet, "a-ingester".to_owned()),
        stateful_set(5, 4, "1"),
    );
    let second = report(&cluster, &grown, &seen(&["ACTIVE"; 4]), None);
    assert_eq!(second.phase, Phase::Scaling);
    cluster.status = Some(second);
    grown.insert(
        (Kind::StatefulSet, "a-ingester".to_owned()),
        stateful_set(5, 5, "1"),
    );
    assert_eq!(
        report(&cluster, &grown, &seen(&["ACTIVE"; 5]), None).phase,
        Phase::Running
    );
}

/// The caches may lag behind an update that was just begun.
#[test]
fn stale_numbers_are_not_taken_for_the_new_specification() {
    let cluster = running();
    let facts = Facts {
        cluster: &cluster,
        platform: &Platform {
            default_image: "pyroscope:0.1.0".to_owned(),
            claim_retention: true,
        },
        found: &found(3),
        stale: BTreeSet::from([(Kind::StatefulSet, "a-ingester".to_owned())]),
        seen: &seen(&["ACTIVE"; 3]),
        failure: None,
    };
    let status = status(&facts, at(100));
    assert_eq!(status.phase, Phase::Updating);
    assert_eq!(
        condition(&status, "Ready"),
        is("False", "ComponentsNotReady")
    );
}

#[test]
fn pods_of_an_older_revision_are_an_update() {
    let mut updating = found(3);
    updating.insert(
        (Kind::StatefulSet, "a-ingester".to_owned()),
        stateful_set(3, 3, "2"),
    );
    let status = report(&running(), &updating, &seen(&["ACTIVE"; 3]), None);
    assert_eq!(status.phase, Phase::Updating);
    assert_eq!(status.components["ingester"].updated, 2);
}

#[test]
fn failures_are_reported_and_running_pods_too() {
    let failure = Failure::Config("limits.x: unknown key".to_owned());
    let status = report(&running(), &found(3), &seen(&["ACTIVE"; 3]), Some(failure));
    assert_eq!(status.phase, Phase::Degraded);
    assert_eq!(
        condition(&status, "ConfigValid"),
        is("False", "InvalidOverride")
    );
    assert_eq!(condition(&status, "Ready"), is("True", "AllReady"));
    let failure = Failure::Apply("cannot apply".to_owned());
    let status = report(&running(), &found(3), &seen(&["ACTIVE"; 3]), Some(failure));
    assert_eq!(condition(&status, "Ready"), is("False", "ApplyFailed"));
}

#[test]
fn ring_with_strangers_or_disagreement_is_not_healthy() {
    let mut strange = seen(&["ACTIVE"; 3]);
    strange.ring.as_mut().unwrap().instances[0].id = "other-ingester-0".to_owned();
    assert_eq!(
        condition(
            &report(&cluster(), &found(3), &strange, None),
            "RingHealthy"
        ),
        is("False", "ForeignMember")
    );
    let mut split = seen(&["ACTIVE"; 3]);
    split.ring.as_mut().unwrap().asked = 2;
    assert_eq!(
        condition(&report(&cluster(), &found(3), &split, None), "RingHealthy"),
        is("False", "Partitioned")
    );
}
