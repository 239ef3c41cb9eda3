use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What the operator last saw of a cluster.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PyroscopeClusterStatus {
    /// Generation of the specification that this status describes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// What the cluster is doing now.
    #[serde(default)]
    pub phase: Phase,
    /// Version that the pods report, or else the tag of their image.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub version: String,
    /// Number of ingester pods, for the scale subresource.
    #[serde(default)]
    pub replicas: i32,
    /// Label selector of the ingester pods, for the scale subresource.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub selector: String,
    /// Pods of each component.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub components: BTreeMap<String, ComponentStatus>,
    /// The token ring, as the pods themselves report it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ring: Option<RingStatus>,
    /// Addresses for clients inside the Kubernetes cluster.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoints: Option<Endpoints>,
    /// Standing of the cluster by aspect: Ready, Progressing, RingHealthy,
    /// ReplicationSatisfied and ConfigValid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".into()]))]
    #[schemars(schema_with = "crate::schema::kubernetes_list::<Condition>")]
    pub conditions: Vec<Condition>,
}

/// What a cluster is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum Phase {
    /// It has not been ready since it was created.
    #[default]
    Pending,
    /// Everything wanted is there and ready.
    Running,
    /// Pods are being added.
    Scaling,
    /// Pods are being replaced by others of a newer specification.
    Updating,
    /// It was ready and something is missing or unhealthy.
    Degraded,
}

impl Phase {
    /// Returns the name as it appears in the status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::Running => "Running",
            Self::Scaling => "Scaling",
            Self::Updating => "Updating",
            Self::Degraded => "Degraded",
        }
    }
}

/// Pods of one component.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ComponentStatus {
    /// Pods wanted.
    pub desired: i32,
    /// Pods that are ready.
    pub ready: i32,
    /// Pods that run the newest specification.
    pub updated: i32,
    /// Image that the pods are meant to run.
    pub image: String,
}

/// The token ring, as the pods themselves report it.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RingStatus {
    /// Hash of the members, their states and tokens. Pods that see the same ring
    /// have the same digest.
    #[serde(default)]
    pub digest: String,
    /// Active members of those wanted, for example `3/3`.
    #[serde(default)]
    pub display: String,
    /// Members by state.
    #[serde(default)]
    pub members: MemberCounts,
    /// Tokens of all members.
    #[serde(default)]
    pub tokens: i32,
    /// Smallest and largest share of the ring that one member owns.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ownership: Option<Ownership>,
    /// Pods that were asked for their view of the ring.
    #[serde(default)]
    pub asked: i32,
    /// Pods whose view is the one described here.
    #[serde(default)]
    pub agreeing: i32,
    /// The members, ordered by name; the first 100.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 100))]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["id".into()]))]
    pub instances: Vec<InstanceStatus>,
}

/// Ring members by state.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct MemberCounts {
    /// Members that take writes.
    pub active: i32,
    /// Members that have not chosen tokens yet.
    pub pending: i32,
    /// Members that wait until others know them.
    pub joining: i32,
    /// Members that are shutting down.
    pub leaving: i32,
    /// Members whose heartbeat is too old.
    pub unhealthy: i32,
}

/// Smallest and largest share of the ring that one member owns.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Ownership {
    /// Smallest share, for example `30.1%`.
    pub min: String,
    /// Largest share, for example `36.2%`.
    pub max: String,
}

/// One member of the ring.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct InstanceStatus {
    /// Name in the ring, which is that of the pod.
    pub id: String,
    /// ACTIVE, PENDING, JOINING, LEAVING or UNHEALTHY.
    #[serde(default)]
    pub state: String,
    /// Address that others reach the member at.
    #[serde(default)]
    pub address: String,
    /// Tokens that the member owns.
    #[serde(default)]
    pub tokens: i32,
}

/// Addresses for clients inside the Kubernetes cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Endpoints {
    /// Where agents push profiles.
    pub push: String,
    /// Where Grafana and other clients query profiles.
    pub query: String,
}
