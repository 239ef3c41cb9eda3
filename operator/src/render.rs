//! What a cluster consists of: plain functions from its specification to
//! Kubernetes objects, without I/O.

mod config;
mod deployment;
mod disruption_budget;
mod image;
mod labels;
mod pod;
mod service;
mod service_account;
mod stateful_set;
#[cfg(test)]
mod tests;

use crds::{Mode, PodSettings, PyroscopeCluster};
use kube::Resource;
use serde::Serialize;

pub(crate) use config::ConfigError;
pub(crate) use image::reference as image_reference;
pub(crate) use labels::{INSTANCE, MANAGED_BY, MANAGER, selector};
pub(crate) use service::endpoints;

use crate::object::{Kind, Object};

/// What the operator's surroundings decide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Platform {
    /// Image of clusters that name none.
    pub(crate) default_image: String,
    /// Whether the API server knows `persistentVolumeClaimRetentionPolicy`.
    pub(crate) claim_retention: bool,
}

/// A group of pods that run the same components.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Component {
    Distributor,
    Ingester,
    Querier,
    Monolithic,
}

impl Component {
    /// Returns the components that run in a mode.
    pub(crate) fn of(mode: Mode) -> &'static [Self] {
        match mode {
            Mode::Microservices => &[Self::Distributor, Self::Ingester, Self::Querier],
            Mode::Monolithic => &[Self::Monolithic],
        }
    }

    /// Returns the component whose pods are members of the ring.
    pub(crate) fn in_ring(mode: Mode) -> Self {
        match mode {
            Mode::Microservices => Self::Ingester,
            Mode::Monolithic => Self::Monolithic,
        }
    }

    /// Returns the name in labels, object names and the status.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Distributor => "distributor",
            Self::Ingester => "ingester",
            Self::Querier => "querier",
            Self::Monolithic => "monolithic",
        }
    }

    /// Returns the value of `-target`.
    fn target(self) -> &'static str {
        match self {
            Self::Monolithic => "all",
            other => other.as_str(),
        }
    }

    /// Returns how many pods the specification wants.
    pub(crate) fn replicas(self, cluster: &PyroscopeCluster) -> i32 {
        let spec = &cluster.spec;
        match self {
            Self::Distributor => spec.distributor.replicas,
            Self::Ingester => spec.ingester.replicas,
            Self::Querier => spec.querier.replicas,
            Self::Monolithic => spec.monolithic.replicas,
        }
    }

    fn settings(self, cluster: &PyroscopeCluster) -> &PodSettings {
        let spec = &cluster.spec;
        match self {
            Self::Distributor => &spec.distributor.pod,
            Self::Ingester => &spec.ingester.pod,
            Self::Querier => &spec.querier.pod,
            Self::Monolithic => &spec.monolithic.pod,
        }
    }
}

/// Returns the objects that a cluster should have.
///
/// # Errors
///
/// Fails when `spec.config` or extra flags do not fit the data plane.
pub(crate) fn render(
    cluster: &PyroscopeCluster,
    platform: &Platform,
) -> Result<Vec<Object>, ConfigError> {
    let config = config::yaml(cluster)?;
    let mut objects = vec![
        object(Kind::ConfigMap, &config::config_map(cluster, &config)),
        object(Kind::Service, &service::gossip(cluster)),
        object(Kind::Service, &service::push(cluster)),
        object(Kind::Service, &service::query(cluster)),
    ];
    objects.extend(
        service_account::service_account(cluster).map(|it| object(Kind::ServiceAccount, &it)),
    );
    for component in Component::of(cluster.spec.mode) {
        config::check_flags(*component, &pod::args(cluster, *component), &config)?;
        let pods = pod::template(cluster, platform, *component, &config);
        let workload = match component {
            Component::Ingester | Component::Monolithic => object(
                Kind::StatefulSet,
                &stateful_set::stateful_set(cluster, platform, *component, pods),
            ),
            Component::Distributor | Component::Querier => object(
                Kind::Deployment,
                &deployment::deployment(cluster, *component, pods),
            ),
        };
        objects.push(workload);
        objects.push(object(
            Kind::Service,
            &service::headless(cluster, *component),
        ));
        objects.push(object(
            Kind::PodDisruptionBudget,
            &disruption_budget::disruption_budget(cluster, *component),
        ));
    }
    objects.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    Ok(objects)
}

fn object<K: Resource + Serialize>(kind: Kind, typed: &K) -> Object {
    Object {
        kind,
        name: typed.meta().name.clone().unwrap_or_default(),
        body: serde_json::to_value(typed).expect("Kubernetes objects have string keys"),
    }
}

/// Returns the name of the objects of one component.
pub(crate) fn component_name(cluster: &PyroscopeCluster, component: Component) -> String {
    format!("{}-{}", labels::name(cluster), component.as_str())
}
