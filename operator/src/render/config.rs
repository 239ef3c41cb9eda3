use std::collections::BTreeMap;

use contract::error::{Error, Errors, Place};
use contract::{Config, Duration};
use crds::PyroscopeCluster;
use k8s_openapi::api::core::v1::ConfigMap;
use serde_json::{Map, Value};

use super::pod::DATA_PATH;
use super::{Component, labels, service};

/// Name of the configuration file.
pub(super) const FILE: &str = "config.yaml";

/// Settings that follow from other fields of the specification, as paths.
const OWNED: [&str; 22] = [
    "target",
    "multitenancy_enabled",
    "server.http_listen_address",
    "server.http_listen_port",
    "ingester.lifecycler.id",
    "ingester.lifecycler.address",
    "ingester.lifecycler.port",
    "ingester.lifecycler.num_tokens",
    "ingester.lifecycler.heartbeat_period",
    "ingester.lifecycler.tokens_file_path",
    "ingester.lifecycler.unregister_on_shutdown",
    "ingester.lifecycler.ring",
    "memberlist.node_name",
    "memberlist.advertise_addr",
    "memberlist.advertise_port",
    "memberlist.bind_addr",
    "memberlist.bind_port",
    "memberlist.cluster_label",
    "memberlist.cluster_label_verification_disabled",
    "memberlist.join_members",
    "pyroscopedb.data_path",
    "storage",
];

/// Why a specification has no configuration.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ConfigError {
    #[error("spec.config.{0} is set by the operator and cannot be changed here")]
    Owned(String),
    #[error("spec.config does not fit the data plane's configuration: {0}")]
    Misfit(String),
    #[error("spec.ring.{field} is not a duration: {reason}")]
    Duration { field: &'static str, reason: String },
    #[error("the flags of the {component} do not fit the data plane: {reason}")]
    Flags {
        component: &'static str,
        reason: String,
    },
}

/// Returns the name of the configuration's ConfigMap.
pub(super) fn name(cluster: &PyroscopeCluster) -> String {
    format!("{}-config", labels::name(cluster))
}

/// Returns the object that holds the configuration of every pod.
pub(super) fn config_map(cluster: &PyroscopeCluster, yaml: &str) -> ConfigMap {
    ConfigMap {
        metadata: labels::meta(cluster, name(cluster), None),
        data: Some(BTreeMap::from([(FILE.to_owned(), yaml.to_owned())])),
        ..ConfigMap::default()
    }
}

/// Returns the configuration file of every pod, which the data plane has accepted.
pub(super) fn yaml(cluster: &PyroscopeCluster) -> Result<String, ConfigError> {
    let own = own(cluster)?;
    let overlay = &cluster.spec.config;
    if overlay.is_empty() {
        return checked(&own.to_yaml_minimal());
    }
    if let Some(path) = OWNED.iter().find(|path| contains(overlay, path)) {
        return Err(ConfigError::Owned((*path).to_owned()));
    }
    // By itself first, so that an error speaks of nothing else.
    checked(&text(overlay)?)?;
    let mut merged = serde_json::to_value(own).map_err(misfit)?;
    merge(&mut merged, overlay);
    checked(&text(&merged)?)
}

/// Returns a configuration in its shortest form, if the data plane takes it.
fn checked(yaml: &str) -> Result<String, ConfigError> {
    match Config::from_yaml(yaml) {
        Ok((config, _)) => Ok(config.to_yaml_minimal()),
        Err(errors) => Err(ConfigError::Misfit(joined(errors))),
    }
}

/// Checks the flags of a component together with its configuration file, as its
/// pods will.
pub(super) fn check_flags(
    component: Component,
    args: &[String],
    yaml: &str,
) -> Result<(), ConfigError> {
    let args: Vec<String> = args.iter().map(|arg| filled_in(arg)).collect();
    contract::args::parse(&args, &|_| None, &|_| Ok(yaml.to_owned()))
        .map(drop)
        .map_err(|errors| ConfigError::Flags {
            component: component.as_str(),
            reason: joined(errors),
        })
}

