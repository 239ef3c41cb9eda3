use std::collections::BTreeMap;

use crds::PyroscopeCluster;
use k8s_openapi::api::core::v1::{
    Affinity, Capabilities, ConfigMapVolumeSource, Container, ContainerPort, EmptyDirVolumeSource,
    EnvVar, EnvVarSource, HTTPGetAction, LocalObjectReference, ObjectFieldSelector,
    PodAffinityTerm, PodAntiAffinity, PodSecurityContext, PodSpec, PodTemplateSpec, Probe,
    SeccompProfile, SecurityContext, Volume, VolumeMount, WeightedPodAffinityTerm,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;
use xxhash_rust::xxh3::xxh3_64;

use super::{Component, Platform, config, image, labels, service, service_account};

/// Name of the volume that keeps profiles.
pub(super) const DATA: &str = "data";
/// Where [`DATA`] is mounted.
pub(super) const DATA_PATH: &str = "/data";

const CONFIG_HASH: &str = "pyroscope-operator.dev/config-hash";
const CONFIG_PATH: &str = "/etc/pyroscope";
const USER: i64 = 10001;

/// Returns the pods of a component. They meet the *restricted* Pod Security
/// Standard, and a changed configuration replaces them.
pub(super) fn template(
    cluster: &PyroscopeCluster,
    platform: &Platform,
    component: Component,
    config: &str,
) -> PodTemplateSpec {
    let hash = format!("{:016x}", xxh3_64(config.as_bytes()));
    PodTemplateSpec {
        metadata: Some(ObjectMeta {
            labels: Some(labels::labels(cluster, Some(component))),
            annotations: Some(BTreeMap::from([(CONFIG_HASH.to_owned(), hash)])),
            ..ObjectMeta::default()
        }),
        spec: Some(pod(cluster, platform, component)),
    }
}

fn pod(cluster: &PyroscopeCluster, platform: &Platform, component: Component) -> PodSpec {
    let settings = component.settings(cluster);
    let affinity = settings.affinity.clone();
    PodSpec {
        service_account_name: Some(service_account::name(cluster).to_owned()),
        automount_service_account_token: Some(false),
        // A variable for every Service of the namespace may exceed what a process takes.
        enable_service_links: Some(false),
        security_context: Some(pod_security()),
        image_pull_secrets: some(pull_secrets(cluster)),
        containers: vec![container(cluster, platform, component)],
        volumes: Some(volumes(cluster, component)),
        affinity: Some(affinity.unwrap_or_else(|| prefer_apart(cluster, component))),
        tolerations: some(settings.tolerations.clone()),
        node_selector: (!settings.node_selector.is_empty()).then(|| settings.node_selector.clone()),
        topology_spread_constraints: some(settings.topology_spread.clone()),
        termination_grace_period_seconds: Some(grace_seconds(component)),
        ..PodSpec::default()
    }
}

fn container(cluster: &PyroscopeCluster, platform: &Platform, component: Component) -> Container {
    let settings = component.settings(cluster);
    let image = &cluster.spec.image;
    let resources = &settings.resources;
    let mut env = vec![
        from_field("POD_IP", "status.podIP"),
        from_field("POD_NAME", "metadata.name"),
        from_field("POD_NAMESPACE", "metadata.namespace"),
    ];
    env.extend(settings.extra_env.iter().cloned());
    Container {
        name: component.as_str().to_owned(),
        image: Some(image::reference(&platform.default_image, image)),
        image_pull_policy: Some(image.pull_policy.as_str().to_owned()),
        args: Some(args(cluster, component)),
        env: Some(env),
        ports: Some(vec![
            port(service::HTTP, contract::ports::HTTP),
            port(service::GOSSIP, contract::ports::GOSSIP),
        ]),
        resources: (*resources != Default::default()).then(|| resources.clone()),
        // Replay of a long write-ahead log is slow, and not a failure.
        startup_probe: Some(probe("/api/v1/status/buildinfo", 2, 900)),
        liveness_probe: Some(probe("/api/v1/status/buildinfo", 10, 6)),
        readiness_probe: Some(probe("/ready", 3, 3)),
        security_context: Some(container_security()),
        volume_mounts: Some(mounts()),
        ..Container::default()
    }
}

/// Flags hold what differs from pod to pod; all else is in the configuration file.
pub(super) fn args(cluster: &PyroscopeCluster, component: Component) -> Vec<String> {
    let mut args = vec![
        format!("-target={}", component.target()),
        format!("-config.file={CONFIG_PATH}/{}", config::FILE),
        "-memberlist.advertise-addr=$(POD_IP)".to_owned(),
    ];
    if stateful(component) {
        args.push("-ingester.lifecycler.ID=$(POD_NAME)".to_owned());
        args.push("-ingester.lifecycler.addr=$(POD_IP)".to_owned());
    }
    if component != Component::Ingester {
        // Requests still come until every node has heard that the pod goes away.
        args.push("-shutdown-delay=5s".to_owned());
    }
    let extra = &component.settings(cluster).extra_args;
    args.extend(extra.iter().map(|(flag, value)| format!("-{flag}={value}")));
    args
}

fn stateful(component: Component) -> bool {
    matches!(component, Component::Ingester | Component::Monolithic)
}

/// An ingester syncs its log and tells the ring that it leaves; the rest only
/// finish their requests.
fn grace_seconds(component: Component) -> i64 {
    if stateful(component) { 300 } else { 60 }
}

fn volumes(cluster: &PyroscopeCluster, component: Component) -> Vec<Volume> {
    let empty = |name: &str| Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource::default()),
        ..Volume::default()
    };
    let mut volumes = vec![
        Volume {
            name: "config".to_owned(),
            config_map: Some(ConfigMapVolumeSource {
                name: config::name(cluster),
                ..ConfigMapVolumeSource::default()
            }),
            ..Volume::default()
        },
        empty("tmp"),
    ];
    if !stateful(component) {
        volumes.push(empty(DATA));
    }
    volumes
}

