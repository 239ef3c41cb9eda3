use std::path::{Path, PathBuf};

use crds::PyroscopeCluster;
use serde_json::{Value, json};

use super::*;
use crate::plan::{Found, Step, plan};

fn platform() -> Platform {
    Platform {
        default_image: "pyroscope:0.1.0".to_owned(),
        claim_retention: true,
    }
}

fn cluster(spec: Value) -> PyroscopeCluster {
    let cluster = json!({
        "apiVersion": "pyroscope-operator.dev/v1alpha1",
        "kind": "PyroscopeCluster",
        "metadata": {"name": "a", "namespace": "b", "uid": "c"},
        "spec": spec,
    });
    serde_json::from_value(cluster).unwrap()
}

fn inputs() -> Vec<(String, PyroscopeCluster)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/inputs");
    let mut paths: Vec<PathBuf> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&path).unwrap();
        (name, serde_saphyr::from_str(&text).unwrap())
    };
    paths.into_iter().map(read).collect()
}

fn of_kind(objects: &[Object], kind: Kind) -> Vec<&Value> {
    objects
        .iter()
        .filter(|it| it.kind == kind)
        .map(|it| &it.body)
        .collect()
}

/// Pod templates of every workload.
fn pods(objects: &[Object]) -> Vec<&Value> {
    [Kind::StatefulSet, Kind::Deployment]
        .into_iter()
        .flat_map(|kind| of_kind(objects, kind))
        .map(|it| &it["spec"]["template"]["spec"])
        .collect()
}

#[test]
fn inputs_render_as_committed() {
    for (name, cluster) in inputs() {
        let objects = render(&cluster, &platform()).unwrap();
        let documents: Vec<_> = objects
            .iter()
            .map(|it| serde_saphyr::to_string(&it.body).unwrap())
            .collect();
        insta::with_settings!({
            snapshot_path => "../../tests/snapshots",
            prepend_module_to_snapshot => false,
            omit_expression => true,
        }, {
            insta::assert_snapshot!(name, documents.join("---\n"));
        });
    }
}

#[test]
fn rendered_config_and_flags_are_what_the_data_plane_takes() {
    for (name, cluster) in inputs() {
        let objects = render(&cluster, &platform()).unwrap();
        let config = of_kind(&objects, Kind::ConfigMap)[0]["data"][config::FILE]
            .as_str()
            .unwrap();
        for pod in pods(&objects) {
            let args = pod["containers"][0]["args"].as_array().unwrap();
            let args: Vec<String> = args
                .iter()
                .map(|it| config::filled_in(it.as_str().unwrap()))
                .collect();
            let request =
                contract::args::parse(&args, &|_| None, &|_| Ok(config.to_owned())).unwrap();
            let contract::args::Request::Run(loaded) = request else {
                panic!("{name}: {args:?} does not run");
            };
            assert_eq!(loaded.warnings, [], "{name}");
            let spec = &cluster.spec;
            let lifecycler = &loaded.config.ingester.lifecycler;
            assert_eq!(
                lifecycler.ring.replication_factor,
                spec.replication_factor as usize
            );
            assert!(!lifecycler.unregister_on_shutdown);
            assert_eq!(loaded.config.memberlist.cluster_label.split('.').count(), 2);
        }
    }
}

#[test]
fn pods_meet_the_restricted_standard() {
    for (_, cluster) in inputs() {
        for pod in pods(&render(&cluster, &platform()).unwrap()) {
            assert_eq!(pod["securityContext"]["runAsNonRoot"], true);
            assert_eq!(
                pod["securityContext"]["seccompProfile"]["type"],
                "RuntimeDefault"
            );
            assert_eq!(pod["automountServiceAccountToken"], false);
            let container = &pod["containers"][0]["securityContext"];
            assert_eq!(container["allowPrivilegeEscalation"], false);
            assert_eq!(container["capabilities"], json!({"drop": ["ALL"]}));
            assert_eq!(container["readOnlyRootFilesystem"], true);
            for volume in pod["volumes"].as_array().unwrap() {
                let kinds: Vec<_> = volume.as_object().unwrap().keys().collect();
                assert!(
                    kinds
                        .iter()
                        .all(|it| ["name", "configMap", "emptyDir"].contains(&it.as_str())),
                    "{kinds:?}"
                );
            }
        }
    }
}

