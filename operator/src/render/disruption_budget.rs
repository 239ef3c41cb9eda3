use crds::PyroscopeCluster;
use k8s_openapi::api::policy::v1::{PodDisruptionBudget, PodDisruptionBudgetSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Component, component_name, labels};

/// Lets evictions take one pod of a component at a time, so that draining nodes
/// never takes a quorum.
pub(super) fn disruption_budget(
    cluster: &PyroscopeCluster,
    component: Component,
) -> PodDisruptionBudget {
    PodDisruptionBudget {
        metadata: labels::meta(cluster, component_name(cluster, component), Some(component)),
        spec: Some(PodDisruptionBudgetSpec {
            max_unavailable: Some(IntOrString::Int(1)),
            selector: Some(labels::label_selector(cluster, component)),
            ..PodDisruptionBudgetSpec::default()
        }),
        ..PodDisruptionBudget::default()
    }
}
