//! The rules that the API server enforces, evaluated here as it does.

#![allow(clippy::unwrap_used)]

use kube::CustomResourceExt;
use kube::core::cel::Validator;
use pyroscope_crds::PyroscopeCluster;
use serde_json::{Value, json};

/// A cluster as the API server stores it: with defaults filled in.
fn stored(spec: Value) -> PyroscopeCluster {
    named("quickstart", spec)
}

fn named(name: &str, spec: Value) -> PyroscopeCluster {
    serde_json::from_value(json!({
        "apiVersion": "pyroscope-operator.dev/v1alpha1",
        "kind": "PyroscopeCluster",
        "metadata": {"name": name, "namespace": "default"},
        "spec": spec,
    }))
    .unwrap()
}

fn created(cluster: &PyroscopeCluster) -> Vec<String> {
    messages(cluster.validate_cel())
}

fn updated(old: Value, new: Value) -> Vec<String> {
    messages(stored(new).validate_cel_update(&stored(old)))
}

fn messages<E: std::fmt::Display>(result: Result<(), E>) -> Vec<String> {
    match result {
        Ok(()) => Vec::new(),
        Err(errors) => errors.to_string().lines().map(str::to_owned).collect(),
    }
}

#[track_caller]
fn assert_refused(messages: &[String], expected: &str) {
    assert!(
        messages.iter().any(|message| message.contains(expected)),
        "expected a message with {expected:?}, got {messages:#?}"
    );
}

#[test]
fn empty_spec_is_accepted() {
    assert_eq!(created(&stored(json!({}))), Vec::<String>::new());
}

/// A section that says something keeps the defaults of what it leaves out.
#[test]
fn sections_default_field_by_field() {
    let persistence = json!({"persistence": {"size": "1Gi"}});
    let spec = stored(json!({"ingester": persistence, "monolithic": persistence})).spec;
    assert_eq!((spec.ingester.replicas, spec.monolithic.replicas), (3, 1));
    let crd = serde_json::to_value(PyroscopeCluster::crd()).unwrap();
    let section = |name: &str| {
        let path = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties";
        crd.pointer(&format!("{path}/{name}/properties/replicas/default"))
    };
    assert_eq!(section("ingester"), Some(&json!(3)));
    assert_eq!(section("monolithic"), Some(&json!(1)));
    assert_eq!(section("querier"), Some(&json!(2)));
}

#[test]
fn quickstart_is_accepted() {
    let spec = json!({"replicationFactor": 3, "ingester": {"replicas": 3, "persistence": {"size": "1Gi"}}});
    assert_eq!(created(&stored(spec)), Vec::<String>::new());
}

#[test]
fn even_replication_factor_is_refused() {
    for factor in [0, 2, 4, 6, 7] {
        let spec = json!({"replicationFactor": factor, "ingester": {"replicas": 9}});
        assert_refused(&created(&stored(spec)), "must be 1, 3 or 5");
    }
}

#[test]
fn replication_factor_above_ingesters_is_refused() {
    let spec = json!({"replicationFactor": 5, "ingester": {"replicas": 3}});
    assert_refused(&created(&stored(spec)), "must not exceed ingester.replicas");
}

#[test]
fn replication_factor_above_monolithic_pods_is_refused() {
    let spec = json!({"mode": "Monolithic", "replicationFactor": 3});
    assert_refused(
        &created(&stored(spec)),
        "must not exceed monolithic.replicas",
    );
    let spec = json!({"mode": "Monolithic", "replicationFactor": 3, "monolithic": {"replicas": 3}, "ingester": {"replicas": 1}});
    assert_eq!(created(&stored(spec)), Vec::<String>::new());
}

#[test]
fn long_and_odd_names_are_refused() {
    assert_eq!(
        created(&named(&"a".repeat(40), json!({}))),
        Vec::<String>::new()
    );
    assert_refused(
        &created(&named(&"a".repeat(41), json!({}))),
        "at most 40 characters",
    );
    for name in ["1st", "a.b", "a-"] {
        assert_refused(&created(&named(name, json!({}))), "must be a DNS label");
    }
}

