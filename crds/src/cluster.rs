use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::component::{Ingester, Monolithic, Stateless};
use crate::schema;
use crate::status::PyroscopeClusterStatus;

/// Describes a Pyroscope cluster: which processes run, how many copies of each
/// profile they keep, and where the data lives.
#[derive(CustomResource, KubeSchema, Clone, Debug, PartialEq, Deserialize, Serialize)]
#[kube(
    group = "pyroscope-operator.dev",
    version = "v1alpha1",
    kind = "PyroscopeCluster",
    plural = "pyroscopeclusters",
    namespaced,
    status = "PyroscopeClusterStatus",
    derive = "PartialEq",
    shortname = "pyc",
    shortname = "pycs",
    category = "observability",
    cel,
    doc = "A Pyroscope cluster: a store for continuous profiles whose ingesters find each other by gossip, share a token ring and keep several copies of each profile.",
    scale(
        spec_replicas_path = ".spec.ingester.replicas",
        status_replicas_path = ".status.replicas",
        label_selector_path = ".status.selector"
    ),
    printcolumn(name = "Mode", type_ = "string", json_path = ".spec.mode", description = "How the components are laid out over pods."),
    printcolumn(name = "Phase", type_ = "string", json_path = ".status.phase", description = "What the cluster is doing now."),
    printcolumn(name = "Ready", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].status", description = "Whether every component serves."),
    printcolumn(name = "RF", type_ = "integer", json_path = ".spec.replicationFactor", description = "Copies kept of each profile."),
    printcolumn(name = "Ring", type_ = "string", json_path = ".status.ring.display", description = "Active ring members of those wanted."),
    printcolumn(name = "Version", type_ = "string", json_path = ".status.version", description = "Version that the pods report."),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(name = "Push", type_ = "string", json_path = ".status.endpoints.push", priority = 1, description = "Where agents push profiles."),
    printcolumn(name = "Query", type_ = "string", json_path = ".status.endpoints.query", priority = 1, description = "Where Grafana queries profiles."),
    printcolumn(name = "Message", type_ = "string", json_path = ".status.conditions[?(@.type==\"Ready\")].message", priority = 1, description = "Why the cluster is ready or not."),
    validation = Rule::new("self.metadata.name.size() <= 40")
        .message("metadata.name must be at most 40 characters, because the names of pods and services are derived from it"),
    validation = Rule::new("self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')")
        .message("metadata.name must be a DNS label: lowercase letters, digits and '-', starting with a letter"),
)]
#[x_kube(
    validation = Rule::new("self.mode != 'Microservices' || self.replicationFactor <= self.ingester.replicas")
        .message("replicationFactor must not exceed ingester.replicas: each copy of a profile lives on an ingester of its own")
        .field_path(".replicationFactor"),
    validation = Rule::new("self.mode != 'Monolithic' || self.replicationFactor <= self.monolithic.replicas")
        .message("replicationFactor must not exceed monolithic.replicas: each copy of a profile lives on a pod of its own")
        .field_path(".replicationFactor")
)]
#[serde(rename_all = "camelCase")]
pub struct PyroscopeClusterSpec {
    /// How the components are laid out over pods. `Microservices` runs
    /// distributors, ingesters and queriers in pods of their own, which scale
    /// apart from each other. `Monolithic` runs all of them in each pod.
    /// Immutable.
    #[serde(default)]
    #[x_kube(validation = Rule::new("self == oldSelf").message("mode is immutable: create another cluster to change it"))]
    pub mode: Mode,

    /// Container image of the data plane. Left out, the image that the operator
    /// was installed with is used.
    #[serde(default, skip_serializing_if = "schema::is_default")]
    pub image: Image,

    /// DNS domain of the Kubernetes cluster, in which pods look each other up.
    /// Immutable.
    #[serde(default = "cluster_domain")]
    #[schemars(
        length(min = 1, max = 253),
        regex(pattern = r"^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    #[x_kube(validation = Rule::new("self == oldSelf").message("clusterDomain is immutable: pods on both sides of a change would not find each other"))]
    pub cluster_domain: String,

    /// Number of ingesters that keep a copy of each profile: 1, 3 or 5. A write
    /// succeeds when more than half of them have it on disk, so 3 copies survive
    /// the loss of one ingester, and 5 the loss of two. Cannot be changed while
    /// the cluster lives.
    #[serde(default = "replication_factor")]
    #[x_kube(validation = Rule::new("self in [1, 3, 5]").message("replicationFactor must be 1, 3 or 5: an even number adds a copy without surviving one more loss"))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("replicationFactor cannot be changed on a live cluster in this version: while pods disagree about it, acknowledged profiles could be left out of answers; create another cluster instead"))]
    pub replication_factor: i32,

    /// The token ring that says which ingesters own which profiles.
    #[serde(default)]
    pub ring: Ring,

    /// Where profiles are kept.
    #[serde(default)]
    pub storage: Storage,

    /// Separation of tenants.
    #[serde(default)]
    pub tenancy: Tenancy,

    /// Ingesters: they write profiles to a log on their volume before a push is
    /// acknowledged, and answer queries for them. Used in mode `Microservices`.
    #[serde(default)]
    pub ingester: Ingester,

    /// Distributors: they take pushes, check them and write each profile to the
    /// ingesters that own it. Used in mode `Microservices`.
    #[serde(default)]
    pub distributor: Stateless,

    /// Queriers: they ask the ingesters and merge their answers. Used in mode
    /// `Microservices`.
    #[serde(default)]
    pub querier: Stateless,

    /// The pods of mode `Monolithic`, each of which runs every component.
    #[serde(default)]
    pub monolithic: Monolithic,

    /// The service account that the pods run as.
    #[serde(default, skip_serializing_if = "schema::is_default")]
    pub service_account: ServiceAccount,

    /// Further settings of the data plane, in the form of its configuration file
    /// (for example `{limits: {ingestion_rate_mb: 8}}`). They are merged over
    /// what the operator renders; settings that the operator owns (addresses,
    /// ring, replication, paths) are refused and reported in the condition
    /// `ConfigValid`.
    #[serde(default, skip_serializing_if = "schema::is_default")]
    #[schemars(schema_with = "schema::free_form")]
    pub config: serde_json::Map<String, serde_json::Value>,
}

/// How the components are laid out over pods.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum Mode {
    #[default]
    Microservices,
    Monolithic,
}

