use std::collections::BTreeMap;

use crds::{Persistence, PyroscopeCluster};
use k8s_openapi::api::apps::v1::{
    StatefulSet, StatefulSetPersistentVolumeClaimRetentionPolicy, StatefulSetSpec,
    StatefulSetUpdateStrategy,
};
use k8s_openapi::api::core::v1::{
    PersistentVolumeClaim, PersistentVolumeClaimSpec, PodTemplateSpec, VolumeResourceRequirements,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::{Component, Platform, component_name, labels, pod};

/// Runs pods that keep data on a volume of their own. They start all at once,
/// because a quorum of them is needed before any can serve, and are updated one
/// by one.
pub(super) fn stateful_set(
    cluster: &PyroscopeCluster,
    platform: &Platform,
    component: Component,
    template: PodTemplateSpec,
) -> StatefulSet {
    let persistence = persistence(cluster, component);
    StatefulSet {
        metadata: labels::meta(cluster, component_name(cluster, component), Some(component)),
        spec: Some(StatefulSetSpec {
            replicas: Some(component.replicas(cluster)),
            service_name: Some(component_name(cluster, component)),
            selector: labels::label_selector(cluster, component),
            pod_management_policy: Some("Parallel".to_owned()),
            update_strategy: Some(StatefulSetUpdateStrategy {
                type_: Some("RollingUpdate".to_owned()),
                ..StatefulSetUpdateStrategy::default()
            }),
            persistent_volume_claim_retention_policy: platform.claim_retention.then(|| {
                StatefulSetPersistentVolumeClaimRetentionPolicy {
                    when_deleted: Some(persistence.when_deleted.as_str().to_owned()),
                    when_scaled: Some(persistence.when_scaled.as_str().to_owned()),
                }
            }),
            volume_claim_templates: Some(vec![claim(cluster, component, persistence)]),
            template,
            ..StatefulSetSpec::default()
        }),
        ..StatefulSet::default()
    }
}

fn persistence(cluster: &PyroscopeCluster, component: Component) -> &Persistence {
    match component {
        Component::Monolithic => &cluster.spec.monolithic.persistence,
        _ => &cluster.spec.ingester.persistence,
    }
}

fn claim(
    cluster: &PyroscopeCluster,
    component: Component,
    persistence: &Persistence,
) -> PersistentVolumeClaim {
    let storage_class = &persistence.storage_class;
    PersistentVolumeClaim {
        metadata: ObjectMeta {
            name: Some(pod::DATA.to_owned()),
            labels: Some(labels::labels(cluster, Some(component))),
            ..ObjectMeta::default()
        },
        spec: Some(PersistentVolumeClaimSpec {
            access_modes: Some(vec!["ReadWriteOnce".to_owned()]),
            resources: Some(VolumeResourceRequirements {
                requests: Some(BTreeMap::from([(
                    "storage".to_owned(),
                    Quantity(persistence.size.clone()),
                )])),
                ..VolumeResourceRequirements::default()
            }),
            storage_class_name: (!storage_class.is_empty()).then(|| storage_class.clone()),
            ..PersistentVolumeClaimSpec::default()
        }),
        ..PersistentVolumeClaim::default()
    }
}