/// Returns a flag as one pod gets it: the kubelet fills in what differs from pod to
/// pod.
pub(super) fn filled_in(arg: &str) -> String {
    arg.replace("$(POD_IP)", "192.0.2.1")
        .replace("$(POD_NAME)", "pod-0")
}

/// Writes errors on one line, without their places: the user's text has others.
fn joined(errors: Errors) -> String {
    let lines: Vec<_> = errors
        .0
        .into_iter()
        .map(|it| placeless(it).to_string())
        .collect();
    lines.join("; ")
}

fn placeless(mut error: Error) -> Error {
    match &mut error {
        Error::UnknownKey { place, .. }
        | Error::BadValue { place, .. }
        | Error::NotSupported { place, .. } => {
            if let Place::Key { file, at, .. } = place {
                file.clear();
                *at = None;
            }
        }
        _ => {}
    }
    error
}

fn text(tree: &impl serde::Serialize) -> Result<String, ConfigError> {
    serde_saphyr::to_string(tree).map_err(misfit)
}

fn misfit(error: impl std::fmt::Display) -> ConfigError {
    ConfigError::Misfit(error.to_string())
}

/// Returns what the specification's own fields say.
fn own(cluster: &PyroscopeCluster) -> Result<Config, ConfigError> {
    let spec = &cluster.spec;
    let mut config = Config {
        multitenancy_enabled: spec.tenancy.enabled,
        ..Config::default()
    };
    config.pyroscopedb.data_path = DATA_PATH.to_owned();
    config.storage.filesystem.dir = spec.storage.filesystem.dir.clone();

    let lifecycler = &mut config.ingester.lifecycler;
    lifecycler.num_tokens = usize::try_from(spec.ring.tokens).unwrap_or_default();
    lifecycler.heartbeat_period = duration("heartbeat", &spec.ring.heartbeat)?;
    lifecycler.tokens_file_path = format!("{DATA_PATH}/tokens");
    // A restarted ingester comes back with its data; its place in the ring waits for it.
    lifecycler.unregister_on_shutdown = false;
    // The kubelet's readiness probe repeats, so that a pause adds nothing.
    lifecycler.min_ready_duration = Duration::from_secs(1);
    // After a loss of all ingesters each must become ready without the others.
    lifecycler.readiness_check_ring_health = false;
    lifecycler.ring.heartbeat_timeout = duration("heartbeatTimeout", &spec.ring.heartbeat_timeout)?;
    lifecycler.ring.replication_factor =
        usize::try_from(spec.replication_factor).unwrap_or_default();

    let memberlist = &mut config.memberlist;
    // Addresses of pods are used again: without a label of its own, a cluster could
    // gossip with another.
    memberlist.cluster_label = format!("{}.{}", labels::namespace(cluster), labels::name(cluster));
    memberlist.join_members = vec![service::join_address(cluster)];
    // Heals a ring that a network partition split for longer than dead nodes are remembered.
    memberlist.rejoin_interval = Duration::from_secs(60);
    Ok(config)
}

fn contains(overlay: &Map<String, Value>, path: &str) -> bool {
    match path.split_once('.') {
        None => overlay.contains_key(path),
        Some((key, rest)) => overlay
            .get(key)
            .and_then(Value::as_object)
            .is_some_and(|section| contains(section, rest)),
    }
}

fn merge(base: &mut Value, overlay: &Map<String, Value>) {
    for (key, value) in overlay {
        let slot = &mut base[key];
        match value {
            Value::Object(section) if slot.is_object() => merge(slot, section),
            value => *slot = value.clone(),
        }
    }
}

fn duration(field: &'static str, text: &str) -> Result<Duration, ConfigError> {
    text.parse().map_err(
        |error: contract::duration::ParseDurationError| ConfigError::Duration {
            field,
            reason: error.to_string(),
        },
    )
}
