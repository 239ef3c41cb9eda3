//! Settings of the distributor and of its ring entry.

use serde::{Deserialize, Serialize};

use super::ingester::KvStore;
use crate::duration::Duration;

/// The distributor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Distributor {
    /// How long one write to one ingester may take.
    pub pushtimeout: Duration,
    /// The ring by which distributors know how many they are.
    pub ring: DistributorRing,
}

/// How a distributor appears in the ring of distributors.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DistributorRing {
    /// Where the ring is kept.
    pub kvstore: KvStore,
    /// Time between two heartbeats; 0 is never.
    pub heartbeat_period: Duration,
    /// Age of a heartbeat from which a distributor counts as unhealthy; after ten times as long it
    /// is forgotten. 0 is never.
    pub heartbeat_timeout: Duration,
    /// Name in the ring; empty is the host name.
    pub instance_id: String,
    /// Interfaces to take the advertised address from; empty is the address that gossip
    /// advertises.
    pub instance_interface_names: Vec<String>,
    /// Port to advertise; 0 is the listen port.
    pub instance_port: u16,
    /// Address to advertise; empty is the one that gossip advertises.
    pub instance_addr: String,
    /// Whether an IPv6 address of the interfaces may be taken, and goes before an IPv4 address.
    pub instance_enable_ipv6: bool,
}

impl Default for Distributor {
    fn default() -> Self {
        Self {
            pushtimeout: Duration::from_secs(5),
            ring: DistributorRing::default(),
        }
    }
}

impl Default for DistributorRing {
    fn default() -> Self {
        Self {
            kvstore: KvStore::default(),
            heartbeat_period: Duration::from_secs(15),
            heartbeat_timeout: Duration::from_secs(60),
            instance_id: String::new(),
            instance_interface_names: Vec::new(),
            instance_port: 0,
            instance_addr: String::new(),
            instance_enable_ipv6: false,
        }
    }
}
