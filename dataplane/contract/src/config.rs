//! The configuration of one process: the struct tree behind the YAML file and the flags.
//!
//! Field names are the YAML keys of Grafana Pyroscope v1, defaults are its defaults.
//! [`crate::settings`] says which flag sets which field.

mod distributor;
mod ingester;
mod limits;
mod memberlist;
mod relabel;
mod secret;
mod server;
mod storage;
mod storage_rules;
mod target;
mod text;
mod validate;

use serde::{Deserialize, Serialize};

pub use distributor::{Distributor, DistributorRing, HandOff, InstanceLimits};
pub use ingester::{Ingester, KvStore, Lifecycler, Ring};
pub use limits::Limits;
pub use memberlist::{Memberlist, PropagationDelayTracker, ZoneAwareRouting};
pub use relabel::{RelabelAction, RelabelRule};
pub(crate) use relabel::{rules_of_nodes, rules_of_text};
pub(crate) use secret::MASK;
pub use secret::Secret;
pub use server::{LogFormat, LogLevel, Server};
pub use storage::{Azure, Filesystem, Gcs, S3, S3Sse, Storage, StorageHttp};
pub(crate) use target::split;
pub use target::{CommaList, ParseTargetError, Target, Targets};
pub(crate) use text::overrides_to_yaml;

use crate::duration::Duration;

/// The whole configuration of a `pyroscope` process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Components that the process runs.
    pub target: Targets,
    /// Whether requests must name their tenant; otherwise all belong to `anonymous`.
    pub multitenancy_enabled: bool,
    /// How long the process goes on serving between the signal to stop and stopping.
    pub shutdown_delay: Duration,
    /// Listener and logging.
    pub server: Server,
    /// The write path's first half.
    pub distributor: Distributor,
    /// The write path's second half and its ring entry.
    pub ingester: Ingester,
    /// Gossip.
    pub memberlist: Memberlist,
    /// Limits of every tenant.
    pub limits: Limits,
    /// Files with limits of single tenants.
    pub runtime_config: RuntimeConfig,
    /// Local disk.
    pub pyroscopedb: PyroscopeDb,
    /// Long-term storage.
    pub storage: Storage,
}

/// Files that are read again while the process runs; [`crate::overrides`] says what is in them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RuntimeConfig {
    /// The files, of which later ones win; none is no overrides.
    pub file: Vec<String>,
    /// Time between two looks at the files.
    pub period: Duration,
}

/// Settings of the ingester's local disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct PyroscopeDb {
    /// Directory of the write-ahead log and of blocks that are not uploaded yet.
    pub data_path: String,
}

impl Default for RuntimeConfig {
    fn default() -> Self {
        Self {
            file: Vec::new(),
            period: Duration::from_secs(10),
        }
    }
}

impl Default for PyroscopeDb {
    fn default() -> Self {
        Self {
            data_path: "./data".to_owned(),
        }
    }
}
