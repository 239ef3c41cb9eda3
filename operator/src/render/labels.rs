use std::collections::BTreeMap;

use crds::PyroscopeCluster;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta};
use kube::Resource;

use super::Component;

/// Label that says which program keeps an object.
pub(crate) const MANAGED_BY: &str = "app.kubernetes.io/managed-by";
/// Value of [`MANAGED_BY`] of every object of every cluster.
pub(crate) const MANAGER: &str = "pyroscope-operator";
/// Label that names the cluster of an object.
pub(crate) const INSTANCE: &str = "app.kubernetes.io/instance";

const NAME: &str = "app.kubernetes.io/name";
const COMPONENT: &str = "app.kubernetes.io/component";

/// Returns the name of a cluster.
pub(super) fn name(cluster: &PyroscopeCluster) -> &str {
    cluster.metadata.name.as_deref().unwrap_or_default()
}

/// Returns the namespace of a cluster.
pub(super) fn namespace(cluster: &PyroscopeCluster) -> &str {
    cluster.metadata.namespace.as_deref().unwrap_or_default()
}

/// Returns the metadata of an object of a cluster, owned by it.
pub(super) fn meta(
    cluster: &PyroscopeCluster,
    name: String,
    component: Option<Component>,
) -> ObjectMeta {
    ObjectMeta {
        name: Some(name),
        namespace: cluster.metadata.namespace.clone(),
        labels: Some(labels(cluster, component)),
        owner_references: cluster.controller_owner_ref(&()).map(|owner| vec![owner]),
        ..ObjectMeta::default()
    }
}

/// Returns the labels of an object of a cluster.
pub(super) fn labels(
    cluster: &PyroscopeCluster,
    component: Option<Component>,
) -> BTreeMap<String, String> {
    let mut labels = match_labels(cluster, component);
    labels.insert(MANAGED_BY.to_owned(), MANAGER.to_owned());
    labels
}

/// Returns the labels by which pods of a cluster are found; `None` is all pods.
pub(super) fn match_labels(
    cluster: &PyroscopeCluster,
    component: Option<Component>,
) -> BTreeMap<String, String> {
    let mut labels = BTreeMap::from([
        (NAME.to_owned(), "pyroscope".to_owned()),
        (INSTANCE.to_owned(), name(cluster).to_owned()),
    ]);
    if let Some(component) = component {
        labels.insert(COMPONENT.to_owned(), component.as_str().to_owned());
    }
    labels
}

/// Returns the selector of a component's pods.
pub(super) fn label_selector(cluster: &PyroscopeCluster, component: Component) -> LabelSelector {
    LabelSelector {
        match_labels: Some(match_labels(cluster, Some(component))),
        ..LabelSelector::default()
    }
}

/// Returns the selector of a component's pods as text, for the scale subresource.
pub(crate) fn selector(cluster: &PyroscopeCluster, component: Component) -> String {
    let pairs: Vec<_> = match_labels(cluster, Some(component))
        .into_iter()
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    pairs.join(",")
}