#[test]
fn immutable_fields_stay() {
    let changes = [
        (
            json!({}),
            json!({"mode": "Monolithic"}),
            "mode is immutable",
        ),
        (
            json!({}),
            json!({"clusterDomain": "example.org"}),
            "clusterDomain is immutable",
        ),
        (
            json!({}),
            json!({"ring": {"tokens": 256}}),
            "ring.tokens is immutable",
        ),
        (
            json!({}),
            json!({"storage": {"filesystem": {"dir": "/data/other"}}}),
            "storage.filesystem.dir is immutable",
        ),
        (
            json!({}),
            json!({"ingester": {"persistence": {"storageClass": "fast"}}}),
            "storageClass is immutable",
        ),
    ];
    for (old, new, message) in changes {
        assert_refused(&updated(old, new), message);
    }
}

#[test]
fn replication_factor_of_a_live_cluster_stays() {
    for (old, new) in [(1, 3), (3, 1)] {
        let refused = updated(
            json!({"replicationFactor": old}),
            json!({"replicationFactor": new}),
        );
        assert_refused(&refused, "cannot be changed on a live cluster");
    }
}

#[test]
fn ingesters_are_added_and_never_removed() {
    let with = |replicas: i32| json!({"ingester": {"replicas": replicas}});
    assert_eq!(updated(with(3), with(5)), Vec::<String>::new());
    assert_refused(&updated(with(5), with(3)), "replicas cannot be lowered");
}

#[test]
fn stateless_components_scale_both_ways() {
    let with = |replicas: i32| json!({"distributor": {"replicas": replicas}, "querier": {"replicas": replicas}});
    assert_eq!(updated(with(4), with(1)), Vec::<String>::new());
}

#[test]
fn volumes_grow_and_never_shrink() {
    let with = |size: &str| json!({"ingester": {"persistence": {"size": size}}});
    assert_eq!(updated(with("10Gi"), with("20Gi")), Vec::<String>::new());
    assert_eq!(updated(with("1Gi"), with("1024Mi")), Vec::<String>::new());
    assert_refused(&updated(with("10Gi"), with("9Gi")), "cannot shrink");
}

#[test]
fn sizes_are_positive_quantities() {
    for size in ["ten", "0", "-1Gi"] {
        let spec = json!({"ingester": {"persistence": {"size": size}}});
        assert_refused(&created(&stored(spec)), "must be a positive quantity");
    }
}

#[test]
fn heartbeat_timeout_covers_three_heartbeats() {
    let with = |heartbeat: &str, timeout: &str| {
        stored(json!({"ring": {"heartbeat": heartbeat, "heartbeatTimeout": timeout}}))
    };
    assert_eq!(created(&with("5s", "15s")), Vec::<String>::new());
    assert_refused(
        &created(&with("5s", "14s")),
        "at least three times heartbeat",
    );
}

#[test]
fn owned_flags_are_refused() {
    for flag in ["target", "-log.level", "memberlist.join"] {
        let spec = json!({"querier": {"extraArgs": {flag: "x"}}});
        assert_refused(&created(&stored(spec)), "extraArgs takes flag names");
    }
    let spec = json!({"querier": {"extraArgs": {"log.level": "debug"}}});
    assert_eq!(created(&stored(spec)), Vec::<String>::new());
}

/// A rule over a field that a user left out would fail in the API server if the
/// schema did not fill it in; this walks the schema's own defaults.
#[test]
fn schema_defaults_satisfy_the_rules() {
    let crd = PyroscopeCluster::crd();
    let schema = crd.spec.versions[0].schema.clone().unwrap();
    let schema = serde_json::to_value(schema.open_api_v3_schema.unwrap()).unwrap();
    let object =
        json!({"metadata": {"name": "a"}, "spec": defaults(&schema["properties"]["spec"])});
    Validator::new().validate(&schema, &object, None).unwrap();
}

fn defaults(schema: &Value) -> Value {
    let properties = schema["properties"].as_object().unwrap();
    let filled = properties
        .iter()
        .filter_map(|(name, property)| Some((name.clone(), property.get("default")?.clone())));
    Value::Object(filled.collect())
}
