//! The membership machine, made from a node's settings.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use memberlist::{Address, Keyring, Machine, Nonces, Role, Timestamp, Zone};

use crate::config::{Compression, Config, Dialect, ZoneAwareRouting, ZoneRole};
use crate::{Delegate, GossipError};

/// Makes the machine of the node `name` at `address`.
///
/// # Errors
///
/// Names the first bad setting.
pub(crate) fn build(
    config: &Config,
    delegate: &dyn Delegate,
    name: &str,
    address: Address,
    seed: u64,
    now: Timestamp,
) -> Result<Machine, GossipError> {
    let mut settings = match config.dialect {
        Dialect::Dskit => memberlist::Config::new(name, address),
        Dialect::Classic => memberlist::Config::lan(name, address),
    };
    settings.meta = config.meta.to_vec();
    settings.zone = config.zone_aware_routing.as_ref().map(zone);
    settings.delegate_versions = delegate.versions();
    settings.keyring = Some(keyring(&config.keyring)?);
    settings.verify_incoming = config.verify_incoming;
    settings.verify_outgoing = config.verify_outgoing;
    settings.label.clone_from(&config.cluster_label);
    settings.verify_label = !config.cluster_label_verification_disabled;
    settings.compression = match config.compression {
        Compression::None => None,
        Compression::Lzw => Some(memberlist::Compression::Lzw),
        Compression::Snappy => Some(memberlist::Compression::Snappy),
    };
    settings.probe_interval = config.probe_interval;
    settings.probe_timeout = config.probe_timeout;
    settings.indirect_checks = config.indirect_checks;
    settings.suspicion_mult = config.suspicion_factor;
    settings.gossip_interval = config.gossip_interval;
    settings.gossip_nodes = config.gossip_nodes;
    settings.push_pull_interval = config.push_pull_interval;
    settings.gossip_to_the_dead_time = config.gossip_to_dead_nodes_time;
    settings.dead_node_reclaim_time = config.dead_node_reclaim_time;
    settings.retransmit_mult = config.retransmit_factor;
    // Not from `seed`: a nonce that is used twice gives the key away.
    let nonces = Nonces::from_secret(rand::random());
    let mut machine = Machine::encrypted(settings, seed, nonces, now)
        .map_err(|error| GossipError::invalid(error.field, error.reason))?;
    if let Some(policy) = delegate.policy() {
        machine.set_policy(policy);
    }
    Ok(machine)
}

fn zone(routing: &ZoneAwareRouting) -> Zone {
    Zone {
        name: routing.zone.clone(),
        role: match routing.role {
            ZoneRole::Member => Role::Member,
            ZoneRole::Bridge => Role::Bridge,
        },
    }
}

fn keyring(keys: &[String]) -> Result<Keyring, GossipError> {
    // What is wrong is said without the key, which is secret.
    let keys: Vec<Vec<u8>> = keys
        .iter()
        .map(|key| STANDARD.decode(key))
        .collect::<Result<_, _>>()
        .map_err(|_| GossipError::invalid("keyring", "has a key that is not base64"))?;
    Keyring::new(keys).map_err(|error| GossipError::invalid("keyring", error.to_string()))
}
