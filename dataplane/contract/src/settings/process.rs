//! Settings of the process as a whole, its disks and its tenants.

use super::{Effect, Kind, Setting, sets};

/// The settings.
pub(super) const SETTINGS: &[Setting] = &[
    sets(
        "target",
        "target",
        Kind::Targets,
        "Components to run: all, or a comma-separated list of distributor, ingester, querier.",
    ),
    starts(
        "config.file",
        Kind::Commas,
        "YAML file with the configuration, or several, of which later ones win; flags win over all.",
    ),
    starts(
        "config.expand-env",
        Kind::Bool,
        "Replaces ${VAR} and ${VAR:default} in the configuration file by environment variables.",
    ),
    starts(
        "config.verify",
        Kind::Bool,
        "Checks flags and configuration file, says what is wrong and ends.",
    ),
    starts(
        "modules",
        Kind::Bool,
        "Lists the components and ends; those with * run with -target=all.",
    ),
    starts("version", Kind::Bool, "Prints the version and ends."),
    starts(
        "help",
        Kind::Bool,
        "Prints the flags with a meaning here and ends.",
    ),
    starts("h", Kind::Bool, "Does what -help does."),
    starts("help-all", Kind::Bool, "Prints every known flag and ends."),
    sets(
        "auth.multitenancy-enabled",
        "multitenancy_enabled",
        Kind::Bool,
        "Requires the tenant in the X-Scope-OrgID header of each request; otherwise all data belongs to the tenant anonymous.",
    ),
    sets(
        "runtime-config.file",
        "runtime_config.file",
        Kind::List,
        "YAML file with limits of single tenants under overrides, or several, of which later ones win; read again while the process runs.",
    ),
    sets(
        "runtime-config.reload-period",
        "runtime_config.period",
        Kind::Duration,
        "Time between two looks at the files of -runtime-config.file.",
    ),
    sets(
        "shutdown-delay",
        "shutdown_delay",
        Kind::Duration,
        "How long the process goes on serving, but not ready, between the signal to stop and stopping.",
    ),
    sets(
        "distributor.push.timeout",
        "distributor.pushtimeout",
        Kind::Duration,
        "How long one write to one ingester may take.",
    ),
    sets(
        "ingester.max-head-bytes",
        "ingester.max_head_bytes",
        Kind::SIZE,
        "Memory budget of the profiles an ingester keeps in memory, in bytes; above it writes are refused. Not a flag of Grafana Pyroscope.",
    ),
    sets(
        "pyroscopedb.data-path",
        "pyroscopedb.data_path",
        Kind::Text,
        "Directory of the write-ahead log and other local data.",
    ),
];

const fn starts(flag: &'static str, kind: Kind, help: &'static str) -> Setting {
    Setting {
        flag,
        path: "",
        kind,
        effect: Effect::Starts,
        help,
    }
}
