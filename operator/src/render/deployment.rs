use crds::PyroscopeCluster;
use k8s_openapi::api::apps::v1::{
    Deployment, DeploymentSpec, DeploymentStrategy, RollingUpdateDeployment,
};
use k8s_openapi::api::core::v1::PodTemplateSpec;
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Component, component_name, labels};

/// Runs the pods of a component that keeps nothing. An update adds a pod before
/// it takes one away, so that clients always find one.
pub(super) fn deployment(
    cluster: &PyroscopeCluster,
    component: Component,
    template: PodTemplateSpec,
) -> Deployment {
    Deployment {
        metadata: labels::meta(cluster, component_name(cluster, component), Some(component)),
        spec: Some(DeploymentSpec {
            replicas: Some(component.replicas(cluster)),
            selector: labels::label_selector(cluster, component),
            strategy: Some(DeploymentStrategy {
                type_: Some("RollingUpdate".to_owned()),
                rolling_update: Some(RollingUpdateDeployment {
                    max_surge: Some(IntOrString::Int(1)),
                    max_unavailable: Some(IntOrString::Int(0)),
                }),
            }),
            template,
            ..DeploymentSpec::default()
        }),
        ..Deployment::default()
    }
}
