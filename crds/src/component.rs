use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Affinity, EnvVar, ResourceRequirements, Toleration, TopologySpreadConstraint,
};
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::schema;

/// Ingesters: pods that keep profiles on a volume of their own.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Ingester {
    /// Number of pods. It can be raised at any time; it cannot be lowered in
    /// this version.
    #[serde(default = "three")]
    #[schemars(range(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new("self >= oldSelf").message(NOT_LOWERED))]
    pub replicas: i32,

    /// The volume of each pod.
    #[serde(default)]
    pub persistence: Persistence,

    #[serde(flatten)]
    pub pod: PodSettings,
}

impl Default for Ingester {
    fn default() -> Self {
        Self {
            replicas: three(),
            persistence: Persistence::default(),
            pod: PodSettings::default(),
        }
    }
}

/// Pods that run every component and keep profiles on a volume of their own.
#[derive(KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Monolithic {
    /// Number of pods. It can be raised at any time; it cannot be lowered in
    /// this version.
    #[serde(default = "one")]
    #[schemars(range(min = 1, max = 1000))]
    #[x_kube(validation = Rule::new("self >= oldSelf").message(NOT_LOWERED))]
    pub replicas: i32,

    /// The volume of each pod.
    #[serde(default)]
    pub persistence: Persistence,

    #[serde(flatten)]
    pub pod: PodSettings,
}

impl Default for Monolithic {
    fn default() -> Self {
        Self {
            replicas: one(),
            persistence: Persistence::default(),
            pod: PodSettings::default(),
        }
    }
}

/// Why pods with volumes are never removed.
const NOT_LOWERED: &str = "replicas cannot be lowered in this version: profiles that only the removed pods hold would become unreadable";

/// Pods that keep nothing.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Stateless {
    /// Number of pods.
    #[serde(default = "two")]
    #[schemars(range(min = 1, max = 1000))]
    pub replicas: i32,

    #[serde(flatten)]
    pub pod: PodSettings,
}

impl Default for Stateless {
    fn default() -> Self {
        Self {
            replicas: two(),
            pod: PodSettings::default(),
        }
    }
}

/// The volume of each pod.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Persistence {
    /// Size of each volume, for example `10Gi`. It can grow where the storage
    /// class allows that, and never shrinks.
    #[serde(default = "size")]
    #[schemars(length(min = 1, max = 32))]
    #[x_kube(validation = Rule::new("isQuantity(self) && quantity(self).isGreaterThan(quantity('0'))").message("persistence.size must be a positive quantity such as 10Gi"))]
    #[x_kube(validation = Rule::new("!isQuantity(self) || !isQuantity(oldSelf) || quantity(self).compareTo(quantity(oldSelf)) >= 0").message("persistence.size cannot shrink: volumes only grow"))]
    pub size: String,
    /// Storage class of the volumes. Empty means the default class of the
    /// Kubernetes cluster. Immutable.
    #[serde(default)]
    #[schemars(length(max = 253))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("persistence.storageClass is immutable: a volume cannot move to another class"))]
    pub storage_class: String,
    /// What becomes of the volumes of pods that a lower replica count removes.
    #[serde(default)]
    pub when_scaled: ClaimPolicy,
    /// What becomes of the volumes when the cluster is deleted.
    #[serde(default)]
    pub when_deleted: ClaimPolicy,
}

impl Default for Persistence {
    fn default() -> Self {
        Self {
            size: size(),
            storage_class: String::new(),
            when_scaled: ClaimPolicy::Retain,
            when_deleted: ClaimPolicy::Retain,
        }
    }
}

/// What becomes of a volume that is no longer used.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum ClaimPolicy {
    #[default]
    Retain,
    Delete,
}

impl ClaimPolicy {
    /// Returns the name that Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Retain => "Retain",
            Self::Delete => "Delete",
        }
    }
}

/// Settings that the pods of every component have.
#[derive(KubeSchema, Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PodSettings {
    /// CPU and memory that each pod requests and is limited to.
    #[serde(default, skip_serializing_if = "schema::is_default")]
    #[schemars(schema_with = "schema::kubernetes::<ResourceRequirements>")]
    pub resources: ResourceRequirements,
    /// Scheduling rules of the pods. Left out, pods of the same component
    /// prefer different nodes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::kubernetes_optional::<Affinity>")]
    pub affinity: Option<Affinity>,
    /// Taints that the pods tolerate.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::kubernetes_list::<Toleration>")]
    pub tolerations: Vec<Toleration>,
    /// Labels that a node must have to run the pods.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub node_selector: BTreeMap<String, String>,
    /// How the pods spread over zones or other topology domains.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::kubernetes_list::<TopologySpreadConstraint>")]
    pub topology_spread: Vec<TopologySpreadConstraint>,
    /// Further command-line flags, by name without the dash, for example
    /// `{log.level: debug}`. Flags that the operator sets are refused.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend("maxProperties" = 64))]
    #[x_kube(validation = Rule::new("self.all(flag, !flag.startsWith('-') && !(flag in ['target', 'config.file', 'memberlist.advertise-addr', 'memberlist.cluster-label', 'memberlist.join', 'ingester.lifecycler.ID', 'ingester.lifecycler.addr', 'distributor.replication-factor', 'ingester.unregister-on-shutdown', 'ingester.tokens-file-path', 'pyroscopedb.data-path', 'server.http-listen-port']))").message("extraArgs takes flag names without the leading dash, and not the flags that the operator sets (target, config file, addresses, cluster label, join, replication factor, paths, port)"))]
    pub extra_args: BTreeMap<String, String>,
    /// Further environment variables of the container.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::kubernetes_list::<EnvVar>")]
    pub extra_env: Vec<EnvVar>,
}

fn three() -> i32 {
    3
}

fn one() -> i32 {
    1
}

fn two() -> i32 {
    2
}

fn size() -> String {
    "10Gi".to_owned()
}