/// Container image of the data plane.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Image {
    /// Repository, for example `ghcr.io/example/pyroscope`. Empty means the
    /// repository of the operator's default image.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 512))]
    pub repository: String,
    /// Tag, or a digest written as `sha256:…`. Empty means the tag of the
    /// operator's default image, or `latest` with another repository.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 128))]
    pub tag: String,
    /// When the kubelet pulls the image.
    pub pull_policy: PullPolicy,
    /// Names of Secrets in the cluster's namespace that hold registry
    /// credentials.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = 16))]
    pub pull_secrets: Vec<String>,
}

/// When the kubelet pulls the image.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[schemars(inline)]
pub enum PullPolicy {
    Always,
    #[default]
    IfNotPresent,
    Never,
}

impl PullPolicy {
    /// Returns the name that Kubernetes uses.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Always => "Always",
            Self::IfNotPresent => "IfNotPresent",
            Self::Never => "Never",
        }
    }
}

/// The token ring.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[x_kube(validation = Rule::new("duration(self.heartbeatTimeout) >= duration(self.heartbeat) + duration(self.heartbeat) + duration(self.heartbeat)")
    .message("heartbeatTimeout must be at least three times heartbeat, so that one lost heartbeat does not make an ingester unhealthy")
    .field_path(".heartbeatTimeout"))]
#[serde(rename_all = "camelCase")]
pub struct Ring {
    /// Tokens that each ingester owns. More tokens spread profiles more evenly.
    /// Immutable.
    #[serde(default = "tokens")]
    #[schemars(range(min = 1, max = 4096))]
    #[x_kube(validation = Rule::new("self == oldSelf").message("ring.tokens is immutable: ingesters keep the tokens they were given"))]
    pub tokens: i32,
    /// How often each ingester tells the others that it lives.
    #[serde(default = "heartbeat")]
    #[schemars(schema_with = "schema::duration")]
    pub heartbeat: String,
    /// Silence after which an ingester counts as unhealthy and is left out of
    /// writes.
    #[serde(default = "heartbeat_timeout")]
    #[schemars(schema_with = "schema::duration")]
    pub heartbeat_timeout: String,
}

impl Default for Ring {
    fn default() -> Self {
        Self {
            tokens: tokens(),
            heartbeat: heartbeat(),
            heartbeat_timeout: heartbeat_timeout(),
        }
    }
}

/// Where profiles are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Storage {
    /// Keeps profiles in the file system of each ingester, on its persistent
    /// volume.
    pub filesystem: FilesystemStorage,
}

/// Keeps profiles in a file system.
#[derive(KubeSchema, Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FilesystemStorage {
    /// Directory of the store, below the volume mounted at `/data`. Immutable.
    #[serde(default = "filesystem_dir")]
    #[schemars(
        length(max = 256),
        regex(pattern = r"^/data/[A-Za-z0-9_-][A-Za-z0-9._-]*(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*$")
    )]
    #[x_kube(validation = Rule::new("self == oldSelf").message("storage.filesystem.dir is immutable: data already written would not be found"))]
    pub dir: String,
}

impl Default for FilesystemStorage {
    fn default() -> Self {
        Self {
            dir: filesystem_dir(),
        }
    }
}

/// Separation of tenants.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct Tenancy {
    /// Whether each request must name its tenant in the header
    /// `X-Scope-OrgID`. Otherwise all profiles belong to one tenant.
    pub enabled: bool,
}

/// The service account that the pods run as.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize, JsonSchema)]
#[serde(rename_all = "camelCase", default)]
pub struct ServiceAccount {
    /// Name of an existing service account. Empty means that the operator
    /// creates one with the name of the cluster. No token is mounted into pods.
    #[serde(skip_serializing_if = "String::is_empty")]
    #[schemars(length(max = 253))]
    pub name: String,
    /// Annotations of the service account that the operator creates.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

fn cluster_domain() -> String {
    "cluster.local".to_owned()
}

fn replication_factor() -> i32 {
    1
}

fn tokens() -> i32 {
    128
}

fn heartbeat() -> String {
    "5s".to_owned()
}

fn heartbeat_timeout() -> String {
    "1m".to_owned()
}

fn filesystem_dir() -> String {
    "/data/objects".to_owned()
}
