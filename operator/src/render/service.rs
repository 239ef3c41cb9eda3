use crds::{Endpoints, Mode, PyroscopeCluster};
use k8s_openapi::api::core::v1::{Service, ServicePort, ServiceSpec};
use k8s_openapi::apimachinery::pkg::util::intstr::IntOrString;

use super::{Component, component_name, labels};

/// Name of the HTTP and gRPC port of every pod.
pub(super) const HTTP: &str = "http";
/// Name of the gossip port of every pod, and of the SRV record that pods join by.
pub(super) const GOSSIP: &str = "tcp-gossip";

/// Returns the name by which the data plane finds its seeds: the SRV record of
/// the gossip port.
pub(super) fn join_address(cluster: &PyroscopeCluster) -> String {
    format!(
        "dnssrv+_{GOSSIP}._tcp.{}",
        host(cluster, &gossip_name(cluster))
    )
}

/// Returns the addresses that clients use.
pub(crate) fn endpoints(cluster: &PyroscopeCluster) -> Endpoints {
    let url = |name: &str| format!("http://{}:{}", host(cluster, name), contract::ports::HTTP);
    Endpoints {
        push: url(labels::name(cluster)),
        query: url(&query_name(cluster)),
    }
}

/// Finds every pod, ready or not: a pod must join before it can become ready.
pub(super) fn gossip(cluster: &PyroscopeCluster) -> Service {
    let mut service = build(cluster, gossip_name(cluster), None);
    let spec = service.spec.get_or_insert_default();
    spec.cluster_ip = Some("None".to_owned());
    spec.publish_not_ready_addresses = Some(true);
    spec.ports = Some(vec![port(GOSSIP, contract::ports::GOSSIP)]);
    service
}

/// Takes pushes, for the distributors.
pub(super) fn push(cluster: &PyroscopeCluster) -> Service {
    let component = match cluster.spec.mode {
        Mode::Microservices => Component::Distributor,
        Mode::Monolithic => Component::Monolithic,
    };
    build(cluster, labels::name(cluster).to_owned(), Some(component))
}

/// Takes queries, for the queriers.
pub(super) fn query(cluster: &PyroscopeCluster) -> Service {
    let component = match cluster.spec.mode {
        Mode::Microservices => Component::Querier,
        Mode::Monolithic => Component::Monolithic,
    };
    build(cluster, query_name(cluster), Some(component))
}

/// Gives each pod of a component a name.
pub(super) fn headless(cluster: &PyroscopeCluster, component: Component) -> Service {
    let mut service = build(cluster, component_name(cluster, component), Some(component));
    let spec = service.spec.get_or_insert_default();
    spec.cluster_ip = Some("None".to_owned());
    service
}

fn build(cluster: &PyroscopeCluster, name: String, component: Option<Component>) -> Service {
    Service {
        metadata: labels::meta(cluster, name, component),
        spec: Some(ServiceSpec {
            type_: Some("ClusterIP".to_owned()),
            selector: Some(labels::match_labels(cluster, component)),
            ports: Some(vec![port(HTTP, contract::ports::HTTP)]),
            ..ServiceSpec::default()
        }),
        ..Service::default()
    }
}

fn port(name: &str, number: u16) -> ServicePort {
    ServicePort {
        name: Some(name.to_owned()),
        port: i32::from(number),
        target_port: Some(IntOrString::String(name.to_owned())),
        protocol: Some("TCP".to_owned()),
        ..ServicePort::default()
    }
}

fn gossip_name(cluster: &PyroscopeCluster) -> String {
    format!("{}-gossip", labels::name(cluster))
}

fn query_name(cluster: &PyroscopeCluster) -> String {
    format!("{}-query", labels::name(cluster))
}

fn host(cluster: &PyroscopeCluster, service: &str) -> String {
    let namespace = labels::namespace(cluster);
    format!("{service}.{namespace}.svc.{}", cluster.spec.cluster_domain)
}