fn mounts() -> Vec<VolumeMount> {
    let mount = |name: &str, path: &str, read_only: bool| VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    };
    vec![
        mount("config", CONFIG_PATH, true),
        mount("tmp", "/tmp", false),
        mount(DATA, DATA_PATH, false),
    ]
}

fn pod_security() -> PodSecurityContext {
    PodSecurityContext {
        run_as_non_root: Some(true),
        run_as_user: Some(USER),
        run_as_group: Some(USER),
        fs_group: Some(USER),
        // Changing the owner of every file of a large volume would delay each start.
        fs_group_change_policy: Some("OnRootMismatch".to_owned()),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            ..SeccompProfile::default()
        }),
        ..PodSecurityContext::default()
    }
}

fn container_security() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        read_only_root_filesystem: Some(true),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            ..Capabilities::default()
        }),
        ..SecurityContext::default()
    }
}

fn prefer_apart(cluster: &PyroscopeCluster, component: Component) -> Affinity {
    let apart = |topology: &str, weight: i32| WeightedPodAffinityTerm {
        weight,
        pod_affinity_term: PodAffinityTerm {
            label_selector: Some(labels::label_selector(cluster, component)),
            topology_key: topology.to_owned(),
            ..PodAffinityTerm::default()
        },
    };
    Affinity {
        pod_anti_affinity: Some(PodAntiAffinity {
            preferred_during_scheduling_ignored_during_execution: Some(vec![
                apart("kubernetes.io/hostname", 100),
                apart("topology.kubernetes.io/zone", 50),
            ]),
            ..PodAntiAffinity::default()
        }),
        ..Affinity::default()
    }
}

fn pull_secrets(cluster: &PyroscopeCluster) -> Vec<LocalObjectReference> {
    let secrets = cluster.spec.image.pull_secrets.iter();
    secrets
        .map(|name| LocalObjectReference { name: name.clone() })
        .collect()
}

fn probe(path: &str, period_seconds: i32, failure_threshold: i32) -> Probe {
    Probe {
        http_get: Some(HTTPGetAction {
            path: Some(path.to_owned()),
            port: IntOrString::String(service::HTTP.to_owned()),
            ..HTTPGetAction::default()
        }),
        period_seconds: Some(period_seconds),
        timeout_seconds: Some(5),
        failure_threshold: Some(failure_threshold),
        ..Probe::default()
    }
}

fn port(name: &str, number: u16) -> ContainerPort {
    ContainerPort {
        name: Some(name.to_owned()),
        container_port: i32::from(number),
        protocol: Some("TCP".to_owned()),
        ..ContainerPort::default()
    }
}

fn from_field(name: &str, path: &str) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                field_path: path.to_owned(),
                ..ObjectFieldSelector::default()
            }),
            ..EnvVarSource::default()
        }),
        ..EnvVar::default()
    }
}

fn some<T>(list: Vec<T>) -> Option<Vec<T>> {
    (!list.is_empty()).then_some(list)
}
