//! The `PyroscopeCluster` API: specification, status, schema defaults and the
//! validation rules that the API server enforces, with the manifest generated
//! from them in `pyroscope-operator.dev_pyroscopeclusters.yaml`.

// `KubeSchema` expands to a public copy of each struct inside a function.
#![allow(unreachable_pub)]

mod cluster;
mod component;
mod manifest;
mod schema;
mod status;

pub use cluster::{
    FilesystemStorage, Image, Mode, PullPolicy, PyroscopeCluster, PyroscopeClusterSpec, Ring,
    ServiceAccount, Storage, Tenancy,
};
pub use component::{ClaimPolicy, Ingester, Monolithic, Persistence, PodSettings, Stateless};
pub use manifest::{ManifestError, manifest};
pub use status::{
    ComponentStatus, Endpoints, InstanceStatus, MemberCounts, Ownership, Phase,
    PyroscopeClusterStatus, RingStatus,
};

/// API group of the resources in this crate.
pub const GROUP: &str = "pyroscope-operator.dev";