#[test]
fn join_address_names_a_port_of_the_gossip_service() {
    let objects = render(&cluster(json!({})), &platform()).unwrap();
    let gossip = of_kind(&objects, Kind::Service)
        .into_iter()
        .find(|it| it["metadata"]["name"] == "a-gossip")
        .unwrap();
    let port = gossip["spec"]["ports"][0]["name"].as_str().unwrap();
    assert_eq!(gossip["spec"]["publishNotReadyAddresses"], true);
    assert_eq!(
        service::join_address(&cluster(json!({}))),
        format!("dnssrv+_{port}._tcp.a-gossip.b.svc.cluster.local")
    );
}

#[test]
fn names_are_unique_and_fit_into_labels() {
    let mut cluster = cluster(json!({}));
    cluster.metadata.name = Some("a".repeat(40));
    let objects = render(&cluster, &platform()).unwrap();
    let mut names: Vec<_> = objects
        .iter()
        .map(|it| (it.kind, it.name.as_str()))
        .collect();
    let count = names.len();
    names.dedup();
    assert_eq!(names.len(), count);
    // A StatefulSet's pods carry its name and a hash of ten digits in a label of 63 characters.
    assert!(names.iter().all(|(_, name)| name.len() <= 52), "{names:?}");
}

#[test]
fn changed_configuration_replaces_pods() {
    let hash = |spec: Value| {
        let objects = render(&cluster(spec), &platform()).unwrap();
        of_kind(&objects, Kind::StatefulSet)[0]["spec"]["template"]["metadata"]["annotations"]
            .clone()
    };
    let changed = json!({"config": {"limits": {"ingestion_rate_mb": 7}}});
    assert_ne!(hash(json!({})), hash(changed));
    // More pods need no other configuration.
    assert_eq!(hash(json!({})), hash(json!({"ingester": {"replicas": 5}})));
}

#[test]
fn overrides_that_do_not_fit_are_named() {
    let error = |spec: Value| render(&cluster(spec), &platform()).unwrap_err().to_string();
    let cases = [
        (
            json!({"config": {"limits": {"ingestion_rte_mb": 1}}}),
            "limits.ingestion_rte_mb",
        ),
        (
            json!({"config": {"limits": {"ingestion_rate_mb": "much"}}}),
            "limits.ingestion_rate_mb",
        ),
        (
            json!({"config": {"memberlist": {"cluster_label": "x"}}}),
            "memberlist.cluster_label is set by the operator",
        ),
        (
            json!({"config": {"storage": {"backend": "s3"}}}),
            "storage is set by the operator",
        ),
        (
            json!({"ingester": {"extraArgs": {"log.levl": "debug"}}}),
            "flags of the ingester",
        ),
    ];
    for (spec, expected) in cases {
        let message = error(spec);
        assert!(message.contains(expected), "{message}");
        assert!(
            !message.contains('\n') && !message.contains("line "),
            "{message}"
        );
    }
}

#[test]
fn old_servers_are_not_asked_to_delete_claims() {
    let old = Platform {
        claim_retention: false,
        ..platform()
    };
    let objects = render(&cluster(json!({})), &old).unwrap();
    let set = of_kind(&objects, Kind::StatefulSet)[0];
    assert!(set["spec"]["persistentVolumeClaimRetentionPolicy"].is_null());
}

/// What the API server holds is what was applied, with its own additions.
#[test]
fn second_reconciliation_writes_nothing() {
    for (name, cluster) in inputs() {
        let first = plan(render(&cluster, &platform()).unwrap(), &Found::new());
        let mut found = Found::new();
        for step in &first {
            let Step::Create(object) = step else {
                panic!("{name}: {step:?}");
            };
            let mut live = object.body.clone();
            live["metadata"]["uid"] = json!("uid");
            live["metadata"]["resourceVersion"] = json!("1");
            live["status"] = json!({"replicas": 1});
            found.insert((object.kind, object.name.clone()), live);
        }
        assert_eq!(
            plan(render(&cluster, &platform()).unwrap(), &found),
            [],
            "{name}"
        );
    }
}
